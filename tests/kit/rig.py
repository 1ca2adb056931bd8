"""A real server over drives that can fail for real, with what a test needs to see that nothing was lost."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from sos.drive.identity import read_identity
from sos.drive.mapped import MappedEngine
from sos.erasure.catchup import heal_mark
from sos.erasure.digest import open_inline, shard_key
from sos.erasure.geometry import Geometry, inline_length, shard_of
from sos.erasure.reader import ExtentReader
from sos.erasure.refs import refs_of
from sos.erasure.repair import TABLES
from sos.meta.records import DataRef

from .devices import BYTES, Drive, close_all, drives
from .server import BROKEN, Client, Reply, Server, until

HEALTH = "/minio/health/cluster"
#: For a health page, while drives come and go.
ANSWER_S = 5.0


def wait_lacking(server: Server, drives: int, count: int, patience_s: float = 30.0) -> None:
    """Wait until so many of all drives are away or lack shards."""

    def reached() -> bool:
        # a worker that hangs on a drive answers nobody, and one that was killed so keeps its connections
        with suppress(*BROKEN):
            return lacking(server, drives) == count
        return False

    until(reached, f"{count} drives that are away or lack something", patience_s)


def lacking(server: Server, drives: int) -> int:
    """Drives that are away or lack shards, as the worker has it on its health page that knows of most."""
    return max(_lacking(server, slot, drives) for slot in range(server.workers))


def _lacking(server: Server, slot: int, drives: int) -> int:
    with server.client_of(slot, ANSWER_S) as client:
        reply = client.request("GET", HEALTH)
        # without an owner it has nothing to say of drives
        told = "x-minio-write-quorum" in reply.headers
        return int(reply.headers.get("x-minio-healing-drives", "0")) if told else drives


class Rig:
    """Drives ``d1 …`` and a server that is not started yet."""

    def __init__(self, root: Path, made: Sequence[Drive], workers: int = 2) -> None:
        self.drives = list(made)
        self.bucket = "faults"
        self.server = Server(root, len(made), workers)

    @property
    def paths(self) -> list[str]:
        return self.server.paths

    def wipe(self, index: int) -> None:
        """Empty a drive's directory, as a new drive in its place would be."""
        for entry in Path(self.paths[index]).iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()

    def banner(self) -> str:
        """What the server printed at its last start."""
        return (self.server.path / "server.out").read_text()

    # -- what it says of itself ------------------------------------------------------------------------

    def health(self, path: str = HEALTH) -> Reply:
        with self.server.client() as client:
            return client.request("GET", path)

    def lacking(self) -> int:
        return lacking(self.server, len(self.paths))

    def wait_lacking(self, count: int, patience_s: float = 30.0) -> None:
        wait_lacking(self.server, len(self.paths), count, patience_s)

    def wait_whole(self, patience_s: float = 40.0) -> None:
        """All drives are in use and lack nothing."""
        self.wait_lacking(0, patience_s)

    # -- requests --------------------------------------------------------------------------------------

    def create(self) -> None:
        with self.server.client() as client:
            assert client.request("PUT", f"/{self.bucket}").status == 200

    def put(self, name: str, size: int) -> bytes:
        """Store an object; its content."""
        body = os.urandom(size)
        with self.server.client() as client:
            reply = client.request("PUT", f"/{self.bucket}/{name}", body=body)
        assert reply.status == 200, (name, reply)
        return body

    def get(self, name: str) -> Reply:
        with self.server.client() as client:
            return client.request("GET", f"/{self.bucket}/{name}")

    def by_each_worker(self, method: str, path: str, body: bytes = b"") -> list[Reply]:
        """The same request to every worker, at the same time."""

        def ask(client: Client) -> Reply:
            with client:
                return client.request(method, path, body=body)

        clients = [self.server.client_of(slot) for slot in range(self.server.workers)]
        with ThreadPoolExecutor(len(clients)) as pool:
            return list(pool.map(ask, clients))

    # -- what is on the drives -------------------------------------------------------------------------

    def check_shards(self) -> int:
        """Stop the server and assert that every drive holds a good shard of every payload and says so, and that no drive
        is marked as lacking any. How many payloads there were."""
        if self.server.running:
            assert self.server.stop() == 0
        return check_shards(self.paths)


def check_shards(paths: Sequence[str]) -> int:
    sets: dict[tuple[int, int], dict[int, MappedEngine]] = {}
    for path in paths:
        engine = MappedEngine(path, writer=False)
        sets.setdefault((engine.identity.pool, engine.identity.set), {})[engine.identity.position] = engine
    try:
        return sum(_check_set(engines) for engines in sets.values())
    finally:
        for engines in sets.values():
            for engine in engines.values():
                engine.close()


def _check_set(engines: dict[int, MappedEngine]) -> int:
    refs = _refs(engines[0])
    key = engines[0].identity.key
    for drive, engine in engines.items():
        txn = engine.begin_read()
        assert heal_mark(txn) is None, f"drive {drive} is marked"
        assert {ref.data_id for ref in _refs(engine)} == {ref.data_id for ref in refs}
        for ref in refs:
            assert ref.have == (1 << len(engines)) - 1, f"{ref} is not everywhere"
            if ref.volume:
                _check_extent(engine, drive, ref, key)
            else:
                value = txn.get("inline", ref.data_id)
                assert value is not None, f"drive {drive} lacks an inline shard"
                shard = shard_of(ref.data_id, drive, len(engines))
                open_inline(shard_key(key, ref.data_id, shard), value, inline_length(ref.size, ref.k))
        txn.close()
    return len(refs)


def _refs(engine: MappedEngine) -> list[DataRef]:
    txn = engine.begin_read()
    try:
        return [ref for table in TABLES for row, value in txn.scan(table, b"", None) for ref in refs_of(table, row, value)]
    finally:
        txn.close()


def _check_extent(engine: MappedEngine, drive: int, ref: DataRef, key: bytes) -> None:
    """Every unit of one drive's shard, with nothing to rebuild it from."""
    geometry = Geometry.of(ref)
    only = [engine if i == drive else None for i in range(geometry.n)]
    reader = ExtentReader(only, ref, 1 << drive, key, lambda drive, data_id: None, ref.size)
    number = shard_of(ref.data_id, drive, geometry.n)
    for stripe in range(geometry.stripes):
        reader.units(stripe, number, 0, geometry.block_length(stripe))


def drive_ids(paths: Sequence[str]) -> list[str]:
    found = [read_identity(path) for path in paths]
    return [identity.drive for identity in found if identity is not None]


@contextmanager
def plain(root: Path, count: int, workers: int = 2) -> Iterator[Rig]:
    """A rig over plain directories, which the server makes."""
    one = Rig(root, [], workers)
    one.server = Server(root, count, workers)
    try:
        yield one
    finally:
        one.server.close()


@contextmanager
def rig(root: Path, count: int, size: int = BYTES, kind: str = "xfs", workers: int = 2) -> Iterator[Rig]:
    """A rig that is taken apart at the end, whatever state it is in."""
    with drives(root, count, size, kind) as made:
        one = Rig(root, made, workers)
        try:
            yield one
        finally:
            for drive in made:
                drive.thaw()
            one.server.close()
            close_all(made)
