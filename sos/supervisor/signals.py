"""Signals as a queue: a handler only puts its number in, the supervisor's loop takes it out and acts."""

from __future__ import annotations

import os
import signal
from types import FrameType, TracebackType

HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR2)


class SignalQueue:
    """While entered, the handled signals arrive as bytes on ``fd``, written by the interpreter's own C handler."""

    def __init__(self) -> None:
        self.fd, self._in = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> SignalQueue:
        signal.set_wakeup_fd(self._in, warn_on_full_buffer=False)
        for number in HANDLED:
            self._before[number] = signal.signal(number, _queued)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.set_wakeup_fd(-1)
        for number, before in self._before.items():
            signal.signal(number, before)  # type: ignore[arg-type]
        os.close(self.fd)
        os.close(self._in)

    def take(self) -> list[signal.Signals]:
        """What arrived, in order."""
        try:
            return [signal.Signals(number) for number in os.read(self.fd, 64)]
        except BlockingIOError:
            return []


def _queued(number: int, frame: FrameType | None) -> None:
    """The number is in the queue already."""
