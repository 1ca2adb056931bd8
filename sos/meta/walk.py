"""Scans of a table in the byte order of object keys, entering link rows as they come (invariant K3 of ``keys``)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from ..domain.errors import BadRow
from . import keys
from .rows import open_row

Item = tuple[bytes, bytes, bytes]
"""(object key, row key, value)"""

_END, _ESCAPED = 1, 255


class View(Protocol):
    """Rows as of one moment: a snapshot, or a snapshot with pending changes over it."""

    def get(self, table: str, key: bytes) -> bytes | None: ...

    def scan(
        self, table: str, start: bytes, stop: bytes | None, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]: ...


class Bound(NamedTuple):
    """Where a walk starts: at ``key``, or after that much of what its row keys hold behind it.

    :param tail: appended to the escaped key: empty = from the key itself
    """

    key: bytes
    tail: bytes = b""


def at(key: bytes) -> Bound:
    """From ``key`` on, itself included."""
    return Bound(key)


def after(key: bytes) -> Bound:
    """From the first key above ``key``."""
    return Bound(key, keys.MORE)


def inside(key: bytes, suffix: bytes) -> Bound:
    """From the row of ``key`` that follows the one ending in ``suffix`` (an inverse order, an upload id)."""
    return Bound(key, keys.END + suffix + b"\x00")


def walk(view: View, table: str, bucket_id: int, prefix: bytes, start: Bound) -> Iterator[Item]:
    """Rows of all object keys that begin with ``prefix``, from ``start`` on, in byte order.

    Keys are decoded, values are not. Cost: one seek, and one more for each link row on the way.
    """
    base, passed, rest = keys.root(bucket_id), b"", prefix
    while len(keys.escape(rest)) > keys.CHUNK_BYTES:
        n = keys.cut(rest)
        base = keys.level(bucket_id, keys.child_id(base, keys.escape(rest[:n])))
        passed, rest = passed + rest[:n], rest[n:]
    stop = keys.after_prefix(base + keys.escape(rest))
    if not start.key.startswith(prefix):
        if start.key > prefix:
            return iter(())
        start = at(prefix)
    return _level(view, table, bucket_id, base, passed, Bound(start.key[len(passed) :], start.tail), stop)


def _level(
    view: View, table: str, bucket_id: int, base: bytes, passed: bytes, start: Bound, stop: bytes | None
) -> Iterator[Item]:
    """One level from ``start`` (relative to it) to the row key ``stop``; ``passed`` is the key up to this level."""
    escaped, tail = keys.escape(start.key), start.tail
    if len(escaped) > keys.CHUNK_BYTES:
        n = keys.cut(start.key)
        escaped = keys.escape(start.key[:n])
        child = keys.level(bucket_id, keys.child_id(base, escaped))
        deeper = Bound(start.key[n:], start.tail)
        yield from _level(view, table, bucket_id, child, passed + start.key[:n], deeper, keys.after_prefix(child))
        tail = b"\x00\x03"  # past the link just followed
    skip = len(base)
    for row, value in view.scan(table, base + escaped + tail, stop):
        end = row.find(0, skip)
        mark = row[end + 1]
        if mark == _END:
            yield passed + row[skip:end], row, value
            continue
        if mark == _ESCAPED:
            end, mark = _end_of(row, end)
        piece = passed + keys.unescape(row[skip:end])
        if mark == _END:
            yield piece, row, value
            continue
        child = keys.level(bucket_id, open_row(row, value, bytes))
        yield from _level(view, table, bucket_id, child, piece, at(b""), keys.after_prefix(child))


def _end_of(row: bytes, end: int) -> tuple[int, int]:
    """Where the terminator is, and its second byte, when escaped NUL bytes come before it."""
    while row[end + 1] == _ESCAPED:
        end = row.find(0, end + 2)
        if end < 0:
            raise BadRow("no end of key", row=row.hex())
    return end, row[end + 1]


def any_row(view: View, table: str, start: bytes, stop: bytes | None) -> bool:
    """Whether the range holds anything."""
    return next(iter(view.scan(table, start, stop)), None) is not None
