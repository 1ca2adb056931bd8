"""Conditions on reads, and on writes where they are decided atomically by the owner of the key."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.kit.clients import refusal
from tests.kit.server import Client, Reply, Server

PAST, FUTURE = datetime(1998, 1, 1, tzinfo=UTC), datetime.now(UTC) + timedelta(days=1)
RACERS = 100


def etag_of(data: bytes) -> str:
    return f'"{hashlib.md5(data).hexdigest()}"'


GOOD, OTHER = etag_of(b"data"), etag_of(b"other")
READS: list[tuple[dict[str, Any], int, str]] = [
    ({"IfMatch": GOOD}, 200, ""),
    ({"IfMatch": "*"}, 200, ""),
    ({"IfMatch": f"{OTHER}, {GOOD}"}, 200, ""),
    ({"IfMatch": GOOD.strip('"')}, 200, ""),
    ({"IfMatch": OTHER}, 412, "PreconditionFailed"),
    ({"IfMatch": f"W/{GOOD}"}, 412, "PreconditionFailed"),
    ({"IfNoneMatch": OTHER}, 200, ""),
    ({"IfNoneMatch": GOOD}, 304, "NotModified"),
    ({"IfNoneMatch": f"W/{GOOD}"}, 304, "NotModified"),
    ({"IfNoneMatch": "*"}, 304, "NotModified"),
    ({"IfModifiedSince": PAST}, 200, ""),
    ({"IfModifiedSince": FUTURE}, 304, "NotModified"),
    ({"IfUnmodifiedSince": FUTURE}, 200, ""),
    ({"IfUnmodifiedSince": PAST}, 412, "PreconditionFailed"),
    ({"IfMatch": GOOD, "IfUnmodifiedSince": PAST}, 200, ""),
    ({"IfNoneMatch": OTHER, "IfModifiedSince": FUTURE}, 200, ""),
    ({"IfMatch": GOOD, "IfNoneMatch": GOOD}, 304, "NotModified"),
    ({"IfMatch": OTHER, "IfNoneMatch": GOOD}, 412, "PreconditionFailed"),
]


@pytest.mark.parametrize(("conditions", "status", "code"), READS)
def test_conditional_reads(s3: Any, shared: str, conditions: dict[str, Any], status: int, code: str) -> None:
    s3.put_object(Bucket=shared, Key="key", Body=b"data")
    for call in (s3.get_object, s3.head_object):
        if status == 200:
            assert call(Bucket=shared, Key="key", **conditions)["ETag"] == GOOD
        else:
            found = refusal(call, Bucket=shared, Key="key", **conditions)
            assert found in ((status, code), (status, str(status)))


def test_not_modified_has_no_body_but_the_validators(wire: Client, shared: str) -> None:
    wire.request("PUT", f"/{shared}/key", body=b"data")
    reply = wire.request("GET", f"/{shared}/key", headers={"if-none-match": GOOD})
    assert (reply.status, reply.body, reply.etag) == (304, b"", GOOD)
    assert "last-modified" in reply.headers
    assert wire.request("GET", f"/{shared}/key").body == b"data"  # the connection goes on


WRITES = [
    ({"IfNoneMatch": "*"}, 412, "PreconditionFailed"),
    ({"IfNoneMatch": GOOD}, 412, "PreconditionFailed"),
    ({"IfNoneMatch": OTHER}, 200, ""),
    ({"IfMatch": GOOD}, 200, ""),
    ({"IfMatch": "*"}, 200, ""),
    ({"IfMatch": OTHER}, 412, "PreconditionFailed"),
    ({"IfMatch": f"W/{GOOD}"}, 412, "PreconditionFailed"),
]


@pytest.mark.parametrize("size", [5, 300_000])
@pytest.mark.parametrize(("conditions", "status", "code"), WRITES)
def test_conditional_puts(
    s3: Any, shared: str, conditions: dict[str, Any], status: int, code: str, size: int
) -> None:  # fmt: skip
    s3.put_object(Bucket=shared, Key="key", Body=b"data")
    body = b"n" * size
    if status == 200:
        s3.put_object(Bucket=shared, Key="key", Body=body, **conditions)
    else:
        assert refusal(s3.put_object, Bucket=shared, Key="key", Body=body, **conditions) == (status, code)
    kept = s3.get_object(Bucket=shared, Key="key")["Body"].read()
    assert kept == (body if status == 200 else b"data")


def test_conditions_where_there_is_nothing(s3: Any, shared: str) -> None:
    assert refusal(s3.put_object, Bucket=shared, Key="none", Body=b"1", IfMatch=GOOD) == (404, "NoSuchKey")
    s3.put_object(Bucket=shared, Key="none", Body=b"1", IfNoneMatch="*")
    assert s3.get_object(Bucket=shared, Key="none")["Body"].read() == b"1"
    s3.delete_object(Bucket=shared, Key="none")
    s3.put_object(Bucket=shared, Key="none", Body=b"2", IfNoneMatch="*")


def test_conditional_completes(s3: Any, shared: str) -> None:
    def upload() -> dict[str, Any]:
        made = s3.create_multipart_upload(Bucket=shared, Key="multi")["UploadId"]
        part = s3.upload_part(Bucket=shared, Key="multi", UploadId=made, PartNumber=1, Body=b"part")
        parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
        return {"Bucket": shared, "Key": "multi", "UploadId": made, "MultipartUpload": parts}

    first, second = upload(), upload()
    s3.complete_multipart_upload(**first, IfNoneMatch="*")
    assert refusal(s3.complete_multipart_upload, **second, IfNoneMatch="*") == (412, "PreconditionFailed")
    etag = s3.head_object(Bucket=shared, Key="multi")["ETag"]
    assert refusal(s3.complete_multipart_upload, **second, IfMatch=OTHER) == (412, "PreconditionFailed")
    s3.complete_multipart_upload(**second, IfMatch=etag)


def test_conditional_copies(s3: Any, shared: str) -> None:
    s3.put_object(Bucket=shared, Key="source", Body=b"data")
    s3.put_object(Bucket=shared, Key="target", Body=b"other")
    copy = {"Bucket": shared, "Key": "target", "CopySource": f"{shared}/source"}
    assert refusal(s3.copy_object, **copy, IfNoneMatch="*") == (412, "PreconditionFailed")
    assert refusal(s3.copy_object, **copy, IfMatch=GOOD) == (412, "PreconditionFailed")
    s3.copy_object(**copy, IfMatch=OTHER)
    assert s3.get_object(Bucket=shared, Key="target")["Body"].read() == b"data"


def test_conditional_deletes(s3: Any, wire: Client, shared: str) -> None:
    s3.put_object(Bucket=shared, Key="doomed", Body=b"data")
    path = f"/{shared}/doomed"
    for headers in ({"if-match": OTHER}, {"x-amz-if-match-size": "5"}, {"x-amz-if-match-last-modified-time": "Thu, 01 Jan 1998 00:00:00 GMT"}):  # fmt: skip
        reply = wire.request("DELETE", path, headers=headers)
        assert (reply.status, reply.code) == (412, "PreconditionFailed")
    modified = wire.request("HEAD", path).headers["last-modified"]
    good = {"if-match": GOOD, "x-amz-if-match-size": "4", "x-amz-if-match-last-modified-time": modified}
    assert wire.request("DELETE", path, headers=good).status == 204
    assert wire.request("DELETE", path, headers={"if-match": "*"}).code == "NoSuchKey"


def race(server: Server, send: Any) -> list[Reply]:
    """All at once, each over a connection of its own, so that every worker has some."""
    clients = [server.client() for _ in range(RACERS)]
    with ThreadPoolExecutor(20) as threads:
        replies = list(threads.map(send, enumerate(clients)))
    for client in clients:
        client.close()
    return replies


@pytest.mark.parametrize("size", [10, 200_000])
def test_one_of_many_creates(server: Server, s3: Any, bucket: str, size: int) -> None:
    """R13: racing ``If-None-Match: *`` over all workers, inline and in volumes."""
    bodies = [bytes([i]) * size for i in range(RACERS)]

    def send(item: tuple[int, Client]) -> Reply:
        return item[1].request("PUT", f"/{bucket}/one", body=bodies[item[0]], headers={"if-none-match": "*"})

    replies = race(server, send)
    won = [i for i, reply in enumerate(replies) if reply.status == 200]
    assert len(won) == 1
    assert {(r.status, r.code) for r in replies if r.status != 200} == {(412, "PreconditionFailed")}
    assert s3.get_object(Bucket=bucket, Key="one")["Body"].read() == bodies[won[0]]


def test_one_of_many_replaces(server: Server, s3: Any, bucket: str) -> None:
    """R13: racing ``If-Match`` on one state of an object."""
    s3.put_object(Bucket=bucket, Key="one", Body=b"data")

    def send(item: tuple[int, Client]) -> Reply:
        return item[1].request("PUT", f"/{bucket}/one", body=b"%d" % item[0], headers={"if-match": GOOD})

    replies = race(server, send)
    won = [i for i, reply in enumerate(replies) if reply.status == 200]
    assert len(won) == 1
    assert s3.get_object(Bucket=bucket, Key="one")["Body"].read() == b"%d" % won[0]


def test_counting_with_conditions_loses_nothing(server: Server, bucket: str) -> None:
    """R13: read, add one, write if unchanged: every success counts."""
    with server.client() as client:
        client.request("PUT", f"/{bucket}/count", body=b"0")

    def add(number: int) -> int:
        done = 0
        with server.client() as client:
            for _ in range(20):
                now = client.request("GET", f"/{bucket}/count")
                body = b"%d" % (int(now.body) + 1)
                done += client.request("PUT", f"/{bucket}/count", body=body, headers={"if-match": now.etag}).status == 200
        return done

    with ThreadPoolExecutor(4) as threads:
        total = sum(threads.map(add, range(4)))
    with server.client() as client:
        assert int(client.request("GET", f"/{bucket}/count").body) == total > 0
