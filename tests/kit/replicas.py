"""A look at the drives of a stopped server: is each index consistent in itself, and are the replicas equal?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from sos.drive.engine import TABLES
from sos.drive.identity import read_identity
from sos.drive.mapped import MappedEngine
from sos.drive.snapshot import IndexRead
from sos.meta import keys
from sos.meta.records import BucketRecord, ExtentRecord
from sos.meta.rows import open_extent, open_row

from .audit import audit

#: Rows that each drive has of its own.
OWN = ("local", "inline")
#: What a file system may keep for a file's extent tree.
SLACK_BYTES = 1 << 20


@contextmanager
def opened(paths: Sequence[str]) -> Iterator[dict[tuple[int, int], list[tuple[MappedEngine, IndexRead]]]]:
    """(pool, set) → its drives, with a snapshot of each."""
    with ExitStack() as stack:
        sets: dict[tuple[int, int], list[tuple[MappedEngine, IndexRead]]] = {}
        for path in paths:
            identity = read_identity(path)
            assert identity is not None, path
            engine = MappedEngine(path, writer=False)
            stack.callback(engine.close)
            txn = engine.begin_read()
            stack.callback(txn.close)
            sets.setdefault((identity.pool, identity.set), []).append((engine, txn))
        yield sets


def inspect(paths: Sequence[str]) -> int:
    """Assert that all drives of every set are at the same position with the same rows, that each index passes the audit,
    and that no volume holds more blocks than its extents. The number of live extents."""
    with opened(paths) as sets:
        buckets = [
            open_row(row, value, BucketRecord).bucket_id for row, value in sets[0, 0][0][1].scan("buckets", b"", None)
        ]
        extents = 0
        for drives in sets.values():
            _compare([txn for _, txn in drives])
            for _, txn in drives:
                audit(txn, buckets)
            extents += sum(1 for _ in drives[0][1].scan("extents", b"", None))
        return extents


def _compare(views: Sequence[IndexRead]) -> None:
    first, *others = views
    for other in others:
        assert other.last == first.last, [tuple(view.last) for view in views]
        for table in TABLES:
            if table not in OWN:
                assert list(other.scan(table, b"", None)) == list(first.scan(table, b"", None)), table
            elif table == "inline":
                assert [row for row, _ in other.scan(table, b"", None)] == [
                    row for row, _ in first.scan(table, b"", None)
                ]


def leaked_bytes(paths: Sequence[str]) -> int:
    """Blocks in volumes that no extent, live or freed, accounts for, on all drives together."""
    leaked = 0
    with opened(paths) as sets:
        for drives in sets.values():
            for engine, txn in drives:
                held: dict[int, int] = {}
                for row, value in txn.scan("extents", b"", None):
                    record: ExtentRecord = open_extent(row, value)
                    held[keys.extent_place(row)[0]] = held.get(keys.extent_place(row)[0], 0) + record.length
                for volume, allocated in engine.volumes().items():
                    excess = allocated - held.get(volume, 0)
                    leaked += excess if excess > SLACK_BYTES or volume not in held else 0
    return leaked
