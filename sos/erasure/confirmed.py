"""A snapshot whose misses are confirmed by another drive.

A row that is damaged fails its checksum. A damaged page of the tree above it makes the row not be found, and no checksum
tells: an owner that decided by such a miss would have every drive agree on a mistake.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..domain.errors import BadRow
from ..drive.engine import Position, ReadTxn


class Confirmed:
    """A :class:`~sos.drive.engine.ReadTxn` over two of them at one position."""

    __slots__ = ("_base", "_other")

    def __init__(self, base: ReadTxn, other: ReadTxn) -> None:
        self._base, self._other = base, other

    @property
    def last(self) -> Position:
        return self._base.last

    def get(self, table: str, key: bytes) -> bytes | None:
        """:raises BadRow: only the other drive has the row"""
        value = self._base.get(table, key)
        if value is None and self._other.get(table, key) is not None:
            raise BadRow("a row is missing on one drive", row=key.hex())
        return value

    def scan(self, table: str, start: bytes, stop: bytes | None, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        return self._base.scan(table, start, stop, reverse)

    def close(self) -> None:
        self._base.close()
        self._other.close()
