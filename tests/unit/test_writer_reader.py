"""Payloads through the writer and back through the reader, over drives in memory."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from sos.domain.errors import (
    BadDigest,
    Busy,
    DriveFault,
    DriveFull,
    EntityTooLarge,
    IncompleteBody,
    ReadQuorumLost,
    StorageFull,
    WriteQuorumLost,
)
from sos.erasure.geometry import Geometry, block_size, drive_of
from sos.erasure.handle import Staged
from sos.erasure.reader import ExtentStream, data_drives, open_extent, read_inline, rebuild_extent, rebuild_inline
from sos.erasure.writer import WriterLimits
from sos.meta.records import DataRef
from sos.services.streams import CopyBody
from tests.kit.staging import FULL, KEY, KnownBody, RamVolumes, Rig, fail_on, rig

GEOMETRIES = [(n - m, m) for n in range(1, 17) for m in range(n // 2 + 1)]
#: Everything into extents, so that short payloads go that way too.
EXTENTS = WriterLimits(inline_bytes_max=0)


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    async def bounded() -> Any:
        return await asyncio.wait_for(coroutine, 60)

    return asyncio.run(bounded())


def noise(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def ref_of(staged: Staged) -> DataRef:
    assert staged.data is not None
    return staged.data


def drain(stream: ExtentStream) -> bytes:
    out = bytearray()
    while batch := stream.next_batch():
        for view in batch:
            out += view
    stream.close()
    return bytes(out)


def read(made: Rig, ref: DataRef, start: int = 0, length: int | None = None, bad: list[int] | None = None) -> bytes:
    wanted = ref.size - start if length is None else length
    seen: list[int] = [] if bad is None else bad
    return drain(open_extent(made.engines, ref, FULL, KEY, start, wanted, lambda drive, data_id: seen.append(drive)))


# -- round trips --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("k", "m"), GEOMETRIES)
def test_payloads_of_all_sizes_beside_a_stripe_come_back_with_any_m_drives_gone(k: int, m: int) -> None:
    """R09: every (k, m), size mod stripe = -1, 0, 1, one byte, a fraction; whole and as ranges."""
    stripe = k * block_size(k)
    with rig(k, m, EXTENTS) as made:
        for size in {1, 5000, stripe - 1, stripe, stripe + 1}:
            payload = noise(size, k * 16 + m)
            staged = run(made.put(payload))
            ref = ref_of(staged)
            assert ref.have == (1 << (k + m)) - 1
            assert staged.extent == Geometry.of(ref).extent_length
            assert read(made, ref) == payload
            bad: list[int] = []
            gone = random.Random(size).sample(range(k + m), m)
            kept = [None if i in gone else drive for i, drive in enumerate(made.drives)]
            stream = open_extent(kept, ref, FULL, KEY, size // 3, size - size // 3, lambda d, _: bad.append(d))  # noqa: B023
            assert drain(stream) == payload[size // 3 :]
            assert bad == [], "a drive known to be out is not reported"


@pytest.mark.parametrize(("k", "m"), GEOMETRIES)
def test_inline_payloads_come_back_with_any_m_shards_gone(k: int, m: int) -> None:
    with rig(k, m) as made:
        for size in (1, 2, k, 4095, 4096, 131_072):
            payload = noise(size)
            staged = run(made.put(payload))
            ref = ref_of(staged)
            assert ref.volume == 0 and staged.extent == 0 and len(staged.inline) == k + m
            assert read_inline(staged.inline, ref, KEY, 0, size) == payload
            shards: list[bytes | None] = list(staged.inline)
            for i in random.Random(size).sample(range(k + m), m):
                shards[i] = None
            assert read_inline(shards, ref, KEY, size // 2, size) == payload[size // 2 :]
            for i, shard in enumerate(staged.inline):
                if m:
                    assert rebuild_inline([*staged.inline[:i], None, *staged.inline[i + 1 :]], ref, KEY, i) == shard
        assert made.drives[0].calls == [], "inline payloads touch no volume"


def test_the_data_drives_are_enough_to_read_inline() -> None:
    with rig(4, 2) as made:
        staged = run(made.put(b"x" * 1000))
        ref = ref_of(staged)
        some = [shard if i in data_drives(ref) else None for i, shard in enumerate(staged.inline)]
        assert read_inline(some, ref, KEY, 10, 20) == b"x" * 20


def test_an_empty_payload_has_no_data_but_its_body_is_checked() -> None:
    with rig(2, 2) as made:
        staged = run(made.put(b""))
        assert staged.data is None and staged.inline == () and staged.extent == 0
        with pytest.raises(BadDigest):
            run(made.put(b"", refusal=BadDigest()))


def test_any_range_is_a_cut_of_the_payload() -> None:
    with rig(3, 2, EXTENTS) as made:
        payload = noise(3 * 2**20 * 2 + 777_777)
        ref = ref_of(run(made.put(payload)))
        source = random.Random(5)
        for _ in range(60):
            start = source.randrange(len(payload))
            length = source.choice([0, 1, 100, 300_000, len(payload) - start])
            length = min(length, len(payload) - start)
            assert read(made, ref, start, length) == payload[start : start + length]
        with pytest.raises(ValueError, match="bytes"):
            read(made, ref, 1, len(payload))


def test_padding_is_zero_though_the_buffer_held_another_payload() -> None:
    """What one client sent never ends up behind the payload of another."""
    with rig(2, 1, EXTENTS) as made:
        run(made.put(b"\xff" * 32_000))
        ref = ref_of(run(made.put(b"\xff" * 25_001)))
        length = Geometry.of(ref).tail
        shards = [made.drives[drive_of(ref.data_id, i, 3)].files[ref.volume][ref.offset :][:length] for i in (0, 1)]
        assert b"".join(shards) == b"\xff" * 25_001 + bytes(2 * length - 25_001)


def test_a_small_range_reads_one_unit_and_a_footer() -> None:
    with rig(2, 2, EXTENTS) as made:
        ref = ref_of(run(made.put(noise(10 * 2**20))))
        for drive in made.drives:
            drive.calls.clear()
        read(made, ref, 5_000_000, 4096)
        assert sum(drive.calls.count("read") for drive in made.drives) == 2


def test_several_extents_share_a_volume_and_large_ones_get_their_own() -> None:
    limits = WriterLimits(inline_bytes_max=0, volume_bytes=3 * 2**20)
    with rig(2, 1, limits) as made:
        first, second = (ref_of(run(made.put(noise(2**20, i)))) for i in (1, 2))
        large = ref_of(run(made.put(noise(9 * 2**20, 3))))
        assert first.volume == second.volume != large.volume
        assert first.offset != second.offset
        assert first.volume >> 32 == 3
        assert [read(made, ref) == noise(ref.size, i) for i, ref in enumerate((first, second, large), 1)] == [True] * 3


def test_a_successor_never_appends_to_what_it_finds() -> None:
    with rig(2, 1, EXTENTS) as made:
        ref = ref_of(run(made.put(noise(5000))))
        taken = ref.volume
        with rig(2, 1, EXTENTS) as after:
            after.drives[1].files = {taken + i: bytearray() for i in range(3)}
            assert ref_of(run(after.put(noise(5000)))).volume > taken + 2


# -- bad shards on reading ------------------------------------------------------------------------------


def corrupt(drive: RamVolumes, ref: DataRef, how: str) -> None:
    """Spoil a shard where it is: one byte of the first or last block, of the footer, all of it, or cut the file."""
    geometry, file = Geometry.of(ref), drive.files[ref.volume]
    places = {"first": 0, "last": geometry.shard_length - 4096, "footer": geometry.shard_length + 100}
    if how in places:
        file[ref.offset + places[how]] ^= 0x40
    elif how == "cut":
        del file[ref.offset + geometry.extent_length - 1 :]
    else:
        file[ref.offset : ref.offset + geometry.extent_length] = bytes(geometry.extent_length)


@pytest.mark.parametrize("how", ["first", "last", "footer", "cut", "zero"])
def test_every_set_of_up_to_m_bad_shards_is_read_around_and_reported(how: str) -> None:
    """R08 for reads: corrupt, truncated or lost, every subset up to parity; one more is an error, never other bytes."""
    payload = noise(2 * 2**20 + 300_001)
    for bits in range(1, 16):
        chosen = [i for i in range(4) if bits >> i & 1]
        with rig(2, 2, EXTENTS) as made:
            ref = ref_of(run(made.put(payload)))
            for i in chosen:
                corrupt(made.drives[i], ref, how)
            bad: list[int] = []
            if len(chosen) <= 2:
                assert read(made, ref, bad=bad) == payload
                data = [i for i in chosen if (i - ref.data_id[0]) % 4 < 2]
                assert set(data) <= set(bad) <= set(chosen)
                assert len(bad) == len(set(bad)), "reported once per open"
            else:
                with pytest.raises(ReadQuorumLost):
                    read(made, ref)


def as_mapped(made: Rig) -> None:
    """Reads show what becomes of the files, as mappings do."""
    for drive in made.drives:

        def read(volume: int, offset: int, length: int, _: bool, drive: RamVolumes = drive) -> memoryview:
            return memoryview(drive.files[volume])[offset : offset + length]

        drive.read = read  # type: ignore[method-assign]


@pytest.mark.parametrize("count", [1, 70_000, 1 << 20])
def test_what_is_put_back_is_verified_again(count: int) -> None:
    """R05: bytes that changed while they waited are read from parity; the rest follows without a gap."""
    with rig(2, 2, EXTENTS) as made:
        payload = noise(5 * 2**20)
        ref = ref_of(run(made.put(payload)))
        as_mapped(made)
        bad: list[int] = []
        stream = open_extent(made.engines, ref, FULL, KEY, 7, ref.size - 7, lambda drive, _: bad.append(drive))
        out = b"".join(stream.next_batch())
        for drive in data_drives(ref):
            corrupt(made.drives[drive], ref, "zero")
        stream.put_back(count)
        out = out[:-count] + drain(stream)
        assert (len(out), out == payload[7:], bool(bad)) == (ref.size - 7, True, True)


@pytest.mark.parametrize(
    ("start", "length", "sequential"),
    [(0, 9 << 20, True), (5, 4 << 20, True), (5, (4 << 20) - 1, False), (8 << 20, 1 << 20, False), (0, 1, False)],
)
def test_long_runs_are_read_as_such(
    start: int, length: int, sequential: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """2 MiB of each of two drives and more: only then may a drive fetch megabytes around each read."""
    with rig(2, 2, EXTENTS) as made:
        payload = noise(9 * 2**20)
        ref = ref_of(run(made.put(payload)))
        seen: set[bool] = set()
        for drive in made.drives:
            read = drive.read
            monkeypatch.setattr(drive, "read", lambda *args, read=read: (seen.add(args[3]), read(*args))[1])
        stream = open_extent(made.engines, ref, FULL, KEY, start, length, lambda drive, _: None)
        assert drain(stream) == payload[start : start + length]
        assert seen == {sequential}


def test_nothing_is_rebuilt_from_what_was_verified_for_an_earlier_batch() -> None:
    """R05: a batch ends in the middle of a stripe, then both its data shards go bad: the rest is made from parity alone."""
    with rig(2, 2, EXTENTS) as made:
        payload = noise(5 * 2**20)
        ref = ref_of(run(made.put(payload)))
        as_mapped(made)
        stream = open_extent(made.engines, ref, FULL, KEY, 0, ref.size, lambda drive, _: None)
        out = b"".join(stream.next_batch())
        assert len(out) % (2 * block_size(2)), "the batch ends with a stripe: nothing is tried here"
        for drive in data_drives(ref):
            corrupt(made.drives[drive], ref, "zero")
        out += drain(stream)
        assert (len(out), out == payload) == (ref.size, True)


def test_a_copy_does_not_store_what_waited_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy takes a batch in several pieces: what its source becomes between them is not stored as good."""
    monkeypatch.setattr("sos.services.streams.FRESH_S", -1.0)
    with rig(2, 2, EXTENTS) as made, ThreadPoolExecutor(1) as pool:
        payload = noise(3 * 2**20)
        ref = ref_of(run(made.put(payload)))
        as_mapped(made)
        body = CopyBody(open_extent(made.engines, ref, FULL, KEY, 0, ref.size, lambda drive, _: None), pool)
        copied = bytearray(ref.size)
        run(body.fill(memoryview(copied)[:1000]))
        for drive in data_drives(ref):
            corrupt(made.drives[drive], ref, "zero")
        run(body.fill(memoryview(copied)[1000:]))
        assert (copied == payload) is True


