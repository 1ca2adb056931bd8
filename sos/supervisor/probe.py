"""Which of several drives a worker died of: a child reads each past the page cache, and writes a little.

A device that is gone, or a file system that has shut down, fails every such read; a drive that does not answer in time,
or that hangs in writes only, is taken for bad as well.
"""

from __future__ import annotations

import errno
import mmap
import os
import time
from collections.abc import Iterator, Sequence
from functools import partial

from .processes import Child, spawn

PATIENCE_S = 2.0
DEATH_S = 0.2
READ_BYTES = 65_536
#: Newest volumes of a drive that are sampled.
VOLUMES_MAX = 16
PROBE_FILE = "probe"


def bad_drives(paths: Sequence[str]) -> list[int]:
    """Indices of the drives that fail or do not answer."""
    children = [spawn(partial(_try, path)) for path in paths]
    until_s = time.monotonic() + PATIENCE_S
    return [i for i, child in enumerate(children) if _verdict(child, until_s) != 0]


def _verdict(child: Child, until_s: float) -> int:
    """Exit code of the child; -1 when it did not end in time (killed then)."""
    # at least one look: one that was judged before it may have taken all of the time
    while (code := child.reap()) is None and time.monotonic() < until_s:
        time.sleep(0.005)
    if code is not None:
        return code
    child.end(DEATH_S)
    return -1


def _try(path: str) -> int:
    buffer = mmap.mmap(-1, READ_BYTES)
    try:
        for name in _files(path):
            _sample(name, buffer)
        _write(os.path.join(path, ".sos", PROBE_FILE))
    except OSError as error:
        return 0 if error.errno in (errno.ENOSPC, errno.EDQUOT) else 1
    return 0


def _write(name: str) -> None:
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, b"probe")
        os.fsync(fd)
        os.unlink(name)
    finally:
        os.close(fd)


def _files(path: str) -> Iterator[str]:
    """The identity, the index and the newest volumes."""
    root = os.path.join(path, ".sos")
    yield os.path.join(root, "format.json")
    yield os.path.join(root, "index", "data.mdb")
    volumes = os.path.join(root, "volumes")
    rows = [(entry.stat().st_mtime_ns, entry.path) for entry in os.scandir(volumes)]
    yield from (name for _, name in sorted(rows, reverse=True)[:VOLUMES_MAX])


def _sample(name: str, buffer: mmap.mmap) -> None:
    fd = _open(name)
    try:
        size = os.fstat(fd).st_size
        for offset in {0, size // 2 // READ_BYTES * READ_BYTES}:
            os.preadv(fd, [buffer], offset)
    finally:
        os.close(fd)


def _open(name: str) -> int:
    try:
        return os.open(name, os.O_RDONLY | os.O_DIRECT | os.O_CLOEXEC)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system without O_DIRECT
            raise
        return os.open(name, os.O_RDONLY | os.O_CLOEXEC)
