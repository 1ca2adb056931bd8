"""A drive in memory with the crash semantics of a real one.

``MemoryDrive`` is the platter: what is durable survives :meth:`MemoryDrive.crash`, all else is gone or, with a random
source, torn page by page. ``MemoryEngine`` is one opening of it.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from sos.domain.errors import DriveBehind, DriveFault, DriveFenced, DriveFull
from sos.drive.engine import TABLES, Group, Position, Space
from sos.drive.layout import UNIT_BYTES, VOLUME_BYTES

ZERO = Position(0, 0)
RESERVED = frozenset((b"promised", b"last", b"voting"))


@dataclass(frozen=True)
class State:
    """One committed state of the index; tables are never changed, only replaced."""

    promised: int = 0
    last: Position = ZERO
    voting: bool = True
    tables: dict[str, dict[bytes, bytes]] = field(default_factory=lambda: {name: {} for name in TABLES})


class Volume:
    """One file: what is durable and what the page cache holds."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.pages: dict[int, bytes] = {}  # page number → 4096 bytes, durable
        self.dirty: dict[int, bytes] = {}
        self.allocated: set[int] = set()


class MemoryDrive:
    """The platter.

    :param total: bytes of the drive
    """

    def __init__(self, drive_id: str = "memory", total: int = 1 << 40, voting: bool = True) -> None:
        self.drive_id = drive_id
        self.total = total
        self.state = State(voting=voting)
        self.volumes: dict[int, Volume] = {}
        self.incarnation = 0

    def used(self) -> int:
        return sum(len(volume.allocated) * UNIT_BYTES for volume in self.volumes.values())

    def open(self, reserve: int = 0) -> MemoryEngine:
        """A new opening; engines of earlier incarnations are dead after a crash."""
        return MemoryEngine(self, reserve)

    def crash(self, source: random.Random | None = None) -> None:
        """Power is cut: writes that were not synced vanish, or each page of them vanishes or not by ``source``."""
        self.incarnation += 1
        for volume in self.volumes.values():
            if source is not None:
                volume.pages.update({at: page for at, page in volume.dirty.items() if source.random() < 0.5})
            volume.dirty.clear()


