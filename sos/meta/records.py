"""Records as they are stored. The specification with offsets and golden bytes is ``sos/meta/FORMAT.md``.

A struct is stored as a msgpack array in the order of its fields. Fields are only ever appended, with a default,
so a record written by any earlier release decodes in every later one.
"""

from __future__ import annotations

from enum import IntEnum

import msgspec


class Kind(IntEnum):
    """What a version is."""

    OBJECT = 0
    DELETE_MARKER = 1


class DataRef(msgspec.Struct, array_like=True, frozen=True):
    """Where the payload of one object or part is: the same volume and offset on every drive of the set.

    :param data_id: 16 random bytes, bound into every block's digest
    :param size: payload bytes
    :param k: data shards
    :param m: parity shards
    :param block: bytes per drive and stripe (B); a multiple of 64 KiB
    :param volume: volume number, 0 for inline data (table ``inline``, key ``data_id``)
    :param offset: start of the extent in the volume, a multiple of 4096
    :param have: bit i is set when drive i of the set holds its shard durably
    """

    data_id: bytes
    size: int
    k: int
    m: int
    block: int
    volume: int = 0
    offset: int = 0
    have: int = 0


class ObjectRecord(msgspec.Struct, array_like=True, frozen=True, omit_defaults=False):
    """One version of an object, or a delete marker.

    :param order: version order: the set's sequence of the operation that made it; larger is newer
    :param version_id: 16 bytes, or empty for the null version
    :param size: bytes
    :param mtime_ns: last modified, nanoseconds since the epoch
    :param etag: without quotes
    :param data: None for an empty object, a delete marker, or a multipart object
    :param manifest: data id of the part list in table ``manifests``, empty unless multipart
    :param parts: number of parts, 0 unless multipart
    :param content_type: Content-Type
    :param headers: other standard headers kept with the object (lower-case name → value)
    :param metadata: x-amz-meta-* (lower-case name without prefix → value)
    :param tags: object tags
    :param checksums: algorithm → base64 value (with ``-N`` for COMPOSITE)
    :param checksum_type: ``FULL_OBJECT`` or ``COMPOSITE``, empty without checksum
    :param storage_class: ``STANDARD`` or ``REDUCED_REDUNDANCY``
    :param owner: account id
    :param retention_mode: empty, ``GOVERNANCE`` or ``COMPLIANCE``
    :param retain_until_ns: nanoseconds since the epoch, 64 bits
    :param legal_hold: object lock legal hold
    :param encryption: envelope of sealed keys (opaque here), empty when not encrypted
    :param replication: replication status, empty when not replicated
    :param tier: remote tier reference (opaque here), empty when local
    """

    order: int
    version_id: bytes
    kind: int
    size: int
    mtime_ns: int
    etag: str
    data: DataRef | None = None
    manifest: bytes = b""
    parts: int = 0
    content_type: str = "binary/octet-stream"
    headers: dict[str, str] = {}
    metadata: dict[str, str] = {}
    tags: dict[str, str] = {}
    checksums: dict[str, str] = {}
    checksum_type: str = ""
    storage_class: str = "STANDARD"
    owner: str = ""
    retention_mode: str = ""
    retain_until_ns: int = 0
    legal_hold: bool = False
    encryption: bytes = b""
    replication: str = ""
    tier: bytes = b""

    @property
    def is_marker(self) -> bool:
        return self.kind == Kind.DELETE_MARKER


class PartRecord(msgspec.Struct, array_like=True, frozen=True):
    """One uploaded part; also one entry of a manifest.

    :param checksums: algorithm → base64 value of the part
    """

    number: int
    size: int
    etag: str
    mtime_ns: int
    data: DataRef | None = None
    checksums: dict[str, str] = {}
    encryption: bytes = b""


class Manifest(msgspec.Struct, array_like=True, frozen=True):
    """The parts of a completed multipart object, in order."""

    parts: tuple[PartRecord, ...]


class UploadRecord(msgspec.Struct, array_like=True, frozen=True):
    """A multipart upload under way.

    :param upload_id: 16 bytes: start time (ns, 8 bytes big-endian) and 8 random bytes, so ids sort by start
    :param template: what the object will carry: headers, metadata, tags, lock, owner (size and etag unset)
    :param checksum_algorithm: empty or the algorithm declared at the start
    :param checksum_type: empty, ``FULL_OBJECT`` or ``COMPOSITE``
    """

    upload_id: bytes
    initiated_ns: int
    template: ObjectRecord
    checksum_algorithm: str = ""
    checksum_type: str = ""


class ExtentRecord(msgspec.Struct, array_like=True, frozen=True):
    """An extent of a volume.

    :param length: bytes on each drive, footer included
    :param freed_seq: 0 while live, else the sequence that freed it
    :param freed_ns: when it was freed
    """

    data_id: bytes
    length: int
    freed_seq: int = 0
    freed_ns: int = 0


class BucketRecord(msgspec.Struct, array_like=True, frozen=True):
    """A bucket's configuration, kept in set 0.

    :param bucket_id: 8-byte number, never reused
    :param versioning: empty (never enabled), ``Enabled`` or ``Suspended``
    :param state: ``live`` or ``deleting``
    :param configurations: kind (``policy``, ``lifecycle``, ``tagging`` …) → document
    """

    bucket_id: int
    name: str
    created_ns: int
    owner: str = ""
    versioning: str = ""
    object_lock: bool = False
    state: str = "live"
    region: str = ""
    quota_bytes: int = 0
    configurations: dict[str, bytes] = {}


class FenceRecord(msgspec.Struct, array_like=True, frozen=True):
    """A bucket that this set no longer accepts writes for."""

    bucket_id: int
    since_ns: int


class CounterRecord(msgspec.Struct, array_like=True, frozen=True):
    """Exact usage of one bucket and storage class in one set.

    :param objects: latest versions that are objects
    :param versions: all versions but delete markers
    :param markers: delete markers
    :param size: bytes of all versions
    :param uploads: multipart uploads under way
    :param upload_size: bytes of their parts
    """

    objects: int = 0
    versions: int = 0
    markers: int = 0
    size: int = 0
    uploads: int = 0
    upload_size: int = 0


class UndoRecord(msgspec.Struct, array_like=True, frozen=True):
    """A version that was overwritten or deleted inside the undo window and can be brought back."""

    bucket_id: int
    key: bytes
    removed_ns: int
    removed_seq: int
    record: ObjectRecord


class ReleaseRecord(msgspec.Struct, array_like=True, frozen=True):
    """What an operation stopped referring to and left to later ones to free, because it was too much for one.

    :param parts: of a removed version, whose payloads are to be freed
    :param upload_id: of an upload of ``bucket_id`` that is gone, whose part rows are to be removed and their payloads freed
    """

    parts: tuple[PartRecord, ...] = ()
    bucket_id: int = 0
    upload_id: bytes = b""


class LogEntry(msgspec.Struct, array_like=True, frozen=True):
    """One operation in the log.

    :param request_id: 16 bytes chosen by the proposer; a repeated one gets the same answer
    :param keys: (table, key) of every replicated row that it changed
    :param outcome: the encoded outcome, for repeated requests
    """

    epoch: int
    seq: int
    request_id: bytes
    at_ns: int
    keys: tuple[tuple[str, bytes], ...]
    outcome: bytes
