"""Decisions as documents and sentences, for the one who may ask.

Of the policy of another account's bucket nothing is told but that it decided: neither its statements nor what they ask
for.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from ...domain.policy.document import ALL_S3
from ...domain.policy.evaluate import Caller, Reason, Side, Type
from ...domain.policy.explain import Explanation, Reference
from .records import Coverage

NS_PER_S = 1_000_000_000


class About(NamedTuple):
    """What a decision was about.

    :param key_kind: of the key that signed, as in ``Denial``
    :param hidden: the bucket is another account's than that of the reader, who may not read its policy
    """

    caller: Caller
    key_kind: str
    action: str
    resource: str
    account: str
    hidden: bool = False

    @property
    def bucket(self) -> str:
        return self.resource.removeprefix(ALL_S3).partition("/")[0] if self.resource.startswith(ALL_S3) else ""

    @property
    def name(self) -> str:
        """The caller in a sentence."""
        caller = self.caller
        if caller.type is Type.ANONYMOUS:
            return "an anonymous caller"
        if caller.type is Type.ROOT:
            return "root" if caller.deployment else f"root of account {caller.account}"
        return f"user {caller.user}"


def moment(ns: int) -> str:
    """RFC 3339 with milliseconds."""
    return datetime.fromtimestamp(ns / NS_PER_S, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def identity(caller: Caller, key_kind: str = "") -> dict[str, Any]:
    """Who."""
    members = {
        "type": caller.type.value,
        "account": caller.account,
        "user": caller.user,
        "accessKey": caller.access_key,
        "keyKind": key_kind,
        "groups": list(caller.groups),
        "arn": caller.arn,
    }
    return {name: value for name, value in members.items() if value}


def decision(about: About, explanation: Explanation) -> dict[str, Any]:
    """Why, and what would allow it."""
    shown = _without_bucket(explanation) if about.hidden else explanation
    statement = shown.statement
    return {
        "allowed": shown.allowed,
        "reason": shown.reason.value,
        "summary": summary(about, explanation.reason, explanation.statement),
        "statement": None if statement is None else msgspec.to_builtins(statement),
        "conditions": msgspec.to_builtins(shown.tests),
        "missed": msgspec.to_builtins(shown.missed),
        "grants": [
            {"side": side, "where": _place(about, Side(side)), "policy": policy}
            for side, policy in shown.grants.items()
        ],
    }


def _without_bucket(explanation: Explanation) -> Explanation:
    statement = explanation.statement
    mine = statement is None or statement.side is not Side.BUCKET
    missed = tuple(one for one in explanation.missed if one.statement.side is not Side.BUCKET)
    hidden = Reference(Side.BUCKET, "", -1, "", statement.effect) if statement is not None else None
    return msgspec.structs.replace(
        explanation,
        statement=statement if mine else hidden,
        tests=explanation.tests if mine else (),
        missed=missed,
    )


def summary(about: About, reason: Reason, statement: Reference | None) -> str:
    """The decision in one sentence."""
    if reason is Reason.EXPLICIT_DENY and statement is not None:
        return (
            f"{_statement(about, statement)} denies it. No grant helps against a Deny: change or remove the statement."
        )
    if reason is Reason.ALLOWED and statement is not None:
        return f"{_statement(about, statement)} allows it."
    return _SENTENCES[reason](about)


def _statement(about: About, statement: Reference) -> str:
    if about.hidden and statement.side is Side.BUCKET:
        return f"The policy of bucket {about.bucket}, which belongs to another account,"
    sid = f" ({statement.sid})" if statement.sid else ""
    where = {
        Side.IDENTITY: f"policy {statement.policy} of {about.name}",
        Side.BUCKET: f"the policy of bucket {about.bucket}",
        Side.SESSION: f"a session policy of access key {about.caller.access_key}",
    }
    return f"Statement {statement.index + 1}{sid} of {where[statement.side]}"


def _no_policy(about: About) -> str:
    if about.caller.type is Type.ANONYMOUS:
        where = f"the policy of bucket {about.bucket}" if about.bucket else "a policy"
        return f"Anonymous callers may do only what {where} allows to everyone, and this is not allowed there."
    return f"No policy is attached to {about.name} or its groups{_nor_bucket(about)}."


def _no_allow(about: About) -> str:
    return f"No statement of the policies of {about.name} allows it{_nor_bucket(about)}."


def _nor_bucket(about: About) -> str:
    return f", nor does the policy of bucket {about.bucket} allow it" if about.bucket else ""


_SENTENCES: dict[Reason, Callable[[About], str]] = {
    Reason.ROOT: lambda about: f"It is allowed to {about.name} without any policy.",
    Reason.ALLOWED: lambda about: "It is allowed.",
    Reason.NOT_FORBIDDEN: lambda about: f"It is about {about.name} itself, and nothing forbids it.",
    Reason.EXPLICIT_DENY: lambda about: "A statement denies it.",
    Reason.NO_POLICY: _no_policy,
    Reason.NO_ALLOW: _no_allow,
    Reason.NO_ALLOW_IDENTITY: lambda about: (
        f"Bucket {about.bucket} belongs to another account, whose policy allows it, but no policy of {about.name} does: "
        "across accounts both must."
    ),
    Reason.NO_ALLOW_BUCKET: lambda about: (
        f"The policies of {about.name} allow it, but bucket {about.bucket} belongs to another account, and its policy does "
        "not: across accounts both must."
    ),
    Reason.NO_ALLOW_SESSION: lambda about: (
        f"Access key {about.caller.access_key} is bound by a session policy, in which nothing allows it, whatever "
        f"{about.name} may do."
    ),
    Reason.ACCOUNT_DISABLED: lambda about: (
        f"Bucket {about.bucket} belongs to {'another account' if about.hidden else 'account ' + about.account}, which is "
        "disabled: nobody gets at it but the deployment's root. No grant helps: the account must be enabled."
    ),
}


def _place(about: About, side: Side) -> str:
    """Where a grant belongs."""
    if side is Side.BUCKET:
        return f"in the policy of bucket {about.bucket}"
    if side is Side.SESSION:
        return f"in each session policy of access key {about.caller.access_key}"
    return f"in a policy attached to {about.name}"


def coverage(one: Coverage) -> dict[str, Any]:
    return {
        "worker": one.worker,
        "since": moment(one.since_ns),
        "denialsSince": moment(one.denials_since_ns),
        "unknownCallersSince": moment(one.unknown_since_ns),
        "droppedDenials": one.dropped_denials,
        "droppedRequests": one.dropped_allowed,
    }
