"""Settings of buckets that are no part of S3: the quota."""

from __future__ import annotations

import contextlib

import msgspec

from ...domain.errors import Busy, ConditionalConflict, InvalidRequest
from ...http.message import Reply
from ..call import Call, done, plain

TRIES_MAX = 10


class Quota(msgspec.Struct, rename={"kind": "quotatype"}):
    """madmin ``BucketQuota``; ``quota`` is the older name of ``size``."""

    quota: int = 0
    size: int = 0
    rate: int = 0
    requests: int = 0
    kind: str = ""


async def get_quota(call: Call) -> Reply:
    record = await call.services.buckets.get(call.get("bucket"))
    size, kind = record.quota_bytes, "hard" if record.quota_bytes else ""
    return plain({"quota": size, "size": size, "rate": 0, "requests": 0, "quotatype": kind})


async def set_quota(call: Call) -> Reply:
    """A size of 0 takes the quota away."""
    wanted = await call.parsed(Quota)
    size = wanted.size or wanted.quota
    if size < 0 or (size and wanted.kind not in ("", "hard")) or wanted.rate or wanted.requests:
        raise InvalidRequest("A quota is a number of bytes of the kind hard; there are no others.")
    buckets = call.services.buckets
    for _ in range(TRIES_MAX):
        old = await buckets.get(call.get("bucket"))
        with contextlib.suppress(ConditionalConflict):
            await buckets.update(old, msgspec.structs.replace(old, quota_bytes=size))
            return done()
    raise Busy("the bucket is being changed by too many at once")
