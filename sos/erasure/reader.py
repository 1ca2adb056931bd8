"""Reading a payload back: every unit is verified before it is handed out, bad ones are rebuilt from parity.

Plain functions, called in pool threads (``read_inline`` also on the event loop). A shard that is missing although the
record says it is there, fails its digest or cannot be read is reported through ``on_bad(drive, data id)``, in the
calling thread, once per open; the reader goes on with the others and gives up only when fewer than ``k`` are good.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator, Sequence

from ..domain.errors import DriveFault, ReadQuorumLost
from ..drive.engine import DriveEngine
from ..drive.faults import VolumeLost
from ..meta.records import DataRef
from .codec import codec_for
from .digest import BadShard, digest, open_inline, seal_inline, shard_key, unit_digests
from .extent import read_footer, write_footer
from .geometry import DIGEST_BYTES, UNIT, WRITE_BYTES, Geometry, drive_of, inline_length, reserve_target, shard_of

OnBad = Callable[[int, bytes], None]
OnFault = Callable[[int, DriveFault], None]


class DriveGone(DriveFault):
    """A drive is not open now, or has failed this reader before."""


#: Payload bytes of a batch; the first is smaller, so that the reply starts early.
BATCH_BYTES = 2 * 1024 * 1024
BATCH_FIRST_BYTES = 1024 * 1024
#: A range of which each drive holds as much is read through the mapping for long runs (``DriveEngine.read``): what is
#: fetched in excess are some huge pages at its ends (for 64 MiB less than the kernel's own guesses fetch without).
RUN_BYTES = 2 * 1024 * 1024


class _Shard:
    """One shard on its drive: its digests are loaded once, what it gives is verified."""

    def __init__(
        self,
        engines: Sequence[DriveEngine | None],
        ref: DataRef,
        geometry: Geometry,
        number: int,
        key: bytes,
        sequential: bool,
    ) -> None:
        self._engines = engines
        self._sequential = sequential
        self._drive = drive_of(ref.data_id, number, geometry.n)
        self._failed: DriveEngine | None = None
        self._ref = ref
        self._geometry = geometry
        self._number = number
        self._key = key
        self._digests: bytes | None = None

    def read(self, stripe: int, start: int, stop: int) -> memoryview:
        """Whole units of a block.

        :raises BadShard, DriveFault: they are not what was written, or cannot be read
        """
        digests = self._digests if self._digests is not None else self._load()
        at = self._geometry.block_offset(stripe) + start
        view = self._get(at, stop - start)
        unit = self._geometry.unit_number(stripe, start)
        for offset in range(0, stop - start, UNIT):
            expected = digests[unit * DIGEST_BYTES : (unit + 1) * DIGEST_BYTES]
            if digest(self._key, view[offset : offset + UNIT]) != expected:
                raise BadShard(f"unit {unit} of shard {self._number} does not match its digest")
            unit += 1
        return view

    def _load(self) -> bytes:
        geometry = self._geometry
        footer = self._get(geometry.shard_length, geometry.footer_length)
        self._digests = read_footer(footer, self._ref, geometry, self._number, self._key)
        return self._digests

    def _get(self, at: int, length: int) -> memoryview:
        engine = self._engines[self._drive]
        # one that failed is not asked again, but a drive that was opened anew since then is
        if engine is None or engine is self._failed:
            raise DriveGone("not open", drive=self._drive)
        try:
            view = engine.read(self._ref.volume, self._ref.offset + at, length, self._sequential)
        except DriveFault:
            self._failed = engine
            raise
        if len(view) != length:
            raise BadShard("the extent ends early")
        return view


class ExtentReader:
    """Verified blocks of one extent, rebuilt where they must be.

    :param engines: the drives of the set by position
    :param usable: mask of drives that may be read
    :param expected: payload bytes that are going to be read, in order
    :param leave_out: a shard that is not to be read (it is being rebuilt)
    :param on_fault: told of drives that could not be read, though they may have what was asked for
    """

    def __init__(
        self,
        engines: Sequence[DriveEngine | None],
        ref: DataRef,
        usable: int,
        deployment_key: bytes,
        on_bad: OnBad,
        expected: int,
        leave_out: int = -1,
        on_fault: OnFault | None = None,
    ) -> None:
        self.geometry = Geometry.of(ref)
        self._ref = ref
        self._on_bad = on_bad
        self._on_fault = on_fault
        self._reported: set[int] = set()
        self._shards: dict[int, _Shard] = {}
        self._cache: dict[tuple[int, int, int], memoryview | None] = {}
        self._cached_stripe = -1
        readable = usable & ref.have
        sequential = expected >= RUN_BYTES * ref.k
        for number in range(self.geometry.n):
            drive = drive_of(ref.data_id, number, self.geometry.n)
            if readable >> drive & 1 and number != leave_out:
                key = shard_key(deployment_key, ref.data_id, number)
                self._shards[number] = _Shard(engines, ref, self.geometry, number, key, sequential)

    def require(self, start: int, length: int) -> None:
        """Refuse a range before its first byte is sent, where it is known already that some of it cannot be read.

        :raises ReadQuorumLost: fewer than ``k`` shards can be asked for, and not all that hold the range are among them
        """
        geometry = self.geometry
        if len(self._shards) >= geometry.k:
            return
        # a stripe's worth from the start and one up to the end touch every shard that the range touches
        touched = {segment.shard for segment in geometry.segments(start, min(length, geometry.stripe))}
        tail = min(length, geometry.stripe)
        touched |= {segment.shard for segment in geometry.segments(start + length - tail, tail)}
        if not touched <= self._shards.keys():
            raise ReadQuorumLost(drives=len(self._shards), needed=geometry.k)

    def units(self, stripe: int, shard: int, start: int, stop: int) -> memoryview:
        """Whole units of a block, from its drive or from the other shards.

        :raises ReadQuorumLost: fewer than ``k`` good shards are left
        """
        if stripe != self._cached_stripe:
            self._cache.clear()
            self._cached_stripe = stripe
        view = self._verified(stripe, shard, start, stop)
        return view if view is not None else self._rebuilt(stripe, shard, start, stop)

    def _verified(self, stripe: int, number: int, start: int, stop: int) -> memoryview | None:
        """Units from the shard's own drive; None when it cannot give them. Asked once per place."""
        place = (number, start, stop)
        if place not in self._cache:
            self._cache[place] = self._try_read(stripe, number, start, stop)
        return self._cache[place]

    def _try_read(self, stripe: int, number: int, start: int, stop: int) -> memoryview | None:
        shard = self._shards.get(number)
        if shard is None:
            return None
        try:
            return shard.read(stripe, start, stop)
        except BadShard:
            # other blocks of it may be good
            self._report(number)
        except DriveGone:
            return None
        except DriveFault as fault:
            self._report(number)
            if self._on_fault is not None and not isinstance(fault, VolumeLost):
                self._on_fault(drive_of(self._ref.data_id, number, self.geometry.n), fault)
        return None

    def _report(self, number: int) -> None:
        if number not in self._reported:
            self._reported.add(number)
            self._on_bad(drive_of(self._ref.data_id, number, self.geometry.n), self._ref.data_id)

    def _rebuilt(self, stripe: int, wanted: int, start: int, stop: int) -> memoryview:
        sources: dict[int, memoryview] = {}
        for number in range(self.geometry.n):
            if number == wanted:
                continue
            view = self._verified(stripe, number, start, stop)
            if view is not None:
                sources[number] = view
            if len(sources) == self.geometry.k:
                break
        else:
            raise ReadQuorumLost(drives=len(sources), needed=self.geometry.k)
        block = memoryview(bytearray(stop - start))
        codec_for(self.geometry.k, self.geometry.m).reconstruct(sources, {wanted: block})
        self._cache[wanted, start, stop] = block
        return block

    def forget(self) -> None:
        """Verify what comes next even if it was verified before."""
        self._cache.clear()

    def close(self) -> None:
        self._cache.clear()
        self._shards.clear()


