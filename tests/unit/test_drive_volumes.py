"""What is particular to volume files."""

from __future__ import annotations

import errno
import fcntl
import gc
import mmap
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sos.domain.errors import DriveFault, DriveFull
from sos.drive import layout, mapping, volumes
from sos.drive.faults import VolumeLost
from sos.drive.layout import volume_name, volume_number
from sos.drive.mapping import Mapping, Residency
from sos.drive.volumes import Volumes

MIB = 1 << 20
VOLUME = 0xABCD << 32 | 0x12345


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Volumes]:
    opened = Volumes(str(tmp_path), "/drive")
    yield opened
    opened.close()


def buffer(data: bytes) -> memoryview:
    view = memoryview(mmap.mmap(-1, len(data)))
    view[:] = data
    return view


def test_golden_names() -> None:
    assert volume_name(VOLUME) == "abcd-00012345"
    assert volume_number("abcd-00012345") == VOLUME
    for name in ("0000-00000000", "abcd-0001234", "ABCD-00012345", "abcd-00012345x", "lost+found"):
        assert volume_number(name) is None


def test_file_is_as_large_as_told_and_has_no_blocks(files: Volumes, tmp_path: Path) -> None:
    files.create(VOLUME, layout.VOLUME_BYTES)
    status = os.stat(tmp_path / "abcd-00012345")
    assert (status.st_size, status.st_blocks) == (1 << 30, 0)
    files.allocate(VOLUME, MIB, MIB)
    assert os.stat(tmp_path / "abcd-00012345").st_blocks * 512 >= MIB
    (tmp_path / "other").touch()
    assert list(files.sizes()) == [VOLUME]


def test_name_is_durable_before_create_returns(files: Volumes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """R03"""
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.readlink(f"/proc/self/fd/{fd}")))
    files.create(VOLUME, MIB)
    files.allocate(VOLUME + 1, 0, 4096)
    files.remove(VOLUME)
    assert synced == [str(tmp_path / "abcd-00012345"), str(tmp_path), str(tmp_path), str(tmp_path)]


def test_failed_sync_seals_and_is_never_retried(files: Volumes, monkeypatch: pytest.MonkeyPatch) -> None:
    """R02: after a failed fdatasync the kernel may report success for lost pages."""
    files.create(VOLUME, MIB)
    files.write(VOLUME, 0, [buffer(b"a" * 4096)])
    syncs: list[int] = []

    def fail(fd: int) -> None:
        syncs.append(fd)
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(os, "fdatasync", fail)
    with pytest.raises(DriveFault):
        files.sync(VOLUME)
    for again in (
        lambda: files.sync(VOLUME),
        lambda: files.write(VOLUME, 0, [buffer(bytes(4096))]),
        lambda: files.allocate(VOLUME, 0, 4096),
    ):
        with pytest.raises(DriveFault, match="sealed"):
            again()
    assert len(syncs) == 1
    assert files.read(VOLUME, 0, 4096) == b"a" * 4096


def test_sync_of_a_removed_file_is_a_fault(files: Volumes, tmp_path: Path) -> None:
    files.create(VOLUME, MIB)
    os.unlink(tmp_path / "abcd-00012345")
    with pytest.raises(DriveFault, match="removed"):
        files.sync(VOLUME)


def test_short_writes_are_completed(files: Volumes, monkeypatch: pytest.MonkeyPatch) -> None:
    data = os.urandom(64 * 4096)
    real = os.pwritev

    def short(fd: int, buffers: list[memoryview], offset: int) -> int:
        return real(fd, [buffers[0][:8192]], offset)

    monkeypatch.setattr(os, "pwritev", short)
    files.create(VOLUME, MIB)
    whole = buffer(data)
    files.write(VOLUME, 4096, [whole[: 24 * 4096], whole[24 * 4096 : 25 * 4096], whole[25 * 4096 :]])
    assert files.read(VOLUME, 4096, len(data)) == data


def test_volumes_are_written_directly(files: Volumes) -> None:
    files.create(VOLUME, MIB)
    file = files._files[VOLUME]
    assert bool(os.get_inheritable(file.fd)) is False
    with open(f"/proc/self/fdinfo/{file.fd}") as info:
        flags = int(next(line for line in info if line.startswith("flags")).split()[1], 8)
    assert file.direct == bool(flags & os.O_DIRECT)


