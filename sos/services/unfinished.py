"""Deletions of buckets that were cut off by a crash: ended, or lifted where something is in the bucket.

What is left of one is a bucket in state *deleting*, which answers 404 and whose name cannot be told from a free one; and,
where two deletions crossed, perhaps a fence of a set for a bucket that lives, which refuses its writes.

1. A bucket is removed only when every set was fenced for its id and held nothing of it, and only this very bucket: one that
   was created anew under the name has another id and is left alone.
2. Ending a deletion beside the request that is still at it does no harm: both do the same steps, each of them idempotent.
3. A fence is lifted only where its bucket was seen to live. A deletion that begins just then may lose its fence by that, and
   still deletes nothing that is in use: since its bucket is *deleting*, no set takes anything for it.
"""

from __future__ import annotations

import logging
from contextlib import suppress

from ..domain.errors import BucketNotEmpty, NoSuchBucket
from ..meta import keys
from ..meta.proposals import FenceBucket
from ..meta.records import BucketRecord
from .buckets import Buckets
from .calls import commit, request_id
from .pools import Pools

log = logging.getLogger("sos.services.buckets")


class Unfinished:
    """One look at a time; the job runner of set 0's owner paces it."""

    def __init__(self, buckets: Buckets, pools: Pools) -> None:
        self._buckets = buckets
        self._pools = pools

    async def step(self) -> None:
        """End or lift every deletion that is under way, and lift the fences of buckets that live.

        :raises StoreError: something could not be read or committed; to be tried again
        """
        records = await self._buckets.every()
        for record in records:
            if record.state != "live":
                await self._finish(record)
        living = [keys.fence_row(record.bucket_id) for record in records if record.state == "live"]
        if living:
            await self._lift(living)

    async def _finish(self, record: BucketRecord) -> None:
        try:
            with suppress(NoSuchBucket):  # the request has ended it itself
                await self._buckets.finish(record)
                log.info("bucket %s: its deletion, which was cut off, is ended", record.name)
        except BucketNotEmpty:
            log.info("bucket %s: its deletion was cut off and is lifted, since it is not empty", record.name)

    async def _lift(self, living: list[bytes]) -> None:
        for handle in self._pools.all:
            snapshot = handle.snapshot_now() or await handle.snapshot()
            try:
                fenced = [row for row in living if snapshot.get("fences", row) is not None]
            finally:
                snapshot.close()
            for row in fenced:
                bucket_id = int.from_bytes(row, "big")
                await commit(handle, FenceBucket(request_id=request_id(), bucket_id=bucket_id, lift=True))
