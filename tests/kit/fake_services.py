"""The services of sos/services as dictionaries, for tests of the S3 surface alone."""

from __future__ import annotations

import hashlib
import itertools
import time
from collections.abc import Callable

import msgspec

from sos.domain import checksums
from sos.domain.body import Body
from sos.domain.conditions import NO_CONDITIONS, Conditions, check_read, check_write
from sos.domain.errors import (
    BucketExists,
    BucketNotEmpty,
    EntityTooSmall,
    InvalidPart,
    InvalidPartNumber,
    MethodNotAllowed,
    NoSuchBucket,
    NoSuchKey,
    NoSuchUpload,
    NoSuchVersion,
    StoreError,
)
from sos.domain.names import check_bucket_name
from sos.domain.ranges import resolve
from sos.meta.proposals import Done
from sos.meta.records import BucketRecord, Kind, ObjectRecord, PartRecord, UploadRecord
from sos.services.types import ByteRange, Found, Opened, Page, PartsPage, UploadsPage

PART_BYTES_MIN = 5 * 1024 * 1024


class World:
    """All that is stored."""

    def __init__(self) -> None:
        self.buckets: dict[str, BucketRecord] = {}
        self.objects: dict[tuple[int, bytes], tuple[ObjectRecord, bytes, list[PartRecord]]] = {}
        self.uploads: dict[tuple[int, bytes, bytes], tuple[UploadRecord, dict[int, tuple[PartRecord, bytes]]]] = {}
        self.serial = itertools.count(1)


class FakeBuckets:
    def __init__(self, world: World) -> None:
        self.world = world

    async def get(self, name: str) -> BucketRecord:
        if name not in self.world.buckets:
            raise NoSuchBucket(bucket=name)
        return self.world.buckets[name]

    async def list(self, prefix: str, after: str, most: int) -> tuple[list[BucketRecord], str]:
        names = sorted(n for n in self.world.buckets if n.startswith(prefix) and n > after)
        page = [self.world.buckets[n] for n in names[:most]]
        return page, page[-1].name if len(names) > most else ""

    async def create(self, name: str, owner: str, region: str, object_lock: bool) -> BucketRecord:
        check_bucket_name(name)
        if name in self.world.buckets:
            raise BucketExists(bucket=name, owned=self.world.buckets[name].owner == owner)
        record = BucketRecord(next(self.world.serial), name, time.time_ns(), owner, region=region)
        self.world.buckets[name] = record
        return record

    async def delete(self, name: str) -> None:
        record = await self.get(name)
        if any(bucket == record.bucket_id for bucket, _ in self.world.objects):
            raise BucketNotEmpty()
        del self.world.buckets[name]


