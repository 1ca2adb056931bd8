"""``mc admin trace``: what every worker does, as it happens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from ...base.board import Board
from ...http.message import Reply
from ...observe.tap import Event, Kind, Listener
from .. import moments
from ..call import Call
from ..streams import EVENTS, LOOK_S, duration_ns, line, streamed

KEEP_ALIVE_S = 1.0
#: Of each worker's events at a time; the rest waits in its ring.
BATCH_BYTES = 128 * 1024

_SWITCHES = {kind.name.lower().replace("_", "-"): kind for kind in Kind if kind.name is not None}
#: What an old client means by ``all``.
_ALL = Kind.S3 | Kind.INTERNAL | Kind.STORAGE | Kind.OS


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a client asks for.

    :param slower_ns: what takes less is left out
    """

    kinds: int
    failures_only: bool
    slower_ns: int

    def has(self, event: Event) -> bool:
        return (event.failed or not self.failures_only) and event.duration_ns >= self.slower_ns


async def trace(call: Call) -> Reply:
    """NDJSON of madmin ``TraceInfo``, without secrets, white space while there is nothing."""
    kinds = Kind(0)
    for name, kind in _SWITCHES.items():
        if call.switch(name):
            kinds |= kind
    if call.switch("all"):
        kinds |= _ALL
    wanted = Wanted(int(kinds), call.switch("err"), duration_ns(call.get("threshold"), 0))
    node = call.services.cluster.facts().endpoint
    return streamed(_events(call.services.observing.board, wanted, node), EVENTS)


async def _events(board: Board, wanted: Wanted, node: str) -> AsyncGenerator[bytes, None]:
    listener, silent_s = Listener(board, wanted.kinds), 0.0
    yield b" "
    while True:
        listener.renew()
        events, lost = listener.take(BATCH_BYTES)
        text = b"".join(event.document + b"\n" for event in events if wanted.has(event))
        if lost:
            text += line(_lost(lost, wanted.kinds, node))
        silent_s = 0.0 if text else silent_s + LOOK_S
        if text or silent_s >= KEEP_ALIVE_S:
            silent_s = 0.0
            yield text or b" "
        if not text:
            await asyncio.sleep(LOOK_S)


def _lost(count: int, kinds: int, node: str) -> dict[str, object]:
    """An event that says that some are missing."""
    return {
        "type": kinds & -kinds,
        "nodename": node,
        "funcname": "trace.Lost",
        "time": moments.show(time.time_ns()),
        "path": "",
        "dur": 0,
        "msg": f"{count} events were lost: this client is too slow",
        "custom": {"lost": str(count)},
    }
