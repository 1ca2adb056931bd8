"""A set of memory drives with an owner over it, and what must hold of them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from sos.base.pages import Pages, SetState
from sos.domain.conditions import NO_CONDITIONS, Conditions
from sos.domain.errors import ReadQuorumLost
from sos.drive.engine import TABLES
from sos.erasure.limits import Limits
from sos.erasure.owner import Owner
from sos.meta import queries
from sos.meta.proposals import DeleteObject, Done, Outcome, PutObject
from sos.meta.records import BucketRecord, DataRef, Kind, ObjectRecord
from sos.meta.transitions import decide
from tests.kit.audit import audit
from tests.kit.faulty_engine import FaultyEngine
from tests.kit.memory_engine import MemoryDrive

BUCKET = BucketRecord(7, "photos", 0)
QUICK = Limits(retry_s_min=0.01)
WAIT_S = 20.0


def shard_of(data_id: bytes, drive: int) -> bytes:
    """What the stager would have made: here only recognisable."""
    return data_id + bytes([drive])


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, bounded."""
    async with asyncio.timeout(WAIT_S):
        while not condition():  # noqa: ASYNC110  any condition, not an event
            await asyncio.sleep(0.001)


class OwnedSet:
    """Drives that outlive their owners."""

    def __init__(self, k: int = 2, m: int = 2, seed: int = 0, limits: Limits = QUICK) -> None:
        self.k, self.m, self.n, self.limits = k, m, k + m, limits
        self.random = random.Random(seed)
        self.drives = [MemoryDrive(f"d{i}") for i in range(self.n)]
        self.engines: list[FaultyEngine] = []
        self.pages = Pages(1, 2)
        self.number = 0
        self.rebuilt: list[int] = []
        self.reopened: dict[int, FaultyEngine] = {}

    def open(self) -> list[FaultyEngine]:
        """Fresh openings of all drives, as a new worker would have."""
        self.engines = [FaultyEngine(drive.open()) for drive in self.drives]
        return self.engines

    def make_owner(self, without: Iterable[int] = (), **options: Any) -> Owner:
        absent = set(without)
        engines = [None if i in absent else engine for i, engine in enumerate(self.open())]
        options = {"limits": self.limits, "rebuild_inline": self.rebuild, **options}
        return Owner(self.number, engines, self.pages, decide, lambda _: BUCKET, self.k, self.m, **options)

    def rebuild(self, ref: DataRef, drive: int) -> bytes:
        if sum(ref.data_id in each.state.tables["inline"] for each in self.drives) < self.k:
            raise ReadQuorumLost(drive=drive)
        self.rebuilt.append(drive)
        return shard_of(ref.data_id, drive)

    @asynccontextmanager
    async def owner(self, without: Iterable[int] = (), **options: Any) -> AsyncIterator[Owner]:
        owner = self.make_owner(without, **options)
        await owner.start()
        try:
            yield owner
        finally:
            await abandon(owner)

    # -- proposals ----------------------------------------------------------------------------------

    def put(
        self, key: str, etag: str = "e", conditions: Conditions = NO_CONDITIONS, split: tuple[int, int] | None = None
    ) -> PutObject:
        """:param split: data and parity shards, where its class is not the default one"""
        data_id = self.random.randbytes(16)
        data = DataRef(data_id, 5, *(split or (self.k, self.m)), 65536, have=(1 << self.n) - 1)
        return PutObject(
            request_id=self.random.randbytes(16),
            bucket_id=BUCKET.bucket_id,
            key=key.encode(),
            record=ObjectRecord(0, b"", Kind.OBJECT, 5, 0, etag, data),
            inline=tuple(shard_of(data_id, drive) for drive in range(self.n)),
            conditions=conditions,
        )

    def delete(self, key: str) -> DeleteObject:
        return DeleteObject(request_id=self.random.randbytes(16), bucket_id=BUCKET.bucket_id, key=key.encode())

    # -- what holds ---------------------------------------------------------------------------------

    def state(self) -> SetState:
        return self.pages.set_state(self.number)

    def etag(self, key: str, drive: int = 0) -> str | None:
        """The latest version's tag as one drive has it."""
        txn = self.drives[drive].open().begin_read()
        record = queries.latest(txn, BUCKET.bucket_id, key.encode())
        return record.etag if record is not None else None

    def replicated(self, drive: int) -> dict[str, dict[bytes, bytes]]:
        tables = self.drives[drive].state.tables
        return {name: tables[name] for name in TABLES if name not in ("local", "inline")}

    def assert_whole(self, drives: Iterable[int] | None = None) -> None:
        """The drives are equal, hold their own inline shards and no others, and the tables agree with each other."""
        drives = list(range(self.n) if drives is None else drives)
        model = self.replicated(drives[0])
        ids = set(self.drives[drives[0]].state.tables["inline"])
        for drive in drives:
            mine = self.replicated(drive)
            assert {name for name in model if mine[name] != model[name]} == set(), f"drive {drive} differs"
            assert self.drives[drive].state.last == self.drives[drives[0]].state.last
            inline = self.drives[drive].state.tables["inline"]
            assert inline == {data_id: shard_of(data_id, drive) for data_id in ids}, f"inline of drive {drive}"
            assert b"syncing" not in self.drives[drive].state.tables["local"]
        audit(self.drives[drives[0]].open().begin_read(), [BUCKET.bucket_id])


async def abandon(owner: Owner) -> None:
    """End an owner's tasks and nothing else, as a kill would; its drives keep what they have."""
    for task in owner._tasks:
        task.cancel()
    await asyncio.gather(*owner._tasks, return_exceptions=True)


def all_done(outcomes: list[Outcome]) -> bool:
    return all(isinstance(outcome, Done) for outcome in outcomes)
