"""Objects through the dispatcher, over services in memory."""

from __future__ import annotations

import base64
import hashlib
from email.header import decode_header, make_header

import pytest

from sos.domain import checksums
from sos.s3.describe import mail_safe
from tests.kit.surface import Surface

DATA = bytes(range(256)) * 4


def test_put_get_head_round_trip(s3: Surface) -> None:
    sent = {
        "content-type": "text/plain",
        "cache-control": "no-store",
        "content-encoding": "aws-chunked,gzip",
        "content-disposition": "inline",
        "expires": "Thu, 01 Jan 2099 00:00:00 GMT",
        "x-amz-meta-colour": "gr\xc3\xbcn",
        "x-amz-website-redirect-location": "/other",
        "x-amz-tagging": "a=1&b=%20x",
        "x-amz-storage-class": "REDUCED_REDUNDANCY",
    }
    put = s3.send("PUT", "/bucket/key", sent, DATA)
    assert (put.status, put.headers["etag"]) == (200, f'"{hashlib.md5(DATA).hexdigest()}"')
    for method in ("GET", "HEAD"):
        got = s3.send(method, "/bucket/key")
        assert got.status == 200
        assert got.headers["content-type"] == "text/plain"
        assert got.headers["cache-control"] == "no-store"
        assert got.headers["content-encoding"] == "gzip"
        assert str(make_header(decode_header(got.headers["x-amz-meta-colour"]))) == "grün"
        assert got.headers["x-amz-website-redirect-location"] == "/other"
        assert got.headers["x-amz-tagging-count"] == "2"
        assert got.headers["x-amz-storage-class"] == "REDUCED_REDUNDANCY"
        assert "x-amz-version-id" not in got.headers
        assert got.body == (DATA if method == "GET" else b"")
    assert got.reply.length == len(DATA)
    assert s3.send("GET", "/bucket/key?tagging").texts("TagSet/Tag/Value") == ["1", " x"]
    assert "x-amz-tagging" in s3.send("HEAD", "/bucket/key", {"x-amz-tagging-directive": "ACCESS"}).headers


def test_default_content_type(s3: Surface) -> None:
    s3.send("PUT", "/bucket/key", {"content-encoding": "aws-chunked"}, b"x")
    got = s3.send("GET", "/bucket/key")
    assert got.headers["content-type"] == "binary/octet-stream"
    assert "content-encoding" not in got.headers


@pytest.mark.parametrize(
    ("value", "status", "content_range"),
    [
        ("bytes=0-9", 206, "bytes 0-9/1024"),
        ("bytes=1000-", 206, "bytes 1000-1023/1024"),
        ("bytes=-24", 206, "bytes 1000-1023/1024"),
        ("bytes=-5000", 206, "bytes 0-1023/1024"),
        ("bytes=10-99999999999999999999999999", 206, "bytes 10-1023/1024"),
        ("bytes = 0 - 9", 206, "bytes 0-9/1024"),
        ("bytes=0-1,5-9", 200, None),
        ("bytes=9-5", 200, None),
        ("bytes=-", 200, None),
        ("bytes=a-b", 200, None),
        ("lines=0-9", 200, None),
        ("bytes=\u0663-9", 200, None),
    ],
)
def test_ranges(s3: Surface, value: str, status: int, content_range: str | None) -> None:
    s3.send("PUT", "/bucket/key", body=DATA)
    for method in ("GET", "HEAD"):
        got = s3.send(method, "/bucket/key", {"range": value} if value.isascii() else {"range": "bytes=x-9"})
        assert got.status == status
        assert got.headers.get("content-range") == content_range


@pytest.mark.parametrize("value", ["bytes=1024-", "bytes=5000-6000", "bytes=-0"])
def test_unsatisfiable_ranges_give_the_size(s3: Surface, value: str) -> None:
    s3.send("PUT", "/bucket/key", body=DATA)
    got = s3.send("GET", "/bucket/key", {"range": value})
    assert (got.status, got.code) == (416, "InvalidRange")
    assert (got.text("ActualObjectSize"), got.text("RangeRequested")) == ("1024", value)
    assert got.headers["content-range"] == "bytes */1024"


