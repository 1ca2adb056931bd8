"""One file or object from one place to another."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from minio.commonconfig import COPY, REPLACE, CopySource, Tags
from minio.datatypes import Object

from . import attributes
from .attributes import Wishes
from .entries import Entry
from .errors import Failure
from .fetch import CHUNK_BYTES, Fetch
from .local import Folder
from .meter import Meter
from .remote import Remote

PART_BYTES, PARTS, PARTS_MAX = 16 << 20, 4, 10_000
#: Of what has no known length: then 640 GB fit into 10,000 parts.
STREAM_PART_BYTES = 64 << 20
SINGLE_BYTES_MAX = 5 << 30
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Job:
    """:param source: alias of where it comes from, empty for this machine
    :param target: alias of where it goes
    :param root: what the user named there; ``name`` is below it and may come from a server
    """

    source: str
    entry: Entry
    target: str
    root: str
    name: str

    @property
    def target_path(self) -> str:
        return f"{self.root.rstrip('/')}/{self.name}" if self.root not in ("", ".") else self.name

    @property
    def shown_source(self) -> str:
        return f"{self.source}/{self.entry.path}" if self.source else self.entry.path

    @property
    def shown_target(self) -> str:
        return f"{self.target}/{self.target_path}" if self.target else self.target_path


class Source(Protocol):
    def read(self, size: int) -> bytes: ...


class Metered:
    """What is read through it counts, and ends when the user says so."""

    def __init__(self, source: Source, meter: Meter) -> None:
        self._source, self._meter = source, meter

    def read(self, size: int) -> bytes:
        """Less than asked for only at the end: the library joins what it gets piece by piece, copying all each time."""
        pieces, left = [], size
        while left:
            self._meter.check()
            data = self._source.read(min(left, CHUNK_BYTES))
            if not data:
                break
            self._meter.advance(len(data))
            pieces.append(data)
            left -= len(data)
        return b"".join(pieces)


class Mover:
    """Carries out jobs. Methods raise ``errors.FAULTS``, and ``Cancelled``."""

    def __init__(self, remotes: Callable[[str], Remote], wishes: Wishes, meter: Meter) -> None:
        self._remotes, self._wishes, self._meter = remotes, wishes, meter

    def move(self, job: Job) -> None:
        self._meter.check()
        self._meter.caption(job.shown_source)
        if not job.target:
            (self._download if job.source else self._duplicate)(job)
        elif not job.source:
            self._upload(job)
        elif job.source == job.target:
            self._copy(job)
        else:
            self._relay(job)

    def _upload(self, job: Job) -> None:
        path = job.entry.path
        with open(path, "rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            headers = {"Content-Type": attributes.content_type(path)}
            if self._wishes.preserve:
                headers[attributes.ATTRIBUTES] = attributes.of_file(file.fileno())
            self.put(job.target, job.target_path, file, size, headers)

    def put(self, alias: str, path: str, source: Source, size: int, headers: dict[str, str]) -> None:
        """:param size: -1 where it is not known"""
        bucket, _, key = path.partition("/")
        if not bucket or not key:
            raise Failure("Bucket and object name must not be empty.")
        _encodable(key)
        wanted = {**headers, **self._wishes.headers}
        kind = wanted.pop("Content-Type", attributes.BINARY)
        self._remotes(alias).s3.put_object(
            bucket, key, Metered(source, self._meter), size, kind, self._stored(wanted),  # type: ignore[arg-type]
            part_size=self._part(size), num_parallel_uploads=PARTS, tags=self._tags(),
        )  # fmt: skip

    def _part(self, size: int) -> int:
        if not self._wishes.multipart and size > SINGLE_BYTES_MAX:
            raise Failure("Without multipart upload an object has at most 5 GiB.")
        if not self._wishes.multipart and size > 0:
            return max(size, PART_BYTES)
        if size < 0:
            return STREAM_PART_BYTES
        return max(PART_BYTES, -(-size // PARTS_MAX // _MIB) * _MIB)

    def _stored(self, headers: dict[str, str]) -> dict[str, Any]:
        wished = self._wishes.storage_class
        return {**headers, **({"X-Amz-Storage-Class": wished} if wished else {})}

    def _tags(self) -> Tags | None:
        if not self._wishes.tags:
            return None
        tags = Tags.new_object_tags()
        tags.update(self._wishes.tags)
        return tags

    def _download(self, job: Job) -> None:
        if job.entry.path.endswith("/"):
            self._directory(job)
            return
        fetch = Fetch(self._remotes(job.source).s3, job.entry, self._meter)
        with Folder(job.root).write(job.name) as draft:
            fetch.into(draft.file)
            kept = fetch.headers.get(attributes.ATTRIBUTES, "")
            if self._wishes.preserve and kept:
                attributes.apply(draft.file.fileno(), kept)

    def _directory(self, job: Job) -> None:
        """An object whose name ends with a slash stands for an empty directory."""
        if job.entry.size:
            raise Failure("Its name ends with a slash; no file can have it.")
        Folder(job.root).make(job.name)

    def _duplicate(self, job: Job) -> None:
        with open(job.entry.path, "rb", buffering=0) as file, Folder(job.root).write(job.name) as draft:
            if os.path.exists(job.target_path) and os.path.samefile(job.entry.path, job.target_path):
                raise Failure(f"`{job.entry.path}` and `{job.target_path}` are the same file.")
            reader = Metered(file, self._meter)
            while data := reader.read(CHUNK_BYTES):
                draft.file.write(data)
            if self._wishes.preserve:
                attributes.apply(draft.file.fileno(), attributes.of_file(file.fileno()))

    def _copy(self, job: Job) -> None:
        """Within a server: no byte comes here."""
        bucket, _, key = job.target_path.partition("/")
        source_bucket, _, source_key = job.entry.path.partition("/")
        remote = self._remotes(job.source)
        large = job.entry.size > SINGLE_BYTES_MAX
        same = job.target_path == job.entry.path and not job.entry.version_id
        replace = bool(self._wishes.headers) or same or large
        headers = self._wishes.headers
        if replace:
            headers = {**attributes.carried(_headers(remote, job.entry)), **headers}
        tags = self._tags()
        remote.s3.copy_object(
            bucket, key, CopySource(source_bucket, source_key, version_id=job.entry.version_id or None),
            metadata=self._stored(headers) or None, tags=tags,
            metadata_directive=REPLACE if replace else None if large else COPY,
            tagging_directive=REPLACE if tags else None,
        )  # fmt: skip
        self._meter.advance(job.entry.size)

    def _relay(self, job: Job) -> None:
        """From one server to another, through this machine."""
        bucket, _, key = job.entry.path.partition("/")
        response = self._remotes(job.source).s3.get_object(bucket, key, version_id=job.entry.version_id or None)
        with self._meter.reading(response):
            size = int(response.headers.get("Content-Length", job.entry.size))
            headers = attributes.carried(dict(response.headers))
            self.put(job.target, job.target_path, _Answer(response), size, headers)


class _Answer:
    """The body of an answer as it was sent, not unpacked."""

    def __init__(self, response: Any) -> None:
        self._response = response

    def read(self, size: int) -> bytes:
        data: bytes = self._response.read(size, decode_content=False)
        return data


def _headers(remote: Remote, entry: Entry) -> dict[str, str]:
    bucket, _, key = entry.path.partition("/")
    found: Object = remote.s3.stat_object(bucket, key, version_id=entry.version_id or None)
    return {str(name): str(value) for name, value in (found.metadata or {}).items()}


def _encodable(key: str) -> None:
    try:
        key.encode()
    except UnicodeEncodeError:
        raise Failure("The name of the file is not UTF-8; no object can have it.") from None
