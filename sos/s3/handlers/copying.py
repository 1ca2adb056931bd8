"""CopyObject and UploadPartCopy."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from ...domain.checksums import SIZES
from ...domain.conditions import NO_CONDITIONS, Conditions
from ...domain.errors import InvalidArgument, InvalidRange, InvalidRequest, NotModified, PreconditionFailed
from ...domain.names import check_key
from ...http.message import Headers, Reply
from ...meta.records import BucketRecord, ObjectRecord
from ...services.types import ByteRange, Found
from ..auth.errors import InvalidURI
from ..auth.query import percent_decode
from ..call import Call
from ..conditions import read_conditions
from ..describe import Fields, version_headers
from ..identifiers import read_upload, read_version, show_version
from ..late import reply_in_time
from ..numbers import read_part_number
from ..template import REDIRECT, read_template
from ..xml import documents
from ..xml.text import XML

SOURCE = "x-amz-copy-source"
_RANGE = re.compile(r"bytes=([0-9]{1,18})-([0-9]{1,18})")
SELF_COPY = (
    "This copy request is illegal because it is trying to copy an object to itself without changing the object's "
    "metadata, storage class, website redirect location or encryption attributes."
)


@dataclass(frozen=True, slots=True)
class Source:
    """What is copied.

    :param version: None = the latest
    """

    bucket: str
    key: bytes
    version: bytes | None


def read_source(text: str) -> Source:
    """``x-amz-copy-source``: ``[/]bucket/key[?versionId=id]``, percent-encoded. Decoded once, nothing normalised.

    :raises InvalidArgument: it names no bucket and key, or a bad version
    """
    raw, _, version = text.encode("latin-1", "replace").partition(b"?versionId=")
    try:
        path = percent_decode(raw).removeprefix(b"/")
        bucket, _, key = path.partition(b"/")
        name = bucket.decode("ascii")
        key.decode()
    except (InvalidURI, UnicodeDecodeError) as error:
        raise InvalidArgument(_BAD_SOURCE) from error
    if not name or not key:
        raise InvalidArgument(_BAD_SOURCE, ArgumentName=SOURCE)
    check_key(key)
    return Source(name, key, read_version(version.decode("latin-1")))


_BAD_SOURCE = "Copy Source must mention the source bucket and key: sourcebucket/sourcekey."


def _directive(headers: Headers, name: str, text: str) -> bool:
    """Whether a directive says REPLACE.

    :raises InvalidArgument: neither COPY nor REPLACE
    """
    value = headers.get(name) or "COPY"
    if value not in ("COPY", "REPLACE"):
        raise InvalidArgument(f"Unknown {text} directive.", ArgumentName=name, ArgumentValue=value[:64])
    return value == "REPLACE"


async def _source(call: Call) -> tuple[BucketRecord, bytes, bytes | None, Conditions]:
    """The source, authorised before anything about it is looked up."""
    headers = call.request.headers
    source = read_source(headers.get(SOURCE))
    action = "s3:GetObject" if source.version is None else "s3:GetObjectVersion"
    shown = "" if source.version is None else show_version(source.version)
    await call.require(action, source.bucket, source.key, shown)
    record = await call.bucket_of(source.bucket, "x-amz-source-expected-bucket-owner")
    return record, source.key, source.version, read_conditions(headers, "x-amz-copy-source-")


def _make(call: Call, same: bool) -> Callable[[ObjectRecord], ObjectRecord]:
    """How the record of the source becomes the template of the copy.

    :param same: source and target are one object, without a version named
    """
    headers = call.request.headers
    template = read_template(headers, call.identity.account)
    replace = _directive(headers, "x-amz-metadata-directive", "metadata")
    retag = _directive(headers, "x-amz-tagging-directive", "tagging")

    def make(source: ObjectRecord) -> ObjectRecord:
        changed = replace or retag or REDIRECT in headers or template.storage_class != source.storage_class
        if same and not changed:
            raise InvalidRequest(SELF_COPY)
        record = template
        if not replace:
            kept = {name: value for name, value in source.headers.items() if name != REDIRECT}
            if REDIRECT in template.headers:
                kept[REDIRECT] = template.headers[REDIRECT]
            record = msgspec.structs.replace(
                record, content_type=source.content_type, headers=kept, metadata=source.metadata
            )
        return record if retag else msgspec.structs.replace(record, tags=source.tags)

    return make


def read_algorithm(headers: Headers) -> str:
    """The checksum algorithm asked for, empty without one.

    :raises InvalidRequest: unknown
    """
    name = headers.get("x-amz-checksum-algorithm").upper()
    if name and name not in SIZES:
        raise InvalidRequest(
            "Checksum algorithm provided is unsupported. Please try again with any of the valid types: "
            "[CRC32, CRC32C, CRC64NVME, SHA1, SHA256]"
        )
    return name


def _source_version(found: Found, bucket: BucketRecord) -> Fields:
    shown = show_version(found.record.version_id)
    return [("x-amz-copy-source-version-id", shown)] if bucket.versioning else []


async def copy_object(call: Call) -> Reply:
    """S3: CopyObject."""
    return await reply_in_time(call, _copy_object(call))


async def _copy_object(call: Call) -> Reply:
    conditions = read_conditions(call.request.headers)
    await call.require_to_tell(conditions, call.key)
    source = await _source(call)
    bucket = await call.bucket_record()
    same = source[0].bucket_id == bucket.bucket_id and source[1] == call.key and source[2] is None
    headers = call.request.headers
    make = _make(call, same)
    objects = call.services.objects
    try:
        done, found = await objects.copy(source, bucket, call.key, make, conditions, read_algorithm(headers))
    except NotModified as error:
        raise PreconditionFailed() from error
    record = done.record
    if record is None:
        record = (await objects.head(bucket, call.key, done.version_id or None, NO_CONDITIONS, None)).record
    fields = [*XML, *version_headers(bucket, done.version_id), *_source_version(found, source[0])]
    body = documents.copied("CopyObjectResult", done.etag, record.mtime_ns, record.checksums, record.checksum_type)
    return Reply(200, fields, body)


async def upload_part_copy(call: Call) -> Reply:
    """S3: UploadPartCopy."""
    return await reply_in_time(call, _upload_part_copy(call))


async def _upload_part_copy(call: Call) -> Reply:
    number = read_part_number(call.query["partNumber"])
    upload_id = read_upload(call.query["uploadId"])
    source = await _source(call)
    bucket = await call.bucket_record()
    span = await _span(call, source)
    try:
        part, found = await call.services.multipart.copy_part(source, span, bucket, call.key, upload_id, number)
    except NotModified as error:
        raise PreconditionFailed() from error
    body = documents.copied("CopyPartResult", part.etag, part.mtime_ns, part.checksums, "")
    return Reply(200, [*XML, *_source_version(found, source[0])], body)


async def _span(call: Call, source: tuple[BucketRecord, bytes, bytes | None, Conditions]) -> ByteRange | None:
    """The range to copy; unlike a range to read, all of it must exist.

    :raises InvalidArgument: not ``bytes=first-last``
    :raises InvalidRange: beyond the end of the source
    """
    text = call.request.headers.get("x-amz-copy-source-range")
    if not text:
        return None
    found = _RANGE.fullmatch(text)
    if found is None or int(found[2]) < int(found[1]):
        raise InvalidArgument(
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the "
            "zero-based offsets of the first and last bytes to copy",
            ArgumentName="x-amz-copy-source-range",
            ArgumentValue=text[:64],
        )
    bucket, key, version, _ = source
    size = (await call.services.objects.head(bucket, key, version, NO_CONDITIONS, None)).record.size
    if int(found[2]) >= size:
        raise InvalidRange(size=size, range=text)
    return ByteRange(int(found[1]), int(found[2]))
