"""Multipart uploads (S3 User Guide, "Uploading and copying objects using multipart upload").

A part list is stored under the upload's id, so a Complete that a client repeats finds the object it made.
"""

from __future__ import annotations

import hashlib
import itertools

import msgspec

from ...domain import checksums
from ...domain.errors import (
    ChecksumMismatch,
    EntityTooSmall,
    InvalidArgument,
    InvalidPart,
    InvalidPartOrder,
    InvalidRequest,
    NoSuchUpload,
)
from .. import keys, queries
from ..proposals import AbortUpload, CompleteUpload, CreateUpload, Done, PutPart, Release
from ..records import Manifest, ObjectRecord, PartRecord, ReleaseRecord, UploadRecord
from ..rows import open_row
from .draft import RELEASE_PAYLOADS_MAX, UPLOAD_SIZE, UPLOADS, Draft
from .locks import check_new
from .objects import bucket_of, check_conditions, install
from .versions import Versions, new_version_id

PART_NUMBER_MAX = 10_000
UPLOAD_ID_BYTES = 16


def create_upload(draft: Draft, proposal: CreateUpload) -> Done:
    """:raises InvalidRequest, InvalidArgument:"""
    upload = proposal.record
    check_new(bucket_of(draft), upload.template)
    row = keys.upload_row(keys.row_key(draft.bucket_id, proposal.key), upload.upload_id)
    if len(upload.upload_id) != UPLOAD_ID_BYTES or draft.get("uploads", row) is not None:
        raise InvalidArgument("The upload id is not a new one")
    draft.put("uploads", row, upload)
    draft.count(upload.template.storage_class, UPLOADS, 1)
    return Done(seq=draft.order)


def _upload(draft: Draft, key: bytes, upload_id: bytes) -> UploadRecord | None:
    if len(upload_id) != UPLOAD_ID_BYTES:
        return None
    return queries.upload(draft.view, draft.bucket_id, key, upload_id)


def put_part(draft: Draft, proposal: PutPart) -> Done:
    """A part sent again takes the place of the earlier one.

    :raises NoSuchUpload, InvalidArgument:
    """
    part = proposal.part
    upload = _upload(draft, proposal.key, proposal.upload_id)
    if upload is None:
        raise NoSuchUpload()
    if not 1 <= part.number <= PART_NUMBER_MAX:
        raise InvalidArgument(f"Part number must be an integer between 1 and {PART_NUMBER_MAX}, inclusive")
    row = keys.part_row(draft.bucket_id, proposal.upload_id, part.number)
    before = draft.get("parts", row)
    if before is not None:
        _forget(draft, upload, open_row(row, before, PartRecord))
    draft.keep(part.data, proposal.extent, proposal.inline)
    draft.put("parts", row, part)
    draft.count(upload.template.storage_class, UPLOAD_SIZE, part.size)
    return Done(seq=draft.order, etag=part.etag, existed=before is not None)


def _forget(draft: Draft, upload: UploadRecord, part: PartRecord) -> None:
    draft.free(part.data)
    draft.count(upload.template.storage_class, UPLOAD_SIZE, -part.size)


def abort_upload(draft: Draft, proposal: AbortUpload) -> Done:
    """:raises NoSuchUpload:"""
    upload = _upload(draft, proposal.key, proposal.upload_id)
    if upload is None:
        raise NoSuchUpload()
    parts = list(queries.parts(draft.view, draft.bucket_id, proposal.upload_id))
    if len(parts) <= RELEASE_PAYLOADS_MAX:
        _close(draft, proposal.key, upload, parts, frozenset())
    else:
        draft.count(upload.template.storage_class, UPLOAD_SIZE, -sum(part.size for part in parts))
        _close(draft, proposal.key, upload, [], frozenset())
        draft.leave_parts(upload.upload_id)
    return Done(seq=draft.order, existed=True)


def _close(draft: Draft, key: bytes, upload: UploadRecord, parts: list[PartRecord], used: frozenset[int]) -> None:
    """Remove an upload and its part rows; payloads of parts not in ``used`` are freed."""
    storage_class, bucket_id = upload.template.storage_class, draft.bucket_id
    for part in parts:
        draft.drop("parts", keys.part_row(bucket_id, upload.upload_id, part.number))
        draft.count(storage_class, UPLOAD_SIZE, -part.size)
        if part.number not in used:
            draft.free(part.data)
    draft.drop("uploads", keys.upload_row(keys.row_key(bucket_id, key), upload.upload_id))
    draft.count(storage_class, UPLOADS, -1)


def release(draft: Draft, proposal: Release) -> Done:
    """Idempotent; of a row that is gone nothing is left."""
    value = draft.get("undo", proposal.row)
    if value is None or not keys.is_release(proposal.row):
        return Done(seq=draft.order)
    record = open_row(proposal.row, value, ReleaseRecord)
    for part in record.parts:
        draft.free(part.data)
    found = queries.parts(draft.view, record.bucket_id, record.upload_id) if record.upload_id else iter(())
    parts = list(itertools.islice(found, RELEASE_PAYLOADS_MAX))
    for part in parts:
        draft.drop("parts", keys.part_row(record.bucket_id, record.upload_id, part.number))
        draft.free(part.data)
    if len(parts) < RELEASE_PAYLOADS_MAX:
        draft.drop("undo", proposal.row)
    return Done(seq=draft.order, existed=True)


