"""ListObjects, ListObjectsV2, ListObjectVersions."""

from __future__ import annotations

from collections.abc import Mapping

from ...domain.errors import InvalidArgument
from ...http.message import Reply
from ...services.types import Page
from ..call import Call
from ..identifiers import read_token, read_version, show_token
from ..numbers import read_count
from ..xml import listings
from ..xml.text import XML

KEYS_MAX = 1000
EMPTY = Page([], [], False)


def read_encoding(query: Mapping[str, str]) -> bool:
    """Whether keys are to be URL-encoded.

    :raises InvalidArgument: another encoding
    """
    encoding = query.get("encoding-type", "")
    if encoding and encoding.lower() != "url":
        raise InvalidArgument(
            "Invalid Encoding Method specified in Request", ArgumentName="encoding-type", ArgumentValue=encoding[:64]
        )
    return bool(encoding)


def _asked(call: Call, owner: bool) -> listings.Listing:
    query = call.query
    return listings.Listing(
        bucket=call.bucket,
        prefix=query.get("prefix", "").encode(),
        delimiter=query.get("delimiter", "").encode(),
        most=read_count(query.get("max-keys", ""), "max-keys", KEYS_MAX, KEYS_MAX),
        url=read_encoding(query),
        owner=owner,
        metadata=query.get("metadata") == "true",
        known=call.known,
    )


async def _page(call: Call, asked: listings.Listing, after: bytes) -> Page:
    bucket = await call.bucket_record()
    if not asked.most:
        return EMPTY
    return await call.services.listing.objects(bucket, asked.prefix, asked.delimiter, after, asked.most)


async def list_objects(call: Call) -> Reply:
    """S3: ListObjects."""
    asked = _asked(call, owner=True)
    marker = call.query.get("marker", "").encode()
    page = await _page(call, asked, marker)
    return Reply(200, XML, listings.objects_v1(asked, page, marker))


async def list_objects_v2(call: Call) -> Reply:
    """S3: ListObjectsV2. A token says where to go on; ``start-after`` counts only for the first page."""
    query = call.query
    asked = _asked(call, owner=query.get("fetch-owner") == "true")
    token, start_after = query.get("continuation-token", ""), query.get("start-after", "").encode()
    if "continuation-token" in query and not token:
        raise InvalidArgument("The continuation token provided is incorrect", ArgumentName="continuation-token")
    page = await _page(call, asked, read_token(token) if token else start_after)
    following = show_token(page.next_key) if page.truncated else ""
    return Reply(200, XML, listings.objects_v2(asked, page, start_after, token, following))


async def list_object_versions(call: Call) -> Reply:
    """S3: ListObjectVersions."""
    query = call.query
    asked = _asked(call, owner=True)
    key_marker, shown = query.get("key-marker", "").encode(), query.get("version-id-marker", "")
    if shown and not key_marker:
        raise InvalidArgument("A version-id marker cannot be specified without a key marker.")
    marker = read_version(shown)
    bucket = await call.bucket_record()
    page = EMPTY
    if asked.most:
        page = await call.services.listing.versions(
            bucket, asked.prefix, asked.delimiter, key_marker, marker, asked.most
        )
    return Reply(200, XML, listings.versions(asked, page, key_marker, shown))
