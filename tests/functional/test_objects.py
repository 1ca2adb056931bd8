"""PutObject, GetObject, HeadObject, DeleteObject: payloads of every size class, ranges, overrides, what is stored with
an object, and what is refused."""

from __future__ import annotations

import base64
import hashlib
import os
from datetime import UTC, datetime
from email.header import decode_header, make_header
from typing import Any

import pytest

from tests.kit.clients import refusal
from tests.kit.server import Client

KIB, MIB = 1 << 10, 1 << 20
#: Around the limits of inline objects, blocks and stripes, and beyond one batch of a reply.
SIZES = [0, 1, 4095, 4 * KIB, 128 * KIB - 1, 128 * KIB, 128 * KIB + 1, MIB, 3 * MIB - 1, 3 * MIB, 3 * MIB + 1, 20 * MIB + 7]


@pytest.mark.parametrize("size", SIZES)
def test_what_is_put_is_read(s3: Any, shared: str, size: int) -> None:
    data = os.urandom(size)
    put = s3.put_object(Bucket=shared, Key=f"size-{size}", Body=data)
    assert put["ETag"] == f'"{hashlib.md5(data).hexdigest()}"'
    got = s3.get_object(Bucket=shared, Key=f"size-{size}")
    assert got["Body"].read() == data
    assert (got["ContentLength"], got["ETag"]) == (size, put["ETag"])
    head = s3.head_object(Bucket=shared, Key=f"size-{size}")
    assert (head["ContentLength"], head["ETag"], head["LastModified"]) == (size, put["ETag"], got["LastModified"])
    assert abs((datetime.now(UTC) - head["LastModified"]).total_seconds()) < 60


@pytest.mark.parametrize("size", [10, 200 * KIB, 5 * MIB])
def test_an_overwrite_replaces_all_of_an_object(s3: Any, shared: str, size: int) -> None:
    s3.put_object(Bucket=shared, Key="over", Body=b"x" * size, Metadata={"a": "1"}, ContentType="text/x")
    s3.put_object(Bucket=shared, Key="over", Body=b"new")
    got = s3.get_object(Bucket=shared, Key="over")
    assert (got["Body"].read(), got["Metadata"], got["ContentType"]) == (b"new", {}, "binary/octet-stream")


