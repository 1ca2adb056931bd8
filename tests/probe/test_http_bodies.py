"""Bodies of requests: every way to read them, and every way a client can break off, stall or lie."""

from __future__ import annotations

import asyncio
import hashlib
import queue
import random
import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from sos.domain.errors import BodyTimeout, ClientGone, EntityTooLarge, IncompleteBody, MalformedFraming, StoreError
from sos.http.limits import Limits
from sos.http.message import Reply, Request
from tests.kit.http_server import WAIT_S, Client, HttpServer, echo, until

LIMITS = Limits(linger_s=0.3, sweep_s=0.05)


@pytest.fixture(scope="module")
def server() -> Iterator[HttpServer]:
    with HttpServer(limits=LIMITS) as running:
        yield running


@pytest.fixture(autouse=True)
def reset(server: HttpServer) -> Iterator[None]:
    yield
    server.handler = echo


def content(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def put(client: Client, body: bytes, *fields: bytes, length: int | None = None) -> None:
    size = b"Content-Length: %d" % (len(body) if length is None else length)
    client.send(b"\r\n".join([b"PUT /b/k HTTP/1.1", b"Host: h", size, *fields, b"", b""]) + body)


def md5_reply(data: bytes) -> Reply:
    return Reply(200, [], hashlib.md5(data).hexdigest().encode())


class Outcomes:
    """A handler that reads with ``read`` and reports what came of it."""

    def __init__(self, read) -> None:
        self._read = read
        self.seen: queue.Queue[BaseException | bytes] = queue.Queue()

    async def __call__(self, request: Request) -> Reply:
        try:
            data = await self._read(request)
        except StoreError as error:
            self.seen.put(error)
            if isinstance(error, ClientGone):
                raise
            return Reply(400, [], error.name.encode(), close=True)
        self.seen.put(data)
        return md5_reply(data)

    def next(self) -> BaseException | bytes:
        return self.seen.get(timeout=WAIT_S)


async def by_all(request: Request) -> bytes:
    return await request.body.read_all(1 << 26)


async def by_some(request: Request) -> bytes:
    pieces = []
    while piece := await request.body.read_some(100_003):
        assert len(piece) <= 100_003
        pieces.append(piece)
    return b"".join(pieces)


async def by_fill(request: Request) -> bytes:
    """Odd views, an empty one among them, two at a time."""
    data = bytearray(request.body.length or 0)
    sizes = [1, 0, 65_537, 88, 300_001, 1 << 20]
    at, turn = 0, 0
    with memoryview(data) as view:
        while at < len(data):
            one, two = at + sizes[turn % 6], at + sizes[turn % 6] + sizes[(turn + 1) % 6]
            done = []
            await request.body.fill([view[at:one], view[one:two]], lambda done=done: done.append(1))
            assert done == [1] and request.body.left == max(0, len(data) - two)
            at, turn = two, turn + 2
    return bytes(data)


@pytest.mark.parametrize("read", [by_all, by_some, by_fill])
@pytest.mark.parametrize("size", [0, 1, 4096, 65_536, 262_143, 262_144, 262_145, 1_000_003, 10 << 20])
def test_every_way_of_reading_gives_the_bytes_sent(server: HttpServer, read, size: int) -> None:
    outcomes = Outcomes(read)
    server.handler = outcomes
    body = content(size)
    with server.connect() as client:
        for _ in range(2):  # the second on the same connection: nothing was left over
            put(client, body)
            assert client.answer().body.decode() == hashlib.md5(body).hexdigest()


@pytest.mark.parametrize("read", [by_all, by_some, by_fill])
def test_the_next_request_may_follow_a_large_body_at_once(server: HttpServer, read) -> None:
    server.handler = Outcomes(read)
    bodies = [content(n) for n in (700_000, 10, 300_000, 0, 500_001)]
    raw = b"".join(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%b" % (len(b), b) for b in bodies)
    with server.connect() as client:
        sending = threading.Thread(target=client.send, args=(raw,))
        sending.start()
        for body in bodies:
            assert client.answer().body.decode() == hashlib.md5(body).hexdigest()
        sending.join()


def test_a_body_in_drips_is_put_together(server: HttpServer) -> None:
    """Part of it comes with the head, the rest in pieces of every kind, over the switch to a thread."""
    server.handler = Outcomes(by_fill)
    body = content(400_000)
    with server.connect() as client:
        put(client, body[:1], length=len(body))
        at = 1
        for size in (1, 1, 1000, 1, 65_536, 3, 200_000, len(body)):
            client.send(body[at : at + size])
            at += size
        assert client.answer().body.decode() == hashlib.md5(body).hexdigest()


def test_fill_tells_of_errors_in_then(server: HttpServer) -> None:
    async def read(request: Request) -> bytes:
        def then() -> None:
            raise MalformedFraming("checked")

        await request.body.fill([memoryview(bytearray(300_000))], then)
        return b""

    outcomes = Outcomes(read)
    server.handler = outcomes
    with server.connect() as client:
        put(client, bytes(300_000))
        assert client.answer().status == 400
    assert isinstance(outcomes.next(), MalformedFraming)


def test_then_runs_in_a_thread_when_there_is_much_to_do(server: HttpServer) -> None:
    names = []

    async def read(request: Request) -> bytes:
        loop_thread = threading.get_ident()
        await request.body.fill(
            [memoryview(bytearray(request.body.left))], lambda: names.append(threading.get_ident() != loop_thread)
        )
        return b""

    server.handler = Outcomes(read)
    with server.connect() as client:
        put(client, bytes(200_000))
        client.answer()
        put(client, bytes(2_000_000))
        client.answer()
    assert names == [True, True]


@pytest.mark.parametrize("size", [100_000, 2_000_000])
@pytest.mark.parametrize("read", [by_all, by_some, by_fill])
def test_a_short_body_is_incomplete(server: HttpServer, read, size: int) -> None:
    """R29: the client sends less than it said and stops; it is told, and nothing loops."""
    outcomes = Outcomes(read)
    server.handler = outcomes
    with server.connect() as client:
        put(client, content(size), length=size + 1)
        client.finish()
        answer = client.answer()
        assert (answer.status, answer.body) == (400, b"IncompleteBody")
        assert client.closed()
    assert isinstance(outcomes.next(), IncompleteBody)


@pytest.mark.parametrize("size", [100_000, 2_000_000])
@pytest.mark.parametrize("read", [by_all, by_fill])
def test_a_reset_in_the_body_is_noticed(server: HttpServer, read, size: int) -> None:
    outcomes = Outcomes(read)
    server.handler = outcomes
    client = server.connect()
    put(client, content(size), length=size + 1)
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    assert isinstance(outcomes.next(), ClientGone | IncompleteBody)
    assert server.alive()


@pytest.mark.parametrize("size", [1_000, 2_000_000])
@pytest.mark.parametrize("read", [by_all, by_some, by_fill])
def test_a_stalled_body_times_out(read, size: int) -> None:
    """R29: a deadline on every read."""
    outcomes = Outcomes(read)
    limits = Limits(body_idle_s=0.2, linger_s=0.2, sweep_s=0.05)
    with HttpServer(outcomes, limits=limits) as server, server.connect() as client:
        put(client, content(size), length=size + 1)
        assert client.answer().body == b"BodyTimeout"
        assert isinstance(outcomes.next(), BodyTimeout)
        assert client.closed()


@pytest.mark.parametrize("length", [10_000, 2_000_000])
def test_a_dripping_body_times_out(length: int) -> None:
    """R29: a byte now and then satisfies the deadline of a read, but not the minimum rate."""
    outcomes = Outcomes(by_fill)
    limits = Limits(body_idle_s=5.0, rate_min=1_000_000, rate_grace_s=0.3, linger_s=0.2, sweep_s=0.05)
    stop = threading.Event()
    with HttpServer(outcomes, limits=limits) as server, server.connect() as client:
        put(client, b"", length=length)

        def drip() -> None:
            while not stop.wait(0.02):
                try:
                    client.sock.send(b"x")
                except OSError:
                    return

        dripping = threading.Thread(target=drip)
        dripping.start()
        try:
            assert client.answer().body == b"BodyTimeout"
        finally:
            stop.set()
            dripping.join()


def test_slow_uploads_hold_no_thread(server: HttpServer) -> None:
    """Many more stalled uploads than threads; another upload goes through all the same."""
    server.handler = Outcomes(by_fill)
    stalled = [server.connect() for _ in range(12)]
    for client in stalled:
        put(client, bytes(1000), length=2_000_000)
    with server.connect() as client:
        body = content(3_000_000)
        put(client, body)
        assert client.answer().body.decode() == hashlib.md5(body).hexdigest()
    for client in stalled:
        client.close()


@pytest.mark.parametrize("size", [1000, 2_000_000])
def test_a_client_that_leaves_after_its_body_is_noticed(server: HttpServer, size: int) -> None:
    """Also when the body came over the second descriptor and the transport was not reading."""
    received, noticed = threading.Event(), threading.Event()

    async def commit(request: Request) -> Reply:
        await by_fill(request)
        received.set()
        await until(request.disconnected)
        noticed.set()
        return Reply(200)

    server.handler = commit
    with server.connect() as client:
        put(client, bytes(size))
        assert received.wait(WAIT_S)
    assert noticed.wait(WAIT_S)


def test_what_is_sent_ahead_is_not_all_taken_in(server: HttpServer) -> None:
    """Memory per connection is bounded while a handler is at work."""
    leave = threading.Event()

    async def wait(request: Request) -> Reply:
        await until(leave.is_set)
        return Reply(200, [], b"", close=True)

    server.handler = wait
    with server.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        client.sock.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.send(bytes(64 << 20))
        held = max(len(connection.buffer) for connection in server.server.shell.connections)
        assert held <= 1 << 20
        leave.set()


def test_read_all_refuses_more_than_wanted(server: HttpServer) -> None:
    async def read(request: Request) -> bytes:
        return await request.body.read_all(10)

    outcomes = Outcomes(read)
    server.handler = outcomes
    with server.connect() as client:
        put(client, bytes(11))
        assert client.answer().status == 400
    assert isinstance(outcomes.next(), EntityTooLarge)


# -- Expect --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [5, 1_000_000])
def test_continue_is_sent_when_the_body_is_wanted(server: HttpServer, size: int) -> None:
    server.handler = Outcomes(by_fill)
    body = content(size)
    with server.connect() as client:
        put(client, b"", b"Expect: 100-continue", length=size)
        assert client.answer().status == 100
        client.send(body)
        assert client.answer().body.decode() == hashlib.md5(body).hexdigest()
        assert client.get(b"/").status == 200


@pytest.mark.parametrize("status", [200, 412])
def test_an_empty_body_is_continued_too(server: HttpServer, status: int) -> None:
    """As AWS does: its command line client hangs on its next request otherwise."""

    async def ignore_body(request: Request) -> Reply:
        return Reply(status)

    server.handler = ignore_body
    with server.connect() as client:
        for _ in range(2):
            put(client, b"", b"Expect: 100-continue", length=0)
            assert [client.answer().status, client.answer().status] == [100, status]


def test_no_continue_for_a_client_that_did_not_wait(server: HttpServer) -> None:
    with server.connect() as client:
        put(client, b"hello", b"Expect: 100-continue")
        assert client.answer().status == 200


async def deny(request: Request) -> Reply:
    return Reply(403, [("Content-Type", "application/xml")], b"<Error><Code>AccessDenied</Code></Error>")


@pytest.mark.parametrize("length", [5, 5 << 30])
def test_an_early_error_is_answered_without_continue(server: HttpServer, length: int) -> None:
    """Neither "100" and then "403", nor five gigabytes read to no end."""
    server.handler = deny
    with server.connect() as client:
        put(client, b"", b"Expect: 100-continue", length=length)
        answer = client.answer()
        assert (answer.status, answer.code, answer.header("connection")) == (403, "AccessDenied", "close")
        assert client.closed()


# -- unread bodies -------------------------------------------------------------------------------------


def test_a_small_unread_body_is_skipped(server: HttpServer) -> None:
    server.handler = deny
    with server.connect() as client:
        put(client, b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n")
        assert client.answer().status == 403
        put(client, b"abc", length=60_000)
        assert client.answer().status == 403
        server.handler = echo
        client.send(bytes(59_997))
        assert client.get(b"/next").body.split(b"\n")[1] == b"/next"


def test_the_reply_to_a_large_refused_body_can_be_read(server: HttpServer) -> None:
    """The client is in the middle of sending: closing at once would reset the connection under the reply."""
    server.handler = deny
    with server.connect() as client:
        put(client, b"", length=20_000_000)
        client.send(bytes(20_000_000))
        answer = client.answer()
        assert (answer.status, answer.header("connection")) == (403, "close")
        assert client.closed()


def test_a_refused_body_is_not_read_for_ever() -> None:
    limits = Limits(linger_bytes_max=1_000_000, linger_s=WAIT_S)
    with HttpServer(deny, limits=limits) as server, server.connect() as client:
        put(client, b"", length=1 << 40)
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            for _ in range(100):
                client.send(bytes(1 << 20))


# -- chunked -------------------------------------------------------------------------------------------


def chunked(body: bytes, sizes: list[int]) -> bytes:
    out, at = b"", 0
    for size in sizes:
        piece = body[at : at + size]
        at += len(piece)
        if piece:
            out += b"%x;ext=1\r\n%b\r\n" % (len(piece), piece)
    return out + b"0\r\n\r\n"


async def by_fill_chunked(request: Request) -> bytes:
    data = bytearray(int(request.headers.get("x-amz-decoded-content-length")))
    with memoryview(data) as view:
        await request.body.fill([view[:10], view[10:]])
    assert await request.body.read_some(1) == b""
    return bytes(data)


@pytest.mark.parametrize("read", [by_all, by_some, by_fill_chunked])
def test_chunked_bodies_are_decoded(server: HttpServer, read) -> None:
    server.handler = Outcomes(read)
    body = content(900_000)
    head = b"PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\nx-amz-decoded-content-length: 900000\r\n\r\n"
    with server.connect() as client:
        for _ in range(2):
            client.send(head + chunked(body, [1, 2, 65_536, 700_000, 200_000]))
            assert client.answer().body.decode() == hashlib.md5(body).hexdigest()


@pytest.mark.parametrize(
    "framing",
    [
        b"-5\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhelloX\r\n0\r\n\r\n",
        b"5\r\nhelloXX0\r\n\r\n",
        b"g\r\n",
        b"\r\n",
        b"ffffffffffffffffff\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhello\r\n0\r\nTrailer: x\r\n\r\n",
        b"5;" + b"x" * 3000 + b"\r\n",
        b"5\nhello\n0\n\n" + b"x" * 2000,
    ],
)
def test_broken_chunks_are_refused(server: HttpServer, framing: bytes) -> None:
    """S08: and the connection with them, for where the next request begins is anybody's guess."""
    outcomes = Outcomes(by_all)
    server.handler = outcomes
    with server.connect() as client:
        client.send(b"PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + framing)
        assert client.answer().status == 400
        assert client.closed()
    assert isinstance(outcomes.next(), MalformedFraming)


def test_a_truncated_chunked_body_is_incomplete(server: HttpServer) -> None:
    outcomes = Outcomes(by_all)
    server.handler = outcomes
    with server.connect() as client:
        client.send(b"PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel")
        client.finish()
        assert client.answer().status == 400
    assert isinstance(outcomes.next(), IncompleteBody)


def test_a_cancelled_fill_leaves_the_memory_alone() -> None:
    """A handler that gives up reuses its buffer; no thread may write into it afterwards."""
    given_up = threading.Event()
    result: queue.Queue[bool] = queue.Queue()

    async def give_up(request: Request) -> Reply:
        buffer = bytearray(4 << 20)
        task = asyncio.ensure_future(request.body.fill([memoryview(buffer)]))
        await until(lambda: request.body.left <= 3 << 20 or any(buffer[: 1 << 20 : 4096]))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        buffer[:] = bytes(len(buffer))
        given_up.set()
        await asyncio.sleep(0.1)
        result.put(not any(buffer))
        return Reply(400, [], b"", close=True)

    # the thread waits for more when it is cancelled
    with HttpServer(give_up, limits=Limits(thread_wait_ms=200, linger_s=0.2)) as server, server.connect() as client:
        put(client, b"\xff" * 1_000_000, length=4 << 20)
        assert given_up.wait(WAIT_S)
        sending = threading.Thread(target=_send_quietly, args=(client, b"\xff" * 3_000_000))
        sending.start()
        assert result.get(timeout=WAIT_S)
        sending.join()


def _send_quietly(client: Client, data: bytes) -> None:
    try:
        client.send(data)
    except OSError:
        return
