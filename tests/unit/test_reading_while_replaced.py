"""R12: a small object is read while its successor reaches one drive after the other, taking the old payload along."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from sos.base.pages import Pages
from sos.domain.conditions import NO_CONDITIONS
from sos.domain.errors import Busy, ReadQuorumLost
from sos.erasure.owner import Owner
from sos.erasure.reads import OpenReads
from sos.erasure.set import ErasureSet, SetIdentity
from sos.erasure.view import SetView
from sos.meta.proposals import PutObject
from sos.services import objects as service
from sos.services.objects import Objects
from tests.kit.owned_set import BUCKET, OwnedSet, until
from tests.kit.staging import KEY, rig

PAYLOAD = {"old": b"the old payload", "new": b"what replaces it"}


class OnePool:
    """A pool of one set."""

    def __init__(self, only: ErasureSet) -> None:
        self.only = only

    def candidates(self, bucket_id: int, key: bytes) -> list[ErasureSet]:
        return [self.only]


@asynccontextmanager
async def serving(drives: OwnedSet) -> AsyncIterator[tuple[Owner, Objects, Any]]:
    """An owner, the service over its set, and what makes a proposal of a payload."""
    with rig(drives.k, drives.m) as staging, ThreadPoolExecutor(1) as threads:
        async with drives.owner() as owner:
            view = SetView(0, drives.engines, drives.pages)
            identity = SetIdentity(0, 0, drives.n, KEY)
            handle = ErasureSet(
                identity, view, staging.writer, owner.submit, lambda _: (2, 2), OpenReads(Pages(1, 2), 0), lambda *_: None
            )

            async def proposal(name: str) -> PutObject:
                staged = await staging.put(PAYLOAD[name])
                base = drives.put("key", name)
                record = msgspec.structs.replace(base.record, size=len(PAYLOAD[name]), data=staged.data)
                return msgspec.structs.replace(base, record=record, inline=staged.inline)

            yield owner, Objects(OnePool(handle), threads), proposal  # type: ignore[arg-type]


async def read(objects: Objects) -> bytes:
    return (await objects.open(BUCKET, b"key", None, NO_CONDITIONS, None, None)).data


@pytest.mark.parametrize("late", [{0}, {0, 1}, {0, 2, 3}])
def test_a_read_waits_for_the_overwrite_that_took_its_payload(late: set[int]) -> None:
    """The late drives still show the old record, and too few of them its payload: neither 404 nor 503 is true."""

    async def run() -> None:
        drives = OwnedSet()
        async with serving(drives) as (owner, objects, proposal):
            await owner.submit([await proposal("old")])
            assert await read(objects) == PAYLOAD["old"]
            releases = [drives.engines[drive].hang("apply") for drive in late]
            writing = asyncio.ensure_future(owner.submit([await proposal("new")]))
            others = [drive for drive in range(4) if drive not in late]
            await until(lambda: all(drives.drives[drive].state.last.seq > owner.last.seq for drive in others))
            reading = asyncio.ensure_future(read(objects))
            await asyncio.sleep(0)
            for release in releases:
                release.set()
            assert await reading in ((PAYLOAD["new"],) if len(late) == 1 else tuple(PAYLOAD.values()))
            await writing
            assert await read(objects) == PAYLOAD["new"]

    asyncio.run(run())


def test_a_lost_payload_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drives that have their shards but cannot read them are lost, not overtaken."""

    async def run() -> None:
        drives = OwnedSet()
        async with serving(drives) as (owner, objects, proposal):
            await owner.submit([await proposal("old")])
            for drive in drives.drives:
                drive.state.tables["inline"] = {key: bytes(len(v)) for key, v in drive.state.tables["inline"].items()}
            with pytest.raises(ReadQuorumLost):
                await read(objects)

    asyncio.run(run())


def test_waiting_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "REREAD_S_MAX", 0.05)

    async def run() -> None:
        drives = OwnedSet()
        async with serving(drives) as (owner, objects, proposal):
            await owner.submit([await proposal("old")])
            for drive in drives.drives:
                drive.state.tables["inline"] = {}
            with pytest.raises(Busy):
                await read(objects)

    asyncio.run(run())