def test_a_deleted_object_is_gone(s3: Any, shared: str) -> None:
    s3.put_object(Bucket=shared, Key="gone", Body=b"1")
    for _ in range(2):
        assert s3.delete_object(Bucket=shared, Key="gone")["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert refusal(s3.get_object, Bucket=shared, Key="gone") == (404, "NoSuchKey")
    assert refusal(s3.head_object, Bucket=shared, Key="gone") == (404, "NoSuchKey")


# -- ranges ------------------------------------------------------------------------------------------

DATA = os.urandom(3 * MIB + 1000)
END = len(DATA)
RANGES = [
    ("bytes=0-0", 0, 1),
    ("bytes=0-99", 0, 100),
    ("bytes=1048575-1048576", MIB - 1, MIB + 1),
    ("bytes=100-", 100, END),
    ("bytes=-1", END - 1, END),
    (f"bytes=-{END}", 0, END),
    (f"bytes=-{END + 5}", 0, END),
    (f"bytes={END - 1}-", END - 1, END),
    (f"bytes=5-{END + 100}", 5, END),
    ("bytes=0-99999999999999999999999", 0, END),
]


@pytest.mark.parametrize(("span", "first", "stop"), RANGES)
def test_ranges(s3: Any, shared: str, span: str, first: int, stop: int) -> None:
    key = "ranged"
    if span == RANGES[0][0]:
        s3.put_object(Bucket=shared, Key=key, Body=DATA)
    got = s3.get_object(Bucket=shared, Key=key, Range=span)
    assert got["Body"].read() == DATA[first:stop]
    head = s3.head_object(Bucket=shared, Key=key, Range=span)
    for reply in (got, head):
        assert reply["ResponseMetadata"]["HTTPStatusCode"] == 206
        assert reply["ContentRange"] == f"bytes {first}-{stop - 1}/{END}"
        assert reply["ContentLength"] == stop - first


@pytest.mark.parametrize("span", ["bytes=0-1,4-5", "bytes=9-5", "bytes=-", "bytes=x-", "items=0-1", "bytes=1-2-3", ""])
def test_what_is_no_single_range_gives_the_whole(wire: Client, shared: str, span: str) -> None:
    wire.request("PUT", f"/{shared}/small", body=b"0123456789")
    reply = wire.request("GET", f"/{shared}/small", headers={"range": span})
    assert (reply.status, reply.body) == (200, b"0123456789")


@pytest.mark.parametrize("span", ["bytes=10-", "bytes=10-20", "bytes=-0"])
def test_unsatisfiable_ranges(wire: Client, shared: str, span: str) -> None:
    wire.request("PUT", f"/{shared}/small", body=b"0123456789")
    reply = wire.request("GET", f"/{shared}/small", headers={"range": span})
    assert (reply.status, reply.code, reply.headers["content-range"]) == (416, "InvalidRange", "bytes */10")
    assert (reply.element("ActualObjectSize"), reply.element("RangeRequested")) == ("10", span)
    head = wire.request("HEAD", f"/{shared}/small", headers={"range": span})
    assert (head.status, head.headers["x-minio-error-code"], head.body) == (416, "InvalidRange", b"")


def test_ranges_of_an_empty_object(wire: Client, shared: str) -> None:
    wire.request("PUT", f"/{shared}/empty")
    assert wire.request("GET", f"/{shared}/empty", headers={"range": "bytes=0-"}).code == "InvalidRange"
    assert wire.request("GET", f"/{shared}/empty", headers={"range": "bytes=-1"}).status in (200, 416)


def test_if_range(wire: Client, shared: str) -> None:
    etag = wire.request("PUT", f"/{shared}/small", body=b"0123456789").etag
    modified = wire.request("HEAD", f"/{shared}/small").headers["last-modified"]
    for value, status in ((etag, 206), (modified, 206), ('"other"', 200), ("Thu, 01 Jan 1970 00:00:00 GMT", 200)):
        reply = wire.request("GET", f"/{shared}/small", headers={"range": "bytes=2-3", "if-range": value})
        assert (reply.status, reply.body) == (status, b"23" if status == 206 else b"0123456789")


# -- what is stored with an object --------------------------------------------------------------------


def test_headers_and_metadata_come_back(s3: Any, shared: str) -> None:
    expires = datetime(2050, 1, 1, tzinfo=UTC)
    sent: dict[str, Any] = {
        "CacheControl": "max-age=60",
        "ContentDisposition": 'attachment; filename="a b.txt"',
        "ContentEncoding": "gzip",
        "ContentLanguage": "de",
        "ContentType": "text/plain; charset=utf-8",
        "Metadata": {"one": "1", "mixed-case": "Value With Blanks", "empty": ""},
        "WebsiteRedirectLocation": "/elsewhere",
    }
    s3.put_object(Bucket=shared, Key="meta", Body=b"1", Expires=expires, Tagging="a=1&b=x%20y", **sent)
    for got in (s3.get_object(Bucket=shared, Key="meta"), s3.head_object(Bucket=shared, Key="meta")):
        assert {name: got[name] for name in sent} == sent
        assert got["ExpiresString"] == "Sat, 01 Jan 2050 00:00:00 GMT"
    assert s3.get_object(Bucket=shared, Key="meta")["TagCount"] == 2
    tags = s3.get_object_tagging(Bucket=shared, Key="meta")["TagSet"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == {"a": "1", "b": "x y"}


@pytest.mark.parametrize("value", ["käse ✓", "grün", "漢字" * 30])
def test_metadata_beyond_ascii_comes_back_as_rfc_2047(wire: Client, shared: str, value: str) -> None:
    """As AWS and MinIO return it; what was written in that form stays, and a copy of it is the same."""
    sent = value.encode().decode("latin-1")
    assert wire.request("PUT", f"/{shared}/words", headers={"x-amz-meta-name": sent}).status == 200
    for method in ("HEAD", "GET"):
        shown = wire.request(method, f"/{shared}/words").headers["x-amz-meta-name"]
        assert shown.isascii()
        assert str(make_header(decode_header(shown))) == value
    assert wire.request("PUT", f"/{shared}/words", headers={"x-amz-meta-name": shown}).status == 200
    assert wire.request("HEAD", f"/{shared}/words").headers["x-amz-meta-name"] == shown


def test_metadata_that_is_no_utf8(wire: Client, shared: str) -> None:
    assert wire.request("PUT", f"/{shared}/latin", headers={"x-amz-meta-name": "gr\xfcn"}).status == 200
    shown = wire.request("HEAD", f"/{shared}/latin").headers["x-amz-meta-name"]
    assert str(make_header(decode_header(shown))) == "grün"


@pytest.mark.parametrize(
    ("sent", "tags"),
    [("a", {"a": ""}), ("a&b=1", {"a": "", "b": "1"}), ("&a=1&", {"a": "1"}), ("a=b=c", {"a": "b=c"}), ("a%20b=c%2Bd+e", {"a b": "c+d e"})],
)  # fmt: skip
def test_tags_in_a_header(s3: Any, wire: Client, shared: str, sent: str, tags: dict[str, str]) -> None:
    assert wire.request("PUT", f"/{shared}/tags", headers={"x-amz-tagging": sent}).status == 200
    found = s3.get_object_tagging(Bucket=shared, Key="tags")["TagSet"]
    assert {tag["Key"]: tag["Value"] for tag in found} == tags


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"x-amz-meta-a": "x" * 2048}, 400, "MetadataTooLarge"),
        ({"x-amz-storage-class": "GLACIER"}, 400, "InvalidStorageClass"),
        ({"x-amz-acl": "public-read"}, 501, "NotImplemented"),
        ({"x-amz-server-side-encryption": "AES256"}, 501, "NotImplemented"),
        ({"x-amz-object-lock-mode": "GOVERNANCE"}, 400, "InvalidRequest"),
        ({"x-amz-tagging": "a=1&a=2"}, 400, "InvalidTag"),
        ({"x-amz-tagging": "&".join(f"t{i}=" for i in range(11))}, 400, "BadRequest"),
        ({"x-amz-tagging": "a=gr\xc3\xbcn"}, 400, "InvalidArgument"),
        ({"x-amz-tagging": "a=%zz"}, 400, "InvalidTag"),
        ({"x-amz-tagging": "a=%FF"}, 400, "InvalidArgument"),
        ({"content-md5": "short"}, 400, "InvalidDigest"),
        ({"content-md5": base64.b64encode(bytes(16)).decode()}, 400, "BadDigest"),
        ({"x-amz-checksum-crc32": "AAAAAA=="}, 400, "XAmzContentChecksumMismatch"),
        ({"x-amz-checksum-crc32": "!"}, 400, "InvalidRequest"),
        ({"x-amz-write-offset-bytes": "0"}, 501, "NotImplemented"),
        ({"x-amz-meta-snowball-auto-extract": "true"}, 501, "NotImplemented"),
        ({"x-minio-internal-erasure": "1"}, 400, "InvalidArgument"),
        ({"if-match": '"none"'}, 404, "NoSuchKey"),
    ],
)
def test_refused_puts_store_nothing(wire: Client, shared: str, headers: dict[str, str], status: int, code: str) -> None:
    """S09 S10: names that only the server may use are refused too."""
    reply = wire.request("PUT", f"/{shared}/refused", body=b"data", headers=headers)
    assert (reply.status, reply.code) == (status, code)
    assert wire.request("HEAD", f"/{shared}/refused").status == 404


