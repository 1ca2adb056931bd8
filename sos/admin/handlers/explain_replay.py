"""What a policy that is not in force would have changed of the last hour's requests."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from ...domain.errors import BadDocument, Busy, NoSuchBucket
from ...domain.policy.evaluate import Verdict
from ...domain.policy.explain import reference_of
from ...http.message import Reply
from ...services.decisions import telling
from ...services.decisions.replay import Change, Outcome, Recorded, gathered, replay
from ..call import Call, plain
from .explain import hidden, recording, visible
from .explain_simulate import Drafted, draft_of


class ReplayRequest(Drafted, rename="camel", forbid_unknown_fields=True):
    """:param user: that the draft would be attached to; ``group`` likewise"""

    user: str = ""
    group: str = ""


async def replay_hour(call: Call) -> Reply:
    """What of the last hour's requests would be decided otherwise with a draft."""
    wanted = await call.parsed(ReplayRequest)
    if not (wanted.instead_of or wanted.user or wanted.group or wanted.bucket):
        raise BadDocument("A draft stands in for a policy or a bucket's policy, or is attached to a user or a group.")
    draft = draft_of(call, wanted, call.account, user=wanted.user, group=wanted.group)
    if draft is None:
        raise BadDocument("A draft is needed.")
    await _check(call, wanted)
    insight = call.insight
    if insight.replaying.locked():
        raise Busy("Another replay is under way.")
    async with insight.replaying:
        remembered = await insight.remembered()
        every = await asyncio.to_thread(gathered, remembered.allowed, remembered.denials)
        recorded = [one for one in every if visible(call, one.caller, one.account)]
        outcome = await replay(insight.simulator, recorded, draft)
    return plain({**_outcome(call, recorded, outcome), **recording(remembered)})


async def _check(call: Call, wanted: ReplayRequest) -> None:
    """What the draft speaks of must be there.

    :raises NoSuchPolicy, NoSuchUser, NoSuchGroup, NoSuchBucket
    """
    services = call.services
    if wanted.instead_of:
        await services.identity.policies.get(call.account, wanted.instead_of)
    if wanted.user:
        await services.identity.users.get(call.account, wanted.user)
    if wanted.group:
        await services.identity.groups.get(call.account, wanted.group)
    if wanted.bucket:
        owner = await call.insight.simulator.owner(wanted.bucket)
        if not owner or not (owner == call.account or call.who.root):
            raise NoSuchBucket(bucket=wanted.bucket)


def _outcome(call: Call, recorded: Sequence[Recorded], outcome: Outcome) -> dict[str, Any]:
    kinds = ("unchanged", "changed", "unsure", "gone", "drifted")
    return {
        "requests": sum(one.count for one in recorded),
        "decisions": len(recorded),
        **{kind: outcome.kinds[kind] for kind in kinds},
        "changes": [_change(call, one) for one in outcome.changes],
        "unsureChanges": [_change(call, one) for one in outcome.unsure],
        "identitiesGone": sorted(outcome.gone)[:100],
        "notListed": outcome.untold,
    }


def _change(call: Call, change: Change) -> dict[str, Any]:
    requests, now, then = change.requests, change.now.verdict, change.then.verdict
    account = now.question.context.account
    about = telling.About(requests.caller, "", requests.action, requests.resource, account, hidden(call, account))
    told: dict[str, Any] = {
        "identity": telling.identity(requests.caller),
        "action": requests.action,
        "resource": requests.resource,
        "context": dict(sorted(requests.values.items())),
        "requests": requests.count,
        "first": telling.moment(requests.first_ns),
        "last": telling.moment(requests.last_ns),
        "recorded": _word(requests.allowed),
        "now": _word(now.allowed),
        "draft": _word(then.allowed),
        "why": _why(about, then),
    }
    more = {"below": requests.below, "requestIds": requests.request_ids, "notRecorded": list(change.unknown)}
    return told | {name: value for name, value in more.items() if value}


def _word(allowed: bool) -> str:
    return "allowed" if allowed else "denied"


def _why(about: telling.About, verdict: Verdict) -> str:
    reference = reference_of(verdict)
    return telling.summary(about, verdict.reason, reference)
