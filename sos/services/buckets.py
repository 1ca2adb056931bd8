"""Buckets: created, found, listed and deleted. Their records live in set 0; every worker caches them.

A bucket record is in force everywhere the moment its change is acknowledged: the owner of set 0 bumps a shared
generation before it answers, and each worker compares that generation before it trusts its cache.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence

import msgspec

from ..base.pages import GEN_BUCKETS, Pages
from ..domain.errors import BucketExists, BucketNotEmpty, ConditionalConflict, InternalFault, NoSuchBucket
from ..domain.names import check_bucket_name
from ..meta import keys, walk
from ..meta.proposals import CreateBucket, FenceBucket, RemoveBucket, UpdateBucket
from ..meta.records import BucketRecord
from .access import owner_of
from .bucket_rows import BucketRows
from .calls import commit, request_id
from .pools import Pools

#: Of a bucket; a longer name is none.
NAME_CHARS_MAX = 63
#: How often a request starts again when others change the same bucket.
ATTEMPTS_MAX = 10


class BucketCache:
    """Bucket records by name, valid for one generation."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self._generation = -1
        self._names: dict[str, BucketRecord | None] = {}

    def fresh(self) -> bool:
        """Whether the cache may be trusted; forgets everything when not."""
        now = self._pages.generation(GEN_BUCKETS)
        if now == self._generation:
            return True
        self._names.clear()
        self._generation = now
        return False

    def by_name(self, name: str) -> BucketRecord | None:
        return self._names.get(name)

    def keep(self, generation: int, record: BucketRecord) -> None:
        """Remember a record read while ``generation`` was in force."""
        if generation == self._generation:
            self._names[record.name] = record

    @property
    def generation(self) -> int:
        return self._generation


