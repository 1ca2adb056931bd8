"""Which requests are committed lately, and where in the log their outcomes are (O4 of ``owner.py``).

Invariants.

C1  Nothing younger than ``age_s`` is forgotten: so long somebody may offer a proposal again.
C2  What is remembered is in the log: the owner trims nothing from ``first`` on.
C3  Memory is bounded, 16 bytes a place: where so many young ones are remembered that there is no room, ``full`` says so, and the
    owner takes nothing new, which is better than to commit something twice.

A place holds 8 bytes of the request id and the sequence; the log entry there has the whole id, so two ids that begin alike are
told apart. Places are in segments that are filled one after the other and forgotten as wholes, so nothing is ever copied.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator

#: Of one segment, a power of two; 1 MiB.
PLACES = 1 << 16


class _Segment:
    """A hash table with open addressing; a place without a sequence is free."""

    def __init__(self, first: int, places: int) -> None:
        self.first = first
        self.used_s = 0.0
        self.count = 0
        self._mask = places - 1
        self._ids = memoryview(bytearray(places * 8)).cast("Q")
        self._seqs = memoryview(bytearray(places * 8)).cast("Q")

    def add(self, word: int, seq: int) -> None:
        at = word & self._mask
        while self._seqs[at]:
            at = (at + 1) & self._mask
        self._ids[at], self._seqs[at] = word, seq
        self.count += 1

    def find(self, word: int) -> Iterator[int]:
        at = word & self._mask
        while seq := self._seqs[at]:
            if self._ids[at] == word:
                yield seq
            at = (at + 1) & self._mask


class Committed:
    """On the loop.

    :param age_s: seconds for which an id is remembered at least
    :param segments_max: bounds the memory
    :param room: ids that may still be added after ``full`` became true: those of one group
    """

    def __init__(
        self,
        age_s: float,
        segments_max: int,
        room: int,
        places: int = PLACES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._age_s, self._segments_max, self._clock = age_s, segments_max, clock
        self._places = places
        # a quarter stays free, so that a look ends soon
        self._fill = places // 4 * 3
        self._room = room
        if room > self._fill:
            raise ValueError(f"a segment of {self._fill} ids has no room for {room}")
        self._segments: deque[_Segment] = deque()

    @property
    def first(self) -> int | None:
        """The lowest sequence that is remembered."""
        return self._segments[0].first if self._segments else None

    @property
    def most(self) -> int:
        """Ids that can be remembered before ``full``."""
        return self._fill * self._segments_max - self._room

    @property
    def full(self) -> bool:
        """Whether nothing new may be committed, because something young would have to be forgotten for it."""
        self.expire()
        return len(self._segments) == self._segments_max and self._segments[-1].count + self._room > self._fill

    def add(self, request_id: bytes, seq: int) -> None:
        """Remember; sequences are added in their order."""
        if not self._segments or self._segments[-1].count >= self._fill:
            self._segments.append(_Segment(seq, self._places))
        last = self._segments[-1]
        last.add(_word(request_id), seq)
        last.used_s = self._clock()

    def find(self, request_id: bytes) -> list[int]:
        """Sequences where it may be; the newest last."""
        word = _word(request_id)
        return [seq for segment in self._segments for seq in segment.find(word)]

    def expire(self) -> None:
        """Forget what is old enough."""
        until_s = self._clock() - self._age_s
        while self._segments and self._segments[0].used_s <= until_s:
            self._segments.popleft()


def _word(request_id: bytes) -> int:
    return int.from_bytes(request_id[:8], "little")