def test_headers_of_replication_are_ignored(wire: Client, shared: str) -> None:
    """S09 S10: a client is no peer of a cluster, whatever it says."""
    sent = {
        "x-minio-source-etag": "f" * 32,
        "x-minio-source-mtime": "2001-01-01T00:00:00Z",
        "x-minio-source-replication-request": "true",
        "x-minio-from-peer": "true",
        "x-backend-replication": "true",
    }
    etag = wire.request("PUT", f"/{shared}/replica", body=b"data", headers=sent).etag
    assert etag == f'"{hashlib.md5(b"data").hexdigest()}"'
    assert "2001" not in wire.request("HEAD", f"/{shared}/replica").headers["last-modified"]


def test_storage_classes(s3: Any, shared: str) -> None:
    for name in ("STANDARD", "REDUCED_REDUNDANCY"):
        data = os.urandom(300 * KIB)
        s3.put_object(Bucket=shared, Key=name, Body=data, StorageClass=name)
        got = s3.get_object(Bucket=shared, Key=name)
        assert got["Body"].read() == data
        assert got.get("StorageClass", "STANDARD") == name
        listed = s3.list_objects_v2(Bucket=shared, Prefix=name)["Contents"][0]
        assert listed["StorageClass"] == name


# -- overrides, parts, versions -----------------------------------------------------------------------


