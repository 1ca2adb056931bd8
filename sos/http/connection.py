"""One client connection: heads in, replies out, one request at a time.

States:

* IDLE: waiting for a head, or in the middle of one; ``_deadline`` bounds it
* BUSY: a task answers a request; bytes that arrive belong to its body or wait for their turn
* LINGER: the last reply is written; what the client still sends is thrown away until it notices

Invariants:

1. A task that answers is never cancelled because the client left: a commit runs to its end. It learns of the loss by
   ``ClientGone`` from the body and by ``Request.disconnected``.
2. Every request gets exactly one reply or the connection is cut; a reply is never completed with invented bytes.
3. After a reply, the next byte read is the first of the next request, or nothing is read as a request any more.
"""

from __future__ import annotations

import asyncio
import logging
import time
from enum import Enum
from typing import TYPE_CHECKING

from ..domain.errors import ClientGone
from .head import Head, parse_head
from .message import Reply, Request
from .pieces import send_pieces
from .raw_body import ChunkedBody, FixedBody
from .refusals import REFUSALS, Refused
from .sender import LOOP_BYTES_MAX, Sender, send_secure
from .wire import Wire, in_pool

if TYPE_CHECKING:
    from .shell import Shell

log = logging.getLogger("sos.http")

XML_DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\n'
JOIN_BYTES_MAX = 64 * 1024
"""A body up to this length is copied behind its head, so that both leave in one system call."""


class State(Enum):
    IDLE = 1
    BUSY = 2
    LINGER = 3


