"""Checksums computed by other code than the server's: zlib, hashlib and the AWS common runtime."""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Callable, Sequence

from awscrt import checksums as crt

RAW: dict[str, Callable[[bytes], bytes]] = {
    "CRC32": lambda data: zlib.crc32(data).to_bytes(4, "big"),
    "CRC32C": lambda data: crt.crc32c(data).to_bytes(4, "big"),
    "CRC64NVME": lambda data: crt.crc64nvme(data).to_bytes(8, "big"),
    "SHA1": lambda data: hashlib.sha1(data).digest(),
    "SHA256": lambda data: hashlib.sha256(data).digest(),
}


def text(algorithm: str, data: bytes) -> str:
    """The value as S3 writes it."""
    return base64.b64encode(RAW[algorithm](data)).decode()


def composite(algorithm: str, parts: Sequence[bytes]) -> str:
    """The checksum of the parts' checksums, with their number."""
    return f"{text(algorithm, b''.join(map(RAW[algorithm], parts)))}-{len(parts)}"
