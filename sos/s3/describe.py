"""An object's record as headers of a reply."""

from __future__ import annotations

from contextlib import suppress
from email.charset import Charset
from urllib.parse import urlencode

from ..domain.errors import InvalidArgument, InvalidRequest
from ..meta.records import BucketRecord, ObjectRecord
from ..services.types import Found
from .call import Call
from .identifiers import show_version
from .xml.text import http_time

Fields = list[tuple[str, str]]

_WORDS = Charset("utf-8")

OVERRIDES = {
    "response-cache-control": "cache-control",
    "response-content-disposition": "content-disposition",
    "response-content-encoding": "content-encoding",
    "response-content-language": "content-language",
    "response-content-type": "Content-Type",
    "response-expires": "expires",
}
"""Query name → header that it overrides in the reply to a signed request."""


def checksum_headers(values: dict[str, str], kind: str) -> Fields:
    if not values:
        return []
    headers = [(f"x-amz-checksum-{name.lower()}", value) for name, value in values.items()]
    return [*headers, ("x-amz-checksum-type", kind)] if kind else headers


def version_headers(bucket: BucketRecord, version_id: bytes) -> Fields:
    """``x-amz-version-id`` where the bucket has, or had, versioning."""
    return [("x-amz-version-id", show_version(version_id))] if bucket.versioning else []


def mail_safe(value: str) -> str:
    """A metadata value as a header: in the form of RFC 2047 where it holds more than printable ASCII and tabs, as S3
    returns it ("Working with object metadata"). Values are stored as they came, one character a byte."""
    if value.isascii() and value.replace("\t", " ").isprintable():
        return value
    with suppress(UnicodeError):  # no UTF-8: what it holds are characters of ISO 8859-1
        value = value.encode("latin-1").decode()
    return _WORDS.header_encode(value)


def describe(record: ObjectRecord, bucket: BucketRecord) -> Fields:
    """The headers that every read of an object carries."""
    headers = [
        ("ETag", f'"{record.etag}"'),
        ("Last-Modified", http_time(record.mtime_ns)),
        ("Content-Type", record.content_type),
    ]
    if record.headers:
        headers.extend(record.headers.items())
    if record.metadata:
        headers.extend([("x-amz-meta-" + name, mail_safe(value)) for name, value in record.metadata.items()])
    if bucket.versioning:
        headers.append(("x-amz-version-id", show_version(record.version_id)))
    if record.storage_class != "STANDARD":
        headers.append(("x-amz-storage-class", record.storage_class))
    if record.tags:
        headers.append(("x-amz-tagging-count", str(len(record.tags))))
    return headers


def extras(call: Call, found: Found, ranged: bool) -> Fields:
    """Headers that only some reads ask for: checksums, tags, number of parts."""
    headers, record = call.request.headers, found.record
    added: Fields = []
    if headers.get("x-amz-checksum-mode").upper() == "ENABLED" and not ranged:
        if found.part is not None and record.parts:
            added += checksum_headers(found.part.checksums, record.checksum_type)
        else:
            added += checksum_headers(record.checksums, record.checksum_type)
    if record.tags and headers.get("x-amz-tagging-directive").upper() == "ACCESS":
        added.append(("x-amz-tagging", urlencode(record.tags)))
    if found.part is not None and record.parts:
        added.append(("x-amz-mp-parts-count", str(record.parts)))
    return added


def override(call: Call, headers: Fields) -> Fields:
    """Apply ``response-*`` of the query.

    :raises InvalidRequest: the request is anonymous
    :raises InvalidArgument: a value that no header may hold
    """
    wanted = {OVERRIDES[name]: call.query[name] for name in OVERRIDES.keys() & call.query.keys()}
    if not wanted:
        return headers
    if call.identity.anonymous:
        raise InvalidRequest("Request specific response headers cannot be used for anonymous GET requests.")
    if any(not value.isprintable() for value in wanted.values()):
        raise InvalidArgument("A response header override contains characters that no header may hold.")
    kept = [(name, value) for name, value in headers if name not in wanted]
    return kept + [(name, value.encode().decode("latin-1")) for name, value in wanted.items()]
