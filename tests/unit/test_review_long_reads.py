"""I6 for objects of several parts: what a reply has yet to open is as much in use as what it is sending."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from sos.base.pages import PULSE_OLDEST_READ, Pages
from sos.domain.errors import NoSuchKey, ReadQuorumLost
from sos.erasure.reads import OpenReads
from sos.erasure.set import ErasureSet, SetIdentity
from sos.erasure.writer import WriterLimits
from sos.meta.records import DataRef, Kind, ObjectRecord, PartRecord
from sos.services.locate import Located
from sos.services.objects import Objects
from sos.services.types import Found
from tests.kit.owned_set import BUCKET, OwnedSet
from tests.kit.staging import FULL, KEY, Rig, rig
from tests.kit.system_set import ServedSet

PARTS = [b"a" * 5000, b"b" * 5000, b"c" * 5000]


def handle_of(staging: Rig, pages: Pages) -> ErasureSet:
    view = SimpleNamespace(engines=staging.engines, usable=lambda: FULL, inline_rows=lambda *_: [None] * 4, lacks_inline=lambda _: False)
    identity = SetIdentity(0, 0, 4, KEY)
    return ErasureSet(
        identity,
        view,  # type: ignore[arg-type]
        staging.writer,
        None,  # type: ignore[arg-type]
        lambda _: (2, 2),
        OpenReads(pages, 0),
        lambda *_: None,
    )


async def staged(staging: Rig) -> list[PartRecord]:
    found = []
    for number, payload in enumerate(PARTS, 1):
        found.append(PartRecord(number, len(payload), "e", 0, (await staging.put(payload)).data))
    return found


def test_parts_that_are_not_open_yet_hold_their_extents() -> None:
    pages = Pages(1, 1)
    with rig(2, 2, WriterLimits(inline_bytes_max=0)) as staging:
        located = Located(handle_of(staging, pages), None, None, True)  # type: ignore[arg-type]
        stream = Objects._chain(located, asyncio.run(staged(staging)), 0, 15000)
        began = pages.pulse(0, PULSE_OLDEST_READ)
        assert began, "the reply waits for its turn"
        got = b""
        while batch := stream.next_batch():
            got += b"".join(batch)
            assert pages.pulse(0, PULSE_OLDEST_READ) == began
        assert got == b"".join(PARTS)
        stream.close()
        stream.close()
        assert pages.pulse(0, PULSE_OLDEST_READ) == 0


def test_a_reply_that_cannot_be_made_holds_nothing() -> None:
    pages = Pages(1, 1)
    with rig(2, 2) as staging:
        located = Located(handle_of(staging, pages), None, None, True)  # type: ignore[arg-type]
        lost = PartRecord(1, 5, "e", 0, DataRef(bytes(16), 5, 2, 2, 65536))
        with pytest.raises(ReadQuorumLost):
            Objects._chain(located, [lost], 0, 5)
        assert pages.pulse(0, PULSE_OLDEST_READ) == 0


def test_the_parts_of_an_object_that_was_removed_meanwhile() -> None:
    """Its list of parts went with it: that is no damage."""

    async def run() -> None:
        drives = OwnedSet()
        async with drives.owner() as owner:
            only = ServedSet(drives, owner)
            objects = Objects(SimpleNamespace(candidates=lambda *_: [only]), None)  # type: ignore[arg-type]
            record = ObjectRecord(1, b"", Kind.OBJECT, 15, 0, "e", manifest=bytes(15) + b"1", parts=3)
            with pytest.raises(NoSuchKey):
                await objects.parts_of(BUCKET, Found(b"key", record, True))

    asyncio.run(run())