def test_if_range_sends_the_whole_of_a_changed_object(s3: Surface) -> None:
    etag = s3.send("PUT", "/bucket/key", body=DATA).headers["etag"]
    assert s3.send("GET", "/bucket/key", {"range": "bytes=0-1", "if-range": etag}).status == 206
    assert s3.send("GET", "/bucket/key", {"range": "bytes=0-1", "if-range": '"other"'}).status == 200
    date = s3.send("HEAD", "/bucket/key").headers["last-modified"]
    assert s3.send("GET", "/bucket/key", {"range": "bytes=0-1", "if-range": date}).status == 206


def test_conditional_reads(s3: Surface) -> None:
    etag = s3.send("PUT", "/bucket/key", body=DATA).headers["etag"]
    same = s3.send("GET", "/bucket/key", {"if-none-match": f'"x", {etag}'})
    assert (same.status, same.body, same.headers["etag"]) == (304, b"", etag)
    assert s3.send("HEAD", "/bucket/key", {"if-none-match": "*"}).status == 304
    assert s3.send("GET", "/bucket/key", {"if-match": etag}).status == 200
    failed = s3.send("HEAD", "/bucket/key", {"if-match": '"other"'})
    assert (failed.status, failed.code, failed.body) == (412, "PreconditionFailed", b"")
    past, future = "Thu, 01 Jan 1998 00:00:00 GMT", "Thu, 01 Jan 2099 00:00:00 GMT"
    assert s3.send("GET", "/bucket/key", {"if-modified-since": future}).status == 304
    assert s3.send("GET", "/bucket/key", {"if-modified-since": past}).status == 200
    assert s3.send("GET", "/bucket/key", {"if-unmodified-since": past}).status == 412
    assert s3.send("GET", "/bucket/key", {"if-unmodified-since": "no date"}).status == 200


def test_conditional_writes(s3: Surface) -> None:
    assert s3.send("PUT", "/bucket/key", {"if-none-match": "*"}, b"1").status == 200
    assert s3.send("PUT", "/bucket/key", {"if-none-match": "*"}, b"2").code == "PreconditionFailed"
    etag = s3.send("HEAD", "/bucket/key").headers["etag"]
    assert s3.send("PUT", "/bucket/key", {"if-match": '"bad"'}, b"2").status == 412
    assert s3.send("PUT", "/bucket/key", {"if-match": etag}, b"2").status == 200
    assert s3.send("PUT", "/bucket/none", {"if-match": etag}, b"2").code == "NoSuchKey"
    assert s3.send("DELETE", "/bucket/key", {"if-match": etag}).status == 412
    assert s3.send("DELETE", "/bucket/key", {"x-amz-if-match-size": "7"}).status == 412
    assert s3.send("DELETE", "/bucket/key", {"x-amz-if-match-size": "1"}).status == 204


def test_response_overrides(s3: Surface) -> None:
    s3.send("PUT", "/bucket/key", {"content-type": "text/plain"}, DATA)
    got = s3.send("GET", "/bucket/key?response-content-type=a%2Fb&response-expires=now")
    assert (got.headers["content-type"], got.headers["expires"]) == ("a/b", "now")
    assert [n for n, _ in got.reply.headers].count("Content-Type") <= 1
    broken = s3.send("GET", "/bucket/key?response-content-type=a%0d%0aSet-Cookie:%20x")
    assert (broken.status, broken.code) == (400, "InvalidArgument")
    anonymous = s3.send("GET", "/bucket/key?response-content-type=a", signed=False)
    assert (anonymous.status, anonymous.code) == (403, "AccessDenied")


