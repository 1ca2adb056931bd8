"""What the admin API is told of the machine, by one worker."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

from .. import __version__
from ..admin.cluster import Drive, ServerFacts, SetShape
from ..base.pages import FROZEN
from ..config.settings import Settings
from ..erasure.set import ErasureSet
from ..placement.parity import Parities
from ..s3.health import Health
from .context import WorkerContext
from .drives import SetDrives

#: For one drive to tell its space.
LOOK_S_MAX = 2.0
#: For the reply to a stop to be on its way.
STOP_AFTER_S = 0.2


class MachineFacts:
    """Implements :class:`sos.admin.cluster.Cluster`."""

    def __init__(
        self,
        context: WorkerContext,
        sets: Sequence[ErasureSet],
        drives: Sequence[SetDrives],
        classes: Sequence[Parities],
        health: Health,
        secure: bool,
        settings: Callable[[], Settings],
    ) -> None:
        """:param classes: of the sets; they can change"""
        self._context = context
        self._sets = list(zip(sets, drives, strict=True))
        self._classes = classes
        self._settings = settings
        self._health = health
        self._secure = secure
        self._started_s = _started_s(os.getppid())

    def facts(self) -> ServerFacts:
        context, settings = self._context, self._settings()
        host, port = context.api_sockets[0].getsockname()[:2]
        if host in ("0.0.0.0", "::"):
            host = os.uname().nodename
        return ServerFacts(
            deployment=context.formation.deployment,
            endpoint=f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
            scheme="https" if self._secure else "http",
            version=__version__,
            region=settings.region,
            domains=tuple(settings.domains),
            mode="initializing" if self._health.status() else "online",
            workers=context.workers,
            uptime_s=int(time.clock_gettime(time.CLOCK_BOOTTIME) - self._started_s),
            pools=self._pools(),
        )

    def _pools(self) -> tuple[str, ...]:
        layout, given = self._context.formation.layout, self._context.settings.volumes
        if len(given) == len(layout):
            return tuple(given)
        return tuple(" ".join(path for paths in sets for path in paths) for sets in layout)

    async def sets(self) -> list[SetShape]:
        firsts: dict[int, int] = {}
        shapes = []
        for (one, drives), classes in zip(self._sets, self._classes, strict=True):
            index = one.number - firsts.setdefault(one.pool, one.number)
            looks = [self._look(one, drives, index, position) for position in range(len(drives.paths))]
            found = tuple(await asyncio.gather(*looks))
            shapes.append(SetShape(one.number, one.pool, index, classes.standard, classes.reduced, found))
        return shapes

    async def _look(self, one: ErasureSet, drives: SetDrives, index: int, position: int) -> Drive:
        """A drive that is out of the mask may hang: it is not touched."""
        path = drives.paths[position]
        identity = self._context.formation.identities.get(path)
        place = (path, identity.drive if identity is not None else "", one.pool, index, position)
        state = one.view.state()
        if state.epoch and state.mask >> position & 1:
            with suppress(OSError, TimeoutError):
                space = await asyncio.wait_for(asyncio.to_thread(_space, path), LOOK_S_MAX)
                healing = bool(one.view.healing() >> position & 1)
                return Drive(*place, state="ok", healing=healing, **space._asdict())
        return Drive(*place, state="offline")

    def stop(self) -> None:
        asyncio.get_running_loop().call_later(STOP_AFTER_S, os.kill, os.getppid(), signal.SIGTERM)

    def restart(self) -> None:
        asyncio.get_running_loop().call_later(STOP_AFTER_S, os.kill, os.getppid(), signal.SIGUSR2)

    def freeze(self, frozen: bool) -> None:
        self._context.pages.set_word(FROZEN, int(frozen))


def _started_s(pid: int) -> float:
    """When a process was started, in seconds since the boot (proc(5), ``stat``)."""
    with open(f"/proc/{pid}/stat", encoding="latin-1") as file:
        return int(file.read().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")


class _Space(NamedTuple):
    """Of a file system, in bytes; index nodes; device."""

    total: int
    used: int
    free: int
    inodes_used: int
    inodes_free: int
    device: tuple[int, int]


def _space(path: str) -> _Space:
    found, device = os.statvfs(path), os.stat(path).st_dev
    used, free = (found.f_blocks - found.f_bfree) * found.f_frsize, found.f_bavail * found.f_frsize
    total = used + free  # what is set aside for the superuser is nobody's here, as df and MinIO count
    numbers = (os.major(device), os.minor(device))
    return _Space(total, used, free, found.f_files - found.f_ffree, found.f_ffree, numbers)
