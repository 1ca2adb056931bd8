"""Multipart uploads: parts replaced, copied, listed, completed and aborted; racing, repeated and refused."""

from __future__ import annotations

import hashlib
import os
import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.kit.clients import refusal
from tests.kit.server import Client, Reply, Server

KIB, MIB = 1 << 10, 1 << 20
FIVE = os.urandom(5 * MIB)


def begin(s3: Any, bucket: str, key: str = "key", **settings: Any) -> str:
    upload: str = s3.create_multipart_upload(Bucket=bucket, Key=key, **settings)["UploadId"]
    return upload


def send(s3: Any, bucket: str, upload: str, number: int, body: bytes, key: str = "key") -> dict[str, Any]:
    etag = s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=body)["ETag"]
    assert etag == f'"{hashlib.md5(body).hexdigest()}"'
    return {"PartNumber": number, "ETag": etag}


def complete(bucket: str, upload: str, parts: list[dict[str, Any]], key: str = "key") -> dict[str, Any]:
    """Arguments of CompleteMultipartUpload."""
    return {"Bucket": bucket, "Key": key, "UploadId": upload, "MultipartUpload": {"Parts": parts}}


def etag_of(*parts: bytes) -> str:
    return f'"{hashlib.md5(b"".join(hashlib.md5(p).digest() for p in parts)).hexdigest()}-{len(parts)}"'


def test_an_upload_from_begin_to_end(s3: Any, bucket: str) -> None:
    upload = begin(s3, bucket, ContentType="text/x", Metadata={"a": "1"}, Tagging="t=1", CacheControl="no-store")
    tail = os.urandom(1234)
    parts = [send(s3, bucket, upload, 7, tail), send(s3, bucket, upload, 2, FIVE)]
    assert refusal(s3.get_object, Bucket=bucket, Key="key") == (404, "NoSuchKey")
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)
    done = s3.complete_multipart_upload(**complete(bucket, upload, parts[::-1]))
    assert (done["ETag"], done["Key"], done["Bucket"]) == (etag_of(FIVE, tail), "key", bucket)
    got = s3.get_object(Bucket=bucket, Key="key")
    assert (got["Body"].read() == FIVE + tail, got["ETag"]) == (True, done["ETag"])
    assert (got["ContentType"], got["Metadata"], got["CacheControl"], got["TagCount"]) == ("text/x", {"a": "1"}, "no-store", 1)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)
    assert refusal(s3.list_parts, Bucket=bucket, Key="key", UploadId=upload) == (404, "NoSuchUpload")
    assert s3.list_objects_v2(Bucket=bucket)["Contents"][0]["Size"] == len(FIVE) + len(tail)


def test_ranges_and_parts_of_the_object(s3: Any, bucket: str) -> None:
    upload = begin(s3, bucket)
    pieces = [FIVE, os.urandom(5 * MIB + 777), os.urandom(100 * KIB), b"z"]
    sent = [send(s3, bucket, upload, number, piece) for number, piece in zip((1, 3, 9000, 10000), pieces[:2] + pieces[3:], strict=False)]
    s3.complete_multipart_upload(**complete(bucket, upload, sent))
    used = [pieces[0], pieces[1], pieces[3]]
    whole = b"".join(used)
    chance = random.Random(1)
    borders = [0, 5 * MIB - 1, 5 * MIB, len(whole) - 2, len(whole) - 1]
    for _ in range(12):
        first, last = sorted((chance.choice(borders), chance.randrange(len(whole))))
        got = s3.get_object(Bucket=bucket, Key="key", Range=f"bytes={first}-{last}")
        assert got["Body"].read() == whole[first : last + 1]
        assert got["ContentRange"] == f"bytes {first}-{last}/{len(whole)}"
    at = 0
    for number, piece in zip((1, 3, 9000), used, strict=True):
        for call in (s3.get_object, s3.head_object):
            one = call(Bucket=bucket, Key="key", PartNumber=number)
            assert (one["PartsCount"], one["ContentLength"]) == (3, len(piece))
            assert one["ContentRange"] == f"bytes {at}-{at + len(piece) - 1}/{len(whole)}"
        assert s3.get_object(Bucket=bucket, Key="key", PartNumber=number)["Body"].read() == piece
        at += len(piece)
    assert refusal(s3.get_object, Bucket=bucket, Key="key", PartNumber=2) == (416, "InvalidPartNumber")
    assert refusal(s3.head_object, Bucket=bucket, Key="key", PartNumber=10_001) == (400, "InvalidArgument")


