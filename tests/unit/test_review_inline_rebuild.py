"""A drive that missed inline shards gets them back, also from a recovery after everything was down."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from sos.base.pages import Pages
from sos.domain.errors import ReadQuorumLost
from sos.erasure.reader import read_inline
from sos.erasure.set import shard_rebuilder
from sos.erasure.view import SetView
from sos.meta.proposals import PutObject
from tests.kit.owned_set import OwnedSet
from tests.kit.staging import KEY, rig

PAYLOAD = b"a small payload"


async def _staged_put(drives: OwnedSet) -> PutObject:
    with rig(drives.k, drives.m) as staging:
        staged = await staging.put(PAYLOAD)
    base = drives.put("key")
    return msgspec.structs.replace(
        base, record=msgspec.structs.replace(base.record, size=len(PAYLOAD), data=staged.data), inline=staged.inline
    )


def test_a_cold_start_rebuilds_the_inline_shards_a_drive_had_missed() -> None:
    """No mask is published while the first owner of a new server recovers: the other drives must be read all the same."""

    async def run() -> None:
        drives = OwnedSet(k=2, m=1)
        proposal = await _staged_put(drives)
        async with drives.owner(without={2}) as owner:
            await owner.submit([proposal])
        drives.pages = Pages(1, 2)
        view = SetView(0, engines := drives.open(), drives.pages)
        owner = drives.make_owner(rebuild_inline=shard_rebuilder(view, KEY))
        engines[:] = drives.engines
        await owner.start()
        await owner.stop()
        ref = proposal.record.data
        assert ref is not None
        for lost in range(3):
            rows = [drive.state.tables["inline"].get(ref.data_id) if i != lost else None for i, drive in enumerate(drives.drives)]
            assert read_inline(rows, ref, KEY, 0, len(PAYLOAD)) == PAYLOAD, f"without drive {lost}"

    asyncio.run(run())


def test_a_suspected_drive_is_not_touched_for_a_rebuild() -> None:
    async def run() -> None:
        drives = OwnedSet(k=2, m=1)
        proposal = await _staged_put(drives)
        async with drives.owner(without={2}) as owner:
            await owner.submit([proposal])
            drives.pages.set_suspects(0, 0b001)
            assert proposal.record.data is not None
            with pytest.raises(ReadQuorumLost):
                shard_rebuilder(SetView(0, drives.engines, drives.pages), KEY)(proposal.record.data, 2)
            assert "begin_read" not in drives.engines[0].calls[-1:]

    asyncio.run(run())
