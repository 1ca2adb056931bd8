"""Buckets, fences, system documents, and the forgetting of freed space."""

from __future__ import annotations

import msgspec

from ...domain.errors import (
    AccessDenied,
    BucketExists,
    BucketNotEmpty,
    ConditionalConflict,
    InternalFault,
    InvalidRequest,
    NoSuchBucket,
)
from .. import iam, keys, queries
from ..proposals import (
    ChangeSystem,
    CreateBucket,
    Done,
    DropExtents,
    DropUndo,
    FenceBucket,
    Flush,
    PutSystem,
    RemoveBucket,
    UpdateBucket,
)
from ..records import BucketRecord, FenceRecord, UndoRecord
from ..rows import open_extent, open_row
from ..walk import any_row
from .draft import Draft

DELETING = "deleting"


def create_bucket(draft: Draft, proposal: CreateBucket) -> Done:
    """The bucket's id is the sequence of this operation, so it is never used again.

    :raises BucketExists: in any state
    :raises AccessDenied: the account that it is to belong to is disabled or gone: it must not get buckets while it is
        being removed
    """
    if not _lives(draft, proposal.record.owner):
        raise AccessDenied()
    existing = queries.bucket(draft.view, proposal.record.name)
    if existing is not None:
        raise BucketExists(bucket=existing.name, owned=existing.owner == proposal.record.owner)
    record = msgspec.structs.replace(proposal.record, bucket_id=draft.order)
    draft.put("buckets", keys.bucket_row(record.name), record)
    return Done(seq=draft.order, bucket=record)


def _lives(draft: Draft, account: str) -> bool:
    if account == iam.ROOT_ACCOUNT or len(account) != iam.ACCOUNT_CHARS or not account.isdigit():
        return True
    document = queries.system(draft.view, iam.account_row(account))
    return document is not None and not iam.decode(document, iam.AccountRecord).disabled


def _bucket(draft: Draft, name: str) -> BucketRecord:
    record = queries.bucket(draft.view, name)
    if record is None:
        raise NoSuchBucket(bucket=name)
    return record


def update_bucket(draft: Draft, proposal: UpdateBucket) -> Done:
    """:raises NoSuchBucket:
    :raises ConditionalConflict: it changed since ``expect`` was read
    :raises InvalidRequest: name or id would change
    """
    if _bucket(draft, proposal.name) != proposal.expect:
        raise ConditionalConflict(bucket=proposal.name)
    new = proposal.record
    if (new.name, new.bucket_id) != (proposal.expect.name, proposal.expect.bucket_id):
        raise InvalidRequest("The name and the id of a bucket cannot change")
    draft.put("buckets", keys.bucket_row(new.name), new)
    return Done(seq=draft.order, existed=True, bucket=new)


def remove_bucket(draft: Draft, proposal: RemoveBucket) -> Done:
    """:raises NoSuchBucket: there is none of this name, or it is another one by now
    :raises ConditionalConflict: it is not being deleted
    """
    record = _bucket(draft, proposal.name)
    if proposal.bucket_id not in (0, record.bucket_id):
        raise NoSuchBucket(bucket=proposal.name)
    if record.state != DELETING:
        raise ConditionalConflict(bucket=proposal.name)
    draft.drop("buckets", keys.bucket_row(record.name))
    return Done(seq=draft.order, existed=True, bucket=record)


def fence_bucket(draft: Draft, proposal: FenceBucket) -> Done:
    """Idempotent in both directions.

    :raises BucketNotEmpty: this set holds an object, a version, a delete marker or an upload of the bucket
    """
    row = keys.fence_row(draft.bucket_id)
    existed = draft.get("fences", row) is not None
    if proposal.lift:
        if existed:
            draft.drop("fences", row)
    elif not is_empty(draft):
        raise BucketNotEmpty()
    elif not existed:
        draft.put("fences", row, FenceRecord(draft.bucket_id, draft.now_ns))
    return Done(seq=draft.order, existed=existed)


def is_empty(draft: Draft) -> bool:
    """By the counters, which have no row at zero, and by the rows themselves."""
    span = keys.of_bucket(draft.bucket_id)
    return not any(any_row(draft.view, table, *span) for table in ("counters", "current", "versions", "uploads"))


def put_system(draft: Draft, proposal: PutSystem) -> Done:
    existed = draft.get("sys", proposal.key) is not None
    if proposal.value is not None:
        draft.put("sys", proposal.key, proposal.value)
    elif existed:
        draft.drop("sys", proposal.key)
    return Done(seq=draft.order, existed=existed)


def change_system(draft: Draft, proposal: ChangeSystem) -> Done:
    """:raises ConditionalConflict: a row is not what is expected of it, or a prefix is not vacant"""
    for row in proposal.rows:
        if queries.system(draft.view, row.key) != row.expect:
            raise ConditionalConflict(row=row.key.hex())
    for prefix in proposal.vacant:
        if any_row(draft.view, "sys", prefix, keys.after_prefix(prefix)):
            raise ConditionalConflict(row=prefix.hex())
    for row in proposal.rows:
        if row.value is None and row.expect is not None:
            draft.drop("sys", row.key)
        elif row.value is not None and row.value != row.expect:
            draft.put("sys", row.key, row.value)
    return Done(seq=draft.order)


def flush(draft: Draft, proposal: Flush) -> Done:
    """:raises ConditionalConflict: always"""
    raise ConditionalConflict()


def drop_extents(draft: Draft, proposal: DropExtents) -> Done:
    """:raises InternalFault: one of them is live; nothing is forgotten then"""
    for row in proposal.keys:
        value = draft.get("extents", row)
        if value is None:
            continue
        if not open_extent(row, value).freed_seq:
            raise InternalFault("a live extent must not be forgotten", row=row.hex())
        draft.drop("extents", row)
    return Done(seq=draft.order)


def drop_undo(draft: Draft, proposal: DropUndo) -> Done:
    """The undo window of these removals has passed: what was kept for them goes."""
    for row in proposal.keys:
        value = draft.get("undo", row)
        if value is None:
            continue
        record = open_row(row, value, UndoRecord).record
        parts = queries.manifest(draft.view, record.manifest) if record.manifest else None
        for data in [record.data] + [part.data for part in parts.parts] if parts else [record.data]:
            if data is not None and not data.volume:
                draft.drop("inline", data.data_id)
        if record.manifest:
            draft.drop("manifests", record.manifest)
        draft.drop("undo", row)
    return Done(seq=draft.order)