class FakeObjects:
    def __init__(self, world: World) -> None:
        self.world = world

    async def put(
        self, bucket: BucketRecord, key: bytes, body: Body, template: ObjectRecord, conditions: Conditions
    ) -> Done:
        data = bytearray(body.size)
        await body.fill(memoryview(data))
        digests = await body.finish()
        sums = {name: checksums.encode(raw) for name, raw in digests.checksums.items()}
        return self.store(bucket, key, bytes(data), template, conditions, digests.md5.hex(), sums)

    def store(
        self,
        bucket: BucketRecord,
        key: bytes,
        data: bytes,
        template: ObjectRecord,
        conditions: Conditions,
        etag: str,
        sums: dict[str, str],
        parts: list[PartRecord] | None = None,
    ) -> Done:
        current = self.world.objects.get((bucket.bucket_id, key))
        there = (current[0].etag, current[0].mtime_ns, current[0].size) if current else None
        check_write(conditions, there)
        record = msgspec.structs.replace(
            template,
            order=next(self.world.serial),
            size=len(data),
            mtime_ns=time.time_ns(),
            etag=etag,
            checksums=sums,
            checksum_type="FULL_OBJECT" if sums else "",
            parts=len(parts or []),
            manifest=b"m" * 16 if parts else b"",
        )
        self.world.objects[bucket.bucket_id, key] = (record, data, parts or [])
        return Done(seq=record.order, etag=etag, existed=current is not None, record=record)

    def _find(self, bucket: BucketRecord, key: bytes, version: bytes | None) -> ObjectRecord:
        found = self.world.objects.get((bucket.bucket_id, key))
        if found is None or version:
            raise NoSuchKey() if version is None else NoSuchVersion()
        record = found[0]
        if record.is_marker:
            detail = {"delete_marker": True, "version_id": record.version_id.hex(), "mtime_ns": record.mtime_ns}
            raise NoSuchKey(**detail) if version is None else MethodNotAllowed(**detail)
        return record

    async def head(
        self, bucket: BucketRecord, key: bytes, version: bytes | None, conditions: Conditions, part: int | None
    ) -> Found:
        record = self._find(bucket, key, version)
        check_read(conditions, record.etag, record.mtime_ns)
        if part is None:
            return Found(key, record)
        parts = self.world.objects[bucket.bucket_id, key][2] or [PartRecord(1, record.size, record.etag, 0)]
        for index, one in enumerate(parts):
            if one.number == part:
                return Found(key, record, True, one, sum(p.size for p in parts[:index]))
        raise InvalidPartNumber()

    async def open(
        self,
        bucket: BucketRecord,
        key: bytes,
        version: bytes | None,
        conditions: Conditions,
        span: ByteRange | None,
        part: int | None,
    ) -> Opened:
        found = await self.head(bucket, key, version, conditions, part)
        data = self.world.objects[bucket.bucket_id, key][1]
        start, length = 0, len(data)
        if span is not None:
            start, length = resolve(span.first, span.last, len(data))
        elif found.part is not None:
            start, length = found.start, found.part.size
        partial = span is not None or part is not None
        return Opened(found, start, length, partial, data[start : start + length], None, [])

    async def delete(
        self,
        bucket: BucketRecord,
        key: bytes,
        version: bytes | None,
        conditions: Conditions,
        owner: str,
        bypass_governance: bool = False,
    ) -> Done:
        current = self.world.objects.get((bucket.bucket_id, key))
        if conditions != NO_CONDITIONS:
            check_write(conditions, (current[0].etag, current[0].mtime_ns, current[0].size) if current else None)
        if version:
            raise NoSuchVersion()
        self.world.objects.pop((bucket.bucket_id, key), None)
        return Done(seq=next(self.world.serial), existed=current is not None)

    async def delete_many(
        self,
        bucket: BucketRecord,
        items: list[tuple[bytes, bytes | None, Conditions]],
        owner: str,
        bypass_governance: bool = False,
    ) -> list[Done | StoreError]:
        answers: list[Done | StoreError] = []
        for key, version, conditions in items:
            try:
                answers.append(await self.delete(bucket, key, version, conditions, owner))
            except StoreError as error:
                answers.append(error)
        return answers

    async def copy(
        self,
        source: tuple[BucketRecord, bytes, bytes | None, Conditions],
        bucket: BucketRecord,
        key: bytes,
        make: Callable[[ObjectRecord], ObjectRecord],
        conditions: Conditions,
        checksum: str,
    ) -> tuple[Done, Found]:
        found = await self.head(*source, None)
        data = self.world.objects[source[0].bucket_id, source[1]][1]
        sums = {checksum: checksums.encode(checksums.digest(checksum, data))} if checksum else {}
        etag = hashlib.md5(data).hexdigest()
        return self.store(bucket, key, data, make(found.record), conditions, etag, sums), found

    async def parts_of(self, bucket: BucketRecord, found: Found) -> list[PartRecord]:
        return self.world.objects[bucket.bucket_id, found.key][2]