class ExtentStream:
    """A range of a payload as the body of a reply (``BodyStream``)."""

    def __init__(self, reader: ExtentReader, start: int, length: int) -> None:
        self._reader = reader
        self._segments = reader.geometry.segments(start, length)
        self._at = start
        self._end = start + length
        self._length = length
        self._limit = BATCH_FIRST_BYTES
        self._begun = False

    @property
    def length(self) -> int:
        return self._length

    def next_batch(self) -> list[memoryview]:
        """See ``BodyStream``."""
        if not self._begun:
            self._reader.require(self._at, self._length)
            self._begun = True
        # what was verified for an earlier batch may be something else by now
        self._reader.forget()
        batch: list[memoryview] = []
        size = 0
        while size < self._limit and (segment := next(self._segments, None)) is not None:
            stop = segment.offset + segment.length
            first, after = self._reader.geometry.unit_span(segment.stripe, segment.offset, stop)
            view = self._reader.units(segment.stripe, segment.shard, first, after)
            batch.append(view[segment.offset - first : stop - first])
            size += segment.length
            if segment.shard == self._reader.geometry.k - 1 and size * 2 >= self._limit:
                break  # a batch that ends with a stripe shares no shard with the next one
        self._at += size
        self._limit = min(BATCH_BYTES, self._limit * 2)
        return batch

    def put_back(self, count: int) -> None:
        """See ``BodyStream``. Batches are small for a while: whoever lets them wait takes little at a time."""
        self._at -= count
        self._segments = self._reader.geometry.segments(self._at, self._end - self._at)
        self._limit = UNIT

    def close(self) -> None:
        self._segments = iter(())
        self._reader.close()


def open_extent(
    engines: Sequence[DriveEngine | None],
    ref: DataRef,
    usable: int,
    deployment_key: bytes,
    start: int,
    length: int,
    on_bad: OnBad,
    on_fault: OnFault | None = None,
) -> ExtentStream:
    """A stream of ``length`` payload bytes from ``start``; nothing is read before the first batch is asked for."""
    if start < 0 or length < 0 or start + length > ref.size:
        raise ValueError(f"bytes {start} to {start + length} of {ref.size}")
    reader = ExtentReader(engines, ref, usable, deployment_key, on_bad, length, on_fault=on_fault)
    return ExtentStream(reader, start, length)


