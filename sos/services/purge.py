"""Deleting buckets, and all that is under a prefix: pages of a listing, each deleted as a batch.

Not atomic: a client that reads meanwhile sees less and less, and what is written meanwhile may stay.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable

from ..domain.conditions import NO_CONDITIONS, Conditions
from ..domain.errors import BucketNotEmpty, InvalidRequest, MethodNotAllowed, NoSuchUpload, StoreError
from ..meta.records import BucketRecord
from .buckets import Buckets
from .listing import Listing
from .multipart import Multipart
from .objects import Objects

#: Versions deleted at a time: one message to each owner, one page in memory.
PAGE_KEYS = 1000
#: How often a bucket that others still write to is emptied before it is given up.
PASSES_MAX = 5

Check = Callable[[bytes], Awaitable[None]]
"""Called with each key before anything of its page is deleted; raises what refuses the whole."""


class Purge:
    """The service."""

    def __init__(self, buckets: Buckets, objects: Objects, multipart: Multipart, listing: Listing) -> None:
        self._buckets = buckets
        self._objects = objects
        self._multipart = multipart
        self._listing = listing

    async def empty_bucket(self, name: str) -> None:
        """Delete a bucket that holds no version of any object. Uploads under way do not keep it: they are aborted.

        :raises BucketNotEmpty, NoSuchBucket:
        """
        try:
            await self._buckets.delete(name)
        except BucketNotEmpty:
            bucket = await self._buckets.get(name)
            if (await self._listing.versions(bucket, b"", b"", b"", None, 1)).entries:
                raise
            await self._uploads(bucket)
            await self._buckets.delete(name)

    async def bucket(self, bucket: BucketRecord, owner: str) -> None:
        """Delete a bucket and all its versions and uploads.

        :raises MethodNotAllowed: object lock is on
        :raises BucketNotEmpty: others kept writing to it
        """
        if bucket.object_lock:
            raise MethodNotAllowed()
        for _ in range(PASSES_MAX):
            await self._under(bucket, b"", owner, _all)
            await self._uploads(bucket)
            with contextlib.suppress(BucketNotEmpty):
                await self._buckets.delete(bucket.name)
                return
        raise BucketNotEmpty(bucket=bucket.name)

    async def tree(self, bucket: BucketRecord, key: bytes, owner: str, check: Check) -> None:
        """Delete every version of ``key`` and of all keys below it (``key/…``), without delete markers.

        :raises InvalidRequest: object lock is on
        """
        if bucket.object_lock:
            raise InvalidRequest("force-delete is forbidden on Object Locking enabled buckets")
        below = key if key.endswith(b"/") else key + b"/"
        await self._versions_of(bucket, key, owner, check)
        await self._under(bucket, below, owner, check)

    async def _under(self, bucket: BucketRecord, prefix: bytes, owner: str, check: Check) -> None:
        """Every pass starts at the front: what it finds there it deletes, or it fails."""
        truncated = True
        while truncated:
            page = await self._listing.versions(bucket, prefix, b"", b"", None, PAGE_KEYS)
            await self._delete(bucket, [(key, record.version_id) for key, record in page.entries], owner, check)
            truncated = page.truncated

    async def _versions_of(self, bucket: BucketRecord, key: bytes, owner: str, check: Check) -> None:
        found = True
        while found:
            # the key comes before all others that begin with it
            page = await self._listing.versions(bucket, key, b"", b"", None, PAGE_KEYS)
            own = [(name, record.version_id) for name, record in page.entries if name == key]
            await self._delete(bucket, own, owner, check)
            found = bool(own) and page.truncated

    async def _delete(self, bucket: BucketRecord, found: list[tuple[bytes, bytes]], owner: str, check: Check) -> None:
        """:raises StoreError: one of them could not be deleted"""
        for key, _ in found:
            await check(key)
        if not found:
            return
        items: list[tuple[bytes, bytes | None, Conditions]] = [(key, version, NO_CONDITIONS) for key, version in found]
        for result in await self._objects.delete_many(bucket, items, owner):
            if isinstance(result, StoreError):
                raise result

    async def _uploads(self, bucket: BucketRecord) -> None:
        truncated = True
        while truncated:
            page = await self._multipart.list_uploads(bucket, b"", b"", b"", b"", PAGE_KEYS)
            for key, upload in page.uploads:
                with contextlib.suppress(NoSuchUpload):
                    await self._multipart.abort(bucket, key, upload.upload_id)
            truncated = page.truncated


async def _all(_: bytes) -> None:
    """The right to delete the bucket with its contents covers each key."""
