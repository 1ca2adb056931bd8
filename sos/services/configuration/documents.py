"""Rows of the configuration, opened and sealed."""

from __future__ import annotations

from collections.abc import Mapping

from ...config.subsystems import SUBSYSTEMS
from ...crypto.seal import NotSealedHere, Sealer
from ...domain.errors import BadRow
from ...meta import configuration as rows
from ...meta.configuration import HistoryRecord, ValuesRecord
from ...meta.iam import decode, encode


def _is_secret(subsystem: str, name: str) -> bool:
    known = SUBSYSTEMS.get(subsystem)
    key = known.key(name) if known is not None else None
    return key is not None and key.secret


def seal_values(sealer: Sealer, subsystem: str, target: str, values: Mapping[str, str], now_ns: int) -> bytes:
    """The document of ``config/values``."""
    row = rows.values_row(subsystem, target)
    plain = {name: value for name, value in values.items() if not _is_secret(subsystem, name)}
    secrets = {
        name: sealer.seal(value.encode(), rows.secret_place(row, name))
        for name, value in values.items()
        if name not in plain
    }
    return encode(ValuesRecord(plain, secrets, now_ns))


def open_values(sealer: Sealer, row: bytes, document: bytes) -> dict[str, str]:
    """:raises BadRow: damaged, or sealed by another deployment"""
    record = decode(document, ValuesRecord)
    try:
        opened = {
            name: sealer.open(sealed, rows.secret_place(row, name)).decode() for name, sealed in record.secrets.items()
        }
    except (NotSealedHere, UnicodeDecodeError) as error:
        raise BadRow("a secret of the configuration is not sealed by this deployment") from error
    return record.values | opened


def seal_history(sealer: Sealer, restore_id: str, text: str, now_ns: int) -> bytes:
    """The document of ``config/history``."""
    return encode(HistoryRecord(sealer.seal(text.encode(), rows.history_row(restore_id)), now_ns))


def made_ns(document: bytes) -> int:
    """When an entry of the history was made (wall clock). :raises BadRow:"""
    return decode(document, HistoryRecord).created_ns


def open_history(sealer: Sealer, restore_id: str, document: bytes) -> tuple[int, str]:
    """When it was made (wall clock, ns), and its text. :raises BadRow:"""
    record = decode(document, HistoryRecord)
    try:
        return record.created_ns, sealer.open(record.sealed, rows.history_row(restore_id)).decode()
    except (NotSealedHere, UnicodeDecodeError) as error:
        raise BadRow("an entry of the history is not sealed by this deployment") from error
