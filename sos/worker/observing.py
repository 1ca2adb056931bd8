"""The part of a worker that shows what it does: counts, traces, and its share of the answers about all workers."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping

from ..admin.observing import Inside, Observing
from ..base.board import Board
from ..http.watch import Watch, rfc3339
from ..mesh.server import Topic
from ..observe.tallies import Tallies
from ..observe.tap import Kind, Tap, place_of
from ..s3.dispatch import NAMES
from ..services.fleet import TOPIC_MEASURES, TOPIC_PROFILE, Fleet
from ..services.profiles import ProfileTopic
from .context import WorkerContext

#: Calls between workers are traced under these names.
_INTERNAL = place_of(Kind.INTERNAL)
_CALLS = {1: "Submit", 2: "Claim", 3: "Fault", 4: "Sweep"}


def endpoint_of(context: WorkerContext) -> str:
    """Host and port of the API, as documents for operators name this server."""
    host, port = context.api_sockets[0].getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = os.uname().nodename
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Observers:
    """What one worker needs to be looked at.

    :param node: host and port of this server
    :param tap: the only one of this process
    """

    def __init__(self, board: Board, fleet: Fleet, node: str, tap: Tap) -> None:
        loop = asyncio.get_running_loop()
        self._node = node
        self.tallies = Tallies(NAMES, board.tally(fleet.slot), loop.call_later)
        self.tap = tap
        self.watch = Watch(self.tallies, self.tap, node)
        self.fleet = fleet
        self.board = board

    def observing(self, inside: Inside) -> Observing:
        """What the admin API is given."""
        return Observing(self.board, NAMES, self.fleet, inside)

    def topics(self, others: Mapping[int, Topic]) -> dict[int, Topic]:
        """The mesh's topics: the others, traced while somebody listens, and those of observing itself."""
        traced = {number: self._traced(_CALLS.get(number, f"Topic{number}"), topic) for number, topic in others.items()}
        return {**traced, TOPIC_MEASURES: self._measures, TOPIC_PROFILE: ProfileTopic()}

    async def _measures(self, payload: bytes) -> bytes:
        """Somebody is going to look at the board: bring it up to date."""
        self.tallies.flush()
        return b""

    def _traced(self, name: str, topic: Topic) -> Topic:
        async def call(payload: bytes) -> bytes:
            began_ns = time.monotonic_ns()
            if not self.tap.wants(_INTERNAL, began_ns):
                return await topic(payload)
            answer, error = b"", ""
            try:
                answer = await topic(payload)
            except Exception as raised:
                error = type(raised).__name__
                raise
            finally:
                span_ns = time.monotonic_ns() - began_ns
                fields = {
                    "nodename": self._node,
                    "funcname": f"mesh.{name}",
                    "time": rfc3339(time.time_ns() - span_ns),
                    "path": "",
                    "bytes": len(payload) + len(answer),
                    "error": error,
                }
                self.tap.put(Kind.INTERNAL, span_ns, bool(error), fields)
            return answer

        return call

    def stop(self) -> None:
        """What was counted stays on the board."""
        self.tallies.flush()
