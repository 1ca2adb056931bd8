"""The mesh carries calls, failures and the loss of a peer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import cast

import pytest
import uvloop

from sos.mesh import sockets
from sos.mesh.client import MeshClient, PeerFailed, PeerLost, ask_successors
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


class Peers:
    """A peer that was replaced several times: each answers once, or is lost."""

    def __init__(self, answers: Sequence[bytes | Exception]) -> None:
        self.answers = list(answers)
        self.calls: list[tuple[int, bytes]] = []

    async def call(self, topic: int, payload: bytes, timeout_s: float) -> bytes:
        assert 0 < timeout_s <= 5
        self.calls.append((topic, payload))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def ask(peers: Peers, within_s: float = 5) -> str:
    peer = cast(MeshClient, peers)
    return asyncio.run(ask_successors(peer, 7, b"wanted", bytes.decode, within_s, 0.001, lambda answer: answer == "leaves"))


def test_the_same_call_is_made_to_each_successor_until_one_answers() -> None:
    peers = Peers([PeerLost(), b"leaves", PeerLost(), b"done"])
    assert ask(peers) == "done"
    assert peers.calls == [(7, b"wanted")] * 4


@pytest.mark.parametrize("last", [PeerLost(), b"leaves"])
def test_a_call_that_no_successor_answers_ends_in_time(last: bytes | Exception) -> None:
    peers = Peers([last])
    with pytest.raises(TimeoutError):
        ask(peers, 0.05)
    assert len(peers.calls) > 1


@pytest.mark.parametrize("error", [PeerFailed("broken"), TimeoutError()])
def test_a_call_whose_handler_failed_or_is_slow_is_not_made_again(error: Exception) -> None:
    """Of the slow one nobody knows whether it was done: it is the caller who must learn that."""
    peers = Peers([PeerLost(), error, b"done"])
    with pytest.raises(type(error)):
        ask(peers)
    assert len(peers.calls) == 2
