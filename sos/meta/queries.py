"""Reading records from a snapshot. Pure over :class:`~sos.meta.walk.View`; every function may raise BadRow."""

from __future__ import annotations

from collections.abc import Iterator

from . import keys
from .records import BucketRecord, CounterRecord, Manifest, ObjectRecord, PartRecord, UploadRecord
from .rows import open_object, open_row
from .walk import View


def latest(view: View, bucket_id: int, key: bytes, versioned: bool = True) -> ObjectRecord | None:
    """The latest version, which may be a delete marker; None when the key has none.

    :param versioned: False for a bucket that never had versioning saves a second look on a miss
    """
    row = keys.row_key(bucket_id, key)
    value = view.get("current", row)
    if value is not None:
        return open_object(row, value)
    return newest_noncurrent(view, row) if versioned else None


def newest_noncurrent(view: View, row: bytes) -> ObjectRecord | None:
    """The newest row of table ``versions`` of the key whose row key is given."""
    for version, value in view.scan("versions", *keys.of_key(row)):
        return open_object(version, value)
    return None


def version(view: View, bucket_id: int, key: bytes, version_id: bytes) -> tuple[ObjectRecord, bool] | None:
    """The version with this id (empty = the null version) and whether it is the latest; None when there is none."""
    row = keys.row_key(bucket_id, key)
    value = view.get("current", row)
    if value is not None:
        record = open_object(row, value)
        if record.version_id == version_id:
            return record, True
    noncurrent = noncurrent_version(view, row, version_id)
    if noncurrent is None:
        return None
    if value is not None:
        return noncurrent, False
    newest = newest_noncurrent(view, row)
    return noncurrent, newest is not None and newest.order == noncurrent.order


def noncurrent_version(view: View, row: bytes, version_id: bytes) -> ObjectRecord | None:
    """The version with this id if it is in table ``versions``."""
    by_id = keys.vid_row(row, version_id)
    value = None if version_id == keys.NULL_VERSION else view.get("vids", by_id)
    if value is None:
        return None
    return by_order(view, row, open_row(by_id, value, int))


def by_order(view: View, row: bytes, order: int) -> ObjectRecord | None:
    """The row of table ``versions`` with this order."""
    where = keys.version_row(row, order)
    value = view.get("versions", where)
    return None if value is None else open_object(where, value)


def manifest(view: View, data_id: bytes) -> Manifest | None:
    """The parts of a multipart object: ``data_id`` is ``ObjectRecord.manifest``."""
    value = view.get("manifests", data_id)
    return None if value is None else open_row(data_id, value, Manifest)


def upload(view: View, bucket_id: int, key: bytes, upload_id: bytes) -> UploadRecord | None:
    row = keys.upload_row(keys.row_key(bucket_id, key), upload_id)
    value = view.get("uploads", row)
    return None if value is None else open_row(row, value, UploadRecord)


def has_uploads(view: View, bucket_id: int, key: bytes) -> bool:
    """Whether a multipart upload of the key is under way."""
    return any(True for _ in view.scan("uploads", *keys.of_key(keys.row_key(bucket_id, key))))


def parts(view: View, bucket_id: int, upload_id: bytes, after: int = 0) -> Iterator[PartRecord]:
    """The parts of an upload with numbers above ``after``, in order."""
    for row, value in view.scan("parts", *keys.parts_of(bucket_id, upload_id, after)):
        yield open_row(row, value, PartRecord)


def bucket(view: View, name: str) -> BucketRecord | None:
    """A bucket in any state. In set 0 only."""
    row = keys.bucket_row(name)
    value = view.get("buckets", row)
    return None if value is None else open_row(row, value, BucketRecord)


def system(view: View, key: bytes) -> bytes | None:
    """A document of table ``sys``. In set 0 only."""
    value = view.get("sys", key)
    return None if value is None else open_row(key, value, bytes)


def counters(view: View, bucket_id: int) -> dict[str, CounterRecord]:
    """Exact usage of a bucket in this set, by storage class."""
    found = {}
    for row, value in view.scan("counters", *keys.of_bucket(bucket_id)):
        found[row[8:].decode()] = open_row(row, value, CounterRecord)
    return found
