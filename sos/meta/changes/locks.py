"""Object lock: what retention and legal hold forbid (S3 User Guide, "How S3 Object Lock works"). Pure."""

from __future__ import annotations

from ...domain.errors import InvalidRequest, ObjectLocked
from ..proposals import UpdateObject
from ..records import BucketRecord, ObjectRecord

GOVERNANCE, COMPLIANCE = "GOVERNANCE", "COMPLIANCE"
_MODES = frozenset({"", GOVERNANCE, COMPLIANCE})


def check_removal(record: ObjectRecord, now_ns: int, bypass_governance: bool = False) -> None:
    """Whether a version may go for good.

    :raises ObjectLocked: legal hold, or retention that is in force
    """
    if record.legal_hold:
        raise ObjectLocked()
    if not record.retention_mode or record.retain_until_ns <= now_ns:
        return
    if record.retention_mode != GOVERNANCE or not bypass_governance:
        raise ObjectLocked()


def check_new(bucket: BucketRecord, record: ObjectRecord) -> None:
    """:raises InvalidRequest: a lock is asked for in a bucket without object lock"""
    if (record.retention_mode or record.legal_hold) and not bucket.object_lock:
        raise InvalidRequest("Bucket is missing ObjectLockConfiguration")


def check_update(bucket: BucketRecord, old: ObjectRecord, change: UpdateObject, now_ns: int) -> None:
    """Whether retention and legal hold may change so.

    :raises InvalidRequest: no object lock in this bucket, or an unknown mode
    :raises ObjectLocked: retention in force would be shortened, removed or get another mode
    """
    retention = change.retention_mode is not None or change.retain_until_ns is not None
    if (retention or change.legal_hold is not None) and not bucket.object_lock:
        raise InvalidRequest("Bucket is missing ObjectLockConfiguration")
    mode = old.retention_mode if change.retention_mode is None else change.retention_mode
    until = old.retain_until_ns if change.retain_until_ns is None else change.retain_until_ns
    if mode not in _MODES:
        raise InvalidRequest("Unknown retention mode")
    if not retention or not old.retention_mode or old.retain_until_ns <= now_ns:
        return
    if old.retention_mode == GOVERNANCE and change.bypass_governance:
        return
    if mode != old.retention_mode or until < old.retain_until_ns:
        raise ObjectLocked()
