"""The body of a request: from the connection's buffer, or received by a thread straight into the caller's memory.

Every wait has a deadline of its own and counts towards a minimum rate (R29); a slow client never holds a thread.
"""

from __future__ import annotations

import asyncio
import re
import select
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from enum import Enum

from ..domain.errors import BodyTimeout, ClientGone, EntityTooLarge, IncompleteBody, MalformedFraming
from .limits import Patience
from .wire import Wire, in_pool

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

INLINE_BYTES_MAX = 64 * 1024
"""What ``then`` has to hash at most to be run on the loop; beyond, a change of thread is the cheaper part."""

COALESCE_BYTES = 64 * 1024
COALESCE_S = 0.004
"""A client that delivers less per turn is looked at once in so many seconds, not at each of its packets."""

VECTORS_MAX = 512
"""Slices per system call; the kernel takes 1,024."""

PIECE_BYTES = 256 * 1024


class Receipt(Enum):
    DONE = 1
    AGAIN = 2
    ENDED = 3


class _Receiver:
    """Fills views from a socket, a turn at a time, in a pool thread."""

    __slots__ = ("_poller", "_sock", "_then", "_views", "_wait_ms", "moved")

    def __init__(
        self, sock: socket.socket, views: list[memoryview], then: Callable[[], None] | None, wait_ms: int
    ) -> None:
        self._sock = sock
        self._views = views
        self._then = then
        self._wait_ms = wait_ms
        self._poller: select.poll | None = None
        self.moved = 0

    def turn(self) -> Receipt:
        """Take what is there. Waits for more only within a small budget, so that a fast client costs no change of
        thread per packet."""
        views = self._views
        while views:
            try:
                count = self._sock.recvmsg_into(views[:VECTORS_MAX])[0]
            except BlockingIOError:
                if self._more_soon():
                    continue
                return Receipt.AGAIN
            except OSError as error:
                raise ClientGone(f"receiving: {error}") from error
            if count == 0:
                return Receipt.ENDED
            self.moved += count
            skip(views, count)
        if self._then is not None:
            self._then()
        return Receipt.DONE

    def _more_soon(self) -> bool:
        if self._wait_ms <= 0:
            return False
        if self._poller is None:
            self._poller = select.poll()
            self._poller.register(self._sock, select.POLLIN)
        self._wait_ms -= 1
        return bool(self._poller.poll(1))


def skip(views: list[memoryview], count: int) -> None:
    """Take ``count`` bytes off the front of a list of views."""
    done = 0
    while count and count >= len(views[done]):
        count -= len(views[done])
        done += 1
    del views[:done]
    if count:
        views[0] = views[0][count:]


class _Body:
    """What the two framings have in common."""

    __slots__ = ("_expects", "_patience", "_pool", "_wire", "left", "length")

    def __init__(self, wire: Wire, length: int | None, expects: bool, pool: Executor) -> None:
        self.length = length
        self.left = length or 0
        self._wire = wire
        self._expects = expects
        self._pool = pool
        self._patience = Patience(wire.limits.body_idle_s, wire.limits)

    @property
    def awaiting_continue(self) -> bool:
        """The client still waits for 100 Continue: it may send the body or not, so the connection cannot be kept."""
        return self._expects

    def proceed(self) -> None:
        """The body is wanted: a client that asked for leave gets it, once, unless it went ahead."""
        if self._expects:
            self._expects = False
            if not self._wire.buffer:
                self._wire.write(CONTINUE)

    async def _more(self) -> None:
        """Wait for further bytes in the connection's buffer."""
        wire = self._wire
        if wire.lost:
            raise ClientGone("connection lost in the body")
        if wire.ended:
            raise IncompleteBody()
        allowed = self._patience.left_s()
        if allowed <= 0:
            raise BodyTimeout()
        have = len(wire.buffer)
        wire.resume()
        self._patience.waited(await wire.wait(allowed))
        self._patience.progress(len(wire.buffer) - have)

    def _take(self, count: int) -> bytes:
        """The first ``count`` bytes of the buffer."""
        buffer = self._wire.buffer
        if count == len(buffer):
            data = bytes(buffer)
            buffer.clear()
            return data
        with memoryview(buffer) as view:
            data = bytes(view[:count])
        del buffer[:count]
        return data

    def _pour(self, views: list[memoryview], most: int) -> int:
        """Move up to ``most`` bytes from the buffer into the views."""
        buffer = self._wire.buffer
        limit = min(most, len(buffer))
        moved = 0
        with memoryview(buffer) as source:
            while views and moved < limit:
                count = min(len(views[0]), limit - moved)
                views[0][:count] = source[moved : moved + count]
                moved += count
                skip(views, count)
        del buffer[:moved]
        return moved

    async def _conclude(self, then: Callable[[], None] | None, count: int) -> None:
        if then is None:
            return
        if count <= INLINE_BYTES_MAX:
            then()
        else:
            await in_pool(self._pool, then)


