"""A bad record of a bucket on one drive of set 0, or on all of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest

from sos.domain.errors import BadRow, NoSuchBucket
from sos.erasure.owner import Owner
from sos.meta.proposals import Outcome
from sos.meta.records import BucketRecord
from sos.meta.transitions import decide
from sos.services.buckets import Buckets
from tests.kit.owned_set import QUICK, OwnedSet, abandon, all_done, until
from tests.kit.system_set import ServedSet, ServedSets

ALL = 0b1111


class Rig:
    """Set 0 with its owner and the buckets; each service is that of a worker that has just started."""

    def __init__(self) -> None:
        self.system = OwnedSet()
        self.owner = Owner(
            0,
            self.system.open(),
            self.system.pages,
            decide,
            lambda number: self.deciding.decide_record(number),
            2,
            2,
            limits=QUICK,
            prepare=lambda: self.deciding.prepare(),
            reopen=lambda index: self.system.engines[index],
        )
        self.deciding = self.buckets()

    def buckets(self) -> Buckets:
        handle = ServedSet(self.system, self.owner)
        return Buckets(ServedSets(handle), self.system.pages)  # type: ignore[arg-type]

    def spoil(self, name: str, drives: range) -> None:
        for drive in drives:
            table = self.system.drives[drive].state.tables["buckets"]
            value = bytearray(table[name.encode()])
            value[7] ^= 0x5A
            table[name.encode()] = bytes(value)

    async def put(self, record: BucketRecord, key: str) -> list[Outcome]:
        return await self.owner.submit([msgspec.structs.replace(self.system.put(key), bucket_id=record.bucket_id)])


@asynccontextmanager
async def rig() -> AsyncIterator[Rig]:
    made = Rig()
    await made.owner.start()
    yield made
    await abandon(made.owner)


def test_a_bad_record_on_one_drive_holds_up_nothing_and_the_drive_is_copied() -> None:
    async def run() -> None:
        async with rig() as one:
            photos = await one.buckets().create("photos", "me", "", False)
            one.spoil("photos", range(1))
            other = await one.buckets().create("other", "me", "", False)
            for record in (photos, other):
                assert all_done(await one.put(record, "key"))
            fresh = one.buckets()
            assert await fresh.get("photos") == photos and fresh.find_now("photos") == photos
            assert one.buckets().find_now("photos") == photos
            assert await one.buckets().list("", "", 10) == ([other, photos], "")
            await until(lambda: one.system.state().mask == ALL)
            rows = {drive.state.tables["buckets"][b"photos"] for drive in one.system.drives}
            assert len(rows) == 1

    asyncio.run(run())


def test_a_record_that_is_bad_everywhere_stops_nobody_else() -> None:
    async def run() -> None:
        async with rig() as one:
            await one.buckets().create("photos", "me", "", False)
            one.spoil("photos", range(4))
            other = await one.buckets().create("other", "me", "", False)
            assert all_done(await one.put(other, "key"))
            with pytest.raises(BadRow):
                await one.buckets().get("photos")
            assert one.owner.serving

    asyncio.run(run())


def test_a_record_that_one_drive_lost_is_found_on_another() -> None:
    """Damage above a row makes it not be found, and no checksum tells."""

    async def run() -> None:
        async with rig() as one:
            photos = await one.buckets().create("photos", "me", "", False)
            del one.system.drives[0].state.tables["buckets"][b"photos"]
            assert one.buckets().find_now("photos") == photos
            assert await one.buckets().get("photos") == photos
            with pytest.raises(NoSuchBucket):
                await one.buckets().get("nowhere")

    asyncio.run(run())
