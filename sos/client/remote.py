"""Buckets and objects behind an alias, as a tree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from minio.datatypes import Object, Upload, parse_list_objects
from minio.deleteobjects import DeletedObject, DeleteError, DeleteObject
from minio.error import S3Error

from .connection import Connection
from .entries import Entry
from .errors import Failure, Missing, explain

BATCH = 1000
#: Makes a HEAD tell the checksums that are stored.
CHECKSUMS = {"x-amz-checksum-mode": "ENABLED"}


@dataclass(frozen=True, slots=True)
class Listing:
    """What to list. :param metadata: user metadata and tags of each object too, which MinIO tells"""

    recursive: bool = False
    versions: bool = False
    incomplete: bool = False
    metadata: bool = False


class Remote:
    """Paths are ``bucket/key``; the empty one is the server. Methods raise ``errors.FAULTS``."""

    def __init__(self, connection: Connection) -> None:
        self.connection, self.s3 = connection, connection.s3

    def stat(self, path: str, version_id: str = "") -> Entry:
        """:raises Missing: neither an object nor a prefix of any"""
        bucket, _, key = path.partition("/")
        if not bucket:
            return Entry("", folder=True)
        if not key:
            self.require_bucket(bucket)
            return Entry(f"{bucket}/", folder=True)
        if not key.endswith("/"):
            try:
                return self.head(path, version_id)
            except S3Error as error:
                failure = explain(error)
                if not isinstance(failure, Missing) or failure.code == "NoSuchBucket" or version_id:
                    raise failure from None
        if self._any_below(bucket, key.rstrip("/") + "/"):
            return Entry(f"{bucket}/{key.rstrip('/')}/", folder=True)
        self.require_bucket(bucket)
        raise Missing("Object does not exist")

    def head(self, path: str, version_id: str = "") -> Entry:
        bucket, _, key = path.partition("/")
        found = self.s3.stat_object(bucket, key, version_id=version_id or None, extra_headers=dict(CHECKSUMS))
        headers = {name.title(): value for name, value in (found.metadata or {}).items()}
        return Entry(
            path, found.size or 0, found.last_modified, found.etag or "", version_id=found.version_id or "",
            storage_class=headers.get("X-Amz-Storage-Class", ""), headers=headers,
        )  # fmt: skip

    def require_bucket(self, bucket: str) -> None:
        """:raises Missing:"""
        if not self.s3.bucket_exists(bucket):
            raise Missing(
                f"Bucket `{bucket}` does not exist.", "NoSuchBucket", {"Code": "NoSuchBucket", "BucketName": bucket}
            )

    def is_folder(self, path: str) -> bool:
        try:
            return self.stat(path).folder
        except Missing:
            return False

    def _any_below(self, bucket: str, prefix: str) -> bool:
        return next(iter(self.s3.list_objects(bucket, prefix)), None) is not None

    def walk(self, path: str, what: Listing) -> Iterator[Entry]:
        """All whose path begins with ``path``; without ``recursive`` up to the next slash."""
        bucket, _, key = path.partition("/")
        if bucket:
            yield from self._uploads(bucket, key, what) if what.incomplete else self._objects(bucket, key, what)
            return
        # the slash counts: `a-b/` comes before `a/`
        for found in sorted(self.s3.list_buckets(), key=lambda one: f"{one.name}/".encode()):
            if what.recursive:
                yield from self.walk(f"{found.name}/", what)
            else:
                yield Entry(f"{found.name}/", modified=found.creation_date, folder=True)

    def _objects(self, bucket: str, prefix: str, what: Listing) -> Iterator[Entry]:
        if what.versions:
            yield from self._versions(bucket, prefix, what)
            return
        for found in self.s3.list_objects(bucket, prefix, what.recursive, include_user_meta=what.metadata):
            yield _entry(bucket, found)

    def _versions(self, bucket: str, prefix: str, what: Listing) -> Iterator[Entry]:
        """By key, the latest first. The library gives the delete markers of a page after all others."""
        query: Any = {
            "versions": "",
            "prefix": prefix,
            "delimiter": "" if what.recursive else "/",
            "max-keys": str(BATCH),
        }
        marks: dict[str, str] = {"encoding-type": "url"}
        while True:
            response = self.s3._execute("GET", bucket, query_params={**query, **marks})
            objects, more, key_marker, id_marker = parse_list_objects(response)
            yield from sorted((_entry(bucket, found) for found in objects), key=_rank)
            if not more:
                return
            marks |= {"key-marker": key_marker or "", **({"version-id-marker": id_marker} if id_marker else {})}

    def _uploads(self, bucket: str, prefix: str, what: Listing) -> Iterator[Entry]:
        seen: set[str] = set()
        for upload in self._all_uploads(bucket, prefix):
            head, slash, _ = upload.object_name.removeprefix(prefix).partition("/")
            folder = f"{bucket}/{prefix}{head}/"
            if what.recursive or not slash:
                yield Entry(
                    f"{bucket}/{upload.object_name}", modified=upload.initiated_time,
                    storage_class=upload.storage_class or "", upload_id=upload.upload_id or "",
                )  # fmt: skip
            elif folder not in seen:
                seen.add(folder)
                yield Entry(folder, folder=True)

    def _all_uploads(self, bucket: str, prefix: str) -> Iterator[Upload]:
        key_marker, id_marker = "", ""
        while True:
            page = self.s3._list_multipart_uploads(
                bucket, prefix=prefix, key_marker=key_marker or None, upload_id_marker=id_marker or None
            )
            yield from page.uploads
            if not page.is_truncated or not page.uploads:
                return
            key_marker, id_marker = page.uploads[-1].object_name, page.uploads[-1].upload_id or ""

    def remove(self, entries: Iterable[Entry], bypass: bool = False) -> Iterator[tuple[Entry, DeletedObject | Failure]]:
        """Objects or versions, a thousand a call; what became of each. Uploads that are unfinished are given up."""
        waiting = iter(entries)
        while batch := list(islice(waiting, BATCH)):
            for entry in batch:
                if entry.upload_id:
                    self.abort(entry)
                    yield entry, DeletedObject(entry.path.partition("/")[2], None, False, None)
            objects = [entry for entry in batch if not entry.upload_id]
            for bucket in dict.fromkeys(entry.path.partition("/")[0] for entry in objects):
                yield from self._remove(bucket, [one for one in objects if one.path.startswith(f"{bucket}/")], bypass)

    def _remove(
        self, bucket: str, entries: list[Entry], bypass: bool
    ) -> Iterator[tuple[Entry, DeletedObject | Failure]]:
        named = {(entry.path.partition("/")[2], entry.version_id): entry for entry in entries}
        wanted = [DeleteObject(key, version_id or None) for key, version_id in named]
        result = self.s3._delete_objects(bucket, wanted, bypass_governance_mode=bypass)
        for gone in result.object_list:
            entry = named.get((gone.name, gone.version_id or "")) or Entry(f"{bucket}/{gone.name}")
            yield entry, gone
        for refused in result.error_list:
            entry = named.get((refused.name or "", refused.version_id or "")) or Entry(f"{bucket}/{refused.name or ''}")
            yield entry, _refusal(refused)

    def abort(self, entry: Entry) -> None:
        bucket, _, key = entry.path.partition("/")
        self.s3._abort_multipart_upload(bucket, key, entry.upload_id)


def _rank(entry: Entry) -> tuple[bytes, bool, float]:
    return entry.path.encode(), not entry.latest, -entry.modified.timestamp() if entry.modified else 0.0


def _refusal(error: DeleteError) -> Failure:
    detail = {"Code": error.code, "Message": error.message or "", "Key": error.name or ""}
    return Failure(error.message or error.code, error.code, detail)


def _entry(bucket: str, found: Object) -> Entry:
    # a common prefix has no time; an object may have a name that ends with a slash
    return Entry(
        f"{bucket}/{found.object_name or ''}",
        found.size or 0,
        found.last_modified,
        found.etag or "",
        folder=found.last_modified is None,
        version_id="" if found.version_id is None else found.version_id,
        latest=found.is_latest is None or str(found.is_latest).lower() == "true",
        delete_marker=found.is_delete_marker,
        storage_class=found.storage_class or "",
        metadata={str(name): str(value) for name, value in (found.metadata or {}).items()},
        tags=dict(found.tags or {}),
    )
