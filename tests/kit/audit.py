"""What must hold between the tables of a set's index after every operation; used by model and crash tests."""

from __future__ import annotations

from collections import Counter

from sos.meta import keys, queries
from sos.meta.records import (
    CounterRecord,
    DataRef,
    ExtentRecord,
    ObjectRecord,
    PartRecord,
    ReleaseRecord,
    UploadRecord,
)
from sos.meta.rows import open_object, open_row
from sos.meta.walk import View, any_row, at, walk


def audit(view: View, buckets: list[int], inline: bool = True) -> None:
    """Assert D1–D4 and N1–N4: counters are exact, every row is referred to and every reference is there, no link is
    empty.

    :param buckets: ids of all buckets that ever were
    :param inline: the view has table ``inline``
    """
    held: list[DataRef] = []
    manifests: set[bytes] = set()
    parts: set[bytes] = set()
    for bucket_id in buckets:
        objects = _versions(view, bucket_id)
        uploads = _uploads(view, bucket_id)
        for record in objects:
            held += [record.data] if record.data is not None else []
            if record.manifest:
                manifests.add(record.manifest)
                held += _data_of(_parts_of_manifest(view, record))
        for upload_id, (_, found) in uploads.items():
            parts |= {keys.part_row(bucket_id, upload_id, part.number) for part in found}
            held += _data_of(found)
        assert queries.counters(view, bucket_id) == _counters(view, bucket_id, objects, uploads)
        _check_links(view, bucket_id)
    for row, value in view.scan("undo", keys.RELEASES, None):
        left = open_row(row, value, ReleaseRecord)
        held += _data_of(list(left.parts))
        if left.upload_id:
            found = list(queries.parts(view, left.bucket_id, left.upload_id))
            parts |= {keys.part_row(left.bucket_id, left.upload_id, part.number) for part in found}
            held += _data_of(found)
    assert {row for row, _ in view.scan("manifests", b"", None)} == manifests
    assert {row for row, _ in view.scan("parts", b"", None)} == parts
    _check_payloads(view, held, inline)


def _parts_of_manifest(view: View, record: ObjectRecord) -> list[PartRecord]:
    manifest = queries.manifest(view, record.manifest)
    assert manifest is not None
    assert len(manifest.parts) == record.parts
    assert sum(part.size for part in manifest.parts) == record.size
    return list(manifest.parts)


def _data_of(parts: list[PartRecord]) -> list[DataRef]:
    return [part.data for part in parts if part.data is not None]


def _versions(view: View, bucket_id: int) -> list[ObjectRecord]:
    """All versions of a bucket, with N1–N4 asserted."""
    current = {key: open_object(row, value) for key, row, value in walk(view, "current", bucket_id, b"", at(b""))}
    older: dict[bytes, list[ObjectRecord]] = {}
    vids: dict[bytes, int] = {}
    for key, row, value in walk(view, "versions", bucket_id, b"", at(b"")):
        record = open_object(row, value)
        assert keys.order_of(row) == record.order
        older.setdefault(key, []).append(record)
        vids[keys.vid_row(keys.row_key(bucket_id, key), record.version_id)] = record.order
    stored = {row: open_row(row, value, int) for row, value in view.scan("vids", *keys.of_bucket(bucket_id))}
    assert stored == vids, "N2"
    for key, record in current.items():
        assert not record.is_marker, "N1"
        assert all(record.order > other.order for other in older.get(key, [])), "N4"
    for key, records in older.items():
        assert key in current or records[0].is_marker, "N1"
        ids = [each.version_id for each in [*records, *([current[key]] if key in current else [])]]
        assert len(ids) == len(set(ids)), "N3"
    return [*current.values(), *(record for records in older.values() for record in records)]


def _uploads(view: View, bucket_id: int) -> dict[bytes, tuple[UploadRecord, list[PartRecord]]]:
    found = {}
    for _, row, value in walk(view, "uploads", bucket_id, b"", at(b"")):
        upload = open_row(row, value, UploadRecord)
        found[upload.upload_id] = (upload, list(queries.parts(view, bucket_id, upload.upload_id)))
    return found


def _counters(
    view: View,
    bucket_id: int,
    objects: list[ObjectRecord],
    uploads: dict[bytes, tuple[UploadRecord, list[PartRecord]]],
) -> dict[str, CounterRecord]:
    latest = [open_object(row, value) for _, row, value in walk(view, "current", bucket_id, b"", at(b""))]
    sums: dict[str, Counter[str]] = {}
    for record in latest:
        sums.setdefault(record.storage_class, Counter())["objects"] += 1
    for record in objects:
        counter = sums.setdefault(record.storage_class, Counter())
        counter["markers" if record.is_marker else "versions"] += 1
        counter["size"] += record.size
    for upload, parts in uploads.values():
        counter = sums.setdefault(upload.template.storage_class, Counter())
        counter["uploads"] += 1
        counter["upload_size"] += sum(part.size for part in parts)
    return {name: CounterRecord(**counter) for name, counter in sums.items()}


def _check_links(view: View, bucket_id: int) -> None:
    for table in ("current", "versions", "uploads"):
        children = set()
        for row, value in view.scan(table, *keys.of_bucket(bucket_id)):
            if row[8] == 1:
                children.add(row[9:25])
            if row.endswith(keys.MORE) and len(value) == 27:  # version, 18 bytes of msgpack, checksum
                child = keys.level(bucket_id, open_row(row, value, bytes))
                assert any_row(view, table, child, keys.after_prefix(child)), "D2: an empty link"
                children.discard(child[9:])
        seen = {row for _, row, _ in walk(view, table, bucket_id, b"", at(b""))}
        rows = {row for row, value in view.scan(table, *keys.of_bucket(bucket_id)) if len(value) != 27}
        assert seen == rows, "D2: rows that no walk meets"


def _check_payloads(view: View, held: list[DataRef], inline: bool) -> None:
    live = {}
    for row, value in view.scan("extents", b"", None):
        extent = open_row(row, value, ExtentRecord)
        if not extent.freed_seq:
            live[keys.extent_place(row)] = extent.data_id
    assert live == {(data.volume, data.offset): data.data_id for data in held if data.volume}, "D3"
    if inline:
        small = {data.data_id for data in held if not data.volume}
        assert {row for row, _ in view.scan("inline", b"", None)} == small