@pytest.mark.parametrize("refusing", ["open", "write"])
def test_file_system_without_o_direct_is_written_buffered(
    files: Volumes, monkeypatch: pytest.MonkeyPatch, refusing: str
) -> None:
    real_open, real_write = os.open, os.pwritev
    refused: list[str] = []

    def refuse_open(path: Any, flags: int, *rest: Any, **names: Any) -> int:
        fd = real_open(path, flags, *rest, **names)
        if flags & os.O_DIRECT:
            refused.append(path)
            os.close(fd)
            raise OSError(errno.EINVAL, "no O_DIRECT")
        return fd

    def refuse_write(fd: int, *rest: Any) -> int:
        with open(f"/proc/self/fdinfo/{fd}") as info:
            flags = int(next(line for line in info if line.startswith("flags")).split()[1], 8)
        if flags & os.O_DIRECT:
            refused.append("write")
            raise OSError(errno.EINVAL, "no O_DIRECT")
        return real_write(fd, *rest)

    monkeypatch.setattr(os, "open", refuse_open) if refusing == "open" else monkeypatch.setattr(
        os, "pwritev", refuse_write
    )
    files.create(VOLUME, MIB)
    with pytest.raises(FileExistsError):
        files.create(VOLUME, MIB)
    for at in range(3):
        files.write(VOLUME, at * 4096, [buffer(b"%d" % at * 4096)])
    files.sync(VOLUME)
    assert [bytes(files.read(VOLUME, at * 4096, 1)) for at in range(3)] == [b"0", b"1", b"2"]
    assert refused


def test_full_disk_is_full_and_broken_disk_a_fault(files: Volumes, monkeypatch: pytest.MonkeyPatch) -> None:
    """R19"""
    files.create(VOLUME, MIB)
    for code, kind in ((errno.ENOSPC, DriveFull), (errno.EDQUOT, DriveFull), (errno.EIO, DriveFault)):

        def fail(*_: Any, code: int = code) -> None:
            raise OSError(code, "injected")

        with monkeypatch.context() as patch:
            patch.setattr(volumes, "fallocate", fail)
            patch.setattr(os, "pwritev", fail)
            for call in (
                lambda: files.allocate(VOLUME, 0, 4096),
                lambda: files.write(VOLUME, 0, [buffer(bytes(4096))]),
            ):
                with pytest.raises(DriveFault) as caught:
                    call()
                assert type(caught.value) is kind


