"""The bytes of footers and inline shards: golden, and one corruption per field."""

from __future__ import annotations

import pytest
from blake3 import blake3

from sos.erasure.digest import BadShard, open_inline, seal_inline, shard_key
from sos.erasure.extent import read_footer, write_footer
from sos.erasure.geometry import Geometry
from sos.meta.records import DataRef

KEY = bytes(range(32))
REF = DataRef(bytes(range(16)), 300_000, 1, 1, 1 << 20, 5, 8192, 3)
GEOMETRY = Geometry.of(REF)
SHARD_KEY = shard_key(KEY, REF.data_id, 1)
DIGESTS = bytes([0xAA]) * 32 + bytes([0xBB]) * 32

FIELDS = {
    "magic": 0,
    "version": 8,
    "algorithm": 9,
    "k": 10,
    "m": 11,
    "shard": 12,
    "zero after shard": 13,
    "data id": 16,
    "size": 32,
    "block": 40,
    "unit": 44,
    "units": 48,
    "reserved": 52,
    "first digest": 64,
    "second digest": 96,
    "padding": 128,
    "seal": 4064,
    "last byte": 4095,
}


def footer() -> bytearray:
    out = bytearray(b"\xee" * GEOMETRY.footer_length)
    write_footer(memoryview(out), REF, GEOMETRY, 1, SHARD_KEY, DIGESTS)
    return out


def test_the_footer_of_version_1_is_fixed_forever() -> None:
    """Golden bytes. A change here is a new version that reads this one too."""
    assert footer()[:64].hex() == (
        "736f735854454e54" "01" "01" "01" "01" "01" "000000" "000102030405060708090a0b0c0d0e0f"
        "00000000000493e0" "00100000" "00040000" "00000002" "000000000000000000000000"
    )  # fmt: skip
    assert footer()[64:128] == DIGESTS
    assert footer()[128:4064] == bytes(3936)
    assert footer()[4064:].hex() == "fd97084b1222636af87b633355ccb84f00f50685a3914a18f9f69c3a221d5bd2"
    assert len(footer()) == 4096


def test_the_seal_and_the_shard_key_are_what_the_format_says() -> None:
    key = blake3(REF.data_id + b"\x01", key=KEY).digest()
    assert key == SHARD_KEY
    assert footer()[4064:] == blake3(footer()[:4064], key=key).digest()


def test_a_footer_gives_its_digests_back() -> None:
    assert read_footer(memoryview(footer()), REF, GEOMETRY, 1, SHARD_KEY) == DIGESTS


@pytest.mark.parametrize("field", FIELDS)
def test_a_footer_with_one_corrupt_field_is_bad(field: str) -> None:
    for bit in (0x01, 0x80):
        corrupt = footer()
        corrupt[FIELDS[field]] ^= bit
        with pytest.raises(BadShard):
            read_footer(memoryview(corrupt), REF, GEOMETRY, 1, SHARD_KEY)


@pytest.mark.parametrize(
    "other",
    [
        DataRef(bytes(16), 300_000, 1, 1, 1 << 20),
        DataRef(REF.data_id, 300_001, 1, 1, 1 << 20),
        DataRef(REF.data_id, 300_000, 2, 1, 1 << 20),
        DataRef(REF.data_id, 300_000, 1, 2, 1 << 20),
        DataRef(REF.data_id, 300_000, 1, 1, 1 << 19),
    ],
)
def test_a_sealed_footer_of_another_extent_is_bad(other: DataRef) -> None:
    """R09: an extent of another generation, size or geometry never passes for this one, whatever the key."""
    geometry = Geometry.of(other)
    out = bytearray(geometry.footer_length)
    write_footer(memoryview(out), other, geometry, 1, SHARD_KEY, bytes(32 * geometry.units))
    with pytest.raises(BadShard):
        read_footer(memoryview(out), REF, GEOMETRY, 1, SHARD_KEY)


@pytest.mark.parametrize(
    "key",
    [shard_key(KEY, REF.data_id, 0), shard_key(KEY, bytes(16), 1), shard_key(bytes(32), REF.data_id, 1)],
)
def test_a_footer_of_another_shard_object_or_deployment_is_bad(key: bytes) -> None:
    with pytest.raises(BadShard):
        read_footer(memoryview(footer()), REF, GEOMETRY, 1, key)


def test_the_inline_shard_of_version_1_is_fixed_forever() -> None:
    """Golden bytes."""
    assert seal_inline(SHARD_KEY, b"hello").hex() == "01c2cc8b49da838505f8931647b38d916edbdd1ba6b67b1467544ef412c97e57c868656c6c6f"


@pytest.mark.parametrize("at", [0, 1, 32, 33, 37])
def test_a_corrupt_inline_shard_is_bad(at: int) -> None:
    value = bytearray(seal_inline(SHARD_KEY, b"hello"))
    assert open_inline(SHARD_KEY, bytes(value), 5) == b"hello"
    value[at] ^= 1
    with pytest.raises(BadShard):
        open_inline(SHARD_KEY, bytes(value), 5)


@pytest.mark.parametrize("cut", [slice(0, 0), slice(0, 1), slice(0, 33), slice(0, -1)])
def test_a_truncated_inline_shard_is_bad(cut: slice) -> None:
    with pytest.raises(BadShard):
        open_inline(SHARD_KEY, seal_inline(SHARD_KEY, b"hello")[cut], 5)
