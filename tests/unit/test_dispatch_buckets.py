"""Buckets, listings, health and everything that is no object, through the dispatcher."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from sos.http.message import Reply
from sos.s3.operations import OPERATIONS
from tests.kit.surface import Surface


def fill(s3: Surface, *keys: str) -> None:
    for key in keys:
        assert s3.send("PUT", "/bucket/" + quote(key), body=b"1").status == 200


def test_buckets_come_and_go(s3: Surface) -> None:
    made = s3.send("PUT", "/another-one/")
    assert (made.status, made.headers["location"]) == (200, "/another-one")
    assert (again := s3.send("PUT", "/another-one")).code == "BucketAlreadyOwnedByYou"
    assert again.status == 409
    assert s3.send("HEAD", "/another-one").status == 200
    assert s3.send("DELETE", "/another-one").status == 204
    gone = s3.send("HEAD", "/another-one")
    assert (gone.status, gone.code, gone.body) == (404, "NoSuchBucket", b"")
    fill(s3, "key")
    assert s3.send("DELETE", "/bucket").code == "BucketNotEmpty"


@pytest.mark.parametrize("name", ["ab", "Bucket", "a..b", "10.0.0.1", "-abc", "a_b", "x" * 64, "a%2Fb", "caf%C3%A9"])
def test_bucket_names(s3: Surface, name: str) -> None:
    for method in ("PUT", "GET", "HEAD", "DELETE"):
        assert s3.send(method, f"/{name}").code == "InvalidBucketName"


def test_buckets_are_listed_in_pages(s3: Surface) -> None:
    for i in range(5):
        s3.send("PUT", f"/page-{i}")
    assert len(s3.send("GET", "/").texts("Buckets/Bucket/Name")) == 6
    first = s3.send("GET", "/?max-buckets=2&prefix=page-")
    assert first.texts("Buckets/Bucket/Name") == ["page-0", "page-1"]
    token = quote(first.text("ContinuationToken") or "")
    second = s3.send("GET", f"/?max-buckets=3&prefix=page-&continuation-token={token}")
    assert second.texts("Buckets/Bucket/Name") == ["page-2", "page-3", "page-4"]
    assert second.text("ContinuationToken") is None
    for bad in ("max-buckets=0", "max-buckets=10001", "max-buckets=x", "continuation-token=%2A"):
        assert s3.send("GET", f"/?{bad}").code == "InvalidArgument"
    assert s3.send("GET", "//").texts("Buckets/Bucket/Name")
    assert first.texts("Owner/ID") == ["02d6176db174dc93cb1b899f7c6078f08654445fe8cf1b6ce98d8855f66bdbf4"]


def test_locations(s3: Surface) -> None:
    def create(name: str, region: str) -> str:
        body = (
            f"<CreateBucketConfiguration><LocationConstraint>{region}</LocationConstraint></CreateBucketConfiguration>"
        )
        return s3.send("PUT", f"/{name}", body=body.encode()).code

    assert create("in-europe", "eu-central-1") == ""
    assert s3.send("GET", "/in-europe?location").xml.text == "eu-central-1"
    assert s3.send("GET", "/bucket?location=").xml.text is None
    assert s3.send("GET", "/nobody?location").code == "NoSuchBucket"
    assert s3.send("PUT", "/broken", body=b"<CreateBucket/>").code == "MalformedXML"
    fixed = Surface(region="us-east-1")
    body = b"<CreateBucketConfiguration><LocationConstraint>x</LocationConstraint></CreateBucketConfiguration>"
    assert fixed.send("PUT", "/elsewhere", body=body).code == "InvalidRegion"
    fixed.close()


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("x-amz-bucket-object-lock-enabled", "true"),
        ("x-amz-object-ownership", "ObjectWriter"),
        ("x-amz-acl", "public-read"),
    ],
)
def test_buckets_are_not_made_with_what_they_cannot_do(s3: Surface, header: str, value: str) -> None:
    assert s3.send("PUT", "/another", {header: value}).code == "NotImplemented"
    assert s3.send("HEAD", "/another").status == 404


@pytest.mark.parametrize(
    ("query", "status", "expect"),
    [
        ("versioning", 200, "VersioningConfiguration"),
        ("acl", 200, "AccessControlPolicy"),
        ("notification", 200, "NotificationConfiguration"),
        ("logging", 200, "BucketLoggingStatus"),
        ("accelerate", 200, "AccelerateConfiguration"),
        ("requestPayment", 200, "RequestPaymentConfiguration"),
        ("policyStatus", 200, "PolicyStatus"),
        ("policy", 404, "NoSuchBucketPolicy"),
        ("lifecycle", 404, "NoSuchLifecycleConfiguration"),
        ("lifecycle&withUpdatedAt=true", 404, "NoSuchLifecycleConfiguration"),
        ("encryption", 404, "ServerSideEncryptionConfigurationNotFoundError"),
        ("tagging", 404, "NoSuchTagSet"),
        ("object-lock", 404, "ObjectLockConfigurationNotFoundError"),
        ("replication", 404, "ReplicationConfigurationNotFoundError"),
        ("cors", 404, "NoSuchCORSConfiguration"),
        ("website", 404, "NoSuchWebsiteConfiguration"),
        ("inventory", 501, "NotImplemented"),
        ("events=s3:ObjectCreated:*", 501, "NotImplemented"),
    ],
)
def test_unconfigured_buckets_tell_the_truth(s3: Surface, query: str, status: int, expect: str) -> None:
    got = s3.send("GET", f"/bucket?{query}")
    assert (got.status, got.code or got.xml.tag) == (status, expect)
    if status != 501:
        assert s3.send("GET", f"/nobody?{query}").code == "NoSuchBucket"


UNAVAILABLE = [op for op in OPERATIONS if op.handler is None and op.level == "bucket"]


@pytest.mark.parametrize("operation", UNAVAILABLE, ids=lambda op: op.name)
def test_what_is_not_implemented_says_its_name(s3: Surface, operation) -> None:  # type: ignore[no-untyped-def]
    headers = {name: value or "1" for name, _, value in (h.partition("=") for h in operation.headers)}
    got = s3.send(operation.method, "/bucket?" + "&".join(operation.query), headers)
    assert (got.status, got.code) == (501, "NotImplemented")
    assert operation.name in (got.text("Message") or "")
    anonymous = s3.send(operation.method, "/bucket?" + "&".join(operation.query), headers, signed=False)
    assert anonymous.code == "AccessDenied"


def test_only_the_private_acl_can_be_set(s3: Surface) -> None:
    fill(s3, "key")
    for path in ("/bucket?acl", "/bucket/key?acl"):
        assert s3.send("PUT", path, {"x-amz-acl": "private"}).status == 200
        assert s3.send("PUT", path, {"x-amz-acl": "public-read"}).status == 501
        assert s3.send("PUT", path, body=b"<AccessControlPolicy/>").status == 501
    assert s3.send("GET", "/bucket/none?acl").code == "NoSuchKey"


# -- listings ---------------------------------------------------------------------------------------


def test_list_v2_pages_and_prefixes(s3: Surface) -> None:
    fill(s3, "a", "b/1", "b/2", "c", "d/1")
    page = s3.send("GET", "/bucket?list-type=2&delimiter=%2F&max-keys=2&fetch-owner=true")
    assert page.texts("Contents/Key") == ["a"]
    assert page.texts("CommonPrefixes/Prefix") == ["b/"]
    assert (page.text("KeyCount"), page.text("IsTruncated"), page.text("MaxKeys")) == ("2", "true", "2")
    assert page.text("Contents/Owner/DisplayName") == "minio"
    token = quote(page.text("NextContinuationToken") or "")
    rest = s3.send("GET", f"/bucket?list-type=2&delimiter=%2F&continuation-token={token}")
    assert (rest.texts("Contents/Key"), rest.texts("CommonPrefixes/Prefix")) == (["c"], ["d/"])
    assert rest.text("Contents/Owner/ID") is None
    assert rest.text("NextContinuationToken") is None
    after = s3.send("GET", "/bucket?list-type=2&start-after=b%2F1")
    assert after.texts("Contents/Key") == ["b/2", "c", "d/1"]


def test_list_v1_continues_by_marker(s3: Surface) -> None:
    fill(s3, "a", "b", "c")
    page = s3.send("GET", "/bucket?max-keys=2")
    assert (page.texts("Contents/Key"), page.text("NextMarker")) == (["a", "b"], "b")
    rest = s3.send("GET", "/bucket?marker=b")
    assert (rest.texts("Contents/Key"), rest.text("Marker"), rest.text("IsTruncated")) == (["c"], "b", "false")


def test_versions_of_an_unversioned_bucket_are_null(s3: Surface) -> None:
    """Clients of MinIO fail on top-level elements that they do not know."""
    fill(s3, "a", "b", "c")
    page = s3.send("GET", "/bucket?versions&max-keys=2&encoding-type=url")
    assert page.texts("Version/VersionId") == ["null", "null"]
    assert page.texts("Version/IsLatest") == ["true", "true"]
    assert (page.text("NextKeyMarker"), page.text("NextVersionIdMarker")) == ("b", "null")
    known = {
        "Name",
        "Prefix",
        "Delimiter",
        "EncodingType",
        "KeyMarker",
        "VersionIdMarker",
        "NextKeyMarker",
        "NextVersionIdMarker",
        "IsTruncated",
        "MaxKeys",
        "CommonPrefixes",
        "Version",
        "DeleteMarker",
    }
    assert {element.tag for element in page.xml} <= known
    rest = s3.send("GET", "/bucket?versions&key-marker=b&version-id-marker=null")
    assert rest.texts("Version/Key") == ["c"]
    assert s3.send("GET", "/bucket?versions&version-id-marker=null").code == "InvalidArgument"


@pytest.mark.parametrize("query", ["max-keys=0", "list-type=2&max-keys=0", "versions&max-keys=0"])
def test_no_keys_wanted_no_keys_given(s3: Surface, query: str) -> None:
    fill(s3, "a")
    page = s3.send("GET", f"/bucket?{query}")
    assert (page.text("MaxKeys"), page.text("IsTruncated")) == ("0", "false")
    assert not page.texts("Contents")
    assert s3.send("GET", f"/nobody?{query}").code == "NoSuchBucket"


def test_max_keys_is_clamped(s3: Surface) -> None:
    assert s3.send("GET", "/bucket?max-keys=2147483647").text("MaxKeys") == "1000"


@pytest.mark.parametrize(
    "query",
    [
        "max-keys=-1",
        "max-keys=x",
        "max-keys=2147483648",
        "max-keys=1_0",
        "max-keys=%D9%A3",
        "encoding-type=base64",
        "list-type=2&continuation-token=",
        "list-type=2&continuation-token=%20",
        "list-type=2&continuation-token=!!",
    ],
)
def test_bad_listing_arguments(s3: Surface, query: str) -> None:
    assert s3.send("GET", f"/bucket?{query}").code == "InvalidArgument"


def test_keys_are_escaped_or_encoded(s3: Surface) -> None:
    fill(s3, "a b+c&<>\"'%/é\u2028", "ctl\x01\t")
    plain = s3.send("GET", "/bucket?list-type=2")
    assert plain.texts("Contents/Key") == ["a b+c&<>\"'%/é\u2028", "ctl\ufffd\t"]
    coded = s3.send("GET", "/bucket?list-type=2&encoding-type=url&prefix=a%20b&delimiter=%2F")
    assert coded.texts("CommonPrefixes/Prefix") == ["a%20b%2Bc%26%3C%3E%22%27%25/"]
    assert (coded.text("Prefix"), coded.text("EncodingType"), coded.text("Delimiter")) == ("a%20b", "url", "/")


def test_metadata_extension(s3: Surface) -> None:
    s3.send("PUT", "/bucket/k", {"x-amz-meta-a": "<1>", "x-amz-meta-0!": "no element", "x-amz-tagging": "t=1"}, b"1")
    entry = s3.send("GET", "/bucket?list-type=2&metadata=true")
    assert entry.text("Contents/UserMetadata/X-Amz-Meta-A") == "<1>"
    assert entry.text("Contents/UserTags") == "t=1"


# -- the rest ------------------------------------------------------------------------------------------


def test_health(s3: Surface) -> None:
    def ask(path: str, method: str = "GET") -> tuple[int, dict[str, str]]:
        got = s3.send(method, path, signed=False)
        assert got.body == b""
        return got.status, got.headers

    assert ask("/minio/health/live", "HEAD") == (200, {})
    assert ask("/minio/health/ready")[0] == 200
    status, headers = ask("/minio/health/cluster")
    assert (status, headers["x-minio-write-quorum"], headers["x-minio-healing-drives"]) == (200, "3", "1")
    assert ask("/minio/health/cluster/read")[1]["x-minio-read-quorum"] == "2"
    s3.health.spare = False
    assert ask("/minio/health/cluster?maintenance=true")[0] == 412
    s3.health.writable = s3.health.readable = False
    assert ask("/minio/health/cluster")[0] == 503
    assert ask("/minio/health/cluster/read")[0] == 503
    s3.health.state = "offline"
    assert ask("/minio/health/live") == (200, {"x-minio-server-status": "offline"})
    assert ask("/minio/health/ready")[0] == 503
    assert ask("/minio/health/cluster")[0] == 503


def test_reserved_paths(s3: Surface) -> None:
    admin = s3.send("GET", "/minio/admin/v4/info")
    assert (admin.status, admin.headers["content-type"]) == (426, "application/json")
    assert json.loads(admin.body)["Code"] == "XMinioAdminVersionMismatch"
    assert s3.send("PUT", "/minio").code == "AllAccessDisabled"
    assert s3.send("PUT", "/minio/").code == "AllAccessDisabled"
    assert s3.send("GET", "/minio/health/other").status == 404
    assert s3.send("PUT", "/minio/health/live").status == 404
    assert s3.send("PUT", "/minions").status == 200


def test_virtual_host_style() -> None:
    s3 = Surface(domains=("s3.test", "other.test"))
    assert s3.send("PUT", "/", host="my.bucket.s3.test:9000").status == 200
    assert s3.send("PUT", "/a//b", host="my.bucket.s3.test:9000", body=b"1").status == 200
    assert s3.send("GET", "/my.bucket/a//b").body == b"1"
    assert s3.send("GET", "/", host="s3.test").texts("Buckets/Bucket/Name") == ["my.bucket"]
    assert s3.send("HEAD", "/a//b", host="MY.bucket.other.test").status == 200
    s3.close()


def test_anonymous_is_denied_everywhere(s3: Surface) -> None:
    fill(s3, "key")
    for operation in OPERATIONS:
        path = {"service": "/", "bucket": "/bucket", "object": "/bucket/key"}[operation.level]
        headers = {name: value or "1" for name, _, value in (h.partition("=") for h in operation.headers)}
        if operation.name == "PostObject" or not operation.signed:
            continue  # its signature is in the form (test_dispatch_posting), or it asks for a proof itself (test_sts)
        query = "&".join(q if "=" in q else f"{q}=1" for q in operation.query)
        got = s3.send(operation.method, f"{path}?{query}", headers, signed=False)
        assert (got.status, got.code) == (403, "AccessDenied"), operation.name
    assert len(s3.world.objects) == 1


@pytest.mark.parametrize(
    ("method", "target"),
    [("PATCH", "/bucket"), ("POST", "/bucket/key"), ("POST", "/bucket"), ("get", "/")],
)
def test_no_such_operation(s3: Surface, method: str, target: str) -> None:
    got = s3.send(method, target)
    assert (got.status, got.code) == (400, "BadRequest")


def test_error_document(s3: Surface) -> None:
    got = s3.send("GET", "/bucket/a%20<b")
    assert got.headers["content-type"] == "application/xml"
    names = ["Code", "Message", "Key", "BucketName", "Resource", "RequestId", "HostId"]
    assert [element.tag for element in got.xml] == names
    assert (got.text("Key"), got.text("BucketName"), got.text("HostId")) == ("a <b", "bucket", "node")


def test_unexpected_failures_are_internal_errors(s3: Surface, monkeypatch: pytest.MonkeyPatch) -> None:
    """P07: the worker lives, the client learns nothing of the inside."""

    async def explode(*_: object) -> Reply:
        raise KeyError("secret of the house")

    monkeypatch.setattr(s3.dispatcher._services.objects, "open", explode)
    got = s3.send("GET", "/bucket/key")
    assert (got.status, got.code) == (500, "InternalError")
    assert b"secret" not in got.body
    assert s3.dispatcher.tallies["GetObject"].server_errors == 1


def test_tallies(s3: Surface) -> None:
    s3.send("GET", "/bucket/none")
    s3.send("GET", "/bucket?list-type=2")
    tallies = s3.dispatcher.tallies
    assert (tallies["GetObject"].requests, tallies["GetObject"].client_errors) == (1, 1)
    assert tallies["ListObjectsV2"].requests == 1
    assert tallies["CreateBucket"].client_errors == 0
