"""Finding a version of an object across the pools."""

from __future__ import annotations

from dataclasses import dataclass

from ..domain.errors import BadRow, Busy, DriveFault, MethodNotAllowed, NoSuchKey, NoSuchVersion
from ..erasure.handle import SetHandle, Snapshot
from ..meta import queries
from ..meta.records import BucketRecord, ObjectRecord
from .pools import Pools

#: Drives of a set on which a bad row is looked for elsewhere.
DRIVES_TRIED_MAX = 4


@dataclass(slots=True)
class Located:
    """A set, its snapshot (to be closed by the taker), and the version found there, if any."""

    handle: SetHandle
    snapshot: Snapshot
    record: ObjectRecord | None
    latest: bool


def _look(snapshot: Snapshot, bucket_id: int, key: bytes, version: bytes | None) -> tuple[ObjectRecord | None, bool]:
    if version is None:
        return queries.latest(snapshot, bucket_id, key), True
    found = queries.version(snapshot, bucket_id, key, version)
    return found if found is not None else (None, False)


def _second_look(
    handle: SetHandle, snapshot: Snapshot, bucket_id: int, key: bytes, version: bytes | None
) -> Located | None:
    """What another drive has of something that the first does not have; None where they agree."""
    other = handle.beside(snapshot)
    if other is None:
        return None
    try:
        record, latest = _look(other, bucket_id, key, version)
    except DriveFault as error:
        handle.distrust(other, error)
        record = None
    if record is None:
        other.close()
        return None
    if other.seq == snapshot.seq:
        handle.distrust(snapshot, BadRow("a row is missing on one drive"))
    return Located(handle, other, record, latest)


async def _locate_in(handle: SetHandle, bucket_id: int, key: bytes, version: bytes | None) -> Located:
    """In one set, on another drive where a row cannot be read."""
    for tries in range(DRIVES_TRIED_MAX, 0, -1):
        snapshot = handle.snapshot_now() or await handle.snapshot()
        try:
            record, latest = _look(snapshot, bucket_id, key, version)
            if record is None and (found := _second_look(handle, snapshot, bucket_id, key, version)) is not None:
                snapshot.close()
                return found
            return Located(handle, snapshot, record, latest)
        except DriveFault as error:
            handle.distrust(snapshot, error)
            snapshot.close()
            if tries == 1:
                raise
        except BaseException:
            snapshot.close()
            raise
    raise AssertionError("unreachable")


async def locate(pools: Pools, bucket: BucketRecord, key: bytes, version: bytes | None) -> Located:
    """The version of ``key`` (None = the latest, which may be a delete marker), or the first candidate without a record."""
    best: Located | None = None
    for handle in pools.candidates(bucket.bucket_id, key):
        found = await _locate_in(handle, bucket.bucket_id, key, version)
        if best is None:
            best = found
        elif _better(found, best):
            best.snapshot.close()
            best = found
        else:
            found.snapshot.close()
    assert best is not None
    return best


def _better(found: Located, best: Located) -> bool:
    """A key is in one pool at a time; should a race have put it in two, the newest one counts."""
    if found.record is None:
        return False
    return best.record is None or found.record.mtime_ns > best.record.mtime_ns


def require_object(record: ObjectRecord | None, version: bytes | None) -> ObjectRecord:
    """The record, if it is an object.

    :raises NoSuchKey, NoSuchVersion: nothing is there; ``delete_marker`` says whether a marker hides the object
    :raises MethodNotAllowed: the version named is a delete marker
    """
    if record is None:
        raise NoSuchKey() if version is None else NoSuchVersion()
    if not record.is_marker:
        return record
    detail: dict[str, str | int | bool] = {"delete_marker": True, "version_id": record.version_id.hex(), "mtime_ns": record.mtime_ns}
    if version is None:
        raise NoSuchKey("", **detail)
    raise MethodNotAllowed("", **detail)


async def target_of(pools: Pools, bucket: BucketRecord, key: bytes) -> SetHandle:
    """The set that a write of ``key`` goes to: where it is or is being uploaded to, else where new keys go."""
    candidates = pools.candidates(bucket.bucket_id, key)
    if len(candidates) == 1:
        return candidates[0]
    located = await locate(pools, bucket, key, None)
    located.snapshot.close()
    if located.record is not None:
        return located.handle
    for handle in candidates:
        if await _has_uploads(handle, bucket.bucket_id, key):
            return handle
    return await pools.for_new(bucket.bucket_id, key, candidates)


async def _has_uploads(handle: SetHandle, bucket_id: int, key: bytes) -> bool:
    """An upload is completed in its own pool: an object put elsewhere meanwhile would be there a second time."""
    snapshot = handle.snapshot_now() or await handle.snapshot()
    try:
        return queries.has_uploads(snapshot, bucket_id, key)
    finally:
        snapshot.close()


async def require_target(pools: Pools, bucket: BucketRecord, key: bytes, target: SetHandle) -> None:
    """Look again before the commit of what took its time: the worker that remembered the choice for a new key may have
    been replaced, and others sent to another pool.

    :raises Busy: the key belongs to another pool by now
    """
    if len(pools.candidates(bucket.bucket_id, key)) > 1 and await target_of(pools, bucket, key) is not target:
        raise Busy("the object came to be in another pool meanwhile")
