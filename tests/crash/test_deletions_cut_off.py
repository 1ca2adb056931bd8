"""A DeleteBucket whose worker ended between its steps: ended or lifted by the owner of set 0, whether or not that is
replaced too."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import msgspec
import pytest

from sos.drive.mapped import MappedEngine
from sos.mesh.client import MeshClient
from sos.meta import queries
from sos.meta.proposals import Done, UpdateBucket
from sos.meta.records import BucketRecord
from sos.worker.submit import RemoteOwner
from tests.kit.operator import mesh_address
from tests.kit.server import Server, until


def record_of(server: Server, name: str) -> BucketRecord | None:
    engine = MappedEngine(server.paths[0], writer=False)
    try:
        txn = engine.begin_read()
        try:
            return queries.bucket(txn, name)
        finally:
            txn.close()
    finally:
        engine.close()


def begin_to_delete(server: Server, name: str) -> None:
    """The first step of DeleteBucket, and no more."""

    async def run() -> None:
        record = record_of(server, name)
        assert record is not None
        peer = MeshClient(mesh_address(server))
        deleting = msgspec.structs.replace(record, state="deleting")
        proposal = UpdateBucket(request_id=os.urandom(16), bucket_id=0, name=name, expect=record, record=deleting)
        (outcome,) = await RemoteOwner(0, peer).submit([proposal])
        assert isinstance(outcome, Done)
        peer.close()

    asyncio.run(run())


@pytest.mark.parametrize("replaced", [True, False], ids=["the owner is replaced too", "the owner lives"])
def test_a_deletion_that_was_cut_off_is_ended_by_itself(tmp_path: Path, replaced: bool) -> None:
    with Server(tmp_path, module="tests.kit.quick_looks") as server, server.client_of(1) as client:
        for name in ("empty", "full"):
            assert client.request("PUT", f"/{name}").status == 200
        assert client.request("PUT", "/full/key", body=b"content").status == 200
        for name in ("empty", "full"):
            begin_to_delete(server, name)
        if replaced:
            server.wait_worker(0, server.kill_worker(0))
        until(lambda: record_of(server, "empty") is None, "the empty bucket to be gone")
        until(lambda: (r := record_of(server, "full")) is not None and r.state == "live", "the other to live")
        # a drive has the row a moment before the owner publishes it
        until(lambda: client.request("GET", "/full/key").status == 200, "the other to be served")
        assert client.request("GET", "/full/key").body == b"content"
        assert client.request("HEAD", "/empty").status == 404
        assert client.request("PUT", "/full/other", body=b"more").status == 200
