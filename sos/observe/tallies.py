"""What happened to requests, counted by operation and by bucket.

A worker counts in plain numbers of its own, which costs well under a microsecond a request, and copies what changed to its
part of the board once a second and whenever somebody asks. There they outlive it: the next worker of the slot goes on
where it stopped, so no sum ever goes back, and any worker can answer for all of them.

Layout of a slot's part, in words of 8 bytes: a row of 32 words for each operation in the order of the table of operations,
the one behind them for requests that are none, then rows of 16 words for (bucket, operation), each found by its first word.
"""

from __future__ import annotations

import zlib
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

#: Upper bounds of MinIO's distribution of times to the first byte.
BOUNDS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_BOUNDS_NS = tuple(int(bound * 1_000_000_000) for bound in BOUNDS_S)
BUCKETS = len(BOUNDS_S) + 1

ROW_WORDS, CELL_WORDS = 32, 16
(_REQUESTS, _CLIENT_ERRORS, _SERVER_ERRORS, _CANCELED, _RECEIVED, _SENT, _FIRST_NS, _WHOLE_NS, _UNDER_WAY) = range(9)
_FIRST = 9
_WHOLE = _FIRST + BUCKETS
(_KEY, _CELL_REQUESTS, _CELL_CLIENT, _CELL_SERVER, _CELL_CANCELED, _CELL_RECEIVED, _CELL_SENT) = range(7)
_CELL_FIRST = 7
#: Requests that are no operation count here.
UNROUTED = ""
FLUSH_S = 1.0
#: Bits of a cell's key that name the operation.
_OPERATION_BITS = 16


class Tally(NamedTuple):
    """What happened to the requests of one operation.

    :param client_errors: replies of 400 to 499; ``server_errors`` from 500 on
    :param canceled: whose client left before the end
    :param received: bytes of bodies; ``sent`` the same of replies
    :param first_s: sum of the times to the first byte; ``first`` how many took at most as long as each bound, not summed up
    :param whole_s: the same until the reply was sent
    :param under_way: at this moment
    """

    requests: int = 0
    client_errors: int = 0
    server_errors: int = 0
    canceled: int = 0
    received: int = 0
    sent: int = 0
    first_s: float = 0.0
    whole_s: float = 0.0
    under_way: int = 0
    first: tuple[int, ...] = (0,) * BUCKETS
    whole: tuple[int, ...] = (0,) * BUCKETS


class Cell(NamedTuple):
    """The same of one operation in one bucket."""

    requests: int
    client_errors: int
    server_errors: int
    canceled: int
    received: int
    sent: int
    first: tuple[int, ...]


@dataclass(slots=True)
class Tallies:
    """Counts of one worker.

    :param names: of the operations
    :param words: this slot's part of the board
    :param later: runs something in so many seconds; None: it is flushed when asked only
    """

    names: Sequence[str]
    words: memoryview
    later: Callable[[float, Callable[[], None]], object] | None = None
    _rows: list[list[int]] = field(init=False)
    _cells: dict[int, tuple[list[int], int]] = field(init=False, default_factory=dict)
    _numbers: dict[str, int] = field(init=False)
    _dirty: set[int] = field(init=False, default_factory=set)
    _dirty_cells: set[int] = field(init=False, default_factory=set)
    _places: dict[tuple[str, int], list[int]] = field(init=False, default_factory=dict)
    _cells_at: int = field(init=False)
    _flushing: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        count = len(self.names) + 1
        self._numbers = {name: i for i, name in enumerate((*self.names, UNROUTED))}
        self._rows = [list(self.words[i * ROW_WORDS : (i + 1) * ROW_WORDS]) for i in range(count)]
        self._cells_at = count * ROW_WORDS
        for i, row in enumerate(self._rows):
            if row[_UNDER_WAY]:  # of the predecessor, which died
                row[_UNDER_WAY] = self.words[i * ROW_WORDS + _UNDER_WAY] = 0
        for at in range(self._cells_at, len(self.words) - CELL_WORDS + 1, CELL_WORDS):
            if not self.words[at]:
                break
            self._cells[self.words[at]] = (list(self.words[at : at + CELL_WORDS]), at)

    def __getitem__(self, name: str) -> Tally:
        """What this slot counted of an operation."""
        return tally_of(self._rows[self._numbers[name]])

    # -- counting --------------------------------------------------------------------------------------

    def begin(self, name: str) -> int:
        """A request whose operation is known from now on; the number to count it under."""
        number = self._numbers[name]
        self._rows[number][_UNDER_WAY] += 1
        self._dirty.add(number)
        return number

    def count(
        self, number: int, bucket: str, status: int, first_ns: int, whole_ns: int, received: int, sent: int, whole: bool
    ) -> None:
        """A request that has ended.

        :param bucket: empty for none
        :param first_ns: until its reply was ready; ``whole_ns`` until that was sent
        :param whole: False where the client left before the end
        """
        row, place = self._rows[number], bisect_left(_BOUNDS_NS, first_ns)
        row[_REQUESTS] += 1
        row[_UNDER_WAY] -= 1
        row[_FIRST_NS] += first_ns
        row[_WHOLE_NS] += whole_ns
        row[_FIRST + place] += 1
        row[_WHOLE + bisect_left(_BOUNDS_NS, whole_ns)] += 1
        row[_RECEIVED] += received
        row[_SENT] += sent
        cell = self._places.get((bucket, number)) or (self._place(bucket, number, status) if bucket else None)
        if cell is not None:
            cell[_CELL_REQUESTS] += 1
            cell[_CELL_FIRST + place] += 1
            cell[_CELL_RECEIVED] += received
            cell[_CELL_SENT] += sent
            self._dirty_cells.add(cell[_KEY])
        if status >= 400 or not whole:
            _fault(row, cell, status, whole)
        self._dirty.add(number)
        if not self._flushing:
            self._flush_later()

    def _place(self, bucket: str, number: int, status: int) -> list[int] | None:
        """Where an operation on a bucket is counted. Only one that ended well once gets a place: names that are tried
        out cannot fill the table."""
        key = key_of(bucket, number)
        at = self._cells_at + len(self._cells) * CELL_WORDS
        found = self._cells.get(key)
        if found is None and (status >= 400 or at + CELL_WORDS > len(self.words)):
            return None
        cell, _ = found = found or ([key] + [0] * (CELL_WORDS - 1), at)
        self._cells[key] = found
        self._places[bucket, number] = cell
        return cell

    def _flush_later(self) -> None:
        if self.later is not None:
            self._flushing = True
            self.later(FLUSH_S, self.flush)

    # -- the board -------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Copy what changed to the board. A cell's key comes last: readers take it for whole from then on."""
        self._flushing = False
        words = self.words
        for number in self._dirty:
            at = number * ROW_WORDS
            for i, value in enumerate(self._rows[number]):
                words[at + i] = value
        self._dirty.clear()
        for key in self._dirty_cells:
            cell, at = self._cells[key]
            for i in range(CELL_WORDS - 1, -1, -1):
                words[at + i] = cell[i]
        self._dirty_cells.clear()