def test_a_drive_that_dies_in_the_middle_of_a_read_is_replaced_by_parity() -> None:
    """R05: the rest of the stream comes from the other shards."""
    with rig(2, 2, EXTENTS) as made:
        payload = noise(12 * 2**20)
        ref = ref_of(run(made.put(payload)))
        bad: list[int] = []
        stream = open_extent(made.engines, ref, FULL, KEY, 0, ref.size, lambda drive, _: bad.append(drive))
        out = b"".join(stream.next_batch())
        victim = drive_of(ref.data_id, 1, 4)
        made.drives[victim].before = fail_on("read")
        out += drain(stream)
        assert (len(out), out == payload) == (len(payload), True)
        assert bad == [victim]


def test_a_read_that_loses_its_quorum_in_the_middle_raises_and_never_ends_cleanly() -> None:
    """R05: no short body with a clean end."""
    with rig(2, 2, EXTENTS) as made:
        ref = ref_of(run(made.put(noise(12 * 2**20))))
        stream = open_extent(made.engines, ref, FULL, KEY, 0, ref.size, lambda drive, data_id: None)
        assert stream.next_batch()
        for drive in made.drives[:3]:
            drive.before = fail_on("read")
        with pytest.raises(ReadQuorumLost):
            while stream.next_batch():
                pass


