"""Objects: locks, quota, conditions, updates, undo, and what is let through when drives are full."""

from __future__ import annotations

import msgspec
import pytest

from sos.domain.conditions import Conditions
from sos.drive.engine import Row
from sos.meta import keys, queries
from sos.meta.proposals import DropUndo, Flush, PutObject, PutPart, PutSystem, UpdateHave, UpdateObject
from sos.meta.records import CounterRecord, ExtentRecord
from sos.meta.rows import open_row
from sos.meta.transitions import decide
from tests.kit.audit import audit
from tests.kit.deciding import SECOND, Deciding

HOUR = 3600 * SECOND


def locked(mode: str = "", hold: bool = False, hours: int = 1) -> tuple[Deciding, bytes]:
    """A bucket with object lock and one locked version of ``k``."""
    owner = Deciding(versioning="Enabled", object_lock=True)
    until = owner.now_ns + hours * HOUR if mode else 0
    done = owner.done(owner.put(b"k", 50, retention_mode=mode, retain_until_ns=until, legal_hold=hold))
    return owner, done.version_id


@pytest.mark.parametrize(
    ("mode", "hold", "bypass", "allowed"),
    [
        ("", False, False, True),
        ("GOVERNANCE", False, False, False),
        ("GOVERNANCE", False, True, True),
        ("COMPLIANCE", False, False, False),
        ("COMPLIANCE", False, True, False),
        ("", True, False, False),
        ("", True, True, False),
        ("GOVERNANCE", True, True, False),
    ],
)
def test_a_locked_version_is_not_deleted(mode: str, hold: bool, bypass: bool, allowed: bool) -> None:
    """R21, A23: the matrix of mode, hold and bypass."""
    owner, version_id = locked(mode, hold)
    proposal = owner.delete(b"k", version_id, bypass_governance=bypass)
    if allowed:
        owner.done(proposal)
    else:
        assert owner.refused(proposal) == "ObjectLocked"


def test_a_lock_ends_with_its_time() -> None:
    owner, version_id = locked("COMPLIANCE")
    owner.now_ns += HOUR
    owner.done(owner.delete(b"k", version_id))


def test_a_locked_version_survives_put_and_delete_marker() -> None:
    """R21: neither an overwrite nor a delete without version touches it."""
    owner, version_id = locked("COMPLIANCE")
    owner.done(owner.put(b"k"))
    assert owner.done(owner.delete(b"k")).marker
    found = queries.version(owner.view, 7, b"k", version_id)
    assert found is not None and not found[1]


def test_a_locked_null_version_is_not_replaced() -> None:
    """R21: overwrite by Put, Complete or marker in a bucket whose versioning is not on."""
    owner = Deciding(object_lock=True)
    owner.done(owner.put(b"k", legal_hold=True))
    assert owner.refused(owner.put(b"k")) == "ObjectLocked"
    assert owner.refused(owner.delete(b"k")) == "ObjectLocked"
    upload = owner.create_upload(b"k")
    owner.done(upload)
    part = owner.put_part(b"k", upload.record.upload_id, 1)
    owner.done(part)
    assert owner.refused(owner.complete(b"k", upload.record.upload_id, [part.part])) == "ObjectLocked"


def test_a_lock_needs_a_bucket_with_object_lock() -> None:
    owner = Deciding(versioning="Enabled")
    assert owner.refused(owner.put(b"k", legal_hold=True)) == "InvalidRequest"
    assert owner.refused(owner.create_upload(b"k", retention_mode="COMPLIANCE")) == "InvalidRequest"


def update(owner: Deciding, **change: object) -> UpdateObject:
    return msgspec.structs.replace(UpdateObject(request_id=owner.id16(), bucket_id=7, key=b"k"), **change)


@pytest.mark.parametrize(
    ("before", "mode", "hours", "bypass", "allowed"),
    [
        ("", "COMPLIANCE", 1, False, True),
        ("GOVERNANCE", "GOVERNANCE", 2, False, True),
        ("GOVERNANCE", "GOVERNANCE", 0, False, False),
        ("GOVERNANCE", "GOVERNANCE", 0, True, True),
        ("GOVERNANCE", "", 0, True, True),
        ("GOVERNANCE", "COMPLIANCE", 2, False, False),
        ("GOVERNANCE", "COMPLIANCE", 2, True, True),
        ("COMPLIANCE", "COMPLIANCE", 2, False, True),
        ("COMPLIANCE", "COMPLIANCE", 0, True, False),
        ("COMPLIANCE", "GOVERNANCE", 2, True, False),
        ("COMPLIANCE", "", 0, True, False),
    ],
)
def test_retention_changes(before: str, mode: str, hours: int, bypass: bool, allowed: bool) -> None:
    """R21: COMPLIANCE is never shortened or weakened."""
    owner, version_id = locked(before)
    until = owner.now_ns + hours * HOUR
    change = update(owner, retention_mode=mode, retain_until_ns=until, bypass_governance=bypass)
    if not allowed:
        assert owner.refused(change) == "ObjectLocked"
        return
    record = owner.done(change).record
    assert record is not None
    assert (record.retention_mode, record.retain_until_ns, record.version_id) == (mode, until, version_id)
    assert queries.latest(owner.view, 7, b"k") == record


