"""Keeping a worker's share of memory small: pages of mapped files that it has looked at, and the C heap.

Mapped pages belong to the page cache and cost nothing by themselves, but each process that has touched them counts
them (PSS), which misleads operators and limits of a control group. So once a worker has more than a bound of them
mapped, it gives them up; what is still in use is faulted in again, a fraction of a microsecond per page. That holds for
background work too: a drive that is copied or healed has all of an index read without a single request.

The heap: every thread of a worker allocates, and would by default get an arena of its own, each with its own holes. Two
are enough, since all but copying and hashing is done under the interpreter's lock. Large blocks come from the system and
go back to it; by default the first free of a large block makes the C library keep all of that size.
"""

from __future__ import annotations

import asyncio
import ctypes
import mmap
import time
from collections.abc import Callable

LOOK_S = 0.5
#: The same while much is mapped: a scan maps 100 MiB in a tenth of a second.
LOOK_SOON_S = 0.05
#: File pages that a worker may keep mapped, libraries (some 30 MiB) and populated windows of volumes included.
FILE_BYTES_MAX = 96 << 20
#: Anonymous memory, buffers of uploads left aside, beyond which the heap's holes are given back, and how often at most:
#: that takes some milliseconds.
HEAP_BYTES_MAX = 64 << 20
TRIM_PAUSE_S = 10.0

#: ``mallopt`` (malloc.h).
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
ARENAS_MAX = 2
#: Blocks from this size on are mapped one by one.
BLOCK_BYTES_MAX = 512 << 10


class Resident:
    """What a process holds in memory, in bytes.

    :param files: of files that it has mapped and touched (RssFile and RssShmem)
    :param anonymous: heap, stacks and buffers
    """

    def __init__(self, files: int, anonymous: int) -> None:
        self.files, self.anonymous = files, anonymous


def resident() -> Resident:
    """Of this process, now."""
    with open("/proc/self/statm", "rb") as statm:
        words = statm.read().split()
    whole, files = int(words[1]) * mmap.PAGESIZE, int(words[2]) * mmap.PAGESIZE
    return Resident(files, whole - files)


class Trimmer:
    """Looks from time to time; a process that rests only reads two numbers.

    :param release: gives mapped pages up: those of indices, or all
    :param spare: gives up buffers that no upload uses
    :param requests: requests so far
    :param buffers: bytes of the buffers of uploads
    """

    def __init__(
        self,
        release: Callable[[bool], None],
        spare: Callable[[], None],
        requests: Callable[[], int],
        buffers: Callable[[], int] = lambda: 0,
    ) -> None:
        self._release = release
        self._spare = spare
        self._requests = requests
        self._buffers = buffers
        self._seen = 0
        self._resting = True
        self._trim_at_s = self._rest_at_s = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._again(LOOK_S)

    def _again(self, pause_s: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(pause_s, self._look)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def look(self) -> Resident:
        """Give mapped pages up if they are too many. For background work to call after each of its steps."""
        held = resident()
        if held.files > FILE_BYTES_MAX:
            # what was read of volumes is bounded by itself, and most of it is being sent
            self._release(False)
        return held

    def _look(self) -> None:
        held = self.look()
        self._again(LOOK_SOON_S if held.files > FILE_BYTES_MAX // 2 else LOOK_S)
        now_s = time.monotonic()
        if (requests := self._requests()) != self._seen:
            self._seen, self._rest_at_s, self._resting = requests, now_s + LOOK_S, False
        if self._resting or now_s < self._rest_at_s:
            self._spare()  # an upload may have ended since
            self._trim(held, now_s)
        else:
            self._resting = True
            self._release(True)
            self._spare()
            trim_heap()

    def _trim(self, held: Resident, now_s: float) -> None:
        if held.anonymous - self._buffers() > HEAP_BYTES_MAX and now_s >= self._trim_at_s:
            self._trim_at_s = now_s + TRIM_PAUSE_S
            trim_heap()


def bound_heap() -> None:
    """Before the process has threads."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # of the GNU C library
        libc.mallopt(_M_ARENA_MAX, ARENAS_MAX)
        libc.mallopt(_M_MMAP_THRESHOLD, BLOCK_BYTES_MAX)
        libc.mallopt(_M_TRIM_THRESHOLD, BLOCK_BYTES_MAX)


def trim_heap() -> None:
    """Give free memory of the C heap back to the system."""
    ctypes.CDLL(None).malloc_trim(0)
