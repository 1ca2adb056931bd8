"""The log of one drive: a row of ``oplog`` for each operation (``sos/meta/FORMAT.md``), read and copied."""

from __future__ import annotations

from collections.abc import Iterator

from ..domain.errors import DriveFault
from ..drive.engine import ReadTxn, Row
from ..meta import keys
from ..meta.records import LogEntry
from ..meta.rows import open_row

#: Table and key of changed rows, in the order of their first change.
Touched = dict[tuple[str, bytes], None]


def first(txn: ReadTxn) -> int:
    """The lowest sequence in the log; one more than the position where it is empty."""
    for key, _ in txn.scan("oplog", b"", None):
        return int.from_bytes(key, "big")
    return txn.last.seq + 1


def entry(txn: ReadTxn, seq: int) -> LogEntry:
    """:raises DriveFault: it is not in the log"""
    key = keys.log_row(seq)
    value = txn.get("oplog", key)
    if value is None:
        raise DriveFault(f"operation {seq} is missing in the log")
    return open_row(key, value, LogEntry)


def entries(txn: ReadTxn, after: int, upto: int) -> Iterator[LogEntry]:
    """Entries with after < sequence <= upto."""
    for key, value in txn.scan("oplog", keys.log_row(after + 1), keys.log_row(upto + 1)):
        yield open_row(key, value, LogEntry)


def touched(txn: ReadTxn, after: int, upto: int) -> Touched:
    """Keys changed by a stretch of the log."""
    found: Touched = {}
    for one in entries(txn, after, upto):
        found.update(dict.fromkeys(one.keys))
    return found


def copied(source: ReadTxn, after: int, upto: int) -> list[Row]:
    """The rows of a stretch of the log, for another drive."""
    start, stop = keys.log_row(after + 1), keys.log_row(upto + 1)
    return [Row("oplog", key, value) for key, value in source.scan("oplog", start, stop)]


def dropped(mine: ReadTxn, since: int, last: int) -> list[Row]:
    """Rows that take away the entries before ``since`` and after ``last``."""
    doomed = [key for key, _ in mine.scan("oplog", b"", keys.log_row(since))]
    doomed += [key for key, _ in mine.scan("oplog", keys.log_row(last + 1), None)]
    return [Row("oplog", key, None) for key in doomed]
