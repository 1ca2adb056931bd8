"""Two pools: where new keys go, and that everything is found, changed and deleted wherever it is."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.kit import devices
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


@pytest.mark.skipif(bool(devices.missing("ext4")), reason=devices.missing("ext4"))
def test_new_objects_go_to_the_pool_with_most_free_space(tmp_path: Path, servers: list[Server]) -> None:
    sizes = {"a1": 300 * MIB, "a2": 300 * MIB, "b1": 600 * MIB, "b2": 600 * MIB}
    with contextlib.ExitStack() as stack:
        for name, size in sizes.items():
            stack.callback(devices.Drive(tmp_path / name, size, "ext4").close)
        server = Server(tmp_path, [str(tmp_path / "a{1...2}"), str(tmp_path / "b{1...2}")])
        stack.callback(server.close)
        stored = Stored(server.start())
        stored.create()
        before = {pool: blocks(tmp_path, pool) for pool in "ab"}
        for number in range(8):
            stored.put(f"new/{number}", MIB)
        assert blocks(tmp_path, "a") == before["a"]
        assert blocks(tmp_path, "b") >= before["b"] + 16 * MIB
        stored.check()


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


