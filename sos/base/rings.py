"""Records that one process writes and every process reads, in memory that they share: log lines and traces.

A ring forgets its oldest records when it needs their place: a reader that is too slow loses records and learns how many,
and a writer never waits for anybody.

Layout: words of 8 bytes in native order (*oldest*, *done*, *sequence*, five unused), then the records. Positions count all
bytes ever written; a record lies at its position modulo the length. A record: length (4 bytes, little-endian) and CRC-32 (4)
of its payload, sequence (8), payload, padding to 8 bytes.

Invariants:

1. What lies between *oldest* and *done* is whole: *oldest* moves past a record before a byte of it is overwritten, *done*
   moves behind a record when all of it is written. A writer that is killed in between leaves nothing half written there.
2. A reader copies first and then looks at *oldest* again: what lies before it may have been overwritten meanwhile and
   does not count. The checksum catches what a processor reordered.
3. One process writes at a time; its threads take turns.
"""

from __future__ import annotations

import struct
import threading
import zlib
from typing import NamedTuple

WORDS = 8
HEAD_BYTES = WORDS * 8
_OLDEST, _DONE, _SEQUENCE = range(3)
_HEAD = struct.Struct("<IIQ")
#: The share of a ring that one record may take.
RECORD_SHARE = 8


class Mark(NamedTuple):
    """How far somebody has read: the position of the next record and its sequence."""

    position: int = 0
    sequence: int = 0


class Read(NamedTuple):
    """:param lost: records that were overwritten before they could be read"""

    records: list[bytes]
    mark: Mark
    lost: int


class Ring:
    """One ring over some shared memory, whose length is a multiple of 8. Make it anew in each process."""

    def __init__(self, memory: memoryview) -> None:
        self._words = memory[:HEAD_BYTES].cast("Q")
        self._body = memory[HEAD_BYTES:]
        self._size = len(self._body)
        self._turn = threading.Lock()
        self.record_bytes_max = self._size // RECORD_SHARE - _HEAD.size

    def append(self, record: bytes) -> bool:
        """Add a record; False for one that is too long, which counts as lost."""
        with self._turn:
            words = self._words
            sequence = words[_SEQUENCE]
            fits = len(record) <= self.record_bytes_max
            if fits:
                step = _step(len(record))
                at = words[_DONE]
                self._make_room(at + step)
                self._put(at, _HEAD.pack(len(record), zlib.crc32(record), sequence) + record)
            words[_SEQUENCE] = sequence + 1
            if fits:
                words[_DONE] = at + step
            return fits

    def _make_room(self, end: int) -> None:
        words = self._words
        oldest = words[_OLDEST]
        while end - oldest > self._size:
            oldest += _step(_HEAD.unpack(self._get(oldest, _HEAD.size))[0])
        words[_OLDEST] = oldest

    def _put(self, at: int, data: bytes) -> None:
        start = at % self._size
        first = min(len(data), self._size - start)
        self._body[start : start + first] = data[:first]
        self._body[: len(data) - first] = data[first:]

    def _get(self, at: int, count: int) -> bytes:
        start = at % self._size
        first = min(count, self._size - start)
        return bytes(self._body[start : start + first]) + bytes(self._body[: count - first])

    def now(self) -> Mark:
        """Behind the newest record."""
        return Mark(self._words[_DONE], self._words[_SEQUENCE])

    def oldest(self) -> Mark:
        """At the oldest record that is left."""
        position = self._words[_OLDEST]
        if position == self._words[_DONE]:
            return self.now()
        return Mark(position, _HEAD.unpack(self._get(position, _HEAD.size))[2])

    def read(self, mark: Mark, bytes_max: int) -> Read:
        """The records from a mark on, until they are ``bytes_max`` or a little more."""
        words = self._words
        done = words[_DONE]
        begin = max(mark.position, words[_OLDEST])
        data = self._get(begin, max(0, min(done - begin, bytes_max + self._size // RECORD_SHARE)))
        skipped = max(0, words[_OLDEST] - begin)
        return _parse(data[skipped:], begin + skipped, mark.sequence, bytes_max)


def _parse(data: bytes, position: int, expected: int, bytes_max: int) -> Read:
    records, lost, at, taken = [], 0, 0, 0
    while at + _HEAD.size <= len(data) and taken < bytes_max:
        length, check, sequence = _HEAD.unpack_from(data, at)
        record = data[at + _HEAD.size : at + _HEAD.size + length]
        if len(record) < length or zlib.crc32(record) != check:
            break
        lost += max(0, sequence - expected)
        expected = sequence + 1
        records.append(record)
        taken += length
        at += _step(length)
    return Read(records, Mark(position + at, expected), lost)


def _step(length: int) -> int:
    """Bytes that a record takes."""
    return (_HEAD.size + length + 7) & ~7
