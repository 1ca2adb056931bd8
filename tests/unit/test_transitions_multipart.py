"""Multipart: what Complete checks and makes."""

from __future__ import annotations

import base64
import hashlib
import zlib

import msgspec
import pytest

from sos.domain import checksums
from sos.domain.conditions import Conditions
from sos.meta import keys, queries
from sos.meta.proposals import Done, Refused, UpdateHave
from sos.meta.records import CounterRecord, PartRecord
from sos.meta.rows import open_row
from tests.kit.audit import audit
from tests.kit.deciding import Deciding

PAYLOADS = [b"first part " * 5, b"second part, longer " * 9, b"end"]
MIN = 10


def uploaded(owner: Deciding, algorithm: str = "", kind: str = "") -> tuple[bytes, list[PartRecord]]:
    """Three parts of an upload of ``k``, with checksums where the upload declares an algorithm."""
    create = owner.create_upload(b"k", algorithm, kind, metadata={"m": "v"})
    owner.done(create)
    upload_id, parts = create.record.upload_id, []
    for number, payload in enumerate(PAYLOADS, 1):
        sums = {algorithm: checksums.encode(checksums.digest(algorithm, payload))} if algorithm else {}
        etag = hashlib.md5(payload).hexdigest()
        part = owner.put_part(b"k", upload_id, number, len(payload), etag=etag, checksums=sums)
        owner.done(part)
        parts.append(part.part)
    return upload_id, parts


def test_complete_makes_the_object() -> None:
    owner = Deciding()
    upload_id, parts = uploaded(owner)
    done = owner.done(owner.complete(b"k", upload_id, parts))
    record = queries.latest(owner.view, 7, b"k")
    assert record is not None and done.record == record
    md5s = b"".join(hashlib.md5(payload).digest() for payload in PAYLOADS)
    assert record.etag == hashlib.md5(md5s).hexdigest() + "-3"
    assert (record.size, record.parts, record.metadata) == (sum(map(len, PAYLOADS)), 3, {"m": "v"})
    manifest = queries.manifest(owner.view, record.manifest)
    assert manifest is not None and list(manifest.parts) == parts
    assert queries.counters(owner.view, 7) == {"STANDARD": CounterRecord(objects=1, versions=1, size=record.size)}
    audit(owner.view, [7])


@pytest.mark.parametrize("algorithm", sorted(checksums.LINEAR))
def test_full_object_checksums_are_those_of_the_whole_payload(algorithm: str) -> None:
    owner = Deciding()
    upload_id, parts = uploaded(owner, algorithm, "FULL_OBJECT")
    whole = checksums.encode(checksums.digest(algorithm, b"".join(PAYLOADS)))
    wrong = owner.complete(b"k", upload_id, parts, checksums={algorithm: "AAAA"})
    assert owner.refused(wrong) == "ChecksumMismatch"
    record = owner.done(owner.complete(b"k", upload_id, parts, checksums={algorithm: whole})).record
    assert record is not None
    assert (record.checksums, record.checksum_type) == ({algorithm: whole}, "FULL_OBJECT")


@pytest.mark.parametrize("algorithm", ["SHA1", "SHA256", "CRC32", "CRC32C"])
def test_composite_checksums_are_digests_of_digests(algorithm: str) -> None:
    owner = Deciding()
    upload_id, parts = uploaded(owner, algorithm, "COMPOSITE")
    raw = b"".join(base64.b64decode(part.checksums[algorithm]) for part in parts)
    value = checksums.encode(checksums.digest(algorithm, raw))
    record = owner.done(owner.complete(b"k", upload_id, parts, checksums={algorithm: value})).record
    assert record is not None
    assert (record.checksums, record.checksum_type) == ({algorithm: f"{value}-3"}, "COMPOSITE")


def test_crc32_by_an_independent_path() -> None:
    owner = Deciding()
    upload_id, parts = uploaded(owner, "CRC32", "FULL_OBJECT")
    record = owner.done(owner.complete(b"k", upload_id, parts)).record
    assert record is not None
    assert base64.b64decode(record.checksums["CRC32"]) == zlib.crc32(b"".join(PAYLOADS)).to_bytes(4, "big")


def change(part: PartRecord, **fields: object) -> PartRecord:
    return msgspec.structs.replace(part, **fields)


def test_complete_refuses_what_does_not_fit() -> None:
    """Order, presence, entity tags, part checksums, announced size; nothing changes (T1)."""
    owner = Deciding()
    upload_id, (one, two, three) = uploaded(owner, "CRC32", "COMPOSITE")
    cases: list[tuple[list[PartRecord], str]] = [
        ([], "InvalidRequest"),
        ([two, one], "InvalidPartOrder"),
        ([one, one], "InvalidPartOrder"),
        ([one, change(two, number=4)], "InvalidPart"),
        ([one, change(two, etag=one.etag)], "InvalidPart"),
        ([one, three, change(two, number=9)], "InvalidPart"),
    ]
    for parts, name in cases:
        assert owner.refused(owner.complete(b"k", upload_id, parts)) == name
    wrong_sum = owner.complete(b"k", upload_id, [one])
    wrong_sum = msgspec.structs.replace(wrong_sum, parts=((1, one.etag, {"CRC32": "AAAAAA=="}),))
    assert owner.refused(wrong_sum) == "InvalidPart"
    assert owner.refused(owner.complete(b"k", upload_id, [one], size=one.size + 1)) == "InvalidRequest"
    assert owner.refused(owner.complete(b"k", owner.id16(), [one])) == "NoSuchUpload"
    assert owner.refused(owner.complete(b"k", b"short", [one])) == "NoSuchUpload"
    assert owner.refused(owner.complete(b"other", upload_id, [one])) == "NoSuchUpload"
    quoted = owner.complete(b"k", upload_id, [change(one, etag=f'"{one.etag}"')], size=one.size)
    owner.done(quoted)


