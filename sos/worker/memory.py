"""Keeping a worker's share of memory small: pages of mapped files that it has looked at.

Mapped pages belong to the page cache and cost nothing by themselves, but each process that has touched them counts
them (PSS), which misleads operators and limits of a control group. So once a worker has more than a bound of them
mapped, it gives them up; what is still in use is faulted in again, a fraction of a microsecond per page.
"""

from __future__ import annotations

import asyncio
import ctypes
import mmap
from collections.abc import Callable

LOOK_S = 0.5
#: File pages that a worker may keep mapped, libraries (some 30 MiB) and populated windows of volumes included.
FILE_BYTES_MAX = 112 << 20


def file_bytes() -> int:
    """Bytes of files that this process has mapped and touched (RssFile and RssShmem)."""
    with open("/proc/self/statm", "rb") as statm:
        return int(statm.read().split()[2]) * mmap.PAGESIZE


class Trimmer:
    """Looks from time to time; between requests it only reads one number.

    :param release: gives mapped pages up
    :param spare: gives up buffers that no upload uses
    :param requests: requests so far
    """

    def __init__(self, release: Callable[[], None], spare: Callable[[], None], requests: Callable[[], int]) -> None:
        self._release = release
        self._spare = spare
        self._requests = requests
        self._seen = 0
        self._resting = True
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(LOOK_S, self._look)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        self.start()
        requests, before = self._requests(), self._seen
        self._seen = requests
        if requests != before:
            self._resting = False
            self._spare()
            if file_bytes() > FILE_BYTES_MAX:
                self._release()
        elif not self._resting:
            self._resting = True
            self._release()
            self._spare()
            trim_heap()


def trim_heap() -> None:
    """Give free memory of the C heap back to the system."""
    ctypes.CDLL(None).malloc_trim(0)
