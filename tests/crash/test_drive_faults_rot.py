"""Drives that give back something else than was written: flipped bits, lost files, damaged indices. Under the running
server, while it reads.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import random
import shutil
import socket
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.devices import find_all
from tests.kit.replicas import inspect
from tests.kit.rig import Rig, check_shards, plain
from tests.kit.server import BROKEN, Client, Reply, until

MIB = 1 << 20


@pytest.fixture
def four(tmp_path: Path) -> Iterator[Rig]:
    """2 + 2 drives in plain directories, serving."""
    with plain(tmp_path, 4) as one:
        one.server.start()
        one.create()
        yield one


def spoil_volumes(path: Path, seed: int, step: int = 200_000) -> int:
    """Change a byte in every stretch of every volume of a drive; how many."""
    dice, count = random.Random(seed), 0
    for volume in (path / ".sos/volumes").iterdir():
        with open(volume, "r+b", buffering=0) as file:
            # holes were never written
            end = file.seek(0, os.SEEK_END)
            at = 0
            while at < end:
                try:
                    at = os.lseek(file.fileno(), at, os.SEEK_DATA)
                except OSError:
                    break
                stop = os.lseek(file.fileno(), at, os.SEEK_HOLE)
                for place in range(at, stop, step):
                    where = min(stop - 1, place + dice.randrange(step))
                    old = os.pread(file.fileno(), 1, where)
                    os.pwrite(file.fileno(), bytes((old[0] ^ 1 << dice.randrange(8),)), where)
                    count += 1
                at = stop
    return count


def flip(path: Path, offset: int) -> None:
    """Change one byte of a file, in the page cache too."""
    with open(path, "r+b", buffering=0) as file:
        old = os.pread(file.fileno(), 1, offset)
        os.pwrite(file.fileno(), bytes((old[0] ^ 0x5A,)), offset)


def wait_full(sock: socket.socket) -> None:
    """Until the server cannot send more: nothing has arrived for a fifth of a second."""
    seen: list[int] = []

    def quiet() -> bool:
        count = bytearray(4)
        fcntl.ioctl(sock, termios.FIONREAD, count)
        seen.append(int.from_bytes(count, sys.byteorder))
        return seen[-1] > 0 and len(seen) >= 20 and len(set(seen[-20:])) == 1

    until(quiet, "the client's buffer to be full")


def read_all(one: Rig, stored: dict[str, bytes]) -> None:
    """Every object is right through every worker."""
    for name, body in stored.items():
        for reply in one.by_each_worker("GET", f"/{one.bucket}/{name}"):
            assert (reply.status, reply.body == body) == (200, True), (name, reply.status, reply.code)


def test_flipped_bits_in_volumes_never_reach_a_client(four: Rig) -> None:
    """R05: flips on as many drives as there is parity, in the middle of a reply: the body is right, and the log names the
    drives. With flips on one more the connection is cut or the request refused: never a wrong byte, never a clean end."""
    # enough objects that each drive holds data, and not only parity, of some
    sizes = (200_000, 3 * MIB, 40 * MIB, *[200_000] * 16)
    stored = {f"o{i}": four.put(f"o{i}", size) for i, size in enumerate(sizes)}
    stream = four.server.boto3().get_object(Bucket=four.bucket, Key="o2")["Body"]
    first = stream.read(MIB)
    wait_full(stream._raw_stream._fp.fp.raw._sock)
    for seed in (0, 1):
        assert spoil_volumes(Path(four.paths[seed]), seed) > 50
    # what was verified and waits for the client is not read again from the files
    body = first + stream.read()
    assert (len(body), body == stored["o2"]) == (len(stored["o2"]), True)
    read_all(four, stored)
    log = four.server.log()
    assert all(f"{path}: bad shard" in log for path in four.paths[:2])
    assert four.lacking() == 0, "a drive with bad sectors is not thrown out for them"
    spoil_volumes(Path(four.paths[2]), 2)
    for name, body in stored.items():
        with four.server.client() as client:
            try:
                reply = client.request("GET", f"/{four.bucket}/{name}")
            except BROKEN:
                continue
            assert reply.status == 503 or reply.body == body


@pytest.mark.parametrize("how", ["truncated", "removed"])
def test_a_volume_that_is_lost_is_read_around(four: Rig, how: str) -> None:
    """R08 in part: a short or missing file is a lost shard, not an empty one; the drive stays in use."""
    stored = {f"o{i}": four.put(f"o{i}", 2 * MIB) for i in range(4)}
    read_all(four, stored)
    for path in four.paths[:2]:
        for volume in (Path(path) / ".sos/volumes").iterdir():
            if how == "removed":
                volume.unlink()
            else:
                os.truncate(volume, MIB)
    read_all(four, stored)
    # the volume that is written to is among the lost ones: the put that finds out may fail
    stored["later"] = os.urandom(2 * MIB)
    assert patient(four, "PUT", f"/{four.bucket}/later", stored["later"]).status == 200
    read_all(four, stored)
    assert four.lacking() == 0 and four.health().status == 200
    four.server.restart()
    read_all(four, stored)


def test_a_bad_inline_shard_is_made_from_the_others(four: Rig) -> None:
    body = four.put("small", 100_000)
    drives = 0
    for path in four.paths:
        index = Path(path) / ".sos/index/data.mdb"
        places = find_all(index, body[1000:1032]) + find_all(index, body[60_000:60_032])
        for at in places:
            flip(index, at)
        drives += bool(places)
    assert drives == 2, "two data shards"
    read_all(four, {"small": body})
    assert "bad shard" in four.server.log()


def test_a_bad_record_is_read_elsewhere_and_the_drive_copied_anew(four: Rig) -> None:
    """A row that fails its checksum is not believed, not by a GET and not by a listing; its drive leaves, and is back with
    good rows."""
    stored = {f"o{i}": four.put(f"o{i}", 50_000) for i in range(10)}
    index = Path(four.paths[0]) / ".sos/index/data.mdb"
    for name in ("o3", "o5"):
        etag = hashlib.md5(stored[name]).hexdigest().encode()
        places = find_all(index, etag)
        assert places
        for at in places:
            flip(index, at + 7)
    with four.server.client_of(0) as client:
        reply = client.request("GET", f"/{four.bucket}/o3")
        assert (reply.status, reply.body == stored["o3"]) == (200, True)
        until(lambda: "damaged" in four.server.log(), "the drive to be reported")
        assert client.request("GET", f"/{four.bucket}", {"list-type": "2"}).body.count(b"<Key>") == 10
    until(lambda: "drive 1 is back in sync" in four.server.log(), "the drive to be back")
    four.wait_whole()
    read_all(four, stored)
    assert four.check_shards() == len(stored)
    inspect(four.paths)


def test_a_listing_over_a_bad_record_is_made_elsewhere(four: Rig) -> None:
    stored = {f"o{i}": four.put(f"o{i}", 50_000) for i in range(10)}
    index = Path(four.paths[0]) / ".sos/index/data.mdb"
    for at in find_all(index, hashlib.md5(stored["o4"]).hexdigest().encode()):
        flip(index, at)
    with four.server.client_of(0) as client:
        reply = client.request("GET", f"/{four.bucket}", {"list-type": "2"})
    assert (reply.status, reply.body.count(b"<Key>")) == (200, 10)
    four.wait_whole()


def test_a_wiped_drive_is_recognised_and_rebuilt(four: Rig) -> None:
    """A blank drive counts for nothing at first, the server serves and says so; then it gets every row and every shard."""
    stored = {f"o{i}": four.put(f"o{i}", size) for i, size in enumerate((1, 100_000, 300_000, 9 * MIB) * 3)}
    assert four.server.stop() == 0
    wiped = Path(four.paths[1])
    four.wipe(1)
    four.server.start()
    assert f"{wiped} is blank" in four.banner()
    assert "no vote until rebuilt" in four.banner()
    read_all(four, stored)
    stored["later"] = four.put("later", 300_000)
    four.wait_whole(60)
    read_all(four, stored)
    assert four.check_shards() == len(stored)
    inspect(four.paths)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(1, 6))])
def test_a_ruined_index_gives_no_wrong_answer(four: Rig, seed: int) -> None:
    """Bytes changed all over one drive's index, structure of pages included, while the server reads and writes: a worker
    may end of it, answers may fail, none is wrong; and nothing that was acknowledged is lost."""
    stored = {f"o{i}": four.put(f"o{i}", 60_000) for i in range(40)}
    index = Path(four.paths[seed % 2]) / ".sos/index/data.mdb"
    dice = random.Random(seed)
    with open(index, "r+b", buffering=0) as file:
        for page in range(2, 200):
            where = page * 4096 + dice.choice((dice.randrange(24), dice.randrange(4096)))
            old = os.pread(file.fileno(), 1, where)
            if old:
                os.pwrite(file.fileno(), bytes((old[0] ^ 1 << dice.randrange(8),)), where)
    for turn in range(3):
        for name, body in stored.items():
            reply = patient(four, "GET", f"/{four.bucket}/{name}")
            assert (reply.status, reply.body == body) == (200, True), (name, reply.status, reply.code)
        name, body = f"late{turn}", os.urandom(60_000)
        assert patient(four, "PUT", f"/{four.bucket}/{name}", body).status == 200
        stored[name] = body
    four.server.stop()
    four.wipe(seed % 2)
    four.server.start()
    four.wait_whole(60)
    read_all(four, stored)
    assert check_shards_after_stop(four) == len(stored)


@pytest.mark.parametrize("drive", [0, 1])
def test_an_index_that_was_cut_off_stops_nothing(four: Rig, drive: int) -> None:
    """A worker that looks at a page that is gone ends of SIGBUS; its successor leaves the drive out, now and at the next
    start, and a blank drive in its place is rebuilt."""
    stored = {f"o{i}": four.put(f"o{i}", 60_000) for i in range(20)}
    os.truncate(Path(four.paths[drive]) / ".sos/index/data.mdb", 3 * 4096)
    for turn in range(6):
        for name, body in stored.items():
            reply = patient(four, "GET", f"/{four.bucket}/{name}")
            assert (reply.status, reply.body == body) == (200, True), (name, reply.status, reply.code)
        name, body = f"late{turn}", os.urandom(60_000)
        assert patient(four, "PUT", f"/{four.bucket}/{name}", body).status == 200
        stored[name] = body
    for wiped in (False, True):
        assert four.server.stop() == 0
        if wiped:
            four.wipe(drive)
        four.server.start()
        read_all(four, stored)
    four.wait_whole(60)
    assert check_shards_after_stop(four) == len(stored)


def test_an_older_copy_of_a_drive_gets_all_that_it_missed(four: Rig) -> None:
    """Restored from a backup, or a device that lost what it had synced: records say that it holds shards, it does not."""
    stored = {f"old{i}": four.put(f"old{i}", size) for i, size in enumerate((1000, 400_000, 3 * MIB))}
    four.server.stop()
    drive = Path(four.paths[1])
    shutil.copytree(drive, drive.with_name("copy"))
    four.server.start()
    stored |= {f"new{i}": four.put(f"new{i}", size) for i, size in enumerate((1000, 400_000, 3 * MIB, 400_000))}
    four.server.stop()
    shutil.rmtree(drive)
    drive.with_name("copy").rename(drive)
    four.server.start()
    four.wait_whole()
    read_all(four, stored)
    assert check_shards_after_stop(four) == len(stored)


def check_shards_after_stop(one: Rig) -> int:
    assert one.server.stop() == 0
    return check_shards(one.paths)


def patient(one: Rig, method: str, path: str, body: bytes = b"") -> Reply:
    """Until there is an answer below 500, as a client does."""
    while True:
        with one.server.client() as client:
            reply = attempt(client, method, path, body)
        if reply is not None and reply.status < 500:
            return reply


def attempt(client: Client, method: str, path: str, body: bytes) -> Reply | None:
    try:
        return client.request(method, path, body=body)
    except BROKEN:
        return None
