"""Uploads that are cancelled, time out and meet hung drives, with many of them at once (R15)."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from sos.domain.errors import IncompleteBody, WriteQuorumLost
from sos.erasure.handle import Staged
from sos.erasure.reader import rebuild_extent
from sos.erasure.volumes import GroupSync, VolumeAllocator
from sos.erasure.writer import WriterLimits
from tests.kit.staging import FULL, KEY, KnownBody, RamVolumes, Rig, rig
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
            await asyncio.to_thread(stuck.entered.wait, 20)
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
        assert made.buffers.retired >= 1


class Hang:
    """Makes one kind of call to a drive wait until it is released."""

    def __init__(self, made: Rig, drive: int, operation: str = "write") -> None:
        self._operation = operation
        self._release = threading.Event()
        self.entered = threading.Event()
        made.drives[drive].before = self._before

    def _before(self, operation: str) -> None:
        if operation == self._operation:
            self.entered.set()
            assert self._release.wait(20)

    def set(self) -> None:
        self._release.set()


def test_a_hung_drive_costs_one_deadline_and_its_late_writes_hit_nothing_else() -> None:
    """R15: the upload goes on without the drive, later ones do not wait for it, and no buffer it holds is reused: when
    its write comes through at last, it carries the bytes of then."""
    limits = WriterLimits(inline_bytes_max=0, write_deadline_s=0.2)
    with rig(2, 2, limits) as made:
        release, written, write = Hang(made, 1), threading.Event(), made.drives[1].write

        def late_write(volume: int, offset: int, buffers: Sequence[memoryview]) -> None:
            write(volume, offset, buffers)
            written.set()

        made.drives[1].write = late_write  # type: ignore[method-assign]
        first = run(made.put(noise(9 * 2**20)))
        assert ref_of(first).have == 0b1101 and made.faults == [1]
        second = run(made.put(noise(9 * 2**20, 2)))
        assert ref_of(second).have == 0b1101 and made.faults == [1], "not asked again"
        release.set()
        assert written.wait(20)
        ref = ref_of(first)
        whole = RamVolumes()
        rebuild_extent(made.engines, ref, FULL, KEY, whole, 1)  # type: ignore[arg-type]
        first_block = slice(ref.offset, ref.offset + ref.block)
        assert made.drives[1].files[ref.volume][first_block] == whole.files[ref.volume][first_block]
        assert read(made, ref) == noise(9 * 2**20)
        assert read(made, ref_of(second)) == noise(9 * 2**20, 2)
        assert made.buffers.retired >= 1


def test_the_patience_with_a_drive_can_change() -> None:
    """A hung drive costs what is allowed when the upload begins."""
    with rig(2, 2, WriterLimits(inline_bytes_max=0, write_deadline_s=3600)) as made:
        made.writer.allow(0.2)
        release = Hang(made, 1)
        assert ref_of(run(made.put(noise(3 * 2**20)))).have == 0b1101
        release.set()


def test_a_cancelled_upload_waits_for_its_hung_drive_no_longer_than_the_deadline() -> None:
    limits = WriterLimits(inline_bytes_max=0, write_deadline_s=0.2)
    with rig(2, 2, limits) as made:
        release = Hang(made, 0)

        async def cancel() -> None:
            task = asyncio.create_task(made.put(noise(3 * 2**20)))
            await asyncio.to_thread(release.entered.wait, 20)
            task.cancel()
            await asyncio.wait([task], timeout=10)
            assert task.cancelled()

        run(cancel())
        assert made.buffers.used == 0
        release.set()


@pytest.mark.parametrize("why", ["cancelled", "client gone"])
def test_an_upload_that_fails_ends_only_after_its_threads(why: str) -> None:
    """R15: its space is punched after the last write, so nothing of it stays."""
    with rig(2, 2, EXTENTS) as made:
        slow = Hang(made, 0)

        async def fail() -> None:
            stop = 3 * 2**20 if why == "client gone" else None
            task = asyncio.create_task(made.put(noise(9 * 2**20), stop_after=stop))
            await asyncio.to_thread(slow.entered.wait, 20)
            if stop is None:
                task.cancel()
            for _ in range(20):
                await asyncio.sleep(0)
            assert not task.done()
            slow.set()
            await asyncio.wait([task])
            assert task.cancelled() if stop is None else isinstance(task.exception(), IncompleteBody)

        run(fail())
        assert made.allocated() == 0 and made.buffers.used == 0


def test_too_many_hung_drives_are_a_lost_quorum() -> None:
    limits = WriterLimits(inline_bytes_max=0, write_deadline_s=0.2)
    with rig(2, 2, limits) as made:
        events = [Hang(made, 0), Hang(made, 1)]
        with pytest.raises(WriteQuorumLost):
            run(made.put(noise(3 * 2**20)))
        for event in events:
            event.set()


def test_a_reopened_drive_is_used_again_after_its_predecessor_hung() -> None:
    limits = WriterLimits(inline_bytes_max=0, write_deadline_s=0.2)
    with rig(2, 2, limits) as made:
        release = Hang(made, 1)
        run(made.put(noise(5000)))
        fresh = type(made.drives[1])("reopened")
        fresh.files, fresh.allocated = made.drives[1].files, made.drives[1].allocated
        made.engines[1] = made.drives[1] = fresh
        assert ref_of(run(made.put(noise(5000)))).have == 0b1111
        release.set()


def test_uploads_queued_behind_a_hung_drive_do_not_wait_for_deadlines_of_their_own() -> None:
    """The first deadline that passes answers for everything queued to that drive; no buffer is kept for it."""
    limits = WriterLimits(inline_bytes_max=0, write_deadline_s=0.3)
    with rig(2, 2, limits) as made:
        release = Hang(made, 1)

        async def many() -> list[Staged]:
            return await asyncio.gather(*(made.put(noise(5000, i)) for i in range(12)))

        for i, staged in enumerate(run(many())):
            assert ref_of(staged).have == 0b1101
            assert read(made, ref_of(staged)) == noise(5000, i)
        assert made.buffers.used == 0
        release.set()
        threads = [thread for thread in threading.enumerate() if thread.name == "write-1"]
        made.writer.close()
        for thread in threads:
            thread.join(20)
        assert made.drives[1].calls.count("write") <= 2, "only what its threads had begun"


def test_a_sync_that_has_begun_does_not_count_for_what_is_written_afterwards() -> None:
    """R02: whoever comes while a sync runs waits for the next one, shared by all who wait."""
    with rig(1, 0) as made:
        slow = Hang(made, 0, "sync")
        syncs = GroupSync(made.seen, 20)

        async def test() -> None:
            engines = made.seen.usable()
            first = asyncio.create_task(syncs.sync(7, engines))
            await asyncio.to_thread(slow.entered.wait, 20)
            later = [asyncio.create_task(syncs.sync(7, engines)) for _ in range(3)]
            await asyncio.sleep(0)
            slow.set()
            assert await asyncio.gather(first, *later) == [{}] * 4
            assert made.drives[0].calls == ["sync", "sync"]

        run(test())


@pytest.mark.parametrize(("now", "existing", "first"), [(1000.9, [], 1000), (1000.0, [2000, 17], 2001)])
def test_a_volume_number_is_new_even_when_the_old_volumes_were_removed(now: float, existing: list[int], first: int) -> None:
    """Another worker may still map the file that had the number; numbers follow the time and what exists."""
    with rig(1, 0) as made:
        made.drives[0].files = {3 << 32 | serial: bytearray() for serial in existing} | {4 << 32 | 9999: bytearray()}
        volumes = VolumeAllocator(made.seen, 3, 1 << 20, 20, clock=lambda: now)
        assert run(volumes.reserve(4096)) == (3 << 32 | first, 0)
