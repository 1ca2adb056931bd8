"""A DeleteBucket that was cut off is ended, or lifted, without anybody asking for the bucket; nothing in use is touched."""

from __future__ import annotations

import asyncio

import pytest

from sos.domain.errors import NoSuchBucket
from sos.meta.proposals import Done, FenceBucket, Refused
from sos.meta.records import BucketRecord
from tests.kit.system_set import Deployment, deployment, half_deleted


async def fence(made: Deployment, number: int, record: BucketRecord) -> None:
    (outcome,) = await made.owners[number].submit([FenceBucket(request_id=b"f" * 16, bucket_id=record.bucket_id)])
    assert isinstance(outcome, Done)


def names(made: Deployment) -> set[bytes]:
    return set(made.drives[0].replicated(0)["buckets"])


@pytest.mark.parametrize("fences", [0, 1, 2])
def test_an_empty_bucket_goes_and_its_name_is_free(fences: int) -> None:
    async def run() -> None:
        async with deployment() as made:
            buckets, _ = made.worker()
            record = await buckets.create("photos", "me", "", False)
            await half_deleted(buckets, record)
            for number in range(fences):
                await fence(made, number, record)
            await made.unfinished().step()
            assert names(made) == set()
            again = await buckets.create("photos", "you", "", False)
            assert again.bucket_id != record.bucket_id
            await made.unfinished().step()
            assert await buckets.get("photos") == again
            assert isinstance(await made.put(1, again), Done)

    asyncio.run(run())


def test_a_bucket_that_holds_something_lives_again_with_it() -> None:
    async def run() -> None:
        async with deployment() as made:
            buckets, _ = made.worker()
            record = await buckets.create("photos", "me", "", False)
            assert isinstance(await made.put(1, record), Done)
            await half_deleted(buckets, record)
            await fence(made, 0, record)
            with pytest.raises(NoSuchBucket):
                await buckets.get("photos")
            await made.unfinished().step()
            assert await buckets.get("photos") == record
            for number in (0, 1):
                assert isinstance(await made.put(number, record), Done)

    asyncio.run(run())


def test_a_fence_that_was_left_on_a_living_bucket_is_lifted() -> None:
    async def run() -> None:
        async with deployment() as made:
            buckets, _ = made.worker()
            record = await buckets.create("photos", "me", "", False)
            await fence(made, 1, record)
            assert isinstance(await made.put(1, record), Refused)
            await made.unfinished().step()
            assert isinstance(await made.put(1, record), Done)

    asyncio.run(run())


def test_a_deletion_under_way_ends_well_although_it_is_ended_beside_it() -> None:
    """Held before each of its submissions in turn: its client is told that the bucket is gone, not that there was none."""

    async def run(held: int) -> None:
        async with deployment() as made:
            buckets, handle = made.worker()
            record = await buckets.create("photos", "me", "", False)
            reached, go, count = asyncio.Event(), asyncio.Event(), 0

            def before(proposals: object) -> object:
                nonlocal count
                count += proposals is not None
                if count != held or reached.is_set():
                    return None
                reached.set()
                return go.wait()

            handle.before = before
            deleting = asyncio.ensure_future(buckets.delete("photos"))
            await reached.wait()
            await made.unfinished().step()
            again = await made.worker()[0].create("photos", "you", "", False) if held > 1 else record
            go.set()
            await deleting
            if held > 1:
                assert await made.worker()[0].get("photos") == again
            else:
                assert names(made) == set()

    for held in (1, 2, 3):
        asyncio.run(run(held))


def test_nothing_is_done_where_nothing_is_left_over() -> None:
    async def run() -> None:
        async with deployment() as made:
            buckets, _ = made.worker()
            record = await buckets.create("photos", "me", "", False)
            assert isinstance(await made.put(0, record), Done)
            before = [drives.state() for drives in made.drives]
            await made.unfinished().step()
            assert [drives.state() for drives in made.drives] == before

    asyncio.run(run())
