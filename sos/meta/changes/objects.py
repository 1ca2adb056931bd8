"""Put, delete and update of objects, by the bucket's versioning (S3 User Guide, "Using S3 Versioning")."""

from __future__ import annotations

import msgspec

from ...domain.conditions import NO_CONDITIONS, Conditions, check_write
from ...domain.errors import InvalidArgument, MethodNotAllowed, NoSuchBucket, NoSuchKey, NoSuchVersion
from ..keys import NULL_VERSION
from ..proposals import DeleteObject, Done, PutObject, UpdateObject
from ..records import BucketRecord, Kind, ObjectRecord
from .draft import Draft
from .locks import check_new, check_removal, check_update
from .versions import Versions, new_version_id


def bucket_of(draft: Draft) -> BucketRecord:
    """:raises NoSuchBucket: unknown"""
    if draft.bucket is None:
        raise NoSuchBucket()
    return draft.bucket


def check_conditions(conditions: Conditions, record: ObjectRecord | None) -> None:
    """Decide a conditional write against a version; a delete marker counts as nothing.

    :raises PreconditionFailed, NoSuchKey:
    """
    if conditions == NO_CONDITIONS:
        return
    there = record is not None and not record.is_marker
    check_write(conditions, (record.etag, record.mtime_ns, record.size) if there and record is not None else None)


def put_object(draft: Draft, proposal: PutObject) -> Done:
    """:raises PreconditionFailed, NoSuchKey, ObjectLocked, InvalidRequest, InvalidArgument:"""
    versions = Versions(draft, proposal.key)
    check_conditions(proposal.conditions, versions.current)
    if len(proposal.version_id) not in (0, 16) or proposal.version_id == NULL_VERSION:
        raise InvalidArgument("A version id has 16 bytes that are not all zero")
    draft.keep(proposal.record.data, proposal.extent, proposal.inline)
    chosen = proposal.version_id
    if not chosen and bucket_of(draft).versioning == "Enabled":
        chosen = new_version_id(proposal, draft.order)
    return install(draft, versions, proposal.record, chosen)


def install(draft: Draft, versions: Versions, record: ObjectRecord, version_id: bytes, whole: bool = False) -> Done:
    """Make ``record`` the latest version under ``version_id``, in place of the version that has this id.

    :param whole: the outcome carries the record

    :raises ObjectLocked: the version to be replaced is locked
    :raises InvalidRequest: a lock is asked for in a bucket without object lock
    """
    bucket = bucket_of(draft)
    check_new(bucket, record)
    existed = versions.current is not None
    replaced = versions.find(version_id)
    if replaced is not None:
        check_removal(replaced, draft.now_ns)
        versions.remove(replaced)
    made = msgspec.structs.replace(
        record, order=draft.order, version_id=version_id, mtime_ns=record.mtime_ns or draft.now_ns
    )
    versions.install(made)
    return Done(
        seq=draft.order,
        version_id=version_id,
        versioned=bool(bucket.versioning),
        marker=made.is_marker,
        etag=made.etag,
        existed=existed,
        record=made if whole else None,
    )


def delete_object(draft: Draft, proposal: DeleteObject) -> Done:
    """:raises PreconditionFailed, NoSuchKey, ObjectLocked:"""
    versions = Versions(draft, proposal.key)
    if proposal.version is not None:
        return _delete_version(draft, versions, proposal, proposal.version)
    check_conditions(proposal.conditions, versions.current)
    if not bucket_of(draft).versioning:
        return _delete_version(draft, versions, proposal, b"")
    return _delete_with_marker(draft, versions, proposal)


def _delete_version(draft: Draft, versions: Versions, proposal: DeleteObject, version_id: bytes) -> Done:
    versioned = proposal.version is not None or bool(bucket_of(draft).versioning)
    record = versions.find(version_id)
    if proposal.version is not None:
        check_conditions(proposal.conditions, record)
    if record is None:
        return Done(seq=draft.order, version_id=version_id, versioned=versioned)
    check_removal(record, draft.now_ns, proposal.bypass_governance)
    versions.remove(record)
    versions.promote()
    return Done(seq=draft.order, version_id=version_id, versioned=versioned, marker=record.is_marker, existed=True)


def _delete_with_marker(draft: Draft, versions: Versions, proposal: DeleteObject) -> Done:
    enabled = bucket_of(draft).versioning == "Enabled"
    marker = ObjectRecord(
        order=0,
        version_id=b"",
        kind=Kind.DELETE_MARKER,
        size=0,
        mtime_ns=draft.now_ns,
        etag="",
        content_type="",
        owner=proposal.owner,
    )
    return install(draft, versions, marker, new_version_id(proposal, draft.order) if enabled else b"")


def update_object(draft: Draft, proposal: UpdateObject) -> Done:
    """:raises NoSuchKey, NoSuchVersion, MethodNotAllowed, InvalidRequest, ObjectLocked:"""
    bucket = bucket_of(draft)
    versions = Versions(draft, proposal.key)
    old = versions.latest() if proposal.version is None else versions.find(proposal.version)
    if old is None:
        raise NoSuchKey() if proposal.version is None else NoSuchVersion()
    if old.is_marker:
        raise NoSuchKey(delete_marker=True) if proposal.version is None else MethodNotAllowed()
    check_update(bucket, old, proposal, draft.now_ns)
    names = ("tags", "retention_mode", "retain_until_ns", "legal_hold")
    changes = {name: value for name in names if (value := getattr(proposal, name)) is not None}
    new = msgspec.structs.replace(old, **changes)
    versions.replace(new)
    versioned = bool(bucket.versioning)
    return Done(
        seq=draft.order, version_id=new.version_id, versioned=versioned, etag=new.etag, existed=True, record=new
    )
