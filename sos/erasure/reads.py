"""Which replies of this worker still use mapped extents.

An extent is punched only when no reader that could have found it is left (I6). Each worker publishes the start of
its oldest open read on its pulse; the owner of a set punches what was freed before the oldest of all.
"""

from __future__ import annotations

import threading
import time

from ..base.pages import PULSE_OLDEST_READ, PULSE_READS, Pages


class OpenReads:
    """The open reads of one worker. Threads open and close; the pulse shows the oldest."""

    def __init__(self, pages: Pages, slot: int) -> None:
        self._pages = pages
        self._slot = slot
        self._lock = threading.Lock()
        self._starts: dict[int, int] = {}
        self._next = 0

    def begin(self) -> int:
        """Register a read *before* its snapshot is relied upon; its ticket."""
        with self._lock:
            self._next += 1
            ticket = self._next
            self._starts[ticket] = time.monotonic_ns()
            self._show()
        return ticket

    def end(self, ticket: int) -> None:
        """Idempotent."""
        with self._lock:
            if self._starts.pop(ticket, None) is not None:
                self._show()

    def _show(self) -> None:
        # starts are in insertion order, so the first one is the oldest
        oldest = next(iter(self._starts.values()), 0)
        self._pages.set_pulse(self._slot, PULSE_OLDEST_READ, oldest)
        self._pages.set_pulse(self._slot, PULSE_READS, len(self._starts))


def oldest_read_ns(pages: Pages) -> int:
    """Monotonic nanoseconds of the oldest open read of all workers; now when there is none."""
    starts = [pages.pulse(worker, PULSE_OLDEST_READ) for worker in range(pages.workers)]
    return min((start for start in starts if start), default=time.monotonic_ns())
