"""Work that opens drives, done before the workers exist and outside the supervisor.

A short-lived child looks at the drives, forms the deployment and takes the drives' locks; it hands back a description and
the locked descriptors. The supervisor holds those and never touches a drive: one that hangs cannot hang it.
"""

from __future__ import annotations

import array
import os
import socket
import time
from collections.abc import Callable, Sequence

from .processes import spawn

#: The kernel takes at most 253 descriptors in one message (SCM_MAX_FD).
FDS_MAX = 200
#: For the child to go once its work is done, unless a thread of it hangs in the kernel.
DEATH_S = 1.0


class BootFailed(Exception):
    """The drives cannot be served; the text is for the operator."""


Work = Callable[[], tuple[bytes, Sequence[int]]]

_FDS, _DONE, _FAILED = b"f", b"d", b"x"


def in_child(
    work: Work,
    patience_s: float,
    expected: tuple[type[Exception], ...],
    meanwhile: Callable[[], None] | None = None,
) -> tuple[bytes, list[int]]:
    """What ``work`` returns in a child process: bytes and open descriptors.

    The end of the child is not waited for long: a thread of it may hang on a drive for ever.

    :param patience_s: how long the child may take, once ``meanwhile`` has returned
    :param expected: errors whose text is meant for the operator
    :param meanwhile: done here while the child works
    :raises BootFailed: ``work`` raised, died or took too long
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    memory = os.memfd_create("sos-boot", os.MFD_CLOEXEC)
    fds: list[int] = []
    try:
        child = spawn(lambda: _work(work, theirs, memory, expected))
        theirs.close()
        try:
            if meanwhile is not None:
                meanwhile()
            verdict = _receive(ours, fds, patience_s)
        finally:
            child.end(DEATH_S)
        text = os.pread(memory, os.fstat(memory).st_size, 0)
    finally:
        ours.close()
        os.close(memory)
    if verdict == _DONE:
        return text, fds
    for fd in fds:
        os.close(fd)
    if verdict == _FAILED:
        raise BootFailed(text.decode(errors="replace"))
    raise BootFailed("looking at the drives failed, see the log" if verdict == b"" else "the drives do not answer")


def _work(work: Work, out: socket.socket, memory: int, expected: tuple[type[Exception], ...]) -> int:
    try:
        text, fds = work()
    except expected as error:
        os.pwrite(memory, str(error).encode(), 0)
        out.send(_FAILED)
        return 1
    os.pwrite(memory, text, 0)
    for at in range(0, len(fds), FDS_MAX):
        socket.send_fds(out, [_FDS], list(fds[at : at + FDS_MAX]))
    out.send(_DONE)
    return 0


def _receive(sock: socket.socket, fds: list[int], patience_s: float) -> bytes | None:
    """How the work ended: done, failed, empty when the child died, None when it takes too long."""
    until_s = time.monotonic() + patience_s
    while True:
        sock.settimeout(max(0.001, until_s - time.monotonic()))
        try:
            data, ancillary, _, _ = sock.recvmsg(1, socket.CMSG_SPACE(FDS_MAX * 4), socket.MSG_CMSG_CLOEXEC)
        except TimeoutError:
            return None
        for level, kind, raw in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                got = array.array("i")
                got.frombytes(raw[: len(raw) - len(raw) % got.itemsize])
                fds += got
        if data != _FDS:
            return data
