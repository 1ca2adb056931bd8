"""Operations under the names that MinIO's traces and metrics have for them: dashboards and filters know no others."""

from __future__ import annotations

_OTHERS = {
    "CreateBucket": "PutBucket",
    "CreateMultipartUpload": "NewMultipartUpload",
    "DeleteBucketReplication": "DeleteBucketReplicationConfig",
    "DeleteObjects": "DeleteMultipleObjects",
    "ForceDeleteBucket": "DeleteBucket",
    "GetBucketAcl": "GetBucketACL",
    "GetBucketAccelerateConfiguration": "GetBucketAccelerate",
    "GetBucketLifecycleConfiguration": "GetBucketLifecycle",
    "GetBucketNotificationConfiguration": "GetBucketNotification",
    "GetBucketReplication": "GetBucketReplicationConfig",
    "GetObjectAcl": "GetObjectACL",
    "GetObjectLockConfiguration": "GetBucketObjectLockConfig",
    "ListObjects": "ListObjectsV1",
    "ListParts": "ListObjectParts",
    "PostObject": "PostPolicyBucket",
    "PutBucketAcl": "PutBucketACL",
    "PutBucketLifecycleConfiguration": "PutBucketLifecycle",
    "PutBucketNotificationConfiguration": "PutBucketNotification",
    "PutBucketReplication": "PutBucketReplicationConfig",
    "PutObjectAcl": "PutObjectACL",
    "PutObjectLockConfiguration": "PutBucketObjectLockConfig",
    "RestoreObject": "PostRestoreObject",
    "UploadPart": "PutObjectPart",
    "UploadPartCopy": "CopyObjectPart",
}


def minio_name(operation: str) -> str:
    """The name of an S3 operation in traces (``s3.…``); in metrics it is in lower case."""
    return _OTHERS.get(operation, operation)
