"""Background work of one worker, paced so that an idle server does nothing."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import Executor
from contextlib import suppress

from ..base.pages import GEN_BUCKETS, PULSE_PID, Pages
from ..domain.errors import StoreError
from ..erasure.heal import Heal
from ..erasure.reclaim import Reclaim
from ..erasure.set import ErasureSet
from ..erasure.sweep import Sweep, dead_volumes
from ..mesh.client import MeshClient, PeerFailed, PeerLost
from ..meta.proposals import DropExtents
from .submit import TOPIC_FAULT, TOPIC_SWEEP, Fault, SweepCall, encode

log = logging.getLogger("sos.worker.jobs")

#: Between two looks whether a set has changed.
LOOK_S = 15.0
#: Between two looks whether space runs out, while a set changes.
SPACE_LOOK_S = 1.0
#: Between two looks whether a drive left or is back; a few comparisons.
DRIVES_LOOK_S = 0.25
#: What a worker that died had proposed is decided by then.
SWEEP_AFTER_S = 60.0
SWEEP_S_MAX = 3600.0
#: For the drives to list their volumes when a worker starts.
LIST_S_MAX = 5.0
FAULT_S_MAX = 5.0
VOLUME_BYTES = 1 << 30


class Jobs:
    """Runs the background steps of a worker.

    :param owned: numbers of the sets that this worker owns
    :param owners: the peer that owns each set
    :param looks: called often: they watch the drives
    :param heals: of the owned sets
    :param reader_check: frees the snapshots of dead workers on the owned sets' drives
    :param end_deletions: of buckets, that were cut off; where this worker owns set 0
    :param others: what else runs until it is cancelled, and paces itself
    """

    def __init__(
        self,
        sets: Sequence[ErasureSet],
        owned: Sequence[int],
        owners: Sequence[MeshClient],
        pages: Pages,
        executor: Executor,
        slot: int,
        looks: Sequence[Callable[[], None]],
        heals: Sequence[Heal],
        reader_check: Callable[[], None],
        end_deletions: Callable[[], Awaitable[None]] | None = None,
        others: Sequence[Callable[[], Coroutine[None, None, None]]] = (),
    ) -> None:
        self._others = others
        self._end_deletions = end_deletions
        self._sets = sets
        self._owners = owners
        self._executor = executor
        self._slot = slot
        self._pages = pages
        self._looks, self._heals = looks, heals
        self._reader_check = reader_check
        self._reclaims = [(sets[number], Reclaim(sets[number].view, sets[number].submit, pages, executor)) for number in owned]
        self._sweeps = {number: Sweep(sets[number].view, VOLUME_BYTES) for number in owned}
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Before the worker serves: what is there now was written by its predecessors."""
        loop = asyncio.get_running_loop()
        for one in self._sets:
            looking = loop.run_in_executor(self._executor, dead_volumes, one.view.engines, self._slot, self._pages.workers)
            # without a drive that hangs; its volumes are looked at by the next worker of the slot
            with suppress(TimeoutError):
                if dead := await asyncio.wait_for(asyncio.shield(looking), LIST_S_MAX):
                    self._run(self._ask_sweep(one.number, sorted(dead)))
        for one, reclaim in self._reclaims:
            self._run(self._reclaim(one, reclaim))
        self._run(self._watch_workers())
        self._run(self._watch_drives())
        if self._end_deletions is not None:
            self._run(self._watch_buckets(self._end_deletions))
        for heal in self._heals:
            self._run(heal.run())
        for other in self._others:
            self._run(other())

    def _run(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _reclaim(self, one: ErasureSet, reclaim: Reclaim) -> None:
        """Give freed space back after every time in which the set changed, until nothing is left to give; without delay
        where space is short. Passes go over the whole table, so they take a fifth of the time at most."""
        clock = asyncio.get_running_loop().time
        seen, rest_until_s, next_s = -1, 0.0, clock() + LOOK_S
        while True:
            await asyncio.sleep(SPACE_LOOK_S)
            now = one.view.state().committed
            if now == seen:
                continue
            try:
                await reclaim.look()
                began_s = clock()
                if began_s < (rest_until_s if reclaim.short else next_s):
                    continue
                more = True
                while more:
                    more = await reclaim.step(os.urandom(16))
            except StoreError as error:
                log.warning("set %d: space is given back later: %s %s", one.number, error.name, error)
                next_s = rest_until_s = clock() + LOOK_S
                continue
            next_s, rest_until_s = clock() + LOOK_S, clock() + 4 * (clock() - began_s)
            if not reclaim.pending:
                seen = one.view.state().committed

    async def _watch_buckets(self, end_deletions: Callable[[], Awaitable[None]]) -> None:
        """At the start, and whenever a bucket has changed."""
        seen = -1
        while True:
            now = self._pages.generation(GEN_BUCKETS)
            if now != seen:
                try:
                    await end_deletions()
                    seen = now
                except StoreError as error:
                    log.warning("deletions of buckets are ended later: %s %s", error.name, error)
            await asyncio.sleep(LOOK_S)

    async def _watch_workers(self) -> None:
        """After a worker was replaced: free its snapshots, which would keep index pages from being used again."""
        seen: list[int] = []
        while True:
            now = [self._pages.pulse(worker, PULSE_PID) for worker in range(self._pages.workers)]
            if now != seen:
                seen = now
                await asyncio.get_running_loop().run_in_executor(self._executor, self._reader_check)
            await asyncio.sleep(LOOK_S)

    async def _watch_drives(self) -> None:
        """Close here what its owner, in another worker, has given up, and open what it has brought back; as an owner, let
        go of what the supervisor has taken out."""
        while True:
            await asyncio.sleep(DRIVES_LOOK_S)
            for look in self._looks:
                look()

    async def _ask_sweep(self, number: int, volumes: list[int]) -> None:
        """Have the owner of a set look for leaks in volumes that nobody appends to."""
        await asyncio.sleep(SWEEP_AFTER_S)
        if number in self._sweeps:
            await self.sweep(number, volumes)
            return
        # an owner that is replaced just now sweeps less until our next start, nothing worse
        with suppress(PeerLost, PeerFailed, TimeoutError):
            await self._owners[number].call(TOPIC_SWEEP, encode(SweepCall(number, volumes)), SWEEP_S_MAX)

    async def sweep(self, number: int, volumes: list[int]) -> None:
        """Give back what no record refers to in these volumes of an owned set, once everything is decided that was
        proposed before: a proposal of a dead worker may have waited for a recovery all the time.
        """
        sweep = self._sweeps[number]
        try:
            await self._sets[number].submit([DropExtents(request_id=os.urandom(16), bucket_id=0, keys=())])
            freed = await asyncio.get_running_loop().run_in_executor(self._executor, sweep.run, volumes)
        except StoreError as error:
            log.warning("set %d: not swept: %s %s", number, error.name, error)
            return
        if freed:
            log.info("set %d: %d bytes of unfinished uploads given back", number, freed)

    def tell_fault(self, fault: Fault) -> None:
        """Tell the owner of a set that a drive fails here."""
        self._run(self._tell(self._owners[fault.set], encode(fault)))

    @staticmethod
    async def _tell(owner: MeshClient, payload: bytes) -> None:
        # an owner that cannot be told has just been replaced, and finds out by itself
        with suppress(PeerLost, PeerFailed, TimeoutError):
            await owner.call(TOPIC_FAULT, payload, FAULT_S_MAX)
