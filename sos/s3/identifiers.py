"""Ids as clients see them: versions are UUIDs or ``null``, uploads are 32 hexadecimal digits, pages have tokens."""

from __future__ import annotations

import base64
import binascii
import re
from uuid import UUID

from ..domain.errors import InvalidArgument, NoSuchUpload
from ..domain.names import KEY_BYTES_MAX

NULL = "null"
_UPLOAD = re.compile(r"[0-9a-f]{32}")


def show_version(version_id: bytes) -> str:
    """The text of a version id; empty bytes are the null version."""
    return str(UUID(bytes=version_id)) if version_id else NULL


def read_version(text: str) -> bytes | None:
    """The id a client named: None for nothing, empty for ``null``.

    :raises InvalidArgument: not a UUID
    """
    if not text:
        return None
    if text == NULL:
        return b""
    try:
        parsed = UUID(text)
    except ValueError:
        parsed = None
    if parsed is None or str(parsed) != text.lower():
        raise InvalidArgument("Invalid version id specified")
    return parsed.bytes


def read_upload(text: str) -> bytes:
    """:raises NoSuchUpload: not an id this server gives out"""
    if not _UPLOAD.fullmatch(text):
        raise NoSuchUpload(UploadId=text[:64])
    return bytes.fromhex(text)


def show_token(key: bytes) -> str:
    """A continuation token."""
    return base64.b64encode(key).decode()


def read_token(text: str) -> bytes:
    """:raises InvalidArgument: not a token this server gives out"""
    try:
        key = base64.b64decode(text, validate=True)
        key.decode()
    except (binascii.Error, ValueError) as error:
        raise InvalidArgument("The continuation token provided is incorrect") from error
    if not 0 < len(key) <= KEY_BYTES_MAX:
        raise InvalidArgument("The continuation token provided is incorrect")
    return key
