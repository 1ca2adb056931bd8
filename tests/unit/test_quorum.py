"""The rules of the commit protocol as tables."""

from __future__ import annotations

from itertools import combinations

import pytest

from sos.drive.engine import Position
from sos.erasure import protocol
from sos.erasure.protocol import LastGroup, Report, Verdict, elect, judge, last_common, readable

GEOMETRIES = [(1, 0)] + [(n - m, m) for n in range(2, 17) for m in range(n // 2 + 1)]


@pytest.mark.parametrize(("k", "m"), GEOMETRIES)
def test_quorums_meet(k: int, m: int) -> None:
    """Two write quorums share a drive, and a stable quorum meets each write quorum."""
    n, quorum, stable = k + m, protocol.write_quorum(k, m), protocol.stable_quorum(k, m)
    assert 2 * quorum > n and quorum + stable > n
    assert k <= quorum <= n and stable <= quorum
    if n <= 8:
        for writers in combinations(range(n), quorum):
            assert all(set(writers) & set(others) for others in combinations(range(n), stable))


@pytest.mark.parametrize(
    ("k", "m", "quorum"), [(1, 0, 1), (1, 1, 2), (2, 1, 2), (2, 2, 3), (4, 2, 4), (4, 4, 5), (12, 4, 12)]
)
def test_write_quorum(k: int, m: int, quorum: int) -> None:
    assert protocol.write_quorum(k, m) == quorum


@pytest.mark.parametrize(
    ("sent", "accepted", "failed", "late", "hopeless", "verdict"),
    [
        (4, 4, 0, False, False, Verdict.DONE),
        (4, 3, 0, False, False, Verdict.WAIT),
        (4, 3, 0, True, False, Verdict.DONE),
        (4, 3, 1, False, False, Verdict.DONE),
        (4, 2, 0, True, False, Verdict.WAIT),
        (4, 2, 0, True, True, Verdict.LOST),
        (4, 2, 2, False, False, Verdict.LOST),
        (4, 2, 1, False, False, Verdict.WAIT),
        (3, 0, 3, False, False, Verdict.LOST),
    ],
)
def test_the_done_rule(sent: int, accepted: int, failed: int, late: bool, hopeless: bool, verdict: Verdict) -> None:
    assert judge(sent, accepted, failed, 3, late, hopeless) is verdict


def said(drive: int, last: tuple[int, int], voting: bool = True, syncing: bool = False, promised: int = 1) -> Report:
    return Report(drive, promised, Position(*last), voting, syncing)


def test_the_authority_is_the_newest_epoch_and_not_the_longest_log() -> None:
    chosen = elect([said(0, (1, 90)), said(1, (2, 10)), said(2, (2, 9))], 3)
    assert chosen is not None and chosen.drive == 1


def test_a_drive_without_a_vote_makes_no_quorum() -> None:
    assert elect([said(0, (1, 5)), said(1, (1, 5)), said(2, (9, 9), voting=False)], 3) is None


def test_a_syncing_drive_counts_for_the_promise_and_never_leads() -> None:
    chosen = elect([said(0, (1, 5)), said(1, (1, 6)), said(2, (9, 9), syncing=True)], 3)
    assert chosen is not None and chosen.drive == 1
    assert elect([said(i, (1, 5), syncing=True) for i in range(3)], 3) is None


def cut_off(drive: int, before: int, last: int, sent: int) -> Report:
    """A drive whose position came with a group of epoch 1."""
    group = LastGroup(Position(1, before), Position(1, last), sent)
    return said(drive, (1, last))._replace(group=group)


@pytest.mark.parametrize(
    ("holders", "others", "sent", "kept"),
    [
        (1, 3, 0b1111, False),
        (2, 2, 0b1111, False),
        (3, 1, 0b1111, True),
        (2, 1, 0b1111, True),
        (2, 1, 0b0111, False),
        (1, 2, 0b1111, False),
    ],
    ids=["one has it", "two", "three", "two and one unheard", "two, the unheard one never got it", "one, one unheard"],
)
def test_the_last_group_is_kept_where_it_may_have_been_acknowledged(
    holders: int, others: int, sent: int, kept: bool
) -> None:
    reports = [cut_off(drive, 5, 8, sent) for drive in range(holders)]
    reports += [cut_off(holders + i, 3, 5, 0b1111) for i in range(others)]
    chosen = elect(reports, 3)
    assert chosen is not None and chosen.last == Position(1, 8 if kept else 5)


@pytest.mark.parametrize(("holders", "heard", "kept"), [(9, 12, False), (10, 12, True), (9, 11, True), (8, 9, True)])
def test_a_group_that_needs_more_than_the_quorum_is_kept_only_where_so_many_can_hold_it(
    holders: int, heard: int, kept: bool
) -> None:
    """8 + 4 drives, Wq 8, and a payload of a class with 10 data shards."""
    group = LastGroup(Position(1, 5), Position(1, 8), 0xFFF, needed=10)
    reports = [said(drive, (1, 8))._replace(group=group) for drive in range(holders)]
    reports += [cut_off(drive, 3, 5, 0xFFF) for drive in range(holders, heard)]
    chosen = elect(reports, 8)
    assert chosen is not None and chosen.last == Position(1, 8 if kept else 5)


def test_a_group_that_needs_more_is_readable_only_on_so_many() -> None:
    group = LastGroup(Position(1, 5), Position(1, 8), 0xFFF, needed=10)
    reports = [said(drive, (1, 8))._replace(group=group) for drive in range(10)]
    assert readable(reports[:9], 8) is None
    assert readable(reports, 8) == (Position(1, 8), list(range(10)), 10)


def test_a_group_without_notes_is_kept() -> None:
    reports = [cut_off(0, 5, 8, 0b1111), said(1, (1, 8)), cut_off(2, 3, 5, 0b1111), said(3, (1, 5))]
    chosen = elect(reports, 3)
    assert chosen is not None and chosen.last == Position(1, 8)


def test_a_group_stays_where_nobody_is_at_the_position_before_it() -> None:
    chosen = elect([cut_off(0, 5, 8, 0b0001), said(1, (1, 3)), said(2, (1, 3))], 3)
    assert chosen is not None and chosen.last == Position(1, 8)


def test_an_epoch_is_above_everything_seen() -> None:
    assert protocol.next_epoch([said(0, (3, 5), promised=7), said(1, (8, 1), promised=2)], known=4) == 9
    assert protocol.next_epoch([], known=4) == 5


def test_readable_without_a_quorum_is_what_enough_drives_hold() -> None:
    assert readable([said(0, (1, 5)), said(3, (1, 5))], 2) == (Position(1, 5), [0, 3], 2)
    assert readable([said(0, (1, 6)), said(3, (1, 5))], 2) is None
    assert readable([said(0, (1, 5)), said(3, (1, 5), syncing=True)], 2) is None
    assert readable([said(0, (0, 0)), said(1, (0, 0))], 2) is None


@pytest.mark.parametrize(
    ("mine", "theirs", "mine_first", "theirs_first", "common"),
    [
        ([1, 1, 1], [1, 1, 1], 1, 1, (1, 3)),
        ([1, 1], [1, 1, 1, 2], 1, 1, (1, 2)),
        ([1, 1, 1, 1], [1, 1, 2], 1, 1, (1, 2)),
        ([1, 1, 3], [2, 2, 2], 1, 1, (0, 0)),
        ([], [1, 1], 1, 1, (0, 0)),
        ([], [1, 1, 1], 1, 2, None),
        ([1, 1], [1, 1, 1, 1], 1, 3, None),
        ([1, 1, 1], [1, 1, 1, 1], 1, 3, (1, 3)),
        ([1, 1, 3], [1, 1, 2, 2], 3, 1, None),
    ],
)
def test_the_last_common_operation(
    mine: list[int], theirs: list[int], mine_first: int, theirs_first: int, common: tuple[int, int] | None
) -> None:
    """Logs are given as the epoch of each sequence; entries below ``first`` are trimmed."""

    def epochs(seq: int) -> tuple[int, int]:
        assert seq >= mine_first and seq >= theirs_first, "a trimmed entry was asked for"
        return mine[seq - 1], theirs[seq - 1]

    ends = [Position(log[-1], len(log)) if log else Position(0, 0) for log in (mine, theirs)]
    assert last_common(ends[0], mine_first, ends[1], theirs_first, epochs) == common


def test_the_log_keeps_what_a_drive_lacks_up_to_a_bound() -> None:
    assert protocol.trim_to(100, [], first=1, keep=20, most=60, batch=1000) == 80
    assert protocol.trim_to(100, [50], first=1, keep=20, most=60, batch=1000) == 50
    assert protocol.trim_to(100, [0], first=1, keep=20, most=60, batch=1000) == 40
    assert protocol.trim_to(100, [], first=1, keep=20, most=60, batch=10) == 10
    assert protocol.trim_to(10, [], first=1, keep=20, most=60, batch=10) == 0
    assert protocol.trim_to(100, [], first=90, keep=20, most=60, batch=10) == 89


def test_a_lone_slow_group_is_waited_for() -> None:
    assert protocol.deadline_ns(3_000_000, late_lately=False) == protocol.DEADLINE_FLOOR_NS
    assert protocol.deadline_ns(3_000_000, late_lately=True) == protocol.DEADLINE_LATE_NS
    assert protocol.deadline_ns(900_000_000, late_lately=True) == 3_600_000_000
