"""What a draft would change: the decisions of the last hour, decided again by the policies in force and with the draft.

R1  A change is a request that the policies in force and those with the draft decide differently. What was decided
    otherwise at its time, because policies changed since, is counted apart (``drifted``).
R2  Where the draft asks for what was not recorded of a request, nothing is claimed: the request is ``unsure``.
R3  Requests of identities that are gone are counted, and not decided.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from ...domain.policy.compiled import CompiledStatement
from ...domain.policy.evaluate import Caller, Reason, Verdict
from ...domain.policy.explain import covers
from ..identity.principal import Principal
from .records import PASSING, Allowed, Denial, Values, values_of
from .simulator import Answer, Draft, Question, Simulator

#: Decisions between two looks at other work: each costs some 20 µs.
AT_ONCE = 25
#: Of changes, and of what is unsure, that are told; the rest is counted.
TOLD_MAX = 500
REQUEST_IDS_MAX = 5


@dataclass(slots=True)
class Recorded:
    """Requests that are decided alike.

    :param below: prefix of their resources, where only the first resource is known
    :param knows: condition keys of which it is known whether they had a value
    """

    caller: Caller
    action: str
    resource: str
    account: str
    values: Values
    deny_only: bool
    allowed: bool
    below: str = ""
    knows: frozenset[str] = frozenset()
    count: int = 0
    first_ns: int = 0
    last_ns: int = 0
    request_ids: list[str] = field(default_factory=list)

    def add(self, count: int, first_ns: int, last_ns: int, request_id: str = "") -> None:
        self.first_ns = min(self.first_ns or first_ns, first_ns)
        self.last_ns = max(self.last_ns, last_ns)
        self.count += count
        if request_id and len(self.request_ids) < REQUEST_IDS_MAX:
            self.request_ids.append(request_id)


@dataclass(frozen=True, slots=True)
class Change:
    """Requests, and what becomes of them.

    :param now: by the policies in force
    :param then: with the draft
    :param unknown: condition keys that the draft asks for and that were not recorded: nothing is claimed
    """

    requests: Recorded
    now: Answer
    then: Answer
    unknown: tuple[str, ...] = ()


@dataclass(slots=True)
class Outcome:
    """Counts are of requests.

    :param kinds: ``unchanged``, ``changed``, ``unsure``, ``gone``, and ``drifted`` among the first three
    """

    changes: list[Change] = field(default_factory=list)
    unsure: list[Change] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    gone: set[str] = field(default_factory=set)
    untold: int = 0


def gathered(allowed: Iterable[Allowed], denials: Iterable[Denial]) -> list[Recorded]:
    """What workers told, those alike together."""
    found: dict[object, Recorded] = {}
    for one in allowed:
        values = {**one.values, **values_of(one.facts)}
        recorded = _of(found, one.caller, one, values, True, one.below)
        recorded.knows |= one.knows()
        recorded.add(one.count, one.first_ns, one.last_ns)
    for denial in denials:
        if denial.reason is not None:
            recorded = _of(found, denial.caller, denial, denial.values, False)
            recorded.knows |= denial.knows()
            recorded.add(1, denial.at_ns, denial.at_ns, denial.request_id)
    return list(found.values())


def _of(
    found: dict[object, Recorded], caller: Caller, one: Allowed | Denial, values: Values, allowed: bool, below: str = ""
) -> Recorded:
    steady = tuple(sorted(item for item in values.items() if item[0] not in PASSING))
    key = (caller, one.action, below or one.resource, one.account, steady, one.deny_only, allowed, bool(below))
    if key not in found:
        found[key] = Recorded(caller, one.action, one.resource, one.account, values, one.deny_only, allowed, below)
    return found[key]


async def replay(simulator: Simulator, recorded: Iterable[Recorded], draft: Draft) -> Outcome:
    """Decide it all again."""
    outcome = Outcome()
    people: dict[tuple[str, str], tuple[Principal, Principal] | None] = {}
    for number, requests in enumerate(recorded):
        if number % AT_ONCE == 0:
            await asyncio.sleep(0)
        name, account = key = requests.caller.access_key, requests.caller.account
        if key not in people:
            who = await simulator.principal(name)
            # what has the name now may be of another account, whose policies are not told
            people[key] = None if who is None or who.account != account else (who, draft.principal(who))
        found = people[key]
        if found is None:
            outcome.kinds["gone"] += requests.count
            outcome.gone.add(name)
        else:
            _count(outcome, await _again(simulator, found, requests, draft))
    return outcome


async def _again(simulator: Simulator, who: tuple[Principal, Principal], requests: Recorded, draft: Draft) -> Change:
    """:param who: the identity as it is, and with the draft"""
    question = Question(
        requests.action, requests.resource, requests.values, requests.account, requests.deny_only, requests.last_ns
    )
    now = await simulator.decide(who[0], question)
    then = await simulator.decide(who[1], question, draft)
    open_ = {key for answer in (now, then) for key in answer.missing} - requests.knows
    unknown = {key for answer in (now, then) for key in _weighed(answer.verdict, open_)} if open_ else ()
    return Change(requests, now, then, tuple(sorted(unknown)))


def _weighed(verdict: Verdict, keys: set[str]) -> set[str]:
    """Those of the keys that could turn the verdict, had they had a value."""
    question = verdict.question
    context = question.context
    sides = (question.identity, question.bucket, *([question.session] if question.session is not None else []))
    found: set[str] = set()
    for statement in (one for side in sides for one in side.plan(context.action).statements):
        asked = statement.asks() & keys
        if asked and _could_turn(verdict, statement) and covers(statement, context):
            found |= asked
    return found


def _could_turn(verdict: Verdict, statement: CompiledStatement) -> bool:
    """What is allowed, a Deny could turn, or an Allow that holds for want of a value; what is denied by absence, an Allow;
    what is denied by a statement, that one alone.
    """
    if verdict.reason is Reason.EXPLICIT_DENY:
        return statement is verdict.statement
    if verdict.allowed:
        return statement.denies or statement.holds(verdict.question.context.lookup)
    return not statement.denies


def _count(outcome: Outcome, change: Change) -> None:
    requests, now, then = change.requests, change.now.verdict.allowed, change.then.verdict.allowed
    if now is not requests.allowed and not change.unknown:
        outcome.kinds["drifted"] += requests.count
    kind, told = ("unsure", outcome.unsure) if change.unknown else ("changed", outcome.changes)
    if not change.unknown and now is then:
        outcome.kinds["unchanged"] += requests.count
        return
    outcome.kinds[kind] += requests.count
    if len(told) < TOLD_MAX:
        told.append(change)
    else:
        outcome.untold += requests.count