class Buckets:
    """The service."""

    def __init__(self, pools: Pools, pages: Pages) -> None:
        self._pools = pools
        self._pages = pages
        self._rows = BucketRows(pools.system)
        self._cache = BucketCache(pages)
        self._decided: dict[int, BucketRecord] = {}
        self._owned: dict[str, tuple[int, ...]] = {}
        self._every: list[BucketRecord] = []
        self._decided_generation = -1

    async def get(self, name: str) -> BucketRecord:
        """The record of a live bucket.

        :raises NoSuchBucket:
        """
        cache = self._cache
        if cache.fresh() and (record := cache.by_name(name)) is not None:
            return record
        generation = cache.generation
        record = await self._rows.find(name)
        if record is None or record.state != "live":
            raise NoSuchBucket(bucket=name)
        cache.keep(generation, record)
        return record

    def find_now(self, name: str) -> BucketRecord | None:
        """The record of a live bucket, None where there is none: at once, on the event loop.

        :raises MustWait: nothing can be read at this moment
        """
        cache = self._cache
        if cache.fresh() and (record := cache.by_name(name)) is not None:
            return record
        if not 0 < len(name) <= NAME_CHARS_MAX:
            return None
        generation = cache.generation
        record = self._rows.find_now(name)
        if record is None or record.state != "live":
            return None
        cache.keep(generation, record)
        return record

    async def configure(self, name: str, kind: str, document: bytes | None) -> None:
        """Set one configuration of a bucket, or take it away (None). In force everywhere on return.

        :raises NoSuchBucket:
        """
        while True:
            old = await self.get(name)
            others = {each: value for each, value in old.configurations.items() if each != kind}
            wanted = others if document is None else {**others, kind: document}
            if wanted == old.configurations:
                return
            with contextlib.suppress(ConditionalConflict):
                await self.update(old, msgspec.structs.replace(old, configurations=wanted))
                return

    async def list(self, prefix: str, after: str, most: int) -> tuple[list[BucketRecord], str]:
        """Live buckets in order of their names, and the name to continue after (empty at the end)."""
        start = max(prefix.encode(), after.encode() + b"\0" if after else b"")
        stop = keys.after_prefix(prefix.encode()) if prefix else None
        found = await self._rows.page(start, stop, most + 1)
        shown = found[:most]
        return shown, shown[-1].name if shown and len(found) > most else ""

    async def create(self, name: str, owner: str, region: str, object_lock: bool) -> BucketRecord:
        """Create a bucket.

        :raises InvalidBucketName:
        :raises BucketExists: ``owned`` tells whether it is the caller's
        """
        check_bucket_name(name)
        record = BucketRecord(
            bucket_id=0,
            name=name,
            created_ns=time.time_ns(),
            owner=owner,
            versioning="Enabled" if object_lock else "",
            object_lock=object_lock,
            region=region,
        )
        proposal = CreateBucket(request_id=request_id(), bucket_id=0, record=record)
        for _ in range(ATTEMPTS_MAX):
            try:
                done = await commit(self._pools.system, proposal)
            except BucketExists:
                await self._require_absent(name, owner)
                continue
            if done.bucket is None:
                raise InternalFault("a bucket without a record", bucket=name)
            return done.bucket
        raise ConditionalConflict(bucket=name)

    async def _require_absent(self, name: str, owner: str) -> None:
        """Finish a DeleteBucket that was cut off in the middle.

        :raises BucketExists: the bucket lives, or it does again because it is not empty
        """
        with contextlib.suppress(NoSuchBucket):
            record = await self._record(name)
            if record.state != "live":
                with contextlib.suppress(BucketNotEmpty):
                    await self.finish(record)
                    return
            raise BucketExists(bucket=name, owned=record.owner == owner)

    async def update(self, old: BucketRecord, new: BucketRecord) -> BucketRecord:
        """Replace a bucket's record if nobody changed it since ``old`` was read.

        :raises ConditionalConflict: somebody did
        """
        proposal = UpdateBucket(request_id=request_id(), bucket_id=0, name=old.name, expect=old, record=new)
        done = await commit(self._pools.system, proposal)
        return done.bucket or new

    async def delete(self, name: str) -> None:
        """Delete an empty bucket: mark it, fence it in every set (each refuses when it holds anything), remove it.

        A crash in between leaves a bucket in state *deleting*: that is ended or lifted by the next DeleteBucket or
        CreateBucket of the name, or by whoever looks for such buckets (``sos/services/unfinished.py``).

        :raises BucketNotEmpty, NoSuchBucket:
        """
        record, mine = await self._mark(name)
        try:
            await self.finish(record)
        except NoSuchBucket:
            # where the deletion was begun here, whoever ended it has done what was asked
            if not mine:
                raise

    async def _mark(self, name: str) -> tuple[BucketRecord, bool]:
        """The bucket's record in state *deleting*, and whether it was not so before.

        :raises BucketNotEmpty, NoSuchBucket:
        """
        for _ in range(ATTEMPTS_MAX):
            record = await self._record(name)
            if record.state != "live":
                return record, False
            # looked at first, so that requests to a bucket in use are not refused while the fences are tried
            await self._require_empty(record)
            with contextlib.suppress(ConditionalConflict):  # another request changed it: look again
                return await self.update(record, msgspec.structs.replace(record, state="deleting")), True
        raise ConditionalConflict(bucket=name)

    async def finish(self, record: BucketRecord) -> None:
        """Fence and remove this very bucket, not another one of its name.

        Requests that do this at the same time may find different things: if one of them found something in the bucket,
        it lives again, and nobody leaves a fence behind.

        :raises BucketNotEmpty, NoSuchBucket:
        """
        try:
            for handle in self._pools.all:
                await commit(handle, FenceBucket(request_id=request_id(), bucket_id=record.bucket_id))
            await commit(self._pools.system, RemoveBucket(request_id=request_id(), bucket_id=record.bucket_id, name=record.name))
        except BucketNotEmpty:
            await self._lift(record)
            with contextlib.suppress(ConditionalConflict):  # another request has done it
                await self.update(record, msgspec.structs.replace(record, state="live"))
            raise
        except ConditionalConflict as error:
            await self._lift(record)
            raise BucketNotEmpty(bucket=record.name) from error

    async def _require_empty(self, record: BucketRecord) -> None:
        """:raises BucketNotEmpty: some set holds a version or an upload of the bucket"""
        for handle in self._pools.all:
            snapshot = handle.snapshot_now() or await handle.snapshot()
            try:
                for table in ("current", "versions", "uploads"):
                    if any(True for _ in walk.walk(snapshot, table, record.bucket_id, b"", walk.at(b""))):
                        raise BucketNotEmpty(bucket=record.name)
            finally:
                snapshot.close()

    async def _record(self, name: str) -> BucketRecord:
        """The record in any state, uncached."""
        record = await self._rows.find(name)
        if record is None:
            raise NoSuchBucket(bucket=name)
        return record

    async def every(self) -> Sequence[BucketRecord]:
        """The records of all buckets, in any state, uncached."""
        return await self._rows.every()

    async def _lift(self, record: BucketRecord) -> None:
        """Take the fences away: before the bucket lives again, so that then none refuses a write. Until then its state does."""
        for handle in self._pools.all:
            await commit(handle, FenceBucket(request_id=request_id(), bucket_id=record.bucket_id, lift=True))

    # -- for owners ------------------------------------------------------------------------------------

    async def prepare(self) -> None:
        """Have the records of all live buckets at hand, not older than this call: ``decide_record`` finds them at once.

        Nothing is read while no bucket has changed, so owners go on while set 0 has no owner.

        :raises ReadQuorumLost: they changed, and cannot be read
        """
        generation = self._pages.generation(GEN_BUCKETS)
        if generation == self._decided_generation:
            return
        found = await self._rows.every()
        if generation > self._decided_generation:
            self._decided = {record.bucket_id: record for record in found if record.state == "live"}
            self._decided_generation = generation
            self._every, self._owned = found, {}

    def ids_of(self, account: str) -> tuple[int, ...]:
        """Ids of the buckets that an account owns, in any state, as of the last ``prepare``."""
        if account not in self._owned:
            self._owned[account] = tuple(one.bucket_id for one in self._every if owner_of(one) == account)
        return self._owned[account]

    def decide_record(self, bucket_id: int) -> BucketRecord | None:
        """The live record for an owner's decision, as of the last ``prepare``."""
        return self._decided.get(bucket_id)
