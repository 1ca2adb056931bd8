"""What a worker remembers of its decisions: bounded, counted, told without secrets, and cheap for what is allowed."""

from __future__ import annotations

import itertools
import time
import tracemalloc
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from sos.domain.policy.compiled import PolicySet, compile_policy
from sos.domain.policy.document import Kind, read
from sos.domain.policy.evaluate import Caller, Reason, Type, Verdict
from sos.services.access import Access
from sos.services.decisions import recorder
from sos.services.decisions.recorder import KEPT_NS, SLICE_NS, Decisions
from sos.services.decisions.records import Allowed, Denial, Facts, Occasion, Values
from sos.services.decisions.replay import gathered
from sos.services.decisions.revision import revision_of
from sos.services.decisions.simulator import DRAFT, Draft, parts_of
from sos.services.identity.principal import ANONYMOUS, Principal
from tests.kit.decisions import allow, deny, document

MAIN = "000000000000"
FACTS: Facts = ("127.0.0.1", False, None, None, None)
START = 1_800_000_000 * 10**9
#: The cost of one is 0.6 µs on an idle core of two; a loaded machine may take ten times that.
ALLOWED_S_MAX = 10e-6


def policies(*statements: Any, kind: Kind = Kind.IDENTITY, name: str = "mine") -> PolicySet:
    return PolicySet([compile_policy(name, read(document(*statements), kind), kind)])


ALICE = Principal(
    Caller(Type.USER, MAIN, "alice", "alice"), user="alice", policies=policies(allow("s3:Get*", "photos/*"))
)


class Clock:
    def __init__(self) -> None:
        self.ns = START
        self.used_s = 0.0

    def now(self) -> int:
        return self.ns

    def timer(self) -> float:
        """Every look at it takes a millisecond."""
        self.used_s += 0.001
        return self.used_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def decisions(clock: Clock) -> Decisions:
    return Decisions(3, clock.now)


_access = Access()


def decided(action: str, key: str, who: Principal = ALICE, values: Values | None = None) -> Verdict:
    return _access.decide(who, action, "photos", None, key.encode(), (values or {}).get, account=MAIN)


def entries(decisions: Decisions) -> list[Allowed]:
    return [one for part in decisions.slices() for one in part]


def denied(decisions: Decisions, number: int = 1, who: Principal = ALICE, **values: tuple[str, ...]) -> None:
    request = {key.replace("_", ":", 1): value for key, value in values.items()}
    occasion = Occasion(f"{number:016X}", decisions._clock(), "s3", "PutObject")
    decisions.denied(occasion, who, decided("s3:PutObject", "key", who, request), request.get)


def told(decisions: Decisions, request_id: str = "") -> list[Denial]:
    return [msgspec.msgpack.decode(one, type=Denial) for one in decisions.denials(request_id)]


# -- what is allowed ---------------------------------------------------------------------------------------


def test_requests_alike_are_one_entry(decisions: Decisions, clock: Clock) -> None:
    for at in range(3):
        decisions.allowed(decided("s3:GetObject", "key"), FACTS, START + at)
    decisions.allowed(decided("s3:GetObject", "key"), ("10.0.0.1", True, None, None, None), START + 9)
    first, second = entries(decisions)
    assert (first.count, first.first_ns, first.last_ns, first.resource) == (
        3,
        START,
        START + 2,
        "arn:aws:s3:::photos/key",
    )
    assert (second.count, second.facts[:2]) == (1, ("10.0.0.1", True))
    assert [(one.count, one.allowed) for one in gathered(entries(decisions) * 2, [])] == [(6, True), (2, True)]


def test_what_differs_for_every_request_makes_no_entries(decisions: Decisions) -> None:
    timed = allow("s3:Get*", "photos/*", Condition={"NumericGreaterThan": {"aws:EpochTime": "1"}})
    who = Principal(ALICE.caller, user="alice", policies=policies(timed))
    for second in ("100", "200"):
        decisions.allowed(decided("s3:GetObject", "key", who, {"aws:EpochTime": (second,)}), FACTS, START)
    (entry,) = entries(decisions)
    assert (entry.count, entry.values) == (2, {})
    assert "aws:EpochTime" in entry.knows()


def test_an_hour_is_remembered_and_no_more(decisions: Decisions, clock: Clock) -> None:
    for minute in range(150):
        clock.ns = START + minute * 60 * 10**9
        decisions.allowed(decided("s3:GetObject", f"key-{minute}"), FACTS, clock.ns)
        denied(decisions, minute)
        kept = [one.last_ns for one in entries(decisions)]
        assert max(kept) == clock.ns
        assert min(kept) > clock.ns - KEPT_NS - SLICE_NS - 1
        assert len(kept) >= min(minute, 60)
    assert min(denial.at_ns for denial in told(decisions)) >= clock.ns - KEPT_NS
    assert decisions.coverage().since_ns == clock.ns - KEPT_NS
    clock.ns += 3 * KEPT_NS
    assert told(decisions) == [] and len(list(decisions.slices())) == 1


