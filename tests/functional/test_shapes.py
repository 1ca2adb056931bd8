"""Every shape of a deployment, from one directory to two pools: what is stored is read, listed and deleted, also after a
restart, and with as many drives gone as the parity promises (R20)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.kit.rig import wait_lacking
from tests.kit.server import BROKEN, PATIENCE_S, Server, until
from tests.kit.shapes import Shape, bring_back, names, plain, server_of, take_away
from tests.kit.stored import MIB, Stored, content

SHAPES = {
    "one-directory": plain(1, 0, "EC:0"),
    "two": plain(2, 1, "EC:1"),
    "three": plain(3, 1, "EC:1"),
    "four": plain(4, 2, "EC:2"),
    "five": plain(5, 2, "EC:2"),
    "six": plain(6, 3, "EC:3"),
    "eight": plain(8, 4, "EC:4"),
    "sixteen": plain(16, 4, "EC:4"),
    "sixteen-EC:8": plain(16, 8, "EC:8", MINIO_STORAGE_CLASS_STANDARD="EC:8"),
    "four-EC:1": plain(4, 1, "EC:1", MINIO_STORAGE_CLASS_STANDARD="EC:1"),
    "four-EC:0": plain(4, 0, "EC:0", MINIO_STORAGE_CLASS_STANDARD="EC:0"),
    "more-sets-than-workers": Shape(
        ("d{1...8}",),
        tuple(names("d", i, i + 1) for i in (1, 3, 5, 7)),
        1,
        "EC:1",
        workers=2,
        env={"MINIO_ERASURE_SET_DRIVE_COUNT": "2"},
    ),
    "two-sets": Shape(
        ("d{1...8}",), (names("d", 1, 4), names("d", 5, 8)), 2, "EC:2", 2, {"MINIO_ERASURE_SET_DRIVE_COUNT": "4"}
    ),
    "more-workers-than-sets": plain(4, 2, "EC:2", workers=4),
    "two-pools": Shape(("a{1...4}", "b{1...4}"), (names("a", 1, 4), names("b", 1, 4)), 2, "EC:2", workers=3),
    "unequal-pools": Shape(("a{1...2}", "b{1...6}"), (names("a", 1, 2), names("b", 1, 6)), (1, 3), "EC:1"),
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_every_shape_keeps_what_it_took(tmp_path: Path, servers: list[Server], shape: Shape) -> None:
    """R20: a pool's own parity is honoured, and everything is there after a restart and with drives gone."""
    server = server_of(tmp_path, shape)
    servers.append(server)
    stored = Stored(server.start())
    assert shape.says in server._out.read_text()
    stored.create()
    stored.fill()
    stored.delete("plain/5000")
    stored.check()
    assert server.stop() == 0
    server.start()
    stored.check()
    assert server.stop() == 0
    if any(shape.parities()):
        take_away(tmp_path, shape, shape.parities())
        server.start()
        stored.check("plain/")
        stored.check("parts/")
        assert stored.listed() == sorted(stored.objects)


# -- storage classes ----------------------------------------------------------------------------------


def statuses(stored: Stored, prefix: str) -> set[int]:
    """Of a GET of every object below a prefix, each over a connection of its own."""
    found = set()
    for key in (key for key in stored.objects if key.startswith(prefix)):
        with stored.server.client() as client:
            found.add(client.request("GET", f"/{stored.bucket}/{key}").status)
    return found


def test_reduced_redundancy_survives_what_it_promises_and_no_more(tmp_path: Path, servers: list[Server]) -> None:
    """R05, R20: below its parity an object is 503, never 404 or short, beside others that are still whole."""
    env = {"MINIO_STORAGE_CLASS_STANDARD": "EC:3", "MINIO_STORAGE_CLASS_RRS": "EC:2"}
    shape = plain(6, 3, "EC:3", **env)
    server = server_of(tmp_path, shape)
    servers.append(server)
    stored = Stored(server.start())
    stored.create()
    stored.fill()
    with server.client() as client:
        reply = client.request("HEAD", "/shapes/reduced/5000")
        assert reply.headers["x-amz-storage-class"] == "REDUCED_REDUNDANCY"
    server.stop()
    gone = take_away(tmp_path, shape, [2])
    server.start()
    stored.check()
    server.stop()
    bring_back(gone)
    take_away(tmp_path, shape, [3])
    server.start()
    stored.check("plain/")
    assert statuses(stored, "reduced/") == {503}


