"""R02: what a drive acknowledged is there after a kill and after a power cut, and nothing is there by half.

The worker process applies groups and writes extents without end and reports each one that was acknowledged. It is
killed, or its file system shut down without a flush, somewhere in between; the drive is opened again and compared.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sos.domain.errors import DriveFault
from sos.drive.engine import Group, Position, Row
from sos.drive.identity import Identity
from sos.drive.mapped import MappedEngine, initialise

TABLES = ("current", "oplog", "extents")
KEPT = 50  # a group deletes the rows of the one that many before it
EXTENT = 64 * 1024
VOLUME_EXTENTS = 256


def value(seq: int) -> bytes:
    return hashlib.sha256(b"%d" % seq).digest() * (seq % 40)


def extent(seq: int) -> bytes:
    return hashlib.sha256(b"extent %d" % seq).digest() * (EXTENT // 32)


def key(seq: int) -> bytes:
    """Scattered, so that many pages change."""
    return hashlib.sha256(b"key %d" % seq).digest()[: 8 + seq % 9]


def rows(seq: int) -> list[Row]:
    made = [Row(table, key(seq), value(seq)) for table in TABLES]
    return made + [Row(table, key(seq - KEPT), None) for table in TABLES if seq > KEPT]


def place(seq: int) -> tuple[int, int]:
    return 1 + seq // VOLUME_EXTENTS, seq % VOLUME_EXTENTS * EXTENT


def work(path: str) -> None:
    """The child: extents first, durable, then the group that tells of them, then the report."""
    engine = MappedEngine(path, writer=True)
    last = engine.promise(1)
    buffer = memoryview(mmap.mmap(-1, EXTENT))
    while True:
        following = Position(1, last.seq + 1)
        volume, offset = place(following.seq)
        engine.allocate(volume, offset, EXTENT)
        buffer[:] = extent(following.seq)
        engine.write(volume, offset, [buffer])
        engine.sync(volume)
        engine.apply(Group(1, last, following, rows(following.seq)))
        last = following
        os.write(1, b"%d\n" % last.seq)


def check(path: str, acknowledged: int) -> int:
    """Compare the drive with what its last position says it holds; the last sequence."""
    engine = MappedEngine(path, writer=True)
    try:
        seq = engine.last().seq
        assert seq >= acknowledged
        txn = engine.begin_read()
        wanted = sorted((key(at), value(at)) for at in range(max(1, seq - KEPT + 1), seq + 1))
        for table in TABLES:
            assert list(txn.scan(table, b"", None)) == wanted
        txn.close()
        for at in range(max(1, seq - 400), seq + 1):
            assert engine.read(*place(at), EXTENT) == extent(at)
        return seq
    finally:
        engine.close()


class Worker:
    """The child process and what it has reported."""

    def __init__(self, path: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__, path], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self.acknowledged = 0

    def wait_for(self, reports: int) -> None:
        assert self.process.stdout is not None
        for _ in range(reports):
            line = self.process.stdout.readline()
            assert line, self.process.communicate()[1].decode()
            self.acknowledged = int(line)

    def finish(self) -> None:
        """The reports that were still on their way."""
        out, _ = self.process.communicate()
        whole = out[: out.rfind(b"\n") + 1].split()
        if whole:
            self.acknowledged = int(whole[-1])


def initialised(path: str) -> None:
    initialise(path, Identity("deployment", "drive", 0, 0, 0, 1, 1, 1, bytes(32)), voting=True)


def test_acknowledged_groups_survive_kills(tmp_path: Path) -> None:
    initialised(str(tmp_path))
    source = random.Random(1)
    for _ in range(6):
        worker = Worker(str(tmp_path))
        worker.wait_for(source.randint(1, 200))
        worker.process.send_signal(signal.SIGKILL)
        worker.finish()
        assert worker.acknowledged > 0
        check(str(tmp_path), worker.acknowledged)


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"{command[0]}: {done.stderr.strip()}")


class FileSystem:
    """An XFS of its own that can lose power."""

    def __init__(self, image: str, mount_point: str) -> None:
        self.image, self.mount_point = image, mount_point

    def mount(self) -> None:
        run("mount", "-o", "loop", self.image, self.mount_point)

    def cut(self) -> None:
        """Nothing that is not durable yet gets to the device any more."""
        subprocess.run(["xfs_io", "-x", "-c", "shutdown", self.mount_point], check=True)

    def unmount(self) -> None:
        subprocess.run(["umount", self.mount_point], check=True)


@pytest.fixture
def file_system(tmp_path: Path) -> Iterator[FileSystem]:
    if os.geteuid() != 0 or not shutil.which("mkfs.xfs") or not shutil.which("xfs_io"):
        pytest.skip("needs root and xfsprogs")
    image, point = tmp_path / "image", tmp_path / "drive"
    with open(image, "wb") as file:
        file.truncate(512 << 20)
    point.mkdir()
    run("mkfs.xfs", "-q", str(image))
    made = FileSystem(str(image), str(point))
    made.mount()
    yield made
    subprocess.run(["umount", "-l", str(point)], capture_output=True)


def test_acknowledged_groups_survive_power_cuts(file_system: FileSystem) -> None:
    initialised(file_system.mount_point)
    source = random.Random(2)
    for _ in range(4):
        worker = Worker(file_system.mount_point)
        worker.wait_for(source.randint(1, 120))
        file_system.cut()
        worker.finish()
        assert worker.process.returncode == 3
        file_system.unmount()
        file_system.mount()
        check(file_system.mount_point, worker.acknowledged)


def test_reads_of_a_dead_drive_are_faults(file_system: FileSystem) -> None:
    """The device is gone under an open engine: errors, not signals."""
    initialised(file_system.mount_point)
    engine = MappedEngine(file_system.mount_point, writer=True)
    engine.promise(1)
    engine.create_volume(1, 64 << 20)
    engine.allocate(1, 0, 16 << 20)
    engine.write(1, 0, [memoryview(mmap.mmap(-1, 16 << 20))])
    engine.sync(1)
    file_system.cut()
    for call in (
        lambda: engine.read(1, 8 << 20, 1 << 20),
        lambda: engine.sync(1),
        lambda: engine.create_volume(2, 4096),
        lambda: engine.apply(Group(1, Position(0, 0), Position(1, 1), rows(1))),
        lambda: engine.apply(Group(1, Position(0, 0), Position(1, 1), rows(1))),
    ):
        with pytest.raises(DriveFault):
            call()
    engine.close()


if __name__ == "__main__":
    try:
        work(sys.argv[1])
    except DriveFault as fault:
        print(fault, file=sys.stderr)
        sys.exit(3)
