"""Parity by set size and by storage class."""

from __future__ import annotations

import pytest

from sos.placement.parity import ParityError, default_parity, parities


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
