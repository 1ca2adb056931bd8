"""The chain of chunk signatures: each chunk and the trailers are signed over the signature before them.

Source: S3 API, "Signature Calculations for the Authorization Header: Transferring Payload in Multiple Chunks".
"""

from __future__ import annotations

from hashlib import sha256
from typing import Protocol

from ...domain.errors import MalformedFraming, SignatureMismatch
from .canonical import same, sign
from .identity import EMPTY_SHA256, Seed

EXTENSION = b";chunk-signature="
SIGNATURE_BYTES = 64


class Chain(Protocol):
    """How the chunks of a body are vouched for."""

    @property
    def chunk_bytes_max(self) -> int:
        """Largest chunk accepted."""

    @property
    def suffix_bytes(self) -> int:
        """Bytes of a chunk header between the size and CRLF."""

    def begin(self, extension: bytes) -> None:
        """A chunk starts; ``extension`` is its header after the size. :raises MalformedFraming:"""

    def update(self, data: memoryview) -> None:
        """Payload bytes of the chunk."""

    def close(self) -> None:
        """The chunk is complete. :raises SignatureMismatch:"""

    def check_trailers(self, lines: bytes, signature: str) -> None:
        """:param lines: ``name:value\\n`` of each trailer. :raises SignatureMismatch, MalformedFraming:"""


class Unsigned:
    """Chunks that nobody signed; an extension is tolerated, as in HTTP, and ignored."""

    chunk_bytes_max = 1 << 62
    suffix_bytes = 0

    def begin(self, extension: bytes) -> None:
        if extension and extension[:1] != b";":
            raise MalformedFraming("A chunk size is malformed.")

    def update(self, data: memoryview) -> None:
        pass

    def close(self) -> None:
        pass

    def check_trailers(self, lines: bytes, signature: str) -> None:
        if signature:
            raise MalformedFraming("A trailer signature in an unsigned body.")


class Signed:
    """Chunks signed with the key of the request, chained from the request's own signature."""

    chunk_bytes_max = 16 * 1024 * 1024
    suffix_bytes = len(EXTENSION) + SIGNATURE_BYTES

    def __init__(self, seed: Seed, trailers: bool) -> None:
        """:param trailers: the framing announced a signed trailer section"""
        self._key = seed.key
        self._context = f"{seed.stamp}\n{seed.scope}"
        self._previous = seed.signature
        self._trailers = trailers
        self._claimed = ""
        self._hash = sha256()

    def begin(self, extension: bytes) -> None:
        if len(extension) != self.suffix_bytes or not extension.startswith(EXTENSION):
            raise MalformedFraming("A chunk carries no signature.")
        self._claimed = extension[len(EXTENSION) :].decode("latin-1")
        self._hash = sha256()

    def update(self, data: memoryview) -> None:
        self._hash.update(data)

    def close(self) -> None:
        digest = self._hash.hexdigest()
        text = f"AWS4-HMAC-SHA256-PAYLOAD\n{self._context}\n{self._previous}\n{EMPTY_SHA256}\n{digest}"
        self._accept(text, self._claimed)

    def check_trailers(self, lines: bytes, signature: str) -> None:
        if not self._trailers:
            if lines or signature:
                raise MalformedFraming("Trailers were not announced.")
            return
        digest = sha256(lines).hexdigest()
        self._accept(f"AWS4-HMAC-SHA256-TRAILER\n{self._context}\n{self._previous}\n{digest}", signature)

    def _accept(self, text: str, claimed: str) -> None:
        expected = sign(self._key, text.encode())
        if not same(expected, claimed):
            raise SignatureMismatch()
        self._previous = expected
