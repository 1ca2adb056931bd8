"""The table of operations and the router."""

from __future__ import annotations

from pathlib import Path

import pytest

from sos.domain.errors import MethodNotAllowed
from sos.http.message import Headers
from sos.s3.auth.query import parse_query
from sos.s3.errors import Refusal
from sos.s3.operations import OPERATIONS, Operation
from sos.s3.router import route, target
from sos.s3.support import page

PATHS = {"service": ("", b""), "bucket": ("bucket", b""), "object": ("bucket", b"key")}


def ask(method: str, level: str, query: str = "", headers: dict[str, str] | None = None) -> str:
    bucket, key = PATHS[level]
    return route(method, bucket, key, dict(parse_query(query.encode())), Headers(list((headers or {}).items()))).name


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda op: op.name)
def test_every_operation_is_reached(operation: Operation) -> None:
    headers = {name: value for name, _, value in (h.partition("=") for h in operation.headers)}
    assert ask(operation.method, operation.level, "&".join(operation.query), headers) == operation.name
    if not any(query.startswith("x-id") for query in operation.query):  # SDKs name the operation too
        assert (
            ask(operation.method, operation.level, "&".join((*operation.query, "x-id=Some")), headers) == operation.name
        )


def test_names_are_unique() -> None:
    names = [operation.name for operation in OPERATIONS]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("method", "level", "query", "headers", "name"),
    [
        ("GET", "object", "partNumber=1", {}, "GetObject"),
        ("GET", "object", "versionId=x&unknown", {}, "GetObject"),
        ("PUT", "object", "partNumber=1&uploadId=x", {"x-amz-copy-source": "a/b"}, "UploadPartCopy"),
        ("PUT", "object", "tagging", {"x-amz-copy-source": "a/b"}, "PutObjectTagging"),
        ("PUT", "object", "", {"x-amz-meta-snowball-auto-extract": "false"}, "PutObject"),
        ("GET", "bucket", "list-type=1", {}, "ListObjects"),
        ("GET", "bucket", "list-type=2&versions", {}, "ListObjectsV2"),
        ("GET", "bucket", "prefix=x", {}, "ListObjects"),
        ("POST", "bucket", "", {"content-type": "Multipart/Form-Data; boundary=x"}, "PostObject"),
        ("DELETE", "bucket", "", {"x-minio-force-delete": "TRUE"}, "ForceDeleteBucket"),
        ("DELETE", "bucket", "", {"x-minio-force-delete": "false"}, "DeleteBucket"),
    ],
)
def test_choices(method: str, level: str, query: str, headers: dict[str, str], name: str) -> None:
    assert ask(method, level, query, headers) == name


@pytest.mark.parametrize(
    ("method", "level", "query"),
    [
        ("DELETE", "object", "retention"),
        ("PUT", "object", "uploadId=x"),
        ("PUT", "object", "partNumber=1"),
        ("DELETE", "bucket", "versioning"),
        ("DELETE", "bucket", "uploads"),
        ("PUT", "object", "attributes"),
        ("HEAD", "object", "acl"),
        ("DELETE", "object", "uploads"),
        ("PUT", "bucket", "policyStatus"),
    ],
)
def test_a_subresource_is_not_ignored(method: str, level: str, query: str) -> None:
    with pytest.raises(MethodNotAllowed):
        ask(method, level, query)


@pytest.mark.parametrize(
    ("method", "level"), [("PATCH", "object"), ("POST", "object"), ("POST", "bucket"), ("PUT", "service")]
)
def test_no_operation(method: str, level: str) -> None:
    with pytest.raises(Refusal):
        ask(method, level)


@pytest.mark.parametrize(
    ("path", "host", "expected"),
    [
        (b"/", "h", ("", b"", "")),
        (b"//", "h", ("", b"", "")),
        (b"/b", "h", ("b", b"", "")),
        (b"/b/", "h", ("b", b"", "")),
        (b"/b//", "h", ("b", b"/", "")),
        (b"/b/%2e%2E/%252e", "h", ("b", b"../%2e", "")),
        (b"/b%2Fk", "h", ("b/k", b"", "")),
        (b"/k", "b.d.test", ("b", b"k", "b")),
        (b"/", "a.b.d.test:9000", ("a.b", b"", "a.b")),
        (b"/b/k", "d.test:9000", ("b", b"k", "")),
        (b"/b/k", "xd.test", ("b", b"k", "")),
        (b"/b/k", "[::1]:9000", ("b", b"k", "")),
        (b"/b/k", "", ("b", b"k", "")),
    ],
)
def test_targets(path: bytes, host: str, expected: tuple[str, bytes, str]) -> None:
    """S11: decoded once, in one place."""
    assert target(path, host, ("d.test",)) == expected


def test_support_page_is_current() -> None:
    stored = Path(__file__).parents[2] / "S3_SUPPORT.md"
    assert stored.read_text() == page(), "run scripts/s3-support"
