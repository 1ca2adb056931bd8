"""The rows of keys as each drive has them, for people who look for what is wrong. Plain functions for threads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from ..domain.errors import DriveFault, StoreError
from ..drive.engine import DriveEngine, ReadTxn
from ..erasure.set import ErasureSet
from ..meta import keys
from ..meta.rows import open_object

VERSIONS_MAX = 1000


@dataclass(frozen=True, slots=True)
class RawRow:
    """One row.

    :param record: what it says, as plain values; None where it cannot be read
    :param error: why not
    """

    table: str
    key: bytes
    value: bytes
    record: object | None
    error: str = ""


@dataclass(frozen=True, slots=True)
class OnDrive:
    """What one drive has of a key.

    :param position: epoch and sequence of the drive's last operation
    :param error: why nothing could be read
    """

    set: int
    drive: int
    path: str
    position: tuple[int, int]
    rows: tuple[RawRow, ...]
    error: str = ""


class RawRows:
    """:param sets: of all pools"""

    def __init__(self, sets: Sequence[ErasureSet]) -> None:
        self._sets = sets

    def of(self, bucket_id: int, key: bytes) -> list[OnDrive]:
        """Every drive of every set that has a row of the key. Blocking."""
        found = []
        for one in self._sets:
            on = [_look(one.number, i, engine, bucket_id, key) for i, engine in enumerate(one.view.engines) if engine]
            if any(drive.rows for drive in on):
                found += on
        return found


def _look(number: int, drive: int, engine: DriveEngine, bucket_id: int, key: bytes) -> OnDrive:
    try:
        txn = engine.begin_read()
        try:
            rows = tuple(_rows(txn, bucket_id, key))
            return OnDrive(number, drive, engine.path, (txn.last.epoch, txn.last.seq), rows)
        finally:
            txn.close()
    except (DriveFault, StoreError) as error:
        return OnDrive(number, drive, engine.path, (0, 0), (), f"{error.name}: {error}")


def _rows(txn: ReadTxn, bucket_id: int, key: bytes) -> Iterator[RawRow]:
    row = keys.row_key(bucket_id, key)
    value = txn.get("current", row)
    if value is not None:
        yield _row("current", row, value)
    for count, (version, text) in enumerate(txn.scan("versions", *keys.of_key(row))):
        if count == VERSIONS_MAX:
            return
        yield _row("versions", version, text)


def _row(table: str, key: bytes, value: bytes) -> RawRow:
    try:
        return RawRow(table, key, value, _plain(open_object(key, value)))
    except StoreError as error:
        return RawRow(table, key, value, None, f"{error.name}: {error}")


def _plain(value: msgspec.Struct) -> dict[str, object]:
    """Members by name; bytes in hexadecimal."""
    found: dict[str, object] = {}
    for name in value.__struct_fields__:
        item = getattr(value, name)
        if isinstance(item, msgspec.Struct):
            item = _plain(item)
        found[name] = item.hex() if isinstance(item, bytes) else item
    return found
