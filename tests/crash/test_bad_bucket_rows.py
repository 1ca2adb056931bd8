"""The record of a bucket, or of an account, damaged in the index of the drive that a worker reads first."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.kit.decisions import SECRET
from tests.kit.devices import find_all
from tests.kit.operator import Operator
from tests.kit.replicas import inspect
from tests.kit.rig import plain
from tests.kit.server import until

NAME = "ledgers"


def spoil_record(path: str, name: str = NAME) -> None:
    """Change a name in the values of rows (a text of msgpack there; in keys it is bare)."""
    index = Path(path) / ".sos/index/data.mdb"
    places = find_all(index, bytes((0xA0 | len(name),)) + name.encode())
    assert places
    with open(index, "r+b", buffering=0) as file:
        for at in places:
            old = os.pread(file.fileno(), 1, at + 2)
            os.pwrite(file.fileno(), bytes((old[0] ^ 0x5A,)), at + 2)


@pytest.mark.parametrize("drive", [0, 1])
def test_a_bad_record_of_a_bucket_stops_no_write_anywhere(tmp_path: Path, drive: int) -> None:
    """Worker 0 owns the set and reads drive 1 first, worker 1 drive 2."""
    with plain(tmp_path, 4) as one:
        one.server.start()
        one.create()
        for reply in one.by_each_worker("PUT", f"/{NAME}")[:1]:
            assert reply.status in (200, 409)
        spoil_record(one.paths[drive])
        with one.server.client() as client:
            # every worker reads all records anew
            assert client.request("PUT", "/another").status == 200
        for name in (one.bucket, NAME, "another"):
            for reply in one.by_each_worker("PUT", f"/{name}/key", b"content"):
                assert reply.status == 200, (name, reply)
            for reply in one.by_each_worker("GET", f"/{name}/key"):
                assert (reply.status, reply.body) == (200, b"content")
        for reply in one.by_each_worker("GET", "/"):
            assert reply.body.count(b"<Bucket>") == 3
        until(lambda: f"drive {drive + 1} is back in sync" in one.server.log(), "the drive to be copied and back")
        one.wait_whole()
        assert one.server.stop() == 0
        inspect(one.paths)


@pytest.mark.parametrize("drive", [0, 1])
def test_a_bad_record_of_an_account_stops_no_write_and_no_quota(tmp_path: Path, drive: int) -> None:
    """All writes ask for the quotas of accounts, and requests of an account whether it is disabled."""
    with plain(tmp_path, 4) as one:
        one.server.start()
        one.create()
        operator = Operator(one.server)
        operator.do(lambda i: i.accounts.add("tenant-of-one", "tenant-root", SECRET, quota_bytes=10))
        # through the worker that reads this drive first
        with one.server.client_of(drive) as tenant:
            tenant.be("tenant-root", SECRET)
            assert tenant.request("PUT", "/theirs").status == 200
            spoil_record(one.paths[drive], "tenant-of-one")
            # every worker reads all accounts anew
            operator.do(lambda i: i.accounts.add("another", "another-root", SECRET, quota_bytes=10))
            for reply in one.by_each_worker("PUT", f"/{one.bucket}/key", b"content"):
                assert reply.status == 200, reply
            assert tenant.request("PUT", "/theirs/key", body=b"content").status == 200
            assert tenant.request("PUT", "/theirs/more", body=b"content").code == "XMinioAdminBucketQuotaExceeded"
        until(lambda: f"drive {drive + 1} is back in sync" in one.server.log(), "the drive to be copied and back")
        one.wait_whole()
        assert one.server.stop() == 0
        inspect(one.paths)