def test_a_block_of_another_object_never_passes() -> None:
    """R09: whole extents swapped between two objects of equal size are seen and, within parity, read around."""
    with rig(2, 2, EXTENTS) as made:
        one, two = (ref_of(run(made.put(noise(700_000, i)))) for i in (1, 2))
        length = Geometry.of(one).extent_length
        for drive in made.drives[:2]:
            file = drive.files[one.volume]
            a, b = (bytes(file[ref.offset : ref.offset + length]) for ref in (one, two))
            file[one.offset : one.offset + length], file[two.offset : two.offset + length] = b, a
        assert read(made, one) == noise(700_000, 1)
        assert read(made, two) == noise(700_000, 2)


def test_inline_shards_of_another_object_or_place_never_pass() -> None:
    with rig(2, 2) as made:
        one, two = run(made.put(b"a" * 100)), run(made.put(b"b" * 100))
        with pytest.raises(ReadQuorumLost):
            read_inline(two.inline, ref_of(one), KEY, 0, 100)
        turned = [*one.inline[1:], one.inline[0]]
        with pytest.raises(ReadQuorumLost):
            read_inline(turned, ref_of(one), KEY, 0, 100)
        bad: list[int] = []
        victim = data_drives(ref_of(one))[0]
        mixed = [two.inline[i] if i == victim else shard for i, shard in enumerate(one.inline)]
        assert read_inline(mixed, ref_of(one), KEY, 0, 100, lambda d, _: bad.append(d)) == b"a" * 100
        assert bad == [victim]


