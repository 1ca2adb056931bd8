"""Pending rows over a snapshot: what the next proposal of a group sees."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator

from ..drive.engine import ReadTxn, Row

_ABSENT: bytes = b"absent"


class Overlay:
    """A view of ``base`` with rows put over it. A scan sees the rows as they were when it began."""

    __slots__ = ("_base", "_sorted", "_tables")

    def __init__(self, base: ReadTxn) -> None:
        self._base = base
        self._tables: dict[str, dict[bytes, bytes | None]] = {}
        self._sorted: dict[str, list[bytes]] = {}

    def put(self, rows: Iterable[Row]) -> None:
        for table, key, value in rows:
            pending = self._tables.get(table)
            if pending is None:
                pending = self._tables[table] = {}
                self._sorted[table] = []
            if key not in pending:
                insort(self._sorted[table], key)
            pending[key] = value

    def rows(self) -> list[Row]:
        """All changes, one a key."""
        return [Row(table, key, value) for table, pending in self._tables.items() for key, value in pending.items()]

    def tables(self) -> set[str]:
        return set(self._tables)

    def get(self, table: str, key: bytes) -> bytes | None:
        pending = self._tables.get(table)
        if pending is not None:
            found = pending.get(key, _ABSENT)
            if found is not _ABSENT:
                return found
        return self._base.get(table, key)

    def scan(self, table: str, start: bytes, stop: bytes | None, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        stored = self._base.scan(table, start, stop, reverse)
        pending = self._tables.get(table)
        if not pending:
            return stored
        keys = self._sorted[table]
        within = keys[bisect_left(keys, start) : len(keys) if stop is None else bisect_left(keys, stop)]
        if not within:
            return stored
        if reverse:
            within.reverse()
        return _merge(stored, [(key, pending[key]) for key in within], reverse)


def _merge(
    stored: Iterator[tuple[bytes, bytes]], pending: list[tuple[bytes, bytes | None]], reverse: bool
) -> Iterator[tuple[bytes, bytes]]:
    """Both in the same order; a pending row hides the stored one, a deleted one hides it too."""
    at = 0
    for item in stored:
        while at < len(pending) and (pending[at][0] > item[0] if reverse else pending[at][0] < item[0]):
            key, value = pending[at]
            at += 1
            if value is not None:
                yield key, value
        if at < len(pending) and pending[at][0] == item[0]:
            continue  # comes out of the pending rows, at the next turn or at the end
        yield item
    for key, value in pending[at:]:
        if value is not None:
            yield key, value
