"""Checksums against published check values and independent bit-by-bit CRCs."""

from __future__ import annotations

import hashlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sos.domain import checksums

CHECK = b"123456789"
KNOWN = {
    "CRC32": "cbf43926",
    "CRC32C": "e3069283",
    "CRC64NVME": "ae8b14860a799888",
    "SHA1": hashlib.sha1(CHECK).hexdigest(),
    "SHA256": hashlib.sha256(CHECK).hexdigest(),
}
POLYNOMIAL = {"CRC32": (0xEDB88320, 32), "CRC32C": (0x82F63B78, 32), "CRC64NVME": (0x9A6C9329AC4BC9B5, 64)}
CRCS = sorted(checksums.LINEAR)


def slow_crc(algorithm: str, data: bytes) -> bytes:
    polynomial, bits = POLYNOMIAL[algorithm]
    crc = mask = (1 << bits) - 1
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (polynomial if crc & 1 else 0)
    return (crc ^ mask).to_bytes(bits // 8, "big")


@pytest.mark.parametrize("algorithm", sorted(checksums.SIZES))
def test_digest_equals_published_check_value(algorithm: str) -> None:
    assert checksums.digest(algorithm, CHECK).hex() == KNOWN[algorithm]
    assert len(checksums.digest(algorithm, b"")) == checksums.SIZES[algorithm]


@given(data=st.binary(max_size=300), cuts=st.lists(st.integers(0, 300), max_size=4))
def test_pieces_give_the_digest_of_the_whole(data: bytes, cuts: list[int]) -> None:
    for algorithm in checksums.SIZES:
        running = checksums.new(algorithm)
        edges = [0, *sorted(min(c, len(data)) for c in cuts), len(data)]
        for a, b in pairwise(edges):
            running.update(memoryview(data)[a:b])
        assert running.digest() == checksums.digest(algorithm, data)
        if algorithm in POLYNOMIAL:
            assert running.digest() == slow_crc(algorithm, data)


@pytest.mark.parametrize("algorithm", CRCS)
@given(a=st.binary(max_size=200), b=st.binary(max_size=200))
def test_combine_equals_crc_of_concatenation(algorithm: str, a: bytes, b: bytes) -> None:
    got = checksums.combine(algorithm, slow_crc(algorithm, a), slow_crc(algorithm, b), len(b))
    assert got == slow_crc(algorithm, a + b)


@pytest.mark.parametrize("algorithm", CRCS)
def test_combine_parts_of_large_and_empty_parts(algorithm: str) -> None:
    parts = [b"a" * (5 << 20), b"", b"b" * 70_001, b"c"]
    pairs = [(checksums.digest(algorithm, p), len(p)) for p in parts]
    assert checksums.combine_parts(algorithm, pairs) == checksums.digest(algorithm, b"".join(parts))
    assert checksums.combine_parts(algorithm, []) == checksums.digest(algorithm, b"")


def test_combine_refuses_hashes() -> None:
    with pytest.raises(KeyError):
        checksums.combine("SHA1", bytes(20), bytes(20), 1)


def test_composite_is_digest_of_raw_digests() -> None:
    raws = [hashlib.sha256(p).digest() for p in (b"one", b"two")]
    want = checksums.encode(hashlib.sha256(raws[0] + raws[1]).digest()) + "-2"
    assert checksums.composite("SHA256", raws) == want


@pytest.mark.parametrize("text", ["", "AAAA", "AAAAA==", "====", "AAAAAA==\n", "ééééé", "AAAAAAAAAAA="])
def test_decode_refuses_what_is_not_four_bytes(text: str) -> None:
    assert checksums.decode("CRC32", text) is None


def test_decode_reverses_encode() -> None:
    for algorithm in checksums.SIZES:
        raw = checksums.digest(algorithm, CHECK)
        assert checksums.decode(algorithm, checksums.encode(raw)) == raw
