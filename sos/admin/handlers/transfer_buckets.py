"""Export and import of what buckets are configured with, in the archives of MinIO: ``bucket/file``."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

from ...domain.errors import AccessDenied, InvalidRequest, NoSuchBucket, NotImplementedHere, StoreError
from ...domain.names import check_bucket_name
from ...domain.policy.document import Kind, parse
from ...http.message import Reply
from ...meta.records import BucketRecord
from ...services.access import POLICY, owner_of
from ..archive import ARCHIVE_BYTES_MAX, pack, unpack
from ..call import Call, decode, encode, plain
from .buckets import Quota, put_quota, shown_quota
from .transfer_iam import ZIP, told

BUCKETS_MAX = 1_000_000
_NOTHING_SET = re.compile(rb"\s*(?:<\?xml[^>]{0,200}\?>\s*)?<(\w+)[^<>]{0,500}?(?:/>|>\s*</\1>)\s*")
"""An XML document of one element without content: what MinIO writes for a configuration that is not set."""

Take = Callable[[Call, str, bytes], Awaitable[None]]


async def export_buckets(call: Call) -> Reply:
    """Of one bucket, or of all of the account (for the deployment's root: of all)."""
    if name := call.get("bucket"):
        records = [await call.services.buckets.get(name)]
    else:
        every, _ = await call.services.buckets.list("", "", BUCKETS_MAX)
        records = [record for record in every if _administered(call, record)]
        action = call.operation.actions[0]
        records = [record for record in records if await call.allows(action, bucket=record.name)]
    return Reply(200, [ZIP], await pack([member for record in records for member in _members(record)]))


def _administered(call: Call, record: BucketRecord) -> bool:
    return owner_of(record) == call.account or (call.who.root and call.other is None)


def _members(record: BucketRecord) -> list[tuple[str, bytes]]:
    members = []
    if document := record.configurations.get(POLICY):
        members.append((f"{record.name}/policy.json", document))
    if record.quota_bytes:
        members.append((f"{record.name}/quota.json", encode(shown_quota(record))))
    return members


async def import_buckets(call: Call) -> Reply:
    """madmin ``BucketMetaImportErrs``: each file is taken by itself or told as an error, and changes nothing then.
    Buckets that are not there are made."""
    members = await unpack(await call.signed.read(ARCHIVE_BYTES_MAX))
    report: dict[str, dict[str, Any]] = {}
    for path, content in members.items():
        name, slash, file = path.partition("/")
        if not slash or "/" in file or file not in _FILES:
            report.setdefault(name if slash else path, {})["error"] = f"Not a file of a bucket: {path[:200]!r}."
            continue
        field, take = _FILES[file]
        status = report.setdefault(name, {})[field] = {"isSet": True}
        try:
            await _bucket(call, name)
            await take(call, name, content)
        except StoreError as error:
            status["error"] = told(error)
    return plain({"buckets": report})


async def _bucket(call: Call, name: str) -> BucketRecord:
    """The bucket to be configured, made where it is not there. :raises AccessDenied, InvalidRequest, InvalidBucketName"""
    if call.get("bucket") not in ("", name):
        raise InvalidRequest("The import is of another bucket.")
    check_bucket_name(name)
    if not await call.allows(call.operation.actions[0], bucket=name):
        raise AccessDenied()
    try:
        record = await call.services.buckets.get(name)
    except NoSuchBucket:
        if not await call.allows("s3:CreateBucket", account=call.account, bucket=name):
            raise AccessDenied() from None
        return await call.services.buckets.create(name, call.account, "", False)
    if not _administered(call, record):
        raise AccessDenied()
    return record


async def _take_policy(call: Call, name: str, content: bytes) -> None:
    parse(content, Kind.BUCKET, name, version_required=True)
    await call.services.buckets.configure(name, POLICY, content)


async def _take_quota(call: Call, name: str, content: bytes) -> None:
    await put_quota(call, name, decode(content, Quota))


def _missing(what: str) -> Take:
    """A kind of configuration that this server does not have: an empty one is none, and so in force already."""

    async def take(call: Call, name: str, content: bytes) -> None:
        if not _NOTHING_SET.fullmatch(content):
            raise NotImplementedHere(f"{what} is not implemented by this server.", what=what)

    return take


_FILES: dict[str, tuple[str, Take]] = {
    "policy.json": ("policy", _take_policy),
    "quota.json": ("quota", _take_quota),
    "versioning.xml": ("versioning", _missing("PutBucketVersioning")),
    "object-lock.xml": ("olock", _missing("PutObjectLockConfiguration")),
    "tagging.xml": ("tagging", _missing("PutBucketTagging")),
    "bucket-encryption.xml": ("sse", _missing("PutBucketEncryption")),
    "lifecycle.xml": ("lifecycle", _missing("PutBucketLifecycleConfiguration")),
    "notification.xml": ("notification", _missing("PutBucketNotificationConfiguration")),
    "cors.xml": ("cors", _missing("PutBucketCors")),
    "replication.xml": ("replication", _missing("PutBucketReplication")),
    "bucket-targets.json": ("targets", _missing("SetRemoteTarget")),
}
"""File → member of madmin ``BucketStatus``, and how it is taken."""
