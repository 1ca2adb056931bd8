"""Which volume a worker appends to, and its group syncs.

A volume is written by the one worker incarnation that created it. Extents are handed out front to back from an
append pointer in memory; the space of a failed upload is punched and not handed out again, so a late write of a hung
drive can only hit its own dead range.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from functools import partial

from ..domain.errors import DriveFault, DriveFull, StorageFull, WriteQuorumLost
from ..drive.engine import DriveEngine
from .lanes import Drives, settle

_SERIAL_MASK = 0xFFFFFFFF
_CREATE_ATTEMPTS = 64


class VolumeAllocator:
    """Hands out extents of equal place on all drives of a set. On the event loop.

    The serial of the first volume is the time in seconds, or one more than the highest that exists: so a number is not
    used again after its volume was removed, when another worker may still map the old file.
    """

    def __init__(
        self, drives: Drives, slot: int, volume_bytes: int, deadline_s: float, clock: Callable[[], float] = time.time
    ) -> None:
        self._drives = drives
        self._slot = slot
        self._volume_bytes = volume_bytes
        self.deadline_s = deadline_s
        self._clock = clock
        self._lock = asyncio.Lock()
        self._serial = 0
        self._volume = 0
        self._position = 0
        self._size = 0

    @property
    def current(self) -> int:
        """The volume that is appended to, 0 when there is none."""
        return self._volume

    async def reserve(self, length: int) -> tuple[int, int]:
        """Volume and offset of a new extent.

        :raises StorageFull, WriteQuorumLost: no drive takes a new volume
        """
        async with self._lock:
            if not self._volume or self._position + length > self._size:
                await self._roll(max(length, self._volume_bytes))
            offset, self._position = self._position, self._position + length
            return self._volume, offset

    def retire(self, volume: int) -> None:
        """Append nothing more to a volume that a drive failed to sync."""
        if volume == self._volume:
            self._volume = 0

    async def _roll(self, size: int) -> None:
        self._volume = 0
        if not self._serial:
            self._serial = await self._first_serial()
        for _ in range(_CREATE_ATTEMPTS):
            volume = self._slot << 32 | self._serial & _SERIAL_MASK
            self._serial += 1
            if await self._create(volume, size):
                self._volume, self._position, self._size = volume, 0, size
                return
        raise WriteQuorumLost("every volume number tried exists already")

    async def _first_serial(self) -> int:
        work = {i: (engine, engine.volumes) for i, engine in self._drives.usable().items()}
        found, faults = await self._drives.each("write", work, self.deadline_s)
        for drive, error in faults.items():
            self._drives.fault(drive, error)
        existing = [v & _SERIAL_MASK for volumes in found.values() for v in volumes if v >> 32 == self._slot]
        return max(int(self._clock()), max(existing, default=0) + 1)

    async def _create(self, volume: int, size: int) -> bool:
        """Make the volume on every usable drive; False when one of them has it already."""
        engines = self._drives.usable()
        work = {i: (engine, partial(_create_new, engine, volume, size)) for i, engine in engines.items()}
        made, faults = await self._drives.each("write", work, self.deadline_s)
        for drive, error in faults.items():
            if not isinstance(error, DriveFull):
                self._drives.fault(drive, error)
        if all(made.values()) and made:
            return True
        ours = {i: (engines[i], partial(engines[i].remove_volume, volume)) for i, new in made.items() if new}
        await self._drives.each("write", ours, self.deadline_s)
        if made:
            return False
        if any(isinstance(error, DriveFull) for error in faults.values()):
            raise StorageFull
        raise WriteQuorumLost("no drive takes a new volume")


def _create_new(engine: DriveEngine, volume: int, size: int) -> bool:
    try:
        engine.create_volume(volume, size)
    except FileExistsError:
        return False
    return True


class _Round:
    """One sync of one volume on one drive, and the one that follows it."""

    __slots__ = ("following", "running")

    def __init__(self) -> None:
        self.running: asyncio.Future[DriveFault | None] | None = None
        self.following: asyncio.Future[DriveFault | None] | None = None


class GroupSync:
    """Uploads that wait at the same time share one sync per volume and drive.

    A sync covers what was written before it began, so whoever comes while one runs waits for the next.
    """

    def __init__(self, drives: Drives, deadline_s: float) -> None:
        self._drives = drives
        self.deadline_s = deadline_s
        self._rounds: dict[tuple[int, int, int], _Round] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        #: syncs done so far, for measurements
        self.syncs = 0

    async def sync(self, volume: int, engines: Mapping[int, DriveEngine]) -> dict[int, DriveFault]:
        """Make what was written durable; the drives that failed. Waits for all of them even when cancelled."""
        waiting = {drive: self._join(drive, volume, engine) for drive, engine in engines.items()}
        answers = await settle(asyncio.gather(*waiting.values()))
        return {drive: error for drive, error in zip(waiting, answers, strict=True) if error is not None}

    def _join(self, drive: int, volume: int, engine: DriveEngine) -> asyncio.Future[DriveFault | None]:
        # a reopened drive is another engine, and its sync says nothing about what the old one wrote
        key = (drive, volume, id(engine))
        slot = self._rounds.setdefault(key, _Round())
        if slot.following is None:
            slot.following = asyncio.get_running_loop().create_future()
        following = slot.following
        if slot.running is None:
            slot.running = following
            task = asyncio.get_running_loop().create_task(self._run(key, engine, slot))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return following

    async def _run(self, key: tuple[int, int, int], engine: DriveEngine, slot: _Round) -> None:
        """Sync until nobody waits. The task begins a turn of the loop after the first request, which gathers those
        that became ready in the same turn."""
        drive, volume, _ = key
        try:
            while slot.following is not None:
                slot.running, slot.following = slot.following, None
                call = partial(engine.sync, volume)
                try:
                    _, faults = await self._drives.each("sync", {drive: (engine, call)}, self.deadline_s)
                except Exception as error:  # noqa: BLE001 - raised in every upload that waits for this sync
                    slot.running.set_exception(error)
                else:
                    self.syncs += 1
                    slot.running.set_result(faults.get(drive))
        finally:
            del self._rounds[key]
            for future in (slot.running, slot.following):
                if future is not None and not future.done():
                    future.cancel()
