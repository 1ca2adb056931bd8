"""Volumes mapped for reading.

Invariants:

1. A mapping is never unmapped under a reader: a slice keeps the mapping alive, dropping a mapping only drops a
   reference.
2. A range is populated by the kernel (``MADV_POPULATE_READ``) before it is handed out, so a device error is an
   error here and not a SIGBUS at the touch.
3. What a process keeps mapped *and populated* is bounded (``Residency``): page tables and PSS do not grow with the
   bytes ever read. Pages given up stay in the page cache; a reader that still uses them faults them in again.
"""

from __future__ import annotations

import errno
import mmap
import os
import threading
import weakref
from collections import OrderedDict, deque
from typing import NamedTuple

from ..domain.errors import DriveFault
from .faults import fault_of
from .layout import volume_name
from .libc import MADV_DONTNEED, MADV_POPULATE_READ, address_of, madvise

PAGE_BYTES = mmap.PAGESIZE
#: The kernel maps this much around a fault.
FAULT_AROUND_BYTES = 64 * 1024
MAPPINGS_MAX = 256
RESIDENT_BYTES_MAX = 128 << 20


class Mapping:
    """One volume file, mapped read-only over its apparent size at that time."""

    __slots__ = ("__weakref__", "address", "size", "view")

    def __init__(self, fd: int, size: int) -> None:
        self.size = size
        # mmap unmaps itself when the last memoryview of it is gone; it is never closed
        self.view = memoryview(mmap.mmap(fd, size, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ))
        self.address = address_of(self.view)


class _Range(NamedTuple):
    mapping: weakref.ref[Mapping]
    start: int
    stop: int


class Residency:
    """The ranges that a process has populated, given up first in, first out.

    It does not keep a mapping alive: a closed drive can be unmounted.
    """

    def __init__(self, bytes_max: int = RESIDENT_BYTES_MAX) -> None:
        self.bytes_max = bytes_max
        self.bytes = 0
        self._ranges: deque[_Range] = deque()
        self._lock = threading.Lock()

    def add(self, mapping: Mapping, start: int, stop: int) -> None:
        """Count a populated range and give up the oldest above the bound."""
        start -= start % FAULT_AROUND_BYTES
        stop = min(stop + -stop % FAULT_AROUND_BYTES, mapping.size)
        for oldest in self._push(_Range(weakref.ref(mapping), start, stop)):
            old = oldest.mapping()
            if old is not None:
                madvise(old.address + oldest.start, oldest.stop - oldest.start, MADV_DONTNEED)

    def _push(self, added: _Range) -> list[_Range]:
        dropped = []
        with self._lock:
            self._ranges.append(added)
            self.bytes += added.stop - added.start
            while self.bytes > self.bytes_max and len(self._ranges) > 1:
                oldest = self._ranges.popleft()
                self.bytes -= oldest.stop - oldest.start
                dropped.append(oldest)
        return dropped


#: Shared by all drives of the process.
RESIDENCY = Residency()


class Mappings:
    """The mapped volumes of one drive, least recently used dropped first."""

    def __init__(self, directory_fd: int, path: str, residency: Residency = RESIDENCY) -> None:
        self._directory_fd = directory_fd
        self._path = path
        self._residency = residency
        self._mappings: OrderedDict[int, Mapping] = OrderedDict()
        self._lock = threading.Lock()
        #: False on a kernel without ``MADV_POPULATE_READ``.
        self.can_populate = True

    def read(self, volume: int, offset: int, length: int) -> memoryview | None:
        """The range, populated; None where the kernel cannot populate.

        :raises DriveFault: the volume is missing or too short, or the device failed
        """
        mapping = self._mapping(volume, offset + length)
        start = offset - offset % PAGE_BYTES
        try:
            madvise(mapping.address + start, offset + length - start, MADV_POPULATE_READ)
        except OSError as error:
            if error.errno == errno.EINVAL:
                self.can_populate = False
                return None
            raise fault_of(error, f"read {volume_name(volume)} at {offset}", self._path) from error
        self._residency.add(mapping, start, offset + length)
        return mapping.view[offset : offset + length]

    def _mapping(self, volume: int, stop: int) -> Mapping:
        with self._lock:
            mapping = self._mappings.get(volume)
            if mapping is None or mapping.size < stop:
                mapping = self._mappings[volume] = self._map(volume, stop)
                if len(self._mappings) > MAPPINGS_MAX:
                    self._mappings.popitem(last=False)
            self._mappings.move_to_end(volume)
            return mapping

    def _map(self, volume: int, stop: int) -> Mapping:
        name = volume_name(volume)
        try:
            fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._directory_fd)
            try:
                size = os.fstat(fd).st_size
                if size < stop:
                    raise DriveFault(f"{self._path}: volume {name} ends at {size}, before {stop}", path=self._path)
                return Mapping(fd, size)
            finally:
                os.close(fd)
        except OSError as error:
            raise fault_of(error, f"map {name}", self._path) from error

    def forget(self, volume: int) -> None:
        """The volume goes away; its mapping lives as long as a reader holds a slice."""
        with self._lock:
            self._mappings.pop(volume, None)

    def clear(self) -> None:
        with self._lock:
            self._mappings.clear()
