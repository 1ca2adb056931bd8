"""The one table of operations: routing, authorisation, metrics, audit and S3_SUPPORT.md all read it.

To add an operation: a function in ``handlers/`` and its name here. An operation without a handler is known, and
answers 501 NotImplemented with its name.

Sources: Amazon S3 API reference, "Actions"; MinIO's router for its extensions and for what it refuses by name.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from ..http.message import Reply
from . import sts
from .call import Call
from .handlers import buckets, copying, deleting, listing, multipart, policies, posting, reading, unconfigured, writing

Handler = Callable[[Call], Awaitable[Reply]]


class Level(StrEnum):
    """What the path names."""

    SERVICE = "service"
    BUCKET = "bucket"
    OBJECT = "object"


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation.

    :param query: query names (or ``name=value``) that must all be there
    :param headers: header names (or ``name=start of the value``) that must all be there
    :param action: IAM action (service authorization reference, "Actions, resources, and condition keys for Amazon S3"),
        often not the name of the operation
    :param version_action: IAM action when ``versionId`` is given
    :param handler: None: not implemented
    :param by_handler: the handler authorises (each key of a batch, the form of an upload), not the dispatcher
    :param note: for the support page
    :param signed: False: the handler authenticates too; until then nobody asks
    """

    name: str
    method: str
    level: Level
    query: tuple[str, ...]
    headers: tuple[str, ...]
    action: str
    version_action: str
    handler: Handler | None
    by_handler: bool
    note: str
    signed: bool = True


def _row(
    level: Level,
    method: str,
    select: str,
    name: str,
    handler: Handler | None = None,
    *,
    action: str = "",
    version_action: str = "",
    header: str = "",
    by_handler: bool = False,
    note: str = "",
    signed: bool = True,
) -> Operation:
    """:param select: query names joined with ``&``; empty for none"""
    queries = tuple(select.split("&")) if select else ()
    headers = (header,) if header else ()
    named = action if ":" in action else "s3:" + (action or name)
    versioned = "s3:" + version_action if version_action else named
    return Operation(name, method, level, queries, headers, named, versioned, handler, by_handler, note, signed)


_service = partial(_row, Level.SERVICE)
_bucket = partial(_row, Level.BUCKET)
_object = partial(_row, Level.OBJECT)

_EXTENSION = "extension of MinIO"
_NONE_SET = "answers for a bucket without this configuration"
_missing, _empty = unconfigured.get_missing, unconfigured.get_empty

SERVICE_OPERATIONS = (
    _service("GET", "", "ListBuckets", buckets.list_buckets, action="ListAllMyBuckets", by_handler=True),
    _service("GET", "events", "ListenNotification", note=_EXTENSION),
    _service("GET", "x-id=ListDirectoryBuckets", "ListDirectoryBuckets", action="ListAllMyDirectoryBuckets"),
    _service(
        "POST",
        "",
        "AssumeRole",
        sts.answer,
        action="sts:AssumeRole",
        by_handler=True,
        signed=False,
        note="and with web identity, client grants, a client certificate, a custom token",
    ),
)

