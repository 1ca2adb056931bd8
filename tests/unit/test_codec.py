"""The codes: ISA-L and zfec give the same bytes for every geometry (R09)."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import combinations

import pytest

from sos.erasure.codec import (
    Codec,
    IsalCodec,
    IsalLibrary,
    ZfecCodec,
    codec_for,
    decode_rows,
    generator,
    isal,
    isal_candidates,
)

#: Up to half of the drives hold parity, and one more of an odd number while drives are gone.
GEOMETRIES = [(n - m, m) for n in range(1, 17) for m in range(min(n - 1, (n + 1) // 2) + 1)]
LENGTHS = (1, 31, 64, 4096, 40_001)


def payload(k: int, length: int, seed: int) -> list[bytes]:
    source = random.Random(seed)
    return [source.randbytes(length) for _ in range(k)]


def encoded(codec: Codec, data: list[bytes], m: int) -> list[bytes]:
    parity = [bytearray(len(data[0])) for _ in range(m)]
    codec.encode(data, parity)
    return data + [bytes(block) for block in parity]


def losses(k: int, m: int) -> Iterator[tuple[int, ...]]:
    """Sets of lost shards: all of up to two, and some of every larger number up to m."""
    for count in range(1, m + 1):
        every = list(combinations(range(k + m), count))
        yield from every if count <= 2 and k + m <= 8 else random.Random(k * 100 + m).sample(every, min(6, len(every)))


@pytest.fixture(scope="module")
def library() -> IsalLibrary:
    found = isal()
    assert found is not None, "the PyECLib wheel brings ISA-L"
    return found


@pytest.mark.parametrize(("k", "m"), GEOMETRIES)
def test_isal_and_zfec_encode_the_same_bytes(k: int, m: int, library: IsalLibrary) -> None:
    """R09: every (k, m) that can occur, lengths odd and aligned, on both sides of the GIL threshold."""
    for length in LENGTHS:
        data = payload(k, length, length)
        assert encoded(IsalCodec(k, m, library), data, m) == encoded(ZfecCodec(k, m), data, m)


@pytest.mark.parametrize(("k", "m"), GEOMETRIES)
def test_any_k_shards_give_all_the_others(k: int, m: int, library: IsalLibrary) -> None:
    """R09: lost data and lost parity come back byte-equal from either codec."""
    data = payload(k, 129, 7)
    shards = encoded(ZfecCodec(k, m), data, m)
    for lost in losses(k, m):
        have = {i: shards[i] for i in range(k + m) if i not in lost}
        used = dict(list(have.items())[-k:])
        for codec in (IsalCodec(k, m, library), ZfecCodec(k, m)):
            wanted = {i: bytearray(129) for i in lost}
            codec.reconstruct(used, wanted)
            assert {i: bytes(block) for i, block in wanted.items()} == {i: shards[i] for i in lost}


def test_the_generator_is_systematic_and_the_decode_rows_invert_it() -> None:
    assert generator(2, 2)[:2] == (b"\x01\x00", b"\x00\x01")
    assert decode_rows(3, 2, (0, 1, 2), (3,)) == (generator(3, 2)[3],)


def test_the_parity_of_4_and_2_is_fixed_forever() -> None:
    """Golden bytes: the code is part of the format."""
    shards = encoded(codec_for(4, 2), [bytes([i + 1, 0xFF]) for i in range(4)], 2)
    assert b"".join(shards[4:]).hex() == "87ff2eff"


def test_read_only_and_unaligned_views_are_taken(library: IsalLibrary) -> None:
    base = memoryview(random.Random(3).randbytes(10_000))
    data = [base[1:4098], base[4099:8196]]
    out = [memoryview(bytearray(5000))[3:4100]]
    IsalCodec(2, 1, library).encode(data, out)
    assert encoded(ZfecCodec(2, 1), [bytes(block) for block in data], 1)[2] == out[0]


def test_blocks_of_unequal_length_and_read_only_outputs_are_refused(library: IsalLibrary) -> None:
    codec = IsalCodec(2, 1, library)
    with pytest.raises(ValueError, match="bytes among blocks"):
        codec.encode([b"abc", b"ab"], [bytearray(3)])
    with pytest.raises(ValueError, match="bytes among blocks"):
        codec.encode([b"abc", b"abc"], [bytearray(2)])
    with pytest.raises(BufferError):
        codec.encode([b"abc", b"abc"], [memoryview(b"abc")])
    with pytest.raises(ValueError, match="due"):
        codec.encode([b"abc"], [bytearray(3)])


def test_the_copy_in_the_wheel_is_found_and_works() -> None:
    copies = isal_candidates()[1:]
    assert copies
    shards = encoded(IsalCodec(4, 2, IsalLibrary(copies[0])), payload(4, 1000, 1), 2)
    assert shards == encoded(ZfecCodec(4, 2), payload(4, 1000, 1), 2)
