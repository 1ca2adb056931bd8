"""One connection without a network: how the bytes are cut into packets makes no difference."""

from __future__ import annotations

import asyncio
import gc
import weakref
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from sos.http.connection import Connection
from sos.http.limits import Limits
from sos.http.message import Reply, Request
from sos.http.shell import Shell


class FakeTransport:
    def __init__(self) -> None:
        self.written = b""
        self.closed = False

    def write(self, data: bytes) -> None:
        self.written += data

    def get_extra_info(self, name: str) -> Any:
        return ("10.1.2.3", 4) if name == "peername" else None

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def set_write_buffer_limits(self, high: int, low: int) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def write_eof(self) -> None: ...


REQUESTS = b"\r\nPUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n\r\n\r\nxGET /b HTTP/1.1\r\nHost: h\r\n\r\n"


async def _feed(pieces: list[bytes], pool: ThreadPoolExecutor) -> list[tuple[str, bytes, bytes]]:
    seen: list[tuple[str, bytes, bytes]] = []

    async def handler(request: Request) -> Reply:
        seen.append((request.peer, request.path, await request.body.read_all(100)))
        return Reply(200)

    shell = Shell(asyncio.get_running_loop(), handler, pool, pool, (), Limits())
    connection = Connection(shell)
    transport = FakeTransport()
    connection.connection_made(transport)  # type: ignore[arg-type]
    for piece in pieces:
        connection.data_received(piece)
        for _ in range(5):
            await asyncio.sleep(0)
    assert transport.written.count(b"HTTP/1.1 200 OK") == len(seen)
    connection.connection_lost(None)
    return seen


def test_every_cut_into_packets_gives_the_same_requests() -> None:
    wanted = [("10.1.2.3", b"/a", b"\r\n\r\nx"), ("10.1.2.3", b"/b", b"")]
    with ThreadPoolExecutor(1) as pool:
        for cut in range(len(REQUESTS) + 1):
            assert asyncio.run(_feed([REQUESTS[:cut], REQUESTS[cut:]], pool)) == wanted, cut
        assert asyncio.run(_feed([bytes([byte]) for byte in REQUESTS], pool)) == wanted


def test_a_reply_that_was_sent_is_held_by_nothing() -> None:
    """Its stream has files mapped: a drive could not be unmounted until the collector of garbage comes by."""

    async def run(pool: ThreadPoolExecutor) -> None:
        class Stream:
            """Something that a reply holds."""

        streams: list[weakref.ref[Stream]] = []

        async def handler(request: Request) -> Reply:
            reply, stream = Reply(200), Stream()
            reply.ended = partial(lambda reply, stream, whole: None, reply, stream)
            streams.append(weakref.ref(stream))
            return reply

        shell = Shell(asyncio.get_running_loop(), handler, pool, pool, (), Limits())
        connection = Connection(shell)
        connection.connection_made(FakeTransport())  # type: ignore[arg-type]
        connection.data_received(b"GET /b HTTP/1.1\r\nHost: h\r\n\r\n")
        for _ in range(5):
            await asyncio.sleep(0)
        assert [stream() for stream in streams] == [None]
        connection.connection_lost(None)

    gc.disable()
    try:
        with ThreadPoolExecutor(1) as pool:
            asyncio.run(run(pool))
    finally:
        gc.enable()
