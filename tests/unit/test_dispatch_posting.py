"""Form uploads through the dispatcher."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from email.header import decode_header, make_header

import pytest

from tests.kit.signed_requests import ACCESS, hmac_sha256, v4_key
from tests.kit.surface import Answer, Surface


def post(s3: Surface, fields: dict[str, str], data: bytes = b"data", sign: bool = True, limit: int = 100) -> Answer:
    now = datetime.now(UTC)
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    everything = {"key": "form/${filename}", **fields}
    if sign:
        scope = f"{stamp[:8]}/us-east-1/s3/aws4_request"
        everything |= {
            "x-amz-algorithm": "AWS4-HMAC-SHA256",
            "x-amz-credential": f"{ACCESS}/{scope}",
            "x-amz-date": stamp,
        }
        conditions: list[object] = [["starts-with", f"${name}", ""] for name in everything]
        conditions += [{"bucket": "bucket"}, ["content-length-range", 0, limit]]
        policy = {
            "expiration": (now + timedelta(minutes=5)).isoformat().replace("+00:00", "Z"),
            "conditions": conditions,
        }
        everything["policy"] = base64.b64encode(json.dumps(policy).encode()).decode()
        everything["x-amz-signature"] = hmac_sha256(v4_key(date=stamp[:8]), everything["policy"]).hex()
    rows = [f'--edge\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n' for n, v in everything.items()]
    head = "".join(rows) + '--edge\r\nContent-Disposition: form-data; name="file"; filename="name.txt"\r\n\r\n'
    body = head.encode() + data + b"\r\n--edge--\r\n"
    return s3.send("POST", "/bucket", {"content-type": "multipart/form-data; boundary=edge"}, body, signed=False)


def test_a_form_makes_an_object(s3: Surface) -> None:
    tags = "<Tagging><TagSet><Tag><Key>t</Key><Value>1</Value></Tag></TagSet></Tagging>"
    fields = {
        "Content-Type": "text/x",
        "x-amz-meta-a": "grün",
        "tagging": tags,
        "cache-control": "no-store",
        "acl": "private",
    }
    done = post(s3, fields)
    assert (done.status, done.headers["location"]) == (204, "http://s3.test/bucket/form/name.txt")
    got = s3.send("GET", "/bucket/form/name.txt")
    assert (got.body, got.headers["content-type"], got.headers["cache-control"]) == (b"data", "text/x", "no-store")
    assert str(make_header(decode_header(got.headers["x-amz-meta-a"]))) == "grün"
    assert got.headers["x-amz-tagging-count"] == "1"


def test_what_success_looks_like(s3: Surface) -> None:
    made = post(s3, {"success_action_status": "201"})
    assert (made.status, made.text("Bucket"), made.text("Key")) == (201, "bucket", "form/name.txt")
    assert post(s3, {"success_action_status": "200"}).status == 200
    assert post(s3, {"success_action_status": "500"}).status == 204
    away = post(s3, {"success_action_redirect": "https://host/done?x=1"})
    assert away.status == 303
    assert away.headers["location"].startswith("https://host/done?x=1&bucket=bucket&key=form%2Fname.txt&etag=%22")
    for bad in ("javascript:alert(1)", "/relative", "https://host/\u00e9"):
        assert post(s3, {"success_action_redirect": bad}).status == 204


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"x-amz-meta-a": "a\r\nSet-Cookie: b"}, "InvalidArgument"),
        ({"acl": "public-read"}, "NotImplemented"),
        ({"x-amz-server-side-encryption": "AES256"}, "NotImplemented"),
        ({"x-amz-storage-class": "GLACIER"}, "InvalidStorageClass"),
        ({"key": "x" * 1025}, "KeyTooLongError"),
        ({"tagging": "<Tagging>"}, "MalformedXML"),
        ({"x-amz-meta-a": "x" * 3000}, "MetadataTooLarge"),
    ],
)
def test_refused_forms(s3: Surface, fields: dict[str, str], code: str) -> None:
    assert post(s3, fields).code == code
    assert not s3.world.objects


def test_size_and_signature_are_checked(s3: Surface) -> None:
    """A22."""
    assert post(s3, {}, b"x" * 101).code == "EntityTooLarge"
    assert post(s3, {}, sign=False).code == "AccessDenied"
    assert post(s3, {"bucket": "other"}).code == "AccessDenied"
    assert not s3.world.objects
