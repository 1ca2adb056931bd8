"""Keys to sets, sets to owners, drives to sets. Pure.

The map from key to set is part of the stored format: an object is looked for where the map says. It is pinned by
golden values in the tests and must never change for an existing deployment.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from blake3 import blake3

_CONTEXT = "sos 2026 placement of keys on sets"


class Place(NamedTuple):
    """One drive: its set (numbered over all pools) and its position in it."""

    set: int
    position: int


class KeyMap:
    """Which set of a pool holds a key.

    :param deployment_id: 16 bytes; makes the map unpredictable to clients, so that nobody can aim at one set
    :param sets: numbers of the pool's sets, in order
    """

    __slots__ = ("_key", "_sets")

    def __init__(self, deployment_id: bytes, sets: Sequence[int]) -> None:
        if not sets:
            raise ValueError("a pool has at least one set")
        self._key = blake3(deployment_id, derive_key_context=_CONTEXT).digest()
        self._sets = tuple(sets)

    def set_of(self, bucket_id: int, key: bytes) -> int:
        """The number of the set: keyed hash of bucket id (8 bytes, big-endian) and key, modulo the sets."""
        if len(self._sets) == 1:
            return self._sets[0]
        digest = blake3(bucket_id.to_bytes(8, "big") + key, key=self._key).digest(length=8)
        return self._sets[int.from_bytes(digest, "big") % len(self._sets)]


def owner_of(number: int, workers: int) -> int:
    """The worker slot that owns a set."""
    return number % workers


def owned_by(slot: int, workers: int, sets: int) -> range:
    """The sets that a worker slot owns."""
    return range(slot, sets, workers)


class DriveMap:
    """Numbers of drives over all sets, as in the pulse page: set after set, position after position."""

    def __init__(self, set_sizes: Sequence[int]) -> None:
        self._starts = [sum(set_sizes[:i]) for i in range(len(set_sizes))]
        self.count = sum(set_sizes)

    def number_of(self, place: Place) -> int:
        return self._starts[place.set] + place.position

    def place_of(self, number: int) -> Place:
        """:raises IndexError: no such drive"""
        if not 0 <= number < self.count:
            raise IndexError(number)
        at = bisect_right(self._starts, number) - 1
        return Place(at, number - self._starts[at])
