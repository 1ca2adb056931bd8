"""Every change of a set's index, decided: (rows as they are, proposal) → changed rows and outcome.

Pure: no clock, no randomness, no I/O but reads of the view. Run by a set's owner, one proposal after the other,
against the committed snapshot and what is pending over it; the same inputs give the same rows.

Invariants: D1–D3 (``changes/draft.py``), N1–N4 (``changes/versions.py``), and

T1  A refused proposal changes nothing.
T2  Whatever a record stops referring to is freed by the same operation, or stands in a release row of it (D4).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..domain.errors import DriveFault, NoSuchBucket, StoreError
from ..drive.engine import Row
from . import keys
from .changes import buckets, healing, multipart, objects
from .changes.draft import Draft
from .proposals import (
    AbortUpload,
    AnyProposal,
    ChangeSystem,
    CompleteUpload,
    CreateBucket,
    CreateUpload,
    DeleteObject,
    Done,
    DropExtents,
    DropUndo,
    FenceBucket,
    Flush,
    Outcome,
    PutObject,
    PutPart,
    PutSystem,
    Refused,
    Release,
    RemoveBucket,
    UpdateBucket,
    UpdateHave,
    UpdateObject,
)
from .records import BucketRecord
from .walk import View


@dataclass(frozen=True, slots=True)
class Decision:
    """What one proposal does.

    :param rows: changes of replicated tables, and deletions in ``inline`` (the same key on every drive)
    :param inline_id: data id of a new inline payload, empty without one
    :param inline: its shards in the order of the set's drives
    :param frees: it only frees space, so it is let through on full drives
    """

    rows: list[Row]
    outcome: Outcome
    inline_id: bytes = b""
    inline: tuple[bytes, ...] = ()
    frees: bool = field(default=False)


_Change = Callable[[Draft, Any], Done]

_OBJECTS: dict[type, _Change] = {
    PutObject: objects.put_object,
    DeleteObject: objects.delete_object,
    UpdateObject: objects.update_object,
    CreateUpload: multipart.create_upload,
    PutPart: multipart.put_part,
    AbortUpload: multipart.abort_upload,
    CompleteUpload: multipart.complete_upload,
}
"""Changes of one object key of a bucket."""

_OTHERS: dict[type, _Change] = {
    CreateBucket: buckets.create_bucket,
    UpdateBucket: buckets.update_bucket,
    RemoveBucket: buckets.remove_bucket,
    FenceBucket: buckets.fence_bucket,
    PutSystem: buckets.put_system,
    UpdateHave: healing.update_have,
    ChangeSystem: buckets.change_system,
    DropExtents: buckets.drop_extents,
    DropUndo: buckets.drop_undo,
    Release: multipart.release,
    Flush: buckets.flush,
}

_FREES = frozenset({DeleteObject, AbortUpload, RemoveBucket, FenceBucket, DropExtents, DropUndo, Release})


def decide(
    view: View,
    bucket: BucketRecord | None,
    proposal: AnyProposal,
    order: int,
    now_ns: int,
    *,
    undo_ns: int = 0,
    term: int = 0,
) -> Decision:
    """Decide one proposal.

    :param bucket: the record of the bucket that ``proposal.bucket_id`` names, None when there is none
    :param order: the sequence that the operation gets when it is committed
    :param now_ns: the owner's clock, for retention and times of modification
    :param undo_ns: length of the undo window, 0 = off
    :param term: the term of grants where the bucket, or its account, has a quota; 0 = it has none
    :raises DriveFault: the view cannot be read (a row that fails its checksum is one); nothing is decided
    """
    draft = Draft(view, bucket, proposal.bucket_id, order, now_ns, undo_ns)
    frees = type(proposal) in _FREES
    try:
        outcome = _change(draft, proposal, term)
    except DriveFault:
        raise
    except StoreError as error:
        return Decision([], Refused(error.name, error.message, error.detail), frees=frees)
    return Decision(draft.result(), outcome, draft.inline_id, draft.inline, frees)


def _change(draft: Draft, proposal: AnyProposal, term: int) -> Done:
    change = _OBJECTS.get(type(proposal))
    if change is None:
        return _OTHERS[type(proposal)](draft, proposal)
    if draft.bucket is None or draft.get("fences", keys.fence_row(draft.bucket_id)) is not None:
        raise NoSuchBucket()
    outcome = change(draft, proposal)
    if term:
        granted = proposal.granted if isinstance(proposal, PutObject | PutPart) and proposal.term == term else 0
        draft.check_grant(granted)
    draft.settle_counters()
    draft.settle_links(proposal.key)  # type: ignore[union-attr]  # every proposal of _OBJECTS has a key
    return outcome