def test_a_shard_not_in_have_or_not_usable_is_not_touched() -> None:
    with rig(2, 2, EXTENTS) as made:
        payload = noise(500_000)
        ref = ref_of(run(made.put(payload)))
        first = drive_of(ref.data_id, 0, 4)
        made.drives[first].before = fail_on("read", error=AssertionError("must not be read"))
        stream = open_extent(made.engines, ref, FULL & ~(1 << first), KEY, 0, ref.size, lambda d, i: None)
        assert drain(stream) == payload
        assert read(made, msgspec.structs.replace(ref, have=ref.have & ~(1 << first))) == payload


# -- rebuilding -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("k", "m"), [(1, 1), (2, 1), (2, 2), (4, 2), (6, 3), (12, 4)])
def test_a_rebuilt_shard_is_byte_equal_and_durable(k: int, m: int) -> None:
    """R08: rebuilding every shard of an extent gives what was there."""
    size = 2 * k * block_size(k) + 70_000
    with rig(k, m, EXTENTS) as made:
        ref = ref_of(run(made.put(noise(size))))
        length = Geometry.of(ref).extent_length
        for i in range(0, k + m, 1 if k < 6 else 5):
            blank = RamVolumes("blank")
            rebuild_extent(made.engines, ref, FULL, KEY, blank, i)  # type: ignore[arg-type]
            there = made.drives[i].files[ref.volume][ref.offset : ref.offset + length]
            assert blank.files[ref.volume][ref.offset :] == there
            assert blank.synced == [ref.volume]


def test_a_rebuild_does_not_use_bad_shards_and_fails_without_enough_good_ones() -> None:
    with rig(2, 2, EXTENTS) as made:
        ref = ref_of(run(made.put(noise(900_000))))
        length = Geometry.of(ref).extent_length
        corrupt(made.drives[1], ref, "first")
        blank = RamVolumes("blank")
        rebuild_extent(made.engines, ref, FULL, KEY, blank, 0)  # type: ignore[arg-type]
        assert blank.files[ref.volume][ref.offset :] == made.drives[0].files[ref.volume][ref.offset : ref.offset + length]
        corrupt(made.drives[2], ref, "first")
        blank = RamVolumes("blank")
        with pytest.raises(ReadQuorumLost):
            rebuild_extent(made.engines, ref, FULL, KEY, blank, 0)  # type: ignore[arg-type]
        assert blank.synced == []


