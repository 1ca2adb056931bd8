"""Requests byte by byte: signed right or wrong in any way, framed right or wrong, and sent over a bare socket."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from .server import PASSWORD, PATIENCE_S, USER, Reply
from .signed_requests import sign_v4, signed_chunks, unsigned_chunks

UNSIGNED = "UNSIGNED-PAYLOAD"
SIGNED_CHUNKS = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
STREAMING = (SIGNED_CHUNKS, SIGNED_TRAILER, UNSIGNED_TRAILER)


def stamp_of(moment: datetime | None = None) -> str:
    return (moment or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")


def moved(stamp: str, by: timedelta) -> str:
    """A stamp of the same day, later by so much or, towards midnight, earlier: the scope names the day."""
    moment = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ")
    return next(other for other in (stamp_of(moment + by), stamp_of(moment - by)) if other[:8] == stamp[:8])


@dataclass
class Wired:
    """One request, to be changed at will before it is sent.

    :param payload: the value of ``x-amz-content-sha256``
    :param trailers: of streaming payloads
    :param announce: name them in ``x-amz-trailer``
    """

    port: int
    method: str
    path: str
    query: str = ""
    payload: str = UNSIGNED
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    trailers: Sequence[tuple[str, str]] | None = None
    announce: bool = True
    access: str = USER
    secret: str = PASSWORD
    stamp: str = field(default_factory=stamp_of)
    region: str = "us-east-1"
    service: str = "s3"

    def sign(self, *pieces: bytes, chunk_secret: str = "") -> Wired:
        """Frame the payload for its mode and sign the head; what is changed afterwards is not covered.

        :param pieces: the chunks of a streaming payload, or the whole body
        :param chunk_secret: signs the chunks, where they are not to be signed with the head's
        """
        given = {"host": f"127.0.0.1:{self.port}", "x-amz-date": self.stamp, "x-amz-content-sha256": self.payload}
        if self.payload in STREAMING:
            given["x-amz-decoded-content-length"] = str(sum(map(len, pieces)))
            given["content-encoding"] = "aws-chunked"
        if self.trailers and self.announce:
            given["x-amz-trailer"] = ",".join(name for name, _ in self.trailers)
        self.headers = {**given, **self.headers}
        names = {"access": self.access, "secret": self.secret, "stamp": self.stamp}
        scope = {"region": self.region, "service": self.service}
        authorization = sign_v4(self.method, self.path, self.query, self.headers, self.payload, **names, **scope)
        seed = authorization.rpartition("Signature=")[2]
        self.headers["authorization"] = authorization
        self.body = self._framed(pieces, seed, chunk_secret or self.secret)
        return self

    def _framed(self, pieces: Sequence[bytes], seed: str, secret: str) -> bytes:
        if self.payload == UNSIGNED_TRAILER:
            return unsigned_chunks(pieces, self.trailers or ())
        if self.payload in (SIGNED_CHUNKS, SIGNED_TRAILER):
            trailers = (self.trailers or ()) if self.payload == SIGNED_TRAILER else None
            return signed_chunks(pieces, seed, trailers, secret=secret, stamp=self.stamp)
        return b"".join(pieces)

    @property
    def signature(self) -> str:
        return self.headers["authorization"].rpartition("Signature=")[2]

    @signature.setter
    def signature(self, value: str) -> None:
        start = self.headers["authorization"].rpartition("Signature=")[0]
        self.headers["authorization"] = f"{start}Signature={value}"

    def raw(self) -> bytes:
        """Head and body; a ``content-length`` given stays as it is."""
        headers = {"content-length": str(len(self.body)), **self.headers}
        target = f"{self.path}?{self.query}" if self.query else self.path
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"{self.method} {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + self.body

    def send(self, **how: bool) -> Reply:
        return exchange(self.port, self.raw(), self.method, **how)


def exchange(port: int, data: bytes, method: str = "GET", end: bool = False, timeout_s: float = PATIENCE_S) -> Reply:
    """Send bytes over a connection of its own and read the reply.

    :param end: close our side after the last byte
    :raises OSError, http.client.HTTPException: there is no whole reply
    """
    with socket.create_connection(("127.0.0.1", port), timeout_s) as sock:
        try:
            sock.sendall(data)
            if end:
                sock.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused before it was read; the answer is there
        reply = http.client.HTTPResponse(sock, method=method)
        reply.begin()
        body = reply.read()
        headers: Mapping[str, str] = {name.lower(): value for name, value in reply.getheaders()}
        return Reply(reply.status, headers, body)
