"""What a worker gets from its supervisor, and what it gives back."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ..base.pages import Pages
from ..config.settings import Settings
from ..drive.formation import Formation


@dataclass(slots=True)
class WorkerContext:
    """Everything that was made before the fork.

    :param slot: 0 … workers - 1; worker ``set % workers`` owns a set
    :param workers: number of slots
    :param incarnation: grows with every start of any worker since the server started
    :param settings: replaced by a reload
    :param pages: shared by all processes
    :param formation: the deployment and its drives, as found before the fork; sets are numbered over all pools in its
        order, drives (in the pulse page) over all sets
    :param api_sockets: listening sockets of this slot; the supervisor keeps its own copies, so do not shut them down
    :param mesh_socket: listening unix socket of this slot
    :param mesh_addresses: where each slot's mesh socket listens
    :param load: reads the settings anew; raises ConfigError
    :param locks: path → descriptor that holds the drive's lock, inherited; to be closed with the drive
    :param root_key: made from the root credentials once for all workers; empty: each makes it
    """

    slot: int
    workers: int
    incarnation: int
    settings: Settings
    pages: Pages
    formation: Formation
    api_sockets: Sequence[socket.socket]
    mesh_socket: socket.socket
    mesh_addresses: Sequence[str]
    load: Callable[[], Settings]
    locks: Mapping[str, int] = field(default_factory=dict)
    root_key: bytes = field(default=b"", repr=False)


class Running(Protocol):
    """A worker that serves."""

    async def drain(self, timeout_s: float) -> None:
        """Accept nothing new, finish what is under way within the time, close everything."""

    async def reload(self) -> None:
        """Take over ``context.settings`` and certificates, as far as they can change while serving."""


Start = Callable[[WorkerContext], Awaitable[Running]]
"""Builds the worker and returns once it serves. Raising stops the server at its first start."""
