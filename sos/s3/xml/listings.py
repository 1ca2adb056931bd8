"""Pages of keys: the documents of ListObjects (v1, v2) and ListObjectVersions. Built as strings: they are hot."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlencode

from ...meta.records import ObjectRecord
from ...services.types import Page
from ..identifiers import show_version
from .documents import Who, root, root_account
from .text import escape, escape_key, iso_time, url_key

_ELEMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


@dataclass(frozen=True, slots=True)
class Listing:
    """What the client asked for, as the reply repeats it.

    :param most: MaxKeys
    :param url: encoding-type=url
    :param owner: entries name their owner
    :param metadata: entries carry user metadata and tags (an extension of MinIO)
    :param known: what is known of their owners
    """

    bucket: str
    prefix: bytes
    delimiter: bytes
    most: int
    url: bool
    owner: bool = True
    metadata: bool = False
    known: Who = root_account

    @property
    def text(self) -> Callable[[bytes], str]:
        """How keys are written."""
        return url_key if self.url else escape_key

    def encoding(self) -> str:
        return "<EncodingType>url</EncodingType>" if self.url else ""


def _entries(asked: Listing, page: Page) -> Iterator[str]:
    text, known = asked.text, asked.known
    for key, record in page.entries:
        owner = f"<Owner>{known(record.owner)}</Owner>" if asked.owner else ""
        extra = _metadata(record) if asked.metadata else ""
        yield (
            f"<Contents><Key>{text(key)}</Key><LastModified>{iso_time(record.mtime_ns)}</LastModified>"
            f"<ETag>&#34;{record.etag}&#34;</ETag><Size>{record.size}</Size>{owner}{_algorithms(record)}"
            f"<StorageClass>{record.storage_class}</StorageClass>{extra}</Contents>"
        )


def _algorithms(record: ObjectRecord) -> str:
    if not record.checksums:
        return ""
    names = "".join(f"<ChecksumAlgorithm>{name}</ChecksumAlgorithm>" for name in record.checksums)
    return f"{names}<ChecksumType>{record.checksum_type}</ChecksumType>"


def _metadata(record: ObjectRecord) -> str:
    values = {"content-type": record.content_type, **record.headers}
    values.update((f"X-Amz-Meta-{name.title()}", value) for name, value in record.metadata.items())
    inner = "".join(f"<{n}>{escape(v)}</{n}>" for n, v in values.items() if _ELEMENT_NAME.fullmatch(n))
    tags = f"<UserTags>{escape(urlencode(record.tags))}</UserTags>" if record.tags else ""
    shards = f"<Internal><K>{record.data.k}</K><M>{record.data.m}</M></Internal>" if record.data else ""
    return f"<UserMetadata>{inner}</UserMetadata>{tags}{shards}"


def _prefixes(asked: Listing, page: Page) -> Iterator[str]:
    text = asked.text
    return (f"<CommonPrefixes><Prefix>{text(p)}</Prefix></CommonPrefixes>" for p in page.prefixes)


def _tail(asked: Listing, page: Page) -> str:
    return f"{asked.encoding()}{''.join(_entries(asked, page))}{''.join(_prefixes(asked, page))}"


def objects_v1(asked: Listing, page: Page, marker: bytes) -> bytes:
    """ListBucketResult of ListObjects."""
    text = asked.text
    following = f"<NextMarker>{text(page.next_key)}</NextMarker>" if page.truncated else ""
    delimiter = f"<Delimiter>{text(asked.delimiter)}</Delimiter>" if asked.delimiter else ""
    return root(
        "ListBucketResult",
        f"<Name>{asked.bucket}</Name><Prefix>{text(asked.prefix)}</Prefix><Marker>{text(marker)}</Marker>{following}"
        f"<MaxKeys>{asked.most}</MaxKeys>{delimiter}"
        f"<IsTruncated>{'true' if page.truncated else 'false'}</IsTruncated>{_tail(asked, page)}",
    )


def objects_v2(asked: Listing, page: Page, start_after: bytes, token: str, next_token: str) -> bytes:
    """ListBucketResult of ListObjectsV2."""
    text = asked.text
    optional = f"<StartAfter>{text(start_after)}</StartAfter>" if start_after else ""
    optional += f"<ContinuationToken>{escape(token)}</ContinuationToken>" if token else ""
    optional += f"<NextContinuationToken>{next_token}</NextContinuationToken>" if page.truncated else ""
    delimiter = f"<Delimiter>{text(asked.delimiter)}</Delimiter>" if asked.delimiter else ""
    return root(
        "ListBucketResult",
        f"<Name>{asked.bucket}</Name><Prefix>{text(asked.prefix)}</Prefix>{optional}"
        f"<KeyCount>{len(page.entries) + len(page.prefixes)}</KeyCount><MaxKeys>{asked.most}</MaxKeys>{delimiter}"
        f"<IsTruncated>{'true' if page.truncated else 'false'}</IsTruncated>{_tail(asked, page)}",
    )


def versions(asked: Listing, page: Page, key_marker: bytes, version_marker: str) -> bytes:
    """ListVersionsResult. Clients of MinIO fail on elements at its top that they do not know: keep to these."""
    text = asked.text
    following = ""
    if page.truncated:
        shown = "" if page.next_version is None else show_version(page.next_version)
        following = (
            f"<NextKeyMarker>{text(page.next_key)}</NextKeyMarker><NextVersionIdMarker>{shown}</NextVersionIdMarker>"
        )
    delimiter = f"<Delimiter>{text(asked.delimiter)}</Delimiter>" if asked.delimiter else ""
    return root(
        "ListVersionsResult",
        f"<Name>{asked.bucket}</Name><Prefix>{text(asked.prefix)}</Prefix><KeyMarker>{text(key_marker)}</KeyMarker>"
        f"<VersionIdMarker>{escape(version_marker)}</VersionIdMarker>{following}<MaxKeys>{asked.most}</MaxKeys>{delimiter}"
        f"<IsTruncated>{'true' if page.truncated else 'false'}</IsTruncated>{asked.encoding()}"
        f"{''.join(_versions(asked, page))}{''.join(_prefixes(asked, page))}",
    )


def _versions(asked: Listing, page: Page) -> Iterator[str]:
    text = asked.text
    latest = page.latest or [True] * len(page.entries)
    for (key, record), newest in zip(page.entries, latest, strict=True):
        head = (
            f"<Key>{text(key)}</Key><LastModified>{iso_time(record.mtime_ns)}</LastModified>"
            f"<Owner>{asked.known(record.owner)}</Owner>"
            f"<IsLatest>{'true' if newest else 'false'}</IsLatest><VersionId>{show_version(record.version_id)}</VersionId>"
        )
        if record.is_marker:
            yield f"<DeleteMarker>{head}</DeleteMarker>"
            continue
        extra = _metadata(record) if asked.metadata else ""
        yield (
            f"<Version>{head}<ETag>&#34;{record.etag}&#34;</ETag><Size>{record.size}</Size>{_algorithms(record)}"
            f"<StorageClass>{record.storage_class}</StorageClass>{extra}</Version>"
        )
