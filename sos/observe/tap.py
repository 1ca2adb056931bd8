"""Traces of what a worker does, for whoever listens. They cost one look at a shared word while nobody does.

A listener says until when it wants which kinds, and renews that as long as it is there; every worker writes what it does to
its own ring on the board meanwhile. So a listener that is slow, or gone, holds neither memory nor a request: it loses
events, and is told how many.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Mapping, Sequence
from enum import IntFlag
from typing import Any, NamedTuple

import msgspec

from ..base.board import Board
from ..base.rings import Ring

#: For how long a listener wants traces without saying so again.
LEASE_NS = 5_000_000_000
_HEAD = struct.Struct("<IBQ")
_encode = msgspec.json.Encoder().encode


class Kind(IntFlag):
    """What a trace is about; the numbers are those of madmin-go's ``TraceType``."""

    OS = 1
    STORAGE = 2
    S3 = 4
    INTERNAL = 8
    SCANNER = 16
    DECOMMISSION = 32
    HEALING = 64
    BATCH_REPLICATION = 128
    BATCH_KEYROTATION = 256
    BATCH_EXPIRE = 512
    REBALANCE = 1024
    REPLICATION_RESYNC = 2048
    BOOTSTRAP = 4096
    FTP = 8192
    ILM = 16384
    KMS = 32768
    FORMATTING = 65536


_PLACES = {kind: kind.bit_length() - 1 for kind in Kind}


def place_of(kind: Kind) -> int:
    """The word on the board that says until when a kind is wanted."""
    return _PLACES[kind]


class Event(NamedTuple):
    """:param failed: it ended with an error
    :param document: JSON
    """

    kind: int
    failed: bool
    duration_ns: int
    document: bytes


class Tap:
    """What one process writes its traces to."""

    def __init__(self, board: Board, slot: int) -> None:
        self._wanted = board.wanted
        self._ring = Ring(board.trace(slot))

    def wants(self, place: int, now_ns: int) -> bool:
        """Whether anybody listens to a kind.

        :param place: of the kind, by ``place_of``: looking that up each time would cost more than the rest
        :param now_ns: monotonic
        """
        return self._wanted[place] > now_ns

    def put(self, kind: Kind, duration_ns: int, failed: bool, fields: Mapping[str, Any]) -> None:
        """Add an event, with the members of madmin-go's ``TraceInfo`` beyond these. One that is far too long is lost."""
        document = _encode({"type": int(kind), "dur": duration_ns, **fields})
        self._ring.append(_HEAD.pack(kind, failed, duration_ns) + document)


class Listener:
    """Somebody who listens to all processes of a server."""

    def __init__(self, board: Board, kinds: int, now_ns: int | None = None) -> None:
        self._wanted = board.wanted
        self._places = [place for kind, place in _PLACES.items() if kind & kinds]
        self._kinds = kinds
        self._rings = [Ring(board.trace(slot)) for slot in range(board.workers + 1)]
        self._marks = [ring.now() for ring in self._rings]
        self.renew(now_ns)

    def renew(self, now_ns: int | None = None) -> None:
        """Say that somebody still listens."""
        until = (time.monotonic_ns() if now_ns is None else now_ns) + LEASE_NS
        for place in self._places:
            self._wanted[place] = until

    def take(self, bytes_max: int) -> tuple[Sequence[Event], int]:
        """The events since the last call, and how many were lost.

        :param bytes_max: of each process; the rest is for the next call
        """
        found, lost = [], 0
        for i, ring in enumerate(self._rings):
            read = ring.read(self._marks[i], bytes_max)
            self._marks[i] = read.mark
            lost += read.lost
            found += [event for event in map(_event, read.records) if event.kind & self._kinds]
        return found, lost


def _event(record: bytes) -> Event:
    kind, failed, duration_ns = _HEAD.unpack_from(record)
    return Event(kind, failed, duration_ns, record[_HEAD.size :])
