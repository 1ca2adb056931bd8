"""ListBuckets, CreateBucket, HeadBucket, DeleteBucket, GetBucketLocation."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.kit.clients import refusal
from tests.kit.server import Client, Server


def test_a_bucket_comes_and_goes(s3: Any, wire: Client) -> None:
    assert s3.create_bucket(Bucket="coming")["Location"] == "/coming"
    assert s3.head_bucket(Bucket="coming")["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert s3.get_bucket_location(Bucket="coming")["LocationConstraint"] is None
    assert refusal(s3.create_bucket, Bucket="coming") == (409, "BucketAlreadyOwnedByYou")
    assert s3.delete_bucket(Bucket="coming")["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert refusal(s3.head_bucket, Bucket="coming") == (404, "NoSuchBucket")
    assert refusal(s3.delete_bucket, Bucket="coming") == (404, "NoSuchBucket")
    assert wire.request("GET", "/coming/", {"location": ""}).code == "NoSuchBucket"
    assert refusal(s3.put_object, Bucket="coming", Key="a", Body=b"") == (404, "NoSuchBucket")
    assert refusal(s3.list_objects_v2, Bucket="coming") == (404, "NoSuchBucket")


def test_a_bucket_made_again_is_empty(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=b"old")
    s3.delete_object(Bucket=bucket, Key="key")
    s3.delete_bucket(Bucket=bucket)
    s3.create_bucket(Bucket=bucket)
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    assert refusal(s3.get_object, Bucket=bucket, Key="key") == (404, "NoSuchKey")


def test_a_bucket_with_content_stays(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="deep/inside", Body=b"1")
    assert refusal(s3.delete_bucket, Bucket=bucket) == (409, "BucketNotEmpty")
    assert s3.get_object(Bucket=bucket, Key="deep/inside")["Body"].read() == b"1"


def test_uploads_under_way_do_not_keep_a_bucket(s3: Any, bucket: str) -> None:
    upload = s3.create_multipart_upload(Bucket=bucket, Key="key")["UploadId"]
    s3.upload_part(Bucket=bucket, Key="key", UploadId=upload, PartNumber=1, Body=b"part")
    s3.delete_bucket(Bucket=bucket)
    s3.create_bucket(Bucket=bucket)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)
    assert refusal(
        s3.upload_part, Bucket=bucket, Key="key", UploadId=upload, PartNumber=1, Body=b"part"
    ) == (404, "NoSuchUpload")  # fmt: skip


@pytest.mark.parametrize(
    "name",
    ["ab", "a" * 64, "Upper", "under_score", "-dash", "dash-", "two..dots", "192.168.0.1", "a.-b", "%2e%2e", "..", "a b"],
)
def test_invalid_names(wire: Client, name: str) -> None:
    """P01: among them those that would lead out of a directory."""
    reply = wire.request("PUT", f"/{name}")
    assert (reply.status, reply.code) == (400, "InvalidBucketName")


def test_the_reserved_name(wire: Client) -> None:
    reply = wire.request("PUT", "/minio")
    assert (reply.status, reply.code) == (403, "AllAccessDisabled")


@pytest.mark.parametrize("name", ["abc", "a" * 63, "with.dots.in-it", "0123"])
def test_valid_names(s3: Any, name: str) -> None:
    s3.create_bucket(Bucket=name)
    s3.delete_bucket(Bucket=name)


def test_region_of_a_bucket(s3: Any) -> None:
    s3.create_bucket(Bucket="regional", CreateBucketConfiguration={"LocationConstraint": "eu-west-3"})
    assert s3.get_bucket_location(Bucket="regional")["LocationConstraint"] == "eu-west-3"


def test_only_one_of_many_makes_a_bucket(server: Server) -> None:
    clients = [server.boto3() for _ in range(8)]

    def make(client: Any) -> tuple[int, str]:
        try:
            client.create_bucket(Bucket="contended")
        except client.exceptions.ClientError as error:
            return error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]
        return 200, ""

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(make, clients))
    assert sorted(answers) == [(200, "")] + [(409, "BucketAlreadyOwnedByYou")] * 7


def test_list_of_buckets_in_pages(s3: Any) -> None:
    names = [f"page-{i:02}" for i in range(25)]
    for name in reversed(names):
        s3.create_bucket(Bucket=name)
    pages = s3.get_paginator("list_buckets").paginate(Prefix="page-", PaginationConfig={"PageSize": 7})
    found = [[bucket["Name"] for bucket in page["Buckets"]] for page in pages]
    assert [len(page) for page in found] == [7, 7, 7, 4]
    assert [name for page in found for name in page] == names
    assert set(names) <= {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
    for name in names:
        s3.delete_bucket(Bucket=name)


@pytest.mark.parametrize("count", ["0", "10001", "x", "-1"])
def test_bad_page_sizes(wire: Client, count: str) -> None:
    reply = wire.request("GET", "/", {"max-buckets": count})
    assert (reply.status, reply.code) == (400, "InvalidArgument")


def test_force_delete_takes_the_contents_along(s3: Any, wire: Client, bucket: str) -> None:
    for i in range(30):
        s3.put_object(Bucket=bucket, Key=f"dir/{i}", Body=b"x")
    s3.create_multipart_upload(Bucket=bucket, Key="upload")
    force = {"x-minio-force-delete": "true"}
    assert wire.request("DELETE", f"/{bucket}/dir/", headers=force).status == 204
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    for i in range(1200):
        wire.request("PUT", f"/{bucket}/{i:04}", body=b"x")
    assert wire.request("DELETE", f"/{bucket}", headers=force).status == 204
    assert refusal(s3.head_bucket, Bucket=bucket) == (404, "NoSuchBucket")
    assert wire.request("DELETE", f"/{bucket}", headers=force).code == "NoSuchBucket"