# -- failing drives on writing ------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", ["create_volume", "allocate", "write", "sync"])
@pytest.mark.parametrize("after", [0, 1, 2])
def test_have_names_exactly_the_drives_whose_every_write_and_sync_succeeded(operation: str, after: int) -> None:
    """R01, R02: one drive fails at some step; it is left out of ``have`` and reported, the payload reads back without it."""
    with rig(2, 2, EXTENTS) as made:
        made.drives[1].before = fail_on(operation, after)
        payload = noise(20 * 2**20)
        ref = ref_of(run(made.put(payload)))
        failed = 1 in made.faults
        made.drives[1].before = lambda called: None
        assert made.faults.count(1) == (1 if failed else 0)
        assert failed or after, "the first call of each is made"
        if operation != "create_volume":
            assert ref.have == (0b1101 if failed else 0b1111)
        for i in range(4):
            if ref.have >> i & 1:
                assert ref.volume in made.drives[i].synced
        assert read(made, ref) == payload


@pytest.mark.parametrize("operation", ["create_volume", "allocate", "write", "sync"])
def test_fewer_durable_shards_than_the_floor_is_refused_and_leaves_nothing(operation: str) -> None:
    """R01: 2+2 wants three durable shards; with two failing drives the upload fails and its space is punched."""
    with rig(2, 2, EXTENTS) as made:
        for drive in made.drives[:2]:
            drive.before = fail_on(operation)
        if operation == "create_volume":
            # a drive that missed the creation gets the file with its first blocks
            run(made.put(noise(5 * 2**20)))
            return
        with pytest.raises(WriteQuorumLost):
            run(made.put(noise(5 * 2**20)))
        assert sorted(made.faults) == [0, 1]
        for drive in made.drives:
            drive.before = lambda called: None
        assert made.allocated() == 0
        assert made.buffers.used == 0


def test_without_enough_drives_the_body_is_not_even_read() -> None:
    with rig(2, 2, EXTENTS) as made:
        made.in_sync = 0b0011
        body = KnownBody(noise(5000))
        with pytest.raises(WriteQuorumLost):
            run(made.writer.stage(body, 2, 2))
        assert body.position == 0


@pytest.mark.parametrize(("full", "outcome"), [(1, None), (2, StorageFull), (4, StorageFull)])
def test_full_drives_are_left_out_and_when_too_many_the_store_is_full(full: int, outcome: type[Exception] | None) -> None:
    """R19: 507 for the writer, everything given back, no drive blamed."""
    with rig(2, 2, EXTENTS) as made:
        for drive in made.drives[:full]:
            drive.space_left = 0
        if outcome is None:
            assert ref_of(run(made.put(noise(5000)))).have == 0b1110
        else:
            with pytest.raises(outcome):
                run(made.put(noise(5000)))
            assert made.allocated() == 0
        assert made.faults == []


def test_when_no_drive_takes_a_volume_for_want_of_space_the_store_is_full() -> None:
    """R19."""
    with rig(2, 2, EXTENTS) as made:
        for drive in made.drives:
            drive.before = fail_on("create_volume", error=DriveFull())
        with pytest.raises(StorageFull):
            run(made.put(noise(5000)))


def test_after_a_failed_sync_the_volume_gets_no_more_extents() -> None:
    with rig(2, 2, EXTENTS) as made:
        first = ref_of(run(made.put(noise(5000))))
        made.drives[2].before = fail_on("sync")
        second = ref_of(run(made.put(noise(5000))))
        third = ref_of(run(made.put(noise(5000))))
        assert first.volume == second.volume < third.volume
        assert second.have == 0b1011


def test_a_payload_above_the_bound_of_one_extent_is_refused_unread() -> None:
    with rig(1, 0, WriterLimits(payload_bytes_max=10, inline_bytes_max=5)) as made, pytest.raises(EntityTooLarge):
        run(made.put(bytes(11)))


