"""What a client can send instead of a good request, against a running server: the right answer, and it lives on."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator

import pytest

from sos.http.limits import Limits
from sos.http.message import Reply, Request
from tests.kit.http_server import HttpServer, echo, until


@pytest.fixture(scope="module")
def server() -> Iterator[HttpServer]:
    with HttpServer(limits=Limits(linger_s=0.3, sweep_s=0.05)) as running:
        yield running


@pytest.mark.parametrize(
    "target", [b"//b//k", b"/b/%2F%00%FF", b"/b/../../etc/passwd", b"/b/./k/", b"/b/a+b;{}^|", b"/b/\xc3\xa9\xff"]
)
def test_the_handler_sees_the_path_as_sent(server: HttpServer, target: bytes) -> None:
    """P01, S11: nothing on the way normalises a path."""
    answer = server.ask(b"GET " + target + b"?uploads&versionId= HTTP/1.1\r\nHost: h\r\n\r\n")
    assert answer.body.split(b"\n")[1:3] == [target, b"uploads&versionId="]


def test_absolute_form_is_stripped(server: HttpServer) -> None:
    answer = server.ask(b"GET http://h:9000//b/k?acl HTTP/1.1\r\nHost: h\r\n\r\n")
    assert answer.body.split(b"\n")[1:3] == [b"//b/k", b"acl"]


@pytest.mark.parametrize("method", [b"FOO", b"get", b"PATCH"])
def test_unknown_methods_reach_the_dispatcher(server: HttpServer, method: bytes) -> None:
    assert server.ask(method + b" / HTTP/1.1\r\nHost: h\r\n\r\n").body.startswith(method)


@pytest.mark.parametrize(
    ("raw", "status", "code"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400, "BadRequest"),
        (b"GET / HTTP/1.1\nHost: h\n\n", 400, "BadRequest"),
        (b"PRI * HTTP/2.0\r\n\r\n", 505, "HTTPVersionNotSupported"),
        (b"GET / HTTP/1.1\r\n\r\n", 400, "BadRequest"),
        (b"GET b/k HTTP/1.1\r\nHost: h\r\n\r\n", 400, "InvalidURI"),
        (b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n", 400, "BadRequest"),
        (b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 9223372036854775808\r\n\r\n", 400, "EntityTooLarge"),
        (b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length : 3\r\n\r\nabc", 400, "BadRequest"),
        (b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400, "BadRequest"),
        (b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "BadRequest"),
        (b"PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501, "NotImplemented"),
        (b"PUT / HTTP/1.1\r\nHost: h\r\nExpect: tea\r\n\r\n", 417, "ExpectationFailed"),
        (b"GET / HTTP/1.1\r\nHost: h\r\nA: " + b"x" * 9000 + b"\r\n\r\n", 400, "MetadataTooLarge"),
        (b"GET /" + b"x" * 17000 + b" HTTP/1.1\r\nHost: h\r\n\r\n", 400, "RequestHeaderSectionTooLarge"),
        (b"x" * 100_000, 400, "RequestHeaderSectionTooLarge"),
    ],
)
def test_refusals_are_s3_errors_and_close(server: HttpServer, raw: bytes, status: int, code: str) -> None:
    """S08, P07: a 4xx or 501 with an S3 code, never a crash, never plain text."""
    with server.connect() as client:
        client.send(raw)
        answer = client.answer()
        assert (answer.status, answer.code) == (status, code)
        assert answer.header("connection") == "close"
        request_id = answer.header("x-amz-request-id") or ""
        assert len(request_id) == 16 and request_id.encode() in answer.body
        assert client.closed()
    assert server.alive()


def test_the_longest_allowed_head_passes(server: HttpServer) -> None:
    raw = b"GET /?" + b"q" * 7000 + b" HTTP/1.1\r\nHost: h\r\nA: " + b"x" * 8000 + b"\r\n\r\n"
    assert server.ask(raw).status == 200


def test_a_head_in_single_bytes_is_read(server: HttpServer) -> None:
    with server.connect() as client:
        for byte in b"\r\nPUT /k HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nok":
            client.send(bytes([byte]))
        assert client.answer().body.split(b"\n")[3] == b"2"


def test_slow_loris_is_cut_off() -> None:
    """R29: the head has one deadline; a byte now and then does not extend it."""
    with HttpServer(limits=Limits(head_s=0.3, sweep_s=0.05, linger_s=0.2)) as server, server.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: h\r\n")
        stop = threading.Event()

        def drip() -> None:
            while not stop.wait(0.05):
                try:
                    client.sock.send(b"a")
                except OSError:
                    return

        dripping = threading.Thread(target=drip)
        dripping.start()
        try:
            answer = client.answer()
        finally:
            stop.set()
            dripping.join()
        assert (answer.status, answer.code) == (408, "RequestTimeout")
        assert client.closed()


def test_idle_connections_are_closed_without_a_word() -> None:
    with HttpServer(limits=Limits(idle_s=0.2, head_s=0.2, sweep_s=0.05)) as server:
        with server.connect() as client:
            assert client.closed()
        with server.connect() as client:
            client.get(b"/")
            assert client.closed()
        assert server.server.connections == 0


def test_connections_beyond_the_bound_are_told_so() -> None:
    with HttpServer(limits=Limits(connections_max=2, linger_s=0.2, sweep_s=0.05)) as server:
        first, second = server.connect(), server.connect()
        first.get(b"/")
        second.get(b"/")
        with server.connect() as third:
            answer = third.answer()
            assert (answer.status, answer.code) == (503, "SlowDown")
            assert answer.header("retry-after") is not None
            assert third.closed()
        assert first.get(b"/").status == 200
        first.close()
        second.close()


def test_pipelined_requests_are_answered_in_order(server: HttpServer) -> None:
    requests = [
        b"PUT /%d HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%b" % (i, i * 7, b"x" * (i * 7)) for i in range(200)
    ]
    with server.connect() as client:
        client.send(b"".join(requests))
        for i in range(200):
            facts = client.answer().body.split(b"\n")
            assert (facts[1], facts[3]) == (b"/%d" % i, b"%d" % (i * 7))


def test_pipelined_requests_before_a_half_close_are_all_answered(server: HttpServer) -> None:
    with server.connect() as client:
        client.send(b"GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n")
        client.finish()
        assert client.answer().body.split(b"\n")[1] == b"/1"
        assert client.answer().body.split(b"\n")[1] == b"/2"
        assert client.closed()


def test_a_client_that_ended_is_answered_and_then_closed(server: HttpServer) -> None:
    async def last(request: Request) -> Reply:
        await until(request.disconnected)
        return Reply(200, [], b"last")

    server.handler = last
    try:
        with server.connect() as client:
            client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            client.finish()
            assert client.answer().body == b"last"
            assert client.closed()
    finally:
        server.handler = echo


def test_http_1_0_closes_unless_asked_to_stay(server: HttpServer) -> None:
    with server.connect() as client:
        client.send(b"GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert client.answer().header("connection") == "keep-alive"
        client.send(b"GET /2 HTTP/1.0\r\n\r\n")
        assert client.answer().header("connection") == "close"
        assert client.closed()


def test_a_handlers_bug_is_one_failed_request(server: HttpServer, caplog: pytest.LogCaptureFixture) -> None:
    async def fail(request: Request) -> Reply:
        raise ZeroDivisionError("oops")

    server.handler = fail
    try:
        with server.connect() as client:
            answer = client.get(b"/b/k")
            assert (answer.status, answer.code) == (500, "InternalError")
            assert "oops" not in answer.body.decode()
            assert (answer.header("x-amz-request-id") or "?") in caplog.text
            server.handler = echo
            assert client.get(b"/").status == 200
    finally:
        server.handler = echo


def test_a_disconnect_does_not_stop_a_handler(server: HttpServer) -> None:
    """A commit that has begun runs to its end; the handler can ask whether anybody is left."""
    entered, gone, done = threading.Event(), threading.Event(), threading.Event()

    async def commit(request: Request) -> Reply:
        await request.body.read_all(100)
        assert not request.disconnected()
        entered.set()
        await until(request.disconnected)
        gone.set()
        for _ in range(10):  # were the task cancelled, it would be at one of these
            await asyncio.sleep(0)
        done.set()
        return Reply(200)

    server.handler = commit
    try:
        with server.connect() as client:
            client.send(b"PUT /k HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx")
            assert entered.wait(10)
        assert gone.wait(10) and done.wait(10)
    finally:
        server.handler = echo
    assert server.alive()


def test_drain_ends_what_is_under_way_and_refuses_nothing() -> None:
    server = HttpServer()
    entered, leave = threading.Event(), threading.Event()

    async def slow(request: Request) -> Reply:
        entered.set()
        await until(leave.is_set)
        return Reply(200, [], b"done")

    idle = server.connect()
    idle.get(b"/")
    server.handler = slow
    busy = server.connect()
    busy.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    assert entered.wait(10)
    draining = asyncio.run_coroutine_threadsafe(server.server.drain(10.0), server.loop)
    assert idle.closed()
    # the socket is the supervisor's: a connection made now waits for the successor
    waiting = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    leave.set()
    answer = busy.answer()
    assert (answer.body, answer.header("connection")) == (b"done", "close")
    assert draining.result(10) == 0
    waiting.close()
    for client in (idle, busy):
        client.close()
    server.close()


def test_drain_cuts_what_does_not_end() -> None:
    server = HttpServer()
    never = threading.Event()

    async def stuck(request: Request) -> Reply:
        await request.body.read_all(10)
        return Reply(200)

    server.handler = stuck
    with server.connect() as client:
        client.send(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n")
        while server.server.shell.requests < 1:
            never.wait(0.001)
        assert server.run(server.server.drain(0.1)) == 1
        assert client.closed()
    server.close()
