"""What goes with an object: headers from ``--attr``, tags, its type, and the attributes of the file it was."""

from __future__ import annotations

import mimetypes
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from .errors import Failure

ATTRIBUTES = "X-Amz-Meta-Mc-Attrs"
BINARY = "application/octet-stream"
#: Headers of an object that a copy through this client takes along.
KEPT = ("Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Type", "Expires")
_COMPRESSED = {"gzip": "application/gzip", "bzip2": "application/x-bzip2", "xz": "application/x-xz"}
_MODE, _MTIME = re.compile(r"(?:^|/)mode:(\d+)"), re.compile(r"(?:^|/)mtime:(\d+)(?:#(\d+))?")
_PERMISSIONS = 0o777


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the command line asks of each object that is written.

    :param preserve: keep the times and the mode of files
    :param parallel: parts of one object at a time, 0 = no multipart upload
    """

    headers: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    storage_class: str = ""
    preserve: bool = False
    multipart: bool = True


def read_attributes(text: str) -> dict[str, str]:
    """``Cache-Control=max-age=90;key=value`` → headers. :raises Failure:"""
    found: dict[str, str] = {}
    for pair in filter(None, text.split(";")):
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise Failure("Attributes are written as key1=value1;key2=value2;…")
        found[_header(name.strip())] = value
    return found


def _header(name: str) -> str:
    """One spelling for each, so that a copy's own and the wished for do not go beside each other."""
    spelled = name.title()
    return spelled if spelled in KEPT or spelled.startswith("X-Amz-") else f"X-Amz-Meta-{spelled}"


def read_tags(text: str) -> dict[str, str]:
    """``category=prod&type=backup`` → tags. :raises Failure:"""
    try:
        return dict(parse_qsl(text, keep_blank_values=True, strict_parsing=True)) if text else {}
    except ValueError:
        raise Failure("Tags are written as key1=value1&key2=value2&…") from None


def content_type(name: str) -> str:
    kind, packed = mimetypes.guess_type(name)
    return _COMPRESSED.get(packed, BINARY) if packed else kind or BINARY


def of_file(descriptor: int) -> str:
    """The attributes of an open file, in mc's form."""
    found = os.fstat(descriptor)

    def moment(nanoseconds: int) -> str:
        return "{}#{}".format(*divmod(nanoseconds, 1_000_000_000))

    return (
        f"atime:{moment(found.st_atime_ns)}/gid:{found.st_gid}/mode:{found.st_mode}"
        f"/mtime:{moment(found.st_mtime_ns)}/uid:{found.st_uid}"
    )


def apply(descriptor: int, text: str) -> None:
    """Time and permissions of a file. Never its owner, nor bits that let it run as somebody else."""
    if found := _MODE.search(text):
        os.fchmod(descriptor, int(found[1]) & _PERMISSIONS)
    if found := _MTIME.search(text):
        when = int(found[1]) * 1_000_000_000 + int(found[2] or 0)
        os.utime(descriptor, ns=(when, when))


def carried(headers: Mapping[str, str]) -> dict[str, str]:
    """Of the headers of an object those that belong to it."""
    named = {name.title(): value for name, value in headers.items()}
    return {name: value for name, value in named.items() if name in KEPT or name.startswith("X-Amz-Meta-")}