def test_checksums_are_stored_and_shown_on_demand(s3: Surface) -> None:
    value = checksums.encode(checksums.digest("CRC32C", DATA))
    put = s3.send("PUT", "/bucket/key", {"x-amz-checksum-crc32c": value}, DATA)
    assert put.headers["x-amz-checksum-crc32c"] == value
    assert "x-amz-checksum-crc32c" not in s3.send("GET", "/bucket/key").headers
    got = s3.send("HEAD", "/bucket/key", {"x-amz-checksum-mode": "ENABLED"})
    assert (got.headers["x-amz-checksum-crc32c"], got.headers["x-amz-checksum-type"]) == (value, "FULL_OBJECT")
    part = s3.send("GET", "/bucket/key", {"x-amz-checksum-mode": "ENABLED", "range": "bytes=0-1"})
    assert "x-amz-checksum-crc32c" not in part.headers
    wrong = s3.send("PUT", "/bucket/key", {"x-amz-checksum-crc32c": value}, DATA + b"!")
    assert (wrong.status, wrong.code) == (400, "XAmzContentChecksumMismatch")
    attributes = s3.send("GET", "/bucket/key?attributes", {"x-amz-object-attributes": "ETag,Checksum,ObjectSize"})
    assert attributes.text("Checksum/ChecksumCRC32C") == value
    assert attributes.text("ObjectSize") == str(len(DATA))
    assert attributes.text("ETag") == hashlib.md5(DATA).hexdigest()
    assert attributes.text("StorageClass") is None


@pytest.mark.parametrize("value", ["", "ETag,Nothing", "etag"])
def test_unknown_attributes_are_refused(s3: Surface, value: str) -> None:
    s3.send("PUT", "/bucket/key", body=DATA)
    assert s3.send("GET", "/bucket/key?attributes", {"x-amz-object-attributes": value}).code == "InvalidArgument"


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"x-amz-meta-big": "x" * 2049}, "MetadataTooLarge"),
        ({"x-amz-storage-class": "GLACIER"}, "InvalidStorageClass"),
        ({"x-amz-acl": "public-read"}, "NotImplemented"),
        ({"x-amz-grant-read": "id=1"}, "NotImplemented"),
        ({"x-amz-server-side-encryption": "AES256"}, "NotImplemented"),
        ({"x-amz-server-side-encryption-customer-algorithm": "AES256"}, "NotImplemented"),
        ({"x-amz-object-lock-mode": "COMPLIANCE"}, "InvalidRequest"),
        ({"x-amz-object-lock-legal-hold": "ON"}, "InvalidRequest"),
        ({"x-minio-internal-actual-size": "1"}, "InvalidArgument"),
        ({"x-amz-meta-x-minio-internal-key": "1"}, "InvalidArgument"),
        ({"x-amz-tagging": "a=1&a=2"}, "InvalidTag"),
        ({"x-amz-tagging": "a=%3C"}, "InvalidTag"),
        ({"x-amz-tagging": "&".join(f"k{i}=v" for i in range(11))}, "BadRequest"),
        ({"x-amz-tagging": "a=%ff"}, "InvalidArgument"),
        ({"content-md5": "abc"}, "InvalidDigest"),
        ({"content-md5": base64.b64encode(bytes(16)).decode()}, "BadDigest"),
        ({"x-amz-write-offset-bytes": "0"}, "NotImplemented"),
        ({"x-amz-meta-snowball-auto-extract": "true"}, "NotImplemented"),
    ],
)
def test_headers_that_a_put_refuses(s3: Surface, headers: dict[str, str], code: str) -> None:
    """S09 S10: internal headers of a client never reach an object."""
    assert s3.send("PUT", "/bucket/key", headers, DATA).code == code
    assert s3.send("HEAD", "/bucket/key").code == "NoSuchKey"