BUCKET_OPERATIONS = (
    _bucket("PUT", "", "CreateBucket", buckets.create_bucket, by_handler=True),
    _bucket("HEAD", "", "HeadBucket", buckets.head_bucket, action="ListBucket"),
    _bucket("DELETE", "", "DeleteBucket", buckets.delete_bucket),
    _bucket(
        "DELETE",
        "",
        "ForceDeleteBucket",
        deleting.force_delete_bucket,
        header="x-minio-force-delete=true",
        note=_EXTENSION,
    ),
    _bucket("GET", "location", "GetBucketLocation", buckets.get_bucket_location),
    _bucket("GET", "", "ListObjects", listing.list_objects, action="ListBucket"),
    _bucket("GET", "list-type=2", "ListObjectsV2", listing.list_objects_v2, action="ListBucket"),
    _bucket(
        "GET",
        "list-type=2",
        "ListObjectsInArchive",
        header="x-minio-extract=true",
        note=_EXTENSION,
        action="ListBucket",
    ),
    _bucket("GET", "versions", "ListObjectVersions", listing.list_object_versions, action="ListBucketVersions"),
    _bucket(
        "GET", "uploads", "ListMultipartUploads", multipart.list_multipart_uploads, action="ListBucketMultipartUploads"
    ),
    _bucket("POST", "delete", "DeleteObjects", deleting.delete_objects, action="DeleteObject", by_handler=True),
    _bucket(
        "POST",
        "",
        "PostObject",
        posting.post_object,
        action="PutObject",
        header="content-type=multipart/form-data",
        by_handler=True,
    ),
    _bucket("GET", "acl", "GetBucketAcl", unconfigured.get_acl, note="the owner has full control"),
    _bucket("PUT", "acl", "PutBucketAcl", unconfigured.put_acl, note="only the canned ACL private"),
    _bucket("GET", "versioning", "GetBucketVersioning", unconfigured.get_bucket_versioning),
    _bucket("PUT", "versioning", "PutBucketVersioning"),
    _bucket("GET", "policy", "GetBucketPolicy", policies.get_bucket_policy),
    _bucket("PUT", "policy", "PutBucketPolicy", policies.put_bucket_policy),
    _bucket("DELETE", "policy", "DeleteBucketPolicy", policies.delete_bucket_policy),
    _bucket("GET", "policyStatus", "GetBucketPolicyStatus", policies.get_bucket_policy_status),
    _bucket(
        "GET",
        "lifecycle",
        "GetBucketLifecycleConfiguration",
        _missing,
        note=_NONE_SET,
        action="GetLifecycleConfiguration",
    ),
    _bucket("PUT", "lifecycle", "PutBucketLifecycleConfiguration", action="PutLifecycleConfiguration"),
    _bucket("DELETE", "lifecycle", "DeleteBucketLifecycle", action="PutLifecycleConfiguration"),
    _bucket("GET", "encryption", "GetBucketEncryption", _missing, note=_NONE_SET, action="GetEncryptionConfiguration"),
    _bucket("PUT", "encryption", "PutBucketEncryption", action="PutEncryptionConfiguration"),
    _bucket("DELETE", "encryption", "DeleteBucketEncryption", action="PutEncryptionConfiguration"),
    _bucket("GET", "tagging", "GetBucketTagging", _missing, note=_NONE_SET),
    _bucket("PUT", "tagging", "PutBucketTagging"),
    _bucket("DELETE", "tagging", "DeleteBucketTagging", action="PutBucketTagging"),
    _bucket(
        "GET",
        "object-lock",
        "GetObjectLockConfiguration",
        _missing,
        note=_NONE_SET,
        action="GetBucketObjectLockConfiguration",
    ),
    _bucket("PUT", "object-lock", "PutObjectLockConfiguration", action="PutBucketObjectLockConfiguration"),
    _bucket(
        "GET", "replication", "GetBucketReplication", _missing, note=_NONE_SET, action="GetReplicationConfiguration"
    ),
    _bucket("PUT", "replication", "PutBucketReplication", action="PutReplicationConfiguration"),
    _bucket("DELETE", "replication", "DeleteBucketReplication", action="PutReplicationConfiguration"),
    _bucket(
        "GET",
        "notification",
        "GetBucketNotificationConfiguration",
        _empty,
        note=_NONE_SET,
        action="GetBucketNotification",
    ),
    _bucket("PUT", "notification", "PutBucketNotificationConfiguration", action="PutBucketNotification"),
    _bucket("GET", "cors", "GetBucketCors", _missing, note=_NONE_SET),
    _bucket("PUT", "cors", "PutBucketCors"),
    _bucket("DELETE", "cors", "DeleteBucketCors"),
    _bucket("GET", "website", "GetBucketWebsite", _missing, note=_NONE_SET),
    _bucket("PUT", "website", "PutBucketWebsite"),
    _bucket("DELETE", "website", "DeleteBucketWebsite", unconfigured.delete_bucket_website, note=_NONE_SET),
    _bucket(
        "GET",
        "accelerate",
        "GetBucketAccelerateConfiguration",
        _empty,
        note=_NONE_SET,
        action="GetAccelerateConfiguration",
    ),
    _bucket("PUT", "accelerate", "PutBucketAccelerateConfiguration", action="PutAccelerateConfiguration"),
    _bucket("GET", "requestPayment", "GetBucketRequestPayment", _empty, note=_NONE_SET),
    _bucket("PUT", "requestPayment", "PutBucketRequestPayment"),
    _bucket("GET", "logging", "GetBucketLogging", _empty, note=_NONE_SET),
    _bucket("PUT", "logging", "PutBucketLogging"),
    _bucket("GET", "analytics&id", "GetBucketAnalyticsConfiguration", action="GetAnalyticsConfiguration"),
    _bucket("GET", "analytics", "ListBucketAnalyticsConfigurations", action="GetAnalyticsConfiguration"),
    _bucket("PUT", "analytics", "PutBucketAnalyticsConfiguration", action="PutAnalyticsConfiguration"),
    _bucket("DELETE", "analytics", "DeleteBucketAnalyticsConfiguration", action="PutAnalyticsConfiguration"),
    _bucket(
        "GET",
        "intelligent-tiering&id",
        "GetBucketIntelligentTieringConfiguration",
        action="GetIntelligentTieringConfiguration",
    ),
    _bucket(
        "GET",
        "intelligent-tiering",
        "ListBucketIntelligentTieringConfigurations",
        action="GetIntelligentTieringConfiguration",
    ),
    _bucket(
        "PUT",
        "intelligent-tiering",
        "PutBucketIntelligentTieringConfiguration",
        action="PutIntelligentTieringConfiguration",
    ),
    _bucket(
        "DELETE",
        "intelligent-tiering",
        "DeleteBucketIntelligentTieringConfiguration",
        action="PutIntelligentTieringConfiguration",
    ),
    _bucket("GET", "inventory&id", "GetBucketInventoryConfiguration", action="GetInventoryConfiguration"),
    _bucket("GET", "inventory", "ListBucketInventoryConfigurations", action="GetInventoryConfiguration"),
    _bucket("PUT", "inventory", "PutBucketInventoryConfiguration", action="PutInventoryConfiguration"),
    _bucket("DELETE", "inventory", "DeleteBucketInventoryConfiguration", action="PutInventoryConfiguration"),
    _bucket("GET", "metrics&id", "GetBucketMetricsConfiguration", action="GetMetricsConfiguration"),
    _bucket("GET", "metrics", "ListBucketMetricsConfigurations", action="GetMetricsConfiguration"),
    _bucket("PUT", "metrics", "PutBucketMetricsConfiguration", action="PutMetricsConfiguration"),
    _bucket("DELETE", "metrics", "DeleteBucketMetricsConfiguration", action="PutMetricsConfiguration"),
    _bucket("GET", "ownershipControls", "GetBucketOwnershipControls"),
    _bucket("PUT", "ownershipControls", "PutBucketOwnershipControls"),
    _bucket("DELETE", "ownershipControls", "DeleteBucketOwnershipControls", action="PutBucketOwnershipControls"),
    _bucket("GET", "publicAccessBlock", "GetPublicAccessBlock", action="GetBucketPublicAccessBlock"),
    _bucket("PUT", "publicAccessBlock", "PutPublicAccessBlock", action="PutBucketPublicAccessBlock"),
    _bucket("DELETE", "publicAccessBlock", "DeletePublicAccessBlock", action="PutBucketPublicAccessBlock"),
    _bucket("GET", "abac", "GetBucketAbac"),
    _bucket("PUT", "abac", "PutBucketAbac"),
    _bucket(
        "POST",
        "metadataConfiguration",
        "CreateBucketMetadataConfiguration",
        action="CreateBucketMetadataTableConfiguration",
    ),
    _bucket(
        "GET", "metadataConfiguration", "GetBucketMetadataConfiguration", action="GetBucketMetadataTableConfiguration"
    ),
    _bucket(
        "DELETE",
        "metadataConfiguration",
        "DeleteBucketMetadataConfiguration",
        action="DeleteBucketMetadataTableConfiguration",
    ),
    _bucket("POST", "metadataTable", "CreateBucketMetadataTableConfiguration"),
    _bucket("GET", "metadataTable", "GetBucketMetadataTableConfiguration"),
    _bucket("DELETE", "metadataTable", "DeleteBucketMetadataTableConfiguration"),
    _bucket("PUT", "metadataInventoryTable", "UpdateBucketMetadataInventoryTableConfiguration"),
    _bucket("PUT", "metadataJournalTable", "UpdateBucketMetadataJournalTableConfiguration"),
    _bucket("GET", "session", "CreateSession"),
    _bucket("GET", "events", "ListenBucketNotification", note=_EXTENSION),
    _bucket(
        "GET",
        "replication-metrics",
        "GetBucketReplicationMetrics",
        _missing,
        note=f"{_EXTENSION}; {_NONE_SET}",
        action="GetReplicationConfiguration",
    ),
    _bucket(
        "GET",
        "replication-check",
        "ValidateBucketReplication",
        _missing,
        note=f"{_EXTENSION}; {_NONE_SET}",
        action="GetReplicationConfiguration",
    ),
    _bucket(
        "GET",
        "replication-reset-status",
        "GetBucketReplicationResetStatus",
        _missing,
        note=f"{_EXTENSION}; {_NONE_SET}",
        action="ResetBucketReplicationState",
    ),
    _bucket("PUT", "replication-reset", "ResetBucketReplicationState", note=_EXTENSION),
)

