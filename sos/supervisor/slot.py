"""One worker slot: the process in it now, and the history that decides about the next.

States: waiting (until ``start_at_s``) → booting → serving → ended, and again waiting. A worker that stands still goes
to dying first: its stacks are dumped, then it is killed; if even that does not end it (a thread stuck in the kernel on a
hung drive) it is abandoned and the slot goes on without it.
"""

from __future__ import annotations

import contextlib
import os
import signal
from enum import Enum, auto

from ..worker.run import FAILED, RELOADED, SERVING
from .processes import Child
from .pulse import Silence
from .respawn import Respawn

#: From the request for stacks to the kill.
DUMP_S = 0.2
#: From the kill to the conclusion that the process cannot die.
DEATH_S = 2.0
#: A worker opens its drives and recovers its sets before it beats like one that serves.
BOOT_SILENCE_S = 120.0
REPORT_BYTES_MAX = 4096


class Phase(Enum):
    WAITING = auto()
    BOOTING = auto()
    SERVING = auto()
    DUMPING = auto()
    DYING = auto()
    ENDED = auto()


class Slot:
    """Bookkeeping of one slot; the supervisor acts on it."""

    def __init__(self, number: int, look_s: float) -> None:
        self.number = number
        self.phase = Phase.ENDED
        self.child: Child | None = None
        self.report_fd = -1
        self.start_at_s = 0.0
        self.next_at_s = 0.0
        self.had_served = False
        self.reloaded = True
        self.failure = ""
        self.history = Respawn()
        self._look_s = look_s
        self.silence = Silence(2 * look_s)

    def booting(self, child: Child, report_fd: int) -> None:
        self.child, self.report_fd = child, report_fd
        self.phase, self.had_served, self.reloaded, self.failure = Phase.BOOTING, False, True, ""
        self.silence = Silence(2 * self._look_s)

    def hear(self) -> None:
        """Take what the worker told; it never blocks."""
        try:
            data = os.read(self.report_fd, REPORT_BYTES_MAX)
        except BlockingIOError:
            return
        while data:
            kind, data = data[:1], data[1:]
            if kind == SERVING:
                self.had_served = True
                self.history.served()
                if self.phase is Phase.BOOTING:
                    self.phase = Phase.SERVING
            elif kind == RELOADED:
                self.reloaded = True
            elif kind == FAILED:
                self.failure, data = data.decode(errors="replace"), b""

    def dump(self, now_s: float) -> None:
        """Ask for the stacks of a worker that stands still, as a last word."""
        assert self.child is not None
        self.child.send(signal.SIGQUIT)
        self.phase, self.next_at_s = Phase.DUMPING, now_s + DUMP_S

    def kill(self, now_s: float) -> None:
        assert self.child is not None
        self.child.send(signal.SIGKILL)
        self.phase, self.next_at_s = Phase.DYING, now_s + DEATH_S

    def ended(self) -> None:
        """The process is reaped or abandoned."""
        self.child, self.phase, self.reloaded = None, Phase.ENDED, True
        if self.report_fd >= 0:
            with contextlib.suppress(OSError):
                os.close(self.report_fd)
            self.report_fd = -1

    def wait_until(self, at_s: float) -> None:
        self.phase, self.start_at_s = Phase.WAITING, at_s

    def is_silent(self, beat: int, now_s: float, limit_s: float) -> bool:
        """Whether a booting or serving worker has stood still for too long."""
        silent_s = self.silence.look(beat, now_s)
        return silent_s > (limit_s if self.phase is Phase.SERVING else max(limit_s, BOOT_SILENCE_S))

    def deadline_s(self) -> float | None:
        """When the supervisor must act without an event."""
        if self.phase is Phase.WAITING:
            return self.start_at_s
        return self.next_at_s if self.phase in (Phase.DUMPING, Phase.DYING) else None
