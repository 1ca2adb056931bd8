"""DeleteObject and DeleteObjects through the dispatcher."""

from __future__ import annotations

import base64
import hashlib

import msgspec
import pytest

from sos.domain.errors import ReadQuorumLost
from tests.kit.surface import Answer, Surface


def delete(s3: Surface, inner: str, root: str = "Delete") -> Answer:
    body = f'<{root} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{inner}</{root}>'.encode()
    md5 = base64.b64encode(hashlib.md5(body).digest()).decode()
    return s3.send("POST", "/bucket?delete", {"content-md5": md5}, body)


def test_every_key_is_reported(s3: Surface) -> None:
    s3.send("PUT", "/bucket/a&b", body=b"1")
    done = delete(s3, "<Object><Key>a&amp;b</Key></Object><Object><Key>none</Key></Object>")
    assert done.status == 200
    assert done.texts("Deleted/Key") == ["a&b", "none"]
    assert not s3.world.objects


def test_quiet_reports_errors_only(s3: Surface) -> None:
    s3.send("PUT", "/bucket/a", body=b"1")
    inner = "<Quiet>true</Quiet><Object><Key>a</Key></Object><Object><Key>a</Key><VersionId>x</VersionId></Object>"
    done = delete(s3, inner)
    assert done.texts("Deleted/Key") == []
    assert done.texts("Error/Code") == ["InvalidArgument"]
    assert done.texts("Error/VersionId") == ["x"]


def test_each_key_has_its_own_conditions(s3: Surface) -> None:
    etag = s3.send("PUT", "/bucket/a", body=b"1").headers["etag"].strip('"')
    s3.send("PUT", "/bucket/b", body=b"22")
    done = delete(
        s3,
        f"<Object><Key>a</Key><ETag>&quot;{etag}&quot;</ETag></Object><Object><Key>b</Key><Size>1</Size></Object>"
        "<Object><Key>b</Key><LastModifiedTime>2001-01-01T00:00:00Z</LastModifiedTime></Object>",
    )
    assert done.texts("Deleted/Key") == ["a"]
    assert done.texts("Error/Code") == ["PreconditionFailed"] * 2


@pytest.mark.parametrize(
    "inner",
    [
        "",
        "<Object/>",
        "<Object><Key>a</Key><Key>b</Key></Object>",
        "<Object><Ky>a</Ky></Object>",
        "<Objekt><Key>a</Key></Objekt>",
        "<Quiet>maybe</Quiet><Object><Key>a</Key></Object>",
        "<Object><Key>a</Key><Size>-1</Size></Object>",
        "<Object><Key>a</Key><Size>99999999999999999999</Size></Object>",
        "text<Object><Key>a</Key></Object>",
        "<Object><Key>a</Key></Object>" * 1001,
        "<Object><Key>a</Object>",
        "<Object><Key>a</Key><LastModifiedTime>soon</LastModifiedTime></Object>",
    ],
)
def test_malformed_batches(s3: Surface, inner: str) -> None:
    """P08."""
    s3.send("PUT", "/bucket/a", body=b"1")
    assert delete(s3, inner).code == "MalformedXML"
    assert s3.world.objects


def test_a_thousand_keys_fit(s3: Surface) -> None:
    inner = "".join(f"<Object><Key>{'&quot;' * 1020}{i:04d}</Key></Object>" for i in range(1000))
    assert len(delete(s3, inner).texts("Deleted/Key")) == 1000


def test_a_digest_is_required(s3: Surface) -> None:
    assert s3.send("POST", "/bucket?delete", body=b"<Delete/>").code == "MissingContentMD5"


def test_key_bounds_are_per_key(s3: Surface) -> None:
    done = delete(
        s3, f"<Object><Key>{'x' * 1025}</Key></Object><Object><Key></Key></Object><Object><Key>k</Key></Object>"
    )
    assert done.texts("Error/Code") == ["KeyTooLongError", "KeyTooLongError"]
    assert done.texts("Deleted/Key") == ["k"]


