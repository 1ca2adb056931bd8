"""DeleteObject and DeleteObjects."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from ...domain.conditions import NO_CONDITIONS, NS_PER_S, Conditions
from ...domain.errors import AccessDenied, NoSuchBucket, StoreError
from ...domain.names import check_key
from ...http.message import Reply
from ...meta.proposals import Done
from ...services.access import POLICY
from ..call import Call
from ..codes import Code
from ..conditions import delete_conditions, read_date, read_tags
from ..describe import version_headers
from ..errors import Refusal, describe
from ..identifiers import read_version, show_version
from ..xml import documents
from ..xml.requests import ObjectIdentifier, parse_delete
from ..xml.text import XML

KEYS_MAX = 1000
_ISO = re.compile(r"\d{4}-\d\d-\d\dT")


async def _bypass(call: Call, *keys: bytes) -> bool:
    """Whether governance retention is to be overridden: asked for, and allowed for every key (A23)."""
    if call.request.headers.get("x-amz-bypass-governance-retention").lower() != "true":
        return False
    for key in keys:
        if not await call.allows("s3:BypassGovernanceRetention", call.bucket, key, remember=True):
            return False
    return True


async def delete_object(call: Call) -> Reply:
    """S3: DeleteObject. 204 also where there was nothing."""
    conditions = delete_conditions(call.request.headers)
    await call.require_to_tell(conditions, call.key, call.query.get("versionId", ""))
    bucket = await call.bucket_record()
    version = call.version()
    done = await call.services.objects.delete(
        bucket, call.key, version, conditions, call.identity.account, await _bypass(call, call.key)
    )
    headers = [("x-amz-delete-marker", "true")] if done.marker else []
    if done.marker or version is not None:
        headers += version_headers(bucket, done.version_id if version is None else version)
    return Reply(204, headers)


async def force_delete_bucket(call: Call) -> Reply:
    """MinIO: DeleteBucket with ``x-minio-force-delete``: the bucket and all it holds."""
    await call.require("s3:DeleteBucket", call.bucket, b"")
    await call.services.purge.bucket(await call.bucket_record(), call.identity.account)
    return Reply(204)


async def force_delete_object(call: Call) -> Reply:
    """MinIO: DeleteObject with ``x-minio-force-delete``: all versions of a key and of the keys below it."""
    bucket = await call.bucket_record()

    async def check(key: bytes) -> None:
        await call.require("s3:DeleteObject", call.bucket, key)
        await call.require("s3:DeleteObjectVersion", call.bucket, key)

    await call.services.purge.tree(bucket, call.key, call.identity.account, check)
    return Reply(204)


@dataclass(slots=True)
class _Item:
    """One entry of the batch: what to delete, or why not."""

    key: bytes
    asked: str
    version: bytes | None = None
    conditions: Conditions = NO_CONDITIONS
    error: Exception | None = None


async def delete_objects(call: Call) -> Reply:
    """S3: DeleteObjects. Each key is authorised and answered on its own."""
    headers = call.request.headers
    if call.identity.anonymous and not await _grants(call):
        raise AccessDenied()  # before the document is read
    if "content-md5" not in headers and not any(n.startswith("x-amz-checksum-") for n, _ in headers.items):
        raise Refusal(Code.MissingContentMD5)
    wanted = await call.parsed(parse_delete)
    if not 1 <= len(wanted.object) <= KEYS_MAX:
        raise Refusal(Code.MalformedXML)
    items = [await _item(call, entry) for entry in wanted.object]
    good = [item for item in items if item.error is None]
    answers = dict(zip(map(id, good), await _deleted(call, good), strict=True))
    rows = [_row(item, answers.get(id(item), item.error), wanted.quiet) for item in items]
    return Reply(200, XML, documents.deleted(rows))


async def _deleted(call: Call, items: list[_Item]) -> list[Done | StoreError]:
    """What became of those that may be deleted. Who may delete nothing does not learn whether there is a bucket."""
    if not items:
        return []
    bucket, bypass = await call.bucket_record(), await _bypass(call, *(item.key for item in items))
    wanted = [(item.key, item.version, item.conditions) for item in items]
    return await call.services.objects.delete_many(bucket, wanted, call.identity.account, bypass)


async def _grants(call: Call) -> bool:
    """Whether there is a policy that may grant something to somebody without a key."""
    try:
        return POLICY in (await call.services.buckets.get(call.bucket)).configurations
    except NoSuchBucket:
        return False


async def _item(call: Call, entry: ObjectIdentifier) -> _Item:
    item = _Item(entry.key.encode(), entry.version_id)
    try:
        check_key(item.key)
        item.version = read_version(entry.version_id)
        action = "s3:DeleteObject" if item.version is None else "s3:DeleteObjectVersion"
        await call.require(action, call.bucket, item.key, entry.version_id)
        item.conditions = _conditions(entry)
        await call.require_to_tell(item.conditions, item.key, entry.version_id)
    except StoreError as error:
        item.error = error
    return item


def _conditions(entry: ObjectIdentifier) -> Conditions:
    if entry.etag is None and entry.last_modified is None and entry.size is None:
        return NO_CONDITIONS
    return Conditions(
        if_match=None if entry.etag is None else read_tags(entry.etag),
        if_match_size=entry.size,
        if_match_mtime=None if entry.last_modified is None else _moment(entry.last_modified),
    )


def _moment(text: str) -> int:
    """Nanoseconds of a time in either form that SDKs send.

    :raises Refusal: MalformedXML
    """
    moment = _iso(text) if _ISO.match(text) else read_date(text)
    if moment is None:
        raise Refusal(Code.MalformedXML)
    return moment


def _iso(text: str) -> int | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()) * NS_PER_S


def _row(item: _Item, result: Done | Exception | None, quiet: bool) -> str:
    if isinstance(result, Done):
        if quiet:
            return ""
        removed = result.version_id if item.version is None else item.version
        return documents.deleted_row(item.key, item.asked, show_version(removed) if result.marker else None)
    failure = describe(result or LookupError("no answer for a key"))
    return documents.delete_error(item.key, item.asked, failure.code.name, failure.message)
