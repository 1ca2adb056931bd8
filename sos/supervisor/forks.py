"""What was made before the first fork, and what each child makes of it."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ..base.pages import Pages
from ..config.settings import Settings
from ..worker.context import WorkerContext
from ..worker.run import Tell
from .drives import Prepared
from .locks import DriveLocks

WorkerMain = Callable[[WorkerContext, Tell], int]


@dataclass(frozen=True, slots=True)
class Forks:
    """The ground of all workers, one for each slot.

    :param api: listening sockets, by slot
    :param mesh: listening unix sockets, by slot
    :param load: resolves the settings again
    """

    settings: Settings
    pages: Pages
    prepared: Prepared
    locks: DriveLocks
    api: Sequence[Sequence[socket.socket]]
    mesh: Sequence[socket.socket]
    load: Callable[[], Settings]
    worker_main: WorkerMain

    def run(self, slot: int, incarnation: int, tell: Tell) -> int:
        """In the child, all its life; the exit code."""
        _close(sock for number, socks in enumerate(self.api) if number != slot for sock in socks)
        context = WorkerContext(
            slot,
            len(self.api),
            incarnation,
            self.settings,
            self.pages,
            self.prepared.formation,
            self.api[slot],
            self.mesh[slot],
            # the kernel's form of an abstract name: bytes with a leading NUL
            [os.fsdecode(sock.getsockname()) for sock in self.mesh],
            self.load,
            dict(self.locks.held),
            self.prepared.root_key,
        )
        return self.worker_main(context, tell)

    def stop_listening(self) -> None:
        """New connections are refused from now on; those queued are the workers' to finish."""
        _close(sock for socks in self.api for sock in socks)


def _close(socks: Iterable[socket.socket]) -> None:
    for sock in socks:
        sock.close()
