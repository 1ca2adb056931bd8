"""Requests signed ahead (SigV4), so that signing is not part of what is measured."""

from __future__ import annotations

import hashlib
import hmac
import time
from dataclasses import dataclass
from urllib.parse import quote

CHUNK = 64 * 1024
EMPTY = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True)
class Target:
    """An S3 endpoint."""

    host: str
    port: int
    access_key: str
    secret_key: str
    region: str = "us-east-1"

    @property
    def netloc(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass
class Wire:
    """A request as it goes over the wire: pieces for ``sendmsg``, and what the reply should be."""

    pieces: list[memoryview]
    size: int
    payload: int
    kind: str
    expect: tuple[int, ...] = (200,)


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


class Signer:
    """Signs for one target with one time stamp; good for 15 minutes."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        self.day = self.stamp[:8]
        self.scope = f"{self.day}/{target.region}/s3/aws4_request"
        key = _hmac(b"AWS4" + target.secret_key.encode(), self.day)
        for part in (target.region, "s3", "aws4_request"):
            key = _hmac(key, part)
        self.key = key

    def head(
        self, method: str, path: str, query: str, payload_hash: str, extra: dict[str, str], length: int | None
    ) -> tuple[bytes, str]:
        """The head of a request and its signature. ``query`` is canonical already (sorted, encoded)."""
        headers = {"host": self.target.netloc, "x-amz-content-sha256": payload_hash, "x-amz-date": self.stamp, **extra}
        names = sorted(headers)
        signed = ";".join(names)
        canonical = "\n".join([method, path, query, *(f"{n}:{headers[n]}" for n in names), "", signed, payload_hash])
        to_sign = "\n".join(
            ["AWS4-HMAC-SHA256", self.stamp, self.scope, hashlib.sha256(canonical.encode()).hexdigest()]
        )
        signature = hmac.new(self.key, to_sign.encode(), "sha256").hexdigest()
        credential = f"{self.target.access_key}/{self.scope}"
        lines = [f"{method} {path}{'?' + query if query else ''} HTTP/1.1", *(f"{n}: {v}" for n, v in headers.items())]
        lines.append(
            f"authorization: AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={signed}, Signature={signature}"
        )
        if length is not None:
            lines.append(f"content-length: {length}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode(), signature

    def plain(
        self,
        kind: str,
        method: str,
        path: str,
        query: str = "",
        body: bytes = b"",
        expect: tuple[int, ...] = (200,),
        extra: dict[str, str] | None = None,
    ) -> Wire:
        """A request with a small body whose sha256 is signed."""
        digest = hashlib.sha256(body).hexdigest() if body else EMPTY
        length = len(body) if body or method in ("PUT", "POST") else None
        head, _ = self.head(method, quote(path), query, digest, extra or {}, length)
        return Wire([memoryview(head + body)], len(head) + len(body), len(body), kind, expect)

    def streaming(self, kind: str, path: str, query: str, payload: memoryview, hashes: list[str]) -> Wire:
        """A PUT in signed chunks of 64 KiB, as minio-go sends it. ``hashes`` are the chunks' sha256 in hex."""
        sizes = [min(CHUNK, len(payload) - at) for at in range(0, len(payload), CHUNK)] + [0]
        length = sum(len(f"{n:x}") + 17 + 64 + 2 + n + 2 for n in sizes)
        extra = {"x-amz-decoded-content-length": str(len(payload)), "content-encoding": "aws-chunked"}
        head, signature = self.head("PUT", quote(path), query, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", extra, length)
        pieces = [memoryview(head)]
        at, pending = 0, b""
        for n, digest in zip(sizes, [*hashes, EMPTY], strict=True):
            text = "\n".join(["AWS4-HMAC-SHA256-PAYLOAD", self.stamp, self.scope, signature, EMPTY, digest])
            signature = hmac.new(self.key, text.encode(), "sha256").hexdigest()
            pieces.append(memoryview(pending + f"{n:x};chunk-signature={signature}\r\n".encode()))
            if n:
                pieces.append(payload[at : at + n])
            at, pending = at + n, b"\r\n"
        pieces.append(memoryview(pending))
        return Wire(pieces, sum(len(p) for p in pieces), len(payload), kind)

    def upload(
        self, kind: str, path: str, payload: memoryview, query: str = "", hashes: list[str] | None = None
    ) -> Wire:
        """A PUT, signed as a client of that size would: whole when small, in chunks when large."""
        if len(payload) <= CHUNK:
            return self.plain(kind, "PUT", path, query, bytes(payload))
        return self.streaming(kind, path, query, payload, hashes or chunk_hashes(payload))


def chunk_hashes(payload: memoryview) -> list[str]:
    return [hashlib.sha256(payload[at : at + CHUNK]).hexdigest() for at in range(0, len(payload), CHUNK)]
