"""format.json and the lock of a drive."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from sos.domain.errors import DriveFault
from sos.drive.identity import (
    DriveLocked,
    Identity,
    IdentityDamaged,
    IdentityNewer,
    decode,
    encode,
    lock_drive,
    read_identity,
    write_identity,
)
from sos.drive.mapped import MappedEngine, initialise

ONE = Identity(
    deployment="6f1c8c0e-26a7-4f5c-9a3e-0c2d7b1f9a10",
    drive="0b8a1f4e-7d55-4a8e-8a8b-54c7f1f2a3b4",
    pool=0,
    set=1,
    position=3,
    pools=1,
    sets=2,
    drives=4,
    key=bytes(range(32)),
    index_map_bytes=1 << 40,
)

GOLDEN = b"""{
 "version": 1,
 "deployment": "6f1c8c0e-26a7-4f5c-9a3e-0c2d7b1f9a10",
 "drive": "0b8a1f4e-7d55-4a8e-8a8b-54c7f1f2a3b4",
 "pool": 0,
 "set": 1,
 "position": 3,
 "pools": 1,
 "sets": 2,
 "drives": 4,
 "key": "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
 "index_map_bytes": 1099511627776,
 "forming": false,
 "check": "fd1ea62ca2c9b43a"
}
"""


def test_golden_text_of_version_1() -> None:
    assert encode(ONE) == GOLDEN
    assert decode(GOLDEN, "/d") == ONE


@pytest.mark.parametrize("name", ["version", "deployment", "position", "key", "index_map_bytes", "check"])
def test_every_changed_field_is_noticed(name: str) -> None:
    body = json.loads(GOLDEN)
    body[name] = "x" if isinstance(body[name], str) else body[name] - 1
    with pytest.raises(IdentityDamaged):
        decode(json.dumps(body).encode(), "/d")


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"version": 1}', GOLDEN[:-20]])
def test_broken_text_is_damaged(text: bytes) -> None:
    with pytest.raises(IdentityDamaged):
        decode(text, "/d")


def test_newer_version_is_named() -> None:
    with pytest.raises(IdentityNewer, match="version 2"):
        decode(b'{"version": 2, "check": "?"}', "/d")


def test_blank_is_none_and_missing_is_a_fault(tmp_path: Path) -> None:
    assert read_identity(str(tmp_path)) is None
    with pytest.raises(DriveFault):
        read_identity(str(tmp_path / "missing"))


def test_volumes_without_identity_are_not_blank(tmp_path: Path) -> None:
    (tmp_path / ".sos" / "volumes").mkdir(parents=True)
    assert read_identity(str(tmp_path)) is None
    (tmp_path / ".sos" / "volumes" / "0000-00000001").touch()
    with pytest.raises(IdentityDamaged):
        read_identity(str(tmp_path))


def test_rewrite_keeps_the_old_one_until_the_new_is_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """R03: file synced, renamed, directory synced, in this order."""
    (tmp_path / ".sos").mkdir()
    write_identity(str(tmp_path), ONE)
    steps: list[str] = []
    fsync, rename = os.fsync, os.rename
    monkeypatch.setattr(os, "fsync", lambda fd: (steps.append(os.readlink(f"/proc/self/fd/{fd}")), fsync(fd)))
    monkeypatch.setattr(os, "rename", lambda a, b: (steps.append("rename"), rename(a, b)))
    write_identity(str(tmp_path), replace(ONE, pools=2))
    root = str(tmp_path / ".sos")
    assert steps == [f"{root}/format.json.new", "rename", root]
    assert read_identity(str(tmp_path)) == replace(ONE, pools=2)


def test_interrupted_initialise_is_still_blank(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(*_: object) -> None:
        raise DriveFault("power")

    with monkeypatch.context() as patch:
        patch.setattr("sos.drive.mapped.write_identity", cut)
        with pytest.raises(DriveFault, match="power"):
            initialise(str(tmp_path), ONE, voting=True)
    assert read_identity(str(tmp_path)) is None
    initialise(str(tmp_path), ONE, voting=False)
    engine = MappedEngine(str(tmp_path), writer=True)
    assert (engine.voting(), engine.drive_id) == (False, ONE.drive)
    engine.close()
    with pytest.raises(DriveFault, match="already"):
        initialise(str(tmp_path), ONE, voting=True)


def test_second_server_is_refused(tmp_path: Path) -> None:
    fd = lock_drive(str(tmp_path))
    script = f"from sos.drive.identity import lock_drive, DriveLocked\ntry:\n lock_drive({str(tmp_path)!r})\nexcept DriveLocked: print('refused')\nelse: print('taken')"
    assert subprocess.check_output([sys.executable, "-c", script], text=True).strip() == "refused"
    with pytest.raises(DriveLocked, match="another server"):
        lock_drive(str(tmp_path))
    os.close(fd)
    assert subprocess.check_output([sys.executable, "-c", script], text=True).strip() == "taken"


def test_lock_outlives_the_process_that_took_it_in_its_children(tmp_path: Path) -> None:
    fd = lock_drive(str(tmp_path))
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(write_end)
        os.read(read_end, 1)
        os._exit(0)
    os.close(fd)
    os.close(read_end)
    with pytest.raises(DriveLocked):
        lock_drive(str(tmp_path))
    os.close(write_end)
    os.waitpid(child, 0)
    os.close(lock_drive(str(tmp_path)))
