"""Records of the configuration that is changed while the server runs, and the names of their rows in ``sys`` of set 0.

See ``FORMAT.md``, "Configuration".
"""

from __future__ import annotations

import msgspec

_SEPARATOR = b"\0"
VALUES = b"config/values/"
HISTORY = b"config/history/"


class ValuesRecord(msgspec.Struct, array_like=True, frozen=True):
    """What was set for one target of one subsystem.

    :param values: key → value, of the keys that were set and are no secrets
    :param secrets: key → nonce (12) and AES-256-GCM of the value, bound to the row's name, ``00`` and the key
    """

    values: dict[str, str]
    secrets: dict[str, bytes] = {}
    updated_ns: int = 0


class HistoryRecord(msgspec.Struct, array_like=True, frozen=True):
    """The text of one change.

    :param sealed: nonce (12) and AES-256-GCM of it (it may hold secrets), bound to the row's name
    """

    sealed: bytes
    created_ns: int


def values_row(subsystem: str, target: str) -> bytes:
    return VALUES + subsystem.encode() + _SEPARATOR + target.encode()


def place_of(row: bytes) -> tuple[str, str]:
    """Subsystem and target of a row ``config/values``."""
    subsystem, _, target = row.removeprefix(VALUES).partition(_SEPARATOR)
    return subsystem.decode(), target.decode()


def secret_place(row: bytes, key: str) -> bytes:
    """What a sealed value is bound to."""
    return row + _SEPARATOR + key.encode()


def history_row(restore_id: str) -> bytes:
    return HISTORY + restore_id.encode()