_READ, _READ_VERSION = "GetObject", "GetObjectVersion"

OBJECT_OPERATIONS = (
    _object("PUT", "", "PutObject", writing.put_object),
    _object("GET", "", "GetObject", reading.get_object, version_action=_READ_VERSION),
    _object("HEAD", "", "HeadObject", reading.head_object, action=_READ, version_action=_READ_VERSION),
    _object("DELETE", "", "DeleteObject", deleting.delete_object, version_action="DeleteObjectVersion"),
    _object(
        "GET",
        "attributes",
        "GetObjectAttributes",
        reading.get_object_attributes,
        version_action="GetObjectVersionAttributes",
    ),
    _object("POST", "uploads", "CreateMultipartUpload", multipart.create_multipart_upload, action="PutObject"),
    _object("PUT", "partNumber&uploadId", "UploadPart", multipart.upload_part, action="PutObject"),
    _object(
        "PUT",
        "partNumber&uploadId",
        "UploadPartCopy",
        copying.upload_part_copy,
        action="PutObject",
        header="x-amz-copy-source",
    ),
    _object("POST", "uploadId", "CompleteMultipartUpload", multipart.complete_multipart_upload, action="PutObject"),
    _object("DELETE", "uploadId", "AbortMultipartUpload", multipart.abort_multipart_upload),
    _object("GET", "uploadId", "ListParts", multipart.list_parts, action="ListMultipartUploadParts"),
    _object("GET", "tagging", "GetObjectTagging", reading.get_object_tagging, version_action="GetObjectVersionTagging"),
    _object("PUT", "tagging", "PutObjectTagging", version_action="PutObjectVersionTagging"),
    _object("DELETE", "tagging", "DeleteObjectTagging", version_action="DeleteObjectVersionTagging"),
    _object(
        "GET",
        "acl",
        "GetObjectAcl",
        unconfigured.get_acl,
        version_action="GetObjectVersionAcl",
        note="the owner has full control",
    ),
    _object(
        "PUT",
        "acl",
        "PutObjectAcl",
        unconfigured.put_acl,
        version_action="PutObjectVersionAcl",
        note="only the canned ACL private",
    ),
    _object("GET", "retention", "GetObjectRetention", unconfigured.get_lock_state, note=_NONE_SET),
    _object("PUT", "retention", "PutObjectRetention"),
    _object("GET", "legal-hold", "GetObjectLegalHold", unconfigured.get_lock_state, note=_NONE_SET),
    _object("PUT", "legal-hold", "PutObjectLegalHold"),
    _object("GET", "torrent", "GetObjectTorrent", version_action="GetObjectVersionTorrent"),
    _object("POST", "restore", "RestoreObject"),
    _object("POST", "select&select-type=2", "SelectObjectContent", action=_READ),
    _object("PUT", "renameObject", "RenameObject", action="PutObject"),
    _object("PUT", "encryption", "UpdateObjectEncryption"),
    _object("POST", "WriteGetObjectResponse", "WriteGetObjectResponse", action="GetObject"),
    _object("PUT", "", "CopyObject", copying.copy_object, action="PutObject", header="x-amz-copy-source"),
    _object("PUT", "", "AppendObject", action="PutObject", header="x-amz-write-offset-bytes"),
    _object(
        "PUT",
        "",
        "PutObjectExtract",
        action="PutObject",
        header="x-amz-meta-snowball-auto-extract=true",
        note=_EXTENSION,
    ),
    _object(
        "DELETE",
        "",
        "ForceDeleteObject",
        deleting.force_delete_object,
        action="DeleteObject",
        header="x-minio-force-delete=true",
        note=_EXTENSION,
    ),
    _object("GET", "lambdaArn", "GetObjectLambda", action=_READ, note=_EXTENSION),
    _object("GET", "", "GetObjectInArchive", action=_READ, header="x-minio-extract=true", note=_EXTENSION),
    _object("HEAD", "", "HeadObjectInArchive", action=_READ, header="x-minio-extract=true", note=_EXTENSION),
)

OPERATIONS = SERVICE_OPERATIONS + BUCKET_OPERATIONS + OBJECT_OPERATIONS
