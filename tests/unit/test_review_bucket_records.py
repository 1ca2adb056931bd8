"""An owner decides by the bucket record that is in force, and bucket creations and deletions that cross do no harm."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from sos.domain.errors import BucketExists, BucketNotEmpty
from sos.erasure.owner import Owner
from sos.meta.proposals import AnyProposal, Done, FenceBucket, PutSystem
from sos.meta.transitions import decide
from sos.services.buckets import Buckets
from tests.kit.owned_set import QUICK, OwnedSet, abandon, until
from tests.kit.system_set import ServedSet, ServedSets, deployment, half_deleted, hold_after_apply


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


class Pause:
    """Holds the n-th wait for a snapshot, or the first fence, of one worker."""

    def __init__(self, handle: ServedSet, snapshots: int) -> None:
        self.reached, self.go = asyncio.Event(), asyncio.Event()
        self._snapshots = snapshots
        handle.before = self._before

    def _before(self, proposals: Sequence[AnyProposal] | None) -> Any:
        self._snapshots -= proposals is None
        fences = proposals is not None and isinstance(proposals[0], FenceBucket)
        if self.reached.is_set() or not (fences or self._snapshots == 0):
            return None
        self.reached.set()
        return self.go.wait()


def test_a_creator_that_finishes_a_deletion_leaves_the_bucket_of_another_creator_alone() -> None:
    async def run() -> None:
        async with deployment() as made:
            (mine, _), (theirs, handle) = made.worker(), made.worker()
            await half_deleted(mine, await mine.create("photos", "old", "", False))
            pause = Pause(handle, snapshots=2)
            creating = asyncio.ensure_future(theirs.create("photos", "they", "", False))
            await pause.reached.wait()
            record = await mine.create("photos", "me", "", False)
            pause.go.set()
            with pytest.raises(BucketExists) as refusal:
                await creating
            assert refusal.value.detail["owned"] is False
            assert await mine.get("photos") == record

    asyncio.run(run())


def test_a_deletion_that_comes_late_leaves_no_fence_behind() -> None:
    async def run() -> None:
        async with deployment() as made:
            (first, _), (late, handle) = made.worker(), made.worker()
            record = await first.create("photos", "me", "", False)
            assert isinstance(await made.put(1, record), Done)
            await half_deleted(first, record)
            pause = Pause(handle, snapshots=-1)
            deleting = asyncio.ensure_future(late.delete("photos"))
            await pause.reached.wait()
            with pytest.raises(BucketNotEmpty):
                await first.delete("photos")
            assert isinstance(await made.remove(1, record), Done)
            pause.go.set()
            with pytest.raises(BucketNotEmpty):
                await deleting
            assert await first.get("photos") == record
            for number in (0, 1):
                assert isinstance(await made.put(number, record), Done)

    asyncio.run(run())


def test_creating_a_bucket_whose_deletion_was_cut_off_and_that_is_not_empty() -> None:
    """It lives again, with what is in it; whoever asked to create it is told that it exists."""

    async def run() -> None:
        async with deployment() as made:
            buckets, _ = made.worker()
            record = await buckets.create("photos", "me", "", False)
            await made.put(1, record)
            await half_deleted(buckets, record)
            with pytest.raises(BucketExists) as refusal:
                await buckets.create("photos", "me", "", False)
            assert refusal.value.detail["owned"] is True
            assert await buckets.get("photos") == record

    asyncio.run(run())