def test_a_replaced_part(s3: Any, bucket: str) -> None:
    """R17: the last part sent under a number counts, and its tag only."""
    upload = begin(s3, bucket)
    old = send(s3, bucket, upload, 1, b"old")
    new = send(s3, bucket, upload, 1, b"the new one")
    assert [p["Size"] for p in s3.list_parts(Bucket=bucket, Key="key", UploadId=upload)["Parts"]] == [11]
    assert refusal(s3.complete_multipart_upload, **complete(bucket, upload, [old])) == (400, "InvalidPart")
    s3.complete_multipart_upload(**complete(bucket, upload, [new]))
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"the new one"


def test_parts_left_out_are_dropped(s3: Any, bucket: str) -> None:
    upload = begin(s3, bucket)
    parts = [send(s3, bucket, upload, number, b"%d" % number) for number in (1, 2, 3)]
    s3.complete_multipart_upload(**complete(bucket, upload, [parts[1]]))
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"2"


def test_a_repeated_complete_has_the_same_answer(s3: Any, bucket: str) -> None:
    """R17: a client that lost the answer asks again; not once the object is another."""
    upload = begin(s3, bucket)
    call = complete(bucket, upload, [send(s3, bucket, upload, 1, b"data")])
    first = s3.complete_multipart_upload(**call)
    assert s3.complete_multipart_upload(**call)["ETag"] == first["ETag"]
    s3.put_object(Bucket=bucket, Key="key", Body=b"other")
    assert refusal(s3.complete_multipart_upload, **call) == (404, "NoSuchUpload")
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"other"


def test_refused_completes_change_nothing(s3: Any, wire: Client, bucket: str) -> None:
    upload = begin(s3, bucket)
    small, large = send(s3, bucket, upload, 1, b"small"), send(s3, bucket, upload, 2, FIVE)
    for parts, found in (
        ([large, small], (400, "InvalidPartOrder")),
        ([small, small], (400, "InvalidPartOrder")),
        ([small, large], (400, "EntityTooSmall")),
        ([large, {"PartNumber": 3, "ETag": small["ETag"]}], (400, "InvalidPart")),
        ([{"PartNumber": 2, "ETag": '"0"'}], (400, "InvalidPart")),
        ([{"PartNumber": 0, "ETag": small["ETag"]}], (400, "MalformedXML")),
        ([], (400, "MalformedXML")),
    ):
        assert refusal(s3.complete_multipart_upload, **complete(bucket, upload, parts)) == found
    wrong = {**complete(bucket, upload, [large]), "MpuObjectSize": 1}
    assert refusal(s3.complete_multipart_upload, **wrong) == (400, "InvalidRequest")
    assert refusal(s3.head_object, Bucket=bucket, Key="key") == (404, "NoSuchKey")
    small_error = wire.request(
        "POST", f"/{bucket}/key", {"uploadId": upload}, document([small, large])
    )  # fmt: skip
    assert [small_error.element(n) for n in ("PartNumber", "MinSizeAllowed", "ProposedSize")] == ["1", str(5 * MIB), "5"]
    right = {**complete(bucket, upload, [large]), "MpuObjectSize": 5 * MIB}
    s3.complete_multipart_upload(**right)


def document(parts: list[dict[str, Any]]) -> bytes:
    inner = "".join(f"<Part><PartNumber>{p['PartNumber']}</PartNumber><ETag>{p['ETag']}</ETag></Part>" for p in parts)
    return f"<CompleteMultipartUpload>{inner}</CompleteMultipartUpload>".encode()


