"""The volume files of one drive: FORMAT.md §5.

Invariants:

1. Blocks are reserved (``allocate``) before they are written, so a full disk is an error of ``allocate``.
2. After a failed ``sync`` a volume is sealed: nothing is written, reserved or synced in it by this process again,
   since the kernel may have dropped the dirty pages and would report success the next time.
3. A file descriptor is closed only when no call uses it: calls hold a reference to its ``File``, and to the directory's ``Descriptor``.
"""

from __future__ import annotations

import errno
import mmap
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress

from ..domain.errors import DriveFault, DriveFull
from .descriptor import Descriptor, File
from .engine import Space
from .faults import VolumeLost, fault_of
from .layout import UNIT_BYTES, VOLUME_BYTES, volume_name, volume_number
from .libc import FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE, fallocate
from .mapping import Mappings

FILES_MAX = 128
#: Buffers of one pwritev (IOV_MAX).
BUFFERS_MAX = 1024
BLOCK_BYTES = 512  # unit of st_blocks


class Volumes:
    """All volumes in the directory of one drive. Safe for several threads."""

    def __init__(self, directory: str, path: str) -> None:
        """
        :param path: the drive's directory, for messages
        :raises DriveFault: the directory cannot be opened
        """
        self._path = path
        #: Free bytes of the file system that ``allocate`` leaves.
        self.reserve_bytes = 0
        self._files: OrderedDict[int, File] = OrderedDict()
        self._readers: OrderedDict[int, File] = OrderedDict()
        self._sealed: set[int] = set()
        self._lost: set[int] = set()
        self._lock = threading.Lock()
        self.suspected = False
        try:
            # names are resolved from here, so an unmounted drive is an error and not the directory below it
            fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise fault_of(error, "open volumes", path) from error
        self._directory: Descriptor | None = Descriptor(fd)
        self._mappings = Mappings(self._root, path)

    def _root(self) -> Descriptor:
        """:raises DriveFault: the drive was closed"""
        directory = self._directory
        if directory is None:
            raise DriveFault(f"{self._path}: closed", path=self._path)
        return directory

    # -- writing -----------------------------------------------------------------------------------

    def create(self, volume: int, size: int) -> None:
        """:raises FileExistsError: the volume exists"""
        name, root = volume_name(volume), self._root()
        try:
            file = self._open(root, name, os.O_RDWR | os.O_CREAT | os.O_EXCL)
            os.ftruncate(file.fd, size)
            os.fsync(file.fd)
            os.fsync(root.fd)
        except FileExistsError:
            raise
        except OSError as error:
            raise fault_of(error, f"create volume {name}", self._path) from error
        self._keep(self._files, volume, file)

    def allocate(self, volume: int, offset: int, length: int) -> None:
        """:raises DriveFull: no space, or the reserve would be touched"""
        if self.space().free - length < self.reserve_bytes:
            raise DriveFull(f"{self._path}: {length} bytes would touch the reserve", path=self._path)
        file = self._writable(volume, offset + length)
        try:
            fallocate(file.fd, 0, offset, length)
        except OSError as error:
            if error.errno != errno.EOPNOTSUPP:
                raise fault_of(error, f"allocate in {volume_name(volume)}", self._path) from error

    def write(self, volume: int, offset: int, buffers: Sequence[memoryview]) -> None:
        """:raises ValueError: offset or a length is not a multiple of 4096"""
        if offset % UNIT_BYTES or any(len(buffer) % UNIT_BYTES for buffer in buffers):
            raise ValueError("offset and lengths of a write are multiples of 4096")
        file = self._writable(volume)
        try:
            for first in range(0, len(buffers), BUFFERS_MAX):
                offset = self._write_all(volume, file, offset, list(buffers[first : first + BUFFERS_MAX]))
        except OSError as error:
            raise fault_of(error, f"write {volume_name(volume)} at {offset}", self._path) from error

    def _write_all(self, volume: int, file: File, offset: int, buffers: list[memoryview]) -> int:
        """Write all of ``buffers``, going on after a short write; the offset behind them."""
        while buffers:
            try:
                done = os.pwritev(file.fd, buffers, offset)
            except OSError as error:
                if error.errno != errno.EINVAL or not file.direct:
                    raise
                # a file system or buffers that O_DIRECT does not like
                file = self._reopen_buffered(volume)
                continue
            offset += done
            while buffers and done >= len(buffers[0]):
                done -= len(buffers.pop(0))
            if done:
                buffers[0] = buffers[0][done:]
        return offset

    def sync(self, volume: int) -> None:
        """fdatasync. A failure seals the volume.

        :raises DriveFault: the device failed, or the file was removed
        """
        file = self._writable(volume)
        try:
            os.fdatasync(file.fd)
            removed = os.fstat(file.fd).st_nlink == 0
        except OSError as error:
            self._seal(volume)
            raise fault_of(error, f"sync {volume_name(volume)}", self._path) from error
        if removed:
            self._seal(volume)
            self._lost.add(volume)
            raise VolumeLost(f"{self._path}: volume {volume_name(volume)} was removed", path=self._path)

    def _seal(self, volume: int) -> None:
        with self._lock:
            self._sealed.add(volume)
            self._files.pop(volume, None)

    def punch(self, volume: int, offset: int, length: int) -> None:
        """Give blocks back; nothing to do where the file does not exist."""
        name, root = volume_name(volume), self._root()
        try:
            fd = os.open(name, os.O_RDWR | os.O_CLOEXEC, dir_fd=root.fd)
        except FileNotFoundError:
            return
        except OSError as error:
            raise fault_of(error, f"punch {name}", self._path) from error
        try:
            fallocate(fd, FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE, offset, length)
        except OSError as error:
            raise fault_of(error, f"punch {name}", self._path) from error
        finally:
            os.close(fd)

    def remove(self, volume: int) -> None:
        """Unlink; readers keep what they have mapped."""
        name, root = volume_name(volume), self._root()
        self._mappings.forget(volume)
        with self._lock:
            self._files.pop(volume, None)
            self._readers.pop(volume, None)
        try:
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=root.fd)
            os.fsync(root.fd)
        except OSError as error:
            raise fault_of(error, f"remove {name}", self._path) from error

    # -- reading -----------------------------------------------------------------------------------

    def read(self, volume: int, offset: int, length: int, sequential: bool = False) -> memoryview:
        """Mapped and populated; by pread on a suspected drive or an old kernel.

        The page cache holds pages of up to 2 MiB, all of which fails where one sector of it does: what cannot be read
        through it is tried once more past it, the range and no more.
        """
        try:
            return self._read_cached(volume, offset, length, sequential)
        except VolumeLost:
            raise
        except DriveFault:
            return self._read_direct(volume, offset, length)

    def _read_cached(self, volume: int, offset: int, length: int, sequential: bool) -> memoryview:
        if not self.suspected and self._mappings.can_populate:
            view = self._mappings.read(volume, offset, length, sequential)
            if view is not None:
                return view
        return self._read_copy(volume, offset, length)

    def _read_copy(self, volume: int, offset: int, length: int) -> memoryview:
        return self._fill(volume, offset, memoryview(bytearray(length)), length, self._readable).toreadonly()

    def _read_direct(self, volume: int, offset: int, length: int) -> memoryview:
        """Past the page cache, where the file system can."""
        first = offset - offset % UNIT_BYTES
        wanted = offset + length - first
        # O_DIRECT asks for whole units in memory that is aligned to them, as mapped memory is
        view = memoryview(mmap.mmap(-1, wanted + -wanted % UNIT_BYTES))
        opened = self._fill(volume, first, view, wanted, lambda _: self._open(self._root(), volume_name(volume), os.O_RDONLY))
        return opened[offset - first : wanted].toreadonly()

    def _fill(
        self, volume: int, offset: int, view: memoryview, wanted: int, opened: Callable[[int], File]
    ) -> memoryview:
        """Read into ``view``, of which ``wanted`` bytes are needed."""
        name = volume_name(volume)
        done = 0
        try:
            file = opened(volume)
            while done < wanted:
                count = os.preadv(file.fd, [view[done:]], offset + done)
                if count == 0:
                    raise VolumeLost(f"{self._path}: volume {name} ends before {offset + wanted}", path=self._path)
                done += count
        except FileNotFoundError as error:
            raise VolumeLost(f"{self._path}: no volume {name}", path=self._path) from error
        except OSError as error:
            raise fault_of(error, f"read {name} at {offset}", self._path) from error
        return view

    def sizes(self) -> dict[int, int]:
        """Volume → bytes of its blocks. Other files in the directory are left out."""
        sizes: dict[int, int] = {}
        root = self._root()
        try:
            with os.scandir(root.fd) as entries:
                for entry in entries:
                    volume = volume_number(entry.name)
                    if volume is not None:
                        sizes[volume] = os.stat(entry.name, dir_fd=root.fd).st_blocks * BLOCK_BYTES
        except OSError as error:
            raise fault_of(error, "list volumes", self._path) from error
        return sizes

    def space(self) -> Space:
        root = self._root()
        try:
            status = os.fstatvfs(root.fd)
        except OSError as error:
            raise fault_of(error, "statvfs", self._path) from error
        return Space(status.f_blocks * status.f_frsize, status.f_bavail * status.f_frsize)

    def close(self) -> None:
        """Idempotent. Slices that were handed out stay valid."""
        self._directory = None
        with self._lock:
            self._files.clear()
            self._readers.clear()
        self._mappings.clear()

    # -- descriptors -------------------------------------------------------------------------------

    def _open(self, root: Descriptor, name: str, flags: int) -> File:
        """Open with O_DIRECT, or without where the file system refuses it."""
        flags |= os.O_CLOEXEC
        try:
            return File(os.open(name, flags | os.O_DIRECT, 0o600, dir_fd=root.fd), True)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
        # the refused open may have created the file already
        return File(os.open(name, flags & ~os.O_EXCL, 0o600, dir_fd=root.fd), False)

    def _writable(self, volume: int, stop: int = 0) -> File:
        """The descriptor for writing; with ``stop`` the file is made, and made long enough, where it is not."""
        with self._lock:
            if volume in self._sealed:
                kind = VolumeLost if volume in self._lost else DriveFault
                raise kind(f"{self._path}: volume {volume_name(volume)} is sealed", path=self._path)
            file = self._files.get(volume)
            if file is not None:
                self._files.move_to_end(volume)
        try:
            if file is None:
                file = self._attach(volume, create=stop > 0)
            if stop and os.fstat(file.fd).st_size < stop:
                os.ftruncate(file.fd, max(stop, VOLUME_BYTES))
        except FileNotFoundError as error:
            raise VolumeLost(f"{self._path}: no volume {volume_name(volume)}", path=self._path) from error
        except OSError as error:
            raise fault_of(error, f"open volume {volume_name(volume)}", self._path) from error
        return file

    def _attach(self, volume: int, create: bool) -> File:
        """Open a volume that this process has not open."""
        name, root = volume_name(volume), self._root()
        try:
            file = self._open(root, name, os.O_RDWR)
        except FileNotFoundError:
            if not create:
                raise
            file = self._open(root, name, os.O_RDWR | os.O_CREAT)
            os.fsync(root.fd)
        return self._keep(self._files, volume, file)

    def _reopen_buffered(self, volume: int) -> File:
        root = self._root()
        file = File(os.open(volume_name(volume), os.O_RDWR | os.O_CLOEXEC, dir_fd=root.fd), False)
        with self._lock:
            self._files[volume] = file
        return file

    def _readable(self, volume: int) -> File:
        with self._lock:
            file = self._readers.get(volume)
            if file is not None:
                return file
        root = self._root()
        fd = os.open(volume_name(volume), os.O_RDONLY | os.O_CLOEXEC, dir_fd=root.fd)
        return self._keep(self._readers, volume, File(fd, False))

    def _keep(self, files: OrderedDict[int, File], volume: int, file: File) -> File:
        """Remember a descriptor unless another thread was first, or the drive was closed meanwhile."""
        with self._lock:
            self._root()
            kept = files.setdefault(volume, file)
            files.move_to_end(volume)
            if len(files) > FILES_MAX:
                files.popitem(last=False)
        return kept
