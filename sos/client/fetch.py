"""The bytes of an object into a file: verified, from where it broke off when the connection does, large ones in parallel."""

from __future__ import annotations

import hashlib
import os
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO

from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse

from .connection import S3
from .entries import Entry
from .errors import Failure
from .meter import Meter

CHUNK_BYTES = 1 << 20
SPAN_BYTES, SPANS = 32 << 20, 4
PARALLEL_FROM_BYTES = 64 << 20
ATTEMPTS = 4
_MD5 = re.compile(r"[0-9a-f]{32}")


class Fetch:
    """One object, or one version of it."""

    def __init__(self, s3: S3, entry: Entry, meter: Meter) -> None:
        self._s3, self._entry, self._meter = s3, entry, meter
        self.bucket, _, self.key = entry.path.partition("/")
        self.headers: dict[str, str] = {}

    def into(self, file: BinaryIO) -> None:
        """Raises ``errors.FAULTS``; then the file is not what it should be."""
        if self._entry.size >= PARALLEL_FROM_BYTES:
            self._in_spans(file)
        else:
            self._in_one(file)
        file.flush()

    def _get(self, offset: int = 0, length: int = 0, etag: str = "") -> BaseHTTPResponse:
        response = self._s3.get_object(
            self.bucket, self.key, offset, length, {"If-Match": etag} if etag else None,
            version_id=self._entry.version_id or None,
        )  # fmt: skip
        if (offset or length) and response.status != 206:
            response.close()
            raise Failure("The server does not send parts of an object.")
        return response

    def _in_one(self, file: BinaryIO) -> None:
        digest, at = hashlib.md5(usedforsecurity=False), 0
        response = self._get()
        self._learn(response)
        size = int(self.headers.get("Content-Length", self._entry.size))
        for attempt in range(ATTEMPTS):
            try:
                with self._meter.reading(response):
                    for data in response.stream(CHUNK_BYTES, decode_content=False):
                        file.write(data)
                        digest.update(data)
                        at += len(data)
                        self._meter.advance(len(data))
            except HTTPError:
                self._meter.check()
                if attempt == ATTEMPTS - 1:
                    raise
            if at >= size:
                break
            response = self._get(at, 0, self.headers.get("Etag", ""))
        self._verify(at, size, digest.hexdigest())

    def _in_spans(self, file: BinaryIO) -> None:
        head = self._s3.stat_object(self.bucket, self.key, version_id=self._entry.version_id or None)
        self.headers = {name.title(): value for name, value in (head.metadata or {}).items()}
        size, broken = head.size or 0, threading.Event()
        starts = range(0, size, SPAN_BYTES)
        with ThreadPoolExecutor(SPANS) as pool:
            spans = [pool.submit(self._span, file.fileno(), at, min(SPAN_BYTES, size - at), broken) for at in starts]
            for span in spans:
                span.result()
        digest = hashlib.md5(usedforsecurity=False)
        if self._plain_etag():
            file.seek(0)
            while data := file.read(CHUNK_BYTES):
                self._meter.check()
                digest.update(data)
        self._verify(os.fstat(file.fileno()).st_size, size, digest.hexdigest())

    def _span(self, descriptor: int, start: int, length: int, broken: threading.Event) -> None:
        at, end = start, start + length
        try:
            for attempt in range(ATTEMPTS):
                at = self._some(descriptor, at, end, broken, last=attempt == ATTEMPTS - 1)
                if at == end or broken.is_set():
                    return
            raise Failure("The server sent less than it promised.")
        except BaseException:
            broken.set()
            raise

    def _some(self, descriptor: int, at: int, end: int, broken: threading.Event, last: bool) -> int:
        """Where the next attempt goes on."""
        self._meter.check()
        response = self._get(at, end - at, self.headers.get("Etag", ""))
        try:
            with self._meter.reading(response):
                for data in response.stream(CHUNK_BYTES, decode_content=False):
                    if broken.is_set() or at + len(data) > end:
                        break
                    os.pwrite(descriptor, data, at)
                    at += len(data)
                    self._meter.advance(len(data))
        except HTTPError:
            self._meter.check()
            if last:
                raise
        return at

    def _learn(self, response: BaseHTTPResponse) -> None:
        self.headers = {name.title(): value for name, value in response.headers.items()}

    def _plain_etag(self) -> str:
        """The ETag where it is the MD5 of the content; objects of parts and some encrypted ones have another."""
        etag = self.headers.get("Etag", "").strip('"')
        customer = "X-Amz-Server-Side-Encryption-Customer-Algorithm" in self.headers
        sealed = customer or self.headers.get("X-Amz-Server-Side-Encryption", "") not in ("", "AES256")
        return etag if _MD5.fullmatch(etag) and not sealed else ""

    def _verify(self, got: int, size: int, digest: str) -> None:
        if got != size:
            raise Failure(f"The object has {size} bytes, {got} arrived.")
        etag = self._plain_etag()
        if etag and digest != etag:
            raise Failure(f"What arrived has MD5 {digest}, the object's is {etag}.")
