"""What a client declared about a payload, and the digests computed while it streams by."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Mapping

import msgspec

from ...domain import checksums
from ...domain.body import Digests
from ...domain.errors import (
    BadDigest,
    ChecksumMismatch,
    ContentHashMismatch,
    InvalidDigest,
    InvalidRequest,
    MalformedTrailer,
)
from ...http.message import Headers
from .errors import AuthError

PREFIX = "x-amz-checksum-"
NOT_VALUES = frozenset({"x-amz-checksum-algorithm", "x-amz-checksum-type", "x-amz-checksum-mode"})
HEX = frozenset("0123456789abcdef")


class MalformedContentHash(AuthError):
    code = "InvalidArgument"
    status = 400
    text = (
        "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, "
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER, STREAMING-UNSIGNED-PAYLOAD-TRAILER or a valid sha256 value."
    )


class Declared(msgspec.Struct, frozen=True):
    """What must hold of the payload.

    :param md5: raw Content-MD5, or empty
    :param algorithm: checksum to compute and store, or empty
    :param value: its raw value when it came as a header
    :param trailer: name of the trailer that will bring it, or empty
    :param sha256: raw payload hash of the signature, or empty
    """

    md5: bytes = b""
    algorithm: str = ""
    value: bytes = b""
    trailer: str = ""
    sha256: bytes = b""


def declared(headers: Mapping[str, list[str]], payload_sha256: str, object_checksums: bool) -> Declared:
    """Collect the declarations of a request or of a form.

    :param headers: lower-case name → values
    :param payload_sha256: 64 hex digits, or empty when the signature does not cover the payload
    :param object_checksums: False where ``x-amz-checksum-*`` speaks of an object, not of this body
        (CompleteMultipartUpload)
    :raises InvalidDigest, InvalidRequest, MalformedContentHash
    """
    md5 = _content_md5(headers.get("content-md5"))
    sha256 = _sha256(payload_sha256)
    if not object_checksums:
        return Declared(md5, sha256=sha256)
    algorithm, value, trailer = _checksum(headers)
    return Declared(md5, algorithm, value, trailer, sha256)


def by_name(headers: Headers) -> dict[str, list[str]]:
    """Lower-case name → values."""
    values: dict[str, list[str]] = {}
    for name, value in headers.items:
        values.setdefault(name, []).append(value)
    return values


def _content_md5(given: list[str] | None) -> bytes:
    if given is None:
        return b""
    try:
        raw = base64.b64decode(given[0].strip(" \t"), validate=True) if len(given) == 1 else b""
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != 16:
        raise InvalidDigest()
    return raw


def _sha256(text: str) -> bytes:
    if not text:
        return b""
    if len(text) != 64 or not HEX.issuperset(text.lower()):
        raise MalformedContentHash()
    return bytes.fromhex(text)


def _checksum(headers: Mapping[str, list[str]]) -> tuple[str, bytes, str]:
    """Algorithm, value and trailer name, of which at most one source may speak."""
    names = [n for n in headers if n.startswith(PREFIX) and n not in NOT_VALUES]
    trailers = [t.strip().lower() for line in headers.get("x-amz-trailer", []) for t in line.split(",")]
    if len(names) + len(trailers) > 1 or any(len(headers[n]) > 1 for n in names):
        raise InvalidRequest("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
    named = headers.get("x-amz-sdk-checksum-algorithm", [""])[0].upper()
    if named and named not in checksums.SIZES:
        raise InvalidRequest("Value for x-amz-sdk-checksum-algorithm header is invalid.")
    source = (names or trailers or [""])[0]
    algorithm = _algorithm(source) if source else named
    if named and named != algorithm:
        raise InvalidRequest("Value for x-amz-sdk-checksum-algorithm header is invalid.")
    if not names:
        return algorithm, b"", source
    value = checksums.decode(algorithm, headers[source][0].strip(" \t"))
    if value is None:
        raise InvalidRequest(f"Value for {source} header is invalid.")
    return algorithm, value, ""


def _algorithm(name: str) -> str:
    algorithm = name.removeprefix(PREFIX).upper()
    if not name.startswith(PREFIX) or algorithm not in checksums.SIZES:
        raise InvalidRequest(f"The header or trailer {name[:64]} is not a checksum that is supported.")
    return algorithm


def new_md5() -> checksums.Checksum:
    """A running MD5, for the entity tag."""
    return hashlib.md5(usedforsecurity=False)


class Digester:
    """Feeds each payload byte to MD5 and to whatever was declared, once, in order; then judges."""

    __slots__ = ("_checksum", "_declared", "_md5", "_sha256")

    def __init__(self, what: Declared, md5: Callable[[], checksums.Checksum] = new_md5) -> None:
        self._declared = what
        self._md5 = md5()
        self._checksum = checksums.new(what.algorithm) if what.algorithm else None
        self._sha256 = None
        if what.sha256:
            self._sha256 = self._checksum if what.algorithm == "SHA256" else checksums.new("SHA256")

    @property
    def trailer(self) -> str:
        """Name of the trailer that is awaited, or empty."""
        return self._declared.trailer

    def update(self, data: memoryview) -> None:
        self._md5.update(data)
        if self._checksum is not None:
            self._checksum.update(data)
        if self._sha256 is not None and self._sha256 is not self._checksum:
            self._sha256.update(data)

    def conclude(self, trailers: Mapping[str, str]) -> Digests:
        """Compare all that was declared.

        :raises ContentHashMismatch, BadDigest, ChecksumMismatch, MalformedTrailer
        """
        what = self._declared
        if self._sha256 is not None and not hmac.compare_digest(self._sha256.digest(), what.sha256):
            raise ContentHashMismatch()
        md5 = self._md5.digest()
        if what.md5 and md5 != what.md5:
            raise BadDigest()
        if self._checksum is None:
            return Digests(md5)
        value = self._checksum.digest()
        expected = _trailer_value(what, trailers) if what.trailer else what.value
        if expected and value != expected:
            raise ChecksumMismatch()
        return Digests(md5, {what.algorithm: value})


def _trailer_value(what: Declared, trailers: Mapping[str, str]) -> bytes:
    value = checksums.decode(what.algorithm, trailers.get(what.trailer, ""))
    if value is None:
        raise MalformedTrailer(f"The trailer {what.trailer} is missing or invalid.")
    return value