class Connection(Wire):
    """See the module. Made by the listening server, one per accepted connection."""

    def __init__(self, shell: Shell) -> None:
        super().__init__(shell.loop, shell.limits)
        self._shell = shell
        self._state = State.IDLE
        self._deadline = 0.0
        self._in_head = False
        self._searched = 0
        self._skip = 0
        self._discarded = 0
        self._task: asyncio.Task[None] | None = None

    # -- what the loop calls ---------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._deadline = self.loop.time() + self.limits.head_s
        if not self._shell.admit(self):
            self._refuse("SlowDown")

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._shell.forget(self)

    def eof_received(self) -> bool:
        keep = super().eof_received()
        if self._state is not State.BUSY:
            self._close()
        return keep

    def data_received(self, data: bytes) -> None:
        if self._state is State.LINGER:
            self._discarded += len(data)
            if self._discarded > self.limits.linger_bytes_max:
                self.abort()
            return
        self.buffer += data
        if self._state is State.IDLE:
            self._advance()
            return
        if len(self.buffer) >= self.limits.buffer_bytes_max:
            self.pause()
        self.wake()

    # -- requests ----------------------------------------------------------------------------------------

    def _advance(self) -> None:
        """Look for a whole head in the buffer; start answering it if there is one."""
        buffer = self.buffer
        if self._skip:
            count = min(self._skip, len(buffer))
            del buffer[:count]
            self._skip -= count
        while buffer.startswith(b"\r\n") and not self._skip:  # RFC 9112 §2.2: empty lines before a request are ignored
            del buffer[:2]
        if self._skip or not buffer:
            return
        end = buffer.find(b"\r\n\r\n", self._searched)
        if end < 0 or end > self.limits.head_bytes_max:
            self._partial_head()
            return
        raw = bytes(buffer[:end])
        del buffer[: end + 4]
        self._in_head, self._searched = False, 0
        self._start(raw)

    def _partial_head(self) -> None:
        buffer = self.buffer
        if len(buffer) > self.limits.head_bytes_max:
            self._refuse("RequestHeaderSectionTooLarge")
        elif b"\n\n" in buffer:  # a client that ends lines with a bare LF would wait for ever
            self._refuse("BadRequest")
        elif not self._in_head:
            self._in_head = True
            self._deadline = self.loop.time() + self.limits.head_s
        self._searched = max(0, len(buffer) - 3)

    def _start(self, raw: bytes) -> None:
        try:
            head = parse_head(raw, self.limits)
        except Refused as refused:
            self._refuse(refused.code, _resource(raw), raw.startswith(b"HEAD "))
            return
        shell = self._shell
        now_ns = time.time_ns()
        body: FixedBody | ChunkedBody
        if head.chunked:
            body = ChunkedBody(self, head.expects, shell.put_pool)
        else:
            body = FixedBody(self, head.length, head.expects, shell.put_pool)
        if not body.unread:
            # nobody reads an empty body, and the AWS CLI takes a final reply without "100 Continue" for the one to its
            # next request on the connection as well, then waits for that one until its time is up
            body.proceed()
        peer, secure = shell.proxies.origin(self.peer, self.secure, head.headers)
        request = Request(
            head.method,
            head.path,
            head.query,
            head.headers,
            body,
            peer,
            secure,
            shell.next_request_id(now_ns),
            now_ns,
            head.http10,
            self._gone,
            certificate=self.certificate,
        )
        self._state = State.BUSY
        shell.requests += 1
        self._task = self.loop.create_task(self._serve(head, request, body))

    def _gone(self) -> bool:
        return self.lost or self.ended

    async def _serve(self, head: Head, request: Request, body: FixedBody | ChunkedBody) -> None:
        """Outermost of a request: nothing that goes wrong in it reaches the loop or another request."""
        keep = whole = False
        reply = None
        try:
            reply = await self._answer(request)
            keep = await self._send(head, request, body, reply)
            whole = True
        except ClientGone:
            self.abort()
        except Exception:  # the reply could not be completed: cut, never padded
            log.exception("reply broken off, request_id=%s", request.request_id)
            self.abort()
        except asyncio.CancelledError:
            self.abort()
            raise
        finally:
            self._task = None
            if reply is not None and reply.ended is not None:
                # it knows the reply: in that circle whole streams, and the files that they map, would stay for long
                ended, reply.ended = reply.ended, None
                ended(whole)
            self._finish(keep, body)

    async def _answer(self, request: Request) -> Reply:
        try:
            return await self._shell.handler(request)
        except ClientGone:
            raise
        except Exception:  # outermost: a handler's bug is one failed request
            log.exception("handler failed, request_id=%s", request.request_id)
            return self._shell.render_error("InternalError", 500, request.request_id, request.path)

    def _finish(self, keep: bool, body: FixedBody | ChunkedBody) -> None:
        self._state = State.IDLE
        if self.lost:
            return
        if not keep:
            if body.unread or self.buffer:
                self._linger()
            else:
                self._close()
            return
        self._skip = body.left
        self._deadline = self.loop.time() + (self.limits.head_s if self._skip else self.limits.idle_s)
        self.resume()
        self._advance()
        if self._state is State.IDLE and (self.ended or (self._shell.draining and not self.buffer)):
            self._close()

    # -- replies -----------------------------------------------------------------------------------------

    async def _send(self, head: Head, request: Request, body: FixedBody | ChunkedBody, reply: Reply) -> bool:
        """Send the reply; whether the connection can be kept."""
        keep = head.keep_alive and not reply.close and not self._shell.draining
        if body.unread and (head.chunked or body.awaiting_continue or body.left > self.limits.drain_bytes_max):
            keep = False
        without = head.method == "HEAD" or reply.status in (204, 304)
        if reply.late is not None:
            return await self._send_late(head, request, reply, keep)
        if reply.pieces is not None:
            return await self._send_pieces(head, request, reply, keep)
        if isinstance(reply.body, bytes):
            self._send_bytes(head, request, reply, keep, without)
        else:
            await self._send_stream(head, request, reply, keep, without)
        await self.flushed()
        return keep

    def _head(self, head: Head, request: Request, reply: Reply, length: int | None, keep: bool) -> bytes:
        writer = self._shell.heads
        if reply.status in (204, 304):
            length = None
        return writer.write(
            reply.status, reply.headers, request.request_id, length, not keep, head.http10, request.received_ns
        )

    def _send_bytes(self, head: Head, request: Request, reply: Reply, keep: bool, without: bool) -> None:
        payload = reply.body
        assert isinstance(payload, bytes)
        length = reply.length if reply.length is not None and without else len(payload)
        start = self._head(head, request, reply, length, keep)
        if without or not payload:
            self.write(start)
        elif len(payload) <= JOIN_BYTES_MAX:
            self.write(start + payload)
        else:
            self.write(start)
            self.write(payload)

    async def _send_stream(self, head: Head, request: Request, reply: Reply, keep: bool, without: bool) -> None:
        stream = reply.body
        assert not isinstance(stream, bytes)
        pool = self._shell.get_pool
        try:
            start = self._head(head, request, reply, stream.length, keep)
            if without:
                self.write(start)
            elif self.secure:
                await send_secure(self, start, reply.first, stream, pool)
            else:
                await Sender(self, start, reply.first, stream, pool).run()
        finally:
            if stream.length <= LOOP_BYTES_MAX:
                stream.close()
            else:
                await in_pool(pool, stream.close)

    async def _send_pieces(self, head: Head, request: Request, reply: Reply, keep: bool) -> bool:
        assert reply.pieces is not None
        keep = keep and not head.http10
        if not head.http10:
            reply.headers = [*reply.headers, ("Transfer-Encoding", "chunked")]
        start = self._head(head, request, reply, None, keep)
        await send_pieces(self, start, reply.pieces, head.http10, lambda: self._shell.draining)
        return keep and not self._shell.draining

    async def _send_late(self, head: Head, request: Request, reply: Reply, keep: bool) -> bool:
        """White space until the body is there. The XML declaration must precede it, so it is sent first."""
        assert reply.late is not None
        task = asyncio.ensure_future(reply.late)
        try:
            await asyncio.wait((task,), timeout=self.limits.late_s)
            if task.done():
                reply.body, reply.late = self._late_body(task, request), None
                self._send_bytes(head, request, reply, keep, head.method == "HEAD")
                await self.flushed()
                return keep
            keep = keep and not head.http10
            coding = [] if head.http10 else [("Transfer-Encoding", "chunked")]
            reply.headers = [*reply.headers, *coding]
            self._piece(self._head(head, request, reply, None, keep), XML_DECLARATION, head.http10)
            while not task.done():
                self._piece(b"", b" ", head.http10)
                await self.flushed()
                await asyncio.wait((task,), timeout=self.limits.late_s)
        finally:
            # the work goes on although the client left: it may be a commit
            await asyncio.wait((task,))
        rest = self._late_body(task, request).removeprefix(XML_DECLARATION.strip()).removeprefix(b"\n")
        self._piece(b"", rest, head.http10)
        if not head.http10:
            self.write(b"0\r\n\r\n")
        await self.flushed()
        return keep

    def _late_body(self, task: asyncio.Future[bytes], request: Request) -> bytes:
        error = task.exception()
        if error is None:
            return task.result()
        log.error("late reply failed, request_id=%s", request.request_id, exc_info=error)
        body = self._shell.render_error("InternalError", 500, request.request_id, request.path).body
        return body if isinstance(body, bytes) else b""

    def _piece(self, before: bytes, data: bytes, http10: bool) -> None:
        if data:
            self.write(before + data if http10 else b"%b%x\r\n%b\r\n" % (before, len(data), data))

    # -- refusing and closing ------------------------------------------------------------------------------

    def _refuse(self, code: str, resource: bytes = b"/", bodyless: bool = False) -> None:
        """Answer what never became a request, and close."""
        now_ns = time.time_ns()
        request_id = self._shell.next_request_id(now_ns)
        status = REFUSALS[code][0]
        reply = self._shell.render_error(code, status, request_id, resource)
        payload = reply.body if isinstance(reply.body, bytes) else b""
        start = self._shell.heads.write(reply.status, reply.headers, request_id, len(payload), True, False, now_ns)
        log.debug("refused %s %s, request_id=%s, peer=%s", status, code, request_id, self.peer)
        self.write(start if bodyless else start + payload)
        self._linger()

    def _linger(self) -> None:
        """Close after the client had a chance to read the reply: closing with unread input resets the connection."""
        self._state = State.LINGER
        self.buffer.clear()
        if self.transport is None or self.lost:
            return
        if self.ended:
            self._close()
            return
        self._deadline = self.loop.time() + self.limits.linger_s
        if not self.secure and not self.transport.is_closing():
            self.transport.write_eof()
        self.resume()

    def _close(self) -> None:
        self._state = State.LINGER
        self._deadline = self.loop.time() + self.limits.linger_s
        if self.transport is not None and not self.lost:
            self.transport.close()

    def check(self, now: float) -> None:
        """Called about once a second: enforce the deadline of whoever is not BUSY."""
        if self._state is State.BUSY or now < self._deadline:
            return
        if self._state is State.LINGER:
            self.abort()
        elif self._in_head:
            self._refuse("RequestTimeout")
        else:
            self._close()

    def close_if_idle(self) -> bool:
        """Close unless a request is under way or has begun to arrive. Whether it was closed."""
        if self._state is State.BUSY or self.buffer or self._skip:
            return False
        self._close()
        return True


def _resource(raw: bytes) -> bytes:
    """The request target of a head that could not be parsed, for the error document."""
    words = raw.split(b"\r\n", 1)[0].split(b" ", 2)
    return words[1].partition(b"?")[0][:1024] if len(words) > 1 else b"/"
