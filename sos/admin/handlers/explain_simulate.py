"""What would be decided: one question, asked of the policies in force or of a draft."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec

from ...domain.errors import AccessDenied, BadDocument, InvalidAdminArgument, NoSuchAccessKey, NoSuchUser
from ...domain.policy.actions import Level, known_actions, level_of, namespace_of
from ...domain.policy.document import ALL_S3, Kind, parse
from ...domain.policy.explain import explain
from ...domain.policy.keys import canonical
from ...http.message import Reply
from ...meta.iam import ROOT_ACCOUNT
from ...services.decisions import telling
from ...services.decisions.recorder import kind_of
from ...services.decisions.simulator import Draft, Question, parts_of
from ...services.identity.directory import Known
from ...services.identity.principal import ANONYMOUS, Principal
from ..call import Call, plain
from .explain import hidden
from .server import ACTIONS as SERVICE_ACTIONS

CONTEXT_MAX = 100


class Drafted(msgspec.Struct, rename="camel"):
    """The members of a document that speak of a draft.

    :param policy: the draft, as JSON
    :param instead_of: name of the policy whose place it takes
    :param bucket: whose policy it would be; without it, it is one for identities
    """

    policy: msgspec.Raw = msgspec.Raw()
    instead_of: str = ""
    bucket: str = ""


class SimulateRequest(Drafted, rename="camel", forbid_unknown_fields=True):
    """Who, what and how: exactly one of ``user``, ``access_key`` and ``anonymous``.

    :param context: condition key → value or values
    :param own: it is about the caller itself (its own keys): absence of an Allow is no denial then
    """

    action: str = ""
    resource: str = ""
    user: str = ""
    access_key: str = ""
    anonymous: bool = False
    context: dict[str, str | list[str]] = {}
    own: bool = False


async def simulate(call: Call) -> Reply:
    """What would be decided, with nothing done."""
    wanted = await call.parsed(SimulateRequest)
    known = await _asked_for(call, wanted)
    who = known.principal
    question = await _question(call, wanted, who)
    draft = draft_of(call, wanted, who.account, whoever=not wanted.instead_of)
    if draft is not None:
        who = draft.principal(who)
    simulator = call.insight.simulator
    answer = await simulator.decide(who, question, draft)
    context = answer.verdict.question.context
    about = telling.About(
        who.caller, kind_of(who), question.action, question.resource, context.account, hidden(call, context.account)
    )
    told = telling.decision(about, explain(answer.verdict))
    if refused := _refused(known, call.request.received_ns):
        told |= refused
    asked = {"action": question.action, "resource": question.resource, "draft": draft is not None}
    return plain({"identity": telling.identity(who.caller, kind_of(who)), **asked, **told, "notGiven": answer.missing})


async def _asked_for(call: Call, wanted: SimulateRequest) -> Known:
    """:raises NoSuchUser, NoSuchAccessKey: also for those of other accounts"""
    name = wanted.user or wanted.access_key
    if bool(wanted.user) + bool(wanted.access_key) + wanted.anonymous != 1:
        raise BadDocument("Exactly one of user, accessKey and anonymous is needed.")
    if wanted.anonymous:
        return Known(ANONYMOUS, "")
    known = await call.insight.simulator.known(name)
    every = call.who.root and call.other is None
    if known is None or not (every or known.principal.account == call.account):
        raise NoSuchUser() if wanted.user else NoSuchAccessKey()
    return known


def _refused(known: Known, now_ns: int) -> dict[str, Any]:
    """What a request meets before any policy is asked."""
    if not known.enabled:
        return {
            "allowed": False,
            "reason": "key-disabled",
            "summary": "The access key, its user or its account is disabled.",
        }
    if known.expires_ns and known.expires_ns <= now_ns:
        return {"allowed": False, "reason": "key-expired", "summary": "The access key has expired."}
    return {}


async def _question(call: Call, wanted: SimulateRequest, who: Principal) -> Question:
    action, resource = _action(wanted.action), _resource(wanted.action, wanted.resource)
    bucket, _ = parts_of(resource)
    account = ROOT_ACCOUNT if action in _of_the_server() or namespace_of(action) == "kms" else who.account
    if bucket and not call.who.root and await call.insight.simulator.owner(bucket) not in ("", call.account):
        # any address, any header could be tried against a policy that the caller must not read
        raise AccessDenied("The bucket belongs to another account, which alone can try its policy.")
    context = _context(wanted.context)
    return Question(action, resource, context, account, wanted.own, call.request.received_ns)


def _action(text: str) -> str:
    """The action as it is written in the table. :raises InvalidAdminArgument:"""
    if level_of(text) is None:
        raise InvalidAdminArgument(f"Action {text[:64]!r} is not known.")
    (action,) = known_actions(text)
    return action


def _resource(action: str, text: str) -> str:
    """The ARN; ``bucket/key`` will do. :raises InvalidAdminArgument:"""
    level, space = level_of(action), namespace_of(action)
    if space == "kms" or level is Level.SERVICE:
        if text and space != "kms":
            raise InvalidAdminArgument(f"Action {action} is about no resource.")
        return text
    arn = text if text.startswith("arn:") else ALL_S3 + text
    bucket, key = parts_of(arn)
    if not bucket or (bool(key) is not (level is Level.OBJECT)):
        what = "object" if level is Level.OBJECT else "bucket"
        raise InvalidAdminArgument(f"Action {action} needs the ARN of one {what}.")
    return arn


def _context(given: dict[str, str | list[str]]) -> dict[str, tuple[str, ...]]:
    """:raises InvalidAdminArgument: a condition key that no policy can name"""
    if len(given) > CONTEXT_MAX:
        raise InvalidAdminArgument(f"There are at most {CONTEXT_MAX} condition keys.")
    found = {}
    for name, value in given.items():
        key = canonical(name)
        if key is None:
            raise InvalidAdminArgument(f"Condition key {name[:64]!r} is not known.")
        found[key] = (value,) if isinstance(value, str) else tuple(value)
    return found


@cache
def _of_the_server() -> frozenset[str]:
    """Admin actions about the server, not about the users and policies of an account. (A few calls about the server take
    actions of the latter kind; for an account's root they are decided otherwise than it is told here.)
    """
    from ..operations import OPERATIONS  # which is made of these handlers

    about = {kind: {one for row in OPERATIONS if row.about == kind for one in row.actions} for kind in ("server", "own")}
    return frozenset(about["server"] - about["own"] | set(SERVICE_ACTIONS.values()))


def draft_of(
    call: Call, wanted: Drafted, account: str, *, user: str = "", group: str = "", whoever: bool = False
) -> Draft | None:
    """:raises MalformedPolicy, PolicyTooLarge, BadDocument"""
    document = bytes(wanted.policy)
    if not document:
        if wanted.instead_of or wanted.bucket:
            raise BadDocument("A draft needs a policy.")
        return None
    if wanted.bucket:
        if wanted.instead_of or user or group:
            raise BadDocument(
                "The draft of a bucket's policy takes the place of that policy and is attached to nobody."
            )
        parse(document, Kind.BUCKET, wanted.bucket, version_required=True)
        return Draft(document, account, bucket=wanted.bucket)
    parse(document, Kind.IDENTITY)
    return Draft(document, account, wanted.instead_of, user, group, whoever=whoever)
