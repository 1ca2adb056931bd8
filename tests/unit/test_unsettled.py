"""A payload whose commit has an unknown outcome: given back once it is certain that nothing refers to it, and only then."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence

import msgspec
import pytest

from sos.domain.body import Digests
from sos.domain.errors import Busy, WriteQuorumLost
from sos.erasure import unsettled
from sos.erasure.handle import Staged
from sos.erasure.owner import Owner
from sos.erasure.unsettled import Unsettled
from sos.erasure.view import SetSnapshot, SetView
from sos.meta.proposals import AnyProposal, Outcome, PutObject
from sos.meta.records import DataRef
from tests.kit.owned_set import OwnedSet, all_done, until


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unsettled, "PAUSE_S_MIN", 0.01)
    monkeypatch.setattr(unsettled, "PAUSE_S_MAX", 0.02)


class Rig:
    """A set with one payload in a volume, and what a worker does about it."""

    def __init__(self) -> None:
        self.drives = OwnedSet()
        self.given_back: list[Staged] = []
        self.asked = 0
        self.owner: Owner | None = None

    def payload(self, key: str, offset: int = 0) -> tuple[PutObject, Staged]:
        data = DataRef(os.urandom(16), 1 << 20, 2, 2, 1 << 20, volume=5, offset=offset, have=0b1111)
        put = self.drives.put(key)
        record = msgspec.structs.replace(put.record, data=data, size=data.size)
        staged = Staged(data, (), 1 << 20, Digests(b""))
        return msgspec.structs.replace(put, record=record, inline=(), extent=1 << 20), staged

    def watch(self) -> Unsettled:
        return Unsettled(0, self.submit, self.snapshot, self.discard)

    async def snapshot(self) -> SetSnapshot:
        return await SetView(0, self.drives.engines, self.drives.pages).snapshot()

    async def submit(self, proposals: Sequence[AnyProposal]) -> list[Outcome]:
        self.asked += 1
        if self.owner is None:
            raise Busy
        return await self.owner.submit(proposals)

    async def discard(self, staged: Staged) -> None:
        self.given_back.append(staged)


def test_what_was_not_committed_is_given_back_and_never_committed_later() -> None:
    """The proposal itself comes late, after all: it must not be taken any more."""

    async def run() -> None:
        rig = Rig()
        proposal, staged = rig.payload("a")
        async with rig.drives.owner() as rig.owner:
            rig.watch().add(proposal.request_id, staged)
            await until(lambda: rig.given_back == [staged])
            assert all_done(await rig.owner.submit([proposal])), "answered from the log"
            assert rig.drives.etag("a") is None
        async with rig.drives.owner() as successor:
            await successor.submit([proposal])
            assert rig.drives.etag("a") is None

    asyncio.run(run())


@pytest.mark.parametrize("deleted", [False, True])
def test_what_was_committed_is_left_to_reclaim(deleted: bool) -> None:
    async def run() -> None:
        rig = Rig()
        proposal, staged = rig.payload("a")
        async with rig.drives.owner() as rig.owner:
            assert all_done(await rig.owner.submit([proposal]))
            if deleted:
                assert all_done(await rig.owner.submit([rig.drives.delete("a")]))
            watched = rig.watch()
            watched.add(proposal.request_id, staged)
            other, lost = rig.payload("b", offset=1 << 20)
            watched.add(other.request_id, lost)
            await until(lambda: rig.given_back == [lost])

    asyncio.run(run())


def test_nothing_is_given_back_while_there_is_no_owner() -> None:
    """The group with the proposal is on two drives of four, and kept by the next owner."""

    async def run() -> None:
        rig = Rig()
        proposal, staged = rig.payload("a")
        watched = rig.watch()
        async with rig.drives.owner() as first:
            for engine in rig.drives.engines[:2]:
                engine.die()
            with pytest.raises(WriteQuorumLost):
                await first.submit([proposal])
            watched.add(proposal.request_id, staged)
            await until(lambda: rig.asked > 3)
        assert rig.given_back == []
        async with rig.drives.owner() as rig.owner:
            asked = rig.asked
            await until(lambda: rig.asked > asked)
            await until(lambda: watched._task is not None and watched._task.done())
            assert rig.given_back == [] and rig.drives.etag("a") == "e"

    asyncio.run(run())


def test_they_are_bounded_and_inline_payloads_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unsettled, "WAITING_MAX", 3)
    monkeypatch.setattr(unsettled, "BATCH_MAX", 2)

    async def run() -> None:
        rig = Rig()
        watched = rig.watch()
        inline = rig.drives.put("inline")
        watched.add(inline.request_id, Staged(inline.record.data, inline.inline, 0, Digests(b"")))
        assert watched._task is None
        payloads = [rig.payload(f"k{i}", i << 20) for i in range(5)]
        for proposal, staged in payloads:
            watched.add(proposal.request_id, staged)
        async with rig.drives.owner() as rig.owner:
            await until(lambda: watched._task is not None and watched._task.done())
        assert rig.given_back == [staged for _, staged in payloads[:3]]

    asyncio.run(run())
