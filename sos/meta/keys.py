"""Keys of rows. See ``FORMAT.md``, "Row keys": every form with its offsets.

An index key holds 511 bytes and an object key up to 1,024 of any value, so a long one is cut: its first piece is a
*link row* that leads to a child range. All forms keep the byte order of the object keys (property test: test_keys).

Invariants:

K1  The row key is a pure function of (bucket id, object key).
K2  Different object keys have different row keys, and none is a prefix of another.
K3  A scan of a level that enters the child range of each link row as it meets it sees the keys in byte order.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

from blake3 import blake3

#: Bytes of an object key (S3).
KEY_BYTES_MAX = 1024
#: Escaped bytes of an object key in one row key.
CHUNK_BYTES = 400
#: Ends an object key; sorts before every continuation of it.
END = b"\x00\x01"
#: Ends the piece of a key that continues in a child range.
MORE = b"\x00\x02"
CHILD_ID_BYTES = 16
#: Stands for the null version (empty id) in ``vids``; never the id of a version.
NULL_VERSION = bytes(16)
ORDER_MAX = (1 << 64) - 1

_NUL, _NUL_ESCAPED = b"\x00", b"\x00\xff"
_id = Struct(">Q").pack
_extent = Struct(">QQ")


class Link(NamedTuple):
    """A link row: ``row`` is its key, ``child`` the id of the range it leads to."""

    row: bytes
    child: bytes


class Place(NamedTuple):
    """Where an object key is: its row key and the links on the way, outermost first."""

    row: bytes
    links: tuple[Link, ...]


def escape(raw: bytes) -> bytes:
    return raw.replace(_NUL, _NUL_ESCAPED) if _NUL in raw else raw


def unescape(escaped: bytes) -> bytes:
    return escaped.replace(_NUL_ESCAPED, _NUL) if _NUL in escaped else escaped


def cut(raw: bytes) -> int:
    """How many bytes of ``raw`` make the longest piece of at most ``CHUNK_BYTES`` escaped bytes."""
    n = min(len(raw), CHUNK_BYTES)
    while n + raw.count(_NUL, 0, n) > CHUNK_BYTES:
        n -= 1
    return n


def root(bucket_id: int) -> bytes:
    """The level where all keys of a bucket start."""
    return _id(bucket_id) + b"\x00"


def level(bucket_id: int, child: bytes) -> bytes:
    """The child range of a link."""
    return _id(bucket_id) + b"\x01" + child


def child_id(parent: bytes, chunk: bytes) -> bytes:
    """The id of the child range below ``chunk`` (escaped) on the level ``parent``."""
    return blake3(parent + chunk).digest(length=CHILD_ID_BYTES)


def row_key(bucket_id: int, key: bytes) -> bytes:
    """The key in ``current``; rows of ``versions``, ``vids`` and ``uploads`` begin with it."""
    if _NUL not in key and len(key) <= CHUNK_BYTES:
        return _id(bucket_id) + b"\x00" + key + END
    return place(bucket_id, key).row


def place(bucket_id: int, key: bytes) -> Place:
    """The row key with the links that lead to it."""
    parent, links = root(bucket_id), []
    while len(escaped := escape(key)) > CHUNK_BYTES:
        n = cut(key)
        chunk = escape(key[:n])
        child = child_id(parent, chunk)
        links.append(Link(parent + chunk + MORE, child))
        parent, key = level(bucket_id, child), key[n:]
    return Place(parent + escaped + END, tuple(links))


def after_prefix(prefix: bytes) -> bytes | None:
    """The smallest byte string above everything that starts with ``prefix``; None when there is none."""
    head = prefix.rstrip(b"\xff")
    return head[:-1] + bytes((head[-1] + 1,)) if head else None


def of_key(row: bytes) -> tuple[bytes, bytes]:
    """The range of all rows of a table that begin with a row key (its versions, or its uploads)."""
    return row, row[:-1] + b"\x02"


def of_bucket(bucket_id: int) -> tuple[bytes, bytes | None]:
    """The range of all rows of a bucket, child ranges included."""
    prefix = _id(bucket_id)
    return prefix, after_prefix(prefix)


def version_row(row: bytes, order: int) -> bytes:
    """A row of ``versions``: newest first."""
    return row + _id(ORDER_MAX - order)


def order_of(version: bytes) -> int:
    """The version order in the key of a row of ``versions``."""
    return ORDER_MAX - int.from_bytes(version[-8:], "big")


def vid_row(row: bytes, version_id: bytes) -> bytes:
    """A row of ``vids``: 16 zero bytes stand for the null version."""
    return row + (version_id or NULL_VERSION)


def upload_row(row: bytes, upload_id: bytes) -> bytes:
    return row + upload_id


def part_row(bucket_id: int, upload_id: bytes, number: int) -> bytes:
    """A row of ``parts``; those of one upload are in order of their numbers."""
    return _id(bucket_id) + upload_id + number.to_bytes(4, "big")


def parts_of(bucket_id: int, upload_id: bytes, after: int = 0) -> tuple[bytes, bytes]:
    """The range of an upload's parts with numbers above ``after``."""
    return part_row(bucket_id, upload_id, after + 1), part_row(bucket_id, upload_id, 0xFFFFFFFF)


def extent_row(volume: int, offset: int) -> bytes:
    return _extent.pack(volume, offset)


def extent_place(row: bytes) -> tuple[int, int]:
    """Volume and offset of a row of ``extents``."""
    volume, offset = _extent.unpack(row)
    return volume, offset


def counter_row(bucket_id: int, storage_class: str) -> bytes:
    return _id(bucket_id) + storage_class.encode()


def fence_row(bucket_id: int) -> bytes:
    return _id(bucket_id)


def log_row(seq: int) -> bytes:
    """A row of ``oplog``."""
    return _id(seq)


def undo_row(seq: int, order: int) -> bytes:
    """A row of ``undo``: the operation that removed, and the order of the removed version."""
    return _extent.pack(seq, order)


#: Before the keys of release rows, which stand in ``undo`` after all others.
RELEASES = _id(ORDER_MAX)


def release_row(seq: int, number: int) -> bytes:
    """A row of ``undo`` with what the operation ``seq`` left to be freed; in the order in which it is."""
    return RELEASES + _extent.pack(seq, number)


def is_release(row: bytes) -> bool:
    """Whether a row of ``undo`` is a release row."""
    return row.startswith(RELEASES)


def bucket_row(name: str) -> bytes:
    return name.encode()
