"""The footer of an extent, and the places of blocks inside a write buffer. ``FORMAT.md`` has the offsets."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from ..meta.records import DataRef
from .digest import BLAKE3_KEYED, BadShard, digest
from .geometry import DIGEST_BYTES, FOOTER_HEAD, UNIT, Batch, Geometry

MAGIC = b"sosXTENT"
VERSION = 1
_HEAD = struct.Struct(">8sBBBBB3x16sQIII12x")
assert _HEAD.size == FOOTER_HEAD


def _head(ref: DataRef, geometry: Geometry, shard: int) -> bytes:
    return _HEAD.pack(
        MAGIC, VERSION, BLAKE3_KEYED, ref.k, ref.m, shard, ref.data_id, ref.size, ref.block, UNIT, geometry.units
    )


def write_footer(out: memoryview, ref: DataRef, geometry: Geometry, shard: int, key: bytes, digests: bytes | bytearray) -> None:
    """Fill ``out`` (``geometry.footer_length`` bytes) with the footer of one shard."""
    end = FOOTER_HEAD + len(digests)
    out[:FOOTER_HEAD] = _head(ref, geometry, shard)
    out[FOOTER_HEAD:end] = digests
    out[end:] = bytes(len(out) - end)
    out[-DIGEST_BYTES:] = digest(key, out[:-DIGEST_BYTES])


def read_footer(footer: memoryview, ref: DataRef, geometry: Geometry, shard: int, key: bytes) -> bytes:
    """The digests of all units of the shard.

    :raises BadShard: the seal does not match, or a field is not what the record says
    """
    if digest(key, footer[:-DIGEST_BYTES]) != footer[-DIGEST_BYTES:]:
        raise BadShard("the footer does not match its seal")
    if footer[:FOOTER_HEAD] != _head(ref, geometry, shard):
        raise BadShard("the footer describes another extent")
    return bytes(footer[FOOTER_HEAD : FOOTER_HEAD + DIGEST_BYTES * geometry.units])


class Layout:
    """One batch in one buffer: the data blocks in payload order, then the parity blocks, then the footers.

    The payload is received straight into the front of the buffer; nothing is moved afterwards.
    """

    def __init__(self, geometry: Geometry, batch: Batch, view: memoryview) -> None:
        self._geometry = geometry
        self._batch = batch
        self._view = view

    @property
    def payload(self) -> memoryview:
        return self._view[: self._batch.payload]

    def pad(self) -> None:
        """Zero what the payload leaves free of the data blocks."""
        end = self._batch.stripes * self._geometry.k * self._batch.length
        self._view[self._batch.payload : end] = bytes(end - self._batch.payload)

    def stripes(self) -> Iterator[list[memoryview]]:
        """Per stripe its blocks by shard number: ``k`` of data, ``m`` of parity."""
        length, k, m = self._batch.length, self._geometry.k, self._geometry.m
        parity = self._batch.stripes * k * length
        for stripe in range(self._batch.stripes):
            data, check = stripe * k * length, parity + stripe * m * length
            starts = [data + i * length for i in range(k)] + [check + i * length for i in range(m)]
            yield [self._view[at : at + length] for at in starts]

    def footer(self, shard: int) -> memoryview:
        start = self._batch.stripes * self._geometry.n * self._batch.length + shard * self._geometry.footer_length
        return self._view[start : start + self._geometry.footer_length]