def test_file_system_that_cannot_reserve_is_used_without(files: Volumes, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise OSError(errno.EOPNOTSUPP, "injected")

    monkeypatch.setattr(volumes, "fallocate", fail)
    files.allocate(VOLUME, 0, 4096)


def test_truncated_file_is_a_fault_and_not_a_signal(files: Volumes, tmp_path: Path) -> None:
    """A plain touch would be SIGBUS, and the end of the worker."""
    files.create(VOLUME, MIB)
    files.write(VOLUME, 0, [buffer(b"a" * 65536)])
    assert files.read(VOLUME, 0, 65536)[0] == 97
    os.truncate(tmp_path / "abcd-00012345", 8192)
    with pytest.raises(DriveFault, match="ends before"):
        files.read(VOLUME, 16384, 4096)
    assert files.read(VOLUME, 0, 8192) == b"a" * 8192


def test_old_kernel_reads_by_copy(files: Volumes, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def refuse(*_: Any) -> None:
        calls.append(1)
        raise OSError(errno.EINVAL, "no such advice")

    monkeypatch.setattr(mapping, "madvise", refuse)
    files.create(VOLUME, MIB)
    files.write(VOLUME, 0, [buffer(b"a" * 8192)])
    assert [bytes(files.read(VOLUME, 4090, 10)) for _ in range(2)] == [b"a" * 10] * 2
    assert calls == [1]


@pytest.mark.parametrize("suspected", [False, True])
def test_a_bad_sector_beside_a_range_does_not_cost_it(
    files: Volumes, suspected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page cache fails all of a large page; what was asked for is read past it, and only its own errors count."""
    files.create(1, 4 * MIB)
    files.write(1, MIB, [buffer(bytes(range(256)) * 4096)])
    files.suspected = suspected
    preadv, direct_too = os.preadv, False

    def failing(*_: Any) -> None:
        raise OSError(errno.EFAULT, "bad sector")

    def read(fd: int, buffers: list[memoryview], offset: int) -> int:
        if direct_too or not fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_DIRECT:
            raise OSError(errno.EIO, "bad sector")
        return preadv(fd, buffers, offset)

    monkeypatch.setattr(mapping, "madvise", failing)
    monkeypatch.setattr(os, "preadv", read)
    for offset, length in ((0, MIB), (1, 1), (4095, 4098), (255, MIB - 255)):
        for sequential in (False, True):
            view = files.read(1, MIB + offset, length, sequential)
            assert view == (bytes(range(256)) * 4096)[offset : offset + length] and view.readonly
    with pytest.raises(VolumeLost):
        files.read(1, 4 * MIB - 4096, 8192)
    with pytest.raises(VolumeLost):
        files.read(2, 0, 4096)
    direct_too = True
    with pytest.raises(DriveFault, match="EIO"):
        files.read(1, MIB, 4096)


def test_slice_outlives_its_mapping_and_engine(files: Volumes) -> None:
    files.create(VOLUME, MIB)
    files.write(VOLUME, 0, [buffer(b"a" * 8192)])
    view = files.read(VOLUME, 0, 8192)
    files.close()
    gc.collect()
    assert view == b"a" * 8192


def maps(name: str) -> int:
    with open("/proc/self/maps") as lines:
        return sum(name in line for line in lines)


def test_mappings_are_bounded_and_unmapped(files: Volumes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapping, "MAPPINGS_MAX", 4)
    monkeypatch.setattr(volumes, "FILES_MAX", 4)
    files._mappings._residency = Residency(4096)
    held = []
    for number in range(1, 21):
        files.create(number, MIB)
        files.write(number, 0, [buffer(bytes([number]) * 4096)])
        view = files.read(number, 0, 4096)
        if number == 1:
            held.append(view)
        del view
    gc.collect()
    assert maps(str(tmp_path)) <= 6
    assert len(files._files) == 4
    assert held[0] == b"\x01" * 4096
    assert [bytes(files.read(number, 0, 1)) for number in range(1, 21)] == [bytes([n]) for n in range(1, 21)]


def test_populated_bytes_of_a_process_are_bounded(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(32 * MIB))
    fd = os.open(path, os.O_RDONLY)
    mapped = Mapping(fd, 32 * MIB, False)
    residency = Residency(4 * MIB)

    def resident() -> int:
        with open("/proc/self/smaps") as lines:
            found = False
            for line in lines:
                found = str(path) in line or (found and not line.startswith("7"))
                if found and line.startswith("Rss:"):
                    return int(line.split()[1]) * 1024
        raise AssertionError("not mapped")

    for at in range(32):
        mapping.madvise(mapped.address + at * MIB, MIB, mapping.MADV_POPULATE_READ)
        residency.add(mapped, at * MIB, (at + 1) * MIB)
    assert 0 < resident() <= 4 * MIB
    assert mapped.view[0] == 0
    os.close(fd)


def test_only_runs_are_read_in_huge_pages(files: Volumes, tmp_path: Path) -> None:
    """A read of some kilobytes does not fetch megabytes from the device."""
    files.create(1, 8 * MIB)
    files.write(1, 0, [buffer(b"r" * (8 * MIB))])
    held = files.read(1, 0, 4096), files.read(1, 4096, 4 * MIB, sequential=True)
    flags: dict[str, str] = {}
    address = ""
    with open("/proc/self/smaps") as lines:
        for line in lines:
            if str(tmp_path) in line:
                address = line.split("-")[0]
            elif address and line.startswith("VmFlags:"):
                flags[address], address = line, ""
    assert sorted(" hg" in shown for shown in flags.values()) == [False, True]
    assert held == (b"r" * 4096, b"r" * (4 * MIB))
    files.remove(1)
    for sequential in (False, True):
        with pytest.raises(DriveFault):
            files.read(1, 0, 4096, sequential)
    assert held == (b"r" * 4096, b"r" * (4 * MIB))


def test_what_was_just_populated_is_not_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A range that is read again and again stays populated, and so does one larger than the bound."""
    size = mapping.WINDOW_BYTES
    path = tmp_path / "file"
    with open(path, "wb") as file:
        file.truncate(8 * size)
    fd = os.open(path, os.O_RDONLY)
    mapped = Mapping(fd, 8 * size, False)
    residency = Residency(2 * size)
    dropped: list[int] = []
    monkeypatch.setattr(mapping, "madvise", lambda at, length, advice: dropped.append((at - mapped.address) // size))
    for at in (0, 1, 0, 1, 0, 1, 0, 2, 0, 3, 0):
        residency.add(mapped, at * size + 4096, at * size + 8192)
    assert dropped == [1, 2]
    residency.add(mapped, 4 * size, 8 * size)
    assert dropped == [1, 2, 3, 0]
    os.close(fd)


def test_reads_by_many_threads_while_volumes_come_and_go(files: Volumes, monkeypatch: pytest.MonkeyPatch) -> None:
    """R15: no reader ever sees another volume's bytes."""
    monkeypatch.setattr(mapping, "MAPPINGS_MAX", 2)
    monkeypatch.setattr(volumes, "FILES_MAX", 2)
    for number in range(1, 7):
        files.create(number, MIB)
        files.write(number, 0, [buffer(bytes([number]) * 65536)])
    wrong: list[int] = []

    def read(first: int) -> None:
        for turn in range(200):
            number = (first + turn) % 6 + 1
            if files.read(number, 4096, 8192) != bytes([number]) * 8192:
                wrong.append(number)
            if files._read_copy(number, 4096, 8192) != bytes([number]) * 8192:
                wrong.append(number)
            if turn % 10 == 0:
                files.write(number, 4096, [buffer(bytes([number]) * 8192)])

    threads = [threading.Thread(target=read, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_removed_directory_is_a_fault(tmp_path: Path) -> None:
    directory = tmp_path / "volumes"
    directory.mkdir()
    files = Volumes(str(directory), "/drive")
    directory.rmdir()
    for call in (lambda: files.create(1, MIB), lambda: files.allocate(1, 0, 4096), lambda: files.read(1, 0, 1)):
        with pytest.raises(DriveFault):
            call()
    files.close()
    files.close()
    with pytest.raises(DriveFault):
        Volumes(str(directory), "/drive")
