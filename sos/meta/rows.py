"""How a value is stored: ``version byte | msgpack | checksum``. See ``FORMAT.md``, "Row values".

The checksum is xxh3_64 over the row's key and everything before it, so that a value of another row never passes.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from xxhash import xxh3_64_digest

from ..domain.errors import BadRow
from .records import CounterRecord, ExtentRecord, ObjectRecord

T = TypeVar("T")

VERSION = b"\x01"
CHECKSUM_BYTES = 8

_encode = msgspec.msgpack.Encoder().encode
_decoders: dict[Any, Any] = {}
_PROBLEMS = (msgspec.DecodeError, msgspec.ValidationError)


def seal(key: bytes, record: object) -> bytes:
    """The stored form of ``record`` (a struct, bytes or an integer) under ``key``."""
    body = VERSION + _encode(record)
    return body + xxh3_64_digest(key + body)


def open_row(key: bytes, value: bytes, kind: type[T]) -> T:
    """The record stored under ``key``.

    :raises BadRow: wrong checksum, an unknown version, or not a ``kind``
    """
    body = value[:-8]
    if xxh3_64_digest(key + body) != value[-8:] or body[:1] != VERSION:
        raise BadRow("checksum or version", row=key.hex())
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.msgpack.Decoder(kind)
    try:
        record: T = decoder.decode(body[1:])
    except _PROBLEMS as error:
        raise BadRow(str(error), row=key.hex()) from error
    return record


def is_sealed(key: bytes, value: bytes) -> bool:
    """Whether a stored value is what was written under ``key``."""
    return xxh3_64_digest(key + value[:-8]) == value[-8:]


_decode_object = msgspec.msgpack.Decoder(ObjectRecord).decode


def open_object(key: bytes, value: bytes) -> ObjectRecord:
    """``open_row`` for the hottest record: GET, HEAD and every line of a listing."""
    body = value[:-8]
    if xxh3_64_digest(key + body) != value[-8:] or body[:1] != VERSION:
        raise BadRow("checksum or version", row=key.hex())
    try:
        return _decode_object(body[1:])
    except _PROBLEMS as error:
        raise BadRow(str(error), row=key.hex()) from error


def open_counter(key: bytes, value: bytes | None) -> CounterRecord:
    """A counter row; zeros where there is none."""
    return CounterRecord() if value is None else open_row(key, value, CounterRecord)


def open_extent(key: bytes, value: bytes) -> ExtentRecord:
    return open_row(key, value, ExtentRecord)