def test_each_key_is_authorised(s3: Surface) -> None:
    """A18."""
    asked = []

    def allow(identity: object, action: str, bucket: str, key: bytes, values: object) -> bool:
        asked.append((action, bucket, key))
        return key != b"secret"

    s3.dispatcher._authorise = allow
    done = delete(s3, "<Object><Key>a</Key></Object><Object><Key>secret</Key><VersionId>null</VersionId></Object>")
    assert done.texts("Deleted/Key") == ["a"]
    assert done.texts("Error/Code") == ["AccessDenied"]
    assert asked == [("s3:DeleteObject", "bucket", b"a"), ("s3:DeleteObjectVersion", "bucket", b"secret")]


def test_failures_of_the_store_are_per_key(s3: Surface, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> list[object]:
        return [ReadQuorumLost("drive 3 at /data3")]

    monkeypatch.setattr(s3.dispatcher._services.objects, "delete_many", fail)
    done = delete(s3, "<Object><Key>a</Key></Object>")
    assert done.texts("Error/Code") == ["SlowDownRead"]
    assert b"/data3" not in done.body


def test_anonymous_batches_are_refused_before_they_are_read(s3: Surface) -> None:
    assert s3.send("POST", "/bucket?delete", body=b"<Delete", signed=False).code == "AccessDenied"


def test_delete_of_nothing_is_a_success(s3: Surface) -> None:
    assert s3.send("DELETE", "/bucket/none").status == 204
    assert s3.send("DELETE", "/none/none").code == "NoSuchBucket"


@pytest.mark.parametrize("query", ["retention", "legal-hold", "attributes", "acl", "torrent", "uploads", "select"])
def test_a_subresource_is_never_taken_for_the_object(s3: Surface, query: str) -> None:
    s3.send("PUT", "/bucket/key", body=b"1")
    assert s3.send("DELETE", f"/bucket/key?{query}").status in (405, 501)
    assert s3.send("GET", "/bucket/key").status == 200


FORCE = {"x-minio-force-delete": "true"}


def test_force_deletes_a_key_and_what_is_below_it(s3: Surface) -> None:
    for key in ("a", "a/b", "a/c/d", "a-", "ab", "b"):
        s3.send("PUT", f"/bucket/{key}", body=b"1")
    assert s3.send("DELETE", "/bucket/a", FORCE).status == 204
    assert sorted(key for _, key in s3.world.objects) == [b"a-", b"ab", b"b"]
    assert s3.send("DELETE", "/bucket/none/", FORCE).status == 204
    assert s3.send("DELETE", "/none/a", FORCE).code == "NoSuchBucket"
    assert len(s3.world.objects) == 3


def test_force_deletes_a_bucket_with_its_uploads(s3: Surface) -> None:
    for number in range(1500):  # more than a page
        s3.send("PUT", f"/bucket/{number}", body=b"1")
    s3.send("POST", "/bucket/upload?uploads")
    assert s3.send("DELETE", "/bucket").code == "BucketNotEmpty"
    assert s3.send("DELETE", "/bucket", {"x-minio-force-delete": "false"}).code == "BucketNotEmpty"
    assert s3.send("DELETE", "/bucket", FORCE).status == 204
    assert s3.send("HEAD", "/bucket").code == "NoSuchBucket"
    assert not s3.world.objects and not s3.world.uploads


def test_force_delete_respects_object_lock(s3: Surface) -> None:
    s3.send("PUT", "/bucket/a", body=b"1")
    s3.world.buckets["bucket"] = msgspec.structs.replace(s3.world.buckets["bucket"], object_lock=True)
    bucket, key = s3.send("DELETE", "/bucket", FORCE), s3.send("DELETE", "/bucket/a", FORCE)
    assert (bucket.status, bucket.code) == (405, "MethodNotAllowed")
    assert (key.status, key.code) == (400, "InvalidRequest")
    assert len(s3.world.objects) == 1


def test_force_delete_asks_for_every_key(s3: Surface) -> None:
    """A18: the right to delete ``a`` is none to delete ``a/secret``."""
    for key in ("a", "a/secret"):
        s3.send("PUT", f"/bucket/{key}", body=b"1")
    s3.dispatcher._authorise = lambda who, action, bucket, key, values: key != b"a/secret"
    assert s3.send("DELETE", "/bucket/a", FORCE).code == "AccessDenied"
    assert (1, b"a/secret") in s3.world.objects