def test_five_mebibytes_is_the_least(s3: Any, bucket: str) -> None:
    upload = begin(s3, bucket)
    parts = [send(s3, bucket, upload, 1, FIVE[:-1]), send(s3, bucket, upload, 2, b"end")]
    assert refusal(s3.complete_multipart_upload, **complete(bucket, upload, parts)) == (400, "EntityTooSmall")
    parts[0] = send(s3, bucket, upload, 1, FIVE)
    s3.complete_multipart_upload(**complete(bucket, upload, parts))


def test_unknown_uploads(s3: Any, bucket: str) -> None:
    upload = begin(s3, bucket)
    part = [{"PartNumber": 1, "ETag": '"0"'}]
    for wrong in ("0" * 32, "x", upload[:-1], upload + "0", "../" + upload):
        where = {"Bucket": bucket, "Key": "key", "UploadId": wrong}
        assert refusal(s3.upload_part, **where, PartNumber=1, Body=b"1") == (404, "NoSuchUpload")
        assert refusal(s3.list_parts, **where) == (404, "NoSuchUpload")
        assert refusal(s3.abort_multipart_upload, **where) == (404, "NoSuchUpload")
        assert refusal(s3.complete_multipart_upload, **where, MultipartUpload={"Parts": part}) == (404, "NoSuchUpload")
    other = {"Bucket": bucket, "Key": "another key", "UploadId": upload}
    assert refusal(s3.upload_part, **other, PartNumber=1, Body=b"1") == (404, "NoSuchUpload")
    assert refusal(s3.abort_multipart_upload, **other) == (404, "NoSuchUpload")
    gone = {"Bucket": "no-such-bucket", "Key": "key", "UploadId": upload}
    assert refusal(s3.upload_part, **gone, PartNumber=1, Body=b"1") == (404, "NoSuchBucket")


@pytest.mark.parametrize("number", ["0", "10001", "-1", "x", "", "1.0", "99999999999999999999"])
def test_part_numbers(s3: Any, wire: Client, shared: str, number: str) -> None:
    upload = begin(s3, shared)
    reply = wire.request("PUT", f"/{shared}/key", {"uploadId": upload, "partNumber": number}, b"1")
    assert (reply.status, reply.code) == (400, "InvalidArgument")


def test_an_aborted_upload_is_gone(s3: Any, bucket: str) -> None:
    """R17: parts are not visible after an abort."""
    upload = begin(s3, bucket)
    part = send(s3, bucket, upload, 1, FIVE)
    assert s3.abort_multipart_upload(Bucket=bucket, Key="key", UploadId=upload)["ResponseMetadata"]["HTTPStatusCode"] == 204
    where = {"Bucket": bucket, "Key": "key", "UploadId": upload}
    assert refusal(s3.list_parts, **where) == (404, "NoSuchUpload")
    assert refusal(s3.upload_part, **where, PartNumber=2, Body=b"1") == (404, "NoSuchUpload")
    assert refusal(s3.complete_multipart_upload, **complete(bucket, upload, [part])) == (404, "NoSuchUpload")
    assert refusal(s3.abort_multipart_upload, **where) == (404, "NoSuchUpload")
    s3.delete_bucket(Bucket=bucket)


@pytest.mark.parametrize("round_", range(6))
def test_complete_races_abort(server: Server, s3: Any, shared: str, round_: int) -> None:
    """R17: one of them wins, wholly."""
    key = f"race-{round_}"
    upload = begin(s3, shared, key)
    parts = [send(s3, shared, upload, 1, FIVE, key), send(s3, shared, upload, 2, b"end", key)]
    path, query = f"/{shared}/{key}", {"uploadId": upload}

    def ask(method: str) -> Reply:
        with server.client() as client:
            return client.request(method, path, query, document(parts) if method == "POST" else b"")

    with ThreadPoolExecutor(4) as threads:
        completed, aborted, *again = threads.map(ask, ["POST", "DELETE", "POST", "DELETE"])
    if (completed.status, again[0].status) == (404, 404):
        assert 204 in (aborted.status, again[1].status)
        assert refusal(s3.head_object, Bucket=shared, Key=key) == (404, "NoSuchKey")
    else:
        assert {aborted.code, again[1].code} == {"NoSuchUpload"}
        assert s3.get_object(Bucket=shared, Key=key)["Body"].read() == FIVE + b"end"


