"""Multipart uploads and copies through the dispatcher."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from typing import Any

import pytest

from sos.domain import checksums
from sos.s3.handlers import multipart
from sos.s3.xml import requests
from tests.kit.surface import Answer, Surface

BIG = bytes(5 * 1024 * 1024)


def begin(s3: Surface, headers: dict[str, str] | None = None) -> str:
    made = s3.send("POST", "/bucket/key?uploads=", headers)
    assert made.status == 200
    return made.text("UploadId") or ""


def complete(s3: Surface, upload: str, parts: list[tuple[int, str]], headers: dict[str, str] | None = None) -> Answer:
    rows = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{etag}</ETag></Part>" for n, etag in parts)
    body = f"<CompleteMultipartUpload>{rows}</CompleteMultipartUpload>".encode()
    return s3.send("POST", f"/bucket/key?uploadId={upload}", headers, body)


def put_part(s3: Surface, upload: str, number: int, data: bytes, headers: dict[str, str] | None = None) -> str:
    put = s3.send("PUT", f"/bucket/key?partNumber={number}&uploadId={upload}", headers, data)
    assert put.status == 200
    return put.headers["etag"]


def test_upload_in_parts(s3: Surface) -> None:
    upload = begin(s3, {"content-type": "text/x", "x-amz-meta-a": "1", "x-amz-tagging": "t=1"})
    parts = [(1, put_part(s3, upload, 1, BIG)), (7, put_part(s3, upload, 7, b"tail"))]
    listed = s3.send("GET", f"/bucket/key?uploadId={upload}&max-parts=1")
    assert (listed.texts("Part/PartNumber"), listed.text("NextPartNumberMarker")) == (["1"], "1")
    assert listed.text("IsTruncated") == "true"
    rest = s3.send("GET", f"/bucket/key?uploadId={upload}&part-number-marker=1")
    assert rest.texts("Part/Size") == ["4"]
    assert s3.send("GET", "/bucket?uploads").texts("Upload/UploadId") == [upload]
    done = complete(s3, upload, parts)
    md5s = b"".join(bytes.fromhex(etag.strip('"')) for _, etag in parts)
    assert done.text("ETag") == f'"{hashlib.md5(md5s).hexdigest()}-2"'
    assert done.text("Location") == "http://s3.test/bucket/key"
    head = s3.send("HEAD", "/bucket/key?partNumber=7")
    assert (head.status, head.headers["content-range"]) == (206, f"bytes {len(BIG)}-{len(BIG) + 3}/{len(BIG) + 4}")
    assert (head.headers["x-amz-mp-parts-count"], head.headers["content-type"]) == ("2", "text/x")
    assert s3.send("GET", "/bucket/key?partNumber=7").body == b"tail"
    assert s3.send("GET", "/bucket/key?partNumber=3").status == 416
    both = s3.send("GET", "/bucket/key?partNumber=7", {"range": "bytes=0-1"})
    assert both.code == "InvalidRequest"
    attributes = s3.send(
        "GET", "/bucket/key?attributes", {"x-amz-object-attributes": "ObjectParts", "x-amz-max-parts": "1"}
    )
    assert attributes.text("ObjectParts/PartsCount") == "2"
    assert attributes.texts("ObjectParts/Part/PartNumber") == ["1"]
    assert attributes.text("ObjectParts/IsTruncated") == "true"


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ([], "MalformedXML"),
        ([(2, "a"), (1, "b")], "InvalidPartOrder"),
        ([(1, "a"), (1, "a")], "InvalidPartOrder"),
        ([(1, "none")], "InvalidPart"),
        ([(0, "a")], "MalformedXML"),
        ([(99999999999, "a")], "MalformedXML"),
    ],
)
def test_bad_part_lists(s3: Surface, parts: list[tuple[int, str]], code: str) -> None:
    """P08."""
    upload = begin(s3)
    assert complete(s3, upload, parts).code == code
    assert s3.send("GET", f"/bucket/key?uploadId={upload}").status == 200


def test_small_parts_are_told_apart(s3: Surface) -> None:
    upload = begin(s3)
    parts = [(1, put_part(s3, upload, 1, b"small")), (2, put_part(s3, upload, 2, b"tail"))]
    refused = complete(s3, upload, parts)
    assert (refused.code, refused.text("PartNumber"), refused.text("MinSizeAllowed")) == (
        "EntityTooSmall",
        "1",
        "5242880",
    )


@pytest.mark.parametrize("number", ["0", "10001", "-1", "x", "1.5", ""])
def test_part_numbers(s3: Surface, number: str) -> None:
    upload = begin(s3)
    refused = s3.send("PUT", f"/bucket/key?partNumber={number}&uploadId={upload}", body=b"1")
    assert refused.code == "InvalidArgument"
    assert s3.send("HEAD", "/bucket/key").status == 404


@pytest.mark.parametrize("upload", ["", "x", "0" * 32, "0" * 33, "..%2F.."])
def test_unknown_uploads(s3: Surface, upload: str) -> None:
    assert s3.send("PUT", f"/bucket/key?partNumber=1&uploadId={upload}", body=b"1").code == "NoSuchUpload"
    assert s3.send("GET", f"/bucket/key?uploadId={upload}").code == "NoSuchUpload"
    assert s3.send("DELETE", f"/bucket/key?uploadId={upload}").code == "NoSuchUpload"
    assert complete(s3, upload, [(1, "a")]).code == "NoSuchUpload"


def test_part_number_without_upload_is_no_put(s3: Surface) -> None:
    assert s3.send("PUT", "/bucket/key?partNumber=1", body=b"1").code == "MethodNotAllowed"
    assert s3.send("PUT", "/bucket/key?uploadId=" + "0" * 32, body=b"1").code == "MethodNotAllowed"
    assert not s3.world.objects


def test_abort(s3: Surface) -> None:
    upload = begin(s3)
    assert s3.send("DELETE", f"/bucket/key?uploadId={upload}").status == 204
    assert s3.send("GET", "/bucket?uploads").texts("Upload") == []


def test_parts_get_the_checksum_of_their_upload(s3: Surface) -> None:
    upload = begin(s3, {"x-amz-checksum-algorithm": "crc32c"})
    path = f"/bucket/key?partNumber=1&uploadId={upload}"
    plain = s3.send("PUT", path, body=b"data")
    assert plain.headers["x-amz-checksum-crc32c"] == checksums.encode(checksums.digest("CRC32C", b"data"))
    other = s3.send(
        "PUT", path, {"x-amz-checksum-sha256": checksums.encode(checksums.digest("SHA256", b"data"))}, b"data"
    )
    assert other.code == "InvalidRequest"
    listed = s3.send("GET", f"/bucket/key?uploadId={upload}")
    assert (listed.text("ChecksumAlgorithm"), listed.text("ChecksumType")) == ("CRC32C", "COMPOSITE")


@pytest.mark.parametrize(
    ("algorithm", "kind", "good"),
    [
        ("CRC32", "FULL_OBJECT", True),
        ("CRC64NVME", "", True),
        ("SHA256", "COMPOSITE", True),
        ("SHA256", "FULL_OBJECT", False),
        ("CRC64NVME", "COMPOSITE", False),
        ("MD5", "", False),
        ("", "COMPOSITE", False),
        ("CRC32", "PARTIAL", False),
    ],
)
def test_checksum_types(s3: Surface, algorithm: str, kind: str, good: bool) -> None:
    headers = {"x-amz-checksum-algorithm": algorithm, "x-amz-checksum-type": kind}
    begun = s3.send("POST", "/bucket/key?uploads", {n: v for n, v in headers.items() if v})
    assert begun.status == (200 if good else 400)


def test_complete_is_conditional(s3: Surface) -> None:
    s3.send("PUT", "/bucket/key", body=b"1")
    upload = begin(s3)
    parts = [(1, put_part(s3, upload, 1, b"data"))]
    assert complete(s3, upload, parts, {"if-none-match": "*"}).code == "PreconditionFailed"
    assert complete(s3, upload, parts).status == 200


# -- copies -----------------------------------------------------------------------------------------


def copy(s3: Surface, source: str, headers: dict[str, str] | None = None, target: str = "/bucket/copy") -> Answer:
    return s3.send("PUT", target, {"x-amz-copy-source": source, **(headers or {})})


def test_copy_keeps_or_replaces(s3: Surface) -> None:
    sent = {
        "content-type": "text/x",
        "cache-control": "no-store",
        "x-amz-meta-a": "1",
        "x-amz-tagging": "t=1",
        "x-amz-website-redirect-location": "/r",
    }
    s3.send("PUT", "/bucket/key", sent, b"data")
    kept = copy(s3, "bucket/key")
    assert kept.text("ETag") == f'"{hashlib.md5(b"data").hexdigest()}"'
    head = s3.send("HEAD", "/bucket/copy").headers
    assert (head["content-type"], head["cache-control"], head["x-amz-meta-a"]) == ("text/x", "no-store", "1")
    assert head["x-amz-tagging-count"] == "1"
    assert "x-amz-website-redirect-location" not in head
    new = {"x-amz-metadata-directive": "REPLACE", "x-amz-tagging-directive": "REPLACE", "x-amz-meta-b": "2"}
    copy(s3, "/bucket/key", new)
    head = s3.send("HEAD", "/bucket/copy").headers
    assert (head["content-type"], head["x-amz-meta-b"]) == ("binary/octet-stream", "2")
    assert not {"x-amz-meta-a", "cache-control", "x-amz-tagging-count"} & head.keys()


def test_copy_onto_itself_must_change_something(s3: Surface) -> None:
    s3.send("PUT", "/bucket/key", body=b"data")
    assert copy(s3, "/bucket/key", target="/bucket/key").code == "InvalidRequest"
    for change in (
        {"x-amz-metadata-directive": "REPLACE"},
        {"x-amz-storage-class": "REDUCED_REDUNDANCY"},
        {"x-amz-website-redirect-location": "/r"},
    ):
        assert copy(s3, "/bucket/key", change, "/bucket/key").status == 200


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("", "InvalidArgument"),
        ("/", "InvalidArgument"),
        ("bucket", "InvalidArgument"),
        ("bucket/", "InvalidArgument"),
        ("nobody/key", "NoSuchBucket"),
        ("bucket/none", "NoSuchKey"),
        ("bucket/%zz", "InvalidArgument"),
        ("bucket/%FF", "InvalidArgument"),
        ("b\xe9/key", "InvalidArgument"),
        ("bucket/key?versionId=x", "InvalidArgument"),
        ("bucket/key?versionId=11111111-2222-3333-4444-555555555555", "NoSuchVersion"),
        ("bucket/" + "x" * 1025, "KeyTooLongError"),
    ],
)
def test_bad_copy_sources(s3: Surface, source: str, code: str) -> None:
    s3.send("PUT", "/bucket/key", body=b"data")
    assert copy(s3, source).code == code


def test_copy_source_forms(s3: Surface) -> None:
    s3.send("PUT", "/bucket/a+b", body=b"data")
    for source in ("bucket/a+b", "/bucket/a%2Bb", "bucket%2Fa%2Bb", "bucket/a+b?versionId=null"):
        assert copy(s3, source).status == 200


@pytest.mark.parametrize("name", ["x-amz-metadata-directive", "x-amz-tagging-directive"])
def test_directives(s3: Surface, name: str) -> None:
    s3.send("PUT", "/bucket/key", body=b"data")
    assert copy(s3, "bucket/key", {name: "MERGE"}).code == "InvalidArgument"


def test_copy_source_conditions(s3: Surface) -> None:
    etag = s3.send("PUT", "/bucket/key", body=b"data").headers["etag"]
    past = "Thu, 01 Jan 1998 00:00:00 GMT"
    assert copy(s3, "bucket/key", {"x-amz-copy-source-if-match": '"x"'}).code == "PreconditionFailed"
    assert copy(s3, "bucket/key", {"x-amz-copy-source-if-none-match": etag}).code == "PreconditionFailed"
    assert copy(s3, "bucket/key", {"x-amz-copy-source-if-unmodified-since": past}).code == "PreconditionFailed"
    both = {"x-amz-copy-source-if-match": etag, "x-amz-copy-source-if-unmodified-since": past}
    assert copy(s3, "bucket/key", both).status == 200
    assert copy(s3, "bucket/key", {"if-none-match": "*"}).code == "PreconditionFailed"


def test_copy_authorises_the_source(s3: Surface) -> None:
    """A15: read of the source, write of the target."""
    s3.send("PUT", "/bucket/key", body=b"data")
    asked: list[tuple[str, bytes]] = []

    def allow(identity: object, action: str, bucket: str, key: bytes, values: object) -> bool:
        asked.append((action, key))
        return action != "s3:GetObject"

    s3.dispatcher._authorise = allow
    assert copy(s3, "bucket/key").code == "AccessDenied"
    assert asked == [("s3:PutObject", b"copy"), ("s3:GetObject", b"key")]


def test_part_copies(s3: Surface) -> None:
    s3.send("PUT", "/bucket/source", body=b"0123456789")
    upload = begin(s3)
    path = f"/bucket/key?partNumber=1&uploadId={upload}"

    def part(span: str | None = None) -> Answer:
        return copy(s3, "bucket/source", {"x-amz-copy-source-range": span} if span else None, path)

    assert part().text("ETag") == f'"{hashlib.md5(b"0123456789").hexdigest()}"'
    assert part("bytes=2-4").text("ETag") == f'"{hashlib.md5(b"234").hexdigest()}"'
    for bad in ("bytes=0-10", "bytes=20-30"):
        assert part(bad).code == "InvalidRange"
    for bad in ("bytes=4-2", "bytes=4-", "bytes=-4", "0-4", "bytes=0-1,3-4"):
        assert part(bad).code == "InvalidArgument"


def test_long_completions_are_answered_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    s3 = Surface(wait_s=0.0)
    s3.send("PUT", "/bucket")
    s3.send("PUT", "/bucket/key", body=b"data")
    objects: Any = s3.dispatcher._services.objects
    real, gate = objects.copy, asyncio.Event()

    async def slow(*arguments: object) -> object:
        await gate.wait()
        return await real(*arguments)

    async def settle(answer: Answer) -> bytes:
        gate.set()
        assert answer.reply.late is not None
        return await answer.reply.late

    monkeypatch.setattr(objects, "copy", slow)
    answer = copy(s3, "bucket/key")
    assert (answer.status, answer.body) == (200, b"")
    assert s3.loop.run_until_complete(settle(answer)).startswith(b"<CopyObjectResult")
    gate.clear()
    failed = copy(s3, "bucket/none")
    assert failed.status == 200
    late = s3.loop.run_until_complete(settle(failed))
    assert late.startswith(b"<Error><Code>NoSuchKey</Code>")
    s3.close()


def test_long_documents_are_parsed_beside_the_loop(s3: Surface, monkeypatch: pytest.MonkeyPatch) -> None:
    """10,000 parts take a tenth of a second to parse: other requests go on meanwhile."""
    threads: list[bool] = []

    def watched(document: bytes) -> object:
        threads.append(threading.current_thread() is threading.main_thread())
        return requests.parse_complete(document)

    monkeypatch.setattr(multipart, "parse_complete", watched)
    upload = begin(s3)
    for count in (1, 10_000):
        assert complete(s3, upload, [(number, "0" * 32) for number in range(1, count + 1)]).code == "InvalidPart"
    assert threads == [True, False]
