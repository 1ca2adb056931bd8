"""The bytes of a reply's head."""

from __future__ import annotations

from collections.abc import Sequence
from email.utils import formatdate
from hashlib import sha256
from http import HTTPStatus

SERVER_HEADERS: tuple[tuple[str, str], ...] = (
    ("Accept-Ranges", "bytes"),
    ("Server", "MinIO"),
    ("Strict-Transport-Security", "max-age=31536000; includeSubDomains"),
    ("Vary", "Origin"),
    ("Vary", "Accept-Encoding"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Xss-Protection", "1; mode=block"),
)
"""What every answer of a MinIO server carries; clients and health probes look for ``Server``."""

_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}


def server_headers(node: str, name: str = "MinIO") -> list[tuple[str, str]]:
    """The standard set, with ``X-Amz-Id-2`` of the node and another ``Server`` if wanted."""
    items = [(key, name if key == "Server" else value) for key, value in SERVER_HEADERS]
    return [*items, ("X-Amz-Id-2", sha256(node.encode()).hexdigest())]


class HeadWriter:
    """Writes heads. The constant fields and the date are kept as text; the date changes once a second."""

    __slots__ = ("_constant", "_second", "_tail")

    def __init__(self, constant: Sequence[tuple[str, str]]) -> None:
        self._constant = "".join(f"{name}: {_clean(value)}\r\n" for name, value in constant)
        self._second = -1
        self._tail = ""

    def write(
        self,
        status: int,
        fields: Sequence[tuple[str, str]],
        request_id: str,
        length: int | None,
        closing: bool,
        http10: bool,
        now_ns: int,
    ) -> bytes:
        """Status line, fields, empty line.

        :param length: Content-Length; None leaves it out (204, 304, and a body ended by the coding or the connection)
        """
        second = now_ns // 1_000_000_000
        if second != self._second:
            self._second = second
            self._tail = f"{self._constant}Date: {formatdate(second, usegmt=True)}\r\n"
        own = "".join([f"{name}: {value}\r\n" for name, value in fields])
        # one line end a field: more means that a value tries to add fields of its own
        if own.count("\r") != len(fields) or own.count("\n") != len(fields) or "\0" in own:
            own = "".join([f"{_clean(name)}: {_clean(value)}\r\n" for name, value in fields])
        first = _STATUS_LINES.get(status) or f"HTTP/1.1 {status} Unknown\r\n"
        size = "" if length is None else f"Content-Length: {length}\r\n"
        connection = "Connection: close\r\n" if closing else "Connection: keep-alive\r\n" if http10 else ""
        return _encode(f"{first}{self._tail}X-Amz-Request-Id: {request_id}\r\n{own}{size}{connection}\r\n")


def _clean(text: str) -> str:
    return text.replace("\r", " ").replace("\n", " ").replace("\0", " ")


def _encode(text: str) -> bytes:
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8")