def test_update_of_what_is_not_there() -> None:
    owner = Deciding(versioning="Enabled")
    assert owner.refused(update(owner, tags={"a": "b"})) == "NoSuchKey"
    assert owner.refused(update(owner, tags={}, version=owner.id16())) == "NoSuchVersion"
    marker = owner.done(owner.delete(b"k"))
    assert owner.refused(update(owner, tags={})) == "NoSuchKey"
    assert owner.refused(update(owner, tags={}, version=marker.version_id)) == "MethodNotAllowed"


def test_tags_of_a_noncurrent_version() -> None:
    owner = Deciding(versioning="Enabled")
    first = owner.done(owner.put(b"k"))
    owner.done(owner.put(b"k"))
    owner.done(update(owner, tags={"a": "b"}, version=first.version_id))
    found = queries.version(owner.view, 7, b"k", first.version_id)
    assert found is not None and found[0].tags == {"a": "b"} and not found[1]
    audit(owner.view, [7])


def test_bytes_are_added_by_grant_alone_where_there_is_a_quota() -> None:
    """R16: overwriting counts the difference; parts count when they are stored and not again."""
    owner = Deciding()
    owner.term = 3

    def granted(proposal: PutObject | PutPart, size: int, term: int = 3) -> PutObject | PutPart:
        return msgspec.structs.replace(proposal, granted=size, term=term)

    for size, term in ((0, 3), (59, 3), (60, 2), (60, 4), (-60, 3)):
        assert owner.refused(granted(owner.put(b"a", 60), size, term)) == "QuotaUngranted"
    assert owner.last is not None and owner.last.outcome.detail == {"added": 60}
    owner.done(granted(owner.put(b"a", 60), 60))
    owner.done(owner.put(b"a", 60))
    owner.done(owner.put(b"a", 30))
    assert owner.refused(granted(owner.put(b"a", 60), 29)) == "QuotaUngranted"
    owner.done(granted(owner.put(b"a", 60), 30))
    upload = owner.create_upload(b"c")
    owner.done(upload)
    assert owner.refused(granted(owner.put_part(b"c", upload.record.upload_id, 1, 31), 30)) == "QuotaUngranted"
    part = owner.put_part(b"c", upload.record.upload_id, 1, 30)
    owner.done(granted(part, 30))
    owner.done(owner.complete(b"c", upload.record.upload_id, [part.part]))
    owner.done(owner.delete(b"a"))


def test_a_flush_changes_nothing() -> None:
    assert Deciding().refused(Flush(request_id=bytes(16), bucket_id=0)) == "ConditionalConflict"


def test_a_condition_sees_the_latest_object_only() -> None:
    """R13: a delete marker counts as nothing; If-Match with a version looks at that version."""
    owner = Deciding(versioning="Enabled")
    first = owner.done(owner.put(b"k", conditions=Conditions(if_none_match=("*",))))
    assert owner.refused(owner.put(b"k", conditions=Conditions(if_none_match=("*",)))) == "PreconditionFailed"
    owner.done(owner.delete(b"k", conditions=Conditions(if_match=(first.etag,))))
    assert owner.refused(owner.put(b"k", conditions=Conditions(if_match=(first.etag,)))) == "NoSuchKey"
    owner.done(owner.put(b"k", conditions=Conditions(if_none_match=("*",))))
    wrong = owner.delete(b"k", first.version_id, conditions=Conditions(if_match=("other",)))
    assert owner.refused(wrong) == "PreconditionFailed"
    owner.done(owner.delete(b"k", first.version_id, conditions=Conditions(if_match=(first.etag,))))


def test_a_replicated_version_is_not_doubled() -> None:
    """R27: the same version id again takes the place of the first."""
    owner = Deciding(versioning="Enabled")
    version_id = owner.id16()
    for _ in range(2):
        assert owner.done(owner.put(b"k", 50, version_id=version_id)).version_id == version_id
    audit(owner.view, [7])
    assert queries.counters(owner.view, 7)["STANDARD"] == CounterRecord(objects=1, versions=1, size=50)
    assert owner.refused(owner.put(b"k", version_id=bytes(16))) == "InvalidArgument"
    assert queries.version(owner.view, 7, b"k", bytes(16)) is None


