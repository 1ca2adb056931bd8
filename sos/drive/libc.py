"""The system calls that Python does not offer, or offers without dropping the GIL."""

from __future__ import annotations

import ctypes
import errno
import os

FALLOC_KEEP_SIZE = 1
FALLOC_PUNCH_HOLE = 2
MADV_DONTNEED = 4
MADV_HUGEPAGE = 14
MADV_POPULATE_READ = 22

_libc = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
_libc.madvise.argtypes = (ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int)


def fallocate(fd: int, mode: int, offset: int, length: int) -> None:
    """fallocate(2), never glibc's emulation by writing.

    :raises OSError: also ``EOPNOTSUPP`` where the file system cannot
    """
    while _libc.fallocate(fd, mode, offset, length) != 0:
        code = ctypes.get_errno()
        if code != errno.EINTR:
            raise OSError(code, os.strerror(code))


def madvise(address: int, length: int, advice: int) -> None:
    """madvise(2) without the GIL, so that a page fault on a slow drive stops one thread only.

    :raises OSError: for ``MADV_POPULATE_READ`` ``EFAULT`` (the device failed, or the range is beyond the file),
        ``EHWPOISON``, ``EINVAL`` on a kernel before 5.14
    """
    while _libc.madvise(address, length, advice) != 0:
        code = ctypes.get_errno()
        if code not in (errno.EINTR, errno.EAGAIN):
            raise OSError(code, os.strerror(code))


def mapped_at(path: str) -> int:
    """Where this process has mapped a file (its first mapping), 0 where it has not."""
    info = os.stat(path)
    device = f"{os.major(info.st_dev):02x}:{os.minor(info.st_dev):02x}"
    with open("/proc/self/maps", encoding="ascii", errors="replace") as maps:
        for line in maps:
            fields = line.split(maxsplit=5)
            if fields[3] == device and fields[4] == str(info.st_ino) and fields[2] == "00000000":
                return int(fields[0].partition("-")[0], 16)
    return 0
