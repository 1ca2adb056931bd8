"""The payload checksums of S3: ``CRC32 CRC32C CRC64NVME SHA1 SHA256``.

Raw digests are big-endian bytes, as S3 encodes them in base64. All updates of large buffers run without the GIL.
Source: S3 User Guide, "Checking object integrity"; CRC-64/NVME (polynomial ad93d23594c93659, reflected).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from collections.abc import Callable, Iterable
from typing import Protocol

from awscrt import checksums as native

Buffer = bytes | bytearray | memoryview

SIZES = {"CRC32": 4, "CRC32C": 4, "CRC64NVME": 8, "SHA1": 20, "SHA256": 32}
"""Algorithm → bytes of its raw digest."""

LINEAR = frozenset({"CRC32", "CRC32C", "CRC64NVME"})
"""Algorithms whose whole-object value follows from the values of its parts (``FULL_OBJECT`` multipart)."""


class Checksum(Protocol):
    """A running checksum: feed it front to back, take the digest once."""

    def update(self, data: Buffer, /) -> None: ...

    def digest(self) -> bytes:
        """The raw digest, big-endian."""


class Crc:
    """A running CRC over one of the native functions."""

    __slots__ = ("_function", "_size", "_value")

    def __init__(self, function: Callable[[Buffer, int], int], size: int) -> None:
        self._function = function
        self._size = size
        self._value = 0

    def update(self, data: Buffer, /) -> None:
        self._value = self._function(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._size, "big")


_MAKERS: dict[str, Callable[[], Checksum]] = {
    "CRC32": lambda: Crc(zlib.crc32, 4),
    "CRC32C": lambda: Crc(native.crc32c, 4),
    "CRC64NVME": lambda: Crc(native.crc64nvme, 8),
    "SHA1": lambda: hashlib.sha1(usedforsecurity=False),
    "SHA256": hashlib.sha256,
}

_COMBINE: dict[str, Callable[[int, int, int], int]] = {
    "CRC32": native.combine_crc32,
    "CRC32C": native.combine_crc32c,
    "CRC64NVME": native.combine_crc64nvme,
}


def new(algorithm: str) -> Checksum:
    """A fresh running checksum. :raises KeyError: the algorithm is not one of :data:`SIZES`"""
    return _MAKERS[algorithm]()


def digest(algorithm: str, data: Buffer) -> bytes:
    """The raw digest of ``data``."""
    running = new(algorithm)
    running.update(data)
    return running.digest()


def combine(algorithm: str, crc_a: bytes, crc_b: bytes, len_b: int) -> bytes:
    """The CRC of ``a + b`` from the raw CRCs of ``a`` and ``b`` and the length of ``b`` in bytes.

    :raises KeyError: the algorithm is not one of :data:`LINEAR`
    """
    value = _COMBINE[algorithm](int.from_bytes(crc_a, "big"), int.from_bytes(crc_b, "big"), len_b)
    return value.to_bytes(SIZES[algorithm], "big")


def combine_parts(algorithm: str, parts: Iterable[tuple[bytes, int]]) -> bytes:
    """The FULL_OBJECT CRC of consecutive parts, each ``(raw CRC, length in bytes)``."""
    total = digest(algorithm, b"")
    for crc, length in parts:
        total = combine(algorithm, total, crc, length)
    return total


def composite(algorithm: str, parts: Iterable[bytes]) -> str:
    """The COMPOSITE value of a multipart object: the digest of the parts' raw digests, in base64, with ``-N``."""
    digests = list(parts)
    return f"{encode(digest(algorithm, b''.join(digests)))}-{len(digests)}"


def encode(raw: bytes) -> str:
    """A raw digest as S3 shows it."""
    return base64.b64encode(raw).decode("ascii")


def decode(algorithm: str, text: str) -> bytes | None:
    """The raw digest of a client's base64 value, or None when it is not one of the algorithm's length."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if len(raw) == SIZES[algorithm] else None
