"""PutObject."""

from __future__ import annotations

from ...http.message import Reply
from ...meta.proposals import Done
from ...meta.records import BucketRecord
from ..call import Call
from ..conditions import read_conditions
from ..describe import Fields, checksum_headers, version_headers
from ..template import read_template


def made(done: Done, bucket: BucketRecord) -> Fields:
    """Headers that tell of the object made."""
    fields = [("ETag", f'"{done.etag}"'), *version_headers(bucket, done.version_id)]
    if done.record is not None and done.record.checksums:
        fields += checksum_headers(done.record.checksums, done.record.checksum_type)
    return fields


async def put_object(call: Call) -> Reply:
    """S3: PutObject."""
    headers = call.request.headers
    template = read_template(headers, call.identity.account)
    conditions = read_conditions(headers)
    await call.require_to_tell(conditions, call.key)
    bucket = await call.bucket_record()
    body = call.body()
    done = await call.services.objects.put(bucket, call.key, body, template, conditions)
    return Reply(200, made(done, bucket))
