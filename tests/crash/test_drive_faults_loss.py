"""Drives that die under the running server and come back: real file systems, shut down on real (loop) devices."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.kit.devices import LONG, missing
from tests.kit.load import BUCKET, Load
from tests.kit.rig import Rig, rig
from tests.kit.rig_load import finish, started
from tests.kit.server import BROKEN, until

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "-")


@pytest.mark.parametrize(
    ("drives", "dead", "kill"),
    [
        (4, [1], 0),
        (6, [0, 5], 1),
        pytest.param(4, [0], None, marks=LONG),
        pytest.param(6, [2, 3], None, marks=LONG),
    ],
)
def test_drives_that_die_under_load_return_with_all_they_missed(
    tmp_path: Path, drives: int, dead: list[int], kill: int | None
) -> None:
    """R01, R05: reads and writes go on while the write quorum holds, with a worker killed meanwhile as well; drives that
    are mounted again return by themselves and get the records, the inline shards and the extents that they missed."""
    with rig(tmp_path, drives) as one:
        history, session = started(one)
        with Load(one.server, history, "load") as load:
            load.wait_for(80)
            for index in dead:
                one.drives[index].shut_down()
            load.wait_for(60)
            if kill is not None:
                one.server.wait_worker(kill, one.server.kill_worker(kill))
            load.wait_for(60)
            one.wait_lacking(len(dead))
            assert one.health().status == 200
            for index in dead:
                one.drives[index].revive()
            one.wait_whole()
            load.wait_for(40)
        finish(one, history, session, load)


@pytest.mark.parametrize("slot", [0, pytest.param(1, marks=LONG)])
def test_a_worker_ends_at_most_once_by_a_dead_drive(tmp_path: Path, slot: int) -> None:
    """A page of the index that was not in memory when the drive died ends a worker with SIGBUS: the drive is out for all
    before another can touch it."""
    with rig(tmp_path, 4) as one:
        stored = fill(one, 80, 120_000)
        # mounted anew: nothing of the drive is in memory but what a start reads
        one.server.stop()
        one.drives[slot].revive()
        one.server.start()
        before = one.server.worker_pids()
        one.drives[slot].shut_down()
        broken = read_all(one, stored)
        settled = until(lambda: len(p := one.server.worker_pids()) == 2 and p, "both workers")
        assert len(re.findall("ended: SIG", one.server.log())) == len(set(settled.values()) - set(before.values())) <= 2
        assert broken <= 2, "a worker that ends takes the request with it that it was serving"
        one.put("late", 120_000)
        assert one.lacking() == 1
        assert read_all(one, stored) == 0
        assert one.server.worker_pids() == settled
        one.drives[slot].revive()
        one.wait_whole()
        assert one.check_shards() > len(stored)


def fill(one: Rig, count: int, size: int) -> dict[str, bytes]:
    one.server.start()
    one.create()
    return {name: one.put(name, size) for name in (f"o{i:03}" for i in range(count))}


def read_all(one: Rig, stored: dict[str, bytes]) -> int:
    """Every object through every worker until it is right; how often a connection broke on the way."""
    broken = 0
    for slot in range(one.server.workers):
        client = one.server.client_of(slot)
        for name, body in stored.items():
            while True:
                try:
                    reply = client.request("GET", f"/{one.bucket}/{name}")
                    break
                except BROKEN:
                    broken += 1
                    client = one.server.client_of(slot)
            assert (reply.status, reply.body == body) == (200, True), (name, reply.status, reply.code)
        client.close()
    return broken


def test_a_mirror_of_two_reads_on_one_drive_and_writes_again_on_two(tmp_path: Path) -> None:
    """1+1: two drives are the write quorum, one is enough to read."""
    with rig(tmp_path, 2) as one:
        history, session = started(one)
        with Load(one.server, history, "load") as load:
            load.wait_for(60)
        assert load.problems == []
        one.drives[0].shut_down()
        for refused in one.by_each_worker("PUT", f"/{one.bucket}/refused", b"x"):
            assert (refused.status, refused.code[:8]) == (503, "SlowDown")
        session.read_all()
        assert one.health().status == 503 and one.health("/minio/health/cluster/read").status == 200
        one.drives[0].revive()
        one.wait_whole()
        assert one.health().status == 200
        session.put_large("key/00")
        finish(one, history, session, load)


def test_what_is_beyond_the_quorum_is_refused_and_never_lost(tmp_path: Path) -> None:
    """R14: with more drives gone than there is parity, writes and reads are refused with 503, never with 404 and never
    with a short body; nothing is purged, and all of it is there when the drives are."""
    with rig(tmp_path, 4) as one:
        history, session = started(one)
        with Load(one.server, history, "load") as load:
            load.wait_for(120)
        for drive in one.drives[1:]:
            drive.shut_down()
        for write in one.by_each_worker("PUT", f"/{one.bucket}/refused", b"x"):
            assert (write.status, write.code[:8]) == (503, "SlowDown")
            assert int(write.headers["retry-after"]) > 0
        for read in one.by_each_worker("GET", f"/{BUCKET}/source/extent"):
            assert (read.status, read.code) == (503, "SlowDownRead")
            assert int(read.headers["retry-after"]) > 0
        assert one.health().status == 503 and one.health("/minio/health/cluster/read").status == 503
        for drive in one.drives[1:]:
            drive.revive()
        one.wait_whole()
        finish(one, history, session, load)


def test_a_set_without_quorum_at_start_serves_once_its_drives_are_there(tmp_path: Path) -> None:
    """R14: started with one drive of four, nothing is dropped; the others are taken as they come, without a restart."""
    with rig(tmp_path, 4) as one:
        history, session = started(one)
        with Load(one.server, history, "load") as load:
            load.wait_for(60)
        one.server.stop()
        for drive in one.drives[:3]:
            drive.unmount()
        one.server.start()
        with one.server.client() as client:
            read = client.request("GET", f"/{BUCKET}/source/inline")
            assert read.status == 503
        assert [list(drive.path.iterdir()) for drive in one.drives[:3]] == [[], [], []], "written below a mount point"
        for drive in one.drives[:3]:
            drive.mount()
        one.wait_whole()
        finish(one, history, session, load)


def test_a_drive_that_was_not_mounted_at_start_returns_without_a_restart(tmp_path: Path) -> None:
    """The mount point is left alone meanwhile."""
    with rig(tmp_path, 4) as one:
        history, session = started(one)
        one.server.stop()
        one.drives[2].unmount()
        one.server.start()
        with Load(one.server, history, "load") as load:
            load.wait_for(80)
            assert one.lacking() == 1
            assert list(one.drives[2].path.iterdir()) == []
            one.drives[2].mount()
            one.wait_whole()
            load.wait_for(20)
        finish(one, history, session, load)
