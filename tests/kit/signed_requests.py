"""The client's side of S3 requests: bodies, aws-chunked streams and a small signer, written from the specifications
and independent of ``sos.s3.auth``."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from sos.domain.errors import EntityTooLarge, IncompleteBody
from sos.http.message import Headers, Request

ACCESS = "AKIAIOSFODNN7EXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
EMPTY = hashlib.sha256(b"").hexdigest()
NOW_S = 1_700_000_000.0
STAMP = datetime.fromtimestamp(NOW_S, UTC).strftime("%Y%m%dT%H%M%SZ")


class MemoryBody:
    """A ``RawBody`` over bytes.

    :param known: False stands for the chunked transfer coding: no length
    :param gulp: at most this many bytes per ``read_some``
    """

    def __init__(self, data: bytes, known: bool = True, gulp: int = 1 << 30, length: int | None = None) -> None:
        self.data = data
        self.at = 0
        self.gulp = gulp
        self.length = (len(data) if length is None else length) if known else None
        self.fills: list[int] = []

    @property
    def left(self) -> int:
        return 0 if self.length is None else self.length - self.at

    async def read_all(self, most: int) -> bytes:
        if len(self.data) - self.at > most:
            raise EntityTooLarge()
        return self._take(len(self.data))

    async def read_some(self, most: int) -> bytes:
        data = self._take(min(most, self.gulp))
        if not data and self.left:
            raise IncompleteBody()
        return data

    async def fill(self, views: Sequence[memoryview], then: Callable[[], None] | None = None) -> None:
        total = sum(len(v) for v in views)
        self.fills.append(len(views))
        if total > len(self.data) - self.at:
            raise IncompleteBody()
        for view in views:
            view[:] = self._take(len(view))
        if then is not None:
            then()

    def _take(self, most: int) -> bytes:
        data = self.data[self.at : self.at + most]
        self.at += len(data)
        return data


def request(
    method: str = "GET",
    target: str | bytes = b"/",
    headers: Sequence[tuple[str, str]] = (),
    body: bytes | MemoryBody = b"",
) -> Request:
    raw = target.encode("latin-1") if isinstance(target, str) else target
    path, _, query = raw.partition(b"?")
    source = body if isinstance(body, MemoryBody) else MemoryBody(body)
    return Request(method, path, query, Headers(list(headers)), source, "127.0.0.1", False, "0" * 16, 0)


def hmac_sha256(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def v4_key(secret: str = SECRET, date: str = STAMP[:8], region: str = "us-east-1", service: str = "s3") -> bytes:
    key = ("AWS4" + secret).encode()
    for step in (date, region, service, "aws4_request"):
        key = hmac_sha256(key, step)
    return key


def sign_v4(
    method: str,
    path: str,
    query: str,
    headers: dict[str, str],
    payload: str,
    *,
    access: str = ACCESS,
    secret: str = SECRET,
    stamp: str = STAMP,
    region: str = "us-east-1",
    service: str = "s3",
) -> str:
    """The Authorization header; all of ``headers`` (lower case) are signed, path and query must be canonical."""
    names = sorted(headers)
    lines = "".join(f"{n}:{headers[n]}\n" for n in names)
    canonical = f"{method}\n{path}\n{query}\n{lines}\n{';'.join(names)}\n{payload}"
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    hashed = hashlib.sha256(canonical.encode("latin-1")).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashed}"
    signature = hmac_sha256(v4_key(secret, stamp[:8], region, service), text).hex()
    return f"AWS4-HMAC-SHA256 Credential={access}/{scope}, SignedHeaders={';'.join(names)}, Signature={signature}"


def put(
    payload: str,
    body: bytes | MemoryBody,
    extra: dict[str, str] | None = None,
    path: str = "/bucket/key",
    method: str = "PUT",
) -> Request:
    """A signed request with the given ``x-amz-content-sha256``."""
    headers = {"host": "s3.test", "x-amz-date": STAMP, "x-amz-content-sha256": payload, **(extra or {})}
    authorization = sign_v4(method, path, "", headers, payload)
    return request(method, path, [*headers.items(), ("authorization", authorization)], body)


def seed_of(signed: Request) -> str:
    return signed.headers.get("authorization").rpartition("Signature=")[2]


def signed_chunks(
    pieces: Sequence[bytes],
    seed: str,
    trailers: Sequence[tuple[str, str]] | None = None,
    *,
    secret: str = SECRET,
    stamp: str = STAMP,
) -> bytes:
    """An aws-chunked stream as minio-go writes it, the zero chunk included."""
    key, previous, out = v4_key(secret, stamp[:8]), seed, []
    scope = f"{stamp}\n{stamp[:8]}/us-east-1/s3/aws4_request"
    for piece in [*pieces, b""]:
        text = f"AWS4-HMAC-SHA256-PAYLOAD\n{scope}\n{previous}\n{EMPTY}\n{hashlib.sha256(piece).hexdigest()}"
        previous = hmac_sha256(key, text).hex()
        out.append(b"%x;chunk-signature=%s\r\n%s" % (len(piece), previous.encode(), piece))
        if piece or trailers is None:
            out.append(b"\r\n")
    if trailers is not None:
        lines = "".join(f"{n}:{v}\n" for n, v in trailers)
        text = f"AWS4-HMAC-SHA256-TRAILER\n{scope}\n{previous}\n{hashlib.sha256(lines.encode()).hexdigest()}"
        signature = hmac_sha256(key, text).hex()
        out.append(f"{lines}\r\nx-amz-trailer-signature:{signature}\r\n\r\n".encode())
    return b"".join(out)


def unsigned_chunks(pieces: Sequence[bytes], trailers: Sequence[tuple[str, str]] = (), minio: bool = False) -> bytes:
    """An unsigned aws-chunked stream with trailers, as botocore or as minio-go writes it."""
    out = [b"%x\r\n%s\r\n" % (len(p), p) for p in pieces]
    if minio:  # lines end in LF, two CRLF behind them
        tail = "".join(f"{n}:{v}\n" for n, v in trailers) + "\r\n\r\n"
    else:
        tail = "".join(f"{n}:{v}\r\n" for n, v in trailers) + "\r\n"
    return b"".join(out) + b"0\r\n" + tail.encode()


def split(data: bytes, size: int) -> list[bytes]:
    return [data[i : i + size] for i in range(0, len(data), size)]
