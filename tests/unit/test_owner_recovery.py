"""What survives an owner: crashes at every call, minorities, fences, quorums lost and found."""

from __future__ import annotations

import asyncio
import random

import pytest

from sos.domain.errors import DriveFault, DriveFenced, StoreError, WriteQuorumLost
from sos.drive.engine import Group, Position, Row
from sos.meta.proposals import Done
from tests.kit.owned_set import OwnedSet, abandon, all_done, until


def test_a_fresh_set_is_served_with_a_barrier() -> None:
    async def run() -> None:
        rig = OwnedSet()
        async with rig.owner() as owner:
            assert owner.serving and rig.state() == (1, 1, 0b1111)
        async with rig.owner() as owner:
            assert rig.state() == (2, 2, 0b1111)
        rig.assert_whole()

    asyncio.run(run())


@pytest.mark.parametrize(("k", "m", "gone", "served"), [(2, 2, 1, True), (2, 2, 2, False), (1, 0, 0, True), (2, 1, 1, True), (1, 1, 1, False), (4, 2, 2, True)])
def test_a_write_quorum_is_needed_to_take_over(k: int, m: int, gone: int, served: bool) -> None:
    async def run() -> None:
        rig = OwnedSet(k, m)
        async with rig.owner(without=range(gone)) as owner:
            assert owner.serving is served
            if served:
                assert all_done(await owner.submit([rig.put("a")]))
            else:
                with pytest.raises(WriteQuorumLost):
                    await owner.submit([rig.put("a")])

    asyncio.run(run())


async def _cut_off(rig: OwnedSet, holders: set[int]) -> None:
    """A machine that stops when only these drives have the group that replaces "a"."""
    owner = rig.make_owner()
    await owner.start()
    await owner.submit([rig.put("a", "old")])
    for drive in set(range(rig.n)) - holders:
        rig.engines[drive].fail("apply", forever=True)
    for drive in holders:
        rig.engines[drive].fail("apply", at=2, forever=True)
    with pytest.raises(WriteQuorumLost):
        # a suffix longer than what comes in its place
        await owner.submit([rig.put("a", "new"), *(rig.put(f"k{i}") for i in range(5))])
    await abandon(owner)
    assert [rig.etag("a", drive) == "new" for drive in range(rig.n)] == [drive in holders for drive in range(rig.n)]


@pytest.mark.parametrize(
    ("holders", "absent", "expected"),
    [({drive}, set(), "old") for drive in range(4)]
    + [({drive}, {drive}, "old") for drive in range(4)]
    + [({0}, {1}, "old"), ({0, 1}, set(), "old"), ({0, 1}, {0}, "old"), ({0, 1}, {2}, "new")],
)  # fmt: skip
def test_a_commit_on_a_minority_is_completed_or_gone_never_both(
    holders: set[int], absent: set[int], expected: str
) -> None:
    """R04: it is completed, with its payload, where it may have been acknowledged, and else undone for good."""

    async def run() -> None:
        rig = OwnedSet()
        await _cut_off(rig, holders)
        async with rig.owner(without=absent) as owner:
            assert owner.serving
            assert {rig.etag("a", drive) for drive in set(range(4)) - absent} == {expected}
            await owner.submit([rig.put("b")])
        async with rig.owner():  # and with all of them again
            await until(lambda: rig.state().mask == 0b1111)
        rig.assert_whole()
        assert rig.etag("a") == expected

    asyncio.run(run())


def test_what_was_served_without_a_quorum_is_never_undone() -> None:
    """Two of four drives got a group and served it; the others, which did not, come back."""

    async def run() -> None:
        rig = OwnedSet()
        async with rig.owner() as owner:
            await owner.submit([rig.put("a", "old")])
            for engine in rig.engines[:2]:
                engine.die()
            with pytest.raises(WriteQuorumLost):
                await owner.submit([rig.put("a", "new")])
            assert rig.state().mask == 0b1100
        async with rig.owner() as owner:
            assert owner.serving and {rig.etag("a", drive) for drive in range(4)} == {"new"}
        rig.assert_whole()

    asyncio.run(run())


def test_the_old_owner_is_fenced() -> None:
    async def run() -> None:
        rig = OwnedSet()
        old = rig.make_owner()
        await old.start()
        engines = rig.engines
        await abandon(old)
        async with rig.owner() as owner:
            group = Group(old.epoch, old.last, Position(old.epoch, old.last.seq + 1), [Row("sys", b"k", b"v")])
            for engine in engines:
                with pytest.raises(DriveFenced):
                    engine.apply(group)
            assert all_done(await owner.submit([rig.put("a")]))
        rig.assert_whole()

    asyncio.run(run())


