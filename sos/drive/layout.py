"""Names on a drive: FORMAT.md §1."""

from __future__ import annotations

import re

ROOT = ".sos"
IDENTITY = "format.json"
IDENTITY_NEW = "format.json.new"
LOCK = "lock"
INDEX = "index"
INDEX_DATA = "data.mdb"
INDEX_LOCK = "lock.mdb"
VOLUMES = "volumes"

#: Apparent size of a volume file in bytes; more only when one extent needs more.
VOLUME_BYTES = 1 << 30
#: Offsets and lengths in a volume are multiples of this many bytes.
UNIT_BYTES = 4096

_NAME = re.compile(r"([0-9a-f]{4})-([0-9a-f]{8})")


def volume_name(volume: int) -> str:
    """``WWWW-SSSSSSSS``: worker slot and serial in hexadecimal.

    :raises ValueError: not a volume number (0 stands for inline data)
    """
    if not 0 < volume < 1 << 48:
        raise ValueError(f"no volume has number {volume}")
    return f"{volume >> 32:04x}-{volume & 0xFFFFFFFF:08x}"


def volume_number(name: str) -> int | None:
    """The number of a volume's file name; None for any other name."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    return int(match[1], 16) << 32 | int(match[2], 16) or None