# -- copying parts ------------------------------------------------------------------------------------


def test_parts_from_another_object(s3: Any, bucket: str, shared: str) -> None:
    data = os.urandom(11 * MIB)
    s3.put_object(Bucket=shared, Key="source", Body=data)
    upload = begin(s3, bucket)
    where = {"Bucket": bucket, "Key": "key", "UploadId": upload, "CopySource": f"{shared}/source"}
    spans = [(0, 5 * MIB - 1), (5 * MIB, 10 * MIB - 1), (3, 3)]
    parts = []
    for number, (first, last) in enumerate(spans, 1):
        made = s3.upload_part_copy(**where, PartNumber=number, CopySourceRange=f"bytes={first}-{last}")["CopyPartResult"]
        assert made["ETag"] == f'"{hashlib.md5(data[first : last + 1]).hexdigest()}"'
        parts.append({"PartNumber": number, "ETag": made["ETag"]})
    s3.complete_multipart_upload(**complete(bucket, upload, parts))
    wanted = b"".join(data[first : last + 1] for first, last in spans)
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == wanted
    whole = begin(s3, bucket, "whole")
    made = s3.upload_part_copy(Bucket=bucket, Key="whole", UploadId=whole, PartNumber=1, CopySource=f"{bucket}/key")
    parts = [{"PartNumber": 1, "ETag": made["CopyPartResult"]["ETag"]}]
    s3.complete_multipart_upload(**complete(bucket, whole, parts, "whole"))
    assert s3.get_object(Bucket=bucket, Key="whole")["Body"].read() == wanted


@pytest.mark.parametrize(
    ("span", "status", "code"),
    [
        ("bytes=0-10", 416, "InvalidRange"),
        ("bytes=10-20", 416, "InvalidRange"),
        ("bytes=5-4", 400, "InvalidArgument"),
        ("bytes=0-", 400, "InvalidArgument"),
        ("bytes=-5", 400, "InvalidArgument"),
        ("0-5", 400, "InvalidArgument"),
        ("bytes=0-1,3-4", 400, "InvalidArgument"),
    ],
)
def test_ranges_of_copied_parts(s3: Any, shared: str, span: str, status: int, code: str) -> None:
    s3.put_object(Bucket=shared, Key="ten", Body=b"0123456789")
    where = {"Bucket": shared, "Key": "key", "UploadId": begin(s3, shared), "PartNumber": 1, "CopySource": f"{shared}/ten"}
    assert refusal(s3.upload_part_copy, **where, CopySourceRange=span) == (status, code)


def test_conditions_of_copied_parts(s3: Any, shared: str) -> None:
    etag = s3.put_object(Bucket=shared, Key="ten", Body=b"0123456789")["ETag"]
    where = {"Bucket": shared, "Key": "key", "UploadId": begin(s3, shared), "PartNumber": 1, "CopySource": f"{shared}/ten"}
    s3.upload_part_copy(**where, CopySourceIfMatch=etag)
    assert refusal(s3.upload_part_copy, **where, CopySourceIfMatch='"no"') == (412, "PreconditionFailed")
    assert refusal(s3.upload_part_copy, **where, CopySourceIfNoneMatch=etag) == (412, "PreconditionFailed")
    none = {**where, "CopySource": f"{shared}/none"}
    assert refusal(s3.upload_part_copy, **none) == (404, "NoSuchKey")


# -- listings -----------------------------------------------------------------------------------------


