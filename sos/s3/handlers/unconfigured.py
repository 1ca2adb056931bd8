"""What a bucket without a configuration says about it: the truth, in the documents and codes that MinIO uses."""

from __future__ import annotations

from ...domain.conditions import NO_CONDITIONS
from ...domain.errors import InvalidRequest, NoSuchConfiguration
from ...http.message import Reply
from ...services.access import owner_of
from ..call import Call
from ..codes import Code
from ..errors import Refusal
from ..template import refuse_acl
from ..xml.documents import root
from ..xml.text import XML

KINDS = {
    "GetBucketLifecycleConfiguration": "lifecycle",
    "GetBucketEncryption": "encryption",
    "GetBucketTagging": "tagging",
    "GetObjectLockConfiguration": "object-lock",
    "GetBucketReplication": "replication",
    "GetBucketReplicationMetrics": "replication",
    "GetBucketReplicationResetStatus": "replication",
    "ValidateBucketReplication": "replication",
    "GetBucketCors": "cors",
    "GetBucketWebsite": "website",
}
"""Operation → kind of configuration, as the error table knows it."""

DOCUMENTS = {
    "GetBucketNotificationConfiguration": root("NotificationConfiguration", ""),
    "GetBucketAccelerateConfiguration": root("AccelerateConfiguration", ""),
    "GetBucketRequestPayment": root("RequestPaymentConfiguration", "<Payer>BucketOwner</Payer>"),
    "GetBucketLogging": root("BucketLoggingStatus", ""),
}
"""Operation → the document of an unconfigured bucket."""

XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser"'


async def get_missing(call: Call) -> Reply:
    """A configuration that the bucket does not have.

    :raises NoSuchConfiguration: always, where the bucket exists
    """
    await call.bucket_record()
    raise NoSuchConfiguration(kind=KINDS[call.name])


async def get_empty(call: Call) -> Reply:
    """An empty configuration."""
    await call.bucket_record()
    return Reply(200, XML, DOCUMENTS[call.name])


async def get_bucket_versioning(call: Call) -> Reply:
    """S3: GetBucketVersioning. Never configured: an empty document."""
    bucket = await call.bucket_record()
    status = f"<Status>{bucket.versioning}</Status>" if bucket.versioning else ""
    return Reply(200, XML, root("VersioningConfiguration", status))


async def get_acl(call: Call) -> Reply:
    """S3: GetBucketAcl, GetObjectAcl: the owner has full control."""
    bucket = await call.bucket_record()
    account = owner_of(bucket)
    if call.key:
        found = await call.services.objects.head(bucket, call.key, call.version(), NO_CONDITIONS, None)
        account = found.record.owner
    who = call.known(account)
    grant = f"<Grant><Grantee {XSI}>{who}</Grantee><Permission>FULL_CONTROL</Permission></Grant>"
    inner = f"<Owner>{who}</Owner><AccessControlList>{grant}</AccessControlList>"
    return Reply(200, XML, root("AccessControlPolicy", inner))


async def put_acl(call: Call) -> Reply:
    """S3: PutBucketAcl, PutObjectAcl: only what is in force anyway."""
    headers = call.request.headers
    refuse_acl(headers)
    if call.request.body.length or "x-amz-acl" not in headers:
        raise Refusal(Code.NotImplemented, "Access control lists other than private are not implemented; use policies.")
    await get_acl(call)
    return Reply(200)


async def get_lock_state(call: Call) -> Reply:
    """S3: GetObjectRetention, GetObjectLegalHold in a bucket without object lock.

    :raises InvalidRequest: always, where the bucket exists
    """
    await call.bucket_record()
    raise InvalidRequest("Bucket is missing ObjectLockConfiguration")


async def delete_bucket_website(call: Call) -> Reply:
    """S3: DeleteBucketWebsite: there is none, so it is gone."""
    await call.bucket_record()
    return Reply(200)
