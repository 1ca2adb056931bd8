"""Work that opens drives, done before the workers exist and outside the supervisor.

A short-lived child looks at the drives, forms the deployment and takes the drives' locks; it hands back a description and
the locked descriptors. The supervisor holds those and never touches a drive: one that hangs cannot hang it.
"""

from __future__ import annotations

import array
import os
import select
import signal
import socket
from collections.abc import Callable, Sequence

from .processes import spawn

#: The kernel takes at most 253 descriptors in one message (SCM_MAX_FD).
FDS_MAX = 200
TEXT_BYTES_MAX = 1 << 16


class BootFailed(Exception):
    """The drives cannot be served; the text is for the operator."""


Work = Callable[[], tuple[bytes, Sequence[int]]]


def in_child(work: Work, patience_s: float, expected: tuple[type[Exception], ...]) -> tuple[bytes, list[int]]:
    """What ``work`` returns in a child process: bytes and open descriptors.

    :param expected: errors whose text is meant for the operator
    :raises BootFailed: ``work`` raised, died or took too long
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    memory = os.memfd_create("sos-boot", os.MFD_CLOEXEC)
    try:
        child = spawn(lambda: _work(work, theirs, memory, expected))
        theirs.close()
        fds = _receive(ours, child.pidfd, patience_s)
        if fds is None:
            child.send(signal.SIGKILL)
            raise BootFailed(f"the drives did not answer within {patience_s:g} s")
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        code = child.reap()
        text = os.pread(memory, os.fstat(memory).st_size, 0)
    finally:
        ours.close()
        os.close(memory)
    if code:
        _close(fds)
        raise BootFailed(text.decode(errors="replace") or f"looking at the drives failed (exit {code})")
    return text, fds


def _work(work: Work, out: socket.socket, memory: int, expected: tuple[type[Exception], ...]) -> int:
    try:
        text, fds = work()
    except expected as error:
        os.pwrite(memory, str(error).encode()[:TEXT_BYTES_MAX], 0)
        return 1
    os.pwrite(memory, text, 0)
    for at in range(0, len(fds), FDS_MAX):
        socket.send_fds(out, [b"f"], list(fds[at : at + FDS_MAX]))
    return 0


def _receive(sock: socket.socket, pidfd: int, patience_s: float) -> list[int] | None:
    """Descriptors until the child closes its end; None when it takes too long."""
    fds: list[int] = []
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN)
    while poll.poll(patience_s * 1000):
        data, ancillary, _, _ = sock.recvmsg(1, socket.CMSG_SPACE(FDS_MAX * 4), socket.MSG_CMSG_CLOEXEC)
        for level, kind, raw in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                got = array.array("i")
                got.frombytes(raw[: len(raw) - len(raw) % got.itemsize])
                fds += got
        if not data:
            return fds
    _close(fds)
    return None


def _close(fds: Sequence[int]) -> None:
    for fd in fds:
        os.close(fd)
