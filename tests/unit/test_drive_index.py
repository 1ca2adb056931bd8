"""What is particular to the index in LMDB: stored bytes, space, several processes."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import lmdb
import pytest

from sos.domain.errors import BadRow, DriveFault, DriveFull
from sos.drive import index, local
from sos.drive.engine import Group, Position, Row, Space
from sos.drive.identity import Identity
from sos.drive.mapped import MappedEngine, initialise, map_bytes

ONE = Identity("deployment", "drive", 0, 0, 0, 1, 1, 1, bytes(32))


def group(seq: int, *rows: Row, frees: bool = False) -> Group:
    return Group(1, Position(1, seq - 1) if seq > 1 else Position(0, 0), Position(1, seq), rows, (), frees)


@pytest.fixture
def drive(tmp_path: Path) -> str:
    initialise(str(tmp_path), ONE, voting=True)
    return str(tmp_path)


@pytest.fixture
def engine(drive: str) -> Iterator[MappedEngine]:
    opened = MappedEngine(drive, writer=True)
    opened.promise(1)
    yield opened
    opened.close()


# -- stored bytes: FORMAT.md §4 --------------------------------------------------------------------

GOLDEN_LOCAL = [
    (local.PROMISED, local.seal_promised(7), "010000000000000007 0972edc3aa4e136e"),
    (local.LAST, local.seal_last(Position(7, 258)), "0100000000000000070000000000000102 72ad02a227bc8d8a"),
    (local.VOTING, local.seal_voting(True), "0101 4518422034d43fb5"),
]


@pytest.mark.parametrize(("key", "value", "golden"), GOLDEN_LOCAL)
def test_golden_bytes_of_local_rows(key: bytes, value: bytes, golden: str) -> None:
    assert value == bytes.fromhex(golden)


OPENERS = {local.PROMISED: local.open_promised, local.LAST: local.open_last, local.VOTING: local.open_voting}


@pytest.mark.parametrize(("key", "value", "golden"), GOLDEN_LOCAL)
def test_every_damaged_byte_of_a_local_row_is_noticed(key: bytes, value: bytes, golden: str) -> None:
    for at in range(len(value)):
        for bit in range(8):
            damaged = bytearray(value)
            damaged[at] ^= 1 << bit
            with pytest.raises(BadRow):
                OPENERS[key](bytes(damaged))
    for other in (None, b"", value[:-1], value + b"\0"):
        with pytest.raises(BadRow):
            OPENERS[key](other)


def test_row_under_another_key_is_noticed() -> None:
    with pytest.raises(BadRow):
        local.open_promised(local._seal(b"other", local._ONE.pack(1, 7)))


def test_later_version_is_named() -> None:
    with pytest.raises(BadRow, match="version 2"):
        local.open_promised(local._seal(local.PROMISED, local._ONE.pack(2, 7)))


def test_index_is_readable_by_every_lmdb_of_the_09_line(drive: str) -> None:
    with open(os.path.join(drive, ".sos/index/data.mdb"), "rb") as file:
        head = file.read(24)
    assert head[16:24] == bytes.fromhex("dec0efbe 01000000")


def test_files_are_private(engine: MappedEngine) -> None:
    engine.create_volume(1, 4096)
    for directory, _, names in os.walk(engine.path + "/.sos"):
        assert os.stat(directory).st_mode & 0o077 == 0 or "volumes" in directory
        assert all(os.stat(os.path.join(directory, name)).st_mode & 0o077 == 0 for name in names)


def test_map_is_bounded_by_the_drive() -> None:
    assert [map_bytes(total) for total in (0, (10 << 30) + 1, 1 << 50)] == [1 << 30, (10 << 30) + 4096, 1 << 40]


# -- space -----------------------------------------------------------------------------------------


def data_file(engine: MappedEngine) -> os.stat_result:
    return os.stat(engine.path + "/.sos/index/data.mdb")


def test_blocks_are_reserved_ahead_and_idle_drives_do_not_grow(engine: MappedEngine) -> None:
    engine.apply(group(1, Row("current", b"a", b"1")))
    before = data_file(engine)
    assert before.st_blocks * 512 >= index.KEPT_BYTES_MIN * 2
    for seq in range(2, 30):
        engine.apply(group(seq, Row("current", b"a", b"1")))
        engine.begin_read().close()
    assert (data_file(engine).st_size, data_file(engine).st_blocks) == (before.st_size, before.st_blocks)
    engine.close()
    reopened = MappedEngine(engine.path, writer=True)
    assert (data_file(reopened).st_size, data_file(reopened).st_blocks) == (before.st_size, before.st_blocks)
    reopened.close()


def test_growth_goes_on_beyond_what_was_reserved_at_first(engine: MappedEngine) -> None:
    first = data_file(engine).st_size
    rows = [Row("inline", b"%d" % at, bytes(1 << 20)) for at in range(40)]
    for seq, row in enumerate(rows, 1):
        engine.apply(group(seq, row))
    assert data_file(engine).st_size >= first + (8 << 20)
    assert data_file(engine).st_size - 41 * (1 << 20) >= index.KEPT_BYTES_MIN


def test_freeing_groups_pass_where_no_block_is_left(engine: MappedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """R19: the blocks kept ahead are for deletes."""

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "full")

    engine.apply(group(1, *(Row("current", b"%d" % at, bytes(3000)) for at in range(1000))))
    monkeypatch.setattr(index, "fallocate", full)
    seq = 1
    with pytest.raises(DriveFull):
        while True:
            engine.apply(group(seq + 1, Row("inline", b"%d" % seq, bytes(1 << 20))))
            seq += 1
    assert engine.last() == Position(1, seq)
    for at in range(200):
        seq += 1
        engine.apply(group(seq, Row("current", b"%d" % at, None), Row("oplog", b"%d" % seq, b"x" * 100), frees=True))
    assert engine.last() == Position(1, seq)


def test_room_freed_inside_the_index_is_used_again(engine: MappedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """R19: the file never shrinks, so a drive filled by small objects must not stay full for ever."""
    monkeypatch.setattr(index.Index, "_grow", lambda *_: False)
    seq = 0

    def fill() -> int:
        nonlocal seq
        for count in range(200):
            try:
                engine.apply(group(seq + 1, Row("inline", b"%d" % count, bytes(1 << 18))))
            except DriveFull:
                return count
            seq += 1
        raise AssertionError("never full")

    first = fill()
    for at in range(first):
        engine.apply(group(seq + 1, Row("inline", b"%d" % at, None), frees=True))
        seq += 1
    assert fill() >= first // 2 > 0


def test_other_errors_of_the_reservation_are_faults(engine: MappedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(index, "fallocate", broken)
    with pytest.raises(DriveFault) as caught:
        for seq in range(1, 100):
            engine.apply(group(seq, Row("inline", b"%d" % seq, bytes(1 << 20))))
    assert not isinstance(caught.value, DriveFull)


class BrokenCommits:
    """An environment whose commits fail with one error."""

    def __init__(self, environment: Any, error: lmdb.Error) -> None:
        self._environment, self._error = environment, error

    def begin(self, write: bool = False) -> Any:
        if write:
            raise self._error
        return self._environment.begin()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._environment, name)


def broken(engine: MappedEngine, code: int) -> None:
    error = lmdb.Error("mdb_txn_commit")
    error.code = code
    engine._index._environment = BrokenCommits(engine._index._environment, error)


def test_failed_commit_stops_writing_until_reopened(engine: MappedEngine) -> None:
    real = engine._index._environment
    broken(engine, errno.EIO)
    with pytest.raises(DriveFault):
        engine.apply(group(1))
    engine._index._environment = real
    for write in (lambda: engine.apply(group(1)), lambda: engine.promise(2), lambda: engine.set_voting(1, False)):
        with pytest.raises(DriveFault, match="opened again"):
            write()
    engine.close()
    again = MappedEngine(engine.path, writer=True)
    again.apply(group(1))
    again.close()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_commit_without_space_is_full_and_not_failed(
    engine: MappedEngine, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """Told apart by statvfs: LMDB reports a short write as EIO."""
    real = engine._index._environment
    broken(engine, code)
    with monkeypatch.context() as patch:
        patch.setattr(engine._index, "_space", lambda: Space(1 << 30, 4096))
        with pytest.raises(DriveFull):
            engine.apply(replace(group(1), frees=True))
    engine._index._environment = real
    engine.apply(group(1))


@pytest.fixture
def small(tmp_path: Path) -> Iterator[str]:
    """A file system of 64 MiB of its own."""
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(tmp_path)], capture_output=True)
    if done.returncode:
        pytest.skip("may not mount")
    yield str(tmp_path)
    subprocess.run(["umount", "-l", str(tmp_path)], check=True)


def test_drive_filled_to_the_last_block_can_be_emptied_and_filled_again(small: str) -> None:
    """R19, on a real file system: also when somebody else took the last block."""
    initialise(small, ONE, voting=True)
    engine = MappedEngine(small, writer=True, reserve=4 << 20)
    engine.promise(1)
    seq, puts = 1, 0
    engine.apply(group(1, *(Row("current", b"%04d" % at, bytes(2000)) for at in range(2000))))
    with pytest.raises(DriveFull):
        while True:
            engine.apply(group(seq + 1, Row("inline", b"%d" % seq, bytes(1 << 20))))
            seq, puts = seq + 1, puts + 1
    with open(small + "/foreign", "wb") as file, pytest.raises(OSError, match="No space"):
        while True:
            file.write(bytes(1 << 16))
            file.flush()
    assert engine.space().free == 0
    with pytest.raises(DriveFull):
        engine.allocate(1, 0, 4096)
    for at in range(100):
        gone = [Row("current", b"%04d" % (at * 20 + k), None) for k in range(20)]
        engine.apply(group(seq + 1, *gone, Row("oplog", b"%d" % at, bytes(500)), frees=True))
        seq += 1
    engine.close()
    os.unlink(small + "/foreign")
    engine = MappedEngine(small, writer=True, reserve=4 << 20)
    assert engine.last() == Position(1, seq)
    txn = engine.begin_read()
    assert (list(txn.scan("current", b"", None)), len(list(txn.scan("inline", b"", None)))) == ([], puts)
    txn.close()
    engine.apply(group(seq + 1, *(Row("inline", b"%d" % at, None) for at in range(1, puts + 1)), frees=True))
    engine.apply(group(seq + 2, Row("inline", b"again", bytes(1 << 20))))
    engine.close()


def test_removed_index_takes_no_writes(engine: MappedEngine) -> None:
    """A drive wiped under the running server must not acknowledge."""
    os.unlink(engine.path + "/.sos/index/data.mdb")
    with pytest.raises(DriveFault, match="removed"):
        engine.apply(group(1))


# -- processes -------------------------------------------------------------------------------------

READER = """
import sys
from sos.drive.mapped import MappedEngine
from sos.drive.engine import Group, Position
from sos.domain.errors import DriveFault
engine = MappedEngine(sys.argv[1], writer=False)
print(engine.last().seq, flush=True)
txn = engine.begin_read()
for line in sys.stdin:
    other = engine.begin_read()
    print(other.last.seq, txn.last.seq, txn.get("current", b"a"), flush=True)
    other.close()
    try:
        engine.apply(Group(1, Position(0, 0), Position(1, 1), ()))
    except DriveFault as error:
        print("refused", flush=True)
    if line == "leave\\n":
        import os, signal
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_other_process_reads_what_is_committed_and_its_slot_is_freed(engine: MappedEngine) -> None:
    engine.apply(group(1, Row("current", b"a", b"1")))
    with subprocess.Popen(
        [sys.executable, "-c", READER, engine.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.readline() == "1\n"
        engine.apply(group(2, Row("current", b"a", b"2")))
        child.stdin.write("look\n")
        child.stdin.flush()
        assert child.stdout.readline() == "2 1 b'1'\n"
        assert child.stdout.readline() == "refused\n"
        assert engine.reader_check() == 0
        child.stdin.write("leave\n")
        child.stdin.flush()
        child.wait()
    assert engine.reader_check() >= 1
    assert engine.reader_check() == 0
    engine.apply(group(3, Row("current", b"a", b"3")))
    assert engine.last() == Position(1, 3)


def test_blank_drive_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(DriveFault, match="blank"):
        MappedEngine(str(tmp_path), writer=True)


def test_index_that_is_gone_or_damaged_is_a_fault(drive: str) -> None:
    target = Path(drive, ".sos/index/data.mdb")
    content = target.read_bytes()
    for damaged in (b"", b"\0" * len(content), b"garbage" * 1000):
        target.write_bytes(damaged)
        with pytest.raises(DriveFault):
            MappedEngine(drive, writer=True)
    target.unlink()
    with pytest.raises(DriveFault):
        MappedEngine(drive, writer=True)
    target.write_bytes(content)
    MappedEngine(drive, writer=True).close()


@pytest.mark.parametrize("writer", [True, False])
@pytest.mark.parametrize("length", [0, 4096, 2 * 4096, 3 * 4096])
def test_index_that_was_cut_off_is_a_fault_and_no_signal(drive: str, writer: bool, length: int) -> None:
    """LMDB itself opens a file that has its first two pages, and dies by SIGBUS of the first that is missing."""
    name = os.path.join(drive, ".sos/index/data.mdb")
    os.truncate(name, length)
    with pytest.raises(DriveFault, match="index open"):
        MappedEngine(drive, writer=writer)
    assert os.stat(name).st_size in (length, 2 * 4096)


def test_opening_goes_on_where_the_kernel_supposes_a_deadlock(drive: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two workers that open the same drives side by side, each holding a lock the other waits for: no deadlock, since
    each does so in another thread."""
    real, refused = lmdb.open, iter(range(3))

    def opened(*args: Any, **named: Any) -> Any:
        if next(refused, None) is not None:
            error = lmdb.Error("Resource deadlock avoided")
            error.code = errno.EDEADLK  # as lmdb sets it
            raise error
        return real(*args, **named)

    monkeypatch.setattr(lmdb, "open", opened)
    MappedEngine(drive, writer=True).close()
    assert next(refused, None) is None
