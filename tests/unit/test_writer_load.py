"""Uploads that are cancelled, time out and meet hung drives, with many of them at once (R15)."""

from __future__ import annotations

import asyncio
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from sos.domain.errors import WriteQuorumLost
from sos.erasure.handle import Staged
from sos.erasure.writer import WriterLimits
from tests.kit.staging import KnownBody, Rig, rig
from tests.unit.test_writer_reader import EXTENTS, noise, read, ref_of, run


def test_what_survives_a_storm_of_cancelled_uploads_is_byte_equal() -> None:
    """R15: buffers are reused under cancellation at random moments; every payload has its own random content."""
    source = random.Random(15)
    with rig(2, 2, EXTENTS, budget=24 << 20) as made, ThreadPoolExecutor(4) as pool:

        async def one(seed: int) -> Staged | None:
            payload = noise(source.choice([6000, 700_000, 4_500_000]), seed)
            task = asyncio.create_task(made.writer.stage(KnownBody(payload, pool), 2, 2))
            if seed % 3:
                for _ in range(source.randrange(60)):
                    await asyncio.sleep(0)
                task.cancel()
            done, _ = await asyncio.wait([task])
            return None if task.cancelled() else done.pop().result()

        async def storm() -> list[Staged | None]:
            return await asyncio.gather(*(one(seed) for seed in range(120)))

        outcomes = run(storm())
        kept = [(seed, staged) for seed, staged in enumerate(outcomes) if staged is not None]
        assert 40 <= len(kept) < 120, "some were cancelled, some were not"
        for seed, staged in kept:
            assert read(made, ref_of(staged)) == noise(ref_of(staged).size, seed)
        assert made.buffers.used == 0
        assert made.allocated() == sum(4 * staged.extent for _, staged in kept)


class StuckBody(KnownBody):
    """A body whose thread goes on writing into the view after its request was cancelled."""

    def __init__(self, payload: bytes, pool: ThreadPoolExecutor) -> None:
        super().__init__(payload, pool)
        self.entered = threading.Event()
        self.go_on = threading.Event()

    def _copy(self, view: memoryview, start: int) -> None:
        self.entered.set()
        assert self.go_on.wait(20)
        view[:] = b"\xff" * len(view)


def test_a_thread_that_outlives_its_request_does_not_write_into_the_next_ones_buffer() -> None:
    """R15."""
    with rig(2, 2, EXTENTS, budget=5 << 20) as made, ThreadPoolExecutor(1) as pool:

        async def race() -> Staged:
            stuck = StuckBody(noise(2**21), pool)
            task = asyncio.create_task(made.writer.stage(stuck, 2, 2))
            while not stuck.entered.is_set():
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])

            class Late(KnownBody):
                async def fill(self, view: memoryview) -> None:
                    await super().fill(view)
                    stuck.go_on.set()
                    # the stuck thread has ended when the pool runs the next job
                    await asyncio.get_running_loop().run_in_executor(pool, int)

            return await made.writer.stage(Late(noise(2**21, 2)), 2, 2)

        staged = run(race())
        assert read(made, ref_of(staged)) == noise(2**21, 2)
        assert made.buffers.retired == 1


def hang(made: Rig, drive: int) -> threading.Event:
    """Make writes of a drive wait for the returned event."""
    release = threading.Event()

    def before(operation: str) -> None:
        if operation == "write":
            assert release.wait(20)

    made.drives[drive].before = before
    return release


def test_a_hung_drive_costs_one_deadline_and_its_late_writes_hit_nothing_else() -> None:
    """R15: the upload goes on without the drive, later ones do not wait for it, and no buffer it holds is reused."""
    limits = WriterLimits(inline_bytes_max=0, write_deadline_s=0.2)
    with rig(2, 2, limits) as made:
        release = hang(made, 1)
        first = run(made.put(noise(9 * 2**20)))
        assert ref_of(first).have == 0b1101 and made.faults == [1]
        second = run(made.put(noise(9 * 2**20, 2)))
        assert ref_of(second).have == 0b1101 and made.faults == [1], "not asked again"
        release.set()
        assert read(made, ref_of(first)) == noise(9 * 2**20)
        assert read(made, ref_of(second)) == noise(9 * 2**20, 2)
        assert made.buffers.retired >= 1


def test_a_cancelled_upload_waits_for_its_hung_drive_no_longer_than_the_deadline() -> None:
    limits = WriterLimits(inline_bytes_max=0, write_deadline_s=0.2)
    with rig(2, 2, limits) as made:
        release = hang(made, 0)

        async def cancel() -> None:
            task = asyncio.create_task(made.put(noise(3 * 2**20)))
            while "write" not in made.drives[0].calls:
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task], timeout=10)
            assert task.cancelled()

        run(cancel())
        assert made.buffers.used == 0
        release.set()


def test_too_many_hung_drives_are_a_lost_quorum() -> None:
    limits = WriterLimits(inline_bytes_max=0, write_deadline_s=0.2)
    with rig(2, 2, limits) as made:
        events = [hang(made, 0), hang(made, 1)]
        with pytest.raises(WriteQuorumLost):
            run(made.put(noise(3 * 2**20)))
        for event in events:
            event.set()


def test_a_reopened_drive_is_used_again_after_its_predecessor_hung() -> None:
    limits = WriterLimits(inline_bytes_max=0, write_deadline_s=0.2)
    with rig(2, 2, limits) as made:
        release = hang(made, 1)
        run(made.put(noise(5000)))
        fresh = type(made.drives[1])("reopened")
        fresh.files, fresh.allocated = made.drives[1].files, made.drives[1].allocated
        made.engines[1] = made.drives[1] = fresh
        assert ref_of(run(made.put(noise(5000)))).have == 0b1111
        release.set()
