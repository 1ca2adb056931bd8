"""Multipart uploads."""

from __future__ import annotations

import os
import time
from itertools import islice

import msgspec

from ..domain import checksums
from ..domain.body import Body
from ..domain.conditions import Conditions
from ..domain.errors import EntityTooLarge, InvalidArgument, NoSuchUpload
from ..erasure.handle import SetHandle
from ..meta import queries
from ..meta.proposals import AbortUpload, CompleteUpload, CreateUpload, Done, PutPart
from ..meta.records import BucketRecord, ObjectRecord, PartRecord, UploadRecord
from .access import owner_of
from .calls import commit, request_id
from .listing import Listing
from .locate import target_of
from .objects import PUT_BYTES_MAX, Objects, Source, commit_staged
from .pools import Pools
from .types import ByteRange, Found, PartsPage, UploadsPage

PART_NUMBER_MAX = 10_000
#: Smallest part other than the last (S3: 5 MiB).
PART_BYTES_MIN = 5 * 1024 * 1024


class Multipart:
    """The service."""

    def __init__(self, pools: Pools, objects: Objects, listing: Listing) -> None:
        self._pools = pools
        self._objects = objects
        self._listing = listing

    async def create(
        self, bucket: BucketRecord, key: bytes, template: ObjectRecord, checksum_algorithm: str, checksum_type: str
    ) -> bytes:
        """Begin an upload; its id, 16 bytes that sort by start time."""
        target = await target_of(self._pools, bucket, key)
        now = time.time_ns()
        record = UploadRecord(
            upload_id=now.to_bytes(8, "big") + os.urandom(8),
            initiated_ns=now,
            template=msgspec.structs.replace(template, owner=template.owner or owner_of(bucket)),
            checksum_algorithm=checksum_algorithm,
            checksum_type=checksum_type,
        )
        await commit(target, CreateUpload(request_id=request_id(), bucket_id=bucket.bucket_id, key=key, record=record))
        return record.upload_id

    async def _find(self, bucket: BucketRecord, key: bytes, upload_id: bytes) -> tuple[SetHandle, UploadRecord]:
        """The set that holds an upload, and its record.

        :raises NoSuchUpload:
        """
        for handle in self._pools.candidates(bucket.bucket_id, key):
            snapshot = handle.snapshot_now() or await handle.snapshot()
            try:
                record = queries.upload(snapshot, bucket.bucket_id, key, upload_id)
            finally:
                snapshot.close()
            if record is not None:
                return handle, record
        raise NoSuchUpload()

    async def upload(self, bucket: BucketRecord, key: bytes, upload_id: bytes) -> UploadRecord:
        """:raises NoSuchUpload:"""
        return (await self._find(bucket, key, upload_id))[1]

    async def put_part(self, bucket: BucketRecord, key: bytes, upload_id: bytes, number: int, body: Body) -> PartRecord:
        """Store one part; an earlier one of the same number is replaced.

        :raises NoSuchUpload, InvalidArgument, EntityTooLarge, and what ``Objects.put`` raises
        """
        if not 1 <= number <= PART_NUMBER_MAX:
            raise InvalidArgument(f"Part number must be an integer between 1 and {PART_NUMBER_MAX}, inclusive")
        if body.size > PUT_BYTES_MAX:
            raise EntityTooLarge()
        target, upload = await self._find(bucket, key, upload_id)
        if self._objects.quotas is not None:
            await self._objects.quotas.require_room_for_part(bucket, target, upload_id, number, body.size)
        staged = await target.stage(body, upload.template.storage_class)
        part = PartRecord(
            number=number,
            size=body.size,
            etag=staged.digests.md5.hex(),
            mtime_ns=time.time_ns(),
            data=staged.data,
            checksums={name: checksums.encode(raw) for name, raw in staged.digests.checksums.items()},
        )
        proposal = PutPart(
            request_id=request_id(),
            bucket_id=bucket.bucket_id,
            key=key,
            upload_id=upload_id,
            part=part,
            inline=staged.inline,
            extent=staged.extent,
        )
        await commit_staged(target, proposal, staged, self._objects.decider(bucket))
        return part

    async def copy_part(
        self, source: Source, span: ByteRange | None, bucket: BucketRecord, key: bytes, upload_id: bytes, number: int
    ) -> tuple[PartRecord, Found]:
        """Store a part from (a range of) an existing object."""
        upload = await self.upload(bucket, key, upload_id)
        opened = await self._objects.open_source(source, span)
        try:
            body = self._objects.copy_body(opened, upload.checksum_algorithm)
            part = await self.put_part(bucket, key, upload_id, number, body)
        finally:
            if opened.stream is not None:
                opened.stream.close()
        return part, opened.found

    async def complete(
        self,
        bucket: BucketRecord,
        key: bytes,
        upload_id: bytes,
        parts: list[tuple[int, str, dict[str, str]]],
        conditions: Conditions,
        size: int,
        checksums_given: dict[str, str],
    ) -> Done:
        """Make an object of the parts named, in their order.

        :raises NoSuchUpload, InvalidPart, InvalidPartOrder, EntityTooSmall, PreconditionFailed
        """
        target, _ = await self._find_or_first(bucket, key, upload_id)
        proposal = CompleteUpload(
            request_id=request_id(),
            bucket_id=bucket.bucket_id,
            key=key,
            upload_id=upload_id,
            parts=tuple(parts),
            conditions=conditions,
            size=size,
            checksums=checksums_given,
            part_bytes_min=PART_BYTES_MIN,
        )
        return await commit(target, proposal)

    async def _find_or_first(self, bucket: BucketRecord, key: bytes, upload_id: bytes) -> tuple[SetHandle, UploadRecord | None]:
        """Like ``_find``, but an unknown upload goes to the owner all the same: it knows uploads completed lately."""
        try:
            return await self._find(bucket, key, upload_id)
        except NoSuchUpload:
            return await target_of(self._pools, bucket, key), None

    async def abort(self, bucket: BucketRecord, key: bytes, upload_id: bytes) -> None:
        """:raises NoSuchUpload:"""
        target, _ = await self._find(bucket, key, upload_id)
        await commit(target, AbortUpload(request_id=request_id(), bucket_id=bucket.bucket_id, key=key, upload_id=upload_id))

    async def list_parts(self, bucket: BucketRecord, key: bytes, upload_id: bytes, after: int, most: int) -> PartsPage:
        """Parts with numbers above ``after``, at most ``most``.

        :raises NoSuchUpload:
        """
        handle, upload = await self._find(bucket, key, upload_id)
        snapshot = handle.snapshot_now() or await handle.snapshot()
        try:
            parts = list(islice(queries.parts(snapshot, bucket.bucket_id, upload_id, after), most + 1))
        finally:
            snapshot.close()
        shown = parts[:most]
        truncated = len(parts) > most
        return PartsPage(upload, shown, truncated, shown[-1].number if shown else 0)

    async def list_uploads(
        self, bucket: BucketRecord, prefix: bytes, delimiter: bytes, key_marker: bytes, upload_marker: bytes, most: int
    ) -> UploadsPage:
        """Uploads under way, by key and start."""
        return await self._listing.uploads(bucket, prefix, delimiter, key_marker, upload_marker, most)