class FixedBody(_Body):
    """A body with a Content-Length, or none at all (``length`` None)."""

    __slots__ = ("_raw",)

    def __init__(self, wire: Wire, length: int | None, expects: bool, pool: Executor) -> None:
        super().__init__(wire, length, expects, pool)
        self._raw = not wire.secure and self.left > max(wire.limits.buffered_body_bytes_max, len(wire.buffer))
        if self._raw:
            # from here on the transport reads nothing: what is not in the buffer now comes over the second descriptor
            wire.pause()

    @property
    def unread(self) -> bool:
        return self.left > 0

    async def read_all(self, most: int) -> bytes:
        """The whole rest.

        :raises EntityTooLarge: it is longer than ``most``
        :raises IncompleteBody, BodyTimeout, ClientGone
        """
        if self.left > most:
            raise EntityTooLarge()
        data = await self.read_some(most)
        if not self.left:
            return data
        pieces = [data]
        while self.left:
            pieces.append(await self.read_some(most))
        return b"".join(pieces)

    async def read_some(self, most: int) -> bytes:
        """At least one byte unless the body has ended (then empty), at most ``most``."""
        if not self.left or most <= 0:
            return b""
        self.proceed()
        buffer = self._wire.buffer
        if not buffer and self._raw:
            data = await self._receive_some(min(most, self.left, PIECE_BYTES))
        else:
            while not buffer:
                await self._more()
            data = self._take(min(most, self.left, len(buffer)))
        self._received(len(data))
        return data

    async def fill(self, views: Sequence[memoryview], then: Callable[[], None] | None = None) -> None:
        """Fill all views, then call ``then``, in a thread when there is much to do. See ``RawBody.fill``."""
        wanted = [view for view in views if len(view)]
        total = sum(map(len, wanted))
        if total > self.left:
            raise IncompleteBody()
        self.proceed()
        if self._wire.buffer:
            self.left -= self._pour(wanted, total)
        if self._raw and wanted:
            await self._receive(wanted, then)
            return
        while wanted:
            await self._more()
            self.left -= self._pour(wanted, self.left)
        await self._conclude(then, total)

    def _received(self, count: int) -> None:
        self.left -= count
        if self._raw and not self.left:
            self._wire.resume()  # so that a disconnect is noticed while the handler goes on

    async def _receive(self, views: list[memoryview], then: Callable[[], None] | None) -> None:
        receiver = _Receiver(self._wire.hold(), views, then, self._wire.limits.thread_wait_ms)
        try:
            while True:
                before = receiver.moved
                try:
                    receipt = await in_pool(self._pool, receiver.turn)
                finally:
                    moved = receiver.moved - before
                    self._received(moved)
                    self._patience.progress(moved)
                if receipt is Receipt.DONE:
                    return
                if receipt is Receipt.ENDED:
                    raise IncompleteBody()
                await self._readable(moved)
        finally:
            self._wire.release()

    async def _receive_some(self, most: int) -> bytes:
        """One non-blocking read on the loop: at most 256 KiB, some ten microseconds of copying."""
        sock = self._wire.hold()
        try:
            while True:
                try:
                    data = sock.recv(most)
                except BlockingIOError:
                    await self._readable(COALESCE_BYTES)
                    continue
                except OSError as error:
                    raise ClientGone(f"receiving: {error}") from error
                if not data:
                    raise IncompleteBody()
                self._patience.progress(len(data))
                return data
        finally:
            self._wire.release()

    async def _readable(self, moved: int) -> None:
        allowed = self._patience.left_s()
        if allowed <= 0:
            raise BodyTimeout()
        self._patience.waited(await self._wire.ready(True, allowed))
        if self._wire.lost:
            raise ClientGone("connection lost in the body")
        if moved < COALESCE_BYTES:
            self._patience.waited(COALESCE_S)
            await asyncio.sleep(COALESCE_S)


_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*+(?:;[^\r\n]*+)?+")
SIZE_LINE_BYTES_MAX = 1024


class ChunkedBody(_Body):
    """A body with the chunked transfer coding, as SDKs send over TLS. Its length is not known; ``left`` is 0.

    HTTP trailers are refused (RFC 9112 §7.1.2 lets us): the trailers of S3 are inside the aws-chunked framing.
    """

    __slots__ = ("_chunk", "_first", "unread")

    def __init__(self, wire: Wire, expects: bool, pool: Executor) -> None:
        super().__init__(wire, None, expects, pool)
        self._chunk = 0
        self._first = True
        self.unread = True

    async def read_all(self, most: int) -> bytes:
        pieces: list[bytes] = []
        total = 0
        while piece := await self.read_some(PIECE_BYTES):
            total += len(piece)
            if total > most:
                raise EntityTooLarge()
            pieces.append(piece)
        return b"".join(pieces)

    async def read_some(self, most: int) -> bytes:
        if most <= 0 or not await self._in_chunk():
            return b""
        data = self._take(min(most, self._chunk, len(self._wire.buffer)))
        self._chunk -= len(data)
        return data

    async def fill(self, views: Sequence[memoryview], then: Callable[[], None] | None = None) -> None:
        wanted = [view for view in views if len(view)]
        total = sum(map(len, wanted))
        while wanted:
            if not await self._in_chunk():
                raise IncompleteBody()
            self._chunk -= self._pour(wanted, self._chunk)
        await self._conclude(then, total)

    async def _in_chunk(self) -> bool:
        """Make sure that the buffer begins with payload; False at the end of the body."""
        self.proceed()
        if self._chunk == 0 and self.unread:
            await self._size_line()
        if not self.unread:
            return False
        while not self._wire.buffer:
            await self._more()
        return True

    async def _size_line(self) -> None:
        if not self._first:
            await self._line_end()
        self._first = False
        match = _SIZE_LINE.fullmatch(await self._line())
        if match is None:
            raise MalformedFraming()
        self._chunk = int(match[1], 16)
        if self._chunk == 0:
            await self._line_end()
            self.unread = False

    async def _line(self) -> bytes:
        buffer = self._wire.buffer
        while (end := buffer.find(b"\r\n", 0, SIZE_LINE_BYTES_MAX)) < 0:
            if len(buffer) >= SIZE_LINE_BYTES_MAX:
                raise MalformedFraming()
            await self._more()
        line = self._take(end)
        del buffer[:2]
        return line

    async def _line_end(self) -> None:
        while len(self._wire.buffer) < 2:
            await self._more()
        if self._take(2) != b"\r\n":
            raise MalformedFraming()
