"""What is too much for one operation is left to later ones: bounded, complete, and the same after a crash anywhere."""

from __future__ import annotations

import pytest

from sos.meta import keys
from sos.meta.proposals import AbortUpload, DropExtents, Release
from sos.meta.records import PartRecord
from tests.kit.audit import audit
from tests.kit.deciding import Deciding

PARTS = 1_000
#: Rows that one operation may change: payloads with their rows, and a few of its own.
ROWS_MAX = 2 * 256 + 10


def upload(owner: Deciding, parts: int = PARTS) -> tuple[bytes, list[PartRecord]]:
    """Parts in volumes, with an inline one and an empty one among them."""
    proposal = owner.create_upload(b"key")
    owner.done(proposal)
    made = []
    for number in range(1, parts + 1):
        part = owner.put_part(b"key", proposal.record.upload_id, number, {7: 10, parts: 0}.get(number, 20))
        owner.done(part)
        made.append(part.part)
    return proposal.record.upload_id, made


def whole(owner: Deciding, parts: int = PARTS) -> None:
    upload_id, made = upload(owner, parts)
    owner.done(owner.complete(b"key", upload_id, made))


def changed(owner: Deciding) -> int:
    assert owner.last is not None and owner.last.frees
    return len(owner.last.rows)


def work_off(owner: Deciding) -> int:
    """As reclaim does it; how many operations it took."""
    count = 0
    while rows := sorted(owner.view.tables["undo"]):
        audit(owner.view, [7])
        owner.done(Release(request_id=owner.id16(), bucket_id=0, row=rows[0]))
        assert changed(owner) <= ROWS_MAX
        count += 1
    audit(owner.view, [7])
    return count


def assert_nothing_left(owner: Deciding) -> None:
    freed = tuple(owner.view.tables["extents"])
    owner.done(DropExtents(request_id=owner.id16(), bucket_id=0, keys=freed))
    assert {table for table, rows in owner.view.tables.items() if rows} == set()


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_version_of_many_parts_goes_in_bounded_operations(overwrite: bool) -> None:
    owner = Deciding()
    whole(owner)
    if overwrite:
        owner.done(owner.put(b"key", 0))
        assert owner.last is not None and len(owner.last.rows) <= ROWS_MAX
        work_off(owner)
        owner.done(owner.delete(b"key"))
    else:
        owner.done(owner.delete(b"key"))
        assert changed(owner) <= ROWS_MAX
        assert not owner.view.tables["counters"], "it counts no more at once"
        assert work_off(owner) == 4
    assert_nothing_left(owner)


def test_an_aborted_upload_of_many_parts_goes_in_bounded_operations() -> None:
    owner = Deciding()
    upload_id, _ = upload(owner)
    abort = AbortUpload(request_id=owner.id16(), bucket_id=7, key=b"key", upload_id=upload_id)
    owner.done(abort)
    assert changed(owner) <= ROWS_MAX
    assert not owner.view.tables["counters"]
    assert owner.refused(abort) == "NoSuchUpload"
    assert owner.refused(owner.put_part(b"key", upload_id, 3)) == "NoSuchUpload"
    assert work_off(owner) == 4
    assert_nothing_left(owner)


def test_few_parts_go_at_once() -> None:
    owner = Deciding()
    whole(owner, 256)
    owner.done(owner.delete(b"key"))
    assert work_off(owner) == 0
    assert_nothing_left(owner)


def test_a_release_that_is_repeated_or_of_another_row_does_nothing() -> None:
    owner = Deciding()
    owner.undo_ns = 5
    owner.done(owner.put(b"other"))
    owner.done(owner.delete(b"other"))
    for row in (keys.release_row(1, 0), *owner.view.tables["undo"]):
        owner.done(Release(request_id=owner.id16(), bucket_id=0, row=row))
        assert owner.last is not None and owner.last.rows == []


def test_release_rows_come_after_all_others_and_in_order() -> None:
    rows = [keys.undo_row(1, 2), keys.undo_row(1 << 63, 1 << 63), keys.release_row(1, 0), keys.release_row(1, 1)]
    rows.append(keys.release_row(2, 0))
    assert rows == sorted(rows)
    assert [keys.is_release(row) for row in rows] == [False, False, True, True, True]