class FakeMultipart:
    def __init__(self, world: World, objects: FakeObjects) -> None:
        self.world = world
        self.objects = objects

    async def create(
        self, bucket: BucketRecord, key: bytes, template: ObjectRecord, checksum_algorithm: str, checksum_type: str
    ) -> bytes:
        upload_id = next(self.world.serial).to_bytes(16, "big")
        record = UploadRecord(upload_id, time.time_ns(), template, checksum_algorithm, checksum_type)
        self.world.uploads[bucket.bucket_id, key, upload_id] = (record, {})
        return upload_id

    def _find(
        self, bucket: BucketRecord, key: bytes, upload_id: bytes
    ) -> tuple[UploadRecord, dict[int, tuple[PartRecord, bytes]]]:
        if (bucket.bucket_id, key, upload_id) not in self.world.uploads:
            raise NoSuchUpload()
        return self.world.uploads[bucket.bucket_id, key, upload_id]

    async def upload(self, bucket: BucketRecord, key: bytes, upload_id: bytes) -> UploadRecord:
        return self._find(bucket, key, upload_id)[0]

    async def put_part(self, bucket: BucketRecord, key: bytes, upload_id: bytes, number: int, body: Body) -> PartRecord:
        _, parts = self._find(bucket, key, upload_id)
        data = bytearray(body.size)
        await body.fill(memoryview(data))
        digests = await body.finish()
        sums = {name: checksums.encode(raw) for name, raw in digests.checksums.items()}
        part = PartRecord(number, len(data), digests.md5.hex(), time.time_ns(), checksums=sums)
        parts[number] = (part, bytes(data))
        return part

    async def copy_part(
        self,
        source: tuple[BucketRecord, bytes, bytes | None, Conditions],
        span: ByteRange | None,
        bucket: BucketRecord,
        key: bytes,
        upload_id: bytes,
        number: int,
    ) -> tuple[PartRecord, Found]:
        opened = await self.objects.open(*source, span, None)
        _, parts = self._find(bucket, key, upload_id)
        part = PartRecord(number, opened.length, hashlib.md5(opened.data).hexdigest(), time.time_ns())
        parts[number] = (part, opened.data)
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
        upload, stored = self._find(bucket, key, upload_id)
        chosen = []
        for number, etag, _ in parts:
            if number not in stored or stored[number][0].etag != etag:
                raise InvalidPart(part=number, etag=etag)
            chosen.append(stored[number])
        for part, _ in chosen[:-1]:
            if part.size < PART_BYTES_MIN:
                raise EntityTooSmall(part=part.number, proposed=part.size, minimum=PART_BYTES_MIN, etag=part.etag)
        md5s = b"".join(bytes.fromhex(part.etag) for part, _ in chosen)
        etag = f"{hashlib.md5(md5s).hexdigest()}-{len(chosen)}"
        data = b"".join(payload for _, payload in chosen)
        records = [part for part, _ in chosen]
        done = self.objects.store(bucket, key, data, upload.template, conditions, etag, checksums_given, records)
        del self.world.uploads[bucket.bucket_id, key, upload_id]
        return done

    async def abort(self, bucket: BucketRecord, key: bytes, upload_id: bytes) -> None:
        self._find(bucket, key, upload_id)
        del self.world.uploads[bucket.bucket_id, key, upload_id]

    async def list_parts(self, bucket: BucketRecord, key: bytes, upload_id: bytes, after: int, most: int) -> PartsPage:
        upload, stored = self._find(bucket, key, upload_id)
        parts = [stored[n][0] for n in sorted(stored) if n > after]
        shown = parts[:most]
        return PartsPage(upload, shown, len(parts) > most, shown[-1].number if shown else 0)

    async def list_uploads(
        self, bucket: BucketRecord, prefix: bytes, delimiter: bytes, key_marker: bytes, upload_marker: bytes, most: int
    ) -> UploadsPage:
        found = sorted(
            (key, upload_id, record)
            for (owner, key, upload_id), (record, _) in self.world.uploads.items()
            if owner == bucket.bucket_id and key.startswith(prefix) and (key, upload_id) > (key_marker, upload_marker)
        )
        page = found[:most]
        more = len(found) > most
        last = page[-1] if more else (b"", b"")
        return UploadsPage([(key, record) for key, _, record in page], [], more, last[0], last[1])


class FakeListing:
    def __init__(self, world: World) -> None:
        self.world = world

    async def objects(self, bucket: BucketRecord, prefix: bytes, delimiter: bytes, after: bytes, most: int) -> Page:
        entries: list[tuple[bytes, ObjectRecord]] = []
        prefixes: list[bytes] = []
        last = b""
        for key in sorted(k for b, k in self.world.objects if b == bucket.bucket_id and k.startswith(prefix)):
            end = key.find(delimiter, len(prefix)) if delimiter else -1
            shown = key if end < 0 else key[: end + len(delimiter)]
            if shown <= after or shown in prefixes[-1:] or (after.startswith(shown) and end >= 0):
                continue
            if len(entries) + len(prefixes) == most:
                return Page(entries, prefixes, True, last)
            last = shown
            if end < 0:
                entries.append((key, self.world.objects[bucket.bucket_id, key][0]))
            else:
                prefixes.append(shown)
        return Page(entries, prefixes, False)

    async def versions(
        self,
        bucket: BucketRecord,
        prefix: bytes,
        delimiter: bytes,
        key_marker: bytes,
        version_marker: bytes | None,
        most: int,
    ) -> Page:
        page = await self.objects(bucket, prefix, delimiter, key_marker, most)
        version = b"" if page.truncated else None
        return Page(page.entries, page.prefixes, page.truncated, page.next_key, version, [True] * len(page.entries))


def marker(order: int, version_id: bytes = b"") -> ObjectRecord:
    """A delete marker."""
    return ObjectRecord(order, version_id, Kind.DELETE_MARKER, 0, 0, "")
