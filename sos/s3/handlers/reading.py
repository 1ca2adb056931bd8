"""GetObject, HeadObject, GetObjectAttributes, GetObjectTagging."""

from __future__ import annotations

from ...domain.conditions import matches
from ...domain.errors import InvalidArgument, InvalidRange, InvalidRequest
from ...domain.ranges import resolve
from ...http.message import Reply
from ...meta.records import BucketRecord, PartRecord
from ...services.types import ByteRange, Found
from ..call import Call
from ..conditions import read_conditions, read_date, read_range, read_tags
from ..describe import describe, extras, override, version_headers
from ..numbers import read_count, read_part_number
from ..xml import documents
from ..xml.text import http_time

ATTRIBUTES = frozenset({"ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"})
PARTS_MAX = 1000


def _part(call: Call) -> int | None:
    """The part number asked for.

    :raises InvalidRequest: together with a range
    """
    text = call.query.get("partNumber", "")
    if not text:
        return None
    if "range" in call.request.headers:
        raise InvalidRequest("Cannot specify both Range header and partNumber query parameter")
    return read_part_number(text)


async def _span(call: Call, bucket: BucketRecord) -> ByteRange | None:
    """The range to send, None for the whole: also when If-Range names another state of the object."""
    headers = call.request.headers
    if "range" not in headers:
        return None
    span = read_range(headers.get("range"))
    condition = headers.get("if-range")
    if span is None or not condition:
        return span
    found = await call.services.objects.head(bucket, call.key, call.version(), read_conditions(headers), None)
    return span if _unchanged(condition, found) else None


def _unchanged(condition: str, found: Found) -> bool:
    """RFC 9110 §13.1.5: a strong entity tag, or the exact date."""
    if '"' in condition:
        return not condition.startswith("W/") and matches(read_tags(condition), found.record.etag)
    return (
        http_time(found.record.mtime_ns) == condition or read_date(condition) == found.record.mtime_ns // 10**9 * 10**9
    )


def _content_range(start: int, length: int, size: int) -> tuple[str, str]:
    return "Content-Range", f"bytes {start}-{start + length - 1}/{size}"


async def get_object(call: Call) -> Reply:
    """S3: GetObject."""
    bucket = await call.bucket_record()
    headers = call.request.headers
    span, part = await _span(call, bucket), _part(call)
    try:
        opened = await call.services.objects.open(
            bucket, call.key, call.version(), read_conditions(headers), span, part
        )
    except InvalidRange as error:
        error.detail["range"] = headers.get("range")
        raise
    try:
        record = opened.found.record
        fields = describe(record, bucket) + extras(call, opened.found, span is not None)
        status = 200
        if opened.partial and opened.length:
            status = 206
            fields.append(_content_range(opened.start, opened.length, record.size))
        fields = override(call, fields)
    except BaseException:
        if opened.stream is not None:
            opened.stream.close()
        raise
    return Reply(status, fields, opened.data if opened.stream is None else opened.stream, opened.first)


async def head_object(call: Call) -> Reply:
    """S3: HeadObject. A range or part number gives the head that GetObject would give."""
    bucket = await call.bucket_record()
    headers = call.request.headers
    part = _part(call) if "partNumber" in call.query else None
    found = await call.services.objects.head(bucket, call.key, call.version(), read_conditions(headers), part)
    record = found.record
    start, length = (0, record.size) if found.part is None else (found.start, found.part.size)
    ranged = False
    if "range" in headers and (span := read_range(headers.get("range"))) is not None:
        condition = headers.get("if-range")
        if not condition or _unchanged(condition, found):
            start, length = resolve(span.first, span.last, record.size)
            ranged = True
    fields = describe(record, bucket) + extras(call, found, ranged)
    status = 200
    if length and (ranged or found.part is not None):
        status = 206
        fields.append(_content_range(start, length, record.size))
    return Reply(status, override(call, fields), length=length)


async def get_object_attributes(call: Call) -> Reply:
    """S3: GetObjectAttributes. It takes the right to read the object beside its own, in AWS as in MinIO."""
    version = call.query.get("versionId", "")
    await call.require("s3:GetObjectVersion" if version else "s3:GetObject", call.bucket, call.key, version)
    headers = call.request.headers
    wanted = frozenset(
        a.strip() for value in headers.all("x-amz-object-attributes") for a in value.split(",") if a.strip()
    )
    if not wanted or not wanted <= ATTRIBUTES:
        raise InvalidArgument("Invalid attribute name specified.", ArgumentName="x-amz-object-attributes")
    most = read_count(headers.get("x-amz-max-parts"), "x-amz-max-parts", PARTS_MAX, PARTS_MAX)
    after = read_count(headers.get("x-amz-part-number-marker"), "x-amz-part-number-marker", 0)
    bucket = await call.bucket_record()
    found = await call.services.objects.head(bucket, call.key, call.version(), read_conditions(headers), None)
    listed = ""
    if "ObjectParts" in wanted and found.record.parts:
        listed = _listed(await call.services.objects.parts_of(bucket, found), after, most)
    fields = [("Content-Type", "application/xml"), ("Last-Modified", http_time(found.record.mtime_ns))]
    fields += version_headers(bucket, found.record.version_id)
    return Reply(200, fields, documents.attributes(found.record, wanted, listed))


def _listed(parts: list[PartRecord], after: int, most: int) -> str:
    following = [part for part in parts if part.number > after]
    return documents.attribute_parts(following[:most], len(parts), after, most, len(following) > most)


async def get_object_tagging(call: Call) -> Reply:
    """S3: GetObjectTagging."""
    bucket = await call.bucket_record()
    found = await call.services.objects.head(
        bucket, call.key, call.version(), read_conditions(call.request.headers), None
    )
    fields = [("Content-Type", "application/xml"), *version_headers(bucket, found.record.version_id)]
    return Reply(200, fields, documents.tagging(found.record.tags))
