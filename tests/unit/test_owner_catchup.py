"""A drive that missed writes is equal to the others before it counts again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from sos.domain.conditions import Conditions
from sos.domain.errors import DriveFault
from sos.drive.engine import Group
from sos.erasure import catchup
from sos.erasure.keeper import _committed
from sos.erasure.limits import Limits
from sos.erasure.owner import Owner
from sos.meta.proposals import Refused
from tests.kit.memory_engine import MemoryDrive, State
from tests.kit.owned_set import OwnedSet, all_done, until

ALL = 0b1111


@asynccontextmanager
async def traffic(rig: OwnedSet, owner: Owner) -> AsyncIterator[list[int]]:
    """Puts, overwrites and deletes of a few keys, until the block ends; every one must be acknowledged."""
    count, ending = [0], False

    async def work(worker: int) -> None:
        while not ending:
            key = f"k{rig.random.randrange(12)}"
            proposal = rig.delete(key) if rig.random.random() < 0.3 else rig.put(key, str(count[0]))
            assert all_done(await owner.submit([proposal]))
            count[0] += 1

    tasks = [asyncio.create_task(work(i)) for i in range(4)]
    try:
        yield count
    finally:
        ending = True
        await asyncio.gather(*tasks)


async def some(count: list[int], operations: int = 30) -> None:
    target = count[0] + operations
    await until(lambda: count[0] >= target)


@pytest.mark.parametrize("drive", range(4))
def test_a_drive_leaves_and_returns_under_traffic(drive: int) -> None:
    async def run() -> None:
        rig = OwnedSet(seed=drive)
        async with rig.owner() as owner:
            async with traffic(rig, owner) as count:
                await some(count)
                rig.engines[drive].die()
                await until(lambda: rig.state().mask == ALL & ~(1 << drive))
                await some(count, 100)
                rig.engines[drive].heal()
                await until(lambda: rig.state().mask == ALL)
                await some(count)
            assert rig.state().mask == ALL
        rig.assert_whole()
        assert drive in rig.rebuilt

    asyncio.run(run())


def test_a_long_gap_is_closed_in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catchup, "JOIN_OPERATIONS_MAX", 20)
    monkeypatch.setattr(catchup, "STEP_OPERATIONS", 16)

    async def run() -> None:
        rig = OwnedSet()
        async with rig.owner() as owner:
            await gap(rig, owner, 150)
            applied = rig.engines[1].calls.count("apply")
            rig.engines[1].heal()
            async with traffic(rig, owner) as count:
                await until(lambda: rig.state().mask == ALL)
                await some(count)
            assert rig.engines[1].calls.count("apply") - applied > 8
        rig.assert_whole()

    asyncio.run(run())


async def gap(rig: OwnedSet, owner: Owner, operations: int) -> None:
    """Drive 1 leaves, and misses so many."""
    rig.engines[1].die()
    for i in range(operations):
        await owner.submit([rig.delete(f"k{i - 40}") if i % 3 == 0 else rig.put(f"k{i % 70}", str(i))])


def test_a_log_that_is_too_short_means_a_whole_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catchup, "STEP_ROWS", 16)

    async def run() -> None:
        rig = OwnedSet(limits=Limits(retry_s_min=0.01, log_entries_min=10, log_entries_max=40, repeat_s=0.0))
        async with rig.owner() as owner:
            await gap(rig, owner, 150)
            rig.engines[1].heal()
            async with traffic(rig, owner) as count:
                await until(lambda: rig.state().mask == ALL)
                await some(count)
        rig.assert_whole()

    asyncio.run(run())


def test_a_copy_ends_although_the_log_is_trimmed_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixty operations go by in each step of it, and the log never holds more than 320."""
    monkeypatch.setattr(catchup, "STEP_ROWS", 16)

    async def run() -> None:
        rig = OwnedSet(limits=Limits(retry_s_min=0.01, log_entries_min=10, log_entries_max=40, repeat_s=0.0))
        async with rig.owner() as owner:
            await gap(rig, owner, 150)
            rig.engines[1].heal()
            async with traffic(rig, owner) as count:

                def slow(call: Callable[[], None], args: tuple[Group, ...]) -> None:
                    target = count[0] + 60
                    # not so the last step, which holds all others up
                    while args[0].last == (0, 0) and count[0] < target:
                        time.sleep(0.0005)
                    call()

                rig.engines[1]._arm("apply", slow, 1, True)
                began = count[0]
                await until(lambda: rig.state().mask == ALL)
                assert count[0] - began > 1_000
                await some(count)
        rig.assert_whole()

    asyncio.run(run())


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("stop_at", [1, 2, 5, 9])
def test_an_interrupted_copy_goes_on(monkeypatch: pytest.MonkeyPatch, stop_at: int, whole: bool) -> None:
    """The drive fails again in the middle, the owner dies too: the mixture on the drive is never taken for a state."""
    monkeypatch.setattr(catchup, "JOIN_OPERATIONS_MAX", 20)
    monkeypatch.setattr(catchup, "STEP_OPERATIONS", 16)
    monkeypatch.setattr(catchup, "STEP_ROWS", 16)
    log = (10, 40) if whole else (1000, 2000)
    limits = Limits(retry_s_min=0.01, log_entries_min=log[0], log_entries_max=log[1], repeat_s=0.0)

    async def run() -> None:
        rig = OwnedSet(limits=limits)
        async with rig.owner() as owner:
            await gap(rig, owner, 150)
            engine = rig.engines[1]
            engine.heal()
            fault = engine.fail("apply", at=stop_at, forever=True)
            await until(lambda: fault.hits > 0)
        if stop_at > 1:
            assert rig.drives[1].state.last == (0, 0) and b"syncing" in rig.drives[1].state.tables["local"]
        async with rig.owner(without=(0,)) as owner:
            # a drive that is being copied has a voice in the promise, and is never the authority
            assert owner.epoch == 2 or not owner.serving
        async with rig.owner() as owner, traffic(rig, owner) as count:
            await until(lambda: rig.state().mask == ALL)
            await some(count)
        rig.assert_whole()

    asyncio.run(run())


