"""Finding space that no record refers to: what a worker that was killed left in its volumes.

Run by the owner of a set for volumes whose writer is gone: no present worker appends to them, and whatever their writer
had proposed is decided by the time this runs. For each drive:

1. A volume whose allocated blocks do not exceed its live extents has no leak and is left alone.
2. Otherwise everything between live extents is punched.
3. A volume without any extent is removed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from ..domain.errors import DriveFault
from ..drive.engine import DriveEngine
from ..meta import keys, rows
from ..meta.records import ExtentRecord
from .view import SetView

log = logging.getLogger("sos.erasure.sweep")

#: Blocks that a file system may keep for itself in a file (extent tree), per volume.
SLACK_BYTES = 1 << 20


def gaps(extents: Sequence[tuple[int, int]], end: int) -> Iterable[tuple[int, int]]:
    """(offset, length) of what lies between the extents, (offset, length) in order, up to ``end``."""
    at = 0
    for offset, length in extents:
        if offset > at:
            yield at, offset - at
        at = max(at, offset + length)
    if end > at:
        yield at, end - at


def dead_volumes(engines: Sequence[DriveEngine | None], slot: int, slots: int) -> set[int]:
    """Volumes that nobody appends to, as seen by a worker that has just started in ``slot`` and written nothing: those of
    its predecessors, and (to slot 0) those of slots that are no more.
    """
    found: set[int] = set()
    for engine in engines:
        if engine is None:
            continue
        try:
            volumes = engine.volumes()
        except DriveFault:
            continue  # a drive that cannot be listed is swept after it has returned
        found.update(v for v in volumes if v >> 32 == slot or (slot == 0 and v >> 32 >= slots))
    return found


class Sweep:
    """Sweeps the drives of one set. Blocking: runs in a thread of background work."""

    def __init__(self, view: SetView, volume_bytes: int) -> None:
        self._view = view
        self._volume_bytes = volume_bytes

    def run(self, volumes: Iterable[int]) -> int:
        """Bytes given back on all drives together."""
        wanted = sorted(volumes)
        freed = 0
        for drive, engine in enumerate(self._view.engines):
            if engine is None or not self._view.usable() >> drive & 1:
                continue
            try:
                allocated = engine.volumes()
                for volume in wanted:
                    if volume in allocated:
                        freed += self._volume(engine, volume, allocated[volume])
            except DriveFault as error:
                log.warning("sweep of %s ended: %s", engine.path, error)
        return freed

    def _volume(self, engine: DriveEngine, volume: int, allocated: int) -> int:
        extents = self._extents(volume)
        live = sum(length for _, length in extents)
        if not extents:
            engine.remove_volume(volume)
            return allocated
        if allocated <= live + SLACK_BYTES:
            return 0
        end = max(self._volume_bytes, extents[-1][0] + extents[-1][1])
        for offset, length in gaps(extents, end):
            engine.punch(volume, offset, length)
        return allocated - live

    def _extents(self, volume: int) -> list[tuple[int, int]]:
        found = []
        start, stop = keys.extent_row(volume, 0), keys.extent_row(volume + 1, 0)
        for key, value in self._view.scan_all("extents", start, stop):
            found.append((keys.extent_place(key)[1], rows.open_row(key, value, ExtentRecord).length))
        return found
