"""Full drives: small file systems, filled by the server itself or by somebody else."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.devices import XFS_BYTES_MIN, missing
from tests.kit.replicas import inspect
from tests.kit.rig import Rig, rig
from tests.kit.server import Client, until

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "-")

MIB = 1 << 20


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Rig]:
    """Four drives of some 230 MB, serving."""
    with rig(tmp_path, 4, size=XFS_BYTES_MIN) as one:
        one.server.start()
        one.create()
        yield one


def fill_up(client: Client, bucket: str, prefix: str, size: int) -> dict[str, bytes]:
    """Put objects until the server says that it is full; what it took."""
    taken: dict[str, bytes] = {}
    while True:
        name, body = f"{prefix}{len(taken):05}", os.urandom(size)
        reply = client.request("PUT", f"/{bucket}/{name}", body=body)
        if reply.status == 507:
            assert reply.code == "XMinioStorageFull"
            return taken
        assert reply.status == 200, reply
        taken[name] = body


def check(client: Client, bucket: str, stored: dict[str, bytes]) -> None:
    for name, body in stored.items():
        reply = client.request("GET", f"/{bucket}/{name}")
        assert (reply.status, reply.body == body) == (200, True), name


def listed(client: Client, bucket: str) -> list[str]:
    reply = client.request("GET", f"/{bucket}", {"list-type": "2"})
    assert reply.status == 200
    return [name.decode() for name in re.findall(rb"<Key>([^<]*)</Key>", reply.body)]


def test_full_drives_refuse_writes_and_go_on_with_all_else(small: Rig) -> None:
    """R19: 507 for extents and for small objects alike; what is stored is read, listed and deleted, also after a restart
    on full drives, and no drive is thrown out for being full."""
    bucket = small.bucket
    with small.server.client() as client:
        stored = fill_up(client, bucket, "large", 6 * MIB)
        stored |= fill_up(client, bucket, "small", 100_000)
        check(client, bucket, stored)
        assert listed(client, bucket) == sorted(stored)
    small.wait_whole()
    assert small.server.stop() == 0
    small.server.start()
    with small.server.client() as client:
        assert client.request("PUT", f"/{bucket}/another", body=bytes(MIB)).status == 507
        # the stop gave back what the open volumes had in store: room for some more small objects, and no large one
        more = fill_up(client, bucket, "small2-", 90_000)
        assert sum(map(len, more.values())) < XFS_BYTES_MIN // 10
        stored |= more
        gone = sorted(stored)[::2]
        for name in gone:
            assert client.request("DELETE", f"/{bucket}/{name}").status == 204
            del stored[name]
        assert listed(client, bucket) == sorted(stored)
        check(client, bucket, stored)
        # the pages that small objects leave are room for others at once
        until(lambda: client.request("PUT", f"/{bucket}/tiny", body=b"x").status == 200, "room for a tiny object")
    assert small.check_shards() >= len(stored)
    inspect(small.paths)


def test_space_that_was_deleted_is_used_again(small: Rig) -> None:
    """R19: seconds after the deletion the blocks of extents are given back, and large objects are taken again."""
    with small.server.client() as client:
        for turn in range(2 if "SOS_SOAK" in os.environ else 1):
            stored = fill_up(client, small.bucket, f"turn{turn}-", 6 * MIB)
            assert len(stored) > 10
            for name in stored:
                assert client.request("DELETE", f"/{small.bucket}/{name}").status == 204
            taken = "again" if turn else "first"
            until(
                lambda taken=taken: client.request("PUT", f"/{small.bucket}/{taken}", body=bytes(6 * MIB)).status == 200,
                "space",
            )


def test_overwrites_are_no_reason_to_be_full(small: Rig) -> None:
    """More than twice what the drives hold is put, always to the same few keys: refusals pass within seconds."""
    with small.server.client() as client:
        for number in range(200):
            body = os.urandom(1 << 10) * (6 << 10)

            def put(body: bytes = body, number: int = number) -> bool:
                reply = client.request("PUT", f"/{small.bucket}/key{number % 8}", body=body)
                assert reply.status in (200, 507), reply
                return reply.status == 200

            until(put, "space")


def test_one_full_drive_of_four_is_no_obstacle(small: Rig) -> None:
    """R19, R01: somebody else fills one drive: writes go on without its shards, and it gets them when there is room."""
    full = small.drives[1]
    before = {name: small.put(name, 2 * MIB) for name in ("a", "b", "c")}
    full.fill()
    # more than the room that its index had made for itself, so that it cannot follow at all in the end
    stored = {f"n{i:03}": small.put(f"n{i:03}", 100_000 if i % 10 else 2 * MIB) for i in range(200)}
    with small.server.client() as client:
        check(client, small.bucket, before | stored)
        assert small.health().status == 200
        small.wait_lacking(1)
        for name in list(before):
            assert client.request("DELETE", f"/{small.bucket}/{name}").status == 204
        assert listed(client, small.bucket) == sorted(stored)
        (full.path / ".sos/filler").unlink()
        small.wait_whole(90)
        check(client, small.bucket, stored)
    assert small.check_shards() == len(stored)
    inspect(small.paths)