def complete_upload(draft: Draft, proposal: CompleteUpload) -> Done:
    """:raises NoSuchUpload, InvalidPart, InvalidPartOrder, EntityTooSmall, ChecksumMismatch, InvalidRequest,
    PreconditionFailed, NoSuchKey, ObjectLocked:
    """
    versions = Versions(draft, proposal.key)
    upload = _upload(draft, proposal.key, proposal.upload_id)
    if upload is None:
        return _completed_before(draft, versions, proposal)
    stored = {part.number: part for part in queries.parts(draft.view, draft.bucket_id, proposal.upload_id)}
    chosen = choose_parts(proposal, stored)
    record = assemble(upload, proposal, chosen)
    check_conditions(proposal.conditions, versions.current)
    _close(draft, proposal.key, upload, list(stored.values()), frozenset(part.number for part in chosen))
    draft.put("manifests", upload.upload_id, Manifest(tuple(chosen)))
    enabled = bucket_of(draft).versioning == "Enabled"
    record = msgspec.structs.replace(record, mtime_ns=draft.now_ns)
    version_id = new_version_id(proposal, draft.order) if enabled else b""
    return install(draft, versions, record, version_id, whole=True)


def _completed_before(draft: Draft, versions: Versions, proposal: CompleteUpload) -> Done:
    """A client repeats a Complete whose answer it did not get (R17): the same answer while the object is latest.

    :raises NoSuchUpload: the latest version is not of this upload and these parts
    """
    made = versions.current
    if made is None or not made.manifest or made.manifest != proposal.upload_id:
        raise NoSuchUpload()
    if etag_of([etag.strip('"') for _, etag, _ in proposal.parts]) != made.etag:
        raise NoSuchUpload()
    return Done(
        seq=made.order,
        version_id=made.version_id,
        versioned=bool(bucket_of(draft).versioning),
        etag=made.etag,
        existed=True,
        record=made,
    )


def choose_parts(proposal: CompleteUpload, stored: dict[int, PartRecord]) -> list[PartRecord]:
    """The stored parts that the client names.

    :raises InvalidRequest, InvalidPartOrder, InvalidPart, EntityTooSmall:
    """
    if not proposal.parts:
        raise InvalidRequest("You must specify at least one part")
    numbers = [number for number, _, _ in proposal.parts]
    if any(a >= b for a, b in itertools.pairwise(numbers)):
        raise InvalidPartOrder()
    chosen = [_match(stored.get(number), number, etag, sums) for number, etag, sums in proposal.parts]
    for part in chosen[:-1]:
        if part.size < proposal.part_bytes_min:
            raise EntityTooSmall(part=part.number, proposed=part.size, minimum=proposal.part_bytes_min, etag=part.etag)
    return chosen


def _match(part: PartRecord | None, number: int, etag: str, given: dict[str, str]) -> PartRecord:
    """:raises InvalidPart: no such part, or another entity tag or checksum"""
    if part is None or part.etag != etag.strip('"'):
        raise InvalidPart(part=number, etag=etag)
    if any(part.checksums.get(algorithm) != value for algorithm, value in given.items()):
        raise InvalidPart(part=number, etag=etag)
    return part


def assemble(upload: UploadRecord, proposal: CompleteUpload, parts: list[PartRecord]) -> ObjectRecord:
    """The object's record, but for its place among the versions.

    :raises InvalidRequest: not the announced size, or a checksum by an algorithm that is not the upload's, which nothing
        here could tell to be right
    :raises ChecksumMismatch: not the announced checksum
    :raises InvalidPart: a part lacks the upload's checksum
    """
    size = sum(part.size for part in parts)
    if proposal.size not in (-1, size):
        raise InvalidRequest("The provided 'x-amz-mp-object-size' header does not match what was computed.")
    sums = whole_checksums(upload, parts)
    for algorithm, value in proposal.checksums.items():
        if algorithm not in sums:
            raise InvalidRequest(f"The upload was not created using a {algorithm.lower()} checksum.")
        if value not in (sums[algorithm], sums[algorithm].partition("-")[0]):
            raise ChecksumMismatch(algorithm=algorithm, expected=value, computed=sums[algorithm])
    return msgspec.structs.replace(
        upload.template,
        size=size,
        etag=etag_of([part.etag for part in parts]),
        data=None,
        manifest=upload.upload_id,
        parts=len(parts),
        checksums=sums,
        checksum_type=upload.checksum_type if sums else "",
    )


def etag_of(etags: list[str]) -> str:
    """MD5 of the parts' MD5s, and their number. A tag that is no MD5 counts with its characters."""
    digest = hashlib.md5(usedforsecurity=False)
    for etag in etags:
        try:
            digest.update(bytes.fromhex(etag))
        except ValueError:
            digest.update(etag.encode())
    return f"{digest.hexdigest()}-{len(etags)}"


def whole_checksums(upload: UploadRecord, parts: list[PartRecord]) -> dict[str, str]:
    """The object's checksum by the upload's algorithm: combined (FULL_OBJECT) or a digest of digests (COMPOSITE).

    :raises InvalidPart: a part lacks it
    """
    algorithm = upload.checksum_algorithm
    if not algorithm:
        return {}
    raw: list[tuple[bytes, int]] = []
    for part in parts:
        value = checksums.decode(algorithm, part.checksums.get(algorithm, ""))
        if value is None:
            raise InvalidPart(part=part.number, etag=part.etag)
        raw.append((value, part.size))
    if upload.checksum_type == "FULL_OBJECT":
        return {algorithm: checksums.encode(checksums.combine_parts(algorithm, raw))}
    return {algorithm: checksums.composite(algorithm, (value for value, _ in raw))}
