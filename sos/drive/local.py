"""Rows of the table ``local`` that the drive itself keeps: FORMAT.md §4.

A value is a version byte, fixed fields (big-endian), and the xxh3-64 over key, version byte and fields, since
LMDB's pages have no checksum.
"""

from __future__ import annotations

import struct

import xxhash

from ..domain.errors import BadRow
from .engine import Position

PROMISED = b"promised"
LAST = b"last"
VOTING = b"voting"
#: Keys of ``local`` that only the engine writes.
RESERVED = frozenset((PROMISED, LAST, VOTING))

VERSION = 1
_ONE = struct.Struct(">BQ")
_TWO = struct.Struct(">BQQ")
_FLAG = struct.Struct(">BB")
_CHECK_BYTES = 8


def _seal(key: bytes, body: bytes) -> bytes:
    return body + xxhash.xxh3_64_digest(key + body)


def _open(key: bytes, value: bytes | None, layout: struct.Struct) -> tuple[int, ...]:
    if value is None:
        raise BadRow(f"local row {key.decode()} is missing")
    body = value[:-_CHECK_BYTES]
    if len(body) != layout.size or xxhash.xxh3_64_digest(key + body) != value[-_CHECK_BYTES:]:
        raise BadRow(f"local row {key.decode()} is damaged")
    version, *fields = layout.unpack(body)
    if version != VERSION:
        raise BadRow(f"local row {key.decode()} has version {version}, this release reads {VERSION}")
    return tuple(fields)


def seal_promised(epoch: int) -> bytes:
    return _seal(PROMISED, _ONE.pack(VERSION, epoch))


def open_promised(value: bytes | None) -> int:
    return _open(PROMISED, value, _ONE)[0]


def seal_last(last: Position) -> bytes:
    return _seal(LAST, _TWO.pack(VERSION, last.epoch, last.seq))


def open_last(value: bytes | None) -> Position:
    return Position(*_open(LAST, value, _TWO))


def seal_voting(voting: bool) -> bytes:
    return _seal(VOTING, _FLAG.pack(VERSION, voting))


def open_voting(value: bytes | None) -> bool:
    return bool(_open(VOTING, value, _FLAG)[0])
