"""Signature version 4: the strings that are signed, and the keys that sign them. Pure.

Source: AWS General Reference, "Create a signed AWS API request"; S3 API, "Authenticating Requests (AWS Signature
Version 4)". Header values and paths are handled as the exact bytes sent, carried in ``str`` as latin-1.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256

ALGORITHM = "AWS4-HMAC-SHA256"


def trim(value: str) -> str:
    """Without the blanks around it. Only blank and tab count: other white space of ``str`` may be a byte of UTF-8."""
    return value.strip(" \t")


def collapse(value: str) -> str:
    """A header value as it is signed: trimmed, each run of blanks one blank."""
    value = trim(value)
    if "  " in value or "\t" in value:
        return b" ".join(value.encode("latin-1", "replace").split()).decode("latin-1")
    return value


def canonical_request(
    method: str, path: str, query: str, values: Mapping[str, str], signed: tuple[str, ...], payload: str
) -> bytes:
    """The canonical request.

    :param path: canonical or as sent, percent-encoded
    :param values: lower-case header name → value, collapsed, duplicates joined with commas; holds all of ``signed``
    :param payload: the payload hash, or the literal in its place
    """
    lines = "".join([f"{name}:{values[name]}\n" for name in signed])
    text = f"{method}\n{path}\n{query}\n{lines}\n{';'.join(signed)}\n{payload}"
    return text.encode("latin-1", "replace")


def string_to_sign(stamp: str, scope: str, request: bytes) -> bytes:
    return f"{ALGORITHM}\n{stamp}\n{scope}\n{sha256(request).hexdigest()}".encode()


@lru_cache(maxsize=1024)
def signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    """The key of a scope."""
    key = ("AWS4" + secret).encode()
    for step in (date, region, service, "aws4_request"):
        key = hmac.digest(key, step.encode(), "sha256")
    return key


def sign(key: bytes, text: bytes) -> str:
    """64 hex digits."""
    return hmac.digest(key, text, "sha256").hex()


def same(expected: str, given: str) -> bool:
    """Compare two signatures in constant time."""
    return hmac.compare_digest(expected.encode(), given.encode("utf-8", "replace"))
