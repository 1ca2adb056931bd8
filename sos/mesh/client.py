"""The calling side of the mesh: one connection per peer, made on first use and again after it is lost."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from typing import TypeVar, cast

from .frames import FAILURE, Splitter, encode
from .sockets import connect, same_user

T = TypeVar("T")


class PeerLost(ConnectionError):
    """The connection to the peer broke before its answer came: the outcome of the call is unknown."""


class PeerFailed(RuntimeError):
    """The peer's handler raised."""


class MeshClient:
    """Calls one peer."""

    def __init__(self, address: str) -> None:
        """:param address: the abstract name of the peer's socket, with its leading NUL"""
        self._address = address
        self._link: _Link | None = None
        self._connecting: asyncio.Lock = asyncio.Lock()
        self._calls = itertools.count(1)

    async def call(self, topic: int, payload: bytes, timeout_s: float) -> bytes:
        """The peer's answer.

        :raises PeerLost: the connection broke, or could not be made
        :raises PeerFailed: the peer's handler raised
        :raises TimeoutError: no answer in time
        """
        link = await self._connected()
        call = next(self._calls)
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        link.waiting[call] = future
        try:
            link.send(encode(call, topic, payload))
            async with asyncio.timeout(timeout_s):
                return await future
        finally:
            link.waiting.pop(call, None)

    async def _connected(self) -> _Link:
        link = self._link
        if link is not None and link.open:
            return link
        async with self._connecting:
            if self._link is not None and self._link.open:
                return self._link
            try:
                sock = connect(self._address)
            except OSError as error:
                raise PeerLost(str(error)) from error
            _, self._link = await asyncio.get_running_loop().create_unix_connection(_Link, sock=sock)
            return self._link

    def hang_up(self) -> None:
        """The peer's process has been replaced: give its connection up, should it still be there because that process
        hangs in the kernel. One that is the successor's already is made again by whoever calls.
        """
        if self._link is not None:
            self._link.abort()

    def close(self) -> None:
        if self._link is not None:
            self._link.close()


async def ask_successors(
    peer: MeshClient,
    topic: int,
    payload: bytes,
    decode: Callable[[bytes], T],
    within_s: float,
    retry_s: float,
    leaves: Callable[[T], bool] = lambda answer: False,
) -> T:
    """The answer of a peer or, while that is being replaced, of whoever comes after it.

    Each is offered the same payload, though one that was lost may have acted on it: only for calls that do no harm when
    they are made again.

    :param leaves: whether the answer is the word of a peer that leaves, and not its answer to the call
    :raises PeerFailed: the peer's handler raised
    :raises TimeoutError: nobody answered in time; the outcome is unknown
    """
    deadline_s = time.monotonic() + within_s
    while (left_s := deadline_s - time.monotonic()) > 0:
        try:
            answer = decode(await peer.call(topic, payload, left_s))
        except PeerLost:
            await asyncio.sleep(retry_s)
            continue
        if not leaves(answer):
            return answer
        await asyncio.sleep(retry_s)
    raise TimeoutError


class _Link(asyncio.Protocol):
    """One connection to a peer."""

    def __init__(self) -> None:
        self.waiting: dict[int, asyncio.Future[bytes]] = {}
        self.open = False
        self._splitter = Splitter()
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports only look like asyncio's
        self._transport = cast(asyncio.WriteTransport, transport)
        self.open = same_user(transport.get_extra_info("socket"))
        if not self.open:
            self._transport.abort()

    def send(self, data: bytes) -> None:
        if not self.open or self._transport is None:
            raise PeerLost("connection closed")
        self._transport.write(data)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """At once, though something is still to be sent: nobody reads it."""
        self.open = False
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        for frame in self._splitter.feed(data):
            future = self.waiting.get(frame.call)
            if future is None or future.done():
                continue
            if frame.topic == FAILURE:
                future.set_exception(PeerFailed(frame.payload.decode(errors="replace")))
            else:
                future.set_result(frame.payload)

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False
        for future in self.waiting.values():
            if not future.done():
                future.set_exception(PeerLost(str(exc or "closed")))
