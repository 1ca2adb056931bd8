"""The table of operations over the wire: what is not implemented says so, and nobody may do anything anonymously."""

from __future__ import annotations

import re
from typing import Any

import pytest

from sos.s3.operations import OPERATIONS, Operation
from tests.kit.clients import refusal
from tests.kit.server import ROOT, Client, Reply, Server
from tests.kit.wire import Wired, exchange

NAMES = {operation.name: operation for operation in OPERATIONS}
ABSENT = [operation.name for operation in OPERATIONS if operation.handler is None]


def request_of(operation: Operation, bucket: str) -> tuple[str, dict[str, str], dict[str, str]]:
    """Path, query and headers that select an operation."""
    path = {"service": "/", "bucket": f"/{bucket}", "object": f"/{bucket}/key"}[operation.level]
    query = {name: value or "1" for name, _, value in (part.partition("=") for part in operation.query)}
    headers = {name: value or "1" for name, _, value in (part.partition("=") for part in operation.headers)}
    return path, query, headers


@pytest.fixture(scope="module")
def kept(s3: Any, shared: str) -> str:
    """A bucket whose only object must stay as it is."""
    s3.put_object(Bucket=shared, Key="key", Body=b"1")
    return shared


@pytest.mark.parametrize("name", ABSENT)
def test_what_is_not_implemented_says_so(wire: Client, s3: Any, kept: str, name: str) -> None:
    """501 with the operation's name, never a plausible 200, and nothing changed."""
    operation = NAMES[name]
    path, query, headers = request_of(operation, kept)
    reply = wire.request(operation.method, path, query, b"<X/>" if operation.method in ("PUT", "POST") else b"", headers)
    if operation.method == "HEAD":
        assert (reply.status, reply.headers["x-minio-error-code"]) == (501, "NotImplemented")
    else:
        assert (reply.status, reply.code) == (501, "NotImplemented")
        assert name in reply.element("Message")
    assert s3.get_object(Bucket=kept, Key="key")["Body"].read() == b"1"


def test_the_support_page_tells_the_truth() -> None:
    """What S3_SUPPORT.md calls supported has a handler, and the other way round."""
    rows = re.findall(r"^\| (\w+) \| `[^|]*` ?(?:, `[^|]*` )?\| [^|]* \| (yes|no) \|", (ROOT / "S3_SUPPORT.md").read_text(), re.M)
    assert {name: told == "yes" for name, told in rows} == {o.name: o.handler is not None for o in OPERATIONS}


