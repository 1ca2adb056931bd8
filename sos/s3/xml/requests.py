"""The request documents of the S3 API."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from .reading import parser

Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class CreateBucketConfiguration(Struct, rename="pascal"):
    location_constraint: str = ""


class ObjectIdentifier(
    Struct,
    rename={
        "key": "Key",
        "version_id": "VersionId",
        "etag": "ETag",
        "last_modified": "LastModifiedTime",
        "size": "Size",
    },
):
    """One entry of DeleteObjects. The last three are conditions that must hold for the delete."""

    key: str
    version_id: str = ""
    etag: str | None = None
    last_modified: str | None = None
    size: Count | None = None


class Delete(Struct, rename="pascal"):
    object: Annotated[tuple[ObjectIdentifier, ...], Meta(max_length=1000)] = ()
    quiet: bool = False


class CompletedPart(
    Struct,
    rename={
        "number": "PartNumber",
        "etag": "ETag",
        "crc32": "ChecksumCRC32",
        "crc32c": "ChecksumCRC32C",
        "crc64nvme": "ChecksumCRC64NVME",
        "sha1": "ChecksumSHA1",
        "sha256": "ChecksumSHA256",
        "size": "Size",
    },
):
    number: Annotated[int, Meta(ge=1, le=2**31 - 1)]
    etag: str
    crc32: str = ""
    crc32c: str = ""
    crc64nvme: str = ""
    sha1: str = ""
    sha256: str = ""
    size: Count | None = None

    @property
    def checksums(self) -> dict[str, str]:
        """Algorithm → base64 value, of those given."""
        values = {
            "CRC32": self.crc32,
            "CRC32C": self.crc32c,
            "CRC64NVME": self.crc64nvme,
            "SHA1": self.sha1,
            "SHA256": self.sha256,
        }
        return {name: value for name, value in values.items() if value}


class CompleteMultipartUpload(Struct, rename="pascal"):
    part: Annotated[tuple[CompletedPart, ...], Meta(max_length=10_000)] = ()


class Tag(Struct, rename="pascal"):
    key: str
    value: str = ""


class TagSet(Struct, rename="pascal"):
    tag: tuple[Tag, ...] = ()


class Tagging(Struct, rename="pascal"):
    tag_set: TagSet

    @property
    def pairs(self) -> list[tuple[str, str]]:
        return [(tag.key, tag.value) for tag in self.tag_set.tag]


parse_create_bucket = parser("CreateBucketConfiguration", CreateBucketConfiguration)
parse_delete = parser("Delete", Delete)
parse_complete = parser("CompleteMultipartUpload", CompleteMultipartUpload)
parse_tagging = parser("Tagging", Tagging)
