"""The changes of one operation while it is being decided: reads see what it has written already.

Invariants, held by whoever changes rows only through the methods here:

D1  The counters of a bucket are exact after every operation: each row added or removed is counted in the same draft.
D2  A link row exists in a table exactly while its child range holds a row of that table.
D3  An extent is live exactly while a record or a release row refers to it.
D4  No operation frees more than RELEASE_PAYLOADS_MAX payloads: what is beyond stands in release rows, which the set's owner
    works off one by one (``sos/erasure/reclaim.py``). So a version with 10,000 parts does not hold up everybody else's
    commits, and a crash neither loses nor leaks anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from ...domain.errors import InternalFault, QuotaUngranted
from ...drive.engine import Row
from .. import keys
from ..records import BucketRecord, CounterRecord, DataRef, ExtentRecord, ReleaseRecord
from ..rows import open_counter, open_extent, seal
from ..walk import View

_FIELDS = len(CounterRecord.__struct_fields__)
OBJECTS, VERSIONS, MARKERS, SIZE, UPLOADS, UPLOAD_SIZE = range(_FIELDS)
#: Payloads that one operation frees; a few milliseconds.
RELEASE_PAYLOADS_MAX = 256


class _RawRelease(msgspec.Struct, array_like=True, frozen=True):
    """A :class:`~sos.meta.records.ReleaseRecord` made of parts that are encoded already."""

    parts: tuple[msgspec.Raw, ...]
    bucket_id: int = 0
    upload_id: bytes = b""


@dataclass(slots=True)
class Draft:
    """One operation under decision.

    :param bucket_id: the bucket whose rows it may change
    :param order: the operation's sequence
    :param undo_ns: length of the undo window, 0 = off
    """

    view: View
    bucket: BucketRecord | None
    bucket_id: int
    order: int
    now_ns: int
    undo_ns: int = 0
    rows: dict[tuple[str, bytes], bytes | None] = field(default_factory=dict)
    usage: dict[str, list[int]] = field(default_factory=dict)
    inline_id: bytes = b""
    inline: tuple[bytes, ...] = ()
    releases: int = 0

    def get(self, table: str, key: bytes) -> bytes | None:
        found = self.rows.get((table, key), self)
        return self.view.get(table, key) if isinstance(found, Draft) else found

    def put(self, table: str, key: bytes, record: object) -> None:
        self.rows[table, key] = seal(key, record)

    def drop(self, table: str, key: bytes) -> None:
        self.rows[table, key] = None

    def first(self, table: str, start: bytes, stop: bytes | None) -> tuple[bytes, bytes] | None:
        """The first stored row of a range that this draft has not removed. Rows that it adds are not seen."""
        for row, value in self.view.scan(table, start, stop):
            if self.rows.get((table, row), value) is not None:
                return row, value
        return None

    def count(self, storage_class: str, what: int, by: int) -> None:
        """Add to a counter of the bucket."""
        self.usage.setdefault(storage_class, [0] * _FIELDS)[what] += by

    # -- payloads ----------------------------------------------------------------------------------

    def keep(self, data: DataRef | None, extent: int, inline: tuple[bytes, ...]) -> None:
        """A payload is referred to from now on."""
        if data is None:
            return
        if data.volume:
            self.put("extents", keys.extent_row(data.volume, data.offset), ExtentRecord(data.data_id, extent))
        else:
            self.inline_id, self.inline = data.data_id, inline

    def free(self, data: DataRef | None, undoable: bool = False) -> None:
        """A payload is not referred to any more. While it can be undone, inline shards stay and the extent, marked
        freed, is not punched (DESIGN §4)."""
        if data is None:
            return
        if not data.volume:
            if not undoable:
                self.drop("inline", data.data_id)
            return
        row = keys.extent_row(data.volume, data.offset)
        value = self.get("extents", row)
        extent = None if value is None else open_extent(row, value)
        if extent is None or extent.data_id != data.data_id:
            raise InternalFault("a record refers to an extent that is not its own", row=row.hex())
        freed = msgspec.structs.replace(extent, freed_seq=self.order, freed_ns=self.now_ns)
        self.put("extents", row, freed)

    def leave(self, parts: Sequence[msgspec.Raw]) -> None:
        """The payloads of parts (encoded ``PartRecord``) are not referred to any more, and freed by later operations (D4)."""
        for at in range(0, len(parts), RELEASE_PAYLOADS_MAX):
            self._leave(_RawRelease(tuple(parts[at : at + RELEASE_PAYLOADS_MAX])))

    def leave_parts(self, upload_id: bytes) -> None:
        """The upload of these parts is gone: their rows and payloads are by later operations (D4)."""
        self._leave(ReleaseRecord(bucket_id=self.bucket_id, upload_id=upload_id))

    def _leave(self, record: ReleaseRecord | _RawRelease) -> None:
        self.put("undo", keys.release_row(self.order, self.releases), record)
        self.releases += 1

    # -- the end -----------------------------------------------------------------------------------

    def check_grant(self, granted: int) -> None:
        """:raises QuotaUngranted: the operation adds more bytes than it was granted"""
        added = sum(u[SIZE] + u[UPLOAD_SIZE] for u in self.usage.values())
        if added > max(granted, 0):
            raise QuotaUngranted(added=added)

    def settle_counters(self) -> None:
        """Write the counters (D1); one that is all zero has no row."""
        for storage_class, changes in self.usage.items():
            if not any(changes):
                continue
            row = keys.counter_row(self.bucket_id, storage_class)
            before = msgspec.structs.astuple(open_counter(row, self.get("counters", row)))
            after = [a + b for a, b in zip(before, changes, strict=True)]
            if min(after) < 0:
                raise InternalFault("a counter would fall below zero", row=row.hex())
            if any(after):
                self.put("counters", row, CounterRecord(*after))
            else:
                self.drop("counters", row)

    def settle_links(self, key: bytes) -> None:
        """Add and remove the link rows of ``key``, the only object key of this draft (D2)."""
        if len(key) * 2 <= keys.CHUNK_BYTES or not (links := keys.place(self.bucket_id, key).links):
            return
        for table in ("current", "versions", "uploads"):
            changes = [value for (name, _), value in self.rows.items() if name == table]
            if any(value is not None for value in changes):
                self._add_links(table, links)
            elif changes:
                self._remove_links(table, links)

    def _add_links(self, table: str, links: tuple[keys.Link, ...]) -> None:
        for link in links:
            if self.get(table, link.row) is None:
                self.put(table, link.row, link.child)

    def _remove_links(self, table: str, links: tuple[keys.Link, ...]) -> None:
        for link in reversed(links):
            child = keys.level(self.bucket_id, link.child)
            if self.first(table, child, keys.after_prefix(child)) is not None:
                return
            self.drop(table, link.row)

    def result(self) -> list[Row]:
        return [Row(table, key, value) for (table, key), value in self.rows.items()]
