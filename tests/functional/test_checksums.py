"""The five checksum algorithms: declared, in headers and trailers, of whole objects, of parts and of what parts make."""

from __future__ import annotations

import os
from typing import Any

import pytest

from tests.kit.checksums import RAW, composite, text
from tests.kit.clients import refusal
from tests.kit.server import Client, Server

MIB = 1 << 20
ALGORITHMS = list(RAW)
#: Of which S3 can make the checksum of the whole from those of the parts.
LINEAR = ["CRC32", "CRC32C", "CRC64NVME"]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("size", [0, 100, 300_000, 6 * MIB])
def test_computed_by_the_sdk(s3: Any, shared: str, algorithm: str, size: int) -> None:
    """R25: boto3 sends most of them as trailers in aws-chunked bodies; neither may reach the object."""
    data = os.urandom(size)
    put = s3.put_object(Bucket=shared, Key="key", Body=data, ChecksumAlgorithm=algorithm)
    field = f"Checksum{algorithm}"
    assert (put[field], put["ChecksumType"]) == (text(algorithm, data), "FULL_OBJECT")
    got = s3.get_object(Bucket=shared, Key="key", ChecksumMode="ENABLED")
    assert (got[field], got["ChecksumType"], "ContentEncoding" in got) == (put[field], "FULL_OBJECT", False)
    assert got["Body"].read() == data
    assert field not in s3.head_object(Bucket=shared, Key="key")
    attributes = s3.get_object_attributes(Bucket=shared, Key="key", ObjectAttributes=["Checksum"])
    assert attributes["Checksum"] == {field: put[field], "ChecksumType": "FULL_OBJECT"}
    listed = s3.list_objects_v2(Bucket=shared, Prefix="key")["Contents"][0]
    assert (listed["ChecksumAlgorithm"], listed["ChecksumType"]) == ([algorithm], "FULL_OBJECT")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_declared_beforehand(wire: Client, shared: str, algorithm: str) -> None:
    name, data = f"x-amz-checksum-{algorithm.lower()}", b"some data"
    good = wire.request("PUT", f"/{shared}/declared", body=data, headers={name: text(algorithm, data)})
    assert (good.status, good.headers[name]) == (200, text(algorithm, data))
    for size in (9, 400_000):
        wrong = wire.request("PUT", f"/{shared}/wrong", body=bytes(size), headers={name: text(algorithm, data)})
        assert (wrong.status, wrong.code) == (400, "XAmzContentChecksumMismatch")
    for value in ("", "AAAA", "x" * 50, "\xff"):
        bad = wire.request("PUT", f"/{shared}/wrong", body=data, headers={name: value})
        assert bad.status == 400
    assert wire.request("HEAD", f"/{shared}/wrong").status == 404


def test_two_checksums_are_refused(wire: Client, shared: str) -> None:
    headers = {f"x-amz-checksum-{name.lower()}": text(name, b"data") for name in ("CRC32", "SHA1")}
    reply = wire.request("PUT", f"/{shared}/two", body=b"data", headers=headers)
    assert (reply.status, reply.code) == (400, "InvalidRequest")


def test_the_sdk_default_is_stored(server: Server, shared: str) -> None:
    """R25: what boto3 sends when nobody asks for anything, and when it is told not to."""
    for mode, stored in (("when_supported", True), ("when_required", False)):
        s3 = server.boto3(request_checksum_calculation=mode, response_checksum_validation=mode)
        s3.put_object(Bucket=shared, Key=mode, Body=b"data" * 50_000)
        got = s3.get_object(Bucket=shared, Key=mode, ChecksumMode="ENABLED")
        assert got["Body"].read() == b"data" * 50_000
        assert ("ChecksumCRC32" in got) == stored