def test_version_ids_are_uuids_in_form() -> None:
    owner = Deciding(versioning="Enabled")
    ids = {owner.done(owner.put(b"k")).version_id for _ in range(50)}
    assert len(ids) == 50
    assert all(len(each) == 16 and each[6] >> 4 == 4 and each[8] >> 6 == 2 for each in ids)


def test_unknown_and_fenced_buckets_refuse() -> None:
    owner = Deciding()
    assert decide(owner.view, None, owner.put(b"k"), 1, 1).outcome.name == "NoSuchBucket"
    assert decide(owner.view, None, owner.delete(b"k"), 1, 1).outcome.name == "NoSuchBucket"


def test_healing_adds_to_have() -> None:
    owner = Deciding(versioning="Enabled")
    first = owner.put(b"k", 50)
    first = msgspec.structs.replace(
        first, record=msgspec.structs.replace(first.record, data=msgspec.structs.replace(first.record.data, have=3))
    )
    made = owner.done(first)
    order = owner.order
    owner.done(owner.put(b"k"))
    assert first.record.data is not None
    row, ids = keys.version_row(keys.row_key(7, b"k"), order), (first.record.data.data_id,)
    heal = UpdateHave(request_id=b"", bucket_id=0, table="versions", row=row, data_ids=ids, have=8)
    owner.done(heal)
    found = queries.version(owner.view, 7, b"k", made.version_id)
    assert found is not None and found[0].data is not None and found[0].data.have == 11
    assert owner.refused(msgspec.structs.replace(heal, table="current", row=row[:-8])) == "NoSuchVersion"
    assert owner.refused(msgspec.structs.replace(heal, row=row[:-1] + b"\xff")) == "NoSuchVersion"
    assert owner.refused(msgspec.structs.replace(heal, data_ids=(owner.id16(),))) == "NoSuchVersion"
    audit(owner.view, [7])


def test_what_only_frees_is_marked() -> None:
    """R19: deletes are let through on full drives."""
    owner = Deciding(versioning="Enabled")
    owner.done(owner.put(b"k"))
    assert owner.last is not None and not owner.last.frees
    owner.done(owner.delete(b"k"))
    assert owner.last.frees


def test_undo_keeps_what_was_removed_until_it_is_dropped() -> None:
    owner = Deciding()
    owner.undo_ns = HOUR
    small, large = owner.put(b"small", 5), owner.put(b"large", 50)
    for proposal in (small, large):
        owner.done(proposal)
    owner.done(owner.delete(b"small"))
    owner.done(owner.put(b"large", 0))
    assert small.record.data is not None and large.record.data is not None
    assert owner.view.get("inline", small.record.data.data_id) is not None
    row = keys.extent_row(large.record.data.volume, large.record.data.offset)
    assert open_row(row, owner.view.tables["extents"][row], ExtentRecord).freed_ns > 0
    removed = tuple(owner.view.tables["undo"])
    assert len(removed) == 2
    owner.done(DropUndo(request_id=b"", bucket_id=0, keys=removed))
    assert not owner.view.tables["undo"]
    audit(owner.view, [7])


def test_extent_rows_carry_length_and_time_of_freeing() -> None:
    owner = Deciding()
    proposal = owner.put(b"k", 50)
    owner.done(proposal)
    assert proposal.record.data is not None
    row = keys.extent_row(proposal.record.data.volume, proposal.record.data.offset)
    assert open_row(row, owner.view.tables["extents"][row], ExtentRecord) == ExtentRecord(
        proposal.record.data.data_id, 8192
    )
    owner.done(owner.delete(b"k"))
    freed = open_row(row, owner.view.tables["extents"][row], ExtentRecord)
    assert freed == ExtentRecord(proposal.record.data.data_id, 8192, owner.order, owner.now_ns)


def test_a_put_writes_few_rows() -> None:
    """A new small object: its record and the counters; the shards travel beside them."""
    owner = Deciding()
    owner.done(owner.put(b"k", 5))
    assert owner.last is not None
    assert {row.table for row in owner.last.rows} == {"current", "counters"}
    assert owner.last.inline == (b"shard",)
    old = owner.last.inline_id
    owner.done(owner.put(b"k", 5))
    assert Row("inline", old, None) in owner.last.rows


def test_system_documents() -> None:
    owner = Deciding()
    owner.done(PutSystem(request_id=b"", bucket_id=0, key=b"iam/user", value=b"{}"))
    assert queries.system(owner.view, b"iam/user") == b"{}"
    owner.done(PutSystem(request_id=b"", bucket_id=0, key=b"iam/user", value=None))
    assert queries.system(owner.view, b"iam/user") is None
