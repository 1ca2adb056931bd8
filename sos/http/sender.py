"""Sending a reply whose body is a stream: verified batches, straight from the mappings, in pool threads.

A turn of a thread produces one batch and sends what the socket takes without blocking; then it queues up again behind
the other replies. A full socket is awaited on the loop, so a slow client holds no thread. Bytes handed to ``sendmsg``
are copied by the kernel before it returns: no slice is used after the batch that it belongs to. What has to
wait is copied at once, because a mapping shows what its file has become; what a client lets wait for longer is put back
into the stream, which verifies it again when its turn comes, so that slow clients hold no memory.
"""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import Executor

from ..domain.body import FRESH_S, BodyStream
from ..domain.errors import ClientGone
from .limits import Patience
from .raw_body import VECTORS_MAX, skip
from .wire import Wire, in_pool

KEPT_S_MAX = 0.1
"""How long a copy waits for its client before it is put back, seconds. One at 20 MiB/s takes a whole batch in it."""

LOOP_BYTES_MAX = 512 * 1024
"""A body that is complete in its first batch and no longer than this is sent by the loop itself."""

TLS_PIECE_BYTES = 256 * 1024


class StreamBroken(Exception):
    """The stream has another length than announced: the connection must be cut (R05)."""


class Sender:
    """Sends one head and one stream over the second descriptor of a connection."""

    __slots__ = ("_closing", "_future", "_head", "_kept", "_kept_s", "_left", "_loop", "_patience", "_pool", "_sent",
                 "_slices", "_sock", "_stream", "_wire")  # fmt: skip

    def __init__(self, wire: Wire, head: bytes, first: list[memoryview], stream: BodyStream, pool: Executor) -> None:
        self._wire = wire
        self._loop = wire.loop
        self._stream = stream
        self._pool = pool
        self._left = stream.length - sum(map(len, first))
        self._slices = [memoryview(head), *(view for view in first if len(view))]
        self._head = len(head)
        self._kept = False
        self._kept_s = 0.0
        self._patience = Patience(wire.limits.reply_idle_s, wire.limits)
        self._sent = 0
        self._closing = False
        self._future: asyncio.Future[bool] = wire.loop.create_future()
        self._sock: socket.socket | None = None

    async def run(self) -> None:
        """Send all of it. The caller closes the stream.

        :raises ClientGone: the client left or took nothing for too long
        :raises StreamBroken: the stream has another length than announced
        :raises Exception: what ``next_batch`` raised. Unless it is ClientGone, the caller cuts the connection
        """
        if self._left < 0:
            raise StreamBroken("more bytes than announced")
        await self._wire.flushed()
        self._sock = self._wire.hold()
        try:
            done = small(self._left, self._slices) and self._push()
            while not done:
                done = await self._thread()
                if not done:
                    await self._writable()
        finally:
            self._wire.release()

    async def _thread(self) -> bool:
        """Let threads send until all is sent (True) or the socket is full (False)."""
        self._future = self._loop.create_future()
        before = self._sent
        self._pool.submit(self._turn)
        cancelled: asyncio.CancelledError | None = None
        while not self._future.done():
            try:
                await asyncio.wait((self._future,))
            except asyncio.CancelledError as error:
                cancelled, self._closing = error, True
        self._patience.progress(self._sent - before)
        if cancelled is not None:
            self._future.exception()
            raise cancelled
        return self._future.result()

    async def _writable(self) -> None:
        self._kept_s += await self._ready(KEPT_S_MAX - self._kept_s)
        if self._kept_s >= KEPT_S_MAX:
            self._put_back()
            await self._ready(self._patience.left_s())

    async def _ready(self, seconds: float) -> float:
        """Until the socket takes more, at most as long as the client is allowed. Returns the seconds waited."""
        allowed = self._patience.left_s()
        if allowed <= 0:
            raise ClientGone("the client does not take the reply")
        waited = await self._wire.ready(False, min(seconds, allowed))
        self._patience.waited(waited)
        if self._wire.lost:
            raise ClientGone("connection lost")
        return waited

    def _put_back(self) -> None:
        """Let go of the unsent part of the batch; no thread is at it now. The head stays."""
        head = max(0, self._head - self._sent)
        slices = self._slices if not head else self._slices[1:]
        count = sum(map(len, slices))
        if count:
            self._stream.put_back(count)
            self._left += count
            del self._slices[1 if head else 0 :]

    # -- in a pool thread --------------------------------------------------------------------------------

    def _turn(self) -> None:
        """One batch. Whatever happens is told to the loop: nobody else looks at this thread's outcome."""
        try:
            if not self._slices and self._left:
                self._produce()
            pushed = self._push()
            if not pushed:
                self._keep()
            if pushed and self._left and not self._closing:
                self._pool.submit(self._turn)  # behind the others
                return
        except BaseException as error:  # noqa: BLE001 - outermost of this thread; passed on to the coroutine
            self._tell(None, error)
        else:
            self._tell(pushed, None)

    def _produce(self) -> None:
        batch = [view for view in self._stream.next_batch() if len(view)]
        count = sum(map(len, batch))
        if count == 0 or count > self._left:
            raise StreamBroken(f"a batch of {count} bytes where {self._left} are left")
        self._left -= count
        self._slices = batch
        self._kept, self._kept_s = False, 0.0

    def _push(self) -> bool:
        """Send the slices at hand; False when the socket is full."""
        sock, slices = self._sock, self._slices
        assert sock is not None
        while slices:
            try:
                count = sock.sendmsg(slices[:VECTORS_MAX])
            except BlockingIOError:
                return False
            except OSError as error:
                raise ClientGone(f"sending: {error}") from error
            self._sent += count
            skip(slices, count)
        return True

    def _keep(self) -> None:
        """What could not be sent will be as it was verified, whatever becomes of the drive."""
        if not self._kept:
            self._slices = [memoryview(bytes(view)) for view in self._slices]
            self._kept = True

    def _tell(self, done: bool | None, error: BaseException | None) -> None:
        self._loop.call_soon_threadsafe(self._settle, done, error)

    def _settle(self, done: bool | None, error: BaseException | None) -> None:
        if self._future.done():
            return
        if error is not None:
            self._future.set_exception(error)
        else:
            self._future.set_result(bool(done))


