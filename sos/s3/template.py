"""What a client says about an object it writes: headers, metadata, tags, storage class (S3: PutObject)."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import parse_qsl

from ..domain.errors import InvalidArgument, InvalidRequest, InvalidStorageClass
from ..http.message import Headers
from ..meta.records import Kind, ObjectRecord
from .codes import Code
from .errors import Refusal

METADATA_BYTES_MAX = 2048
TAGS_MAX = 10
TAG_KEY_CHARS_MAX = 128
TAG_VALUE_CHARS_MAX = 256
META = "x-amz-meta-"
REDIRECT = "x-amz-website-redirect-location"
STORED = ("cache-control", "content-disposition", "content-encoding", "content-language", "expires", REDIRECT)
"""Standard headers kept with the object, besides Content-Type."""

STORAGE_CLASSES = ("STANDARD", "REDUCED_REDUNDANCY")
ACLS = ("", "private", "bucket-owner-full-control")
"""Canned ACLs that say what is in force anyway: only the owner has access."""


def refuse_acl(headers: Headers) -> None:
    """:raises Refusal: NotImplemented for an ACL that would grant anything"""
    if headers.get("x-amz-acl") not in ACLS:
        raise Refusal(Code.NotImplemented, "Access control lists other than private are not implemented; use policies.")


def read_template(headers: Headers, owner: str) -> ObjectRecord:
    """The record of an object to be written: everything the client decides, nothing else.

    :raises Refusal: MetadataTooLarge, InvalidTag, NotImplemented
    :raises InvalidStorageClass, InvalidArgument, InvalidRequest
    """
    refuse_acl(headers)
    _refuse_lock(headers)
    return ObjectRecord(
        order=0,
        version_id=b"",
        kind=Kind.OBJECT,
        size=0,
        mtime_ns=0,
        etag="",
        content_type=headers.get("content-type") or "binary/octet-stream",
        headers=read_stored(headers),
        metadata=read_metadata(headers.items),
        tags=read_tags(headers.get("x-amz-tagging")),
        storage_class=read_storage_class(headers),
        owner=owner,
    )


def _refuse_lock(headers: Headers) -> None:
    if "x-amz-object-lock-mode" in headers or "x-amz-object-lock-retain-until-date" in headers:
        raise InvalidRequest("Bucket is missing ObjectLockConfiguration")
    if "x-amz-object-lock-legal-hold" in headers:
        raise InvalidRequest("Bucket is missing ObjectLockConfiguration")


def read_storage_class(headers: Headers) -> str:
    """:raises InvalidStorageClass: not one this server has"""
    name = headers.get("x-amz-storage-class") or "STANDARD"
    if name not in STORAGE_CLASSES:
        raise InvalidStorageClass()
    return name


def read_stored(headers: Headers) -> dict[str, str]:
    """The standard headers to keep; ``aws-chunked`` is a framing, not an encoding of the object."""
    stored = {name: value for name in STORED if (value := headers.get(name).strip())}
    if "content-encoding" in stored:
        codings = [c.strip() for c in ",".join(headers.all("content-encoding")).split(",")]
        kept = ",".join(c for c in codings if c and c.lower() != "aws-chunked")
        if kept:
            stored["content-encoding"] = kept
        else:
            del stored["content-encoding"]
    return stored


def read_metadata(items: Iterable[tuple[str, str]]) -> dict[str, str]:
    """User metadata; several headers of a name become one value.

    :raises Refusal: MetadataTooLarge when names (without prefix) and values have more than 2 KiB
    """
    found: dict[str, str] = {}
    for name, value in items:
        if name.startswith(META):
            short, value = name[len(META) :], value.strip()
            found[short] = f"{found[short]},{value}" if short in found else value
    if sum(len(name) + len(value) for name, value in found.items()) > METADATA_BYTES_MAX:
        raise Refusal(Code.MetadataTooLarge)
    return found


def read_tags(text: str) -> dict[str, str]:
    """Object tags in the form of a query string.

    :raises Refusal: InvalidTag, BadRequest (too many)
    """
    if not text:
        return {}
    try:
        text.encode("ascii")
        # a tag may stand without "=", then its value is empty: policies see it so too
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=TAGS_MAX * 5)
    except ValueError as error:
        raise InvalidArgument(
            "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query "
            "parameters without tag name duplicates."
        ) from error
    return check_tag_set(pairs)


def check_tag_set(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """Tags by key.

    :raises Refusal: InvalidTag, BadRequest (too many)
    """
    if len(pairs) > TAGS_MAX:
        raise Refusal(Code.BadRequest, f"Object tags cannot be greater than {TAGS_MAX}")
    for key, value in pairs:
        check_tag(key, value)
    tags = dict(pairs)
    if len(tags) != len(pairs):
        raise Refusal(Code.InvalidTag, "Cannot provide multiple Tags with the same key")
    return tags


def check_tag(key: str, value: str) -> None:
    """:raises Refusal: InvalidTag"""
    if not 1 <= len(key) <= TAG_KEY_CHARS_MAX or not _tag_text(key):
        raise Refusal(Code.InvalidTag, "The TagKey you have provided is invalid")
    if len(value) > TAG_VALUE_CHARS_MAX or not _tag_text(value):
        raise Refusal(Code.InvalidTag, "The TagValue you have provided is invalid")


def _tag_text(text: str) -> bool:
    return all(char.isalnum() or char in " +-=._:/@" for char in text)