def upload(s3: Any, bucket: str, parts: list[bytes], **settings: Any) -> dict[str, Any]:
    """Create and upload; the arguments of complete."""
    key = {"Bucket": bucket, "Key": "multi"}
    algorithm = settings.get("ChecksumAlgorithm")
    made = s3.create_multipart_upload(**key, **settings)["UploadId"]
    listed = []
    for number, part in enumerate(parts, 1):
        more = {"ChecksumAlgorithm": algorithm} if algorithm else {}
        sent = s3.upload_part(**key, UploadId=made, PartNumber=number, Body=part, **more)
        listed.append({"PartNumber": number, "ETag": sent["ETag"]})
        if algorithm:
            assert sent[f"Checksum{algorithm}"] == text(algorithm, part)
            listed[-1][f"Checksum{algorithm}"] = sent[f"Checksum{algorithm}"]
    return {**key, "UploadId": made, "MultipartUpload": {"Parts": listed}}


@pytest.fixture(scope="module")
def parts() -> list[bytes]:
    return [os.urandom(5 * MIB), os.urandom(5 * MIB + 13), os.urandom(1000)]


COMBINATIONS = [(name, "FULL_OBJECT") for name in LINEAR] + [
    (name, "COMPOSITE") for name in ALGORITHMS if name != "CRC64NVME"
]


@pytest.mark.parametrize(("algorithm", "kind"), COMBINATIONS)
def test_of_what_parts_make(s3: Any, shared: str, parts: list[bytes], algorithm: str, kind: str) -> None:
    call = upload(s3, shared, parts, ChecksumAlgorithm=algorithm, ChecksumType=kind)
    field, whole = f"Checksum{algorithm}", b"".join(parts)
    value = text(algorithm, whole) if kind == "FULL_OBJECT" else composite(algorithm, parts)
    bad = text(algorithm, b"other") + ("" if kind == "FULL_OBJECT" else f"-{len(parts)}")
    assert refusal(s3.complete_multipart_upload, **call, **{field: bad}) == (400, "XAmzContentChecksumMismatch")
    other = "COMPOSITE" if kind == "FULL_OBJECT" else "FULL_OBJECT"
    assert refusal(s3.complete_multipart_upload, **call, ChecksumType=other) == (400, "InvalidRequest")
    done = s3.complete_multipart_upload(**call, ChecksumType=kind, **{field: value})
    assert (done[field], done["ChecksumType"]) == (value, kind)
    got = s3.get_object(Bucket=shared, Key="multi", ChecksumMode="ENABLED")
    assert (got[field], got["ChecksumType"]) == (value, kind)
    assert got["Body"].read() == whole
    attributes = s3.get_object_attributes(
        Bucket=shared, Key="multi", ObjectAttributes=["Checksum", "ObjectParts"], MaxParts=2
    )
    assert attributes["Checksum"] == {field: value.partition("-")[0], "ChecksumType": kind}
    shown = attributes["ObjectParts"]
    assert (shown["TotalPartsCount"], shown["IsTruncated"], shown["NextPartNumberMarker"]) == (3, True, 2)
    assert [(p["PartNumber"], p["Size"], p[field]) for p in shown["Parts"]] == [
        (n, len(part), text(algorithm, part)) for n, part in enumerate(parts[:2], 1)
    ]
    one = s3.get_object(Bucket=shared, Key="multi", PartNumber=2, ChecksumMode="ENABLED")
    assert (one["Body"].read() == parts[1], one["PartsCount"]) == (True, 3)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_default_type_of_an_upload(s3: Any, shared: str, algorithm: str) -> None:
    made = s3.create_multipart_upload(Bucket=shared, Key="d", ChecksumAlgorithm=algorithm)
    assert made["ChecksumType"] == ("FULL_OBJECT" if algorithm == "CRC64NVME" else "COMPOSITE")
    assert made["ChecksumAlgorithm"] == algorithm


