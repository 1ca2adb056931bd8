"""Reading and changing rows of the identity store: optimistic transactions over set 0.

A change is a plain function of a :class:`Change`; whatever it reads is held to be still so when the owner of set 0
decides, and everything it writes is written together. When somebody was faster the function runs again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import msgspec

from ...domain.errors import Busy, ConditionalConflict
from ...erasure.handle import SetHandle, Snapshot
from ...meta import iam, keys
from ...meta.proposals import ChangeSystem, SystemRow
from ...meta.rows import open_row
from .. import anywhere
from ..calls import commit, request_id

T = TypeVar("T")
R = TypeVar("R")

#: How often a change that others overtake runs again.
TRIES_MAX = 50
#: Rows of one change: one message to the owner of set 0, one transaction.
ROWS_MAX = 4000


def read(snapshot: Snapshot, row: bytes) -> bytes | None:
    """A row's document."""
    value = snapshot.get("sys", row)
    return None if value is None else open_row(row, value, bytes)


def scan(snapshot: Snapshot, prefix: bytes, after: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
    """(rest of the name, document) of the rows under a prefix, strictly after ``prefix + after``."""
    start = prefix + after + b"\0" if after else prefix
    for row, value in snapshot.scan("sys", start, keys.after_prefix(prefix)):
        yield row[len(prefix) :], open_row(row, value, bytes)


class Change:
    """A change under way: what it has read, and what it writes."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._seen: dict[bytes, bytes | None] = {}
        self._new: dict[bytes, bytes | None] = {}
        self._vacant: list[bytes] = []

    def document(self, row: bytes) -> bytes | None:
        """A row's document, own writes included; from here on it must not change before the commit."""
        if row in self._new:
            return self._new[row]
        if row not in self._seen:
            self._seen[row] = read(self.snapshot, row)
        return self._seen[row]

    def get(self, row: bytes, kind: type[T]) -> T | None:
        """The record of a row; held like :meth:`document`."""
        document = self.document(row)
        return None if document is None else iam.decode(document, kind)

    def put(self, row: bytes, record: msgspec.Struct | bytes) -> None:
        self.document(row)
        self._new[row] = record if isinstance(record, bytes) else iam.encode(record)

    def drop(self, row: bytes) -> None:
        self.document(row)
        self._new[row] = None

    def under(self, prefix: bytes) -> Iterator[bytes]:
        """Names of the rows under a prefix as they are now; others may appear before the commit."""
        return (name for name, _ in scan(self.snapshot, prefix))

    def require_vacant(self, prefix: bytes) -> bool:
        """Whether there is no row under a prefix; if so it is held that way."""
        if any(True for _ in self.under(prefix)):
            return False
        self._vacant.append(prefix)
        return True

    @property
    def room(self) -> int:
        """Rows that may still be touched."""
        return ROWS_MAX - len(self._seen)

    @property
    def empty(self) -> bool:
        """Whether nothing would change."""
        return all(self._seen[row] == value for row, value in self._new.items())

    def proposal(self) -> ChangeSystem:
        rows = tuple(SystemRow(row, was, self._new.get(row, was)) for row, was in self._seen.items())
        return ChangeSystem(request_id=request_id(), bucket_id=0, rows=rows, vacant=tuple(self._vacant))


def _planned(snapshot: Snapshot, plan: Callable[[Change], R]) -> tuple[Change, R]:
    change = Change(snapshot)
    return change, plan(change)


class Store:
    """:param system: set 0"""

    def __init__(self, system: SetHandle) -> None:
        self.system = system

    async def snapshot(self) -> Snapshot:
        """At or after everything acknowledged. To be closed. :raises ReadQuorumLost:"""
        return self.system.snapshot_now() or await self.system.snapshot()

    async def change(self, plan: Callable[[Change], R]) -> R:
        """Run a change until it is committed; what the function returned then.

        :param plan: reads and writes through its argument only, may raise domain errors, may run several times
        :raises Busy: overtaken too often
        """
        for _ in range(TRIES_MAX):
            change, result = await self.read(lambda snapshot: _planned(snapshot, plan))
            if change.empty:
                return result
            try:
                await commit(self.system, change.proposal())
            except ConditionalConflict:
                continue
            return result
        raise Busy("the identity store is being changed by too many at once")

    async def read(self, look: Callable[[Snapshot], R]) -> R:
        """The result of a function over one snapshot, of a drive where it finds no bad row."""
        return await anywhere.read(self.system, look)

    async def get(self, row: bytes, kind: type[T]) -> T | None:
        """One record."""
        document = await self.read(lambda snapshot: read(snapshot, row))
        return None if document is None else iam.decode(document, kind)