def test_response_overrides(s3: Any, wire: Client, shared: str) -> None:
    s3.put_object(Bucket=shared, Key="o", Body=b"1", ContentType="text/plain", CacheControl="no-store")
    got = s3.get_object(
        Bucket=shared,
        Key="o",
        ResponseContentType="application/x",
        ResponseCacheControl="max-age=1",
        ResponseContentDisposition="inline; filename*=UTF-8''%c3%a4",
        ResponseContentEncoding="br",
        ResponseContentLanguage="fr",
        ResponseExpires=datetime(2031, 1, 1, tzinfo=UTC),
    )
    assert got["ContentType"] == "application/x"
    assert got["CacheControl"] == "max-age=1"
    assert got["ContentDisposition"] == "inline; filename*=UTF-8''%c3%a4"
    assert (got["ContentEncoding"], got["ContentLanguage"]) == ("br", "fr")
    assert got["ExpiresString"] == "Wed, 01 Jan 2031 00:00:00 GMT"
    head = wire.request("HEAD", f"/{shared}/o", {"response-content-type": "a/b"})
    assert head.headers["content-type"] == "a/b"
    split = wire.request("GET", f"/{shared}/o", {"response-content-type": "a\r\nset-cookie: x"})
    assert (split.status, split.code) == (400, "InvalidArgument")


def test_part_number_of_a_plain_object(s3: Any, shared: str) -> None:
    s3.put_object(Bucket=shared, Key="p", Body=b"0123")
    got = s3.get_object(Bucket=shared, Key="p", PartNumber=1)
    assert (got["ResponseMetadata"]["HTTPStatusCode"], got["Body"].read()) == (206, b"0123")
    assert refusal(s3.get_object, Bucket=shared, Key="p", PartNumber=2) == (416, "InvalidPartNumber")
    assert refusal(s3.get_object, Bucket=shared, Key="p", PartNumber=0) == (400, "InvalidArgument")
    both = {"PartNumber": 1, "Range": "bytes=0-1"}
    assert refusal(s3.get_object, Bucket=shared, Key="p", **both) == (400, "InvalidRequest")


def test_versions_of_an_unversioned_bucket(s3: Any, shared: str) -> None:
    s3.put_object(Bucket=shared, Key="v", Body=b"1")
    assert s3.get_object(Bucket=shared, Key="v", VersionId="null")["Body"].read() == b"1"
    unknown = "00000000-0000-4000-8000-000000000000"
    assert refusal(s3.get_object, Bucket=shared, Key="v", VersionId=unknown) == (404, "NoSuchVersion")
    assert refusal(s3.get_object, Bucket=shared, Key="v", VersionId="what") == (400, "InvalidArgument")
    listed = s3.list_object_versions(Bucket=shared, Prefix="v")["Versions"]
    assert [(v["Key"], v["VersionId"], v["IsLatest"]) for v in listed] == [("v", "null", True)]
    s3.delete_object(Bucket=shared, Key="v", VersionId="null")
    assert refusal(s3.head_object, Bucket=shared, Key="v") == (404, "NoSuchKey")


def test_object_attributes(s3: Any, shared: str) -> None:
    s3.put_object(Bucket=shared, Key="a", Body=b"12345", ChecksumAlgorithm="SHA256")
    wanted = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"]
    got = s3.get_object_attributes(Bucket=shared, Key="a", ObjectAttributes=wanted)
    assert got["ETag"] == hashlib.md5(b"12345").hexdigest()
    assert (got["ObjectSize"], got["StorageClass"]) == (5, "STANDARD")
    assert got["Checksum"]["ChecksumSHA256"] == base64.b64encode(hashlib.sha256(b"12345").digest()).decode()
    assert "ObjectParts" not in got
    assert refusal(s3.get_object_attributes, Bucket=shared, Key="none", ObjectAttributes=wanted) == (404, "NoSuchKey")
    bad = {"ObjectAttributes": ["Colour"]}
    assert refusal(s3.get_object_attributes, Bucket=shared, Key="a", **bad) == (400, "InvalidArgument")


def test_acl_of_an_object(s3: Any, shared: str) -> None:
    s3.put_object(Bucket=shared, Key="acl", Body=b"1", ACL="private")
    grants = s3.get_object_acl(Bucket=shared, Key="acl")["Grants"]
    assert [grant["Permission"] for grant in grants] == ["FULL_CONTROL"]
    s3.put_object_acl(Bucket=shared, Key="acl", ACL="private")
    assert refusal(s3.put_object_acl, Bucket=shared, Key="acl", ACL="public-read") == (501, "NotImplemented")
    assert refusal(s3.get_object_acl, Bucket=shared, Key="none") == (404, "NoSuchKey")


def test_a_body_larger_than_s3_allows(wire: Client, shared: str) -> None:
    reply = wire.request("PUT", f"/{shared}/huge", headers={"content-length": str(5 * 1024**3 + 1)})
    assert (reply.status, reply.code) == (400, "EntityTooLarge")