def test_a_worker_without_requests_for_an_hour_begins_anew(decisions: Decisions, clock: Clock) -> None:
    decisions.allowed(decided("s3:GetObject", "old"), FACTS, clock.ns)
    clock.ns += 2 * KEPT_NS
    decisions.allowed(decided("s3:GetObject", "new"), FACTS, clock.ns)
    assert [one.resource.rpartition("/")[2] for one in entries(decisions)] == ["new"]


def _flood(decisions: Decisions, keys: Iterable[str], at_ns: int) -> int:
    return sum(1 for key in keys if decisions.allowed(decided("s3:GetObject", key), FACTS, at_ns) is None)


def test_too_many_resources_are_folded_and_none_is_lost(decisions: Decisions) -> None:
    count = _flood(decisions, (f"folder-{i % 7}/key-{i}" for i in range(5000)), START)
    found = entries(decisions)
    assert sum(one.count for one in found) == count
    folded = [one for one in found if one.below]
    assert {one.below for one in folded} == {f"arn:aws:s3:::photos/folder-{i}/" for i in range(7)}
    assert all(one.resource.startswith(one.below) for one in folded)
    assert len(found) < 2000 and decisions.coverage().dropped_allowed == 0


def test_what_has_no_room_at_all_is_counted(decisions: Decisions, clock: Clock) -> None:
    count = _flood(decisions, (f"folder-{i}/key" for i in range(5000)), START)
    lost = decisions.coverage().dropped_allowed
    assert lost > 0 and sum(one.count for one in entries(decisions)) == count - lost
    _flood(decisions, ["folder-1/key"], START)
    assert decisions.coverage().dropped_allowed == lost, "what has an entry is counted there"
    clock.ns = START + 2 * KEPT_NS
    _flood(decisions, ["folder-new/key"], clock.ns)
    assert decisions.coverage().dropped_allowed == 0


def test_memory_is_bounded_whatever_clients_send(clock: Clock) -> None:
    """Long keys, many prefixes, many callers, hours of it."""
    tracemalloc.start()
    try:
        decisions = Decisions(0, clock.now)
        before = tracemalloc.get_traced_memory()[0]
        for part in range(9):
            clock.ns = START + part * SLICE_NS
            for i in range(1500):
                who = Principal(Caller(Type.USER, MAIN, f"u{i % 50}", f"u{i % 50}"), user="u", policies=ALICE.policies)
                facts = (f"10.0.{i % 9}.1", True, "p" * 500 + str(i), None, None)
                decisions.allowed(decided("s3:GetObject", f"{i}/" + "\U0001f600" * 200, who), facts, clock.ns)
        for i in range(4000):
            denied(decisions, i, ALICE if i % 2 else ANONYMOUS, aws_UserAgent=("a" * 5000,))
        used = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    most = recorder.ALLOWED_BYTES_MAX + recorder.DENIED_BYTES_MAX + recorder.UNKNOWN_BYTES_MAX
    assert used < 1.5 * most, used


def test_an_allowed_request_costs_a_microsecond(decisions: Decisions) -> None:
    verdicts = [decided("s3:GetObject", f"key-{i % 100}") for i in range(5000)]
    best = min(_seconds(decisions, verdicts) for _ in range(5))
    assert best / len(verdicts) < ALLOWED_S_MAX


def _seconds(decisions: Decisions, verdicts: list[Verdict]) -> float:
    began = time.process_time()
    for verdict in verdicts:
        decisions.allowed(verdict, FACTS, START)
    return time.process_time() - began


# -- what is denied ----------------------------------------------------------------------------------------


def test_a_denial_is_kept_with_all_that_explains_it(decisions: Decisions) -> None:
    denied(decisions, 7, aws_SourceIp=("1.2.3.4",), aws_UserAgent=("curl",))
    (denial,) = told(decisions, f"{7:016X}")
    assert (denial.action, denial.resource, denial.reason) == (
        "s3:PutObject",
        "arn:aws:s3:::photos/key",
        Reason.NO_ALLOW,
    )
    assert denial.values == {"aws:SourceIp": ("1.2.3.4",), "aws:UserAgent": ("curl",)}
    assert {"aws:Referer", "s3:prefix"} <= denial.knows() and "s3:ExistingObjectTag/x" not in denial.knows()
    assert denial.explanation is not None and denial.explanation.grants
    assert denial.revision == revision_of(ALICE.policies, PolicySet(), ())
    assert told(decisions, f"{8:016X}") == []


def test_links_are_kept_without_their_query(decisions: Decisions) -> None:
    only = allow("s3:Put*", "photos/*", Condition={"StringLike": {"aws:Referer": "https://good/*"}})
    who = Principal(ALICE.caller, user="alice", policies=policies(only))
    denied(decisions, 1, who, aws_Referer=("https://bad/page?token=hunter2",))
    (document,) = decisions.denials()
    assert b"https://bad/page" in document and b"hunter2" not in document


