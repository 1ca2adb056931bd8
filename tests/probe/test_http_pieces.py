"""Replies that go on: every piece arrives at once, none is made for a client that does not take it or has left."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import AsyncGenerator, Iterator

import pytest

from sos.http.limits import Limits
from sos.http.message import Reply, Request
from tests.kit.http_server import WAIT_S, HttpServer, until

PIECE = b"x" * 65536


class Endless:
    """Gives pieces until it is closed, or so many.

    :param gap_s: between two of them
    """

    def __init__(self, most: int | None = None, piece: bytes = PIECE, gap_s: float = 0.0, fails: bool = False) -> None:
        self.made = 0
        self.closed = threading.Event()
        self.ended: list[bool] = []
        self._most, self._piece, self._gap_s, self._fails = most, piece, gap_s, fails

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        try:
            while self._most is None or self.made < self._most:
                self.made += 1
                yield self._piece
                await asyncio.sleep(self._gap_s)
            if self._fails:
                raise RuntimeError("no more")
        finally:
            self.closed.set()

    async def __call__(self, request: Request) -> Reply:
        return Reply(200, [("Content-Type", "text/plain")], pieces=self.pieces(), ended=self.ended.append)


@pytest.fixture
def server() -> Iterator[HttpServer]:
    with HttpServer(limits=Limits(reply_idle_s=5.0)) as running:
        yield running


def test_pieces_end_in_order_and_the_connection_is_kept(server: HttpServer) -> None:
    with server.connect() as client:
        for count in (0, 1, 5):
            server.handler = endless = Endless(count)
            answer = client.get(b"/")
            assert answer.header("transfer-encoding") == "chunked"
            assert (answer.body == PIECE * count) is True
            assert endless.closed.wait(WAIT_S)
            server.run(until(lambda one=endless: one.ended == [True]))  # type: ignore[misc]


def test_a_client_of_http_10_reads_until_the_end(server: HttpServer) -> None:
    server.handler = Endless(3)
    answer = server.ask(b"GET / HTTP/1.0\r\n\r\n")
    assert answer.header("transfer-encoding") is None
    assert (answer.body == PIECE * 3) is True


def test_each_piece_arrives_before_the_next_is_made(server: HttpServer) -> None:
    server.handler = Endless(piece=b"tick", gap_s=0.01)
    with server.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        client.until(b"\r\n\r\n")
        for _ in range(3):
            assert client.until(b"\r\n") == b"4"
            assert client.until(b"\r\n") == b"tick"


def test_a_failure_cuts_the_connection(server: HttpServer) -> None:
    server.handler = endless = Endless(2, fails=True)
    with server.connect() as client, pytest.raises((EOFError, ConnectionResetError)):
        client.get(b"/")
    server.run(until(lambda: endless.ended == [False]))


def test_nothing_is_made_for_a_client_that_takes_nothing(server: HttpServer) -> None:
    """It is cut after a while; others are served meanwhile."""
    server.handler = endless = Endless()
    with server.connect(receive_buffer=16_384) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        client.until(b"\r\n\r\n")
        server.run(until(lambda: endless.made > 3))
        assert endless.closed.wait(WAIT_S)
        assert endless.made < 1000
        server.run(until(lambda: endless.ended == [False]))


@pytest.mark.parametrize("how", ["reset", "close"])
def test_a_client_that_leaves_ends_the_reply(server: HttpServer, how: str) -> None:
    server.handler = endless = Endless(gap_s=0.01)
    client = server.connect()
    client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    client.until(b"\r\n\r\n")
    if how == "reset":
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    assert endless.closed.wait(WAIT_S)
    server.run(until(lambda: endless.ended == [False]))


def test_a_server_that_stops_ends_the_reply_whole(server: HttpServer) -> None:
    server.handler = endless = Endless(piece=b"tick", gap_s=0.01)
    with server.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        client.until(b"tick")
        asyncio.run_coroutine_threadsafe(server.server.shell.drain(WAIT_S), server.loop)
        assert client.rest().endswith(b"0\r\n\r\n")
        assert endless.closed.wait(WAIT_S)
