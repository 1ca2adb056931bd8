"""What every process of a server shows to the others for people to look at: counts, traces, log lines.

One anonymous shared mapping, made before the fork. It outlives the workers: the counts of a worker that died go on where
they were, and its last log lines can still be read. Pages that nobody writes to take no memory.

Layout: 64 words (until when each kind of trace is wanted, in monotonic nanoseconds, by the number of its bit), then for
each worker slot and at last for the supervisor: counts, ring of traces, ring of log lines.
"""

from __future__ import annotations

import mmap

HEAD_BYTES = 64 * 8
TALLY_BYTES = 512 * 1024
TRACE_BYTES = 1024 * 1024
LOG_BYTES = 256 * 1024
_EACH = TALLY_BYTES + TRACE_BYTES + LOG_BYTES


class Board:
    """The shared mapping. Created by the supervisor, inherited by ``fork``."""

    def __init__(self, workers: int) -> None:
        """:param workers: number of slots; number ``workers`` is the supervisor"""
        self.workers = workers
        self._map = mmap.mmap(-1, HEAD_BYTES + _EACH * (workers + 1))
        self._all = memoryview(self._map)
        self.wanted = self._all[:HEAD_BYTES].cast("Q")

    def _part(self, slot: int, offset: int, length: int) -> memoryview:
        at = HEAD_BYTES + _EACH * slot + offset
        return self._all[at : at + length]

    def tally(self, slot: int) -> memoryview:
        """The counts of a slot, as words."""
        return self._part(slot, 0, TALLY_BYTES).cast("Q")

    def trace(self, slot: int) -> memoryview:
        return self._part(slot, TALLY_BYTES, TRACE_BYTES)

    def log(self, slot: int) -> memoryview:
        return self._part(slot, TALLY_BYTES + TRACE_BYTES, LOG_BYTES)
