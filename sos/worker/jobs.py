"""Background work of one worker, paced so that an idle server does nothing."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from contextlib import suppress

from ..base.pages import Pages
from ..domain.errors import StoreError
from ..erasure.owner import Owner
from ..erasure.reclaim import Reclaim
from ..erasure.set import ErasureSet
from ..mesh.client import MeshClient, PeerFailed, PeerLost
from .submit import TOPIC_FAULT, Fault, encode

log = logging.getLogger("sos.worker.jobs")

#: Between two looks whether a set has changed.
LOOK_S = 15.0
FAULT_S_MAX = 5.0


class Jobs:
    """Runs the background steps of the sets that this worker owns."""

    def __init__(
        self, sets: Sequence[ErasureSet], owners: Mapping[int, Owner], pages: Pages, executor: Executor, slot: int
    ) -> None:
        self._reclaims = [(one, Reclaim(one.view, one.submit, pages, executor)) for one in sets if one.number in owners]
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        for one, reclaim in self._reclaims:
            self._run(self._reclaim(one, reclaim))

    def _run(self, work: object) -> None:
        assert asyncio.iscoroutine(work)
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _reclaim(self, one: ErasureSet, reclaim: Reclaim) -> None:
        """Give freed space back after every time in which the set changed, until nothing is left to give."""
        seen = -1
        while True:
            await asyncio.sleep(LOOK_S)
            now = one.view.state().committed
            if now == seen:
                continue
            try:
                while await reclaim.step(os.urandom(16)):
                    await asyncio.sleep(0)
            except StoreError as error:
                log.warning("set %d: space is given back later: %s", one.number, error)
                continue
            if not reclaim.pending:
                seen = one.view.state().committed

    def tell_fault(self, owner: MeshClient, number: int, drive: int, reason: str) -> None:
        """Tell the owner of a set that a drive fails here."""
        self._run(self._tell(owner, encode(Fault(number, drive, reason))))

    @staticmethod
    async def _tell(owner: MeshClient, payload: bytes) -> None:
        # an owner that cannot be told has just been replaced, and finds out by itself
        with suppress(PeerLost, PeerFailed, TimeoutError):
            await owner.call(TOPIC_FAULT, payload, FAULT_S_MAX)
