"""Doubles for the data path: the volumes of a drive in memory, with faults, and bodies made of known bytes."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from sos.domain.body import Digests
from sos.domain.errors import DriveFault, DriveFull, IncompleteBody
from sos.erasure.buffers import BufferPool
from sos.erasure.handle import Staged
from sos.erasure.lanes import Drives
from sos.erasure.writer import SetWriter, WriterLimits, WriterPools

KEY = bytes(range(32))
FULL = 0xFFFF


class RamVolumes:
    """The volume half of ``DriveEngine`` in memory.

    :param before: called with the operation's name before each call; raises to inject a fault
    """

    def __init__(self, name: str = "ram") -> None:
        self.path = self.drive_id = name
        self.files: dict[int, bytearray] = {}
        self.allocated: dict[int, set[int]] = {}
        self.synced: list[int] = []
        self.calls: list[str] = []
        self.sealed: set[int] = set()
        self.space_left = 1 << 40
        self.before: Callable[[str], None] = lambda operation: None
        self._lock = threading.Lock()

    def _enter(self, operation: str) -> None:
        with self._lock:
            self.calls.append(operation)
        self.before(operation)

    def create_volume(self, volume: int, size: int) -> None:
        self._enter("create_volume")
        if volume in self.files:
            raise FileExistsError(volume)
        self.files[volume] = bytearray()

    def allocate(self, volume: int, offset: int, length: int) -> None:
        self._enter("allocate")
        assert offset % 4096 == 0 and length % 4096 == 0
        with self._lock:
            if length > self.space_left:
                raise DriveFull("full")
            self.space_left -= length
            file = self.files.setdefault(volume, bytearray())
            file.extend(bytes(max(0, offset + length - len(file))))
            self.allocated.setdefault(volume, set()).update(range(offset, offset + length, 4096))

    def write(self, volume: int, offset: int, buffers: Sequence[memoryview]) -> None:
        self._enter("write")
        if volume in self.sealed:
            raise DriveFault("sealed")
        for buffer in buffers:
            assert offset % 4096 == 0 and len(buffer) % 4096 == 0
            assert set(range(offset, offset + len(buffer), 4096)) <= self.allocated[volume], "written where not reserved"
            self.files[volume][offset : offset + len(buffer)] = buffer
            offset += len(buffer)

    def sync(self, volume: int) -> None:
        try:
            self._enter("sync")
        except DriveFault:
            self.sealed.add(volume)
            raise
        self.synced.append(volume)

    def read(self, volume: int, offset: int, length: int, sequential: bool = False) -> memoryview:
        self._enter("read")
        file = self.files.get(volume)
        if file is None or offset + length > len(file):
            raise DriveFault("the volume is missing or too short")
        return memoryview(bytes(file[offset : offset + length]))

    def punch(self, volume: int, offset: int, length: int) -> None:
        self._enter("punch")
        with self._lock:
            gone = self.allocated.get(volume, set()) & set(range(offset, offset + length, 4096))
            self.space_left += 4096 * len(gone)
            self.allocated.get(volume, set()).difference_update(gone)
            for at in gone:
                self.files[volume][at : at + 4096] = bytes(4096)

    def volumes(self) -> dict[int, int]:
        self._enter("volumes")
        return {volume: 4096 * len(self.allocated.get(volume, ())) for volume in self.files}

    def remove_volume(self, volume: int) -> None:
        self._enter("remove_volume")
        self.files.pop(volume, None)
        self.allocated.pop(volume, None)


def fail_on(operation: str, after: int = 0, error: Exception | None = None) -> Callable[[str], None]:
    """A fault for ``RamVolumes.before``: every call of ``operation`` fails but the first ``after``."""
    seen = 0

    def before(called: str) -> None:
        nonlocal seen
        if called == operation:
            seen += 1
            if seen > after:
                raise error or DriveFault(f"injected in {operation}")

    return before


class KnownBody:
    """A payload given beforehand. ``fill`` copies in a thread, as the real ones do.

    :param stop_after: bytes after which the client is gone
    :param refusal: raised by ``finish``
    :param sends: nothing comes before
    """

    def __init__(
        self,
        payload: bytes,
        pool: ThreadPoolExecutor | None = None,
        stop_after: int | None = None,
        refusal: Exception | None = None,
        sends: asyncio.Event | None = None,
    ) -> None:
        self.size = len(payload)
        self.position = 0
        self.finished = False
        self._payload = memoryview(payload)
        self._pool = pool
        self._stop_after = stop_after
        self._refusal = refusal
        self._sends = sends

    async def fill(self, view: memoryview) -> None:
        if self._sends is not None:
            await self._sends.wait()
        start, self.position = self.position, self.position + len(view)
        if self._stop_after is not None and self.position > self._stop_after:
            raise IncompleteBody
        await asyncio.get_running_loop().run_in_executor(self._pool, self._copy, view, start)

    def _copy(self, view: memoryview, start: int) -> None:
        view[:] = self._payload[start : start + len(view)]

    async def finish(self) -> Digests:
        assert self.position == self.size, "finish before the whole body was taken"
        self.finished = True
        if self._refusal is not None:
            raise self._refusal
        return Digests(hashlib.md5(self._payload).digest())


class Rig:
    """A writer over drives in memory."""

    def __init__(self, k: int, m: int, limits: WriterLimits | None = None, budget: int = 64 << 20) -> None:
        self.k, self.m = k, m
        self.drives = [RamVolumes(f"drive{i}") for i in range(k + m)]
        self.engines: list[RamVolumes | None] = list(self.drives)
        self.in_sync = (1 << (k + m)) - 1
        self.faults: list[int] = []
        self.threads = ThreadPoolExecutor(2)
        self.buffers = BufferPool(budget)
        self.seen = Drives(self.engines, lambda: self.in_sync, lambda drive, error: self.faults.append(drive))  # type: ignore[arg-type]
        self.writer = SetWriter(0, self.seen, 3, KEY, WriterPools(self.buffers, self.threads), limits)

    async def put(self, payload: bytes, **how: object) -> Staged:
        return await self.writer.stage(KnownBody(payload, **how), self.k, self.m)  # type: ignore[arg-type]

    def allocated(self) -> int:
        """Bytes reserved on all drives."""
        return sum(size for drive in self.drives for size in drive.volumes().values())

    def close(self) -> None:
        self.writer.close()
        self.threads.shutdown()


@contextmanager
def rig(k: int, m: int, limits: WriterLimits | None = None, budget: int = 64 << 20) -> Iterator[Rig]:
    made = Rig(k, m, limits, budget)
    try:
        yield made
    finally:
        made.close()
