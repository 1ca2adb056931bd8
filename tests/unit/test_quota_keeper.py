"""The keeper of quotas over sets in memory: random writers, lost ones, and successors never exceed a quota and leave
nothing of it unusable."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import pytest

from sos.base.pages import GEN_BUCKETS, GEN_IAM, PULSE_INCARNATION, QUOTA_TERM, Pages
from sos.domain.errors import Busy, QuotaExceeded, WriteQuorumLost
from sos.meta import keys
from sos.meta.proposals import AnyProposal, Flush, Outcome, Refused
from sos.meta.records import CounterRecord
from sos.meta.rows import seal
from sos.services import quota_keeper
from sos.services.quota_keeper import Ask, Grant, Keeper, Limit
from tests.kit.dict_view import DictView

BUCKET, QUOTA = 7, 1000
ROW = keys.counter_row(BUCKET, "STANDARD")


class MemorySet:
    """A set that holds bytes of one bucket. Proposals wait in ``queue`` while it is ``slow``."""

    def __init__(self, number: int, pages: Pages) -> None:
        self.number, self.pages = number, pages
        self.size = 0
        self.lost = False
        self.flushes = 0
        self.queue: list[tuple[Grant, int]] = []
        self.unpublished = 0

    def snapshot_now(self) -> DictView:
        view = DictView()
        view.tables["counters"] = {ROW: seal(ROW, CounterRecord(size=self.size))}
        view._order["counters"] = [ROW]
        return view

    async def snapshot(self) -> DictView:
        return self.snapshot_now()

    def write(self, grant: Grant, size: int) -> bool:
        """Decided as an owner does."""
        if grant.term != self.pages.generation(QUOTA_TERM):
            return False
        self.size += size
        return True

    async def submit(self, proposals: Sequence[AnyProposal]) -> list[Outcome]:
        assert isinstance(proposals[0], Flush)
        await asyncio.sleep(0)
        if self.lost:
            raise WriteQuorumLost(set=self.number)
        self.flushes += 1
        for grant, size in self.queue:
            self.write(grant, size)
        self.queue = []
        self.size += self.unpublished
        self.unpublished = 0
        return [Refused("ConditionalConflict")]


class OneLimit:
    def __init__(self, quota: int = QUOTA) -> None:
        self.quota = quota
        self.word = GEN_BUCKETS

    async def prepare(self) -> None:
        await asyncio.sleep(0)

    def of(self, bucket_id: int) -> tuple[Limit, ...]:
        return (Limit(str(bucket_id), self.quota, (bucket_id,), self.word),) if self.quota else ()


class Scene:
    def __init__(self, sets: int = 4) -> None:
        self.pages = Pages(2, sets)
        self.sets = [MemorySet(number, self.pages) for number in range(sets)]
        self.limits = OneLimit()
        self.now_s = 0.0
        self.keeper = self.successor()

    def successor(self) -> Keeper:
        self.keeper = Keeper(self.sets, self.limits, self.pages, lambda: self.now_s)  # type: ignore[arg-type]
        return self.keeper

    @property
    def held(self) -> int:
        return sum(one.size for one in self.sets)

    async def ask(self, size: int, number: int = 0, slot: int = 1) -> Grant:
        incarnation = self.pages.pulse(slot, PULSE_INCARNATION)
        return await self.keeper.ask(Ask(BUCKET, number, size, slot, incarnation))

    async def put(self, size: int, number: int) -> bool:
        """A whole write; whether it was taken."""
        while True:
            try:
                grant = await self.ask(size, number)
            except QuotaExceeded:
                return False
            await asyncio.sleep(0)
            taken = self.sets[number].write(grant, size)
            await asyncio.sleep(0)
            self.keeper.settle(grant)
            if taken:
                return True

    async def fill(self) -> None:
        """The rest of the quota, to the last byte."""
        assert await self.put(QUOTA - self.held, 0) is True
        assert await self.put(1, 0) is False
        assert self.held == QUOTA


def test_random_writers_never_exceed_and_the_last_byte_is_usable() -> None:
    """R16."""

    async def run(seed: int) -> None:
        scene, dice = Scene(), random.Random(seed)

        async def writer() -> None:
            while await scene.put(dice.randint(1, 60), dice.randrange(4)):
                assert scene.held <= QUOTA

        await asyncio.gather(*(writer() for _ in range(16)))
        assert QUOTA - 60 <= scene.held <= QUOTA
        await scene.fill()
        assert scene.keeper.unsettled == 0

    for seed in range(20):
        asyncio.run(run(seed))


def test_who_fits_only_without_the_grants_of_others_waits_for_their_outcome() -> None:
    async def run() -> None:
        scene = Scene()
        first = await scene.ask(600)
        second = asyncio.create_task(scene.ask(600))
        await asyncio.sleep(0.02)
        assert not second.done()
        scene.keeper.settle(first)  # it was refused: nothing was written
        assert (await second).number > first.number
        with pytest.raises(QuotaExceeded):
            await scene.ask(1001)

    asyncio.run(run())


def test_who_waits_is_refused_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        scene = Scene()
        await scene.ask(600)
        monkeypatch.setattr(quota_keeper, "WAIT_S_MAX", 0.0)
        with pytest.raises(QuotaExceeded):
            await scene.ask(600)

    asyncio.run(run())


def test_the_grant_of_a_dead_writer_counts_until_its_set_is_flushed() -> None:
    """Q3: what it had proposed may still be written; then it is seen, and cannot be written any more."""

    async def run(proposed: bool) -> None:
        scene = Scene()
        grant = await scene.ask(600, number=2)
        other = await scene.ask(100, number=1, slot=0)
        if proposed:
            scene.sets[2].queue.append((grant, 600))
        flushes = scene.sets[2].flushes
        scene.pages.set_pulse(1, PULSE_INCARNATION, 9)
        lively = await scene.ask(300, number=3, slot=0)
        assert lively.term > grant.term
        await asyncio.sleep(0.01)
        assert scene.sets[2].flushes == flushes + 1
        assert scene.sets[2].write(grant, 600) is scene.sets[1].write(other, 100) is False
        scene.keeper.settle(lively)
        # a void grant was in the queue of its set: the flush had it refused
        assert scene.held == 0
        await scene.fill()

    for proposed in (False, True):
        asyncio.run(run(proposed))


def test_a_grant_of_unknown_outcome_counts_while_its_set_cannot_tell() -> None:
    async def run() -> None:
        scene = Scene()
        await scene.ask(600, number=2)
        scene.sets[2].lost = True
        scene.now_s = quota_keeper.UNSETTLED_S_MAX + 1
        waiting = asyncio.create_task(scene.ask(600))
        await asyncio.sleep(0.2)
        assert not waiting.done()
        scene.sets[2].lost = False
        assert (await waiting).number

    asyncio.run(run())


def test_a_new_keeper_grants_nothing_before_every_set_is_flushed() -> None:
    """Q4."""

    async def run() -> None:
        scene = Scene()
        grant = await scene.ask(600, number=2)
        scene.sets[2].write(grant, 600)  # decided before the keeper died
        scene.successor()
        assert scene.sets[2].write(grant, 600) is False
        scene.sets[3].lost = True
        with pytest.raises((Busy, WriteQuorumLost)):
            await scene.ask(1)
        scene.sets[3].lost = False
        with pytest.raises(QuotaExceeded):
            await scene.ask(401)
        await scene.fill()
        assert min(one.flushes for one in scene.sets) >= 1

    asyncio.run(run())


def test_what_was_decided_before_a_quota_was_set_counts() -> None:
    """Q5: also where the same quota was taken away and set again."""

    async def run() -> None:
        scene = Scene()
        for word in (GEN_BUCKETS, GEN_IAM):
            scene.sets[1].unpublished = 300
            scene.pages.bump(word)
            scene.limits.word = word
            with pytest.raises(QuotaExceeded):
                await scene.ask(QUOTA - scene.held - 299)
            assert scene.sets[1].unpublished == 0
        flushes = scene.sets[0].flushes
        assert await scene.put(1, 0) and scene.sets[0].flushes == flushes  # once is enough
        await scene.fill()

    asyncio.run(run())


def test_without_a_quota_nothing_is_kept() -> None:
    async def run() -> None:
        scene = Scene()
        scene.limits.quota = 0
        assert await scene.ask(10**15) == Grant(scene.keeper.term, 0)
        assert scene.keeper.unsettled == 0

    asyncio.run(run())
