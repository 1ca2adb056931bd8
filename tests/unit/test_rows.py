"""Row values: golden bytes of every record, checksums, growth of records."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from sos.domain.errors import BadRow
from sos.meta import records
from sos.meta.rows import open_counter, open_object, open_row, seal

GOLDEN = Path(__file__).parent / "golden" / "v1"
DATA = records.DataRef(bytes(range(16)), 300_000, 2, 2, 1 << 20, 3 << 32 | 9, 4096, 0b1111)
PART = records.PartRecord(1, 5, "0cc175b9c0f1b6a831c399e269772661", 99, DATA, {"CRC32": "AAAAAA=="}, b"\x01")
OBJECT = records.ObjectRecord(
    order=5,
    version_id=bytes(range(16, 32)),
    kind=records.Kind.OBJECT,
    size=300_000,
    mtime_ns=1_700_000_000_123_456_789,
    etag="0cc175b9c0f1b6a831c399e269772661",
    data=DATA,
    manifest=b"",
    parts=0,
    content_type="text/plain",
    headers={"cache-control": "no-cache"},
    metadata={"colour": "grün"},
    tags={"t": "v"},
    checksums={"CRC64NVME": "AAAAAAAAAAA="},
    checksum_type="FULL_OBJECT",
    storage_class="REDUCED_REDUNDANCY",
    owner="account",
    retention_mode="COMPLIANCE",
    retain_until_ns=1 << 63,
    legal_hold=True,
    encryption=b"envelope",
    replication="PENDING",
    tier=b"tier",
)
MARKER = records.ObjectRecord(6, b"", records.Kind.DELETE_MARKER, 0, 7, "")
SAMPLES: dict[str, object] = {
    "object": OBJECT,
    "marker": MARKER,
    "part": PART,
    "manifest": records.Manifest((PART,)),
    "upload": records.UploadRecord(bytes(16), 99, MARKER, "CRC32", "COMPOSITE"),
    "extent": records.ExtentRecord(bytes(range(16)), 1 << 20, 8, 9),
    "bucket": records.BucketRecord(
        7, "photos", 99, "account", "Enabled", True, "live", "eu", 1 << 40, {"policy": b"{}"}
    ),
    "fence": records.FenceRecord(7, 99),
    "counter": records.CounterRecord(1, 2, 3, 4, 5, 6),
    "undo": records.UndoRecord(7, b"key", 99, 8, MARKER),
    "release": records.ReleaseRecord((PART,), 7, bytes(16)),
    "log": records.LogEntry(1, 2, bytes(16), 99, (("current", b"row"),), b"outcome"),
    "order": 5,
    "link": bytes(range(16)),
    "document": b"{}",
}
KEY = b"the row's key"


@pytest.mark.parametrize("name", SAMPLES)
def test_golden_rows(name: str) -> None:
    """A released format is read by every later release, and written as it was."""
    golden = bytes.fromhex((GOLDEN / f"{name}.hex").read_text())
    assert open_row(KEY, golden, type(SAMPLES[name])) == SAMPLES[name]
    assert seal(KEY, SAMPLES[name]) == golden


def test_every_record_has_golden_bytes() -> None:
    found = {each for each in vars(records).values() if isinstance(each, type) and issubclass(each, msgspec.Struct)} - {
        msgspec.Struct,
        records.DataRef,
    }
    assert found == {type(sample) for sample in SAMPLES.values() if isinstance(sample, msgspec.Struct)}


def test_a_retention_date_beyond_2106_is_kept() -> None:
    """R21: 64 bits."""
    assert open_object(KEY, seal(KEY, OBJECT)).retain_until_ns == 1 << 63


@pytest.mark.parametrize("where", range(0, len(seal(KEY, OBJECT)), 7))
def test_one_flipped_bit_is_found(where: int) -> None:
    value = bytearray(seal(KEY, OBJECT))
    value[where] ^= 4
    with pytest.raises(BadRow):
        open_object(KEY, bytes(value))
    with pytest.raises(BadRow):
        open_row(KEY, bytes(value), records.ObjectRecord)


def test_a_value_of_another_key_is_found() -> None:
    with pytest.raises(BadRow):
        open_object(b"another key", seal(KEY, OBJECT))


@pytest.mark.parametrize("value", [b"", b"\x01", bytes(9), bytes(200)])
def test_short_and_zero_values_are_found(value: bytes) -> None:
    with pytest.raises(BadRow):
        open_object(KEY, value)


def test_a_value_of_another_type_is_found() -> None:
    with pytest.raises(BadRow):
        open_object(KEY, seal(KEY, b"no object"))


def test_an_unknown_version_is_refused() -> None:
    import xxhash

    body = b"\x02" + seal(KEY, OBJECT)[1:-8]
    with pytest.raises(BadRow):
        open_row(KEY, body + xxhash.xxh3_64_digest(KEY + body), records.ObjectRecord)


def test_a_record_with_fewer_or_more_fields_is_read() -> None:
    """Fields are only appended: an earlier record lacks the last ones, a later one has more."""
    short = list(msgspec.structs.astuple(OBJECT))[:6]
    assert open_object(KEY, seal(KEY, short)) == records.ObjectRecord(*short)
    longer = [*msgspec.structs.astuple(OBJECT), "new"]
    assert open_object(KEY, seal(KEY, longer)) == OBJECT


def test_no_counter_is_zero() -> None:
    assert open_counter(KEY, None) == records.CounterRecord()
