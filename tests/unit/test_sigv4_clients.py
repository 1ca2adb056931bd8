"""Requests signed by botocore are accepted: every scheme it has."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.auth import HmacV1Auth, HmacV1QueryAuth, S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials as ClientCredentials

from sos.http.message import Request
from sos.s3.auth import Credentials, authenticate, split_path
from sos.s3.auth.errors import AuthError
from tests.kit.signed_requests import ACCESS, SECRET
from tests.kit.signed_requests import request as make_request

KEYS = {ACCESS: Credentials(ACCESS, SECRET), "temp": Credentials("temp", SECRET, session_token="to/k+en=")}
NAMES = ["plain", "a b", "a+b", "ü/é", "..", "a//b/", "~!'()*&=?#%2F", "x" * 900, "\\", "a\tb", ";:@$,"]


def received(sent: AWSRequest) -> Request:
    parts = urlsplit(sent.prepare().url)
    target = parts.path + ("?" + parts.query if parts.query else "")
    items = [(n.lower(), v if isinstance(v, str) else v.decode()) for n, v in sent.headers.items()]
    if "host" not in sent.headers:
        items.append(("host", parts.netloc))
    return make_request(sent.method, target, items)


def now_s() -> float:
    return time.time()


def sdk(**config: Any) -> Any:
    return boto3.client(
        "s3",
        endpoint_url="http://s3.test:9000",
        aws_access_key_id=ACCESS,
        aws_secret_access_key=SECRET,
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}, **config),
    )


def capture(operation: str, arguments: dict[str, object], **config: object) -> tuple[Request, float]:
    """The request that boto3 would send."""
    client = sdk(**config)
    caught: list[Request] = []

    def stop(request: AWSRequest, **_: object) -> None:
        parts = urlsplit(request.url)
        items = [(n.lower(), v if isinstance(v, str) else v.decode()) for n, v in request.headers.items()]
        if "host" not in dict(items):
            items.append(("host", parts.netloc))
        target = parts.path + ("?" + parts.query if parts.query else "")
        caught.append(make_request(request.method, target, items))
        raise StopIteration

    client.meta.events.register("before-send.s3", stop)
    with pytest.raises(StopIteration):
        getattr(client, operation)(**arguments)
    return caught[0], now_s()


@pytest.mark.parametrize("key", NAMES)
@pytest.mark.parametrize("version", ["s3v4", "s3"])
def test_boto3_request_for_any_key(key: str, version: str) -> None:
    """S11: the key that was signed is the key that is stored."""
    sent, at = capture("get_object", {"Bucket": "bucket", "Key": key}, signature_version=version)
    assert authenticate(sent, KEYS.get, "", at).access_key == ACCESS
    assert split_path(sent.path) == ("bucket", key.encode())


@pytest.mark.parametrize("version", ["s3v4", "s3"])
@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("list_objects_v2", {"Bucket": "b", "Prefix": "a b+c/ü", "Delimiter": "/", "MaxKeys": 3}),
        ("put_object", {"Bucket": "b", "Key": "k", "Body": b"x", "Metadata": {"a": "b  c"}, "ContentType": "a/b"}),
        ("upload_part", {"Bucket": "b", "Key": "k", "Body": b"x", "UploadId": "u+/=", "PartNumber": 7}),
        ("get_object", {"Bucket": "b", "Key": "k", "ResponseContentType": "text/x; a=b", "VersionId": "null"}),
        ("copy_object", {"Bucket": "b", "Key": "k", "CopySource": {"Bucket": "s", "Key": "ä b"}}),
        ("get_bucket_location", {"Bucket": "b"}),
    ],
)
def test_boto3_operations(version: str, operation: str, arguments: dict[str, object]) -> None:
    sent, at = capture(operation, arguments, signature_version=version)
    assert authenticate(sent, KEYS.get, "us-east-1", at).access_key == ACCESS
    sent.method = "HEAD"
    with pytest.raises(AuthError):
        authenticate(sent, KEYS.get, "us-east-1", at)


@pytest.mark.parametrize("version", ["s3v4", "s3"])
@pytest.mark.parametrize("key", NAMES)
def test_boto3_presigned(version: str, key: str) -> None:
    client = sdk(signature_version=version)
    url = client.generate_presigned_url("put_object", {"Bucket": "bucket", "Key": key}, ExpiresIn=60)
    parts = urlsplit(url)
    sent = make_request("PUT", parts.path + "?" + parts.query, [("host", parts.netloc)])
    assert authenticate(sent, KEYS.get, "", now_s()).access_key == ACCESS
    assert split_path(sent.path) == ("bucket", key.encode())
    with pytest.raises(AuthError):
        authenticate(sent, KEYS.get, "", now_s() + 62)
    sent.path += b"x"
    with pytest.raises(AuthError):
        authenticate(sent, KEYS.get, "", now_s())


@pytest.mark.parametrize("signer", [S3SigV4Auth, S3SigV4QueryAuth, HmacV1Auth, HmacV1QueryAuth])
@pytest.mark.parametrize("token", ["to/k+en=", "other", None])
def test_session_tokens(signer: type, token: str | None) -> None:
    credentials = ClientCredentials("temp", SECRET, token)
    sent = AWSRequest("GET", "http://h:9000/b/k", headers={})
    sent.context["client_config"] = None
    (signer(credentials, "s3", "us-east-1") if "V4" in signer.__name__ else signer(credentials)).add_auth(sent)
    if token == "to/k+en=":
        assert authenticate(received(sent), KEYS.get, "", now_s()).access_key == "temp"
    else:
        with pytest.raises(AuthError) as caught:
            authenticate(received(sent), KEYS.get, "", now_s())
        assert caught.value.code == "InvalidTokenId"
