"""Healing: rows learn of shards that have become durable since they were written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from ...domain.errors import NoSuchVersion
from ..proposals import Done, UpdateHave
from ..records import DataRef, Manifest, ObjectRecord, PartRecord
from ..rows import open_row
from .draft import Draft


def update_have(draft: Draft, proposal: UpdateHave) -> Done:
    """:raises NoSuchVersion: the row is gone, or refers to other payloads by now"""
    value = draft.get(proposal.table, proposal.row)
    if value is None:
        raise NoSuchVersion()
    kind, change = _KINDS[proposal.table]
    before = open_row(proposal.row, value, kind)
    after = change(before, proposal)
    if after is before:
        raise NoSuchVersion()
    draft.put(proposal.table, proposal.row, after)
    return Done(seq=draft.order, existed=True)


def _holder(record: Any, proposal: UpdateHave) -> Any:
    """An object or a part, with what is known of its own payload."""
    data: DataRef | None = record.data
    if data is None or data.data_id not in proposal.data_ids:
        return record
    return msgspec.structs.replace(record, data=msgspec.structs.replace(data, have=data.have | proposal.have))


def _manifest(manifest: Manifest, proposal: UpdateHave) -> Manifest:
    parts = tuple(_holder(part, proposal) for part in manifest.parts)
    return manifest if all(a is b for a, b in zip(parts, manifest.parts, strict=True)) else Manifest(parts)


_KINDS: dict[str, tuple[type[Any], Callable[[Any, UpdateHave], Any]]] = {
    "current": (ObjectRecord, _holder),
    "versions": (ObjectRecord, _holder),
    "parts": (PartRecord, _holder),
    "manifests": (Manifest, _manifest),
}
