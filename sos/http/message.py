"""Requests and replies, free of any framework. ``sanic_app.py`` makes the one and sends the other."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ..domain.body import BodyStream


class RawBody(Protocol):
    """The bytes of a request after its head, still in whatever framing the client used.

    HTTP framing (Content-Length, or the chunked coding that SDKs use over TLS) is taken care of here; aws-chunked is
    not (``sos/s3/auth``). With the chunked coding the header ``transfer-encoding`` is there, ``length`` is None and
    ``left`` is 0: read until ``read_some`` gives nothing.
    """

    @property
    def length(self) -> int | None:
        """Content-Length in bytes, None when the request has none."""

    @property
    def left(self) -> int:
        """Bytes of ``length`` not handed out so far."""

    async def read_all(self, most: int) -> bytes:
        """The whole rest, at most ``most`` bytes.

        :raises EntityTooLarge: the rest is longer than ``most``
        :raises IncompleteBody, BodyTimeout, ClientGone
        """

    async def read_some(self, most: int) -> bytes:
        """At least one byte unless the body has ended (then empty), at most ``most``."""

    async def fill(self, views: Sequence[memoryview], then: Callable[[], None] | None = None) -> None:
        """Fill all views in order, moving the bytes in a pool thread without a copy through Python objects, then call
        ``then`` in that thread (hashing, verification). Waiting for a slow client holds no thread.

        :raises IncompleteBody, BodyTimeout, ClientGone; and whatever ``then`` raises
        """


class Headers:
    """Header fields in the order received; names in lower case, values as the exact bytes decoded from latin-1."""

    __slots__ = ("_first", "items")

    def __init__(self, items: Sequence[tuple[str, str]]) -> None:
        self.items = items
        first: dict[str, str] = {}
        for name, value in items:
            first.setdefault(name, value)
        self._first = first

    def get(self, name: str, default: str = "") -> str:
        """The first value of the lower-case name."""
        return self._first.get(name, default)

    def __contains__(self, name: object) -> bool:
        return name in self._first

    def all(self, name: str) -> list[str]:
        return [v for n, v in self.items if n == name]


@dataclass(slots=True)
class Request:
    """One request.

    :param method: as sent
    :param path: the path of the request target as sent, undecoded, absolute form stripped
    :param query: what follows the first ``?``, undecoded, without it
    :param peer: address of the client: of its end of the connection, or what a trusted proxy says
    :param secure: the client came over TLS
    :param request_id: 16 upper-case hex digits
    :param received_ns: wall clock
    :param certificate: that the client has shown (DER), verified; empty for none
    :param name: what it is called in traces, once that is known, where it is no operation of S3
    """

    method: str
    path: bytes
    query: bytes
    headers: Headers
    body: RawBody
    peer: str
    secure: bool
    request_id: str
    received_ns: int
    http10: bool = False
    disconnected: Callable[[], bool] = field(default=lambda: False)
    certificate: Callable[[], bytes] = field(default=lambda: b"")
    name: str = ""


@dataclass(slots=True)
class Reply:
    """One reply. The shell adds the headers that every answer carries, Content-Length and Connection.

    :param body: bytes, or a stream whose first batch was produced already (``first``)
    :param first: batches already produced and verified, sent with the head
    :param length: Content-Length for a reply without a body (HEAD); None = length of the body
    :param close: close the connection afterwards (an error before the body was read)
    :param late: produces the final reply while the shell sends white space to keep the connection alive; head and
        status are then those of this reply
    :param pieces: what is sent instead of ``body``, for as long as it comes (``sos/http/pieces.py``)
    :param ended: told once, when all of it was sent (True) or when that broke off
    """

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes | BodyStream = b""
    first: list[memoryview] = field(default_factory=list)
    length: int | None = None
    close: bool = False
    late: Awaitable[bytes] | None = None
    pieces: AsyncGenerator[bytes, None] | None = None
    ended: Callable[[bool], None] | None = None


Handler = Callable[[Request], Awaitable[Reply]]
"""Answers every request; must not raise."""
