"""CopyObject: directives, conditions on the source, self copies, sources named in every way."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.kit.clients import refusal
from tests.kit.server import Client

MIB = 1 << 20
PAST, FUTURE = "Thu, 01 Jan 1998 00:00:00 GMT", "Wed, 01 Jan 2098 00:00:00 GMT"


@pytest.fixture
def source(s3: Any, shared: str) -> Iterator[dict[str, str]]:
    s3.put_object(
        Bucket=shared,
        Key="source",
        Body=b"data",
        ContentType="text/plain",
        CacheControl="no-store",
        Metadata={"a": "1"},
        Tagging="t=1",
        WebsiteRedirectLocation="/x",
    )
    yield {"Bucket": shared, "Key": "source"}


def test_a_copy_has_the_data_and_all_that_belongs_to_it(s3: Any, shared: str, source: dict[str, str]) -> None:
    copied = s3.copy_object(Bucket=shared, Key="copy", CopySource=source)["CopyObjectResult"]
    got = s3.get_object(Bucket=shared, Key="copy")
    assert (got["Body"].read(), got["ETag"]) == (b"data", copied["ETag"])
    assert (got["ContentType"], got["CacheControl"], got["Metadata"]) == ("text/plain", "no-store", {"a": "1"})
    assert "WebsiteRedirectLocation" not in got  # S3: is never copied
    assert s3.get_object_tagging(Bucket=shared, Key="copy")["TagSet"] == [{"Key": "t", "Value": "1"}]
    assert abs((got["LastModified"] - copied["LastModified"]).total_seconds()) < 1


@pytest.mark.parametrize("size", [0, 1, 128 << 10, 3 * MIB + 5, 17 * MIB])
def test_sizes(s3: Any, shared: str, size: int) -> None:
    data = os.urandom(size)
    s3.put_object(Bucket=shared, Key="sized", Body=data)
    etag = s3.copy_object(Bucket=shared, Key="copy", CopySource=f"{shared}/sized")["CopyObjectResult"]["ETag"]
    got = s3.get_object(Bucket=shared, Key="copy")
    assert (got["Body"].read() == data, got["ETag"]) == (True, etag)
    s3.delete_object(Bucket=shared, Key="sized")
    assert s3.get_object(Bucket=shared, Key="copy")["Body"].read() == data


def test_directives(s3: Any, shared: str, source: dict[str, str]) -> None:
    s3.copy_object(
        Bucket=shared, Key="copy", CopySource=source, MetadataDirective="REPLACE", Metadata={"b": "2"}, ContentType="a/b"
    )  # fmt: skip
    got = s3.get_object(Bucket=shared, Key="copy")
    assert (got["Metadata"], got["ContentType"], "CacheControl" in got) == ({"b": "2"}, "a/b", False)
    assert s3.get_object_tagging(Bucket=shared, Key="copy")["TagSet"] == [{"Key": "t", "Value": "1"}]
    s3.copy_object(Bucket=shared, Key="copy", CopySource=source, Metadata={"b": "2"}, ContentType="a/b")
    assert s3.head_object(Bucket=shared, Key="copy")["Metadata"] == {"a": "1"}  # only REPLACE takes the request's
    s3.copy_object(Bucket=shared, Key="copy", CopySource=source, TaggingDirective="REPLACE", Tagging="u=2")
    assert s3.get_object_tagging(Bucket=shared, Key="copy")["TagSet"] == [{"Key": "u", "Value": "2"}]
    s3.copy_object(Bucket=shared, Key="copy", CopySource=source, TaggingDirective="REPLACE")
    assert s3.get_object_tagging(Bucket=shared, Key="copy")["TagSet"] == []
    for name in ("MetadataDirective", "TaggingDirective"):
        wrong = {"Bucket": shared, "Key": "copy", "CopySource": source, name: "MOVE"}
        assert refusal(s3.copy_object, **wrong) == (400, "InvalidArgument")


def test_a_copy_onto_itself(s3: Any, shared: str, source: dict[str, str]) -> None:
    same = {**source, "CopySource": source}
    assert refusal(s3.copy_object, **same) == (400, "InvalidRequest")
    s3.copy_object(**same, MetadataDirective="REPLACE", Metadata={"new": "1"})
    got = s3.get_object(**source)
    assert (got["Body"].read(), got["Metadata"]) == (b"data", {"new": "1"})
    s3.copy_object(**same, StorageClass="REDUCED_REDUNDANCY")
    got = s3.get_object(**source)
    assert (got["Body"].read(), got["StorageClass"]) == (b"data", "REDUCED_REDUNDANCY")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"if-match": "GOOD"}, 200),
        ({"if-match": '"other"'}, 412),
        ({"if-none-match": '"other"'}, 200),
        ({"if-none-match": "GOOD"}, 412),
        ({"if-modified-since": PAST}, 200),
        ({"if-modified-since": FUTURE}, 412),
        ({"if-unmodified-since": FUTURE}, 200),
        ({"if-unmodified-since": PAST}, 412),
        ({"if-match": "GOOD", "if-unmodified-since": PAST}, 200),
        ({"if-none-match": "GOOD", "if-modified-since": PAST}, 412),
    ],
)
def test_conditions_on_the_source(
    s3: Any, wire: Client, shared: str, source: dict[str, str], headers: dict[str, str], status: int
) -> None:
    good = s3.head_object(**source)["ETag"]
    sent = {f"x-amz-copy-source-{name}": good if value == "GOOD" else value for name, value in headers.items()}
    reply = wire.request("PUT", f"/{shared}/copy", headers={"x-amz-copy-source": f"/{shared}/source", **sent})
    assert (reply.status, reply.code) == (status, "" if status == 200 else "PreconditionFailed")


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("/{bucket}/source", 200, ""),
        ("{bucket}/source", 200, ""),
        ("{bucket}%2Fsource", 200, ""),
        ("/{bucket}/source?versionId=null", 200, ""),
        ("/{bucket}/sour%63e", 200, ""),
        ("/{bucket}/source?versionId=junk", 400, "InvalidArgument"),
        ("/{bucket}/source?versionId=00000000-0000-4000-8000-000000000000", 404, "NoSuchVersion"),
        ("/{bucket}/none", 404, "NoSuchKey"),
        ("/no-such-bucket/source", 404, "NoSuchBucket"),
        ("/{bucket}/", 400, "InvalidArgument"),
        ("/{bucket}", 400, "InvalidArgument"),
        ("/", 400, "InvalidArgument"),
        ("{bucket}/%zz", 400, "InvalidArgument"),
        ("{bucket}/%ff", 400, "InvalidArgument"),
        ("{bucket}/" + "x" * 1025, 400, "KeyTooLongError"),
        ("/{bucket}/../{bucket}/source", 404, "NoSuchKey"),
        ("/{bucket}/%2e%2e/{bucket}/source", 404, "NoSuchKey"),
        ("/../etc/passwd", 404, "NoSuchBucket"),
        ("//{bucket}/source", 400, "InvalidArgument"),
    ],
)
def test_names_of_sources(
    wire: Client, shared: str, source: dict[str, str], name: str, status: int, code: str
) -> None:  # fmt: skip
    """P01 S11: a source is decoded once and never normalised."""
    header = {"x-amz-copy-source": name.replace("{bucket}", shared)}
    reply = wire.request("PUT", f"/{shared}/copy", headers=header)
    assert (reply.status, reply.code) == (status, code)


def test_sources_with_odd_keys(s3: Any, shared: str) -> None:
    for key in ("a b+c%2F", "ключ/𝄞", "q?x=1&y", "../up", "/lead", "tail/", "?versionId=x"):
        s3.put_object(Bucket=shared, Key=key, Body=key.encode())
        s3.copy_object(Bucket=shared, Key="copy", CopySource={"Bucket": shared, "Key": key})
        assert s3.get_object(Bucket=shared, Key="copy")["Body"].read() == key.encode()


def test_between_buckets(s3: Any, bucket: str, shared: str, source: dict[str, str]) -> None:
    s3.copy_object(Bucket=bucket, Key="there", CopySource=source)
    assert s3.get_object(Bucket=bucket, Key="there")["Body"].read() == b"data"
    gone = {"Bucket": "no-such-bucket", "Key": "x", "CopySource": source}
    assert refusal(s3.copy_object, **gone) == (404, "NoSuchBucket")


def test_checksums_of_copies(s3: Any, shared: str) -> None:
    s3.put_object(Bucket=shared, Key="sum", Body=b"data", ChecksumAlgorithm="SHA1")
    kept = s3.copy_object(Bucket=shared, Key="copy", CopySource=f"{shared}/sum")["CopyObjectResult"]
    assert kept["ChecksumSHA1"] == s3.head_object(Bucket=shared, Key="sum", ChecksumMode="ENABLED")["ChecksumSHA1"]
    made = s3.copy_object(Bucket=shared, Key="copy", CopySource=f"{shared}/sum", ChecksumAlgorithm="CRC32C")
    assert "ChecksumSHA1" not in made["CopyObjectResult"]
    head = s3.head_object(Bucket=shared, Key="copy", ChecksumMode="ENABLED")
    assert head["ChecksumCRC32C"] == made["CopyObjectResult"]["ChecksumCRC32C"]


def test_a_copy_of_a_multipart_object(s3: Any, shared: str) -> None:
    data = os.urandom(5 * MIB + 100)
    upload = s3.create_multipart_upload(Bucket=shared, Key="multi", ContentType="m/p")["UploadId"]
    parts = []
    for number, piece in enumerate((data[: 5 * MIB], data[5 * MIB :]), 1):
        part = s3.upload_part(Bucket=shared, Key="multi", UploadId=upload, PartNumber=number, Body=piece)
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    s3.complete_multipart_upload(Bucket=shared, Key="multi", UploadId=upload, MultipartUpload={"Parts": parts})
    s3.copy_object(Bucket=shared, Key="copy", CopySource=f"{shared}/multi")
    got = s3.get_object(Bucket=shared, Key="copy")
    assert (got["Body"].read() == data, got["ContentType"], "-" in got["ETag"]) == (True, "m/p", False)
