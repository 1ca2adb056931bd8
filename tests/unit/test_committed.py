"""What an owner remembers of committed requests: all that is young, in bounded memory."""

from __future__ import annotations

import asyncio
import os
import random

import pytest

from sos.erasure import owner as owner_module
from sos.erasure.committed import Committed
from sos.erasure.limits import Limits
from sos.meta.proposals import Refused
from tests.kit.owned_set import OwnedSet, all_done


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_nothing_young_is_forgotten_and_what_is_old_goes() -> None:
    clock, dice = Clock(), random.Random(5)
    known = Committed(30.0, 1_000, room=8, places=64, clock=clock)
    added: list[tuple[bytes, float]] = []
    for seq in range(1, 4_000):
        clock.now_s += dice.random() / 10
        added.append((os.urandom(16), clock.now_s))
        known.add(added[-1][0], seq)
        known.expire()
        if seq % 50 == 0:
            for at, (request_id, when_s) in enumerate(added, 1):
                if when_s > clock.now_s - 30.0:
                    assert known.find(request_id) == [at]
                    assert known.first is not None and known.first <= at
    assert known.find(os.urandom(16)) == []
    # of 3,999 ids over 200 s those of the last 30 and what shares a segment with them
    assert known.first is not None and known.first > 3_000
    clock.now_s += 31
    known.expire()
    assert known.first is None and known.find(added[-1][0]) == []


def test_ids_that_begin_alike_are_both_candidates() -> None:
    known = Committed(30.0, 2, room=8, places=64)
    known.add(b"12345678abcdefgh", 7)
    known.add(b"12345678ABCDEFGH", 9)
    known.add(bytes(16), 11)
    assert known.find(b"12345678ABCDEFGH") == [7, 9] and known.find(bytes(16)) == [11]


def test_it_says_when_something_young_would_have_to_go() -> None:
    clock = Clock()
    known = Committed(30.0, 2, room=8, places=64, clock=clock)
    seq = 0
    while not known.full:
        seq += 1
        known.add(os.urandom(16), seq)
    assert seq == known.most + 1 == 2 * 48 - 8 + 1
    for _ in range(7):  # those of the group that was under way
        seq += 1
        known.add(os.urandom(16), seq)
    clock.now_s += 31
    assert not known.full


def small(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    def make(age_s: float, segments_max: int, room: int) -> Committed:
        return Committed(age_s, segments_max, room, places=64, clock=clock)

    monkeypatch.setattr(owner_module, "Committed", make)


def test_a_request_of_some_seconds_ago_gets_its_first_outcome_however_many_came_since(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """R13: the log keeps it too, though it may be longer than it should then."""
    small(monkeypatch, Clock())
    limits = Limits(log_entries_min=10, log_entries_max=40, log_age_ns=0, group_proposals_max=8)

    async def run() -> None:
        rig = OwnedSet(limits=limits)
        async with rig.owner() as owner:
            first = rig.put("first")
            outcome = await owner.submit([first])
            for i in range(50):
                await owner.submit([rig.put(f"k{i}-{j}") for j in range(8)])
            assert await owner.submit([first]) == outcome
        # and from the next owner, who reads what is young by its clock
        async with rig.owner() as owner:
            assert await owner.submit([first]) == outcome

    asyncio.run(run())


def test_new_work_is_refused_before_something_young_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    small(monkeypatch, clock)
    limits = Limits(group_proposals_max=8, repeat_segments_max=2, log_entries_min=10, log_entries_max=40)

    async def run() -> None:
        rig = OwnedSet(limits=limits)
        async with rig.owner() as owner:
            first = rig.put("first")
            known = await owner.submit([first])
            answers = [(await owner.submit([rig.put(f"k{i}")]))[0] for i in range(100)]
            refused = [answer for answer in answers if isinstance(answer, Refused)]
            assert {answer.name for answer in refused} == {"Busy"} and 5 < len(refused) < 20
            assert await owner.submit([first]) == known
            clock.now_s += limits.repeat_s + 1
            assert all_done(await owner.submit([rig.put("later")]))

    asyncio.run(run())
