"""The mesh carries calls, failures and the loss of a peer."""

from __future__ import annotations

import asyncio

import pytest
import uvloop

from sos.mesh import sockets
from sos.mesh.client import MeshClient, PeerFailed, PeerLost
from sos.mesh.frames import FRAME_BYTES_MAX, HEAD, Splitter, encode
from sos.mesh.server import MeshServer


def test_frames_survive_any_cut() -> None:
    stream = encode(1, 2, b"abc") + encode(2, 3, b"") + encode(3, 4, b"x" * 1000)
    for size in (1, 2, 7, 13, 500):
        splitter, frames = Splitter(), []
        for at in range(0, len(stream), size):
            frames += splitter.feed(stream[at : at + size])
        assert [(f.call, f.topic, len(f.payload)) for f in frames] == [(1, 2, 3), (2, 3, 0), (3, 4, 1000)]


@pytest.mark.parametrize("length", [0, 8, FRAME_BYTES_MAX + 1])
def test_a_length_out_of_bounds_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="frame of"):
        Splitter().feed(HEAD.pack(length, 1, 1))


def test_calls_run_concurrently_and_failures_are_told() -> None:
    async def run() -> None:
        gate = asyncio.Event()

        async def slow(payload: bytes) -> bytes:
            await gate.wait()
            return b"slow " + payload

        async def fast(payload: bytes) -> bytes:
            gate.set()
            return b"fast " + payload

        async def broken(payload: bytes) -> bytes:
            raise ZeroDivisionError

        (sock,) = sockets.listen(1)
        server = MeshServer({1: slow, 2: fast, 3: broken})
        await server.start(sock)
        client = MeshClient(sock.getsockname().decode())
        first = asyncio.ensure_future(client.call(1, b"a", 5))
        await asyncio.sleep(0)
        assert await client.call(2, b"b", 5) == b"fast b"
        assert await first == b"slow a"
        with pytest.raises(PeerFailed, match="ZeroDivision"):
            await client.call(3, b"", 5)
        with pytest.raises(PeerFailed, match="no topic"):
            await client.call(9, b"", 5)
        client.close()
        await server.stop()

    uvloop.run(run())


def test_a_lost_peer_fails_its_calls_and_the_next_call_connects_again() -> None:
    async def run() -> None:
        (sock,) = sockets.listen(1)
        loop = asyncio.get_running_loop()
        client = MeshClient(sock.getsockname().decode())
        call = asyncio.ensure_future(client.call(1, b"", 5))
        accepted, _ = await loop.sock_accept(sock)
        accepted.close()
        with pytest.raises(PeerLost):
            await call

        async def answer(payload: bytes) -> bytes:
            return b"back"

        server = MeshServer({1: answer})
        await server.start(sock)
        assert await client.call(1, b"", 5) == b"back"
        client.close()
        await server.stop()

    uvloop.run(run())
