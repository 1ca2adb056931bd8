"""The STS API for tests: sessions by the SDK, calls by hand, and what is made with a session."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import re
import urllib.error
import urllib.request
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

from .server import PASSWORD, USER, Client, Server
from .signed_requests import sign_v4

SECRET = "a-secret-of-hers"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
ROLE = "arn:aws:iam::000000000000:role/any"


def client(
    service: str,
    server: Server,
    access_key: str = USER,
    secret: str = PASSWORD,
    token: str | None = None,
    version: str | None = None,
) -> Any:
    """An SDK client for ``s3`` or ``sts``.

    :param version: of the signatures of S3, ``s3`` or ``s3v4``
    """
    import boto3
    from botocore.config import Config

    settings = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, signature_version=version)
    return boto3.client(
        service, endpoint_url=server.url, region_name="us-east-1", config=settings,
        aws_access_key_id=access_key, aws_secret_access_key=secret, aws_session_token=token,
    )  # fmt: skip


def session(server: Server, credentials: dict[str, Any]) -> Any:
    """S3 with what AssumeRole gave."""
    given = (credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials["SessionToken"])
    return client("s3", server, *given)


def assume(sts: Any, **more: Any) -> dict[str, Any]:
    return sts.assume_role(RoleArn=ROLE, RoleSessionName="any", **more)["Credentials"]  # type: ignore[no-any-return]


def policy(actions: str, resource: str, **more: Any) -> str:
    """A document with one statement."""
    statement = {"Effect": "Allow", "Action": actions.split(), "Resource": [f"arn:aws:s3:::{resource}"], **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def raw(
    server: Server,
    changes: dict[str, str] | None = None,
    who: tuple[str, str] = (USER, PASSWORD),
    *,
    service: str = "sts",
    signed: bytes = b"",
    digest: str | None = None,
    headers: dict[str, str] | None = None,
) -> tuple[int, bytes]:
    """AssumeRole by hand.

    :param signed: the body that the signature covers instead of the one that is sent
    :param digest: value of ``x-amz-content-sha256``; empty leaves it out of the request
    """
    body = urlencode({"Action": "AssumeRole", "Version": "2011-06-15", **(changes or {})}).encode()
    given = {
        "host": f"127.0.0.1:{server.port}",
        "x-amz-date": datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ"),
        **(headers or {}),
    }
    covered = digest or hashlib.sha256(signed or body).hexdigest()
    if digest != "":
        given["x-amz-content-sha256"] = covered
    if who[0]:
        given["authorization"] = sign_v4(
            "POST", "/", "", given, covered, access=who[0], secret=who[1], stamp=given["x-amz-date"], service=service
        )
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("POST", "/", body, {**given, **FORM})
    reply = connection.getresponse()
    return reply.status, reply.read()


def call(server: Server, changes: dict[str, str] | None = None, **more: Any) -> tuple[int, str]:
    """Its status and code."""
    status, body = raw(server, changes, **more)
    found = re.search(rb"<Code>(\w+)</Code>", body)
    return status, found[1].decode() if found else ""


def credentials(server: Server, user: str, more: dict[str, str]) -> tuple[str, str, str]:
    """The keys and the token of a session of a user."""
    status, body = raw(server, more, (user, SECRET))
    assert status == 200, body
    found = dict(re.findall(rb"<(\w+)>([^<]*)</\1>", body))
    return tuple(found[name].decode() for name in (b"AccessKeyId", b"SecretAccessKey", b"SessionToken"))  # type: ignore[return-value]


def states(workers: tuple[Client, Client], keys: list[tuple[str, str, str]]) -> set[int]:
    """What each worker answers to each of some sessions."""
    return {worker.be(*one).request("GET", "/").status for worker in workers for one in keys}


def revoke(server: Server, user: str, **query: str) -> None:
    """Revoke sessions, as root."""
    with server.client() as asking:
        reply = asking.request("POST", "/minio/admin/v3/revoke-tokens/builtin", {"user": user, **query})
    assert reply.status == 204, reply.body


def forged_token(claims: dict[str, Any], secret: str, algorithm: str = "HS512") -> str:
    """A session token as this server makes them, signed with a text."""
    parts = [json.dumps({"alg": algorithm, "typ": "JWT"}, separators=(",", ":")), json.dumps(claims)]
    signed = ".".join(base64.urlsafe_b64encode(part.encode()).rstrip(b"=").decode() for part in parts)
    tag = b"" if algorithm == "none" else hmac.digest(secret.encode(), signed.encode(), "sha512")
    return f"{signed}.{base64.urlsafe_b64encode(tag).rstrip(b'=').decode()}"


def fetch(url: str, body: bytes) -> int:
    """The status of a PUT to a link."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    connection.request("PUT", f"{parts.path}?{parts.query}", body)
    return connection.getresponse().status


def form(s3: Any, bucket: str) -> int:
    """The status of an upload by a form that a client has signed."""
    made = s3.generate_presigned_post(bucket, "key")
    fields = "".join(
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in made["fields"].items()
    )
    body = f'{fields}--x\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\ntext\r\n--x--\r\n'.encode()
    parts = urlsplit(made["url"])
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    connection.request("POST", parts.path, body, {"Content-Type": "multipart/form-data; boundary=x"})
    return connection.getresponse().status


def post(server: Server, form: dict[str, str]) -> tuple[int, str, dict[str, str]]:
    """A call of the STS API without a signature: status, code, credentials."""
    body = urlencode({"Version": "2011-06-15", **form}).encode()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(server.url, body, timeout=30) as reply:
            status, text = reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read().decode()

    found = dict(re.findall(r"<(\w+)>([^<]*)</\1>", text))
    return status, found.get("Code", ""), found
