"""A proposal on its way to an owner in another worker, while that is being replaced."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from sos.base.pages import PULSE_INCARNATION, Pages
from sos.domain.errors import Busy
from sos.erasure.owner import Owner
from sos.mesh import sockets
from sos.mesh.client import MeshClient, PeerLost
from sos.mesh.server import MeshServer
from sos.meta.proposals import Done
from sos.worker import submit
from sos.worker.submit import RemoteOwner, SubmitTopic, Successions
from tests.kit.owned_set import OwnedSet, all_done, until


class Peer:
    """The worker that owns set 0: its frames are never answered after its end."""

    def __init__(self, owner: Owner) -> None:
        self.owner = owner
        self.calls = 0

    async def call(self, topic: int, payload: bytes, timeout_s: float) -> bytes:
        self.calls += 1
        async with asyncio.timeout(timeout_s):
            return await SubmitTopic({0: self.owner.submit})(payload)


def remote(peer: Peer) -> RemoteOwner:
    return RemoteOwner(0, cast(MeshClient, peer))


def test_an_owner_that_leaves_sends_its_callers_to_the_successor() -> None:
    """They do not wait until they give up."""

    async def run() -> None:
        rig = OwnedSet()
        owner = rig.make_owner()
        await owner.start()
        peer = Peer(owner)
        await owner.stop()
        calling = asyncio.ensure_future(remote(peer).submit([rig.put("a")]))
        await until(lambda: peer.calls > 2)
        async with rig.owner() as successor:
            peer.owner = successor
            async with asyncio.timeout(5):
                (outcome,) = await calling
            assert isinstance(outcome, Done)
        rig.assert_whole()

    asyncio.run(run())


def test_what_comes_while_an_owner_stops_does_not_keep_it_from_its_end() -> None:
    async def run() -> None:
        rig = OwnedSet()
        owner = rig.make_owner()
        await owner.start()
        releases = [engine.hang("apply") for engine in rig.engines]
        first = asyncio.ensure_future(owner.submit([rig.put("a")]))
        await until(lambda: all(engine.calls[-1] == "apply" for engine in rig.engines))
        stopping = asyncio.ensure_future(owner.stop())
        await asyncio.sleep(0)
        late = [asyncio.ensure_future(owner.submit([rig.put(f"late{i}")])) for i in range(3)]
        async with asyncio.timeout(5):
            answers = await asyncio.gather(*late, return_exceptions=True)
            assert all(isinstance(answer, Busy) for answer in answers)
            for release in releases:
                release.set()
            assert all_done(await first)
            await stopping

    asyncio.run(run())


def test_a_caller_gives_up_where_no_successor_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submit, "SUBMIT_S_MAX", 0.2)

    async def run() -> None:
        rig = OwnedSet()
        owner = rig.make_owner()
        await owner.start()
        await owner.stop()
        with pytest.raises(Busy):
            await remote(Peer(owner)).submit([rig.put("a")])

    asyncio.run(run())


@pytest.mark.parametrize("heard", [True, False])
def test_callers_of_a_worker_that_hangs_in_the_kernel_turn_to_its_successor(heard: bool) -> None:
    """It was replaced, and still holds its connections, whether it has ever answered on them or not."""

    async def run() -> None:
        pages = Pages(1, 1)
        answered, asked, stuck = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def old(payload: bytes) -> bytes:
            if answered.is_set() or not heard:
                asked.set()
                await stuck.wait()
            answered.set()
            return b"old"

        async def new(payload: bytes) -> bytes:
            return b"new"

        (sock,) = sockets.listen(1)
        servers = [MeshServer({1: old}), MeshServer({1: new})]
        await servers[0].start(sock)
        peer = MeshClient(sock.getsockname().decode())
        successions = Successions(pages, [peer])
        if heard:
            assert await peer.call(1, b"", 5) == b"old"
        waiting = asyncio.ensure_future(peer.call(1, b"", 60))
        await asked.wait()
        successions.look()
        assert not waiting.done()
        servers[0]._server.close()  # type: ignore[union-attr]
        await servers[1].start(sock)
        pages.set_pulse(0, PULSE_INCARNATION, 7)
        successions.look()
        with pytest.raises(PeerLost):
            await waiting
        assert await peer.call(1, b"", 5) == b"new"
        peer.close()
        stuck.set()
        for server in servers:
            await server.stop()
        sock.close()

    asyncio.run(run())