def test_parts_in_pages(s3: Any, bucket: str) -> None:
    upload = begin(s3, bucket, StorageClass="REDUCED_REDUNDANCY")
    numbers = [1, 2, 3, 10, 11, 99, 100, 5000, 9999, 10000]
    for number in reversed(numbers):
        send(s3, bucket, upload, number, b"%d" % number)
    where = {"Bucket": bucket, "Key": "key", "UploadId": upload}
    pages = list(s3.get_paginator("list_parts").paginate(**where, PaginationConfig={"PageSize": 3}))
    assert [[p["PartNumber"] for p in page["Parts"]] for page in pages] == [[1, 2, 3], [10, 11, 99], [100, 5000, 9999], [10000]]
    assert [page["IsTruncated"] for page in pages] == [True, True, True, False]
    assert pages[0]["StorageClass"] == "REDUCED_REDUNDANCY"
    assert [p["PartNumber"] for p in s3.list_parts(**where, PartNumberMarker=99)["Parts"]] == [100, 5000, 9999, 10000]
    assert "Parts" not in s3.list_parts(**where, PartNumberMarker=10000)
    part = s3.list_parts(**where)["Parts"][4]
    assert (part["Size"], part["ETag"]) == (2, f'"{hashlib.md5(b"11").hexdigest()}"')


def test_uploads_in_pages(s3: Any, bucket: str) -> None:
    keys = ["a", "a", "a", "b/1", "b/2", "b/3/x", "c", "é"]
    uploads = [(key, begin(s3, bucket, key)) for key in keys]
    expected = sorted(uploads, key=lambda one: one[0].encode())
    for size in (1, 2, 3, 100):
        pages = s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, PaginationConfig={"PageSize": size})
        found = [(u["Key"], u["UploadId"]) for page in pages for u in page.get("Uploads", [])]
        assert found == expected
    grouped = s3.list_multipart_uploads(Bucket=bucket, Delimiter="/")
    assert [u["Key"] for u in grouped["Uploads"]] == ["a", "a", "a", "c", "é"]
    assert [p["Prefix"] for p in grouped["CommonPrefixes"]] == ["b/"]
    below = s3.list_multipart_uploads(Bucket=bucket, Prefix="b/", Delimiter="/")
    assert ([u["Key"] for u in below["Uploads"]], below["CommonPrefixes"]) == (["b/1", "b/2"], [{"Prefix": "b/3/"}])
    marked = s3.list_multipart_uploads(Bucket=bucket, KeyMarker="a", UploadIdMarker=uploads[1][1])
    assert [u["UploadId"] for u in marked["Uploads"]][:2] == [uploads[2][1], uploads[3][1]]
    skipped = s3.list_multipart_uploads(Bucket=bucket, KeyMarker="a")
    assert skipped["Uploads"][0]["Key"] == "b/1"


def test_boto3_transfers_a_large_file(server: Server, s3: Any, bucket: str, tmp_path: Any) -> None:
    """The managed transfer of boto3: parallel parts up, parallel ranges down."""
    path = tmp_path / "large"
    path.write_bytes(os.urandom(41 * MIB + 3))
    s3.upload_file(str(path), bucket, "large", ExtraArgs={"ContentType": "x/y"})
    assert "-" in s3.head_object(Bucket=bucket, Key="large")["ETag"]
    s3.download_file(bucket, "large", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == path.read_bytes()
    s3.copy({"Bucket": bucket, "Key": "large"}, bucket, "copied")
    s3.download_file(bucket, "copied", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == path.read_bytes()


def test_parts_racing_under_one_number(server: Server, s3: Any, bucket: str) -> None:
    """R17: whatever part wins, tag and bytes belong together."""
    upload = begin(s3, bucket)
    bodies = [bytes([i]) * (200 * KIB + i) for i in range(12)]

    def put(body: bytes) -> int:
        with server.client() as client:
            return client.request("PUT", f"/{bucket}/key", {"uploadId": upload, "partNumber": "1"}, body).status

    with ThreadPoolExecutor(6) as threads:
        assert set(threads.map(put, bodies)) == {200}
    (part,) = s3.list_parts(Bucket=bucket, Key="key", UploadId=upload)["Parts"]
    won = {f'"{hashlib.md5(body).hexdigest()}"': body for body in bodies}[part["ETag"]]
    s3.complete_multipart_upload(**complete(bucket, upload, [{"PartNumber": 1, "ETag": part["ETag"]}]))
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == won
