"""Uploads from HTML forms with policies of both versions (A22: nothing but what the policy allows)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.kit.server import PASSWORD, USER, Reply, Server
from tests.kit.signed_requests import hmac_sha256, v4_key
from tests.kit.wire import exchange, stamp_of

Fields = list[tuple[str, str]]
BOUNDARY = "----boundary"


def policy_of(conditions: list[Any], minutes: float = 10) -> str:
    expiration = (datetime.now(UTC) + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return base64.b64encode(json.dumps({"expiration": expiration, "conditions": conditions}).encode()).decode()


def signed(bucket: str, fields: Fields, conditions: list[Any] | None = None, **how: Any) -> Fields:
    """The fields with a policy for them and its V4 signature.

    :param conditions: instead of those that fit the fields
    """
    stamp = how.get("stamp", stamp_of())
    access, secret = how.get("access", USER), how.get("secret", PASSWORD)
    own = [
        ("x-amz-algorithm", "AWS4-HMAC-SHA256"),
        ("x-amz-credential", f"{access}/{stamp[:8]}/us-east-1/s3/aws4_request"),
        ("x-amz-date", stamp),
    ]
    wanted = [{"bucket": bucket}, *({name: value} for name, value in fields + own)] if conditions is None else conditions
    policy = policy_of(wanted + ([] if conditions is None else [{n: v} for n, v in own]), how.get("minutes", 10))
    return [*fields, *own, ("policy", policy), ("x-amz-signature", hmac_sha256(v4_key(secret, stamp[:8]), policy).hex())]


def signed_v2(bucket: str, fields: Fields, secret: str = PASSWORD) -> Fields:
    policy = policy_of([{"bucket": bucket}, *({name: value} for name, value in fields)])
    signature = base64.b64encode(hmac.new(secret.encode(), policy.encode(), hashlib.sha1).digest()).decode()
    return [*fields, ("AWSAccessKeyId", USER), ("policy", policy), ("signature", signature)]


def form(fields: Fields, data: bytes, filename: str = "file.bin", last: bool = True) -> bytes:
    parts = [f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n'.encode() for n, v in fields]
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\n'
    file = head.encode() + b"Content-Type: application/x\r\n\r\n" + data + b"\r\n"
    body = b"".join([*parts, file] if last else [file, *parts])
    return body + f"--{BOUNDARY}--\r\n".encode()


def post(server: Server, bucket: str, body: bytes, content_type: str = f"multipart/form-data; boundary={BOUNDARY}") -> Reply:
    head = (
        f"POST /{bucket} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return exchange(server.port, head.encode() + body, "POST")


@pytest.mark.parametrize("version", ["v4", "v2"])
@pytest.mark.parametrize("size", [0, 5, 200_000, 6 << 20])
def test_a_form_of_each_version(server: Server, s3: Any, shared: str, version: str, size: int) -> None:
    data = os.urandom(size)
    fields = [("key", f"form/{version}"), ("Content-Type", "text/x"), ("x-amz-meta-a", "1"), ("success_action_status", "201")]
    made = signed(shared, fields) if version == "v4" else signed_v2(shared, fields)
    reply = post(server, shared, form(made, data))
    assert reply.status == 201, reply.body
    assert (reply.element("Bucket"), reply.element("Key")) == (shared, f"form/{version}")
    got = s3.get_object(Bucket=shared, Key=f"form/{version}")
    assert (got["Body"].read() == data, got["ContentType"], got["Metadata"]) == (True, "text/x", {"a": "1"})
    assert reply.etag == got["ETag"]


def test_boto3_makes_forms(server: Server, s3: Any, shared: str) -> None:
    for version in ("s3v4", "s3"):
        client = server.boto3(signature_version=version)
        conditions = [["content-length-range", 1, 100], ["starts-with", "$Content-Type", "image/"]]
        made = client.generate_presigned_post(shared, "from-boto3/${filename}", Conditions=conditions)
        fields = [*made["fields"].items(), ("Content-Type", "image/png")]
        reply = post(server, shared, form(fields, b"png", f"{version}.png"))
        assert reply.status == 204, reply.body
        assert s3.get_object(Bucket=shared, Key=f"from-boto3/{version}.png")["ContentType"] == "image/png"
        assert post(server, shared, form(fields, b"x" * 101)).code == "EntityTooLarge"
        assert post(server, shared, form(fields, b"")).code == "EntityTooSmall"


def test_what_success_looks_like(server: Server, shared: str) -> None:
    key = ("key", "success")
    for value, status in (("200", 200), ("201", 201), ("204", 204), ("500", 204), ("x", 204)):
        assert post(server, shared, form(signed(shared, [key, ("success_action_status", value)]), b"1")).status == status
    reply = post(server, shared, form(signed(shared, [key, ("success_action_redirect", "http://app/done?x=1")]), b"1"))
    assert reply.status == 303
    assert reply.headers["location"].startswith(f"http://app/done?x=1&bucket={shared}&key=success&etag=")
    for bad in ("javascript:alert(1)", "/relative", "http://a/\r\nset-cookie: x=1"):
        reply = post(server, shared, form(signed(shared, [key, ("success_action_redirect", bad)]), b"1"))
        assert "set-cookie" not in reply.headers
        assert reply.status in (204, 400, 403)


WRONG: list[tuple[str, dict[str, Any], int, str]] = [
    ("secret", {"secret": "wrong"}, 403, "SignatureDoesNotMatch"),
    ("user", {"access": "nobody"}, 403, "InvalidAccessKeyId"),
    ("expired", {"minutes": -1}, 403, "AccessDenied"),
    ("no key condition", {"conditions": [{"bucket": "BUCKET"}]}, 403, "AccessDenied"),
    ("no bucket condition", {"conditions": [{"key": "refused"}]}, 403, "AccessDenied"),
    ("other bucket", {"conditions": [{"bucket": "other"}, {"key": "refused"}]}, 403, "AccessDenied"),
    ("other key", {"conditions": [{"bucket": "BUCKET"}, {"key": "else"}]}, 403, "AccessDenied"),
    ("other start", {"conditions": [{"bucket": "BUCKET"}, ["starts-with", "$key", "user/"]]}, 403, "AccessDenied"),
    ("too small", {"conditions": [{"bucket": "BUCKET"}, {"key": "refused"}, ["content-length-range", 10, 20]]}, 400, "EntityTooSmall"),
    ("too large", {"conditions": [{"bucket": "BUCKET"}, {"key": "refused"}, ["content-length-range", 0, 3]]}, 400, "EntityTooLarge"),
    ("missing field", {"conditions": [{"bucket": "BUCKET"}, {"key": "refused"}, {"acl": "private"}]}, 403, "AccessDenied"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "settings", "status", "code"), WRONG, ids=[row[0] for row in WRONG])
def test_forms_against_their_policy(
    server: Server, s3: Any, shared: str, what: str, settings: dict[str, Any], status: int, code: str
) -> None:
    """A22."""
    if "conditions" in settings:
        text = json.dumps(settings["conditions"]).replace("BUCKET", shared)
        settings = {"conditions": json.loads(text)}
    reply = post(server, shared, form(signed(shared, [("key", "refused")], **settings), b"12345"))
    assert (reply.status, reply.code) == (status, code), reply.body
    assert (b"Policy Condition failed: [eq, $key, else]" in reply.body) is (what == "other key")
    assert s3.list_objects_v2(Bucket=shared, Prefix="refused")["KeyCount"] == 0


@pytest.mark.parametrize("added", [("x-amz-meta-b", "2"), ("acl", "private"), ("Content-Type", "a/b"), ("bucket", "other"), ("x-amz-storage-class", "REDUCED_REDUNDANCY")])  # fmt: skip
def test_fields_that_the_policy_does_not_know(server: Server, s3: Any, shared: str, added: tuple[str, str]) -> None:
    """A22: each field needs a condition; a field named bucket does not change the bucket."""
    reply = post(server, shared, form([*signed(shared, [("key", "refused")]), added], b"1"))
    assert (reply.status, reply.code) == (403, "AccessDenied")
    assert s3.list_objects_v2(Bucket=shared, Prefix="refused")["KeyCount"] == 0


def test_fields_behind_the_file_do_not_count(server: Server, s3: Any, shared: str) -> None:
    reply = post(server, shared, form(signed(shared, [("key", "refused")]), b"1", last=False))
    assert reply.status in (400, 403)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--",
        b"no form at all",
        b"------boundary\r\n\r\n",
        b"------boundary\r\nContent-Disposition: form-data\r\n\r\nx\r\n------boundary--\r\n",
        b"------boundary\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\n" + b"x" * 100_000,
        b"------boundary\r\n" + b"X: y\r\n" * 50_000 + b"\r\n",
        b"------boundary\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\n\xff\xfe\r\n------boundary--\r\n",
        b"------boundary--\r\n",
    ],
)  # fmt: skip
def test_bodies_that_are_no_forms(server: Server, shared: str, body: bytes) -> None:
    """P07."""
    reply = post(server, shared, body)
    assert reply.status in (400, 403), reply.body


@pytest.mark.parametrize("kind", ["multipart/form-data", "multipart/form-data; boundary=", f"multipart/form-data; boundary={'b' * 300}", "multipart/form-data; boundary=a\x01b"])  # fmt: skip
def test_content_types_without_a_boundary(server: Server, shared: str, kind: str) -> None:
    reply = post(server, shared, form(signed(shared, [("key", "refused")]), b"1"), kind)
    assert reply.status in (400, 403)


@pytest.mark.parametrize("policy", ["", "!", "e30=", "W10=", base64.b64encode(b"[" * 100_000).decode(), base64.b64encode(b'{"expiration":"x","conditions":{}}').decode()])  # fmt: skip
def test_policies_that_are_none(server: Server, shared: str, policy: str) -> None:
    """P07: rightly signed, and still no policy."""
    stamp = stamp_of()
    fields = [
        ("key", "refused"), ("x-amz-algorithm", "AWS4-HMAC-SHA256"), ("x-amz-date", stamp), ("policy", policy),
        ("x-amz-credential", f"{USER}/{stamp[:8]}/us-east-1/s3/aws4_request"),
        ("x-amz-signature", hmac_sha256(v4_key(PASSWORD, stamp[:8]), policy).hex()),
    ]  # fmt: skip
    assert post(server, shared, form(fields, b"1")).status in (400, 403)


def test_keys_from_file_names(server: Server, s3: Any, shared: str) -> None:
    """A22: ``${filename}`` is the last component of what the browser says; dots in it lead nowhere."""
    for name in ("../../other/x", "a b.txt", "dir\\file", "ü.txt"):
        conditions = [{"bucket": shared}, ["starts-with", "$key", "up/"]]
        reply = post(server, shared, form(signed(shared, [("key", "up/${filename}")], conditions), b"1", name))
        assert reply.status == 204, reply.body
    keys = {entry["Key"] for entry in s3.list_objects_v2(Bucket=shared, Prefix="up/")["Contents"]}
    assert keys == {"up/x", "up/a b.txt", "up/file", "up/ü.txt"}


def test_a_form_without_signature(server: Server, shared: str) -> None:
    """Anonymous uploads are denied."""
    reply = post(server, shared, form([("key", "refused")], b"1"))
    assert (reply.status, reply.code) == (403, "AccessDenied")


def test_wrong_v2_signature(server: Server, shared: str) -> None:
    reply = post(server, shared, form(signed_v2(shared, [("key", "refused")], "wrong"), b"1"))
    assert (reply.status, reply.code) == (403, "SignatureDoesNotMatch")


def test_a_form_for_no_bucket(server: Server) -> None:
    reply = post(server, "not-there", form(signed("not-there", [("key", "x")]), b"1"))
    assert (reply.status, reply.code) == (404, "NoSuchBucket")
