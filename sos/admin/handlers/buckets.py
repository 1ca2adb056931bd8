"""Settings of buckets that are no part of S3: the quota."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec

from ...domain.errors import Busy, ConditionalConflict, InvalidRequest
from ...http.message import Reply
from ...meta.records import BucketRecord
from ..call import Call, done, plain

TRIES_MAX = 10
QUOTA_BYTES_MAX = 2**63 - 1


class Quota(msgspec.Struct, rename={"kind": "quotatype"}):
    """madmin ``BucketQuota``; ``quota`` is the older name of ``size``."""

    quota: int = 0
    size: int = 0
    rate: int = 0
    requests: int = 0
    kind: str = ""


async def get_quota(call: Call) -> Reply:
    return plain(shown_quota(await call.services.buckets.get(call.get("bucket"))))


def shown_quota(record: BucketRecord) -> dict[str, Any]:
    """madmin ``BucketQuota``."""
    size, kind = record.quota_bytes, "hard" if record.quota_bytes else ""
    return {"quota": size, "size": size, "rate": 0, "requests": 0, "quotatype": kind}


async def set_quota(call: Call) -> Reply:
    """A size of 0 takes the quota away."""
    await put_quota(call, call.get("bucket"), await call.parsed(Quota))
    return done()


async def put_quota(call: Call, bucket: str, wanted: Quota) -> None:
    """:raises InvalidRequest, NoSuchBucket"""
    size = wanted.size or wanted.quota
    if not 0 <= size <= QUOTA_BYTES_MAX or (size and wanted.kind not in ("", "hard")) or wanted.rate or wanted.requests:
        raise InvalidRequest("A quota is a number of bytes of the kind hard; there are no others.")
    buckets = call.services.buckets
    for _ in range(TRIES_MAX):
        old = await buckets.get(bucket)
        with contextlib.suppress(ConditionalConflict):
            await buckets.update(old, msgspec.structs.replace(old, quota_bytes=size))
            return
    raise Busy("the bucket is being changed by too many at once")