# -- inline payloads ----------------------------------------------------------------------------------


def _good_inline(
    shards: Sequence[bytes | None], ref: DataRef, key: bytes, on_bad: OnBad | None, skip: int = -1
) -> Iterator[tuple[int, memoryview]]:
    """The shards that verify, data shards first, by shard number."""
    n, length = ref.k + ref.m, inline_length(ref.size, ref.k)
    for number in range(n):
        drive = drive_of(ref.data_id, number, n)
        value = shards[drive]
        if value is None or number == skip:
            continue
        try:
            yield number, open_inline(shard_key(key, ref.data_id, number), value, length)
        except BadShard:
            if on_bad is not None:
                on_bad(drive, ref.data_id)


def _first_good(
    shards: Sequence[bytes | None], ref: DataRef, key: bytes, on_bad: OnBad | None, skip: int = -1
) -> dict[int, memoryview]:
    found: dict[int, memoryview] = {}
    for number, shard in _good_inline(shards, ref, key, on_bad, skip):
        found[number] = shard
        if len(found) == ref.k:
            return found
    raise ReadQuorumLost(drives=len(found), needed=ref.k)


def data_drives(ref: DataRef) -> list[int]:
    """The drives that hold the data shards, in payload order: what a read without faults needs."""
    return [drive_of(ref.data_id, number, ref.k + ref.m) for number in range(ref.k)]


def read_inline(
    shards: Sequence[bytes | None],
    ref: DataRef,
    deployment_key: bytes,
    start: int,
    length: int,
    on_bad: OnBad | None = None,
) -> bytes:
    """Payload bytes from the stored values of table ``inline``.

    :param shards: by the position of the drive in the set, None where it was not read
    :raises ReadQuorumLost: fewer than ``k`` of them are good; with more of them it may succeed
    """
    found = _first_good(shards, ref, deployment_key, on_bad)
    missing = {i: memoryview(bytearray(inline_length(ref.size, ref.k))) for i in range(ref.k) if i not in found}
    if missing:
        codec_for(ref.k, ref.m).reconstruct(found, missing)
    payload = b"".join([found[i] if i in found else missing[i] for i in range(ref.k)])
    return payload[start : min(start + length, ref.size)]


def rebuild_inline(shards: Sequence[bytes | None], ref: DataRef, deployment_key: bytes, drive: int) -> bytes:
    """The stored value that belongs on ``drive``, from those of other drives.

    :raises ReadQuorumLost: fewer than ``k`` of the others are good
    """
    wanted = shard_of(ref.data_id, drive, ref.k + ref.m)
    found = _first_good(shards, ref, deployment_key, None, skip=wanted)
    shard = memoryview(bytearray(inline_length(ref.size, ref.k)))
    codec_for(ref.k, ref.m).reconstruct(found, {wanted: shard})
    return seal_inline(shard_key(deployment_key, ref.data_id, wanted), shard)


# -- healing ------------------------------------------------------------------------------------------


def rebuild_extent(
    engines: Sequence[DriveEngine | None],
    ref: DataRef,
    usable: int,
    deployment_key: bytes,
    target: DriveEngine,
    drive: int,
    on_bad: OnBad = lambda drive, data_id: None,
) -> None:
    """Write the shard that belongs on ``drive`` to ``target``, at its place in the volume, from the other shards, and
    make it durable. Blocking; about 1 MiB at a time.

    :raises ReadQuorumLost: fewer than ``k`` of the other shards are good
    :raises DriveFault: the target failed
    """
    number = shard_of(ref.data_id, drive, ref.k + ref.m)
    reader = ExtentReader(engines, ref, usable, deployment_key, on_bad, ref.size, leave_out=number)
    geometry, key = reader.geometry, shard_key(deployment_key, ref.data_id, number)
    digests, reserved = bytearray(), 0
    # mapped memory is page-aligned, which O_DIRECT asks for
    room = memoryview(mmap.mmap(-1, max(WRITE_BYTES, geometry.block) + geometry.footer_length))
    for batch in geometry.batches():
        at, filled = geometry.block_offset(batch.first), batch.stripes * batch.length
        for i in range(batch.stripes):
            block = reader.units(batch.first + i, number, 0, batch.length)
            room[i * batch.length : (i + 1) * batch.length] = block
            digests += unit_digests(key, block)
        if batch.last:
            footer = room[filled : filled + geometry.footer_length]
            write_footer(footer, ref, geometry, number, key, digests)
            filled += geometry.footer_length
        if at + filled > reserved:
            start, reserved = reserved, reserve_target(at + filled, geometry.extent_length)
            target.allocate(ref.volume, ref.offset + start, reserved - start)
        target.write(ref.volume, ref.offset + at, [room[:filled]])
    reader.close()
    target.sync(ref.volume)
