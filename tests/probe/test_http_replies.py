"""Replies: whole and byte-equal to slow readers, cut when they cannot be completed, never padded."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Iterator

import pytest

from sos.domain.errors import ReadQuorumLost
from sos.http.limits import Limits
from sos.http.message import Reply, Request
from tests.kit.http_server import WAIT_S, HttpServer, until

BATCH = 1 << 20


class ReusingStream:
    """Produces every batch in the same buffer, as reconstructed stripes are: bytes sent late come out wrong.

    :param announced: the length it claims
    :param fails_at: raises when this many bytes were produced
    """

    def __init__(self, size: int, announced: int | None = None, fails_at: int | None = None) -> None:
        self.length = size if announced is None else announced
        self.closed = threading.Event()
        self._size = size
        self._fails_at = fails_at
        self._at = 0
        self.put_backs = 0
        self._buffer = bytearray(BATCH)

    def next_batch(self) -> list[memoryview]:
        assert not self.closed.is_set()
        if self._fails_at is not None and self._at >= self._fails_at:
            raise ReadQuorumLost()
        count = min(BATCH - self._at % BATCH, self._size - self._at)
        self._buffer[:count] = pattern(self._at // BATCH * BATCH, BATCH)[self._at % BATCH :][:count]
        self._at += count
        view = memoryview(self._buffer)[:count]
        cut = count // 3
        return [view[:cut], view[cut:]] if count else []

    def put_back(self, count: int) -> None:
        """As a mapping is after the file was written over: what was not sent is not good any more."""
        self._buffer[:] = b"\xdd" * BATCH
        self._at -= count
        self.put_backs += 1

    def close(self) -> None:
        self._buffer[:] = b"\xee" * BATCH
        self.closed.set()


def pattern(at: int, count: int) -> bytes:
    digest = hashlib.sha256(b"%d" % (at // BATCH)).digest()
    return (digest * (count // 32 + 1))[:count]


def whole(size: int) -> bytes:
    return b"".join(pattern(at, min(BATCH, size - at)) for at in range(0, size, BATCH))


class Streams:
    """A handler that answers with streams of the size in the path and remembers them."""

    def __init__(self, **how) -> None:
        self.made: list[ReusingStream] = []
        self._how = how

    async def __call__(self, request: Request) -> Reply:
        stream = ReusingStream(int(request.path[1:]), **self._how)
        self.made.append(stream)
        return Reply(200, [("Content-Type", "application/octet-stream")], stream, first=stream.next_batch())


@pytest.fixture(scope="module")
def server() -> Iterator[HttpServer]:
    with HttpServer(limits=Limits(linger_s=0.3, sweep_s=0.05)) as running:
        yield running


def give(reply_of) -> object:
    async def handler(request: Request) -> Reply:
        return reply_of()

    return handler


def test_a_slow_reader_gets_every_byte(server: HttpServer) -> None:
    """64 MiB through a small window, every batch from one reused buffer."""
    streams = Streams()
    server.handler = streams
    size = (64 << 20) + 12345
    wanted = hashlib.md5(whole(size)).hexdigest()
    with server.connect(receive_buffer=16_384) as client:
        answer = client.get(b"/%d" % size)
        assert len(answer.body) == size
        assert hashlib.md5(answer.body).hexdigest() == wanted
        assert client.get(b"/10").body == whole(10)
    assert streams.made[0].closed.wait(WAIT_S)


def test_a_reader_that_stalls_has_the_rest_verified_again(server: HttpServer) -> None:
    """What waits for a client is put back into the stream: memory is not held, and the mapping is not trusted."""
    streams = Streams()
    server.handler = streams
    size = (16 << 20) + 12345
    with server.connect(receive_buffer=16_384) as client:
        client.send(b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % size)
        server.run(until(lambda: bool(streams.made and streams.made[0].put_backs)))
        answer = client.answer()
    assert (len(answer.body), answer.body == whole(size)) == (size, True)


@pytest.mark.parametrize("size", [0, 1, BATCH - 1, BATCH, BATCH + 1, 5_000_000])
def test_streams_of_every_size_on_one_connection(server: HttpServer, size: int) -> None:
    streams = Streams()
    server.handler = streams
    with server.connect() as client:
        for _ in range(3):
            answer = client.get(b"/%d" % size)
            assert answer.header("content-length") == str(size)
            assert answer.body == whole(size)
    assert all(stream.closed.wait(WAIT_S) for stream in streams.made)


def test_pipelined_streams_and_bytes_do_not_mix(server: HttpServer) -> None:
    async def either(request: Request) -> Reply:
        if request.query:
            return Reply(200, [], whole(int(request.path[1:])))
        stream = ReusingStream(int(request.path[1:]))
        return Reply(200, [], stream, first=stream.next_batch())

    server.handler = either
    sizes = [(3_000_000, b""), (2_000_000, b"?b"), (10, b""), (700_000, b"?b"), (0, b""), (1_500_000, b"")]
    with server.connect(receive_buffer=16_384) as client:
        client.send(b"".join(b"GET /%d%b HTTP/1.1\r\nHost: h\r\n\r\n" % (n, query) for n, query in sizes))
        for size, _ in sizes:
            assert client.answer().body == whole(size)


@pytest.mark.parametrize("how", [{"fails_at": BATCH}, {"announced": 5 * BATCH}, {"announced": 2 * BATCH - 9}])
def test_a_broken_stream_cuts_the_connection(server: HttpServer, how: dict[str, int]) -> None:
    """R05: never a clean end, never invented bytes, whether the stream fails, is too short or too long."""
    streams = Streams(**how)
    server.handler = streams
    with server.connect() as client, pytest.raises((EOFError, ConnectionResetError)):
        answer = client.get(b"/%d" % (4 * BATCH))
        raise AssertionError(f"a clean end after {len(answer.body)} bytes")
    assert streams.made[0].closed.wait(WAIT_S)


def test_a_stream_waits_for_bytes_still_unsent(server: HttpServer) -> None:
    """A thread would overtake what the transport has not written yet."""

    async def either(request: Request) -> Reply:
        if request.query:
            return Reply(200, [], whole(32 << 20))
        stream = ReusingStream(10)
        return Reply(200, [], stream, first=stream.next_batch())

    server.handler = either
    with server.connect(receive_buffer=16_384) as client:
        client.send(b"GET /?b HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n")
        assert client.answer().body == whole(32 << 20)
        assert client.answer().body == whole(10)


def test_a_client_that_leaves_ends_the_stream(server: HttpServer) -> None:
    streams = Streams()
    server.handler = streams
    client = server.connect(receive_buffer=16_384)
    client.send(b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % (1 << 30))
    client.until(b"\r\n\r\n")
    client.close()
    assert streams.made[0].closed.wait(WAIT_S)


def test_a_client_that_takes_nothing_is_cut_off() -> None:
    streams = Streams()
    with HttpServer(streams, limits=Limits(reply_idle_s=0.2)) as server, server.connect(receive_buffer=4096) as client:
        client.send(b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % (1 << 30))
        client.until(b"\r\n\r\n")
        assert streams.made[0].closed.wait(WAIT_S)
        with pytest.raises((EOFError, ConnectionResetError)):
            client.exactly(1 << 30)


def test_a_client_that_takes_no_bytes_reply_is_cut_off() -> None:
    limits = Limits(reply_idle_s=0.2, sweep_s=0.05)
    big = bytes(64 << 20)
    handler = give(lambda: Reply(200, [], big))
    with HttpServer(handler, limits=limits) as server, server.connect(receive_buffer=4096) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        client.until(b"\r\n\r\n")
        server.run(until(lambda: server.server.connections == 0))


def test_slow_readers_hold_no_thread() -> None:
    """Twelve clients that read nothing, one thread: the thirteenth is served."""
    streams = Streams()
    with HttpServer(streams, get_threads=1) as server:
        slow = [server.connect(receive_buffer=4096) for _ in range(12)]
        for client in slow:
            client.send(b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % (64 << 20))
            client.until(b"\r\n\r\n")
        with server.connect() as client:
            assert client.get(b"/3000000").body == whole(3_000_000)
        for client in slow:
            client.close()


@pytest.mark.parametrize("size", [10, 5_000_000])
def test_head_has_the_length_and_no_body(server: HttpServer, size: int) -> None:
    streams = Streams()
    for handler in (streams, give(lambda: Reply(200, [], length=size)), give(lambda: Reply(200, [], bytes(size)))):
        server.handler = handler
        with server.connect() as client:
            for _ in range(2):
                client.send(b"HEAD /%d HTTP/1.1\r\nHost: h\r\n\r\n" % size)
                answer = client.answer(bodyless=True)
                assert answer.header("content-length") == str(size)
    assert streams.made[0].closed.wait(WAIT_S)


@pytest.mark.parametrize("status", [204, 304])
def test_replies_without_content(server: HttpServer, status: int) -> None:
    server.handler = give(lambda: Reply(status, [("ETag", '"x"')], b"ignored"))
    with server.connect() as client:
        for _ in range(2):
            answer = client.get(b"/")
            assert (answer.status, answer.header("content-length"), answer.header("etag")) == (status, None, '"x"')


def test_close_is_honoured(server: HttpServer) -> None:
    server.handler = give(lambda: Reply(200, [], b"x", close=True))
    with server.connect() as client:
        assert client.get(b"/").header("connection") == "close"
        assert client.closed()


# -- late replies --------------------------------------------------------------------------------------

DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\n'


def late_server(late) -> HttpServer:
    async def handler(request: Request) -> Reply:
        return Reply(200, [("Content-Type", "application/xml")], late=late())

    return HttpServer(handler, limits=Limits(late_s=0.05))


def test_a_late_reply_in_time_is_a_plain_one() -> None:
    async def late() -> bytes:
        return DECLARATION + b"<Done/>"

    with late_server(late) as server, server.connect() as client:
        answer = client.get(b"/")
        assert answer.body == DECLARATION + b"<Done/>"
        assert answer.header("content-length") == str(len(answer.body))


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_a_late_reply_is_kept_alive_by_white_space(version: bytes) -> None:
    """The white space comes behind the XML declaration: in front of it the document would be malformed."""
    go = threading.Event()

    async def late() -> bytes:
        await until(go.is_set)
        return DECLARATION + b"<Done/>"

    with late_server(late) as server, server.connect() as client:
        client.send(b"GET / HTTP/" + version + b"\r\nHost: h\r\n\r\n")
        threading.Timer(0.3, go.set).start()
        answer = client.answer()
        assert answer.body.startswith(DECLARATION + b"  ")
        assert answer.body.removeprefix(DECLARATION).strip() == b"<Done/>"
        if version == b"1.1":
            assert client.get(b"/").status == 200


def test_a_late_reply_that_fails_says_so() -> None:
    async def late() -> bytes:
        raise ZeroDivisionError

    with late_server(late) as server, server.connect() as client:
        assert b"InternalError" in client.get(b"/").body


def test_the_work_of_a_late_reply_outlives_the_client() -> None:
    left, done = threading.Event(), threading.Event()

    async def late() -> bytes:
        await until(left.is_set)
        await asyncio.sleep(0)
        done.set()
        return b"<Done/>"

    with late_server(late) as server:
        with server.connect() as client:
            client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            client.until(b"\r\n\r\n")
        server.run(until(lambda: server.server.connections == 0))
        left.set()
        assert done.wait(WAIT_S)