def small(left: int, slices: list[memoryview]) -> bool:
    """Whether the loop sends it all by itself."""
    return left == 0 and sum(map(len, slices)) <= LOOP_BYTES_MAX


async def send_secure(wire: Wire, head: bytes, first: list[memoryview], stream: BodyStream, pool: Executor) -> None:
    """The same over TLS, where the transport encrypts: batches come from a thread, pieces are copied to it.

    :raises ClientGone, StreamBroken: as :meth:`Sender.run`
    """
    left = stream.length
    wire.write(head)
    batch = first
    while left:
        batch = batch or await in_pool(pool, stream.next_batch)
        count = sum(map(len, batch))
        if count == 0 or count > left:
            raise StreamBroken(f"a batch of {count} bytes where {left} are left")
        left -= count
        unsent = await _write_fresh(wire, batch)
        if unsent:
            stream.put_back(unsent)
            left += unsent
        batch = []


async def _write_fresh(wire: Wire, batch: list[memoryview]) -> int:
    """Write a batch by pieces, as long as it is fresh. Returns the bytes of it that were not written."""
    unsent, begun = sum(map(len, batch)), wire.loop.time()
    for view in batch:
        for at in range(0, len(view), TLS_PIECE_BYTES):
            if wire.loop.time() - begun > FRESH_S:
                return unsent
            piece = bytes(view[at : at + TLS_PIECE_BYTES])
            wire.write(piece)
            unsent -= len(piece)
            await wire.flushed()
    return 0
