"""Ids of payloads: unique, spread over the drives, and in the order of time for each place."""

from __future__ import annotations

import pytest

from sos.erasure.data_id import DATA_ID_BYTES, new_data_id


@pytest.mark.parametrize("drives", [1, 2, 3, 4, 8, 15, 16])
def test_every_rotation_occurs_and_no_other(drives: int) -> None:
    ids = [new_data_id(drives) for _ in range(200 * drives)]
    assert {one[0] for one in ids} == set(range(drives))
    assert {len(one) for one in ids} == {DATA_ID_BYTES}


def test_ids_are_unique_though_the_clock_stands_still() -> None:
    assert len({new_data_id(4, lambda: 1) for _ in range(100_000)}) == 100_000


def test_ids_of_one_place_sort_by_time() -> None:
    moments_ns = [1_700_000_000_000_000_000 + i * 2_000_000 for i in range(500)]
    ids = [new_data_id(1, lambda at=at: at) for at in moments_ns]
    assert ids == sorted(ids)
