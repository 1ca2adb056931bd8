"""Where the bytes of a payload are: stripes, blocks, shards, verification units. Pure arithmetic.

A payload is cut into stripes of ``k`` blocks; block ``i`` of every stripe belongs to shard ``i``, and ``m`` parity
blocks are computed per stripe. What is left after the full stripes is the tail stripe, whose blocks are shorter:
an ``k``-th of the rest, rounded up to :data:`ALIGN`. ``FORMAT.md`` beside this file has the layout on the drive.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from ..meta.records import DataRef

#: Every offset and length on a drive is a multiple of this (O_DIRECT).
ALIGN = 4096
#: Bytes under one digest; a unit never crosses a block.
UNIT = 256 * 1024
#: Bytes of one drive that one write call should carry.
WRITE_BYTES = 1024 * 1024
#: Bytes of the fixed head of a footer, of a digest, and of the seal at its end.
FOOTER_HEAD = 64
DIGEST_BYTES = 32

_RESERVE_FIRST = 16 * 1024 * 1024
_RESERVE_STEP = 256 * 1024 * 1024


def round_up(value: int, step: int) -> int:
    return -(-value // step) * step


def block_size(k: int) -> int:
    """Bytes per drive and stripe (B) of a new object with ``k`` data shards."""
    if k <= 4:
        return 1024 * 1024
    return 512 * 1024 if k <= 8 else 256 * 1024


def drive_of(data_id: bytes, shard: int, drives: int) -> int:
    """The drive, by its position in the set, that holds a shard. Rotated, so that parity spreads over the drives."""
    return (shard + data_id[0]) % drives


def shard_of(data_id: bytes, drive: int, drives: int) -> int:
    """The inverse of :func:`drive_of`."""
    return (drive - data_id[0]) % drives


def reserve_target(needed: int, total: int) -> int:
    """Bytes of an extent to have reserved once ``needed`` are about to be written: doubling, in bounded steps, so that
    a client which announces terabytes and sends nothing holds little."""
    return min(total, max(_RESERVE_FIRST, min(2 * needed, needed + _RESERVE_STEP)))


class Batch(NamedTuple):
    """Stripes that are received, encoded and written in one go.

    :param first: number of the first stripe
    :param stripes: how many; more than one only of full stripes
    :param length: bytes of each block
    :param payload: payload bytes in it (the rest is padding)
    :param last: nothing but the footer follows
    """

    first: int
    stripes: int
    length: int
    payload: int
    last: bool


class Segment(NamedTuple):
    """A run of payload bytes inside one block."""

    stripe: int
    shard: int
    offset: int
    length: int


@dataclass(frozen=True)
class Geometry:
    """The layout of one payload of ``size`` bytes over ``k`` data and ``m`` parity shards in blocks of ``block``."""

    size: int
    k: int
    m: int
    block: int

    @classmethod
    def of(cls, ref: DataRef) -> Geometry:
        return cls(ref.size, ref.k, ref.m, ref.block)

    @property
    def n(self) -> int:
        return self.k + self.m

    @property
    def stripe(self) -> int:
        """Payload bytes of a full stripe."""
        return self.k * self.block

    @cached_property
    def full(self) -> int:
        """Number of full stripes."""
        return self.size // self.stripe

    @cached_property
    def tail(self) -> int:
        """Bytes of each block of the tail stripe; 0 when there is none."""
        return round_up(-(-(self.size % self.stripe) // self.k), ALIGN)

    @property
    def stripes(self) -> int:
        return self.full + (1 if self.tail else 0)

    @property
    def shard_length(self) -> int:
        """Bytes of blocks on each drive."""
        return self.full * self.block + self.tail

    @property
    def units(self) -> int:
        """Number of verification units of one shard."""
        return self.full * self._units_per_block + -(-self.tail // UNIT)

    @property
    def footer_length(self) -> int:
        return round_up(FOOTER_HEAD + DIGEST_BYTES * (self.units + 1), ALIGN)

    @property
    def extent_length(self) -> int:
        """Bytes of the whole extent on each drive."""
        return self.shard_length + self.footer_length

    @property
    def _units_per_block(self) -> int:
        return -(-self.block // UNIT)

    def block_length(self, stripe: int) -> int:
        return self.block if stripe < self.full else self.tail

    def block_offset(self, stripe: int) -> int:
        """Where the block of a stripe starts in its extent."""
        return stripe * self.block

    def unit_number(self, stripe: int, offset: int) -> int:
        """Number, in the footer, of the unit that holds byte ``offset`` of a block."""
        return stripe * self._units_per_block + offset // UNIT

    def unit_span(self, stripe: int, start: int, stop: int) -> tuple[int, int]:
        """The whole units of a block that cover its bytes ``start`` to ``stop``."""
        return start // UNIT * UNIT, min(round_up(stop, UNIT), self.block_length(stripe))

    def batches(self) -> Iterator[Batch]:
        """The payload in the order in which it is written."""
        most = max(1, WRITE_BYTES // self.block)
        for first in range(0, self.full, most):
            count = min(most, self.full - first)
            last = not self.tail and first + count == self.full
            yield Batch(first, count, self.block, count * self.stripe, last)
        if self.tail:
            yield Batch(self.full, 1, self.tail, self.size - self.full * self.stripe, True)

    def buffer_bytes(self) -> int:
        """Bytes that hold any batch with all its shards, and the footers behind the last one."""
        most = min(max(1, WRITE_BYTES // self.block), self.full)
        body = self.n * max(most * self.block, self.tail)
        return body + self.n * self.footer_length

    def segments(self, start: int, length: int) -> Iterator[Segment]:
        """The blocks that hold payload bytes ``start`` to ``start + length``, in order."""
        position, end = start, min(start + length, self.size)
        while position < end:
            stripe = min(position // self.stripe, self.full)
            block = self.block_length(stripe)
            shard, offset = divmod(position - stripe * self.stripe, block)
            run = min(block - offset, end - position)
            yield Segment(stripe, shard, offset, run)
            position += run


def inline_length(size: int, k: int) -> int:
    """Bytes of each shard of an inline payload, without the head of the stored value."""
    return -(-size // k)
