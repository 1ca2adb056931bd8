"""Objects: put, found, read, copied and deleted. Free of any protocol."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from functools import partial

import msgspec

from ..domain import checksums
from ..domain.body import Body, BodyStream
from ..domain.conditions import NO_CONDITIONS, Conditions, check_read, check_write
from ..domain.errors import (
    Busy,
    EntityTooLarge,
    InternalFault,
    InvalidPartNumber,
    NoSuchKey,
    NotModified,
    PreconditionFailed,
    StoreError,
)
from ..domain.ranges import resolve
from ..erasure.handle import SetHandle, Snapshot, Staged
from ..meta import queries
from ..meta.proposals import DeleteObject, Done, PutObject, PutPart
from ..meta.records import BucketRecord, ObjectRecord, PartRecord
from .access import owner_of
from .calls import as_error, commit, decide, request_id
from .locate import Located, locate, require_object, require_target, target_of
from .pools import Pools
from .quotas import Quotas
from .streams import BytesStream, ChainStream, CopyBody
from .types import ByteRange, Found, Opened

#: One PutObject or CopyObject carries at most this (S3: 5 GiB).
PUT_BYTES_MAX = 5 * 1024**3
#: How long a read that lost a race against an overwrite starts again: the overwrite may not be published yet, and then
#: the record read is still the old one while its inline payload goes from one drive after the other.
REREAD_S_MAX = 10.0
#: Waits in between start with one turn of the loop and grow to this.
REREAD_PAUSE_S_MAX = 0.005

Decide = Callable[[SetHandle, "PutObject | PutPart"], Awaitable["Done | StoreError"]]
"""What the owner decides of a proposal. Raises where nobody knows."""

Source = tuple[BucketRecord, bytes, bytes | None, Conditions]


class Objects:
    """The service.

    :param readers: pool of threads that produce the bodies of replies
    :param quotas: None: there are none
    """

    def __init__(self, pools: Pools, readers: Executor, quotas: Quotas | None = None) -> None:
        self._pools = pools
        self.quotas = quotas
        self._readers = readers

    # -- writing -------------------------------------------------------------------------------------

    async def put(self, bucket: BucketRecord, key: bytes, body: Body, template: ObjectRecord, conditions: Conditions) -> Done:
        """Store ``body`` as the latest version of ``key``.

        :raises PreconditionFailed, NoSuchKey: the conditions fail; decided again, atomically, at the commit
        :raises EntityTooLarge, StorageFull, WriteQuorumLost, QuotaExceeded, and what the body raises
        """
        if body.size > PUT_BYTES_MAX:
            raise EntityTooLarge()
        target = await target_of(self._pools, bucket, key)
        if conditions != NO_CONDITIONS:
            await self._precheck(bucket, key, conditions)
        if self.quotas is not None:
            await self.quotas.require_room(bucket, target, key, body.size)
        staged = await target.stage(body, template.storage_class)
        try:
            await require_target(self._pools, bucket, key, target)
        except StoreError:
            await target.discard(staged)
            raise
        record = msgspec.structs.replace(
            template,
            size=body.size,
            mtime_ns=time.time_ns(),
            etag=staged.digests.md5.hex(),
            data=staged.data,
            checksums={name: checksums.encode(raw) for name, raw in staged.digests.checksums.items()},
            checksum_type="FULL_OBJECT" if staged.digests.checksums else "",
            owner=template.owner or owner_of(bucket),  # what anybody may write belongs to who lets it be written
        )
        proposal = PutObject(
            request_id=request_id(),
            bucket_id=bucket.bucket_id,
            key=key,
            record=record,
            inline=staged.inline,
            extent=staged.extent,
            conditions=conditions,
        )
        done = await commit_staged(target, proposal, staged, self.decider(bucket))
        return done if done.record is not None else msgspec.structs.replace(done, record=record)

    def decider(self, bucket: BucketRecord) -> Decide:
        """How what adds bytes to a bucket is decided: with a grant where it has a quota."""
        quotas = self.quotas
        return decide if quotas is None else lambda target, proposal: quotas.decide(target, bucket, proposal)

    async def _precheck(self, bucket: BucketRecord, key: bytes, conditions: Conditions) -> None:
        """Refuse early what the owner would refuse after the whole body."""
        located = await locate(self._pools, bucket, key, None)
        located.snapshot.close()
        record = located.record
        there = record is not None and not record.is_marker
        check_write(conditions, (record.etag, record.mtime_ns, record.size) if record is not None and there else None)

    async def delete(
        self,
        bucket: BucketRecord,
        key: bytes,
        version: bytes | None,
        conditions: Conditions,
        owner: str,
        bypass_governance: bool = False,
    ) -> Done:
        """Delete a version, or put a delete marker, by the bucket's versioning. No error where nothing is.

        :raises ObjectLocked, PreconditionFailed
        """
        target = await target_of(self._pools, bucket, key)
        return await commit(target, self._deletion(bucket, key, version, conditions, owner, bypass_governance))

    @staticmethod
    def _deletion(
        bucket: BucketRecord, key: bytes, version: bytes | None, conditions: Conditions, owner: str, bypass: bool
    ) -> DeleteObject:
        return DeleteObject(
            request_id=request_id(),
            bucket_id=bucket.bucket_id,
            key=key,
            version=version,
            conditions=conditions,
            owner=owner or owner_of(bucket),
            bypass_governance=bypass,
        )

    async def delete_many(
        self,
        bucket: BucketRecord,
        items: list[tuple[bytes, bytes | None, Conditions]],
        owner: str,
        bypass_governance: bool = False,
    ) -> list[Done | StoreError]:
        """Delete several versions; one answer each, in order. One message per set."""
        answers: list[Done | StoreError | None] = [None] * len(items)
        groups: dict[int, tuple[SetHandle, list[int]]] = {}
        for index, (key, _version, _conditions) in enumerate(items):
            target = await target_of(self._pools, bucket, key)
            groups.setdefault(target.number, (target, []))[1].append(index)

        async def run(target: SetHandle, indexes: list[int]) -> None:
            proposals = [self._deletion(bucket, *items[i], owner, bypass_governance) for i in indexes]
            try:
                results = [as_error(outcome) for outcome in await target.submit(proposals)]
            except StoreError as error:
                results = [error] * len(indexes)
            for index, result in zip(indexes, results, strict=True):
                answers[index] = result

        await asyncio.gather(*(run(target, indexes) for target, indexes in groups.values()))
        return [answer for answer in answers if answer is not None]

    # -- reading -------------------------------------------------------------------------------------

    async def head(
        self, bucket: BucketRecord, key: bytes, version: bytes | None, conditions: Conditions, part: int | None
    ) -> Found:
        """A version without its payload.

        :raises NoSuchKey, NoSuchVersion, MethodNotAllowed, NotModified, PreconditionFailed, InvalidPartNumber
        """
        located = await locate(self._pools, bucket, key, version)
        try:
            return self._found(located, key, version, conditions, part)
        finally:
            located.snapshot.close()

    def _found(self, located: Located, key: bytes, version: bytes | None, conditions: Conditions, part: int | None) -> Found:
        record = require_object(located.record, version)
        if conditions is not NO_CONDITIONS:
            check_read(conditions, record.etag, record.mtime_ns)
        if part is None:
            return Found(key, record, located.latest)
        chosen, start = self._part(located.snapshot, record, part)
        return Found(key, record, located.latest, chosen, start)

    @staticmethod
    def _part(snapshot: Snapshot, record: ObjectRecord, number: int) -> tuple[PartRecord, int]:
        if not record.manifest:
            if number != 1:
                raise InvalidPartNumber()
            whole = PartRecord(number=1, size=record.size, etag=record.etag, mtime_ns=record.mtime_ns, data=record.data)
            return whole, 0
        start = 0
        for part in manifest_of(snapshot, record):
            if part.number == number:
                return part, start
            start += part.size
        raise InvalidPartNumber()

    async def parts_of(self, bucket: BucketRecord, found: Found) -> list[PartRecord]:
        """The parts of a multipart object, empty for any other.

        :raises NoSuchKey: the version was removed meanwhile
        """
        if not found.record.manifest:
            return []
        located = await locate(self._pools, bucket, found.key, found.record.version_id or None)
        try:
            manifest = queries.manifest(located.snapshot, found.record.manifest)
        finally:
            located.snapshot.close()
        if manifest is None:
            raise NoSuchKey()
        return list(manifest.parts)

    async def open(
        self,
        bucket: BucketRecord,
        key: bytes,
        version: bytes | None,
        conditions: Conditions,
        span: ByteRange | None,
        part: int | None,
    ) -> Opened:
        """A version with (a range of) its payload, the first batch of which is verified already.

        :raises InvalidRange, ReadQuorumLost, and what ``head`` raises
        """
        pause, deadline = 0.0, time.monotonic() + REREAD_S_MAX
        while True:
            located = await locate(self._pools, bucket, key, version)
            try:
                found = self._found(located, key, version, conditions, part)
                opened = self._open(located, found, span)
                break
            except NoSuchKey as error:
                if "replaced" not in error.detail:
                    raise
                if time.monotonic() > deadline:
                    raise Busy("the object was overwritten all the time while being read") from error
            finally:
                located.snapshot.close()
            await asyncio.sleep(pause)
            pause = min(REREAD_PAUSE_S_MAX, pause * 2 + 0.0002)
        return await self._started(opened)

    def _open(self, located: Located, found: Found, span: ByteRange | None) -> Opened:
        record = found.record
        base, size = (found.start, found.part.size) if found.part is not None else (0, record.size)
        start, length = (0, size) if span is None else resolve(span.first, span.last, size)
        start += base
        opened = Opened(found, start, length, span is not None or found.part is not None, b"", None, [])
        if length == 0:
            return opened
        if record.data is not None and not record.data.volume:
            opened.data = located.handle.read_inline(record.data, start, length)
        elif record.data is not None:
            opened.stream = located.handle.open_data(record.data, start, length)
        else:
            opened.stream = self._chain(located, manifest_of(located.snapshot, record), start, length)
        return opened

    @staticmethod
    def _chain(located: Located, parts: Sequence[PartRecord], start: int, length: int) -> BodyStream:
        """The range of a multipart object as the parts that it touches. Inline parts are read at once: unlike extents,
        they go as soon as the object is replaced. The extents are held from now on: the last may be opened in hours.
        """
        release = located.handle.hold()
        try:
            return ChainStream(_openers(located.handle, parts, start, length), length, release)
        except BaseException:
            release()
            raise

    async def _started(self, opened: Opened) -> Opened:
        """Produce the first batch: what cannot be read must fail before the status line."""
        stream = opened.stream
        if stream is not None:
            try:
                opened.first = await asyncio.get_running_loop().run_in_executor(self._readers, stream.next_batch)
            except BaseException:
                stream.close()
                raise
        return opened

    # -- copying -------------------------------------------------------------------------------------

    async def open_source(self, source: Source, span: ByteRange | None = None) -> Opened:
        """The source of a copy. Any condition that fails is a failed precondition (S3: CopyObject).

        :raises PreconditionFailed, and what ``open`` raises
        """
        bucket, key, version, conditions = source
        try:
            return await self.open(bucket, key, version, conditions, span, None)
        except NotModified as error:
            raise PreconditionFailed() from error

    def copy_body(self, opened: Opened, checksum: str) -> Body:
        """What was opened, as a payload to store."""
        stream = opened.stream if opened.stream is not None else BytesStream(opened.data)
        return CopyBody(stream, self._readers, checksum, opened.first)

    async def copy(
        self,
        source: Source,
        bucket: BucketRecord,
        key: bytes,
        make: Callable[[ObjectRecord], ObjectRecord],
        conditions: Conditions,
        checksum: str,
    ) -> tuple[Done, Found]:
        """Copy a version; ``make`` turns its record into the template of the new object.

        A checksum of the whole source is kept by computing it again over what is read.
        """
        opened = await self.open_source(source)
        record = opened.found.record
        try:
            template = make(record)
            if record.size > PUT_BYTES_MAX:
                raise EntityTooLarge()
            if not checksum and record.checksum_type == "FULL_OBJECT":
                checksum = next(iter(record.checksums), "")
            done = await self.put(bucket, key, self.copy_body(opened, checksum), template, conditions)
        finally:
            if opened.stream is not None:
                opened.stream.close()
        return done, opened.found


def _openers(handle: SetHandle, parts: Sequence[PartRecord], start: int, length: int) -> list[Callable[[], BodyStream]]:
    openers: list[Callable[[], BodyStream]] = []
    at, end = 0, start + length
    for part in parts:
        low, high = max(start - at, 0), min(end - at, part.size)
        at += part.size
        if low >= high or part.data is None:
            continue
        ref, span = part.data, high - low
        if ref.volume:
            openers.append(partial(handle.open_data, ref, low, span))
        else:
            openers.append(partial(BytesStream, handle.read_inline(ref, low, span)))
    return openers


def manifest_of(snapshot: Snapshot, record: ObjectRecord) -> Sequence[PartRecord]:
    """The parts of a multipart object; empty for an object without payload.

    :raises InternalFault: record and manifest are written in one transaction, so a missing one is damage
    """
    if not record.manifest:
        return ()
    manifest = queries.manifest(snapshot, record.manifest)
    if manifest is None:
        raise InternalFault(f"manifest {record.manifest.hex()} is missing")
    return manifest.parts


async def commit_staged(
    target: SetHandle, proposal: PutObject | PutPart, staged: Staged, decide: Decide = decide
) -> Done:
    """Commit a proposal that refers to a staged payload; a refused one gives the space back.

    After an error of the call itself, whichever it is, the payload may be referenced: the set finds out.
    """
    try:
        result = await decide(target, proposal)
    except BaseException:
        target.unsettled(proposal.request_id, staged)
        raise
    if isinstance(result, StoreError):
        await target.discard(staged)
        raise result
    return result
