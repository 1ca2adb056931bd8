"""DeleteObjects: many keys at once, each answered on its own, and its limits."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest

from tests.kit.clients import refusal
from tests.kit.server import Client, Reply

XMLNS = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


def post(wire: Client, bucket: str, body: str, **headers: str) -> Reply:
    data = body.encode()
    md5 = base64.b64encode(hashlib.md5(data).digest()).decode()
    return wire.request("POST", f"/{bucket}", {"delete": ""}, data, headers or {"content-md5": md5})


def test_a_thousand_keys(s3: Any, wire: Client, bucket: str) -> None:
    keys = [f"dir/{i:04}" for i in range(1000)]
    for key in keys:
        assert wire.request("PUT", f"/{bucket}/{key}", body=b"x").status == 200
    done = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys]})
    assert [deleted["Key"] for deleted in done["Deleted"]] == keys
    assert "Errors" not in done
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_more_than_a_thousand_keys_are_refused(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="0", Body=b"x")
    keys = [{"Key": str(i)} for i in range(1001)]
    assert refusal(s3.delete_objects, Bucket=bucket, Delete={"Objects": keys}) == (400, "MalformedXML")
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 1


def test_each_key_has_its_own_answer(s3: Any, bucket: str) -> None:
    etag = s3.put_object(Bucket=bucket, Key="good", Body=b"x")["ETag"]
    s3.put_object(Bucket=bucket, Key="changed", Body=b"x")
    asked = [
        {"Key": "good", "ETag": etag},
        {"Key": "never was"},
        {"Key": "changed", "ETag": '"other"'},
        {"Key": "changed", "VersionId": "nonsense"},
        {"Key": "x" * 1025},
    ]
    done = s3.delete_objects(Bucket=bucket, Delete={"Objects": asked})
    assert [d["Key"] for d in done["Deleted"]] == ["good", "never was"]
    assert [(e["Key"], e["Code"]) for e in done["Errors"]] == [
        ("changed", "PreconditionFailed"),
        ("changed", "InvalidArgument"),
        ("x" * 1025, "KeyTooLongError"),
    ]
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["changed"]


def test_one_key_twice(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="twice", Body=b"x")
    done = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "twice"}] * 2})
    assert [d["Key"] for d in done["Deleted"]] == ["twice", "twice"]


def test_quiet(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"x")
    asked = {"Quiet": True, "Objects": [{"Key": "a"}, {"Key": "a", "VersionId": "nonsense"}]}
    done = s3.delete_objects(Bucket=bucket, Delete=asked)
    assert "Deleted" not in done
    assert [e["Code"] for e in done["Errors"]] == ["InvalidArgument"]


def test_keys_as_xml_writes_them(s3: Any, wire: Client, bucket: str) -> None:
    for key in ("a&b<c>", " blanks ", "\u00e4\U0001d11e", "tab\there"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    done = post(
        wire,
        bucket,
        f"<Delete {XMLNS}><Object><Key>a&amp;b&lt;c&gt;</Key></Object><Object><Key> blanks </Key></Object>"
        "<Object><Key>&#xe4;&#x1d11e;</Key></Object><Object><Key>tab&#9;here</Key></Object></Delete>",
    )
    assert (done.status, done.body.count(b"<Deleted>")) == (200, 4)
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


@pytest.mark.parametrize(
    ("body", "headers", "code"),
    [
        ("<Delete><Object><Key>a</Key></Object></Delete>", {"x-none": "1"}, "MissingContentMD5"),
        ("<Delete><Object><Key>a</Key></Object></Delete>", {"content-md5": "AAAA"}, "InvalidDigest"),
        ("<Delete><Object><Key>a</Key></Object></Delete>", {"content-md5": "A" * 22 + "=="}, "BadDigest"),
        ("<Delete><Object><Key>a</Key></Object></Delete>", {"x-amz-checksum-crc32": "AAAAAA=="}, "XAmzContentChecksumMismatch"),
        ("<Delete></Delete>", {}, "MalformedXML"),
        ("<Delete><Object></Object></Delete>", {}, "MalformedXML"),
        ("<Delete><Object><Key>a</Key></Object>", {}, "MalformedXML"),
        ("<Remove><Object><Key>a</Key></Object></Remove>", {}, "MalformedXML"),
        ("<Delete><Object><Key>a</Key><Colour/></Object></Delete>", {}, "MalformedXML"),
        ("<Delete><Quiet>maybe</Quiet><Object><Key>a</Key></Object></Delete>", {}, "MalformedXML"),
        ("<Delete><Object><Key>a</Key><Size>-1</Size></Object></Delete>", {}, "MalformedXML"),
        ("<Delete><Object><Key>a</Key><Size>99999999999999999999</Size></Object></Delete>", {}, "MalformedXML"),
        ("", {}, "MalformedXML"),
        ("{}", {}, "MalformedXML"),
    ],
)  # fmt: skip
def test_bad_documents(wire: Client, s3: Any, shared: str, body: str, headers: dict[str, str], code: str) -> None:
    """P08."""
    s3.put_object(Bucket=shared, Key="a", Body=b"x")
    reply = post(wire, shared, body, **headers)
    assert (reply.status, reply.code) == (400, code)
    assert s3.head_object(Bucket=shared, Key="a")["ContentLength"] == 1