def _fault(row: list[int], cell: list[int] | None, status: int, whole: bool) -> None:
    server = status >= 500
    if status >= 400:
        row[_SERVER_ERRORS if server else _CLIENT_ERRORS] += 1
    row[_CANCELED] += not whole
    if cell is not None:
        if status >= 400:
            cell[_CELL_SERVER if server else _CELL_CLIENT] += 1
        cell[_CELL_CANCELED] += not whole


def key_of(bucket: str, number: int) -> int:
    """The key of the cell of a bucket and an operation: 48 bits of the name's checksums, and the number plus one."""
    raw = bucket.encode()
    mixed = zlib.crc32(raw) << 16 | zlib.crc32(raw[::-1]) & 0xFFFF
    return mixed << _OPERATION_BITS | number + 1


def tally_of(row: Sequence[int]) -> Tally:
    """What a row says."""
    return Tally(
        row[_REQUESTS],
        row[_CLIENT_ERRORS],
        row[_SERVER_ERRORS],
        row[_CANCELED],
        row[_RECEIVED],
        row[_SENT],
        row[_FIRST_NS] / 1e9,
        row[_WHOLE_NS] / 1e9,
        row[_UNDER_WAY],
        tuple(row[_FIRST:_WHOLE]),
        tuple(row[_WHOLE : _WHOLE + BUCKETS]),
    )


def summed(names: Sequence[str], slots: Iterable[memoryview]) -> dict[str, Tally]:
    """The counts of all slots together, by operation, for those that were asked for at all."""
    found: dict[str, Tally] = {}
    parts = list(slots)
    for i, name in enumerate((*names, UNROUTED)):
        rows = [part[i * ROW_WORDS : (i + 1) * ROW_WORDS].tolist() for part in parts]
        row = [sum(values) for values in zip(*rows, strict=True)]
        if any(row):
            found[name] = tally_of(row)
    return found


def summed_by_bucket(
    names: Sequence[str], slots: Iterable[memoryview], buckets: Iterable[str]
) -> Iterator[tuple[str, str, Cell]]:
    """Bucket, operation and what all slots counted of it; for the buckets named only."""
    sums: dict[int, list[int]] = {}
    for part in slots:
        for at in range((len(names) + 1) * ROW_WORDS, len(part) - CELL_WORDS + 1, CELL_WORDS):
            key, *values = part[at : at + CELL_WORDS].tolist()
            if not key:
                break
            old = sums.setdefault(key, [0] * len(values))
            sums[key] = [a + b for a, b in zip(old, values, strict=True)]
    mask = (1 << _OPERATION_BITS) - 1
    known = {key_of(bucket, 0) & ~mask: bucket for bucket in buckets}
    for key, values in sums.items():
        bucket, number = known.get(key & ~mask), (key & mask) - 1
        if bucket is not None and number < len(names):
            first = tuple(values[_CELL_FIRST - 1 : _CELL_FIRST - 1 + BUCKETS])
            requests, client, server, canceled, received, sent = values[: _CELL_FIRST - 1]
            yield bucket, names[number], Cell(requests, client, server, canceled, received, sent, first)
