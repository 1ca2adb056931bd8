"""Keys to sets, sets to owners, drives to sets."""

from __future__ import annotations

from collections import Counter

import pytest

from sos.placement.sets import DriveMap, KeyMap, Place, owned_by, owner_of

DEPLOYMENT = bytes(range(16))
GOLDEN = [1, 3, 3, 3, 0, 6, 3, 5, 0, 5, 5, 1]


def test_map_of_keys_is_pinned_by_golden_values() -> None:
    """A change here loses every object of every deployment with more than one set."""
    mapped = KeyMap(DEPLOYMENT, range(7))
    assert [mapped.set_of(1, b"key-%d" % i) for i in range(12)] == GOLDEN


def test_keys_spread_evenly() -> None:
    mapped = KeyMap(DEPLOYMENT, range(8))
    counts = Counter(mapped.set_of(1, b"object/%d" % i) for i in range(8000))
    assert set(counts) == set(range(8))
    assert max(counts.values()) < 1150


def test_map_depends_on_the_deployment_and_the_bucket() -> None:
    keys = [b"%d" % i for i in range(64)]
    one = [KeyMap(DEPLOYMENT, range(8)).set_of(1, k) for k in keys]
    assert one != [KeyMap(b"x" * 16, range(8)).set_of(1, k) for k in keys]
    assert one != [KeyMap(DEPLOYMENT, range(8)).set_of(2, k) for k in keys]


def test_sets_of_a_later_pool_keep_their_numbers() -> None:
    assert {KeyMap(DEPLOYMENT, [4, 5]).set_of(1, b"%d" % i) for i in range(50)} == {4, 5}
    assert KeyMap(DEPLOYMENT, [3]).set_of(1, b"a") == 3
    with pytest.raises(ValueError, match="at least one"):
        KeyMap(DEPLOYMENT, [])


@pytest.mark.parametrize(("workers", "sets"), [(1, 1), (2, 1), (4, 3), (2, 7)])
def test_every_set_has_exactly_one_owner(workers: int, sets: int) -> None:
    owned = [number for slot in range(workers) for number in owned_by(slot, workers, sets)]
    assert sorted(owned) == list(range(sets))
    assert all(number in owned_by(owner_of(number, workers), workers, sets) for number in range(sets))


def test_drive_numbers_go_both_ways() -> None:
    drives = DriveMap([4, 4, 6])
    assert drives.count == 14
    assert drives.place_of(0) == Place(0, 0)
    assert drives.place_of(8) == Place(2, 0)
    assert [drives.number_of(drives.place_of(i)) for i in range(14)] == list(range(14))
    with pytest.raises(IndexError):
        drives.place_of(14)
