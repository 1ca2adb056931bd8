"""The volume files of one drive: FORMAT.md §5.

Invariants:

1. Blocks are reserved (``allocate``) before they are written, so a full disk is an error of ``allocate``.
2. After a failed ``sync`` a volume is sealed: nothing is written, reserved or synced in it by this process again,
   since the kernel may have dropped the dirty pages and would report success the next time.
3. A file descriptor is closed only when no call uses it: calls hold a reference to its ``_File``.
"""

from __future__ import annotations

import errno
import os
import threading
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress

from ..domain.errors import DriveFault, DriveFull
from .engine import Space
from .faults import fault_of
from .layout import UNIT_BYTES, VOLUME_BYTES, volume_name, volume_number
from .libc import FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE, fallocate
from .mapping import Mappings

FILES_MAX = 128
#: Buffers of one pwritev (IOV_MAX).
BUFFERS_MAX = 1024
BLOCK_BYTES = 512  # unit of st_blocks


class _File:
    """A descriptor that is closed with its last reference."""

    __slots__ = ("direct", "fd")

    def __init__(self, fd: int, direct: bool) -> None:
        self.fd = fd
        self.direct = direct

    def __del__(self) -> None:
        os.close(self.fd)


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
        self._files: OrderedDict[int, _File] = OrderedDict()
        self._readers: OrderedDict[int, _File] = OrderedDict()
        self._sealed: set[int] = set()
        self._lock = threading.Lock()
        self.suspected = False
        try:
            # names are resolved from here, so an unmounted drive is an error and not the directory below it
            self._directory_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise fault_of(error, "open volumes", path) from error
        self._mappings = Mappings(self._directory_fd, path)

    # -- writing -----------------------------------------------------------------------------------

    def create(self, volume: int, size: int) -> None:
        """:raises FileExistsError: the volume exists"""
        name = volume_name(volume)
        try:
            file = self._open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL)
            os.ftruncate(file.fd, size)
            os.fsync(file.fd)
            os.fsync(self._directory_fd)
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

    def _write_all(self, volume: int, file: _File, offset: int, buffers: list[memoryview]) -> int:
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
            raise DriveFault(f"{self._path}: volume {volume_name(volume)} was removed", path=self._path)

    def _seal(self, volume: int) -> None:
        with self._lock:
            self._sealed.add(volume)
            self._files.pop(volume, None)

    def punch(self, volume: int, offset: int, length: int) -> None:
        """Give blocks back; nothing to do where the file does not exist."""
        name = volume_name(volume)
        try:
            fd = os.open(name, os.O_RDWR | os.O_CLOEXEC, dir_fd=self._directory_fd)
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
        name = volume_name(volume)
        self._mappings.forget(volume)
        with self._lock:
            self._files.pop(volume, None)
            self._readers.pop(volume, None)
        try:
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=self._directory_fd)
            os.fsync(self._directory_fd)
        except OSError as error:
            raise fault_of(error, f"remove {name}", self._path) from error

    # -- reading -----------------------------------------------------------------------------------

    def read(self, volume: int, offset: int, length: int) -> memoryview:
        """Mapped and populated; by pread on a suspected drive or an old kernel."""
        if not self.suspected and self._mappings.can_populate:
            view = self._mappings.read(volume, offset, length)
            if view is not None:
                return view
        return self._read_copy(volume, offset, length)

    def _read_copy(self, volume: int, offset: int, length: int) -> memoryview:
        name = volume_name(volume)
        view = memoryview(bytearray(length))
        done = 0
        try:
            file = self._readable(volume)
            while done < length:
                count = os.preadv(file.fd, [view[done:]], offset + done)
                if count == 0:
                    raise DriveFault(f"{self._path}: volume {name} ends before {offset + length}", path=self._path)
                done += count
        except OSError as error:
            raise fault_of(error, f"read {name} at {offset}", self._path) from error
        return view.toreadonly()

    def sizes(self) -> dict[int, int]:
        """Volume → bytes of its blocks. Other files in the directory are left out."""
        sizes = {}
        try:
            with os.scandir(self._directory_fd) as entries:
                for entry in entries:
                    volume = volume_number(entry.name)
                    if volume is not None:
                        sizes[volume] = os.stat(entry.name, dir_fd=self._directory_fd).st_blocks * BLOCK_BYTES
        except OSError as error:
            raise fault_of(error, "list volumes", self._path) from error
        return sizes

    def space(self) -> Space:
        try:
            status = os.fstatvfs(self._directory_fd)
        except OSError as error:
            raise fault_of(error, "statvfs", self._path) from error
        return Space(status.f_blocks * status.f_frsize, status.f_bavail * status.f_frsize)

    def close(self) -> None:
        """Idempotent. Slices that were handed out stay valid."""
        with self._lock:
            self._files.clear()
            self._readers.clear()
            fd, self._directory_fd = self._directory_fd, -1
        self._mappings.clear()
        if fd >= 0:
            os.close(fd)

    # -- descriptors -------------------------------------------------------------------------------

    def _open(self, name: str, flags: int) -> _File:
        """Open with O_DIRECT, or without where the file system refuses it."""
        flags |= os.O_CLOEXEC
        try:
            return _File(os.open(name, flags | os.O_DIRECT, 0o600, dir_fd=self._directory_fd), True)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
        # the refused open may have created the file already
        return _File(os.open(name, flags & ~os.O_EXCL, 0o600, dir_fd=self._directory_fd), False)

    def _writable(self, volume: int, stop: int = 0) -> _File:
        """The descriptor for writing; with ``stop`` the file is made, and made long enough, where it is not."""
        with self._lock:
            if volume in self._sealed:
                raise DriveFault(f"{self._path}: volume {volume_name(volume)} is sealed", path=self._path)
            file = self._files.get(volume)
            if file is not None:
                self._files.move_to_end(volume)
        try:
            if file is None:
                file = self._attach(volume, create=stop > 0)
            if stop and os.fstat(file.fd).st_size < stop:
                os.ftruncate(file.fd, max(stop, VOLUME_BYTES))
        except OSError as error:
            raise fault_of(error, f"open volume {volume_name(volume)}", self._path) from error
        return file

    def _attach(self, volume: int, create: bool) -> _File:
        """Open a volume that this process has not open."""
        name = volume_name(volume)
        try:
            file = self._open(name, os.O_RDWR)
        except FileNotFoundError:
            if not create:
                raise
            file = self._open(name, os.O_RDWR | os.O_CREAT)
            os.fsync(self._directory_fd)
        return self._keep(self._files, volume, file)

    def _reopen_buffered(self, volume: int) -> _File:
        fd = os.open(volume_name(volume), os.O_RDWR | os.O_CLOEXEC, dir_fd=self._directory_fd)
        file = _File(fd, False)
        with self._lock:
            self._files[volume] = file
        return file

    def _readable(self, volume: int) -> _File:
        with self._lock:
            file = self._readers.get(volume)
            if file is not None:
                return file
        fd = os.open(volume_name(volume), os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._directory_fd)
        return self._keep(self._readers, volume, _File(fd, False))

    def _keep(self, files: OrderedDict[int, _File], volume: int, file: _File) -> _File:
        """Remember a descriptor unless another thread was first."""
        with self._lock:
            kept = files.setdefault(volume, file)
            files.move_to_end(volume)
            if len(files) > FILES_MAX:
                files.popitem(last=False)
        return kept