CALLS: dict[str, dict[str, Any]] = {
    "put_bucket_policy": {"Policy": "{}"}, "delete_bucket_policy": {},
    "put_bucket_versioning": {"VersioningConfiguration": {"Status": "Enabled"}},
    "put_bucket_cors": {"CORSConfiguration": {"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]}},
    "put_bucket_tagging": {"Tagging": {"TagSet": []}},
    "put_object_tagging": {"Key": "key", "Tagging": {"TagSet": []}},
    "put_object_retention": {"Key": "key", "Retention": {"Mode": "GOVERNANCE"}},
    "put_object_legal_hold": {"Key": "key", "LegalHold": {"Status": "ON"}},
    "restore_object": {"Key": "key", "RestoreRequest": {"Days": 1}},
    "get_object_torrent": {"Key": "key"},
    "get_public_access_block": {}, "get_bucket_ownership_controls": {},
    "rename_object": {"Key": "key", "RenameSource": "other"},
}  # fmt: skip


@pytest.mark.parametrize("call", [call for call in CALLS if call.title().replace("_", "") in ABSENT])
def test_as_an_sdk_asks(s3: Any, shared: str, call: str) -> None:
    s3.put_object(Bucket=shared, Key="key", Body=b"1")
    assert refusal(getattr(s3, call), Bucket=shared, **CALLS[call]) == (501, "NotImplemented")


@pytest.mark.parametrize(
    ("call", "code"),
    [
        ("get_bucket_lifecycle_configuration", "NoSuchLifecycleConfiguration"),
        ("get_bucket_encryption", "ServerSideEncryptionConfigurationNotFoundError"),
        ("get_bucket_tagging", "NoSuchTagSet"),
        ("get_object_lock_configuration", "ObjectLockConfigurationNotFoundError"),
        ("get_bucket_replication", "ReplicationConfigurationNotFoundError"),
        ("get_bucket_cors", "NoSuchCORSConfiguration"),
        ("get_bucket_website", "NoSuchWebsiteConfiguration"),
    ],
)
def test_what_is_not_configured(s3: Any, shared: str, call: str, code: str) -> None:
    assert refusal(getattr(s3, call), Bucket=shared) == (404, code)
    assert refusal(getattr(s3, call), Bucket="not-there") == (404, "NoSuchBucket")


def test_empty_configurations(s3: Any, shared: str) -> None:
    assert "Status" not in s3.get_bucket_versioning(Bucket=shared)
    assert "Status" not in s3.get_bucket_accelerate_configuration(Bucket=shared)
    assert s3.get_bucket_request_payment(Bucket=shared)["Payer"] == "BucketOwner"
    assert "LoggingEnabled" not in s3.get_bucket_logging(Bucket=shared)
    assert not s3.get_bucket_policy_status(Bucket=shared)["PolicyStatus"]["IsPublic"]
    assert "TopicConfigurations" not in s3.get_bucket_notification_configuration(Bucket=shared)
    grants = s3.get_bucket_acl(Bucket=shared)["Grants"]
    assert [grant["Permission"] for grant in grants] == ["FULL_CONTROL"]


@pytest.mark.parametrize("name", sorted(NAMES))
def test_nobody_may_do_anything_anonymously(server: Server, s3: Any, kept: str, name: str) -> None:
    operation = NAMES[name]
    path, query, headers = request_of(operation, kept)
    if name == "PostObject":
        headers = {"content-type": "multipart/form-data; boundary=b"}
    if name == "AssumeRole":
        query = {"Action": name, "Version": "2011-06-15"}
    text = "&".join(f"{key}={value}" for key, value in sorted(query.items()))
    wired = Wired(server.port, operation.method, path, text, headers={"host": "h", **headers})
    reply = wired.send()
    code = reply.code or reply.headers["x-minio-error-code"]
    assert (reply.status, code) in ((403, "AccessDenied"), (400, "MalformedPOSTRequest"))
    assert s3.get_object(Bucket=kept, Key="key")["Body"].read() == b"1"


def test_anonymous_requests_learn_nothing(server: Server, s3: Any, shared: str) -> None:
    """A24: neither existence nor state of anything shows, with conditions neither."""
    etag = s3.put_object(Bucket=shared, Key="key", Body=b"1")["ETag"]
    for headers in ({}, {"if-none-match": etag}, {"if-match": '"x"'}, {"if-none-match": "*"}, {"range": "bytes=9-"}):
        answers = set()
        for path in (f"/{shared}/key", f"/{shared}/none", "/none/none", "/UPPER/x", f"/{shared}"):
            reply = Wired(server.port, "GET", path, headers={"host": "h", **headers}).send()
            answers.add((reply.status, reply.code, reply.etag))
        assert answers == {(403, "AccessDenied", "")}


def raw(server: Server, method: str, path: str, **headers: str) -> Reply:
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return exchange(server.port, f"{method} {path} HTTP/1.1\r\nHost: h\r\n{lines}\r\n".encode(), method)


def test_preflight_and_sharing(server: Server, shared: str) -> None:
    """Browsers may use the API from everywhere by default."""
    reply = raw(server, "OPTIONS", f"/{shared}/key", Origin="http://app", Access_Control_Request_Method="PUT", Access_Control_Request_Headers="x-amz-date")  # fmt: skip
    assert (reply.status, reply.headers["access-control-allow-origin"]) == (204, "*")
    assert reply.headers["access-control-allow-methods"] == "PUT"
    assert reply.headers["access-control-allow-headers"] == "x-amz-date"
    refused = raw(server, "GET", f"/{shared}/key", Origin="http://app")
    assert (refused.status, refused.headers["access-control-allow-origin"]) == (403, "*")


@pytest.mark.parametrize("method", ["PATCH", "TRACE", "CONNECT", "PROPFIND", "get", "X" * 100])
def test_methods_that_s3_does_not_know(server: Server, shared: str, method: str) -> None:
    """P07."""
    reply = raw(server, method, f"/{shared}/key")
    assert (reply.status, reply.code) == (400, "BadRequest")


def test_health_without_credentials(server: Server) -> None:
    for path in ("live", "ready", "cluster", "cluster/read"):
        for method in ("GET", "HEAD"):
            reply = raw(server, method, f"/minio/health/{path}")
            assert (reply.status, reply.body) == (200, b"")
    assert raw(server, "GET", "/minio/health/cluster").headers["x-minio-write-quorum"] == "3"
    assert raw(server, "GET", "/minio/admin/v3/info").status == 403
    assert raw(server, "GET", "/minio/admin/v4/info").status == 426