def test_a_blank_drive_is_rebuilt_and_then_votes() -> None:
    """R14: it counts for nothing before."""

    async def run() -> None:
        rig = OwnedSet()
        async with rig.owner() as owner:
            for i in range(40):
                await owner.submit([rig.put(f"k{i}")])
        rig.drives[2] = MemoryDrive("new", voting=False)
        async with rig.owner(without=(0,)) as owner:
            assert not owner.serving, "two voting drives and a blank one are no quorum"
        async with rig.owner() as owner:
            assert owner.serving
            await until(lambda: rig.state().mask == ALL)
            assert rig.drives[2].state.voting
        rig.assert_whole()

    asyncio.run(run())


def test_a_foreign_drive_is_copied_whole() -> None:
    """Its log may name the same operations by chance: nothing that it holds counts."""

    async def run() -> None:
        rig, other = OwnedSet(seed=1), OwnedSet(seed=2)
        for one in (rig, other):
            async with one.owner() as owner:
                for i in range(20):
                    await owner.submit([one.put(f"k{i}", str(one is rig))])
        foreign = other.drives[3].state
        rig.drives[3].state = State(foreign.promised, foreign.last, False, foreign.tables)
        async with rig.owner() as owner:
            await until(lambda: rig.state().mask == ALL)
        rig.assert_whole()
        assert rig.etag("k3", 3) == "True"

    asyncio.run(run())


def test_a_bad_row_is_found_and_the_drive_repaired() -> None:
    async def run() -> None:
        rig = OwnedSet()
        async with rig.owner() as owner:
            await owner.submit([rig.put("a", "1"), rig.put("b", "1")])
            state = rig.drives[0].state
            (key, value), *_ = state.tables["current"].items()
            bad = {**state.tables, "current": {**state.tables["current"], key: value[:-1] + b"?"}}
            rig.drives[0].state = State(state.promised, state.last, state.voting, bad)
            # refused, so that the log does not name the row: only a whole copy finds it
            (outcome,) = await owner.submit([rig.put("a", "2", Conditions(if_none_match=("*",)))])
            assert isinstance(outcome, Refused) and outcome.name == "PreconditionFailed"
            assert rig.state().mask == ALL & ~1
            await until(lambda: rig.state().mask == ALL)
        rig.assert_whole()

    asyncio.run(run())


def test_a_failed_drive_comes_back_by_being_opened_anew() -> None:
    async def run() -> None:
        rig = OwnedSet()
        spare = []

        def reopen(drive: int):  # type: ignore[no-untyped-def]
            spare.append(drive)
            return rig.drives[drive].open()

        async with rig.owner(reopen=reopen) as owner:
            rig.engines[1].die()
            await owner.submit([rig.put("a")])
            await until(lambda: rig.state().mask == ALL)
            assert set(spare) == {1}
        rig.assert_whole()

    asyncio.run(run())


def test_an_absent_drive_joins_when_it_can_be_opened() -> None:
    async def run() -> None:
        rig = OwnedSet()
        there = False

        def reopen(drive: int):  # type: ignore[no-untyped-def]
            if not there:
                raise DriveFault("no device")
            return rig.drives[drive].open()

        async with rig.owner(without=(2,), reopen=reopen) as owner:
            await owner.submit([rig.put("a")])
            assert rig.state().mask == ALL & ~0b100
            there = True
            await until(lambda: rig.state().mask == ALL)
        rig.assert_whole()

    asyncio.run(run())


def test_a_copy_never_takes_rows_of_a_group_that_is_not_committed() -> None:
    """U3: such a row could be undone, and no log would say so."""

    async def run() -> None:
        rig = OwnedSet()
        async with rig.owner() as owner:
            releases = [rig.engines[drive].hang("apply") for drive in (1, 2)]
            before = owner.last
            waiting = asyncio.ensure_future(owner.submit([rig.put("a")]))
            await until(lambda: rig.drives[0].state.last > before)
            assert _committed(owner.members[0], owner, owner.epoch) is None
            for release in releases:
                release.set()
            assert all_done(await waiting)
            snapshot = _committed(owner.members[0], owner, owner.epoch)
            assert snapshot is not None and snapshot.last == owner.last
            snapshot.close()

    asyncio.run(run())