# -- drives that return -------------------------------------------------------------------------------


def volume_slots(drive: Path) -> set[int]:
    """Worker slots that have volumes on a drive: ``WWWW-SSSSSSSS``."""
    return {int(path.name[:4], 16) for path in (drive / ".sos" / "volumes").iterdir()}


def as_full(drive: Path, other: Path) -> bool:
    """Whether the volumes of a drive hold as much as those of another, but for what a file system keeps for itself."""
    mine, theirs = (
        {path.name: path.stat().st_blocks for path in (one / ".sos" / "volumes").iterdir()} for one in (drive, other)
    )
    return all(abs(mine.get(name, 0) - blocks) < 64 for name, blocks in theirs.items())


@pytest.mark.parametrize("workers", [2, 3])
def test_a_returned_drive_is_used_by_every_worker(tmp_path: Path, servers: list[Server], workers: int) -> None:
    """Also by those that do not own the set: they would write, and count on, a shard less for ever."""
    shape = plain(4, 2, "EC:2", workers)
    server = server_of(tmp_path, shape)
    servers.append(server)
    stored = Stored(server.start())
    stored.create()
    server.stop()
    (drive,) = take_away(tmp_path, shape, [1])
    server.start()
    stored.fill()
    assert not drive.exists()
    bring_back([drive])
    counter = iter(range(10_000))

    def used_by_all() -> bool:
        stored.put(f"later/{next(counter)}", 200_000)
        return volume_slots(drive) == set(range(workers))

    until(used_by_all, "shards of every worker on the drive")
    stored.check()
    # the volumes above may be those of healing, which goes on: all shards have to be there
    until(lambda: as_full(drive, tmp_path / "d4"), "all shards on the drive")
    # and to be known to be there: a stop may come between the two
    wait_lacking(server, 4, 0)
    # what was written since needs no other drive than the parity allows
    server.stop()
    for name in ("d2", "d3"):
        (tmp_path / name).rename(tmp_path / f"{name}.away")
    server.start()
    last = f"later/{next(counter) - 1}"
    with server.client() as client:
        reply = client.request("GET", f"/shapes/{last}")
        assert reply.status == 200 and reply.body == stored.objects[last]


# -- stopping under load ------------------------------------------------------------------------------


def test_a_stop_under_load_finishes_what_it_took(tmp_path: Path, servers: list[Server]) -> None:
    """SIGTERM drains: what was acknowledged is there after the next start, and nobody gets half a reply."""
    server = server_of(tmp_path, SHAPES["four"])
    servers.append(server)
    stored = Stored(server.start())
    stored.create()
    acknowledged: dict[str, bytes] = {}
    refused: list[str] = []

    def put_until_refused(worker: int) -> None:
        with server.client() as client:
            for number in range(100_000):
                key, size = f"load/{worker}/{number}", (3_000, 150_000, 3 * MIB)[number % 3]
                body = content(key, size)
                try:
                    reply = client.request("PUT", f"/shapes/{key}", body=body)
                except BROKEN as error:
                    refused.append(repr(error))
                    return
                assert reply.status in (200, 503), reply
                if reply.status == 200:
                    acknowledged[key] = body

    with ThreadPoolExecutor(6) as pool:
        writers = [pool.submit(put_until_refused, worker) for worker in range(6)]
        until(lambda: len(acknowledged) > 40, "some load")
        assert server.stop() == 0
        for writer in writers:
            writer.result(PATIENCE_S)
    assert len(refused) == 6
    server.start()
    listed = set(stored.listed())
    assert acknowledged.keys() <= listed
    stored.objects = acknowledged
    with server.client() as client:
        for key, body in acknowledged.items():
            stored.check_one(client, key, body)
        for key in listed - acknowledged.keys():
            # committed, but its answer did not get through: whole or not at all
            worker_, number = key.split("/")[1:]
            size = (3_000, 150_000, 3 * MIB)[int(number) % 3]
            assert client.request("GET", f"/shapes/{key}").body == content(key, size), (worker_, key)
