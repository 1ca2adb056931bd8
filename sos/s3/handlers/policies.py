"""Bucket policies: PutBucketPolicy, GetBucketPolicy, DeleteBucketPolicy, GetBucketPolicyStatus."""

from __future__ import annotations

from ...domain.errors import NoSuchConfiguration, PolicyTooLarge
from ...domain.policy.document import BYTES_MAX, Kind, parse, read
from ...domain.policy.public import is_public
from ...http.message import Reply
from ...services.access import POLICY
from ..auth.errors import MissingContentLength
from ..call import Call
from ..xml.documents import root
from ..xml.text import XML


async def put_bucket_policy(call: Call) -> Reply:
    """S3: PutBucketPolicy. In force in every worker when it is answered."""
    length = call.request.body.length
    if length is None and "transfer-encoding" not in call.request.headers:
        raise MissingContentLength()
    if length is not None and length > 2 * BYTES_MAX[Kind.BUCKET]:
        raise PolicyTooLarge()  # unread; twice: framing and signatures of chunks count too
    await call.bucket_record()
    document = await call.document()
    parse(document, Kind.BUCKET, call.bucket, version_required=True)
    await call.services.buckets.configure(call.bucket, POLICY, document)
    return Reply(204)


async def get_bucket_policy(call: Call) -> Reply:
    """S3: GetBucketPolicy. The document as it was given."""
    return Reply(200, [("Content-Type", "application/json")], await _document(call))


async def delete_bucket_policy(call: Call) -> Reply:
    """S3: DeleteBucketPolicy."""
    await call.services.buckets.configure(call.bucket, POLICY, None)
    return Reply(204)


async def get_bucket_policy_status(call: Call) -> Reply:
    """S3: GetBucketPolicyStatus."""
    record = await call.bucket_record()
    document = record.configurations.get(POLICY)
    public = document is not None and is_public(read(document, Kind.BUCKET))
    return Reply(200, XML, root("PolicyStatus", f"<IsPublic>{'TRUE' if public else 'FALSE'}</IsPublic>"))


async def _document(call: Call) -> bytes:
    """:raises NoSuchConfiguration:"""
    document = (await call.bucket_record()).configurations.get(POLICY)
    if document is None:
        raise NoSuchConfiguration(kind=POLICY)
    return document