def test_a_deposed_owner_acknowledges_nothing() -> None:
    """Two owners by mistake: the promise on the drives decides, not who believes to own the set."""

    async def run() -> None:
        rig = OwnedSet()
        old = rig.make_owner()
        await old.start()
        rig.pages = type(rig.pages)(1, 2)  # the old one publishes on a page of its own
        new = rig.make_owner()
        await new.start()
        old.recover = _never  # type: ignore[method-assign]
        waiting = asyncio.ensure_future(old.submit([rig.put("lost")]))
        assert all_done(await new.submit([rig.put("kept")]))
        await until(lambda: not old.serving)
        assert not waiting.done()
        waiting.cancel()
        await abandon(old)
        await abandon(new)
        assert (rig.etag("lost"), rig.etag("kept")) == (None, "e")

    asyncio.run(run())


async def _never() -> bool:
    return False


def test_a_lost_quorum_is_an_error_and_heals_by_itself() -> None:
    async def run() -> None:
        rig = OwnedSet()
        async with rig.owner() as owner:
            await owner.submit([rig.put("a")])
            for engine in rig.engines[:2]:
                engine.die()
            with pytest.raises(WriteQuorumLost):
                await owner.submit([rig.put("b")])
            with pytest.raises(WriteQuorumLost):
                await owner.submit([rig.put("c")])
            for engine in rig.engines[:2]:
                engine.heal()
            await until(lambda: owner.serving and rig.state().mask == 0b1111)
            assert all_done(await owner.submit([rig.put("d")]))
        rig.assert_whole()

    asyncio.run(run())


def test_reads_go_on_without_a_write_quorum() -> None:
    """Two of four drives die in the middle of a group: the other two stay readable at what they hold."""

    async def run() -> None:
        rig = OwnedSet()
        async with rig.owner() as owner:
            await owner.submit([rig.put("a")])
            for engine in rig.engines[:2]:
                engine.die()
            with pytest.raises(WriteQuorumLost):
                await owner.submit([rig.put("b")])
            state = rig.state()
            assert state.mask == 0b1100
            assert {rig.drives[drive].state.last.seq for drive in (2, 3)} == {state.committed}
        rig.pages = type(rig.pages)(1, 2)
        async with rig.owner(without=(0, 1)) as owner:  # and after a restart
            assert not owner.serving
            assert rig.state().mask == 0b1100 and rig.state().committed == state.committed

    asyncio.run(run())


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_acknowledged_operations_survive_a_crash_at_every_call(seed: int) -> None:
    """R01, R02, R04: all drives stop at the n-th call in all, for every n; then a new owner with a random quorum."""

    async def run(stop_at: int) -> bool:
        rig = OwnedSet(*random.Random(seed).choice([(2, 2), (2, 1), (4, 2)]), seed=seed)
        owner = rig.make_owner()
        countdown = _Countdown(rig, stop_at)
        await owner.start()
        acked: dict[str, int] = {}
        tried = []
        for i in range(6):
            batch = [rig.put(f"k{i}-{j}") for j in range(3)]
            tried.append(batch)
            try:
                outcomes = await owner.submit(batch)
            except StoreError:
                break
            acked |= {f"k{i}-{j}": outcome.seq for j, outcome in enumerate(outcomes) if isinstance(outcome, Done)}
        await abandon(owner)
        gone = rig.random.sample(range(rig.n), rig.n - owner.quorum)
        async with rig.owner(without=gone) as again:
            assert again.serving
            present = next(i for i in range(rig.n) if i not in gone)
            assert all(rig.etag(key, present) == "e" for key in acked)
            for batch in tried:
                there = {rig.etag(proposal.key.decode(), present) for proposal in batch}
                assert len(there) == 1, "half a group"
                again_answered = await again.submit(batch)
                assert all_done(again_answered)
                known = [acked.get(proposal.key.decode()) for proposal in batch]
                assert all(seq in (None, o.seq) for seq, o in zip(known, again_answered, strict=True) if isinstance(o, Done))
        async with rig.owner():
            await until(lambda: rig.state().mask == (1 << rig.n) - 1)
        rig.assert_whole()
        return countdown.left <= 0

    stop_at = 1
    while asyncio.run(run(stop_at)):
        stop_at += 1
    assert stop_at > 50


class _Countdown:
    """All engines of a set fail for good after so many calls in all: the machine stops."""

    def __init__(self, rig: OwnedSet, calls: int) -> None:
        self.left = calls
        for engine in rig.engines:
            engine.fail("*", forever=True).act = self._act  # type: ignore[method-assign]

    def _act(self, call, args):  # type: ignore[no-untyped-def]
        self.left -= 1
        if self.left < 0:
            raise DriveFault("power is off")
        return call()


def test_without_a_quorum_the_drives_that_answer_stay_open() -> None:
    """They are all that readers have left: closing one under them would fail, or end the worker."""

    async def run() -> None:
        rig = OwnedSet()
        async with rig.owner() as owner:
            assert all_done(await owner.submit([rig.put("a")]))
        tried: list[int] = []
        async with rig.owner(without=(0, 1), reopen=tried.append) as owner:
            assert not owner.serving and rig.state().mask == 0b1100
            await until(lambda: len(tried) >= 4)
        assert set(tried) == {0, 1}

    asyncio.run(run())
