"""Child processes: fork, end with the parent, wait without races."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import select
import signal
import sys
from collections.abc import Callable

log = logging.getLogger("sos.supervisor")

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class Child:
    """One child process, held by a pidfd: a signal can never reach a stranger with a recycled number."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.pidfd = os.pidfd_open(pid)

    def send(self, number: signal.Signals) -> None:
        """No error when it is gone."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, number)

    def reap(self) -> int | None:
        """Exit code, negative signal number, or None while it lives. After an answer the child is forgotten."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid == 0:
            return None
        os.close(self.pidfd)
        return os.waitstatus_to_exitcode(status)

    def end(self, patience_s: float) -> None:
        """Kill it and reap it; one that cannot die is left to the kernel after ``patience_s``."""
        self.send(signal.SIGKILL)
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        if not poll.poll(patience_s * 1000):
            os.close(self.pidfd)
        else:
            self.reap()


def spawn(run: Callable[[], int]) -> Child:
    """Fork; the child runs ``run`` and ends with its result. The child dies with this process."""
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return Child(pid)
    code = 1
    try:
        _end_with(parent)
        _forget_signals()
        code = run()
    except BaseException:  # outermost: nothing of the parent's stack may run in the child
        log.exception("child failed")
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _end_with(parent: int) -> None:
    # SIGKILL and not a drain: whoever restarts the server needs the drives at once, and a kill is always safe
    if _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        os._exit(1)


def _forget_signals() -> None:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # Ctrl-C reaches the whole terminal group, and only the supervisor acts on it; the others get a handler of the
    # child's own once it is up and must not end it before
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
