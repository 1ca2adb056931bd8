"""Giving back the space of freed extents (DESIGN §4, invariant I6), run by the owner of a set.

An extent is punched only when

1. the operation that freed it is committed (it is read from a published snapshot),
2. every read that could have found it has ended (the oldest open read of all workers began after the freeing), and
3. a grace has passed since, on the monotonic clock: a minute, or a moment where a drive of the set runs out of space.
   The first two are what keeps readers safe; the grace is a second line, not worth refusing writes for.

What an operation left to be freed (release rows, ``sos/meta/changes/draft.py``) is freed first, in bounded operations.

Order: punch on every in-sync drive, then commit the removal of the rows. A crash in between punches again, which does
no harm; a drive that was out of sync punches when it catches up, or in the sweep at its next start.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from contextlib import suppress

from ..base.pages import Pages
from ..domain.errors import DriveFault
from ..drive.engine import DriveEngine
from ..meta import keys, rows
from ..meta.proposals import DropExtents, Release
from ..meta.records import ExtentRecord
from .reads import oldest_read_ns
from .set import Submit
from .view import SetView

GRACE_NS = 60 * 1_000_000_000
#: Where space is short.
SHORT_GRACE_NS = 2 * 1_000_000_000
#: Space is short while less than this part of a drive is free.
SHORT_PART = 8
#: Extents per step: one operation of the log, a few milliseconds of punching.
STEP_EXTENTS_MAX = 256
#: Rows looked at per step, so that a step stays short in a large index.
STEP_ROWS_MAX = 20_000


class Reclaim:
    """A bounded ``step`` at a time; the job runner paces it."""

    def __init__(self, view: SetView, submit: Submit, pages: Pages, executor: Executor, grace_ns: int = GRACE_NS) -> None:
        self._view = view
        self._submit = submit
        self._pages = pages
        self._executor = executor
        self._grace_ns = grace_ns
        self._from = b""
        #: (monotonic ns, sequence committed then), oldest first
        self._seen: deque[tuple[int, int]] = deque()
        self.punched_bytes = 0
        #: freed extents seen that were not due yet
        self.pending = 0
        #: whether a drive of the set runs out of space, as last looked
        self.short = False

    async def look(self) -> None:
        """Find out whether space is short, and note what is committed now: graces run from the looks."""
        self._note()
        self.short = await asyncio.get_running_loop().run_in_executor(self._executor, self._is_short)

    async def step(self, request_id: bytes) -> bool:
        """One bounded piece of work; whether there may be more right away."""
        if (row := await self._left()) is not None:
            await self._submit([Release(request_id=request_id, bucket_id=0, row=row)])
            return True
        due, wrapped = await asyncio.get_running_loop().run_in_executor(self._executor, self._due)
        if due:
            await asyncio.get_running_loop().run_in_executor(self._executor, self._punch, due)
            await self._submit([DropExtents(request_id=request_id, bucket_id=0, keys=tuple(key for key, _ in due))])
            self.punched_bytes += sum(record.length for _, record in due)
        return not wrapped

    async def _left(self) -> bytes | None:
        """The first release row. On the loop: one look.

        :raises ReadQuorumLost:
        """
        with await self._view.snapshot() as snapshot:
            return next((row for row, _ in snapshot.scan("undo", keys.RELEASES, None)), None)

    def _freed_until(self) -> int:
        """Extents freed up to this sequence have been freed for the grace before the oldest open read, and before now.
        By our own observations on the monotonic clock: the time in the rows is the wall's, which may be set.
        """
        self._note()
        grace_ns = min(SHORT_GRACE_NS, self._grace_ns) if self.short else self._grace_ns
        before = min(time.monotonic_ns(), oldest_read_ns(self._pages)) - grace_ns
        while len(self._seen) > 1 and self._seen[1][0] <= before:
            self._seen.popleft()
        at, seq = self._seen[0]
        return seq if at <= before else 0

    def _note(self) -> None:
        seq = self._view.state().committed
        if not self._seen or self._seen[-1][1] != seq:
            self._seen.append((time.monotonic_ns(), seq))

    def _is_short(self) -> bool:
        for engine in self._in_sync():
            with suppress(DriveFault):  # on its way out
                space = engine.space()
                if space.free * SHORT_PART < space.total:
                    return True
        return False

    def _in_sync(self) -> Iterator[DriveEngine]:
        usable = self._view.usable()
        return (engine for drive, engine in enumerate(self._view.engines) if engine is not None and usable >> drive & 1)

    def _due(self) -> tuple[list[tuple[bytes, ExtentRecord]], bool]:
        """Freed extents that may go, from where the last step ended; and whether the table's end was reached."""
        until = self._freed_until()
        due: list[tuple[bytes, ExtentRecord]] = []
        if not self._from:
            self.pending = 0
        for seen, (key, value) in enumerate(self._view.scan_all("extents", self._from, None)):
            record = rows.open_row(key, value, ExtentRecord)
            if 0 < record.freed_seq <= until:
                due.append((key, record))
            elif record.freed_seq:
                self.pending += 1
            if len(due) == STEP_EXTENTS_MAX or seen >= STEP_ROWS_MAX:
                self._from = key + b"\0"
                return due, False
        self._from = b""
        return due, True

    def _punch(self, due: Sequence[tuple[bytes, ExtentRecord]]) -> None:
        for engine in self._in_sync():
            with suppress(DriveFault):  # the drive is on its way out; the sweep at its return punches
                for key, record in due:
                    volume, offset = keys.extent_place(key)
                    engine.punch(volume, offset, record.length)
