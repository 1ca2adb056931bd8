"""Two pools: where new keys go, and that everything is found, changed and deleted wherever it is."""

from __future__ import annotations

import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.kit.server import Server
from tests.kit.shapes import Shape, names, server_of, take_away
from tests.kit.stored import MIB, Stored, content

# -- pools --------------------------------------------------------------------------------------------


POOL_A = Shape(("a{1...4}",), (names("a", 1, 4),), 2, "EC:2")
POOLS_AB = Shape(("a{1...4}", "b{1...4}"), (*POOL_A.sets, names("b", 1, 4)), 2, "EC:2", workers=3)


def blocks(path: Path, letter: str) -> int:
    """Bytes that the volumes of a pool take up."""
    volumes = path.glob(f"{letter}*/.sos/volumes/*")
    return sum(volume.stat().st_blocks for volume in volumes) * 512


def test_a_second_pool_joins_and_everything_stays(tmp_path: Path, servers: list[Server]) -> None:
    """R20: nothing becomes invisible by an expansion; old keys are overwritten and deleted where they are."""
    server = server_of(tmp_path, POOL_A)
    servers.append(server)
    stored = Stored(server.start())
    stored.create()
    stored.fill()
    with server.client() as client:
        upload = client.request("POST", "/shapes/begun/before", {"uploads": ""}).element("UploadId")
    server.stop()
    server = server_of(tmp_path, POOLS_AB)
    servers.append(server)
    stored.server = server.start()
    stored.check()
    stored.put("plain/131073", 400_000)
    stored.delete("plain/1")
    stored.put("new/extent", 3 * MIB)
    finish_upload(stored, "begun/before", upload)
    stored.check()
    server.stop()
    take_away(tmp_path, POOLS_AB, [1, 1])
    server.start()
    stored.check()


def finish_upload(stored: Stored, key: str, upload: str) -> None:
    body = content(key, 1_000_000)
    with stored.server.client() as client:
        part = client.request("PUT", f"/shapes/{key}", {"partNumber": "1", "uploadId": upload}, body=body)
        lines = f"<Part><PartNumber>1</PartNumber><ETag>{part.etag}</ETag></Part>"
        document = f"<CompleteMultipartUpload>{lines}</CompleteMultipartUpload>".encode()
        assert client.request("POST", f"/shapes/{key}", {"uploadId": upload}, body=document).status == 200
    stored.objects[key] = body


def other_device(path: Path) -> Path | None:
    """A directory on another file system with clearly more or less free space, if the machine has one."""
    here = os.statvfs(path)
    for place in (Path("/dev/shm"), Path("/var/tmp")):
        if place.is_dir() and os.access(place, os.W_OK) and place.stat().st_dev != path.stat().st_dev:
            there = os.statvfs(place)
            mine, other = here.f_bavail * here.f_frsize, there.f_bavail * there.f_frsize
            if min(mine, other) > 2 << 30 and max(mine, other) > 1.5 * min(mine, other):
                return place
    return None


def test_new_objects_go_to_the_pool_with_most_free_space(tmp_path: Path, servers: list[Server]) -> None:
    place = other_device(tmp_path)
    if place is None:
        pytest.skip("needs a second file system with other free space")
    with tempfile.TemporaryDirectory(dir=place) as other:
        server = Server(tmp_path, [str(tmp_path / "a{1...4}"), f"{other}/b{{1...4}}"], 2)
        servers.append(server)
        stored = Stored(server.start())
        stored.create()
        before = blocks(tmp_path, "a"), blocks(Path(other), "b")
        for number in range(8):
            stored.put(f"new/{number}", MIB)
        grown = [blocks(tmp_path, "a") - before[0], blocks(Path(other), "b") - before[1]]
        free = [os.statvfs(where).f_bavail * os.statvfs(where).f_frsize for where in (tmp_path, other)]
        fuller, emptier = (0, 1) if free[1] > free[0] else (1, 0)
        assert grown[emptier] >= 16 * MIB and grown[fuller] == 0
        stored.check()
        server.stop()


def test_creates_of_one_key_by_two_workers_meet_in_one_pool(tmp_path: Path, servers: list[Server]) -> None:
    """R20: a key in two pools would come back after its deletion."""
    server = server_of(tmp_path, POOLS_AB)
    servers.append(server)
    stored = Stored(server.start())
    stored.create()

    def put(job: tuple[str, int]) -> None:
        key, size = job
        with server.client() as client:
            assert client.request("PUT", f"/shapes/{key}", body=content(f"{key}{size}", size)).status == 200

    jobs = [(f"race/{number}", 140_000 + each) for number in range(12) for each in range(6)]
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(put, jobs))
    assert stored.listed() == sorted({key for key, _ in jobs})
    for key in {key for key, _ in jobs}:
        stored.objects[key] = b""
        stored.delete(key)
    assert stored.listed() == []