@pytest.mark.parametrize(
    "settings",
    [
        {"ChecksumAlgorithm": "CRC64NVME", "ChecksumType": "COMPOSITE"},
        {"ChecksumAlgorithm": "SHA1", "ChecksumType": "FULL_OBJECT"},
        {"ChecksumAlgorithm": "SHA256", "ChecksumType": "FULL_OBJECT"},
        {"ChecksumType": "FULL_OBJECT"},
        {"ChecksumAlgorithm": "MD5"},
    ],
)
def test_types_that_cannot_be(s3: Any, wire: Client, shared: str, settings: dict[str, str]) -> None:
    names = {"ChecksumAlgorithm": "x-amz-checksum-algorithm", "ChecksumType": "x-amz-checksum-type"}
    headers = {names[key]: value for key, value in settings.items()}
    reply = wire.request("POST", f"/{shared}/bad", {"uploads": ""}, headers=headers)
    assert (reply.status, reply.code) == (400, "InvalidRequest")


def test_a_part_without_the_uploads_checksum_gets_it(s3: Any, wire: Client, server: Server, shared: str) -> None:
    """The server computes what the client only announced when it began; another algorithm is refused."""
    made = s3.create_multipart_upload(Bucket=shared, Key="later", ChecksumAlgorithm="CRC32C")["UploadId"]
    query = {"uploadId": made, "partNumber": "1"}
    sent = wire.request("PUT", f"/{shared}/later", query, b"part")
    assert (sent.status, sent.headers["x-amz-checksum-crc32c"]) == (200, text("CRC32C", b"part"))
    other = wire.request("PUT", f"/{shared}/later", query, b"part", {"x-amz-checksum-sha1": text("SHA1", b"part")})
    assert (other.status, other.code) == (400, "InvalidRequest")
    listed = s3.list_parts(Bucket=shared, Key="later", UploadId=made)
    assert (listed["ChecksumAlgorithm"], listed["ChecksumType"]) == ("CRC32C", "COMPOSITE")
    assert listed["Parts"][0]["ChecksumCRC32C"] == text("CRC32C", b"part")
    part = {"PartNumber": 1, "ETag": sent.etag, "ChecksumCRC32C": text("CRC32C", b"wrong")}
    call = {"Bucket": shared, "Key": "later", "UploadId": made}
    assert refusal(s3.complete_multipart_upload, **call, MultipartUpload={"Parts": [part]}) == (400, "InvalidPart")
    del part["ChecksumCRC32C"]
    done = s3.complete_multipart_upload(**call, MultipartUpload={"Parts": [part]})
    assert done["ChecksumCRC32C"] == composite("CRC32C", [b"part"])


def test_a_mismatched_part_is_not_kept(s3: Any, wire: Client, shared: str) -> None:
    made = s3.create_multipart_upload(Bucket=shared, Key="mis")["UploadId"]
    query = {"uploadId": made, "partNumber": "1"}
    for headers in ({"content-md5": "A" * 22 + "=="}, {"x-amz-checksum-crc32": "AAAAAA=="}):
        assert wire.request("PUT", f"/{shared}/mis", query, b"part", headers).status == 400
    assert "Parts" not in s3.list_parts(Bucket=shared, Key="mis", UploadId=made)


def test_a_checksum_that_the_upload_does_not_have_is_refused(s3: Any, wire: Client, shared: str) -> None:
    """What a client wants compared with the whole object is compared or refused, never ignored."""
    for algorithm in ("CRC32", ""):
        named = {"ChecksumAlgorithm": algorithm} if algorithm else {}
        made = s3.create_multipart_upload(Bucket=shared, Key="alien", **named)["UploadId"]
        call = {"Bucket": shared, "Key": "alien", "UploadId": made}
        etag = wire.request("PUT", f"/{shared}/alien", {"uploadId": made, "partNumber": "1"}, b"part").etag
        parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
        for wrong in (text("SHA256", b"part"), text("SHA256", b"other")):
            answer = refusal(s3.complete_multipart_upload, **call, MultipartUpload=parts, ChecksumSHA256=wrong)
            assert answer == (400, "InvalidRequest")
        assert refusal(s3.head_object, Bucket=shared, Key="alien")[0] == 404
        s3.abort_multipart_upload(**call)