class MemoryRead:
    """A snapshot: it holds on to one state."""

    def __init__(self, engine: MemoryEngine, state: State) -> None:
        self._engine = engine
        self._state = state
        self._open = True
        engine.reads_open += 1

    @property
    def last(self) -> Position:
        return self._state.last

    def get(self, table: str, key: bytes) -> bytes | None:
        return self._table(table).get(key)

    def scan(
        self, table: str, start: bytes, stop: bytes | None, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        rows = self._table(table)
        keys = sorted(rows)
        chosen = keys[bisect_left(keys, start) : len(keys) if stop is None else bisect_left(keys, stop)]
        for key in reversed(chosen) if reverse else chosen:
            yield key, rows[key]

    def _table(self, table: str) -> dict[bytes, bytes]:
        self._engine.check_alive()
        if not self._open:
            raise DriveFault("the snapshot is closed")
        return self._state.tables[table]

    def close(self) -> None:
        if self._open:
            self._open = False
            self._engine.reads_open -= 1


class MemoryEngine:
    """See :class:`~sos.drive.engine.DriveEngine`."""

    def __init__(self, drive: MemoryDrive, reserve: int) -> None:
        self._drive = drive
        self._reserve = reserve
        self._incarnation = drive.incarnation
        self._closed = False
        self._sealed: set[int] = set()
        self.suspected = False
        #: Snapshots that were not closed, for tests that look for leaks.
        self.reads_open = 0

    @property
    def drive_id(self) -> str:
        return self._drive.drive_id

    @property
    def path(self) -> str:
        return f"memory:{self._drive.drive_id}"

    def check_alive(self) -> None:
        if self._closed or self._incarnation != self._drive.incarnation:
            raise DriveFault(f"{self.path}: the engine is closed or its machine lost power", path=self.path)

    # -- index -------------------------------------------------------------------------------------

    def begin_read(self) -> MemoryRead:
        self.check_alive()
        return MemoryRead(self, self._drive.state)

    def promised(self) -> int:
        self.check_alive()
        return self._drive.state.promised

    def last(self) -> Position:
        self.check_alive()
        return self._drive.state.last

    def voting(self) -> bool:
        self.check_alive()
        return self._drive.state.voting

    def promise(self, epoch: int) -> Position:
        self.check_alive()
        state = self._drive.state
        if state.promised > epoch:
            raise DriveFenced(f"{self.path}: epoch {state.promised} is promised")
        self._drive.state = State(epoch, state.last, state.voting, state.tables)
        return state.last

    def set_voting(self, epoch: int, voting: bool) -> None:
        state = self._fenced(epoch)
        self._drive.state = State(state.promised, state.last, voting, state.tables)

    def apply(self, group: Group) -> None:
        rows = [*group.rows, *group.own_rows]
        if any(row.table not in TABLES or (row.table == "local" and row.key in RESERVED) for row in rows):
            raise ValueError("no such table, or a row of the engine")
        if any(not 0 < len(row.key) <= 511 for row in rows):
            raise ValueError("a key must have 1 to 511 bytes")
        self.check_alive()
        if not group.frees and self.space().free < self._reserve:
            raise DriveFull(f"{self.path}: no space for the index")
        state = self._fenced(group.epoch)
        if state.last != group.expect:
            raise DriveBehind(f"{self.path}: last is {tuple(state.last)}, expected {tuple(group.expect)}")
        tables = dict(state.tables)
        for name in {row.table for row in rows}:
            tables[name] = dict(tables[name])
        for table, key, value in rows:
            if value is None:
                tables[table].pop(key, None)
            else:
                tables[table][key] = bytes(value)
        self._drive.state = State(state.promised, group.last, state.voting, tables)

    def _fenced(self, epoch: int) -> State:
        self.check_alive()
        state = self._drive.state
        if state.promised != epoch:
            raise DriveFenced(f"{self.path}: epoch {state.promised} is promised, not {epoch}")
        return state

    # -- volumes -----------------------------------------------------------------------------------

    def create_volume(self, volume: int, size: int) -> None:
        self.check_alive()
        self._check_number(volume)
        if volume in self._drive.volumes:
            raise FileExistsError(f"volume {volume}")
        self._drive.volumes[volume] = Volume(size)

    def allocate(self, volume: int, offset: int, length: int) -> None:
        self.check_alive()
        self._check_number(volume)
        self._check_sealed(volume)
        if self.space().free - length < self._reserve:
            raise DriveFull(f"{self.path}: {length} bytes would touch the reserve")
        file = self._drive.volumes.setdefault(volume, Volume(VOLUME_BYTES))
        file.size = max(file.size, offset + length)
        file.allocated.update(range(offset // UNIT_BYTES, -(-(offset + length) // UNIT_BYTES)))

    def write(self, volume: int, offset: int, buffers: Sequence[memoryview]) -> None:
        if offset % UNIT_BYTES or any(len(buffer) % UNIT_BYTES for buffer in buffers):
            raise ValueError("offset and lengths of a write are multiples of 4096")
        file = self._file(volume)
        self._check_sealed(volume)
        data = b"".join(buffers)
        for at in range(0, len(data), UNIT_BYTES):
            file.dirty[(offset + at) // UNIT_BYTES] = data[at : at + UNIT_BYTES]
            file.allocated.add((offset + at) // UNIT_BYTES)

    def sync(self, volume: int) -> None:
        file = self._file(volume)
        self._check_sealed(volume)
        file.pages.update(file.dirty)
        file.dirty.clear()

    def seal(self, volume: int) -> None:
        """What a failed sync does: the volume is given up and its dirty pages are lost."""
        self._sealed.add(volume)
        self._file(volume).dirty.clear()

    def read(self, volume: int, offset: int, length: int, sequential: bool = False) -> memoryview:
        file = self._file(volume)
        if offset + length > file.size:
            raise DriveFault(f"{self.path}: volume {volume} ends before {offset + length}")
        first, last = offset // UNIT_BYTES, -(-(offset + length) // UNIT_BYTES)
        empty = bytes(UNIT_BYTES)
        data = b"".join(file.dirty.get(at) or file.pages.get(at) or empty for at in range(first, last))
        start = offset - first * UNIT_BYTES
        return memoryview(data)[start : start + length]

    def punch(self, volume: int, offset: int, length: int) -> None:
        self.check_alive()
        file = self._drive.volumes.get(volume)
        if file is None:
            return
        for at in range(offset // UNIT_BYTES, (offset + length) // UNIT_BYTES):
            file.pages.pop(at, None)
            file.dirty.pop(at, None)
            file.allocated.discard(at)

    def volumes(self) -> dict[int, int]:
        self.check_alive()
        return {number: len(file.allocated) * UNIT_BYTES for number, file in self._drive.volumes.items()}

    def remove_volume(self, volume: int) -> None:
        self.check_alive()
        self._drive.volumes.pop(volume, None)

    def _file(self, volume: int) -> Volume:
        self.check_alive()
        if volume not in self._drive.volumes:
            raise DriveFault(f"{self.path}: volume {volume} is missing")
        return self._drive.volumes[volume]

    def _check_sealed(self, volume: int) -> None:
        if volume in self._sealed:
            raise DriveFault(f"{self.path}: volume {volume} is sealed")

    def _check_number(self, volume: int) -> None:
        if not 0 < volume < 1 << 48:
            raise ValueError(f"no volume has number {volume}")

    # -- the drive ---------------------------------------------------------------------------------

    def space(self) -> Space:
        self.check_alive()
        return Space(self._drive.total, max(0, self._drive.total - self._drive.used()))

    def suspect(self) -> None:
        self.suspected = True

    def reader_check(self) -> int:
        return 0

    def close(self) -> None:
        self._closed = True
