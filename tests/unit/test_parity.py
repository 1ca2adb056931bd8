"""Parity by set size and by storage class."""

from __future__ import annotations

import pytest

from sos.placement.parity import ParityError, default_parity, parities, with_drives_gone


def test_default_parity_is_minios_table() -> None:
    table = {1: 0, 2: 1, 3: 1, 4: 2, 5: 2, 6: 3, 7: 3} | dict.fromkeys(range(8, 17), 4)
    assert {n: default_parity(n) for n in range(1, 17)} == table


@pytest.mark.parametrize(
    ("drives", "standard", "reduced", "expected"),
    [
        (1, "", "", (0, 0)), (2, "", "", (1, 1)), (4, "", "", (2, 1)), (16, "", "", (4, 1)),
        (16, "EC:8", "EC:2", (8, 2)), (4, "EC:0", "", (0, 1)), (4, "ec:1", "", (1, 1)), (1, "EC:0", "EC:0", (0, 0)),
        (8, "EC:3", "EC:0", (3, 0)), (1, "EC:0", "", (0, 0)),
    ],
)  # fmt: skip
def test_storage_classes(drives: int, standard: str, reduced: str, expected: tuple[int, int]) -> None:
    assert parities(drives, standard, reduced) == expected


@pytest.mark.parametrize(
    ("drives", "standard", "reduced"),
    [
        (4, "EC:3", ""),
        (1, "EC:1", ""),
        (8, "EC:2", "EC:3"),
        (4, "EC:-1", ""),
        (4, "4", ""),
        (4, "EC:x", ""),
        (4, "EC:", ""),
        (4, "", "EC:3"),
    ],
)
def test_impossible_storage_classes_are_refused(drives: int, standard: str, reduced: str) -> None:
    with pytest.raises(ParityError):
        parities(drives, standard, reduced)


def test_class_is_found_by_its_s3_name() -> None:
    made = parities(16)
    assert (made.of("STANDARD"), made.of("REDUCED_REDUNDANCY")) == (4, 1)


@pytest.mark.parametrize(
    ("k", "m", "alive", "expected"),
    [
        (2, 2, 4, (2, 2)), (2, 2, 3, (2, 2)), (3, 1, 3, (2, 2)), (2, 1, 2, (1, 2)), (12, 4, 12, (8, 8)), (12, 4, 14, (10, 6)),
        (3, 2, 4, (3, 2)), (3, 2, 3, (2, 3)), (1, 1, 1, (1, 1)), (4, 0, 3, (4, 0)), (1, 0, 1, (1, 0)), (8, 8, 9, (8, 8)),
    ],
)  # fmt: skip
def test_objects_written_while_drives_are_gone_have_more_parity(
    k: int, m: int, alive: int, expected: tuple[int, int]
) -> None:
    assert with_drives_gone(k, m, alive) == expected


@pytest.mark.parametrize("drives", range(2, 17))
def test_with_drives_gone_one_more_may_go(drives: int) -> None:
    """R01: where the set still commits, a new object is never left without redundancy."""
    for m in range(1, drives // 2 + 1):
        k = drives - m
        quorum = k if k > m else k + 1
        for alive in range(quorum, drives + 1):
            data, parity = with_drives_gone(k, m, alive)
            assert data + parity == drives and 1 <= data <= k and alive >= data + 1
