"""Proposals to the owner of a set, and their outcomes: the messages of the commit path.

A proposal says what is wanted; the owner decides with ``sos/meta/transitions.py`` against its pending state and
answers with an outcome. ``request_id`` makes a repeated proposal harmless: the owner of a recovered set answers it
from the log.
"""

from __future__ import annotations

import msgspec

from ..domain.conditions import NO_CONDITIONS, Conditions
from .records import BucketRecord, ObjectRecord, PartRecord, UploadRecord


class Proposal(msgspec.Struct, array_like=True, frozen=True, kw_only=True, tag=True):
    request_id: bytes
    bucket_id: int


class PutObject(Proposal, frozen=True, kw_only=True):
    """Make ``record`` the latest version of ``key``. ``order`` and ``version_id`` are set by the owner.

    :param inline: shards of inline data in the order of the set's drives, empty when in a volume
    :param version_id: 16 bytes to keep (replication), else chosen by the owner when versioning is on
    :param granted: bytes that it may add to a bucket with a quota (``sos/services/quota_keeper.py``)
    :param term: of the keeper that granted them
    """

    key: bytes
    record: ObjectRecord
    inline: tuple[bytes, ...] = ()
    extent: int = 0
    conditions: Conditions = NO_CONDITIONS
    version_id: bytes = b""
    granted: int = 0
    term: int = 0


class DeleteObject(Proposal, frozen=True, kw_only=True):
    """Delete a version, or put a delete marker, or remove the null version, by the bucket's versioning.

    :param version: None = no version named; empty = the null version; else 16 bytes
    """

    key: bytes
    version: bytes | None = None
    conditions: Conditions = NO_CONDITIONS
    owner: str = ""
    bypass_governance: bool = False


class UpdateObject(Proposal, frozen=True, kw_only=True):
    """Replace tags, retention or legal hold of one version in place. Fields left None stay."""

    key: bytes
    version: bytes | None = None
    tags: dict[str, str] | None = None
    retention_mode: str | None = None
    retain_until_ns: int | None = None
    legal_hold: bool | None = None
    bypass_governance: bool = False


class UpdateHave(Proposal, frozen=True, kw_only=True):
    """Record that the shards named by ``have`` are durable now (healing), for payloads that one row refers to.

    :param table: ``current``, ``versions``, ``parts`` or ``manifests``
    :param row: the row's key
    :param data_ids: of the payloads; at least one of them must still be referred to there
    """

    table: str
    row: bytes
    data_ids: tuple[bytes, ...]
    have: int


class CreateUpload(Proposal, frozen=True, kw_only=True):
    key: bytes
    record: UploadRecord


class PutPart(Proposal, frozen=True, kw_only=True):
    """:param granted, term: as in :class:`PutObject`"""

    key: bytes
    upload_id: bytes
    part: PartRecord
    inline: tuple[bytes, ...] = ()
    extent: int = 0
    granted: int = 0
    term: int = 0


class AbortUpload(Proposal, frozen=True, kw_only=True):
    key: bytes
    upload_id: bytes


class CompleteUpload(Proposal, frozen=True, kw_only=True):
    """Turn the named parts into an object.

    :param parts: (number, etag, checksums given by the client: algorithm → base64)
    :param size: x-amz-mp-object-size, -1 when not given
    :param checksums: whole-object checksums given by the client
    """

    key: bytes
    upload_id: bytes
    parts: tuple[tuple[int, str, dict[str, str]], ...]
    conditions: Conditions = NO_CONDITIONS
    size: int = -1
    checksums: dict[str, str] = {}
    part_bytes_min: int = 5 * 1024 * 1024


class CreateBucket(Proposal, frozen=True, kw_only=True):
    """Set 0 only. ``bucket_id`` is 0; the owner assigns it."""

    record: BucketRecord


class UpdateBucket(Proposal, frozen=True, kw_only=True):
    """Set 0 only. Replace the bucket's record when its stored form still equals ``expect`` (compare and swap)."""

    name: str
    expect: BucketRecord
    record: BucketRecord


class RemoveBucket(Proposal, frozen=True, kw_only=True):
    """Set 0 only: the last step of DeleteBucket, after every set is fenced."""

    name: str


class FenceBucket(Proposal, frozen=True, kw_only=True):
    """Refuse writes for the bucket in this set from now on; refused with BucketNotEmpty when it holds anything.

    :param lift: take the fence away again (another set was not empty)
    """

    lift: bool = False


class PutSystem(Proposal, frozen=True, kw_only=True):
    """Set 0 only: write or delete (None) one row of the ``sys`` table."""

    key: bytes
    value: bytes | None


class SystemRow(msgspec.Struct, array_like=True, frozen=True):
    """One row of a :class:`ChangeSystem`: what its document must be now (None = no row), and what it becomes."""

    key: bytes
    expect: bytes | None
    value: bytes | None


class ChangeSystem(Proposal, frozen=True, kw_only=True):
    """Set 0 only: change several rows of the ``sys`` table, all or none.

    Refused with ConditionalConflict unless every row still is what is expected of it. A row whose ``value`` equals its
    ``expect`` is only held to stay.

    :param vacant: prefixes under which there must be no row before the change
    """

    rows: tuple[SystemRow, ...]
    vacant: tuple[bytes, ...] = ()


class DropExtents(Proposal, frozen=True, kw_only=True):
    """The blocks of these freed extents are punched on all in-sync drives: forget the rows. Keys as in ``extents``."""

    keys: tuple[bytes, ...]


class Release(Proposal, frozen=True, kw_only=True):
    """Free the next of what a release row names (key as in ``undo``), or forget the row where nothing is left of it."""

    row: bytes


class DropUndo(Proposal, frozen=True, kw_only=True):
    """The undo window of these removals has passed: forget them and what was kept for them. Keys as in ``undo``."""

    keys: tuple[bytes, ...]


class Flush(Proposal, frozen=True, kw_only=True):
    """Always refused (ConditionalConflict): whoever gets the refusal knows that all that was proposed to this set before
    is decided, and published or undone. Nothing is written."""


AnyProposal = (
    PutObject
    | DeleteObject
    | UpdateObject
    | UpdateHave
    | CreateUpload
    | PutPart
    | AbortUpload
    | CompleteUpload
    | CreateBucket
    | UpdateBucket
    | RemoveBucket
    | FenceBucket
    | PutSystem
    | ChangeSystem
    | DropExtents
    | DropUndo
    | Release
    | Flush
)


class Done(msgspec.Struct, array_like=True, frozen=True, tag=True):
    """The proposal is committed.

    :param seq: the set's sequence of the operation
    :param version_id: of the version made or removed; empty = null version
    :param marker: a delete marker was made, or the removed version was one
    :param etag: of the object made
    :param record: the object record made, where the caller needs all of it (Complete, UpdateObject)
    :param bucket: the bucket record made
    :param existed: something was there before
    """

    seq: int
    version_id: bytes = b""
    versioned: bool = False
    marker: bool = False
    etag: str = ""
    existed: bool = False
    record: ObjectRecord | None = None
    bucket: BucketRecord | None = None


class Refused(msgspec.Struct, array_like=True, frozen=True, tag=True):
    """The proposal changed nothing. ``name``, ``message``, ``detail`` rebuild the domain error."""

    name: str
    message: str = ""
    detail: dict[str, str | int | bool] = {}


Outcome = Done | Refused
