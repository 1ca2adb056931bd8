"""Staging: a payload becomes durable shards on the drives of one set, not yet referenced by any record.

Invariants:

1. A drive is in ``DataRef.have`` only when every write and the sync of its shard succeeded.
2. Nothing is offered for commit before the body's own checks (length, digests, signatures) have passed.
3. An upload that fails or is cancelled leaves nothing: its threads are waited for, then its buffers go back and its
   extent is punched.
4. At most one batch of an upload is being encoded and written; meanwhile the next one is received if a second buffer
   is free. So an upload needs one buffer to make progress, and never waits for a second.

Small payloads stay in memory: their shards travel with the commit into table ``inline``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from ..domain.body import Body, Digests
from ..domain.errors import Busy, DriveFault, DriveFull, EntityTooLarge, StorageFull, StoreError, WriteQuorumLost
from ..drive.engine import DriveEngine
from ..drive.faults import VolumeLost
from ..meta.records import DataRef
from .buffers import Buffer, BufferPool
from .codec import codec_for
from .data_id import new_data_id
from .digest import seal_inline, shard_key, unit_digests
from .extent import Layout, write_footer
from .geometry import Batch, Geometry, block_size, drive_of, inline_length, reserve_target, round_up, shard_of
from .handle import Staged
from .lanes import Drives, settle
from .volumes import GroupSync, VolumeAllocator

T = TypeVar("T")

#: A sync may wait for what the device has still to write.
SYNC_FACTOR = 1.5


@dataclass(frozen=True, slots=True)
class WriterLimits:
    """Bounds of staging.

    :param inline_bytes_max: payloads up to this are stored inside the index
    :param payload_bytes_max: one extent holds at most this (its digests are kept in memory while it is written)
    :param volume_bytes: apparent size of a volume; a larger extent gets a volume of its own
    :param durable_extra: shards beyond ``k`` that must be durable, as far as there are drives
    :param write_deadline_s: a drive that takes longer for one batch is left out
    :param sync_deadline_s: the same for one sync
    :param buffer_deadline_s: an upload waits for so long for memory that others have
    :param slow_s: a client that takes longer for one batch is slow: the memory for it counts apart
    """

    inline_bytes_max: int = 128 * 1024
    payload_bytes_max: int = 64 * 1024**3
    volume_bytes: int = 1024**3
    durable_extra: int = 1
    write_deadline_s: float = 20.0
    sync_deadline_s: float = 30.0
    buffer_deadline_s: float = 30.0
    slow_s: float = 2.0


@dataclass(frozen=True, slots=True)
class WriterPools:
    """What the writers of all sets of one worker share.

    :param buffers: page-aligned memory
    :param threads: for encoding and digests; one or two per core
    """

    buffers: BufferPool
    threads: Executor


class _Upload:
    """One extent being written. Changed on the loop only, and never while one of its batches is in a thread."""

    def __init__(self, ref: DataRef, drives: dict[int, DriveEngine], deployment_key: bytes) -> None:
        self.ref = ref
        self.geometry = Geometry.of(ref)
        self.alive = drives
        self.touched = dict(drives)
        self.full = 0
        self.reserved = 0
        n = self.geometry.n
        self.keys = [shard_key(deployment_key, ref.data_id, shard) for shard in range(n)]
        self.digests = [bytearray() for _ in range(n)]

    @property
    def have(self) -> int:
        return sum(1 << drive for drive in self.alive)

    def drop(self, drive: int, error: DriveFault) -> None:
        self.alive.pop(drive, None)
        self.full += isinstance(error, DriveFull)

    def encode(self, layout: Layout, last: bool) -> dict[int, list[memoryview]]:
        """In a thread: parity, digests and, at the end, footers. What each drive has to write, by drive."""
        geometry, data_id = self.geometry, self.ref.data_id
        codec = codec_for(geometry.k, geometry.m)
        shards = [shard_of(data_id, drive, geometry.n) for drive in self.alive]
        writes: dict[int, list[memoryview]] = {shard: [] for shard in shards}
        for blocks in layout.stripes():
            codec.encode(blocks[: geometry.k], blocks[geometry.k :])
            for shard in shards:
                self.digests[shard] += unit_digests(self.keys[shard], blocks[shard])
                writes[shard].append(blocks[shard])
        if last:
            for shard in shards:
                footer = layout.footer(shard)
                write_footer(footer, self.ref, geometry, shard, self.keys[shard], self.digests[shard])
                writes[shard].append(footer)
        return {drive_of(data_id, shard, geometry.n): views for shard, views in writes.items()}


def _write(engine: DriveEngine, ref: DataRef, reserve: tuple[int, int], at: int, views: list[memoryview]) -> None:
    """One drive's part of a batch, in the drive's thread: reserve blocks ahead, then write."""
    start, length = reserve
    if length:
        engine.allocate(ref.volume, ref.offset + start, length)
    engine.write(ref.volume, ref.offset + at, views)


class SetWriter:
    """Stages payloads on one set for one worker. On the event loop.

    :param number: the set
    :param drives: its drives as this worker sees them
    :param slot: the worker slot, part of volume numbers
    :param deployment_key: 32 bytes, keys every digest
    """

    def __init__(
        self, number: int, drives: Drives, slot: int, deployment_key: bytes, pools: WriterPools, limits: WriterLimits | None = None
    ) -> None:
        self.number = number
        self._drives = drives
        self._key = deployment_key
        self._pools = pools
        self._limits = limits or WriterLimits()
        self._volumes = VolumeAllocator(drives, slot, self._limits.volume_bytes, self._limits.write_deadline_s)
        self._syncs = GroupSync(drives, self._limits.sync_deadline_s)
        self._uploads: set[_Upload] = set()

    def allow(self, deadline_s: float) -> None:
        """From now on leave a drive out that takes longer for one write, or half as long again for one sync."""
        sync_s = SYNC_FACTOR * deadline_s
        self._limits = replace(self._limits, write_deadline_s=deadline_s, sync_deadline_s=sync_s)
        self._volumes.deadline_s, self._syncs.deadline_s = deadline_s, sync_s

    def volumes_in_use(self) -> set[int]:
        """Volumes that this writer still appends to."""
        return {upload.ref.volume for upload in self._uploads} | ({self._volumes.current} - {0})

    def drives_alive(self) -> int:
        """Drives that can take shards now."""
        return len(self._drives.usable())

    async def stage(self, body: Body, k: int, m: int) -> Staged:
        """Receive, encode and durably write a payload over ``k`` + ``m`` shards, one per drive of the set.

        :raises StorageFull: too few drives have space
        :raises WriteQuorumLost: too few drives took it
        :raises EntityTooLarge: more than one extent may hold
        """
        if k + m != len(self._drives) or k < 1 or m < 0:
            raise ValueError(f"{k}+{m} shards on {len(self._drives)} drives")
        if body.size == 0:
            return Staged(None, (), 0, await body.finish())
        if body.size > self._limits.payload_bytes_max:
            raise EntityTooLarge(size=body.size, maximum=self._limits.payload_bytes_max)
        if body.size <= self._limits.inline_bytes_max:
            return await self._stage_inline(body, k, m)
        return await self._stage_extent(body, k, m)

    async def discard(self, staged: Staged) -> None:
        """Punch the extent of a payload that was staged and will not be committed."""
        if staged.data is not None and staged.extent:
            await self._punch(staged.data, staged.extent, self._drives.present())

    def close(self) -> None:
        self._drives.close()

    # -- inline ----------------------------------------------------------------------------------------

    async def _stage_inline(self, body: Body, k: int, m: int) -> Staged:
        length = inline_length(body.size, k)
        payload = bytearray(length * k)
        view = memoryview(payload)
        await body.fill(view[: body.size])
        digests = await body.finish()
        data_id, n = new_data_id(k + m), k + m
        blocks: list[bytearray | memoryview] = [view[i * length : (i + 1) * length] for i in range(k)]
        blocks += [bytearray(length) for _ in range(m)]
        codec_for(k, m).encode(blocks[:k], blocks[k:])
        shards = [shard_of(data_id, drive, n) for drive in range(n)]
        values = tuple(seal_inline(shard_key(self._key, data_id, shard), blocks[shard]) for shard in shards)
        ref = DataRef(data_id, body.size, k, m, block_size(k), have=(1 << n) - 1)
        return Staged(ref, values, 0, digests)

    # -- extents ---------------------------------------------------------------------------------------

    async def _stage_extent(self, body: Body, k: int, m: int) -> Staged:
        self._require(len(self._drives.usable()), 0, k)
        geometry = Geometry(body.size, k, m, block_size(k))
        volume, offset = await self._volumes.reserve(geometry.extent_length)
        ref = DataRef(new_data_id(k + m), body.size, k, m, geometry.block, volume, offset)
        upload = _Upload(ref, self._drives.usable(), self._key)
        self._uploads.add(upload)
        try:
            digests = await self._receive(upload, body)
            await self._make_durable(upload)
        except BaseException:
            await settle(asyncio.ensure_future(self._abandon(upload)))
            raise
        finally:
            self._uploads.discard(upload)
        durable = DataRef(ref.data_id, ref.size, k, m, ref.block, volume, offset, upload.have)
        return Staged(durable, (), geometry.extent_length, digests)

    async def _receive(self, upload: _Upload, body: Body) -> Digests:
        """Take in and write the whole body, one batch ahead of the drives where a second buffer is free."""
        pool, size = self._pools.buffers, upload.geometry.buffer_bytes()
        several = size < upload.geometry.n * upload.geometry.shard_length
        free = [await self._buffer(size)]
        busy: list[Buffer] = []
        storing: asyncio.Task[None] | None = None
        try:
            for batch in upload.geometry.batches():
                if not free and several and (extra := pool.try_acquire(size)) is not None:
                    free.append(extra)
                if not free and storing is not None:
                    await settle(storing)
                    free, busy = busy, []
                buffer = pool.renew(free.pop())
                busy.append(buffer)
                await self._fill(body, Layout(upload.geometry, batch, buffer.view(size)).payload, (*free, *busy))
                if storing is not None:
                    await settle(storing)
                    free.extend(done for done in busy if done is not buffer)
                    busy = [buffer]
                    if free and pool.waiting:
                        pool.release(free.pop())
                storing = asyncio.get_running_loop().create_task(self._store(upload, batch, buffer, size))
            digests = await body.finish()
            if storing is not None:
                await settle(storing)
            return digests
        finally:
            await self._give_back(storing, free + busy)

    async def _buffer(self, size: int) -> Buffer:
        """:raises Busy: none became free in time"""
        return await self._in_turn(self._pools.buffers.acquire(size))

    async def _fill(self, body: Body, view: memoryview, held: Sequence[Buffer]) -> None:
        """Receive a batch. What is held is set apart while the client takes its time.

        :raises Busy: the client was slow, and then there was no turn for its upload
        """
        pool = self._pools.buffers
        slow = asyncio.get_running_loop().call_later(self._limits.slow_s, pool.set_apart, held)
        try:
            await body.fill(view)
        finally:
            slow.cancel()
        await self._in_turn(pool.take_in(held))

    async def _in_turn(self, turn: Awaitable[T]) -> T:
        """:raises Busy: it did not come in time"""
        try:
            async with asyncio.timeout(self._limits.buffer_deadline_s):
                return await turn
        except TimeoutError as error:
            raise Busy("other uploads hold all buffers") from error

    async def _give_back(self, storing: asyncio.Task[None] | None, buffers: list[Buffer]) -> None:
        """Buffers go back when no thread works on them any more."""
        try:
            if storing is not None and not storing.done():
                await settle(asyncio.ensure_future(asyncio.wait([storing])))
        finally:
            if storing is not None and not storing.cancelled():
                storing.exception()
            for buffer in buffers:
                self._pools.buffers.release(buffer)

    async def _store(self, upload: _Upload, batch: Batch, buffer: Buffer, size: int) -> None:
        """Encode one received batch and write it to all drives that are still in."""
        layout = Layout(upload.geometry, batch, buffer.view(size))
        loop = asyncio.get_running_loop()
        encoding = loop.run_in_executor(self._pools.threads, _encode, upload, layout, batch.last)
        writes = await settle(encoding)
        at = upload.geometry.block_offset(batch.first)
        reserve = self._reserve_ahead(upload, at, batch)
        work = {
            drive: (engine, partial(_write, engine, upload.ref, reserve, at, writes[drive])) for drive, engine in upload.alive.items()
        }
        _, faults = await self._drives.each("write", work, self._limits.write_deadline_s)
        self._drop(upload, faults)

    def _reserve_ahead(self, upload: _Upload, at: int, batch: Batch) -> tuple[int, int]:
        """The part of the extent whose blocks are to be reserved before this batch is written: (start, length)."""
        total = upload.geometry.extent_length
        needed = total if batch.last else at + batch.stripes * batch.length
        if needed <= upload.reserved:
            return 0, 0
        start, upload.reserved = upload.reserved, round_up(reserve_target(needed, total), 4096)
        return start, upload.reserved - start

    async def _make_durable(self, upload: _Upload) -> None:
        faults = await self._syncs.sync(upload.ref.volume, upload.alive)
        if faults:
            self._volumes.retire(upload.ref.volume)
        self._drop(upload, faults)

    def _drop(self, upload: _Upload, faults: dict[int, DriveFault]) -> None:
        for drive, error in faults.items():
            upload.drop(drive, error)
            # neither says that the drive fails
            if not isinstance(error, (DriveFull, VolumeLost)):
                self._drives.fault(drive, error)
        self._require(len(upload.alive), upload.full, upload.geometry.k)

    def _require(self, durable: int, full: int, k: int) -> None:
        """:raises StorageFull, WriteQuorumLost: fewer drives than must hold a shard durably"""
        floor = min(len(self._drives), k + self._limits.durable_extra)
        if durable < floor:
            error: StoreError = StorageFull() if durable + full >= floor else WriteQuorumLost()
            error.detail.update(drives=durable, needed=floor)
            raise error

    async def _abandon(self, upload: _Upload) -> None:
        if upload.reserved:
            await self._punch(upload.ref, upload.geometry.extent_length, upload.touched)

    async def _punch(self, ref: DataRef, length: int, engines: dict[int, DriveEngine]) -> None:
        """Give space back wherever it can be; what a failed drive keeps is found as a leak when it returns."""
        present = self._drives.present()
        work = {
            drive: (engine, partial(engine.punch, ref.volume, ref.offset, length))
            for drive, engine in engines.items()
            if present.get(drive) is engine
        }
        _, faults = await self._drives.each("write", work, self._limits.write_deadline_s)
        for drive, error in faults.items():
            self._drives.fault(drive, error)


def _encode(upload: _Upload, layout: Layout, last: bool) -> dict[int, list[memoryview]]:
    layout.pad()
    return upload.encode(layout, last)


def make_drives(
    engines: Sequence[DriveEngine | None], in_sync: Callable[[], int], on_fault: Callable[[int, DriveFault], None]
) -> Drives:
    """The drives of a set for a :class:`SetWriter`."""
    return Drives(engines, in_sync, on_fault)