def test_those_outside_cannot_push_out_what_happened_inside(decisions: Decisions) -> None:
    denied(decisions, 1)
    for number in range(2, 6000):
        denied(decisions, number, ANONYMOUS, aws_UserAgent=("x" * 900,))
    assert [denial.caller.user for denial in told(decisions, f"{1:016X}")] == ["alice"]
    coverage = decisions.coverage()
    assert coverage.dropped_denials > 0 and coverage.denials_since_ns == START
    assert coverage.unknown_since_ns > START


def test_one_request_cannot_fill_the_memory(decisions: Decisions) -> None:
    for _ in range(1000):
        denied(decisions, 5)
    denied(decisions, 6)
    assert len(told(decisions, f"{5:016X}")) == recorder.OF_ONE_REQUEST_MAX
    assert len(told(decisions, f"{6:016X}")) == 1
    assert decisions.coverage().dropped_denials == 1000 - recorder.OF_ONE_REQUEST_MAX


def test_explaining_what_is_denied_takes_no_more_than_its_share(clock: Clock) -> None:
    """A flood is remembered without explanations, which are worked out when somebody asks."""
    decisions = Decisions(0, clock.now, clock.timer)
    for number in range(1000):
        denied(decisions, number)
    explained = [denial.explanation is not None for denial in told(decisions)]
    assert explained[0] and not explained[-1]
    most_s = recorder.EXPLAINING_S_MAX + clock.used_s * recorder.EXPLAINING_SHARE
    assert sum(explained) * 0.001 <= most_s + 0.001
    assert all(denial.reason is Reason.NO_ALLOW for denial in told(decisions))


def test_refusals_without_a_policy(decisions: Decisions) -> None:
    occasion = Occasion("1", START, "s3", "GetObject")
    decisions.refused(occasion, ANONYMOUS, "SignatureDoesNotMatch", "m" * 5000, "/photos/" + "k" * 5000)
    (denial,) = told(decisions)
    assert (denial.reason, denial.code) == (None, "SignatureDoesNotMatch")
    assert len(denial.message) == len(denial.resource) == recorder.MESSAGE_CHARS_MAX
    assert gathered([], [denial]) == [], "a replay decides what policies decide"


# -- revisions and drafts ----------------------------------------------------------------------------------


def test_another_policy_or_text_is_another_revision() -> None:
    one, same, text, name = (
        policies(allow("s3:*", "a/*")), policies(allow("s3:*", "a/*")), policies(allow("s3:*", "b/*")),
        policies(allow("s3:*", "a/*"), name="other"),
    )  # fmt: skip
    none = PolicySet()
    assert revision_of(one, none, ()) == revision_of(same, none, ())
    assert (
        len(
            {
                revision_of(*sides)
                for sides in (
                    (one, none, ()),
                    (text, none, ()),
                    (name, none, ()),
                    (none, one, ()),
                    (none, none, (one,)),
                )
            }
        )
        == 5
    )
    for order in itertools.permutations((*one.policies, *text.policies)):
        assert revision_of(PolicySet(order), none, ()) == revision_of(
            PolicySet((*one.policies, *text.policies)), none, ()
        )


@pytest.mark.parametrize(
    ("draft", "names"),
    [
        ({"instead_of": "mine"}, ["mine"]),
        ({"instead_of": "another"}, ["mine"]),
        ({"user": "alice"}, ["mine", DRAFT]),
        ({"user": "bob"}, ["mine"]),
        ({"group": "staff"}, ["mine", DRAFT]),
        ({"group": "none"}, ["mine"]),
        ({"whoever": True}, ["mine", DRAFT]),
        ({"bucket": "photos"}, ["mine"]),
        ({"user": "alice", "account": "1" * 12}, ["mine"]),
    ],
)
def test_whom_a_draft_concerns(draft: dict[str, Any], names: list[str]) -> None:
    caller = Caller(Type.USER, MAIN, "alice", "alice", ("staff",))
    who = Principal(caller, user="alice", policies=ALICE.policies)
    drafted = Draft(document(deny("s3:*", "*")), **{"account": MAIN, **draft}).principal(who)
    assert [policy.name for policy in drafted.policies.policies] == names
    changed = draft in ({"instead_of": "mine"},) or DRAFT in names
    assert decided("s3:GetObject", "key", drafted).allowed is not changed
    anonymous = Draft(document(allow("s3:*", "*")), whoever=True).principal(ANONYMOUS)
    assert anonymous is ANONYMOUS, "policies of identities cannot be attached to nobody"


@pytest.mark.parametrize(
    ("resource", "parts"),
    [
        ("arn:aws:s3:::b/k/x", ("b", b"k/x")),
        ("arn:aws:s3:::b", ("b", b"")),
        ("arn:aws:s3:::b/", ("b", b"")),
        ("", ("", b"")),
        ("arn:minio:kms:::key", ("", b"")),
    ],
)
def test_parts_of_a_resource(resource: str, parts: tuple[str, bytes]) -> None:
    assert parts_of(resource) == parts
