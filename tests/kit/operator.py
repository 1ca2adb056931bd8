"""The identity service of a running server, from outside: reads a drive's index, and proposes changes to the owner of
set 0 as the server's own workers do."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

from sos.base.pages import Pages
from sos.crypto.passwords import derive
from sos.drive.engine import ReadTxn
from sos.drive.identity import read_identity
from sos.drive.mapped import MappedEngine
from sos.mesh.client import MeshClient
from sos.meta.proposals import AnyProposal, Outcome
from sos.services.identity.identity import Identity
from sos.services.identity.vault import Root, salt_of
from sos.worker.submit import RemoteOwner

from .server import PASSWORD, USER, Server

T = TypeVar("T")


def mesh_address(server: Server, slot: int = 0) -> str:
    """Where the worker of a slot listens for the others."""
    held = {os.readlink(link) for link in Path(f"/proc/{server.pid}/fd").iterdir() if link.is_symlink()}
    for line in Path("/proc/net/unix").read_text().splitlines()[1:]:
        found = re.search(rf"@(sos-[0-9a-f]+-{slot})$", line)
        if found and f"socket:[{line.split()[6]}]" in held:
            return "\0" + found[1]
    raise AssertionError("the server has no mesh")


class _System:
    """Set 0: its first drive to read, its owner to write."""

    number = pool = 0

    def __init__(self, engine: MappedEngine, owner: RemoteOwner) -> None:
        self._engine, self._owner = engine, owner

    def snapshot_now(self) -> ReadTxn:
        return self._engine.begin_read()

    async def snapshot(self) -> ReadTxn:
        return self._engine.begin_read()

    async def submit(self, proposals: Sequence[AnyProposal]) -> list[Outcome]:
        return await self._owner.submit(proposals)


class Operator:
    """Changes identities of a server, one call at a time."""

    def __init__(self, server: Server) -> None:
        self._server = server
        identity = read_identity(server.paths[0])
        assert identity is not None
        salt = salt_of(identity.key)
        self._root = Root(USER, PASSWORD, salt, derive(USER, PASSWORD, salt))

    def do(self, work: Callable[[Identity], Awaitable[T]]) -> T:
        """The result of some work with the identity service."""
        return asyncio.run(self._do(work))

    async def _do(self, work: Callable[[Identity], Awaitable[T]]) -> T:
        engine = MappedEngine(self._server.paths[0], writer=False)
        peer = MeshClient(mesh_address(self._server))
        try:
            identity = Identity(_System(engine, RemoteOwner(0, peer)), Pages(1, 1), self._root)  # type: ignore[arg-type]
            await identity.realm.vault.open()
            return await work(identity)
        finally:
            peer.close()
            engine.close()
