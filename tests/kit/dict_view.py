"""An index in memory: the plain meaning of ``sos.meta.walk.View``, for tests of what is pure over it."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence

from sos.drive.engine import TABLES, Row


class DictView:
    """Tables of sorted rows. ``seq`` and ``close`` make it a ``Snapshot``.

    ``seeks`` and ``steps`` count what scans cost: a seek for each scan begun, a step for each row given out.
    """

    def __init__(self) -> None:
        self.tables: dict[str, dict[bytes, bytes]] = {table: {} for table in TABLES}
        self._order: dict[str, list[bytes]] = {table: [] for table in TABLES}
        self.seq = 0
        self.seeks = 0
        self.steps = 0

    def get(self, table: str, key: bytes) -> bytes | None:
        return self.tables[table].get(key)

    def scan(
        self, table: str, start: bytes, stop: bytes | None, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        self.seeks += 1
        order = self._order[table]
        low = bisect_left(order, start)
        high = len(order) if stop is None else bisect_left(order, stop)
        for i in range(high - 1, low - 1, -1) if reverse else range(low, high):
            self.steps += 1
            yield order[i], self.tables[table][order[i]]

    def apply(self, rows: Sequence[Row]) -> None:
        for table, key, value in rows:
            assert 0 < len(key) <= 511, "an index key holds 511 bytes"
            rows_of = self.tables[table]
            if value is None:
                if rows_of.pop(key, None) is not None:
                    del self._order[table][bisect_left(self._order[table], key)]
                continue
            if key not in rows_of:
                insort(self._order[table], key)
            rows_of[key] = value
        self.seq += 1

    def close(self) -> None:
        """Nothing is held."""
