"""ListBuckets, CreateBucket, HeadBucket, DeleteBucket, GetBucketLocation."""

from __future__ import annotations

import asyncio

from ...domain.errors import AccessDenied, InvalidArgument
from ...http.message import Reply
from ...meta.records import BucketRecord
from ...services.access import owner_of
from ..call import Call
from ..codes import Code
from ..errors import Refusal
from ..identifiers import read_token, show_token
from ..template import refuse_acl
from ..xml import documents
from ..xml.requests import parse_create_bucket
from ..xml.text import XML

BUCKETS_MAX = 10_000
#: Buckets that are decided about between two looks at other work.
AT_ONCE = 100
DEFAULT_REGION = "us-east-1"


def _most(text: str) -> int:
    """:raises InvalidArgument: not 1 to 10,000"""
    if not text:
        return BUCKETS_MAX
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= BUCKETS_MAX):
        raise InvalidArgument(
            f"Argument max-buckets must be an integer between 1 and {BUCKETS_MAX}",
            ArgumentName="max-buckets",
            ArgumentValue=text[:64],
        )
    return int(text)


async def list_buckets(call: Call) -> Reply:
    """S3: ListBuckets."""
    query, region = call.query, call.query.get("bucket-region", "")
    most, token = _most(query.get("max-buckets", "")), query.get("continuation-token", "")
    after = read_token(token).decode() if token else ""
    records, following = await _visible(call, query.get("prefix", ""), after, most)
    if region:
        records = [r for r in records if (r.region or call.settings.region or DEFAULT_REGION) == region]
    following = show_token(following.encode()) if following else ""
    return Reply(
        200, XML, documents.buckets(records, query.get("prefix"), following, call.known(call.identity.account))
    )


async def _visible(call: Call, prefix: str, after: str, most: int) -> tuple[list[BucketRecord], str]:
    """A page of the buckets that the caller may know of: those of its account, all for the root of the deployment. Who
    may not list all buckets sees those that it may list or locate, as in MinIO.

    :raises AccessDenied: none of them
    """
    if call.identity.anonymous:
        await call.require("s3:ListAllMyBuckets", "", b"")
        raise AccessDenied()  # whatever policies say: it has no buckets
    every = await call.allows("s3:ListAllMyBuckets", "", b"", remember=True)
    found: list[BucketRecord] = []
    while True:
        page, following = await call.services.buckets.list(prefix, after, most)
        for number, record in enumerate(page):
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)
            if _own(call, record) and (every or await _known(call, record)):
                found.append(record)
        if len(found) >= most or not following:
            break
        after = following
    if not found and not every:
        await call.require("s3:ListAllMyBuckets", "", b"")
    return (found[:most], found[most - 1].name) if len(found) > most else (found, following)


def _own(call: Call, record: BucketRecord) -> bool:
    who = call.identity.principal
    return who.root or owner_of(record) == who.account


async def _known(call: Call, record: BucketRecord) -> bool:
    listed = await call.allows("s3:ListBucket", record.name, b"")
    return listed or await call.allows("s3:GetBucketLocation", record.name, b"")


async def create_bucket(call: Call) -> Reply:
    """S3: CreateBucket. Authorised here, since a policy may ask where the bucket is to be."""
    if call.identity.anonymous:
        await call.require(call.action, call.bucket, b"")
        raise AccessDenied()  # whatever policies say, and before the document is read
    headers = call.request.headers
    refuse_acl(headers)
    if headers.get("x-amz-bucket-object-lock-enabled").lower() == "true":
        raise Refusal(Code.NotImplemented, "Object lock is not implemented by this server.")
    if headers.get("x-amz-object-ownership") not in ("", "BucketOwnerEnforced"):
        raise Refusal(Code.NotImplemented, "Object ownership other than BucketOwnerEnforced is not implemented.")
    document = await call.document() if call.request.body.length else b""
    region = call.location = parse_create_bucket(document).location_constraint.strip() if document else ""
    await call.require(call.action, call.bucket, b"")
    wanted = call.settings.region
    if region and wanted and region != wanted:
        raise Refusal(Code.InvalidRegion, f"Region does not match; expecting '{wanted}'.")
    await call.services.buckets.create(call.bucket, call.identity.account, region, False)
    return Reply(200, [("Location", f"/{call.bucket}")])


async def head_bucket(call: Call) -> Reply:
    """S3: HeadBucket."""
    bucket = await call.bucket_record()
    region = bucket.region or call.settings.region
    return Reply(200, [("x-amz-bucket-region", region)] if region else [])


async def delete_bucket(call: Call) -> Reply:
    """S3: DeleteBucket."""
    await call.bucket_record()
    await call.services.purge.empty_bucket(call.bucket)
    return Reply(204)


async def get_bucket_location(call: Call) -> Reply:
    """S3: GetBucketLocation."""
    bucket = await call.bucket_record()
    return Reply(200, XML, documents.location(bucket.region or call.settings.region))
