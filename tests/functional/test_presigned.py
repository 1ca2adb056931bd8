"""Presigned requests of both versions: what they allow, for how long, and nothing besides (S06, S07)."""

from __future__ import annotations

import hashlib
import http.client
from datetime import UTC, datetime, timedelta
from email.header import decode_header, make_header
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import pytest
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.kit.server import PASSWORD, USER, Reply, Server
from tests.kit.signed_requests import hmac_sha256, v4_key
from tests.kit.wire import UNSIGNED, stamp_of

VERSIONS = ["s3v4", "s3"]


def ask(server: Server, method: str, url: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Reply:
    """What a program does that knows nothing of S3."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request(method, url.removeprefix(server.url), body or None, headers or {})
    reply = connection.getresponse()
    data = reply.read()
    connection.close()
    return Reply(reply.status, {name.lower(): value for name, value in reply.getheaders()}, data)


def presign(server: Server, version: str, operation: str, expires: int = 60, **params: Any) -> str:
    client = server.boto3(signature_version=version)
    url: str = client.generate_presigned_url(operation, params, ExpiresIn=expires)
    return url


@pytest.fixture(scope="module")
def place(s3: Any, shared: str) -> dict[str, str]:
    where = {"Bucket": shared, "Key": "dir/a key+é"}
    s3.put_object(**where, Body=b"content", ContentType="text/plain")
    return where


@pytest.mark.parametrize("version", VERSIONS)
def test_the_life_of_an_object(server: Server, s3: Any, shared: str, version: str) -> None:
    where = {"Bucket": shared, "Key": f"{version} + key"}
    put = ask(server, "PUT", presign(server, version, "put_object", **where), b"by url")
    assert (put.status, put.etag) == (200, s3.head_object(**where)["ETag"])
    got = ask(server, "GET", presign(server, version, "get_object", **where))
    assert (got.status, got.body) == (200, b"by url")
    head = ask(server, "HEAD", presign(server, version, "head_object", **where))
    assert (head.status, head.headers["content-length"]) == (200, "6")
    part = ask(server, "GET", presign(server, version, "get_object", **where), headers={"range": "bytes=3-"})
    assert (part.status, part.body) == (206, b"url")
    listing = ask(server, "GET", presign(server, version, "list_objects_v2", Bucket=shared, Prefix=version))
    assert b"<Key>" in listing.body
    assert ask(server, "DELETE", presign(server, version, "delete_object", **where)).status == 204
    assert ask(server, "GET", presign(server, version, "get_object", **where)).code == "NoSuchKey"


@pytest.mark.parametrize("version", VERSIONS)
def test_overrides_are_signed(server: Server, place: dict[str, str], version: str) -> None:
    url = presign(server, version, "get_object", **place, ResponseContentType="a/b", ResponseContentDisposition="inline")
    got = ask(server, "GET", url)
    assert (got.headers["content-type"], got.headers["content-disposition"]) == ("a/b", "inline")
    changed = url.replace(quote("a/b", safe=""), quote("text/html", safe=""))
    assert changed != url and ask(server, "GET", changed).code == "SignatureDoesNotMatch"


@pytest.mark.parametrize("version", VERSIONS)
def test_another_request_is_refused(server: Server, place: dict[str, str], version: str) -> None:
    """A URL is for one method, one key and one set of parameters."""
    url = presign(server, version, "get_object", **place)
    assert ask(server, "GET", url).status == 200
    last = url[-1]
    spoiled = {
        "PUT": url,
        "DELETE": url,
        "GET": url.replace("dir/", "dir2/"),
        "HEAD": url[:-1] + ("0" if last != "0" else "1"),
    }
    for method, other in spoiled.items():
        reply = ask(server, method, other, b"x" if method == "PUT" else b"")
        assert (reply.status, reply.code or reply.headers["x-minio-error-code"]) == (403, "SignatureDoesNotMatch"), method
    for added in ("versionId=null", "partNumber=1", "response-content-type=a"):
        assert ask(server, "GET", f"{url}&{added}").status in (400, 403)


@pytest.mark.parametrize("version", VERSIONS)
def test_expiry(server: Server, place: dict[str, str], version: str) -> None:
    """S07: an old URL is refused, and its time cannot be changed."""
    if version == "s3":
        url = presign(server, version, "get_object", **place)
        old = dict(parse_qsl(urlsplit(url).query))["Expires"]
        for expires in ("1", "0", str(int(old) + 100), "-1", "x", ""):
            reply = ask(server, "GET", url.replace(f"Expires={old}", f"Expires={expires}"))
            assert reply.status in (400, 403)
        past = presign(server, version, "get_object", -10, **place)
        assert (ask(server, "GET", past).status, ask(server, "GET", past).code) == (403, "AccessDenied")
        return
    stale = query_signed(server, place, stamp_of(datetime.now(UTC) - timedelta(seconds=30)), "10")
    assert (stale.status, stale.code, stale.element("Message")) == (403, "AccessDenied", "Request has expired")
    early = query_signed(server, place, stamp_of(datetime.now(UTC) + timedelta(minutes=20)), "3600")
    assert (early.status, early.code, early.element("Message")) == (403, "AccessDenied", "Request is not valid yet")
    assert query_signed(server, place, stamp_of(datetime.now(UTC) + timedelta(minutes=5)), "3600").status == 200
    assert query_signed(server, place, stamp_of(datetime.now(UTC) - timedelta(days=6)), "604800").status == 200


def query_signed(server: Server, place: dict[str, str], stamp: str, expires: str, **changes: str) -> Reply:
    """A GET signed in its query by hand, whatever the values."""
    scope = f"{stamp[:8]}/us-east-1/s3/aws4_request"
    query = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{USER}/{scope}",
        "X-Amz-Date": stamp,
        "X-Amz-Expires": expires,
        "X-Amz-SignedHeaders": "host",
        **changes,
    }
    text = "&".join(f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in sorted(query.items()))
    path = quote(f"/{place['Bucket']}/{place['Key']}")
    canonical = f"GET\n{path}\n{text}\nhost:127.0.0.1:{server.port}\n\nhost\n{UNSIGNED}"
    to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = hmac_sha256(v4_key(PASSWORD, stamp[:8]), to_sign).hex()
    return ask(server, "GET", f"{path}?{text}&X-Amz-Signature={signature}")


@pytest.mark.parametrize("expires", ["0", "-1", "604801", "x", "", "1.5", "99999999999999999999"])
def test_times_of_life_that_cannot_be(server: Server, place: dict[str, str], expires: str) -> None:
    reply = query_signed(server, place, stamp_of(), expires)
    assert (reply.status, reply.code) == (400, "AuthorizationQueryParametersError")


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"X-Amz-Algorithm": "AWS4-HMAC-SHA1"}, 400, "AuthorizationQueryParametersError"),
        ({"X-Amz-Credential": "operator"}, 400, "AuthorizationQueryParametersError"),
        ({"X-Amz-Credential": "a/b/c/d/e/f/g"}, 400, "AuthorizationQueryParametersError"),
        ({"X-Amz-Date": "today"}, 400, "AuthorizationQueryParametersError"),
        ({"X-Amz-SignedHeaders": ""}, 400, "AuthorizationQueryParametersError"),
        ({"X-Amz-SignedHeaders": "x-amz-date"}, 403, "AccessDenied"),
        ({"X-Amz-SignedHeaders": "host;x-amz-none"}, 403, "AccessDenied"),
    ],
)
def test_broken_parameters(server: Server, place: dict[str, str], changes: dict[str, str], status: int, code: str) -> None:
    reply = query_signed(server, place, stamp_of(), "60", **changes)
    assert (reply.status, reply.code) == (status, code)


@pytest.mark.parametrize(
    "added",
    [
        {"x-amz-copy-source": "/{bucket}/secret"},
        {"x-amz-meta-owner": "mallory"},
        {"x-amz-tagging": "a=b"},
        {"x-amz-storage-class": "REDUCED_REDUNDANCY"},
        {"x-amz-acl": "public-read"},
        {"x-amz-website-redirect-location": "http://evil"},
    ],
)
def test_headers_added_to_a_presigned_put(server: Server, s3: Any, shared: str, added: dict[str, str]) -> None:
    """S06: above all no copy source, with which a URL for writing would read anything."""
    s3.put_object(Bucket=shared, Key="secret", Body=b"secret")
    headers = {name: value.replace("{bucket}", shared) for name, value in added.items()}
    url = presign(server, "s3v4", "put_object", Bucket=shared, Key="upload")
    reply = ask(server, "PUT", url, b"" if "x-amz-copy-source" in added else b"x", headers)
    assert (reply.status, reply.code) == (403, "AccessDenied")
    old = ask(server, "PUT", presign(server, "s3", "put_object", Bucket=shared, Key="upload"), b"x", headers)
    assert (old.status, old.code) == (403, "SignatureDoesNotMatch")
    assert not s3.list_objects_v2(Bucket=shared, Prefix="upload")["KeyCount"]


def test_signed_headers_must_be_sent(server: Server, shared: str) -> None:
    client = server.boto3(signature_version="s3v4")
    params = {"Bucket": shared, "Key": "typed", "ContentType": "a/b", "Metadata": {"x": "1"}}
    url = client.generate_presigned_url("put_object", params, ExpiresIn=60)
    good = {"content-type": "a/b", "x-amz-meta-x": "1"}
    assert ask(server, "PUT", url, b"1", good).status == 200
    assert ask(server, "PUT", url, b"1", {**good, "x-amz-meta-x": "2"}).code == "SignatureDoesNotMatch"
    assert ask(server, "PUT", url, b"1", {"content-type": "a/b"}).status == 403


@pytest.mark.parametrize("version", VERSIONS)
def test_multipart_by_url(server: Server, s3: Any, shared: str, version: str) -> None:
    where = {"Bucket": shared, "Key": "multi"}
    upload = s3.create_multipart_upload(**where)["UploadId"]
    url = presign(server, version, "upload_part", **where, UploadId=upload, PartNumber=3)
    etag = ask(server, "PUT", url, b"a part").etag
    parts = {"Parts": [{"PartNumber": 3, "ETag": etag}]}
    s3.complete_multipart_upload(**where, UploadId=upload, MultipartUpload=parts)
    assert s3.get_object(**where)["Body"].read() == b"a part"
    assert ask(server, "PUT", url.replace("partNumber=3", "partNumber=4"), b"x").code == "SignatureDoesNotMatch"


def test_a_checksum_in_the_url(server: Server, shared: str) -> None:
    """What an SDK signs into the query as a header is required of the payload."""
    client = server.boto3(signature_version="s3v4")
    params = {"Bucket": shared, "Key": "sum", "ChecksumCRC32": "uY6fgw=="}
    url = client.generate_presigned_url("put_object", params, ExpiresIn=60)
    reply = ask(server, "PUT", url, b"other data", {"x-amz-checksum-crc32": "uY6fgw=="})
    assert reply.status in (400, 403)


def test_both_kinds_of_credentials(server: Server, place: dict[str, str]) -> None:
    """S02: a header beside a signed query is ambiguous, whichever of them is right."""
    v4, v2 = (presign(server, version, "get_object", **place) for version in VERSIONS)
    for url in (v4, v2, f"{v4}&{urlsplit(v2).query}"):
        headers = {} if "AWSAccessKeyId" in url and "X-Amz-Signature" in url else {"authorization": f"AWS {USER}:AAAA"}
        reply = ask(server, "GET", url, headers=headers)
        assert (reply.status, reply.code) == (400, "InvalidRequest")


def test_repeated_parameters(server: Server, place: dict[str, str]) -> None:
    url = presign(server, "s3v4", "get_object", **place)
    for name, value in parse_qsl(urlsplit(url).query):
        assert ask(server, "GET", f"{url}&{urlencode({name: value})}").status in (400, 403)


# -- headers in the query ----------------------------------------------------------------------------------


def hoisted(server: Server, method: str, path: str, keys: tuple[str, str] = (USER, PASSWORD), **names: str) -> str:
    """A link of version 4 as the SDK for JavaScript makes it: headers moved into the query."""
    moved = AWSRequest(method, server.url + path, params={name.replace("_", "-"): one for name, one in names.items()})
    S3SigV4QueryAuth(Credentials(*keys), "s3", "us-east-1", expires=60).add_auth(moved)
    return str(moved.url)


def test_headers_in_the_query_count(server: Server, s3: Any, shared: str) -> None:
    names = {"x_amz_meta_colour": "blau-grün", "x_amz_tagging": "a=1&b=2", "X_Amz_Storage_Class": "REDUCED_REDUNDANCY"}
    checksums = {"x_amz_checksum_crc32": "AAAAAA==", "x_amz_sdk_checksum_algorithm": "CRC32"}  # of an empty body
    url = hoisted(server, "PUT", f"/{shared}/hoisted", **names, **checksums)
    assert ask(server, "PUT", url, b"data").status == 200
    found = s3.head_object(Bucket=shared, Key="hoisted")
    assert found["StorageClass"] == "REDUCED_REDUNDANCY"
    assert str(make_header(decode_header(found["Metadata"]["colour"]))) == "blau-grün"
    tags = s3.get_object_tagging(Bucket=shared, Key="hoisted")["TagSet"]
    assert {one["Key"]: one["Value"] for one in tags} == {"a": "1", "b": "2"}
    copy = hoisted(server, "PUT", f"/{shared}/copied", x_amz_copy_source=f"{shared}/hoisted")
    assert ask(server, "PUT", copy).status == 200
    assert s3.get_object(Bucket=shared, Key="copied")["Body"].read() == b"data"
    refused = hoisted(server, "PUT", f"/{shared}/hoisted", x_amz_server_side_encryption="AES256")
    assert ask(server, "PUT", refused, b"data").code in ("NotImplemented", "KMSNotConfigured")
    owner = hoisted(server, "GET", f"/{shared}/hoisted", x_amz_expected_bucket_owner="123456789012")
    assert ask(server, "GET", owner).code == "AccessDenied"


def test_nobody_adds_headers_to_the_query(server: Server, s3: Any, shared: str) -> None:
    url = hoisted(server, "PUT", f"/{shared}/added")
    assert ask(server, "PUT", f"{url}&x-amz-meta-added=1", b"data").code == "SignatureDoesNotMatch"
    old = presign(server, "s3", "put_object", Bucket=shared, Key="added")
    with server.client() as wire:
        assert wire.request("PUT", f"/{shared}/added", {"x-amz-meta-added": "1"}, b"data").status == 200
        assert "x-amz-meta-added" not in wire.request("HEAD", f"/{shared}/added").headers
    assert ask(server, "PUT", f"{old}&x-amz-meta-added=1", b"data").status == 200
    assert "added" not in s3.head_object(Bucket=shared, Key="added")["Metadata"]


@pytest.mark.parametrize(
    "names",
    [
        {"x_amz_meta_a": "1\r\nset-cookie: 1"},
        {"x_amz_meta_a": "\0"},
        {"x_amz_meta_a\r\nb": "1"},
        {"x_amz_meta_a b": "1"},
        {"x_amz_meta_a": "1", "X_Amz_Meta_A": "2"},
    ],
)
def test_what_no_header_can_be(server: Server, shared: str, names: dict[str, str]) -> None:
    reply = ask(server, "PUT", hoisted(server, "PUT", f"/{shared}/odd", **names), b"data")
    assert (reply.status, reply.code) == (400, "AuthorizationQueryParametersError")


def test_a_header_and_a_parameter_that_differ(server: Server, shared: str) -> None:
    url = hoisted(server, "PUT", f"/{shared}/odd", x_amz_meta_a="1")
    assert ask(server, "PUT", url, b"data", {"x-amz-meta-a": "2"}).code == "AuthorizationQueryParametersError"
