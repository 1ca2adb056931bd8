"""How fast a drive's file system takes and gives data, measured on it: a file without a name, past the page cache."""

from __future__ import annotations

import mmap
import os
import time
from collections.abc import Callable
from typing import NamedTuple

from .layout import ROOT, UNIT_BYTES

#: Left free, whatever is asked for.
SPARE_SHARE = 0.05


class DriveSpeed(NamedTuple):
    """Bytes per second."""

    write: int
    read: int


class Stopped(Exception):
    """Nobody waits for the result any more."""


def measure(path: str, block_bytes: int, file_bytes: int, stopped: Callable[[], bool]) -> DriveSpeed:
    """Write a file in blocks, sync it, read it again. Blocking, for as long as the drive takes.

    :param path: of the drive
    :raises Stopped:
    :raises OSError: the drive fails, or has no room
    """
    block = max(UNIT_BYTES, block_bytes // UNIT_BYTES * UNIT_BYTES)
    count = max(1, file_bytes // block)
    space = os.statvfs(path)
    if block * count > space.f_bavail * space.f_frsize * (1 - SPARE_SHARE):
        raise OSError(28, f"less than {block * count} bytes are free")
    fd = _open(os.path.join(path, ROOT))
    memory = mmap.mmap(-1, block)  # page-aligned, as O_DIRECT wants it
    try:
        memory.write(os.urandom(min(block, 1 << 20)) * (block // min(block, 1 << 20)))
        return DriveSpeed(_write(fd, memory, count, stopped), _read(fd, memory, count, stopped))
    finally:
        memory.close()
        os.close(fd)


def _open(directory: str) -> int:
    """Without a name, so that nothing is left whatever happens; without O_DIRECT where the file system has none."""
    flags = os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC
    try:
        return os.open(directory, flags | os.O_DIRECT, 0o600)
    except OSError:
        return os.open(directory, flags, 0o600)


def _write(fd: int, memory: mmap.mmap, count: int, stopped: Callable[[], bool]) -> int:
    began = time.perf_counter()
    for i in range(count):
        if stopped():
            raise Stopped()
        if os.pwrite(fd, memory, i * len(memory)) != len(memory):
            raise OSError(28, "the drive took a part of a block only")
    os.fdatasync(fd)
    return _rate(count * len(memory), began)


def _read(fd: int, memory: mmap.mmap, count: int, stopped: Callable[[], bool]) -> int:
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    began = time.perf_counter()
    for i in range(count):
        if stopped():
            raise Stopped()
        if os.preadv(fd, [memory], i * len(memory)) != len(memory):
            raise OSError(5, "the drive gave a part of a block only")
    return _rate(count * len(memory), began)


def _rate(count: int, began: float) -> int:
    return int(count / max(time.perf_counter() - began, 1e-9))