def test_uploads_that_wait_together_share_their_syncs() -> None:
    with rig(2, 2, EXTENTS) as made:

        async def many() -> list[Staged]:
            return await asyncio.gather(*(made.put(noise(3000, i)) for i in range(40)))

        staged = run(many())
        assert all(ref_of(one).have == 0b1111 for one in staged)
        assert max(drive.calls.count("sync") for drive in made.drives) < 40
        for i, one in enumerate(staged):
            assert read(made, ref_of(one)) == noise(3000, i)


# -- bodies that fail ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [100, 200_000, 9 * 2**20])
@pytest.mark.parametrize("fault", ["stop", "refusal"])
def test_a_body_that_fails_leaves_nothing(size: int, fault: str) -> None:
    """Nothing is offered for commit before the body's own checks; no space, no buffer stays behind."""
    with rig(2, 2) as made:
        if fault == "stop":
            with pytest.raises(IncompleteBody):
                run(made.put(noise(size), stop_after=size * 3 // 4))
        else:
            with pytest.raises(BadDigest):
                run(made.put(noise(size), refusal=BadDigest()))
        assert made.allocated() == 0
        assert made.buffers.used == 0
        assert not any(drive.synced for drive in made.drives)
        assert made.writer.volumes_in_use() <= {volume for drive in made.drives for volume in drive.files}


def test_a_discarded_payload_gives_its_space_back() -> None:
    with rig(2, 2, EXTENTS) as made:
        staged = run(made.put(noise(5 * 2**20)))
        assert made.allocated() == 4 * staged.extent
        run(made.writer.discard(staged))
        assert made.allocated() == 0
        run(made.writer.discard(run(made.put(b""))))


def test_an_error_that_is_no_drives_fault_is_not_swallowed() -> None:
    with rig(2, 2, EXTENTS) as made:
        made.drives[0].before = fail_on("write", error=ZeroDivisionError())
        with pytest.raises(ZeroDivisionError):
            run(made.put(noise(5000)))
        made.drives[0].before = lambda called: None
        assert made.allocated() == 0 and made.buffers.used == 0


def test_one_upload_never_holds_up_another_for_its_second_buffer() -> None:
    """With room for one buffer at a time many uploads still all end."""
    with rig(2, 2, EXTENTS, budget=5 << 20) as made:

        async def many() -> list[Staged]:
            return await asyncio.gather(*(made.put(noise(5 * 2**20, i)) for i in range(6)))

        for i, staged in enumerate(run(many())):
            assert read(made, ref_of(staged)) == noise(5 * 2**20, i)


def test_an_upload_does_not_wait_for_memory_for_ever() -> None:
    """Slow clients may hold all buffers: the others are told to come again, and nothing is left of them."""
    limits = replace(EXTENTS, buffer_deadline_s=0.02)
    with rig(2, 2, limits, budget=5 << 20) as made:

        async def meet() -> None:
            held = await made.buffers.acquire(5 << 20)
            with pytest.raises(Busy):
                await made.put(noise(5 * 2**20))
            made.buffers.release(held)

        run(meet())
        assert (made.allocated(), made.buffers.used, made.buffers.waiting) == (0, 0, 0)
        assert read(made, ref_of(run(made.put(noise(5 * 2**20))))) == noise(5 * 2**20)


def test_slow_clients_do_not_keep_the_memory_from_others() -> None:
    """R29: what waits for its client counts apart, and comes to its end once the client has sent it."""
    with rig(2, 2, replace(EXTENTS, slow_s=0.01), budget=5 << 20) as made:

        async def meet() -> list[Staged]:
            sent = asyncio.Event()
            slow = [asyncio.create_task(made.put(noise(5 * 2**20, i), sends=sent)) for i in range(3)]
            quick = [await made.put(noise(5 * 2**20, 10 + i)) for i in range(3)]
            assert not any(task.done() for task in slow)
            sent.set()
            return [*await asyncio.gather(*slow), *quick]

        stored = run(meet())
        assert (made.buffers.used, made.buffers.apart, made.buffers.waiting) == (0, 0, 0)
        for i, staged in zip((0, 1, 2, 10, 11, 12), stored, strict=True):
            assert (read(made, ref_of(staged)) == noise(5 * 2**20, i)) is True


def test_a_drive_fault_is_a_drive_fault_when_it_comes_from_the_system() -> None:
    with rig(2, 2, EXTENTS) as made:
        made.drives[3].before = fail_on("write", error=OSError(5, "Input/output error"))
        assert ref_of(run(made.put(noise(5000)))).have == 0b0111
        assert issubclass(DriveFull, DriveFault)
