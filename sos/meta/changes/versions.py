"""The versions of one key: which is latest, where each is stored, what goes when.

Invariants:

N1  ``current`` holds the latest version exactly when it is an object; all other versions are in ``versions``.
N2  ``vids`` has one row for each row of ``versions``, and no other; the version in ``current`` carries its own id.
N3  A key has at most one version with a given id, the null version (empty id) included.
N4  Everything in ``versions`` is older than the row in ``current``.
"""

from __future__ import annotations

import msgspec
from blake3 import blake3

from ...domain.errors import InternalFault
from .. import keys, queries
from ..proposals import Proposal
from ..records import Manifest, ObjectRecord, UndoRecord
from ..rows import open_object, open_row
from .draft import MARKERS, OBJECTS, RELEASE_PAYLOADS_MAX, SIZE, VERSIONS, Draft


class _RawManifest(msgspec.Struct, array_like=True, frozen=True):
    parts: tuple[msgspec.Raw, ...]


class Versions:
    """The versions of ``key`` as the draft changes them."""

    __slots__ = ("current", "draft", "key", "row")

    def __init__(self, draft: Draft, key: bytes) -> None:
        self.draft = draft
        self.key = key
        self.row = keys.row_key(draft.bucket_id, key)
        value = draft.view.get("current", self.row)
        self.current = None if value is None else open_object(self.row, value)

    @property
    def ever_versioned(self) -> bool:
        """Whether the bucket may hold anything in ``versions``."""
        return self.draft.bucket is not None and bool(self.draft.bucket.versioning)

    def newest_noncurrent(self) -> ObjectRecord | None:
        found = self.draft.first("versions", *keys.of_key(self.row))
        return None if found is None else open_object(*found)

    def latest(self) -> ObjectRecord | None:
        """The latest version, markers included."""
        if self.current is not None or not self.ever_versioned:
            return self.current
        return self.newest_noncurrent()

    def find(self, version_id: bytes) -> ObjectRecord | None:
        """The version with this id, empty for the null version."""
        if self.current is not None and self.current.version_id == version_id:
            return self.current
        return queries.noncurrent_version(self.draft.view, self.row, version_id) if self.ever_versioned else None

    def by_order(self, order: int) -> ObjectRecord | None:
        if self.current is not None and self.current.order == order:
            return self.current
        return queries.by_order(self.draft.view, self.row, order)

    # -- changes -----------------------------------------------------------------------------------

    def install(self, record: ObjectRecord) -> None:
        """Make ``record`` the latest version. The caller has removed the version that it replaces."""
        if self.current is not None:
            self._put_noncurrent(self.current)
            self._count_object(self.current, -1)
            self.draft.drop("current", self.row)
            self.current = None
        self._count_version(record, 1)
        if record.is_marker:
            self._put_noncurrent(record)
        else:
            self._put_current(record)

    def remove(self, record: ObjectRecord) -> None:
        """Take a version out of the tables and free what it refers to. ``promote`` afterwards unless a newer comes."""
        self._count_version(record, -1)
        if self.current is not None and record.order == self.current.order:
            self.draft.drop("current", self.row)
            self._count_object(record, -1)
            self.current = None
        else:
            self._drop_noncurrent(record)
        self._free(record)

    def promote(self) -> None:
        """After a removal: the newest version left becomes current when it is an object."""
        if self.current is None and self.ever_versioned:
            newest = self.newest_noncurrent()
            if newest is not None and not newest.is_marker:
                self._drop_noncurrent(newest)
                self._put_current(newest)

    def replace(self, record: ObjectRecord) -> None:
        """Store a changed record of a version in its place: same order, id and payload."""
        if self.current is not None and self.current.order == record.order:
            self.draft.put("current", self.row, record)
            self.current = record
        else:
            self.draft.put("versions", keys.version_row(self.row, record.order), record)

    def _put_current(self, record: ObjectRecord) -> None:
        self.draft.put("current", self.row, record)
        self._count_object(record, 1)
        self.current = record

    def _put_noncurrent(self, record: ObjectRecord) -> None:
        self.draft.put("versions", keys.version_row(self.row, record.order), record)
        self.draft.put("vids", keys.vid_row(self.row, record.version_id), record.order)

    def _drop_noncurrent(self, record: ObjectRecord) -> None:
        self.draft.drop("versions", keys.version_row(self.row, record.order))
        self.draft.drop("vids", keys.vid_row(self.row, record.version_id))

    def _count_object(self, record: ObjectRecord, by: int) -> None:
        self.draft.count(record.storage_class, OBJECTS, by)

    def _count_version(self, record: ObjectRecord, by: int) -> None:
        if record.is_marker:
            self.draft.count(record.storage_class, MARKERS, by)
            return
        self.draft.count(record.storage_class, VERSIONS, by)
        self.draft.count(record.storage_class, SIZE, by * record.size)

    def _free(self, record: ObjectRecord) -> None:
        draft = self.draft
        undoable = draft.undo_ns > 0 and not record.is_marker
        if undoable:
            undo = UndoRecord(draft.bucket_id, self.key, draft.now_ns, draft.order, record)
            draft.put("undo", keys.undo_row(draft.order, record.order), undo)
        draft.free(record.data, undoable)
        if not record.manifest:
            return
        value = draft.view.get("manifests", record.manifest)
        if value is None:
            raise InternalFault("a multipart object without its part list", manifest=record.manifest.hex())
        # not decoded: of 10,000 parts that alone takes as long as many other commits
        parts = open_row(record.manifest, value, _RawManifest).parts
        if undoable or len(parts) <= RELEASE_PAYLOADS_MAX:
            for part in open_row(record.manifest, value, Manifest).parts:
                draft.free(part.data, undoable)
        else:
            draft.leave(parts)
        if not undoable:
            draft.drop("manifests", record.manifest)


def new_version_id(proposal: Proposal, order: int) -> bytes:
    """16 bytes in the form of a random UUID (RFC 9562 §5.4), never repeated: a pure function of the operation."""
    digest = blake3(b"version" + proposal.request_id + order.to_bytes(8, "big")).digest(length=16)
    return digest[:6] + bytes((digest[6] & 0x0F | 0x40, digest[7], digest[8] & 0x3F | 0x80)) + digest[9:]
