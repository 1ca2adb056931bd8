"""What happens to every request: counted always, traced while somebody listens."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from ..base.board import Board
from ..observe import redact
from ..observe.names import minio_name
from ..observe.tallies import UNROUTED, Tallies
from ..observe.tap import Kind, Tap, place_of
from .message import Reply, Request

#: Of an error's document in a trace; a longer one is left out.
BODY_BYTES_MAX = 4096
S3 = "s3."
UNKNOWN = "<unknown>"
_INTERNAL, _S3 = place_of(Kind.INTERNAL), place_of(Kind.S3)


class Watch:
    """The counts and traces of one worker.

    :param node: host and port of this server, as traces name it
    """

    def __init__(self, tallies: Tallies, tap: Tap, node: str) -> None:
        self.tallies = tallies
        self._tap = tap
        self._node = node

    @classmethod
    def alone(cls, names: Sequence[str]) -> Watch:
        """For a process of its own: nobody else looks."""
        board = Board(1)
        return cls(Tallies(names, board.tally(0)), Tap(board, 0), "")

    def answered(
        self, request: Request, reply: Reply, number: int | None, name: str, bucket: str, began_ns: int
    ) -> None:
        """A request is answered: have the reply tell when it was sent.

        :param number: what its operation is counted under; None for what is none of S3 and is not counted
        :param name: of the operation, empty where there is none
        """
        if number is None and not request.name:
            number = self.tallies.begin(UNROUTED)
        first_ns = time.monotonic_ns() - began_ns
        reply.ended = partial(self._ended, request, reply, number, name, bucket, began_ns, first_ns)

    def _ended(
        self,
        request: Request,
        reply: Reply,
        number: int | None,
        name: str,
        bucket: str,
        began_ns: int,
        first_ns: int,
        whole: bool,
    ) -> None:
        now_ns = time.monotonic_ns()
        length = request.body.length
        received = length - request.body.left if length else 0
        sent = _length(request, reply) if whole else 0
        if number is not None:
            whole_ns = now_ns - began_ns
            self.tallies.count(number, bucket, reply.status, first_ns, whole_ns, received, sent, whole)
        if self._tap.wants(_INTERNAL if request.name else _S3, now_ns):
            kind = Kind.INTERNAL if request.name else Kind.S3
            shown = request.name or (S3 + minio_name(name) if name else UNKNOWN)
            event = _event(request, reply, (received, sent), (first_ns, now_ns - began_ns))
            if not whole:
                event["error"] = "the client left"
            fields = {"nodename": self._node, "funcname": shown, **event}
            self._tap.put(kind, now_ns - began_ns, reply.status >= 400 or not whole, fields)


def _length(request: Request, reply: Reply) -> int:
    if request.method == "HEAD" or reply.status in (204, 304):
        return 0
    return len(reply.body) if isinstance(reply.body, bytes) else reply.body.length


def _event(request: Request, reply: Reply, counts: tuple[int, int], spans_ns: tuple[int, int]) -> dict[str, Any]:
    """The members of madmin-go's ``TraceInfo`` that tell of HTTP.

    :param counts: bytes of the two bodies
    :param spans_ns: until the first byte, until the last
    """
    received = counts[0] + sum(len(name) + len(value) for name, value in request.headers.items)
    path = request.path.decode("utf-8", "replace")
    asked = {
        "time": rfc3339(request.received_ns),
        "proto": "HTTP/1.0" if request.http10 else "HTTP/1.1",
        "method": request.method,
        "path": path,
        "rawquery": redact.query(request.query.decode("utf-8", "replace")),
        "headers": redact.fields(request.headers.items),
        "client": request.peer,
    }
    answered: dict[str, Any] = {
        "time": rfc3339(request.received_ns + spans_ns[1]),
        "headers": redact.fields([*reply.headers, ("x-amz-request-id", request.request_id)]),
        "statuscode": reply.status,
    }
    if reply.status >= 400 and isinstance(reply.body, bytes) and 0 < len(reply.body) <= BODY_BYTES_MAX:
        answered["body"] = reply.body
    stats = {"inputbytes": received, "outputbytes": counts[1], "latency": spans_ns[1], "timetofirstbyte": spans_ns[0]}
    return {
        "time": asked["time"],
        "path": path,
        "bytes": received + counts[1],
        "http": {"request": asked, "response": answered, "stats": stats},
    }


def rfc3339(ns: int) -> str:
    """A wall clock time."""
    seconds, rest = divmod(ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"
