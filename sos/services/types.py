"""Values that services return."""

from __future__ import annotations

from dataclasses import dataclass

from ..domain.body import BodyStream
from ..meta.records import ObjectRecord, PartRecord, UploadRecord


@dataclass(frozen=True, slots=True)
class Found:
    """One version that exists.

    :param latest: it is the latest version of its key
    :param part: the part asked for by number
    :param start: first payload byte of that part, 0 without one
    """

    key: bytes
    record: ObjectRecord
    latest: bool = True
    part: PartRecord | None = None
    start: int = 0


@dataclass(frozen=True, slots=True)
class ByteRange:
    """A single range as the client wrote it: ``first-last`` (inclusive), ``first-`` (last None), or ``-suffix`` (first None)."""

    first: int | None
    last: int | None


@dataclass(slots=True)
class Opened:
    """A version with its payload.

    :param start: first byte of the reply in the object
    :param length: bytes of the reply
    :param partial: the reply is 206
    :param data: the payload when it is small, else empty and ``stream`` is set
    :param first: first batch of the stream, already verified
    """

    found: Found
    start: int
    length: int
    partial: bool
    data: bytes
    stream: BodyStream | None
    first: list[memoryview]


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing.

    :param entries: (key, record) in byte order of the keys; version listings hold several of a key, newest first
    :param latest: for version listings, whether the entry of the same index is the latest version
    :param prefixes: common prefixes, in order
    :param next_key: marker to continue after, empty when not truncated; may be a common prefix
    :param next_version: version id marker (version listings): 16 bytes, empty for the null version, None otherwise
    """

    entries: list[tuple[bytes, ObjectRecord]]
    prefixes: list[bytes]
    truncated: bool
    next_key: bytes = b""
    next_version: bytes | None = None
    latest: list[bool] | None = None


@dataclass(frozen=True, slots=True)
class UploadsPage:
    uploads: list[tuple[bytes, UploadRecord]]
    prefixes: list[bytes]
    truncated: bool
    next_key: bytes = b""
    next_upload: bytes = b""


@dataclass(frozen=True, slots=True)
class PartsPage:
    upload: UploadRecord
    parts: list[PartRecord]
    truncated: bool
    next_number: int = 0
