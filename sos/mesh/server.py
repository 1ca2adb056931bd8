"""The receiving side of the mesh: answers calls of other workers on this worker's socket."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import cast

from .frames import FAILURE, REPLY, Frame, Splitter, encode
from .sockets import same_user

log = logging.getLogger("sos.mesh")

Topic = Callable[[bytes], Awaitable[bytes]]


class MeshServer:
    """Serves topics to the other workers. Calls of one connection run concurrently; replies come as they are ready."""

    def __init__(self, topics: dict[int, Topic]) -> None:
        self._topics = topics
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, sock: socket.socket) -> None:
        """Serve on the listening socket of this slot."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(lambda: _Served(self), sock=sock.dup())

    async def stop(self) -> None:
        """Take no more calls and wait for those under way."""
        if self._server is not None:
            self._server.close()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=10)

    def run(self, frame: Frame, transport: asyncio.WriteTransport) -> None:
        task = asyncio.ensure_future(self._answer(frame, transport))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, frame: Frame, transport: asyncio.WriteTransport) -> None:
        topic = self._topics.get(frame.topic)
        try:
            if topic is None:
                raise LookupError(f"no topic {frame.topic}")
            reply = encode(frame.call, REPLY, await topic(frame.payload))
        except Exception as error:  # the outermost loop of a call: the caller must hear of it
            log.exception("mesh call failed")
            reply = encode(frame.call, FAILURE, repr(error).encode())
        if not transport.is_closing():
            transport.write(reply)


class _Served(asyncio.Protocol):
    """One connection of another worker."""

    def __init__(self, server: MeshServer) -> None:
        self._server = server
        self._splitter = Splitter()
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports only look like asyncio's
        self._transport = cast(asyncio.WriteTransport, transport)
        if not same_user(transport.get_extra_info("socket")):
            log.error("mesh connection of another user refused")
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        try:
            frames = self._splitter.feed(data)
        except ValueError as error:
            log.error("mesh connection closed: %s", error)
            self._transport.abort()
            return
        for frame in frames:
            self._server.run(frame, self._transport)
