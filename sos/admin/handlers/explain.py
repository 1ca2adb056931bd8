"""Why a request was denied.

It is told of the account of the caller only (to the deployment's root of all), and only to whom a policy gives the right:
who was denied learns nothing by it.
"""

from __future__ import annotations

from typing import Any

from ...domain.errors import InvalidAdminArgument
from ...domain.policy.evaluate import Caller, Reason, Type
from ...domain.policy.explain import explain
from ...http.message import Reply
from ...services.decisions import telling
from ...services.decisions.asking import Remembered
from ...services.decisions.recorder import clipped
from ...services.decisions.records import Denial
from ...services.decisions.revision import revision_of
from ...services.decisions.simulator import Question
from ..call import Call, plain

REQUEST_ID_CHARS_MAX = 64


async def explain_request(call: Call) -> Reply:
    """Every denial of a request that is remembered; an empty list where there is none that the caller may see."""
    request_id = call.get("requestId").strip()
    if (
        not request_id
        or len(request_id) > REQUEST_ID_CHARS_MAX
        or not request_id.isascii()
        or not request_id.isprintable()
    ):
        raise InvalidAdminArgument("A request id is needed, as it stands in the answer that denied.")
    remembered = await call.insight.remembered(request_id.upper())
    shown = [await _denial(call, one) for one in remembered.denials if visible(call, one.caller, one.account)]
    return plain({"requestId": request_id, "denials": shown, **recording(remembered)})


def visible(call: Call, caller: Caller, account: str) -> bool:
    """What an anonymous caller does concerns the account of the bucket. What nobody can be named for, the deployment."""
    if call.who.root and call.other is None:
        return True
    mine = account if caller.type is Type.ANONYMOUS else caller.account
    return mine == call.account


def hidden(call: Call, account: str) -> bool:
    return not call.who.root and account != call.account


def recording(remembered: Remembered) -> dict[str, Any]:
    return {
        "recording": [telling.coverage(one) for one in remembered.coverage],
        "silentWorkers": remembered.silent,
    }


async def _denial(call: Call, denial: Denial) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "time": telling.moment(denial.at_ns),
        "surface": denial.surface,
        "call": denial.call,
        "identity": telling.identity(denial.caller, denial.key_kind),
        "resource": denial.resource,
    }
    if denial.reason is None:
        # a signature that does not hold shows nobody: the key is what the request names
        claims = {"claims": shown.pop("identity"), "code": denial.code}
        return shown | claims | {"summary": f"No policy decided this: {denial.message}"}
    shown |= {"action": denial.action, "context": dict(sorted(denial.values.items()))}
    about = telling.About(
        denial.caller, denial.key_kind, denial.action, denial.resource, denial.account, hidden(call, denial.account)
    )
    now = await _now(call, denial, about)
    if denial.explanation is not None:
        return shown | telling.decision(about, denial.explanation) | now
    # too many were denied at that moment to work it out: it is what it is now, unless the policies changed
    told = telling.summary(about, denial.reason, None)
    return shown | {"allowed": False, "reason": denial.reason.value, "summary": told} | now


async def _now(call: Call, denial: Denial, about: telling.About) -> dict[str, Any]:
    """What the policies in force say of the same request."""
    simulator = call.insight.simulator
    if not denial.caller.access_key and denial.caller.type is not Type.ANONYMOUS:
        return {"policiesChanged": None, "now": None}  # it had a proof and no key yet: nobody can be asked about
    who = await simulator.principal(denial.caller.access_key)
    if (
        who is None or who.account != denial.caller.account
    ):  # gone; the name may be that of a user of another account now
        return {"policiesChanged": True, "now": None}
    question = Question(denial.action, denial.resource, denial.values, denial.account, denial.deny_only, denial.at_ns)
    verdict = (await simulator.decide(who, question)).verdict
    revision = revision_of(who.policies, verdict.question.bucket, who.sessions)
    now = telling.decision(about, clipped(explain(verdict)))
    # an account that was disabled or enabled changes no policy, and yet what is in force
    disabled = Reason.ACCOUNT_DISABLED
    changed = revision != denial.revision or (verdict.reason is disabled) is not (denial.reason is disabled)
    return {"policiesChanged": changed, "now": now}
