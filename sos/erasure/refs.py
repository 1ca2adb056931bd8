"""The payloads that rows refer to."""

from __future__ import annotations

from ..meta import keys
from ..meta.records import DataRef, Manifest, PartRecord, UndoRecord
from ..meta.rows import open_object, open_row


def inline_refs(table: str, key: bytes, value: bytes) -> list[DataRef]:
    """The inline payloads that a row refers to.

    :raises BadRow: the row cannot be read
    """
    return [ref for ref in refs_of(table, key, value) if ref.volume == 0]


def refs_of(table: str, key: bytes, value: bytes) -> list[DataRef]:
    """The payloads that a row refers to.

    :raises BadRow: the row cannot be read
    """
    return [ref for ref in _refs(table, key, value) if ref is not None]


def _refs(table: str, key: bytes, value: bytes) -> list[DataRef | None]:
    if _holds_object(table, key):
        return [open_object(key, value).data]
    if table == "parts":
        return [open_row(key, value, PartRecord).data]
    if table == "manifests":
        return [part.data for part in open_row(key, value, Manifest).parts]
    if table == "undo" and not keys.is_release(key):
        return [open_row(key, value, UndoRecord).record.data]
    return []


def _holds_object(table: str, key: bytes) -> bool:
    """Whether the row is an object's record, not a link to a child range (``sos/meta/keys.py``)."""
    if table == "current":
        return key.endswith(keys.END)
    return table == "versions" and key[-10:-8] == keys.END
