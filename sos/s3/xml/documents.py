"""Reply documents of buckets, single objects, copies and multipart uploads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ...meta.records import BucketRecord, ObjectRecord, PartRecord, UploadRecord
from ...services.types import PartsPage, UploadsPage
from .text import HEADER, NAMESPACE, escape, escape_key, iso_time, url_key

OWNER_ID = "02d6176db174dc93cb1b899f7c6078f08654445fe8cf1b6ce98d8855f66bdbf4"
OWNER_NAME = "minio"
_WHO = f"<ID>{OWNER_ID}</ID><DisplayName>{OWNER_NAME}</DisplayName>"  # that of the root account

Who = Callable[[str], str]
"""Account → what an ``Owner`` element holds of it."""


def who(canonical_id: str, name: str) -> str:
    """The inside of ``Owner``, ``Initiator`` and ``Grantee``."""
    return f"<ID>{canonical_id}</ID><DisplayName>{escape(name)}</DisplayName>"


def root_account(account: str) -> str:
    """Where there is but one account."""
    return _WHO


def root(name: str, inner: str) -> bytes:
    """A whole document with the S3 namespace."""
    return f'{HEADER}<{name} xmlns="{NAMESPACE}">{inner}</{name}>'.encode()


def element(name: str, value: str | int | None) -> str:
    """An element, or nothing for None."""
    return "" if value is None else f"<{name}>{escape(str(value))}</{name}>"


def boolean(name: str, value: bool) -> str:
    return f"<{name}>{'true' if value else 'false'}</{name}>"


def checksums(values: dict[str, str], kind: str = "") -> str:
    """``ChecksumCRC32`` … elements, and ``ChecksumType`` when known."""
    inner = "".join(element(f"Checksum{name}", value) for name, value in sorted(values.items()))
    return inner + (element("ChecksumType", kind) if inner and kind else "")


def buckets(records: Iterable[BucketRecord], prefix: str | None, token: str, owner: str = _WHO) -> bytes:
    """ListAllMyBucketsResult.

    :param owner: the asking account
    """
    rows = "".join(
        f"<Bucket><Name>{escape(r.name)}</Name><CreationDate>{iso_time(r.created_ns)}</CreationDate></Bucket>"
        for r in records
    )
    more = element("ContinuationToken", token or None) + element("Prefix", prefix)
    return root("ListAllMyBucketsResult", f"<Owner>{owner}</Owner><Buckets>{rows}</Buckets>{more}")


def location(region: str) -> bytes:
    return root("LocationConstraint", escape("" if region == "us-east-1" else region))


def copied(name: str, etag: str, mtime_ns: int, values: dict[str, str], kind: str) -> bytes:
    """CopyObjectResult or CopyPartResult."""
    inner = f"<LastModified>{iso_time(mtime_ns)}</LastModified><ETag>&#34;{escape(etag)}&#34;</ETag>"
    return root(name, inner + checksums(values, kind))


def initiated(bucket: str, key: bytes, upload_id: str) -> bytes:
    inner = f"<Bucket>{bucket}</Bucket><Key>{escape_key(key)}</Key><UploadId>{upload_id}</UploadId>"
    return root("InitiateMultipartUploadResult", inner)


def completed(where: str, bucket: str, key: bytes, etag: str, values: dict[str, str], kind: str) -> bytes:
    """CompleteMultipartUploadResult."""
    inner = (
        f"{element('Location', where)}<Bucket>{bucket}</Bucket><Key>{escape_key(key)}</Key>"
        f"<ETag>&#34;{escape(etag)}&#34;</ETag>"
    )
    return root("CompleteMultipartUploadResult", inner + checksums(values, kind))


def posted(where: str, bucket: str, key: bytes, etag: str) -> bytes:
    """PostResponse (no namespace, as S3 sends it)."""
    inner = (
        f"{element('Location', where)}<Bucket>{bucket}</Bucket><Key>{escape_key(key)}</Key>"
        f"<ETag>&#34;{escape(etag)}&#34;</ETag>"
    )
    return f"{HEADER}<PostResponse>{inner}</PostResponse>".encode()


def parts(
    bucket: str,
    key: bytes,
    upload_id: str,
    page: PartsPage,
    after: int,
    most: int,
    url: bool,
    known: Who = root_account,
) -> bytes:
    """ListPartsResult."""
    upload = page.upload
    rows = "".join(_listed_part(part) for part in page.parts)
    algorithm = element("ChecksumAlgorithm", upload.checksum_algorithm or None)
    owner = known(upload.template.owner)
    inner = (
        f"<Bucket>{bucket}</Bucket><Key>{url_key(key) if url else escape_key(key)}</Key>"
        f"<UploadId>{upload_id}</UploadId><Initiator>{owner}</Initiator><Owner>{owner}</Owner>"
        f"<StorageClass>{upload.template.storage_class}</StorageClass>"
        f"<PartNumberMarker>{after}</PartNumberMarker><NextPartNumberMarker>{page.next_number}</NextPartNumberMarker>"
        f"<MaxParts>{most}</MaxParts>{boolean('IsTruncated', page.truncated)}"
        f"{algorithm}{element('ChecksumType', upload.checksum_type or None)}{rows}"
    )
    return root("ListPartsResult", inner)


def _listed_part(part: PartRecord) -> str:
    return (
        f"<Part><PartNumber>{part.number}</PartNumber><LastModified>{iso_time(part.mtime_ns)}</LastModified>"
        f"<ETag>&#34;{escape(part.etag)}&#34;</ETag><Size>{part.size}</Size>{checksums(part.checksums)}</Part>"
    )


def uploads(
    bucket: str,
    prefix: bytes,
    delimiter: bytes,
    key_marker: bytes,
    upload_marker: str,
    most: int,
    url: bool,
    page: UploadsPage,
    known: Who = root_account,
) -> bytes:
    """ListMultipartUploadsResult."""
    text = url_key if url else escape_key
    rows = "".join(_upload(text(key), record, known(record.template.owner)) for key, record in page.uploads)
    folded = "".join(f"<CommonPrefixes><Prefix>{text(p)}</Prefix></CommonPrefixes>" for p in page.prefixes)
    inner = (
        f"<Bucket>{bucket}</Bucket><KeyMarker>{text(key_marker)}</KeyMarker>"
        f"<UploadIdMarker>{escape(upload_marker)}</UploadIdMarker><NextKeyMarker>{text(page.next_key)}</NextKeyMarker>"
        f"<NextUploadIdMarker>{page.next_upload.hex()}</NextUploadIdMarker>"
        + (f"<Delimiter>{text(delimiter)}</Delimiter>" if delimiter else "")
        + ("<EncodingType>url</EncodingType>" if url else "")
        + f"<MaxUploads>{most}</MaxUploads>{boolean('IsTruncated', page.truncated)}{rows}"
        f"<Prefix>{text(prefix)}</Prefix>{folded}"
    )
    return root("ListMultipartUploadsResult", inner)


def _upload(key: str, record: UploadRecord, owner: str) -> str:
    return (
        f"<Upload><Key>{key}</Key><UploadId>{record.upload_id.hex()}</UploadId>"
        f"<Initiator>{owner}</Initiator><Owner>{owner}</Owner>"
        f"<StorageClass>{record.template.storage_class}</StorageClass><Initiated>{iso_time(record.initiated_ns)}</Initiated>"
        f"{element('ChecksumAlgorithm', record.checksum_algorithm or None)}"
        f"{element('ChecksumType', record.checksum_type or None)}</Upload>"
    )


def deleted(rows: Iterable[str]) -> bytes:
    """DeleteResult of rows made by :func:`deleted_row` and :func:`delete_error`."""
    return root("DeleteResult", "".join(rows))


def deleted_row(key: bytes, asked: str, marker: str | None) -> str:
    """One ``Deleted`` entry.

    :param asked: the version id named by the client, empty without one
    :param marker: version id of the delete marker that was made or removed, None without
    """
    inner = element("VersionId", asked or None)
    if marker is not None:
        inner = f"<DeleteMarker>true</DeleteMarker><DeleteMarkerVersionId>{marker}</DeleteMarkerVersionId>{inner}"
    return f"<Deleted>{inner}<Key>{escape_key(key)}</Key></Deleted>"


def delete_error(key: bytes, asked: str, code: str, message: str) -> str:
    version = element("VersionId", asked or None)
    return f"<Error><Code>{code}</Code>{element('Message', message)}<Key>{escape_key(key)}</Key>{version}</Error>"


def tagging(tags: dict[str, str]) -> bytes:
    rows = "".join(f"<Tag>{element('Key', key)}{element('Value', value)}</Tag>" for key, value in tags.items())
    return root("Tagging", f"<TagSet>{rows}</TagSet>")


def attributes(record: ObjectRecord, wanted: frozenset[str], part_list: str) -> bytes:
    """GetObjectAttributesResponse with the attributes asked for.

    :param part_list: the finished ``ObjectParts`` element, or nothing
    """
    inner = element("ETag", record.etag) if "ETag" in wanted else ""
    if "Checksum" in wanted and record.checksums:
        # without the number of parts behind a composite one, unlike everywhere else
        values = {name: value.partition("-")[0] for name, value in record.checksums.items()}
        inner += f"<Checksum>{checksums(values, record.checksum_type)}</Checksum>"
    inner += part_list
    inner += element("StorageClass", record.storage_class) if "StorageClass" in wanted else ""
    inner += element("ObjectSize", record.size) if "ObjectSize" in wanted else ""
    return root("GetObjectAttributesResponse", inner)


def attribute_parts(shown: Sequence[PartRecord], total: int, after: int, most: int, truncated: bool) -> str:
    """The ``ObjectParts`` element of GetObjectAttributes."""
    rows = "".join(
        f"<Part><PartNumber>{p.number}</PartNumber><Size>{p.size}</Size>{checksums(p.checksums)}</Part>" for p in shown
    )
    last = shown[-1].number if shown else 0
    return (
        f"<ObjectParts>{boolean('IsTruncated', truncated)}<MaxParts>{most}</MaxParts>"
        f"<NextPartNumberMarker>{last}</NextPartNumberMarker><PartNumberMarker>{after}</PartNumberMarker>"
        f"<PartsCount>{total}</PartsCount>{rows}</ObjectParts>"
    )
