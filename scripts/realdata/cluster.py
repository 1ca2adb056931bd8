"""The server under test, and what is done to it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from tests.kit import devices
from tests.kit.server import Server

from .show import Show

DRIVES = 4
LOOK_S = 0.5


class Cluster:
    """A server with four drives below ``path``, one of which can be taken away.

    :param device: the drives are file systems of their own, which can fail under the running server; else directories,
        one of which is moved away while the server is stopped for a moment
    :param drive_bytes: the size of such a file system; it takes only what is used
    """

    def __init__(self, path: Path, device: bool, drive_bytes: int, show: Show) -> None:
        self._show = show
        self._devices: list[devices.Drive] = []
        self.victim = path / f"d{DRIVES}"
        for number in range(1, DRIVES + 1) if device else ():
            self._devices.append(devices.Drive(path / f"d{number}", max(devices.XFS_BYTES_MIN, drive_bytes)))
        self.server = Server(path, DRIVES, workers=2)
        self.memory = Memory(self.server)

    def start(self) -> None:
        self.server.start()
        self.memory.start()

    def lose_drive(self) -> None:
        """One of the four drives fails for good."""
        if self._devices:
            self._devices[-1].shut_down()
            self._show.event(f"drive {self.victim.name}: its file system was shut down under the running server")
            return
        code = self.server.stop()
        self.victim.rename(self.victim.with_name(f"{self.victim.name}.away"))
        self.server.start()
        self._show.event(f"drive {self.victim.name}: moved away while the server was restarted (exit code {code})")

    @property
    def fails_under_load(self) -> bool:
        """Whether the drive can be lost in the middle of a step."""
        return bool(self._devices)

    def kill_worker(self, slot: int) -> None:
        began = time.monotonic()
        killed = self.server.kill_worker(slot)
        self.server.wait_worker(slot, killed)
        self._show.event(f"worker {slot} killed with -9, its successor served after {time.monotonic() - began:.2f} s")

    def close(self) -> None:
        self.memory.stop()
        self.server.close()
        devices.close_all(self._devices)


class Memory:
    """The most that all processes of the server took together (PSS)."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.most_bytes = 0

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._end.set()
        if self._thread.is_alive():
            self._thread.join()

    def _watch(self) -> None:
        while not self._end.wait(LOOK_S):
            if self._server.running:
                self.most_bytes = max(self.most_bytes, pss_bytes(self._server.pids()))


def pss_bytes(pids: list[int]) -> int:
    """Proportional memory of processes; those that ended meanwhile count nothing."""
    total = 0
    for pid in pids:
        try:
            total += psutil.Process(pid).memory_full_info().pss
        except (psutil.NoSuchProcess, ProcessLookupError):
            continue
    return total


class Trigger:
    """Does something once, in a thread, when a step is so far; what it raised is raised at the end.

    :param at: fraction of the step
    """

    def __init__(self, at: float, action: Callable[[], None]) -> None:
        self._at, self._action = at, action
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def __call__(self, fraction: float) -> None:
        if self._thread is None and fraction >= self._at:
            self._thread = threading.Thread(target=self._run)
            self._thread.start()

    def _run(self) -> None:
        try:
            self._action()
        except BaseException as error:  # noqa: BLE001 - raised again in finish()
            self._error = error

    def finish(self) -> None:
        """Wait for it; do it now if the step ended before."""
        self(1.0)
        assert self._thread is not None
        self._thread.join()
        if self._error is not None:
            raise self._error


def ignore(fraction: float) -> None:
    """For steps in which nothing is done to the server."""
