"""An owner decides by the bucket record that is in force, and bucket creations and deletions that cross do no harm."""

from __future__ import annotations

import asyncio

import msgspec

from sos.erasure.owner import Owner
from sos.meta.proposals import Done, PutSystem
from sos.meta.transitions import decide
from sos.services.buckets import Buckets
from tests.kit.owned_set import QUICK, OwnedSet, abandon, until
from tests.kit.system_set import ServedSet, ServedSets, hold_after_apply


def test_a_change_of_a_bucket_is_in_force_while_the_next_one_is_being_committed() -> None:
    """Between a commit on the drives of set 0 and its publication nothing can be read there: that is no reason to decide by
    a record from before the last acknowledged change."""

    async def run() -> None:
        system, data = OwnedSet(), OwnedSet(seed=1)
        data.number, data.pages = 1, system.pages
        async with system.owner() as first:
            handle = ServedSet(system, first)
            buckets = Buckets(ServedSets(handle), system.pages)  # type: ignore[arg-type]
            second = Owner(
                1, data.open(), data.pages, decide, buckets.decide_record, 2, 2, limits=QUICK, prepare=buckets.prepare
            )
            await second.start()
            record = await buckets.create("photos", "me", "", False)

            async def put() -> Done:
                (outcome,) = await second.submit([msgspec.structs.replace(data.put("key"), bucket_id=record.bucket_id)])
                assert isinstance(outcome, Done), outcome
                return outcome

            assert not (await put()).versioned
            await buckets.update(record, msgspec.structs.replace(record, versioning="Enabled"))
            release = hold_after_apply(system)
            other = asyncio.ensure_future(first.submit([PutSystem(request_id=b"other", bucket_id=0, key=b"k", value=b"v")]))
            await until(lambda: all(drive.state.last.seq > first.last.seq for drive in system.drives))
            putting = asyncio.ensure_future(put())
            await asyncio.wait([putting], timeout=0.05)
            release.set()
            assert (await putting).versioned
            await other
            await abandon(second)

    asyncio.run(run())