def test_a_short_part_is_named() -> None:
    owner = Deciding()
    upload_id, (one, _, three) = uploaded(owner)
    last = owner.put_part(b"k", upload_id, 4, 50)
    owner.done(last)
    outcome = owner.submit(owner.complete(b"k", upload_id, [one, three, last.part]))
    assert isinstance(outcome, Refused)
    assert outcome.name == "EntityTooSmall"
    assert outcome.detail == {"part": 3, "proposed": 3, "minimum": MIN, "etag": three.etag}


def test_parts_that_are_not_named_are_freed() -> None:
    """T2."""
    owner = Deciding()
    upload_id, parts = uploaded(owner)
    owner.done(owner.complete(b"k", upload_id, [parts[0]]))
    audit(owner.view, [7])
    assert not owner.view.tables["parts"]
    assert not owner.view.tables["uploads"]


def test_overwriting_and_deleting_frees_every_part() -> None:
    owner = Deciding()
    upload_id, parts = uploaded(owner)
    owner.done(owner.complete(b"k", upload_id, parts))
    owner.done(owner.put(b"k", 0))
    audit(owner.view, [7])
    assert not owner.view.tables["manifests"]


def test_a_repeated_complete_gets_the_same_answer_while_its_object_stands() -> None:
    """R17: the answer was lost, the client asks again with a new request id."""
    owner = Deciding(versioning="Enabled")
    upload_id, parts = uploaded(owner)
    first = owner.done(owner.complete(b"k", upload_id, parts))
    again = owner.submit(owner.complete(b"k", upload_id, parts))
    assert isinstance(again, Done)
    assert (again.etag, again.version_id, again.record) == (first.etag, first.version_id, first.record)
    assert owner.refused(owner.complete(b"k", upload_id, parts[:1])) == "NoSuchUpload"
    owner.done(owner.put(b"k"))
    assert owner.refused(owner.complete(b"k", upload_id, parts)) == "NoSuchUpload"


def test_a_conditional_complete_is_decided_with_it() -> None:
    """R13."""
    owner = Deciding()
    upload_id, parts = uploaded(owner)
    owner.done(owner.put(b"k"))
    only_new = owner.complete(b"k", upload_id, parts, conditions=Conditions(if_none_match=("*",)))
    assert owner.refused(only_new) == "PreconditionFailed"
    owner.done(owner.complete(b"k", upload_id, parts))


@pytest.mark.parametrize("number", [0, -1, 10_001])
def test_part_numbers_have_bounds(number: int) -> None:
    owner = Deciding()
    upload_id, _ = uploaded(owner)
    assert owner.refused(owner.put_part(b"k", upload_id, number)) == "InvalidArgument"


def test_healing_reaches_a_part_of_a_manifest() -> None:
    owner = Deciding()
    upload_id, parts = uploaded(owner)
    record = owner.done(owner.complete(b"k", upload_id, parts)).record
    assert record is not None and parts[1].data is not None
    ids = (parts[1].data.data_id,)
    owner.done(UpdateHave(request_id=b"", bucket_id=0, table="manifests", row=record.manifest, data_ids=ids, have=1 << 8))
    manifest = queries.manifest(owner.view, record.manifest)
    assert manifest is not None
    assert [part.data.have for part in manifest.parts if part.data] == [15, 15 | 1 << 8, 15]


def test_healing_reaches_a_part_of_an_upload_under_way() -> None:
    owner = Deciding()
    upload_id, parts = uploaded(owner)
    assert parts[1].data is not None
    row, ids = keys.part_row(7, upload_id, 2), (parts[1].data.data_id,)
    owner.done(UpdateHave(request_id=b"", bucket_id=0, table="parts", row=row, data_ids=ids, have=1 << 8))
    healed = [part.data.have for part in queries.parts(owner.view, 7, upload_id) if part.data]
    assert healed == [15, 15 | 1 << 8, 15]


def test_an_upload_id_is_used_once() -> None:
    owner = Deciding()
    create = owner.create_upload(b"k")
    owner.done(create)
    assert owner.refused(create) == "InvalidArgument"
    short = msgspec.structs.replace(create, record=msgspec.structs.replace(create.record, upload_id=b"x"))
    assert owner.refused(short) == "InvalidArgument"


def test_part_rows_are_by_number() -> None:
    owner = Deciding()
    upload_id, _ = uploaded(owner)
    assert [part.number for part in queries.parts(owner.view, 7, upload_id, after=1)] == [2, 3]
    rows = owner.view.tables["parts"].items()
    assert all(open_row(row, value, PartRecord).number == int.from_bytes(row[-4:], "big") for row, value in rows)
