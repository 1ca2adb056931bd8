"""Threads that touch drives: a few per drive, so that a hung drive holds its own threads and nobody else's.

A call to several drives ends when all have answered or the deadline has passed; a drive that missed it counts as
failed, its thread is left to itself (a thread inside a hung device cannot be stopped) and no new work is queued to it.
"""

from __future__ import annotations

import asyncio
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import TypeVar

from ..domain.errors import DriveFault
from ..drive.engine import DriveEngine

T = TypeVar("T")
Done = Callable[[object, BaseException | None], None]
_Job = tuple[Callable[[], object], Done]


class Lane:
    """Daemon threads with one queue, started as they are first needed."""

    def __init__(self, name: str, threads: int) -> None:
        self._name = name
        self._threads_max = threads
        self._started = 0
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()

    def submit(self, work: Callable[[], object], done: Done) -> None:
        """Run ``work`` in a thread of the lane; ``done`` is called there with its result or its exception."""
        self._queue.put((work, done))
        if self._started < self._threads_max:
            self._started += 1
            threading.Thread(target=self._run, name=self._name, daemon=True).start()

    def abandon(self) -> None:
        """The drive hangs: answer what is still queued with a fault, so that nothing waits or keeps a buffer for it."""
        with suppress(Empty):
            while True:
                job = self._queue.get_nowait()
                if job is not None:
                    job[1](None, DriveFault("the drive hangs"))

    def close(self) -> None:
        """Let the threads end after the work that is queued."""
        for _ in range(self._started):
            self._queue.put(None)

    def _run(self) -> None:
        while (job := self._queue.get()) is not None:
            work, done = job
            del job
            try:
                result, error = work(), None
            except BaseException as caught:  # noqa: BLE001 - handed to whoever waits, nothing is lost
                result, error = None, caught
                _forget_locals(caught)
            # the waiter may reuse buffers as soon as it is told, so no reference may stay here
            del work
            done(result, error)
            del done, result, error


def _forget_locals(error: BaseException) -> None:
    """Clear the frames of an exception and of its causes: they hold views of buffers. The trace itself stays."""
    seen: BaseException | None = error
    while seen is not None:
        traceback.clear_frames(seen.__traceback__)
        seen = seen.__cause__ or seen.__context__


async def settle(future: asyncio.Future[T]) -> T:
    """Wait until ``future`` is done, even when cancelled meanwhile; the cancellation is raised afterwards."""
    cancelled = False
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        if not future.cancelled():
            future.exception()
        raise asyncio.CancelledError
    return future.result()


class _Fanout:
    """Collects the answers of several drives for one waiter on the loop."""

    def __init__(self, waiting: set[int]) -> None:
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._waiting = waiting
        self.results: dict[int, object] = {}
        self.errors: dict[int, BaseException] = {}
        self.future: asyncio.Future[None] = self._loop.create_future()

    def answer(self, drive: int, result: object, error: BaseException | None) -> None:
        """Called in the drive's thread; only the last answer wakes the loop."""
        with self._lock:
            if drive not in self._waiting:
                return
            self._waiting.discard(drive)
            if error is None:
                self.results[drive] = result
            else:
                self.errors[drive] = error
            last = not self._waiting
        if last and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._resolve)

    def expire(self) -> set[int]:
        """The deadline has passed: the drives that have not answered."""
        with self._lock:
            late, self._waiting = self._waiting, set()
        for drive in late:
            self.errors[drive] = DriveFault("the drive did not answer in time")
        self._resolve()
        return late

    def _resolve(self) -> None:
        if not self.future.done():
            self.future.set_result(None)


class Drives:
    """The drives of one set as a worker's writer uses them. On the event loop.

    :param engines: by position in the set, None where a drive is missing; the caller replaces entries as drives leave
        and return
    :param in_sync: the published mask of drives that may be used
    :param on_fault: told of every drive that failed, except that it is full
    :param threads: threads per drive for writes; one more is for syncs
    """

    def __init__(
        self,
        engines: Sequence[DriveEngine | None],
        in_sync: Callable[[], int],
        on_fault: Callable[[int, DriveFault], None],
        threads: int = 2,
    ) -> None:
        self._engines = engines
        self._in_sync = in_sync
        self._on_fault = on_fault
        self._threads = threads
        self._lanes: dict[tuple[int, str], tuple[DriveEngine, Lane]] = {}
        self._hung: dict[int, DriveEngine] = {}

    def __len__(self) -> int:
        return len(self._engines)

    def present(self) -> dict[int, DriveEngine]:
        """Every open drive that does not hang, in sync or not."""
        found = ((i, engine) for i, engine in enumerate(self._engines) if engine is not None)
        return {i: engine for i, engine in found if self._hung.get(i) is not engine}

    def usable(self) -> dict[int, DriveEngine]:
        """The open drives that are in sync."""
        mask = self._in_sync()
        return {i: engine for i, engine in self.present().items() if mask >> i & 1}

    def fault(self, drive: int, error: DriveFault) -> None:
        self._on_fault(drive, error)

    async def each(
        self, kind: str, work: Mapping[int, tuple[DriveEngine, Callable[[], T]]], deadline_s: float
    ) -> tuple[dict[int, T], dict[int, DriveFault]]:
        """Run one call per drive side by side; what they returned, and which failed.

        Waits for all of them even when cancelled. An exception other than a drive's own is raised.
        """
        if not work:
            return {}, {}
        fanout = _Fanout(set(work))
        for drive, (engine, call) in work.items():
            self._lane(drive, engine, kind).submit(call, partial(fanout.answer, drive))
        timer = asyncio.get_running_loop().call_later(deadline_s, self._expire, fanout, {i: e for i, (e, _) in work.items()})
        try:
            await settle(fanout.future)
        finally:
            timer.cancel()
        return fanout.results, self._sorted(fanout.errors)  # type: ignore[return-value]

    def close(self) -> None:
        for _, lane in self._lanes.values():
            lane.close()
        self._lanes.clear()

    def _lane(self, drive: int, engine: DriveEngine, kind: str) -> Lane:
        kept = self._lanes.get((drive, kind))
        if kept is not None and kept[0] is engine:
            return kept[1]
        if kept is not None:
            kept[1].close()
        lane = Lane(f"{kind}-{drive}", 1 if kind == "sync" else self._threads)
        self._lanes[drive, kind] = (engine, lane)
        return lane

    def _expire(self, fanout: _Fanout, engines: Mapping[int, DriveEngine]) -> None:
        for drive in fanout.expire():
            self._hung[drive] = engines[drive]
            for lane_drive, kind in list(self._lanes):
                if lane_drive == drive and self._lanes[drive, kind][0] is engines[drive]:
                    self._lanes[drive, kind][1].abandon()

    def _sorted(self, errors: Mapping[int, BaseException]) -> dict[int, DriveFault]:
        faults: dict[int, DriveFault] = {}
        for drive, error in errors.items():
            if isinstance(error, DriveFault):
                faults[drive] = error
            elif isinstance(error, OSError):
                faults[drive] = DriveFault(str(error))
            else:
                raise error
        return faults
