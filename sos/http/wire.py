"""One TCP or TLS connection: its buffer, its flow control, and a second descriptor for threads.

Invariants:

1. At most one coroutine waits at a time (``wait``, ``ready``, ``flushed``): requests of a connection are answered one
   after the other, and a body is read before its reply is sent.
2. While a thread receives over the second descriptor, the transport does not read (``pause``); when one begins to
   send, the transport has no unsent bytes (``flushed``). So the order of bytes is that of the calls.
3. The second descriptor is closed by whoever is last: the loss of the connection or the ``release`` of its last
   holder. So a thread never touches a number that has come to mean another file.
4. A write buffer limit of zero makes the transport write at once and tell us of every unsent byte.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from typing import TypeVar, cast

from ..domain.errors import ClientGone
from .limits import Limits, Patience

T = TypeVar("T")


class Wire(asyncio.Protocol):
    """See the module. ``ended``: the client sends no more; ``lost``: the connection is gone."""

    def __init__(self, loop: asyncio.AbstractEventLoop, limits: Limits) -> None:
        self.loop = loop
        self.limits = limits
        self.buffer = bytearray()
        self.ended = False
        self.lost = False
        self.secure = False
        self.peer = ""
        self.transport: asyncio.Transport | None = None
        self._reading = True
        self._writable = True
        self._waiter: asyncio.Future[None] | None = None
        self._second: socket.socket | None = None
        self._holders = 0

    # -- what the loop calls -------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.secure = transport.get_extra_info("sslcontext") is not None
        # uvloop's TLS compares with "not less": a limit of zero would count an empty buffer as full
        self.transport.set_write_buffer_limits(high=1 if self.secure else 0, low=0)
        name = transport.get_extra_info("peername")
        self.peer = str(name[0]) if isinstance(name, tuple) else ""

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self._close_second()
        self.wake()

    def eof_received(self) -> bool:
        """A client may close its sending half and still read the reply; TLS cannot."""
        self.ended = True
        self.wake()
        return not self.secure

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        self.wake()

    def certificate(self) -> bytes:
        """That the client has shown (DER), verified by the handshake; empty for none."""
        connection = self.transport.get_extra_info("ssl_object") if self.transport is not None else None
        return (connection.getpeercert(binary_form=True) or b"") if connection is not None else b""

    # -- flow ------------------------------------------------------------------------------------------

    def pause(self) -> None:
        if self._reading and self.transport is not None and not self.lost:
            self._reading = False
            self.transport.pause_reading()

    def resume(self) -> None:
        if not self._reading and self.transport is not None and not self.lost and not self.transport.is_closing():
            self._reading = True
            self.transport.resume_reading()

    def write(self, data: bytes) -> None:
        if self.transport is not None and not self.lost:
            self.transport.write(data)

    def abort(self) -> None:
        """Cut the connection now, also under a thread that sends."""
        if self._second is not None:
            with suppress(OSError):
                self._second.shutdown(socket.SHUT_RDWR)
        if self.transport is not None and not self.lost:
            self.transport.abort()

    # -- waiting ---------------------------------------------------------------------------------------

    def wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def wait(self, seconds: float) -> float:
        """Until something happens or the time is up; the caller looks what it was. Returns the seconds waited."""
        begun = self.loop.time()
        self._waiter = self.loop.create_future()
        timer = self.loop.call_later(max(seconds, 0.0), self.wake)
        try:
            await self._waiter
        finally:
            timer.cancel()
            self._waiter = None
        return self.loop.time() - begun

    async def ready(self, reading: bool, seconds: float) -> float:
        """Until the second descriptor can be read or written. Needs a ``hold``."""
        assert self._second is not None
        number = self._second.fileno()
        if reading:
            self.loop.add_reader(number, self.wake)
        else:
            self.loop.add_writer(number, self.wake)
        try:
            return await self.wait(seconds)
        finally:
            if reading:
                self.loop.remove_reader(number)
            else:
                self.loop.remove_writer(number)

    async def flushed(self) -> None:
        """Until the kernel has taken everything written.

        :raises ClientGone: it is lost, or took nothing for too long and was cut
        """
        if self._writable and not self.lost:
            return
        patience = Patience(self.limits.reply_idle_s, self.limits)
        unsent = self._unsent()
        while not self._writable and not self.lost:
            allowed = patience.left_s()
            if allowed <= 0:
                self.abort()
                raise ClientGone("the client does not take the reply")
            patience.waited(await self.wait(min(allowed, 1.0)))
            before, unsent = unsent, self._unsent()
            patience.progress(max(0, before - unsent))
        if self.lost:
            raise ClientGone("connection lost")

    def _unsent(self) -> int:
        return 0 if self.transport is None or self.lost else self.transport.get_write_buffer_size()

    # -- the second descriptor ---------------------------------------------------------------------------

    def hold(self) -> socket.socket:
        """The connection as a non-blocking socket of its own, for a thread; ``release`` it.

        :raises ClientGone: the connection is lost already
        """
        if self.lost or self.transport is None or self.secure:
            raise ClientGone("connection lost")
        if self._second is None:
            first = self.transport.get_extra_info("socket")
            number = os.dup(first.fileno())
            self._second = socket.socket(first.family, socket.SOCK_STREAM, 0, fileno=number)
            self._second.setblocking(False)
        self._holders += 1
        return self._second

    def release(self) -> None:
        self._holders -= 1
        if self.lost:
            self._close_second()

    def _close_second(self) -> None:
        if self._second is not None and self._holders == 0:
            self._second.close()
            self._second = None


async def in_pool(pool: Executor, work: Callable[[], T]) -> T:
    """Run ``work`` in a thread. A cancelled caller waits for it all the same: the thread uses the caller's memory."""
    future = asyncio.get_running_loop().run_in_executor(pool, work)
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait((future,))
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        future.exception()
        raise cancelled
    return future.result()