def test_replication_headers_of_a_client_have_no_effect(s3: Surface) -> None:
    """S09 S10."""
    sent = {
        "x-minio-source-etag": "f" * 32,
        "x-minio-source-mtime": "2001-01-01T00:00:00Z",
        "x-minio-source-replication-request": "true",
    }
    s3.send("PUT", "/bucket/key", sent, DATA)
    got = s3.send("HEAD", "/bucket/key")
    assert got.headers["etag"] == f'"{hashlib.md5(DATA).hexdigest()}"'
    assert "2001" not in got.headers["last-modified"]


def test_metadata_of_two_kibibytes_is_stored(s3: Surface) -> None:
    assert s3.send("PUT", "/bucket/key", {"x-amz-meta-a": "x" * 2047}, DATA).status == 200
    assert s3.send("PUT", "/bucket/key", {"x-amz-meta-a": "x" * 2048}, DATA).code == "MetadataTooLarge"


KEYS = [
    "a",
    "a/b",
    "a//b",
    "a/",
    "/a",
    ".",
    "..",
    "a/../b",
    "./a",
    "\\",
    "x" * 1024,
    "ключ",
    "𝄞",
    "a b+c%",
    "\x01",
    "a\0b",
]


@pytest.mark.parametrize("key", KEYS)
def test_any_key_is_one_key(s3: Surface, key: str) -> None:
    """R06 P01 S11: nothing in a key is interpreted, in targets, batches and copy sources alike."""
    from urllib.parse import quote

    path = "/bucket/" + quote(key, safe="/")
    assert s3.send("PUT", path, body=key.encode()).status == 200
    assert list(s3.world.objects) == [(1, key.encode())]
    assert s3.send("GET", path).body == key.encode()
    assert s3.send("PUT", "/bucket/copy", {"x-amz-copy-source": path}).status == 200
    assert s3.send("GET", "/bucket/copy").body == key.encode()
    listed = s3.send("GET", "/bucket?encoding-type=url").texts("Contents/Key")
    assert quote(key, safe="/") in listed
    assert s3.send("DELETE", path).status == 204
    assert list(s3.world.objects) == [(1, b"copy")]


def test_keys_out_of_bounds(s3: Surface) -> None:
    """R06: 1,024 bytes, not characters."""
    assert s3.send("PUT", "/bucket/" + "x" * 1025, body=b"1").code == "KeyTooLongError"
    assert s3.send("PUT", "/bucket/" + "%C3%A9" * 513, body=b"1").code == "KeyTooLongError"
    assert s3.send("GET", "/bucket/%FF").code == "InvalidURI"
    assert s3.send("GET", "/bucket/%zz").code == "InvalidURI"


def test_versions_of_an_unversioned_bucket(s3: Surface) -> None:
    s3.send("PUT", "/bucket/key", body=DATA)
    assert s3.send("GET", "/bucket/key?versionId=null").status == 200
    assert s3.send("GET", "/bucket/key?versionId=").status == 200
    assert s3.send("GET", "/bucket/key?versionId=nonsense").code == "InvalidArgument"
    for odd in ("{11111111-2222-3333-4444-555555555555}", "11111111222233334444555555555555", "NULL"):
        assert s3.send("GET", f"/bucket/key?versionId={odd}").code == "InvalidArgument"
    unknown = s3.send("GET", "/bucket/key?versionId=11111111-2222-3333-4444-555555555555")
    assert (unknown.status, unknown.code) == (404, "NoSuchVersion")
    assert s3.send("DELETE", "/bucket/key?versionId=null").status == 204


def test_length_is_required(s3: Surface) -> None:
    """S08."""
    from tests.kit.signed_requests import MemoryBody

    body = MemoryBody(b"abc", known=False)
    assert s3.send("PUT", "/bucket/key", body=body).code == "MissingContentLength"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "header"),
    [("plain, ok", "plain, ok"), ("a\tb", "a\tb"), ("\xc3\xb6", "=?utf-8?b?w7Y=?="), ("gr\xfcn it is", "=?utf-8?q?gr=C3=BCn_it_is?=")],
)  # fmt: skip
def test_metadata_as_a_header(value: str, header: str) -> None:
    assert mail_safe(value) == header
