"""A snapshot of the index of one drive."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import lmdb

from ..domain.errors import DriveFault
from . import local
from .engine import Position


class IndexRead:
    """A snapshot. See :class:`~sos.drive.engine.ReadTxn`."""

    __slots__ = ("_get", "_last", "_leave", "_path", "_tables", "_txn", "_word")

    def __init__(self, txn: Any, tables: dict[str, Any], path: str, leave: Callable[[int], None], word: int) -> None:
        """:param leave: told ``word`` when the snapshot is closed"""
        self._txn = txn
        self._leave: Callable[[int], None] | None = leave
        self._word = word
        self._get = txn.get
        self._tables = tables
        self._path = path
        self._last: Position | None = None

    @property
    def last(self) -> Position:
        if self._last is None:
            self._last = local.open_last(self.get("local", local.LAST))
        return self._last

    def get(self, table: str, key: bytes) -> bytes | None:
        try:
            value: bytes | None = self._get(key, None, self._tables[table])
        except lmdb.BadValsizeError:
            return None  # an empty or overlong key cannot have been stored
        except lmdb.Error as error:
            raise DriveFault(f"{self._path}: index read: {error}", path=self._path) from error
        return value

    def scan(
        self, table: str, start: bytes, stop: bytes | None, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        try:
            cursor = self._txn.cursor(self._tables[table])
            yield from _backward(cursor, start, stop) if reverse else _forward(cursor, start, stop)
        except lmdb.Error as error:
            raise DriveFault(f"{self._path}: index scan: {error}", path=self._path) from error

    def close(self) -> None:
        leave, self._leave = self._leave, None
        if leave is not None:
            self._txn.abort()
            leave(self._word)

    def __del__(self) -> None:
        # a snapshot that was forgotten must not keep its drive from being closed
        self.close()


def _forward(cursor: Any, start: bytes, stop: bytes | None) -> Iterator[tuple[bytes, bytes]]:
    if not (cursor.set_range(start) if start else cursor.first()):
        return
    if stop is None:
        yield from cursor.iternext()
        return
    for item in cursor.iternext():
        if item[0] >= stop:
            return
        yield item


def _backward(cursor: Any, start: bytes, stop: bytes | None) -> Iterator[tuple[bytes, bytes]]:
    found = cursor.prev() if stop is not None and cursor.set_range(stop) else cursor.last()
    if not found:
        return
    for item in cursor.iterprev():
        if item[0] < start:
            return
        yield item
