"""What every drive engine promises, held by the mapped one and the one in memory alike."""

from __future__ import annotations

import mmap
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sos.domain.errors import DriveBehind, DriveFault, DriveFenced, DriveFull
from sos.drive.engine import TABLES, DriveEngine, Group, Position, Row
from sos.drive.identity import Identity
from sos.drive.mapped import MappedEngine, initialise
from tests.kit.faulty_engine import FaultyEngine
from tests.kit.memory_engine import MemoryDrive

MIB = 1 << 20
VOLUME = 3 << 32 | 7
ZERO = Position(0, 0)

Open = Callable[..., DriveEngine]


def buffer(data: bytes) -> memoryview:
    """A page-aligned copy."""
    view = memoryview(mmap.mmap(-1, len(data)))
    view[:] = data
    return view


def group(seq: int, *rows: Row, epoch: int = 1, own: tuple[Row, ...] = (), frees: bool = False) -> Group:
    expect = Position(epoch, seq - 1) if seq > 1 else ZERO
    return Group(epoch, expect, Position(epoch, seq), rows, own, frees)


@pytest.fixture(params=["mapped", "memory", "faulty"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Close what is open and open the same drive again."""
    opened: list[DriveEngine] = []
    drive = MemoryDrive("drive")
    if request.param == "mapped":
        initialise(str(tmp_path), Identity("deployment", "drive", 0, 0, 0, 1, 1, 1, bytes(32)), voting=True)

    def once(reserve: int = 0) -> DriveEngine:
        for engine in opened:
            engine.close()
        if request.param == "mapped":
            engine: DriveEngine = MappedEngine(str(tmp_path), writer=True, reserve=reserve)
        else:
            engine = drive.open(reserve)
        if request.param == "faulty":
            engine = FaultyEngine(engine)
        opened.append(engine)
        return engine

    yield once
    for engine in opened:
        engine.close()


@pytest.fixture
def engine(reopen: Open) -> DriveEngine:
    return reopen()


def rows_of(engine: DriveEngine, table: str, *bounds: object) -> list[tuple[bytes, bytes]]:
    txn = engine.begin_read()
    try:
        return list(txn.scan(table, *(bounds or (b"", None))))  # type: ignore[arg-type]
    finally:
        txn.close()


# -- index -----------------------------------------------------------------------------------------


def test_new_drive_is_at_the_beginning(engine: DriveEngine) -> None:
    assert (engine.promised(), engine.last(), engine.voting(), engine.drive_id) == (0, ZERO, True, "drive")
    assert all(rows_of(engine, table) == [] for table in TABLES if table != "local")


def test_applied_group_is_there_after_reopening(reopen: Open) -> None:
    engine = reopen()
    assert engine.promise(1) == ZERO
    engine.apply(group(1, Row("current", b"a", b"1"), Row("oplog", b"a", b"2"), own=(Row("inline", b"i", b"3"),)))
    engine = reopen()
    assert engine.last() == Position(1, 1)
    assert [rows_of(engine, name) for name in ("current", "oplog", "inline")] == [
        [(b"a", b"1")],
        [(b"a", b"2")],
        [(b"i", b"3")],
    ]


def test_later_row_of_a_group_wins(engine: DriveEngine) -> None:
    engine.promise(1)
    put, again, gone = Row("current", b"a", b"1"), Row("current", b"a", b"2"), Row("current", b"a", None)
    engine.apply(group(1, put, again))
    assert rows_of(engine, "current") == [(b"a", b"2")]
    engine.apply(group(2, put, gone))
    assert rows_of(engine, "current") == []
    engine.apply(group(3, gone, put))
    assert rows_of(engine, "current") == [(b"a", b"1")]


def test_group_of_another_epoch_is_fenced(engine: DriveEngine) -> None:
    engine.promise(2)
    for epoch in (1, 3):
        with pytest.raises(DriveFenced):
            engine.apply(group(1, Row("current", b"a", b"1"), epoch=epoch))
        with pytest.raises(DriveFenced):
            engine.set_voting(epoch, False)
    with pytest.raises(DriveFenced):
        engine.promise(1)
    assert engine.promise(2) == ZERO
    assert (rows_of(engine, "current"), engine.last(), engine.voting()) == ([], ZERO, True)


def test_group_at_another_position_is_behind_and_changes_nothing(engine: DriveEngine) -> None:
    engine.promise(1)
    with pytest.raises(DriveBehind):
        engine.apply(group(2, Row("current", b"a", b"1")))
    engine.apply(group(1, Row("current", b"a", b"1")))
    with pytest.raises(DriveBehind):
        engine.apply(group(1, Row("current", b"a", b"2")))
    assert rows_of(engine, "current") == [(b"a", b"1")]


def test_promise_and_vote_are_durable(reopen: Open) -> None:
    engine = reopen()
    engine.promise(7)
    engine.set_voting(7, False)
    engine = reopen()
    assert (engine.promised(), engine.voting()) == (7, False)


def test_snapshot_does_not_move(engine: DriveEngine) -> None:
    engine.promise(1)
    engine.apply(group(1, Row("current", b"a", b"1")))
    txn = engine.begin_read()
    engine.apply(group(2, Row("current", b"a", b"2"), Row("current", b"b", b"3")))
    assert (txn.last, txn.get("current", b"a"), txn.get("current", b"b")) == (Position(1, 1), b"1", None)
    txn.close()
    txn.close()


@pytest.mark.parametrize("seed", range(5))
def test_scan_agrees_with_a_sorted_list(engine: DriveEngine, seed: int) -> None:
    source = random.Random(seed)
    keys = {source.randbytes(source.randint(1, 3)) for _ in range(200)} | {b"\xff" * 511, b"\x00"}
    engine.promise(1)
    engine.apply(group(1, *(Row("versions", key, key) for key in keys)))
    txn = engine.begin_read()
    for _ in range(60):
        start, stop = source.randbytes(source.randint(0, 2)), source.choice([None, source.randbytes(2), b"\xff" * 3])
        wanted = [(key, key) for key in sorted(keys) if key >= start and (stop is None or key < stop)]
        assert list(txn.scan("versions", start, stop)) == wanted
        assert list(txn.scan("versions", start, stop, reverse=True)) == wanted[::-1]
    txn.close()


def test_rows_of_the_engine_and_unknown_tables_are_refused(engine: DriveEngine) -> None:
    engine.promise(1)
    for row in (
        Row("local", b"last", b"x"),
        Row("nowhere", b"a", b"1"),
        Row("current", b"", b"1"),
        Row("current", b"k" * 512, b""),
    ):
        with pytest.raises(ValueError, match=r"table|row|key|engine"):
            engine.apply(group(1, row))
    engine.apply(group(1, own=(Row("local", b"punched", b"1"),)))


def test_below_the_reserve_only_freeing_groups_pass(reopen: Open) -> None:
    """R19: a full drive can still be emptied."""
    engine = reopen()
    engine.promise(1)
    engine.apply(group(1, Row("current", b"a", b"1")))
    engine = reopen(reserve=engine.space().total * 2)
    seq = 1
    with pytest.raises(DriveFull):
        for seq in range(1, 100):  # what is reserved ahead already may be used up
            engine.apply(group(seq + 1, Row("inline", b"%d" % seq, bytes(MIB))))
    with pytest.raises(DriveFull):
        engine.allocate(VOLUME, 0, 4096)
    assert engine.last() == Position(1, seq)
    engine.apply(group(seq + 1, Row("current", b"a", None), frees=True))
    assert rows_of(engine, "current") == []


# -- volumes ---------------------------------------------------------------------------------------


def test_synced_extent_is_read_back_after_reopening(reopen: Open) -> None:
    engine = reopen()
    data = random.Random(1).randbytes(3 * MIB)
    engine.create_volume(VOLUME, 64 * MIB)
    engine.allocate(VOLUME, 8192, len(data))
    engine.write(VOLUME, 8192, [buffer(data[:MIB]), buffer(data[MIB:])])
    engine.sync(VOLUME)
    engine = reopen()
    for offset, length in ((0, len(data)), (1, 1), (4095, 4098), (MIB - 1, MIB)):
        for sequential in (False, True):
            assert engine.read(VOLUME, 8192 + offset, length, sequential) == data[offset : offset + length]
    assert engine.volumes()[VOLUME] >= len(data)


def test_suspected_drive_reads_the_same(engine: DriveEngine) -> None:
    data = random.Random(2).randbytes(MIB)
    engine.create_volume(VOLUME, 64 * MIB)
    engine.write(VOLUME, 4096, [buffer(data)])
    engine.suspect()
    assert engine.read(VOLUME, 4096 + 5, 70_000) == data[5:70_005]
    with pytest.raises(DriveFault):
        engine.read(VOLUME, 64 * MIB - 4096, 8192)


def test_many_buffers_are_one_write(engine: DriveEngine) -> None:
    data = random.Random(3).randbytes(1500 * 4096)
    whole = buffer(data)
    engine.create_volume(VOLUME, 64 * MIB)
    engine.write(VOLUME, 0, [whole[at : at + 4096] for at in range(0, len(data), 4096)])
    assert engine.read(VOLUME, 0, len(data)) == data


def test_unaligned_write_is_refused(engine: DriveEngine) -> None:
    engine.create_volume(VOLUME, MIB)
    for offset, length in ((1, 4096), (0, 4095)):
        with pytest.raises(ValueError, match="4096"):
            engine.write(VOLUME, offset, [buffer(bytes(length))])


def test_volume_is_created_once(engine: DriveEngine) -> None:
    engine.create_volume(VOLUME, MIB)
    with pytest.raises(FileExistsError):
        engine.create_volume(VOLUME, MIB)
    for number in (0, -1, 1 << 48):
        with pytest.raises(ValueError, match="number"):
            engine.create_volume(number, MIB)


def test_missed_creation_is_made_good_by_allocate(engine: DriveEngine) -> None:
    with pytest.raises(DriveFault):
        engine.write(VOLUME, 0, [buffer(bytes(4096))])
    engine.allocate(VOLUME, 4096, MIB)
    engine.write(VOLUME, 4096, [buffer(b"x" * MIB)])
    engine.sync(VOLUME)
    assert engine.read(VOLUME, 4096, MIB) == b"x" * MIB


def test_allocation_beyond_the_size_can_be_read(engine: DriveEngine) -> None:
    engine.create_volume(VOLUME, MIB)
    assert engine.read(VOLUME, 0, MIB, sequential=True) == bytes(MIB)
    engine.allocate(VOLUME, 2 * MIB, MIB)
    engine.write(VOLUME, 2 * MIB, [buffer(b"y" * MIB)])
    for sequential in (False, True):
        assert engine.read(VOLUME, 2 * MIB, MIB, sequential) == b"y" * MIB


def test_what_is_written_beside_a_range_that_was_read_is_read_too(engine: DriveEngine) -> None:
    """Reads fetch more than they were asked for: what is written there afterwards replaces it."""
    engine.create_volume(VOLUME, 16 * MIB)
    engine.allocate(VOLUME, 0, 8 * MIB)
    for at in range(8):
        written = b"".join(bytes([number + 1]) * MIB for number in range(at + 1))
        engine.write(VOLUME, at * MIB, [buffer(written[-MIB:])])
        for sequential in (True, False):
            assert engine.read(VOLUME, 0, (at + 1) * MIB, sequential) == written


def test_missing_and_short_volumes_are_faults(engine: DriveEngine) -> None:
    """R08: a short read is a failure, never data."""
    with pytest.raises(DriveFault):
        engine.read(VOLUME, 0, 4096)
    with pytest.raises(DriveFault):
        engine.sync(VOLUME)
    engine.create_volume(VOLUME, MIB)
    with pytest.raises(DriveFault):
        engine.read(VOLUME, MIB - 1, 2)


def test_punched_range_reads_as_zeros_and_frees_blocks(engine: DriveEngine) -> None:
    engine.create_volume(VOLUME, 16 * MIB)
    engine.allocate(VOLUME, 0, 8 * MIB)
    engine.write(VOLUME, 0, [buffer(b"z" * 8 * MIB)])
    engine.sync(VOLUME)
    before = engine.volumes()[VOLUME]
    held = engine.read(VOLUME, 7 * MIB, MIB)
    engine.punch(VOLUME, 0, 7 * MIB)
    assert engine.volumes()[VOLUME] <= before - 7 * MIB
    assert engine.read(VOLUME, 0, MIB) == bytes(MIB)
    assert engine.read(VOLUME, 0, 8 * MIB, sequential=True) == bytes(7 * MIB) + b"z" * MIB
    assert held == b"z" * MIB
    engine.punch(VOLUME + 1, 0, MIB)


def test_removed_volume_stays_readable_where_it_is_held(engine: DriveEngine) -> None:
    engine.create_volume(VOLUME, MIB)
    engine.write(VOLUME, 0, [buffer(b"r" * 8192)])
    engine.sync(VOLUME)
    held = engine.read(VOLUME, 0, 8192)
    engine.remove_volume(VOLUME)
    engine.remove_volume(VOLUME)
    assert held == b"r" * 8192
    assert engine.volumes() == {}
    with pytest.raises(DriveFault):
        engine.read(VOLUME, 0, 8192)


def test_read_is_not_writable(engine: DriveEngine) -> None:
    engine.create_volume(VOLUME, MIB)
    assert engine.read(VOLUME, 0, 4096).readonly


def test_full_drive_is_told_before_the_write(reopen: Open) -> None:
    """R19"""
    engine = reopen()
    free = engine.space().free
    engine.create_volume(VOLUME, MIB)
    with pytest.raises(DriveFull):
        engine.allocate(VOLUME, 0, free + (1 << 40))
