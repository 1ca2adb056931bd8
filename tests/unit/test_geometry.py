"""The layout of payloads (R09): arithmetic only."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sos.erasure.geometry import (
    ALIGN,
    DIGEST_BYTES,
    FOOTER_HEAD,
    UNIT,
    Geometry,
    block_size,
    drive_of,
    reserve_target,
    shard_of,
)

MIB = 1024 * 1024


@st.composite
def geometries(draw: st.DrawFn) -> Geometry:
    """Any (k, m), sizes at and beside multiples of the stripe, and block sizes of older and newer releases."""
    n = draw(st.integers(1, 16))
    m = draw(st.integers(0, n // 2))
    k = n - m
    block = draw(st.sampled_from([block_size(k), 64 * 1024, 320 * 1024, 2 * MIB]))
    near = draw(st.integers(0, 5)) * k * block + draw(st.sampled_from([-1, 0, 1, -4096, 4096, 12345]))
    return Geometry(max(1, near), k, m, block)


@given(geometries())
@settings(max_examples=300, deadline=None)
def test_every_payload_byte_has_one_place_and_the_places_are_in_order(geometry: Geometry) -> None:
    """R09: segments cover the payload without gap or overlap, inside their blocks."""
    position = 0
    for segment in geometry.segments(0, geometry.size):
        base = segment.stripe * geometry.stripe + segment.shard * geometry.block_length(segment.stripe)
        assert base + segment.offset == position
        assert 0 < segment.length <= geometry.block_length(segment.stripe) - segment.offset
        assert segment.shard < geometry.k
        position += segment.length
    assert position == geometry.size


@given(geometries(), st.data())
@settings(max_examples=200, deadline=None)
def test_a_range_is_a_cut_of_the_whole(geometry: Geometry, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, geometry.size - 1))
    length = data.draw(st.integers(0, geometry.size + 5))
    cut = list(geometry.segments(start, length))
    assert sum(segment.length for segment in cut) == min(length, geometry.size - start)
    if cut:
        first = cut[0]
        base = first.stripe * geometry.stripe + first.shard * geometry.block_length(first.stripe)
        assert base + first.offset == start
        assert all(segment.offset == 0 for segment in cut[1:])


@given(geometries())
@settings(max_examples=200, deadline=None)
def test_batches_write_the_extent_front_to_back(geometry: Geometry) -> None:
    """Each batch begins where the one before ended, only the last is the last, and all fit the buffer."""
    at = payload = 0
    batches = list(geometry.batches())
    for batch in batches:
        assert geometry.block_offset(batch.first) == at
        assert batch.length % ALIGN == 0
        assert batch.last == (batch is batches[-1])
        held = geometry.n * batch.stripes * batch.length + (geometry.n * geometry.footer_length if batch.last else 0)
        assert held <= geometry.buffer_bytes()
        at += batch.stripes * batch.length
        payload += batch.payload
    assert at == geometry.shard_length
    assert payload == geometry.size


@given(geometries())
@settings(max_examples=200, deadline=None)
def test_units_are_numbered_without_gap_and_never_cross_a_block(geometry: Geometry) -> None:
    numbers = [
        geometry.unit_number(stripe, offset)
        for stripe in range(geometry.stripes)
        for offset in range(0, geometry.block_length(stripe), UNIT)
    ]
    assert numbers == list(range(geometry.units))
    assert FOOTER_HEAD + DIGEST_BYTES * (geometry.units + 1) <= geometry.footer_length
    assert geometry.extent_length % ALIGN == 0


@pytest.mark.parametrize(("off", "full", "tail"), [(-1, 2, MIB), (0, 3, 0), (1, 3, 4096)])
def test_sizes_beside_a_whole_number_of_stripes(off: int, full: int, tail: int) -> None:
    """R09: size mod stripe = -1, 0, 1."""
    geometry = Geometry(3 * 2 * MIB + off, 2, 2, MIB)
    assert (geometry.full, geometry.tail) == (full, tail)


def test_a_unit_span_is_whole_units_inside_the_block() -> None:
    geometry = Geometry(2 * MIB + 5000, 2, 2, MIB)
    assert geometry.unit_span(0, UNIT + 5, UNIT + 6) == (UNIT, 2 * UNIT)
    assert geometry.unit_span(0, 0, MIB) == (0, MIB)
    assert geometry.unit_span(1, 10, 20) == (0, 4096)


@pytest.mark.parametrize("n", range(1, 17))
def test_every_shard_has_its_own_drive(n: int) -> None:
    for first in (0, 1, 7, 255):
        data_id = bytes([first]) + bytes(15)
        drives = [drive_of(data_id, shard, n) for shard in range(n)]
        assert sorted(drives) == list(range(n))
        assert [shard_of(data_id, drive, n) for drive in drives] == list(range(n))


def test_space_is_reserved_in_bounded_steps() -> None:
    total, needed, steps = 10 * 1024 * MIB, 0, []
    while needed < total:
        needed = reserve_target(needed + MIB, total)
        steps.append(needed)
    assert steps[0] == 16 * MIB
    assert max(b - a for a, b in pairwise(steps)) <= 257 * MIB
    assert reserve_target(MIB, 2 * MIB) == 2 * MIB
