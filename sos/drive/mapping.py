"""Volumes mapped for reading.

Invariants:

1. A mapping is never unmapped under a reader: a slice keeps the mapping alive, dropping a mapping only drops a
   reference.
2. A range is populated by the kernel (``MADV_POPULATE_READ``) before it is handed out, so a device error is an
   error here and not a SIGBUS at the touch.
3. A volume is mapped twice: for reads here and there, and for long runs, where the kernel is asked for huge pages: it
   then fetches 2 MiB and more at a time from the device, and one fault maps as much of what it holds in such pages
   (page by page, that was a quarter of the CPU of a GET). A read of some kilobytes must not fetch megabytes.
4. What a process keeps mapped *and populated* is bounded (``Residency``): page tables and PSS do not grow with the
   bytes ever read. Pages given up stay in the page cache; a reader that still uses them faults them in again.
"""

from __future__ import annotations

import errno
import mmap
import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextlib import suppress

from ..base.addresses import address_of
from .descriptor import Descriptor
from .faults import VolumeLost, fault_of
from .layout import volume_name
from .libc import MADV_DONTNEED, MADV_HUGEPAGE, MADV_POPULATE_READ, madvise

PAGE_BYTES = mmap.PAGESIZE
#: Populated memory is counted in windows of this size: a huge page, which one fault maps where the page cache holds one.
WINDOW_BYTES = 2 << 20
MAPPINGS_MAX = 256
RESIDENT_BYTES_MAX = 64 << 20


class Mapping:
    """One volume file, mapped read-only over its apparent size at that time."""

    __slots__ = ("__weakref__", "address", "reference", "size", "view")

    def __init__(self, fd: int, size: int, sequential: bool) -> None:
        self.size = size
        # mmap unmaps itself when the last memoryview of it is gone; it is never closed
        self.view = memoryview(mmap.mmap(fd, size, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ))
        self.address = address_of(self.view)
        self.reference = weakref.ref(self)
        if sequential:
            with suppress(OSError):  # a kernel without huge pages
                madvise(self.address, size, MADV_HUGEPAGE)


class Residency:
    """What a process has populated, in windows; the least recently read is given up first.

    It does not keep a mapping alive: a closed drive can be unmounted.
    """

    def __init__(self, bytes_max: int = RESIDENT_BYTES_MAX) -> None:
        self._windows_max = bytes_max // WINDOW_BYTES
        self._windows: OrderedDict[tuple[weakref.ref[Mapping], int], None] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, mapping: Mapping, start: int, stop: int) -> None:
        """Note that a range was populated, and give up what is above the bound."""
        wanted = range(start // WINDOW_BYTES, -(-stop // WINDOW_BYTES))
        self._give_up(self._touch(mapping.reference, wanted))

    @staticmethod
    def _give_up(windows: Iterable[tuple[weakref.ref[Mapping], int]]) -> None:
        for reference, window in windows:
            old = reference()
            if old is not None:
                first = window * WINDOW_BYTES
                madvise(old.address + first, min(WINDOW_BYTES, old.size - first), MADV_DONTNEED)

    def release(self) -> None:
        """Give up everything."""
        with self._lock:
            given_up = list(self._windows)
            self._windows.clear()
        self._give_up(given_up)

    def _touch(self, mapping: weakref.ref[Mapping], wanted: range) -> list[tuple[weakref.ref[Mapping], int]]:
        windows = self._windows
        with self._lock:
            for window in wanted:
                windows[mapping, window] = None
                windows.move_to_end((mapping, window))
            bound = max(self._windows_max, len(wanted))
            return [windows.popitem(last=False)[0] for _ in range(len(windows) - bound)]


#: Shared by all drives of the process.
RESIDENCY = Residency()


class Mappings:
    """The mapped volumes of one drive, least recently used dropped first."""

    def __init__(
        self, directory: Callable[[], Descriptor], path: str, residency: Residency = RESIDENCY
    ) -> None:
        """:param directory: where the files are; raises DriveFault once the drive is closed"""
        self._directory = directory
        self._path = path
        self._residency = residency
        self._mappings: OrderedDict[tuple[int, bool], Mapping] = OrderedDict()
        self._lock = threading.Lock()
        #: False on a kernel without ``MADV_POPULATE_READ``.
        self.can_populate = True

    def read(self, volume: int, offset: int, length: int, sequential: bool) -> memoryview | None:
        """The range, populated; None where the kernel cannot populate.

        :param sequential: see ``DriveEngine.read``
        :raises DriveFault: the volume is missing or too short, or the device failed
        """
        mapping = self._mapping(volume, sequential, offset + length)
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

    def _mapping(self, volume: int, sequential: bool, stop: int) -> Mapping:
        key = volume, sequential
        with self._lock:
            mapping = self._mappings.get(key)
            if mapping is None or mapping.size < stop:
                mapping = self._mappings[key] = self._map(volume, sequential, stop)
                if len(self._mappings) > MAPPINGS_MAX:
                    self._mappings.popitem(last=False)
            self._mappings.move_to_end(key)
            return mapping

    def _map(self, volume: int, sequential: bool, stop: int) -> Mapping:
        name, root = volume_name(volume), self._directory()
        try:
            fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=root.fd)
            try:
                size = os.fstat(fd).st_size
                if size < stop:
                    raise VolumeLost(f"{self._path}: volume {name} ends at {size}, before {stop}", path=self._path)
                return Mapping(fd, size, sequential)
            finally:
                os.close(fd)
        except FileNotFoundError as error:
            raise VolumeLost(f"{self._path}: no volume {name}", path=self._path) from error
        except OSError as error:
            raise fault_of(error, f"map {name}", self._path) from error

    def forget(self, volume: int) -> None:
        """The volume goes away; its mapping lives as long as a reader holds a slice."""
        with self._lock:
            for sequential in (False, True):
                self._mappings.pop((volume, sequential), None)

    def clear(self) -> None:
        with self._lock:
            self._mappings.clear()
