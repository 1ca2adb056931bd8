"""Who a call of the admin API is from: a V4 signature in the header over the whole body, for any region, and nothing else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from sos.http.message import Reply, Request
from sos.http.signed import Authenticate, Signed
from tests.kit.signed_requests import ACCESS, SECRET, request, sign_v4
from tests.kit.surface import Answer, Surface

PATH = "/minio/admin/v3/add-user"
BODY = b"a body"
DIGEST = hashlib.sha256(BODY).hexdigest()


class Recorder:
    """An admin API that reads the body and remembers from whom."""

    def __init__(self) -> None:
        self.seen: list[tuple[Signed, bytes]] = []

    async def __call__(self, message: Request, authenticate: Authenticate) -> Reply:
        signed = await authenticate()
        self.seen.append((signed, await signed.read(1000)))
        return Reply(204)


@pytest.fixture
def surface() -> Iterator[Surface]:
    one = Surface(region="eu-west-1")
    one.dispatcher._admin = Recorder()
    yield one
    one.close()


def send(
    surface: Surface, digest: str = DIGEST, region: str = "", body: bytes = BODY, secret: str = SECRET, query: str = ""
) -> Answer:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    headers = {"host": "s3.test", "x-amz-date": stamp}
    if digest:
        headers["x-amz-content-sha256"] = digest
    payload = digest or hashlib.sha256(b"").hexdigest()
    signature = sign_v4("PUT", PATH, query, headers, payload, stamp=stamp, region=region, secret=secret)
    headers["authorization"] = signature
    message = request("PUT", PATH + ("?" + query if query else ""), list(headers.items()), body)
    return Answer(surface.loop.run_until_complete(surface.dispatcher.handle(message)))


def code(answer: Answer) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/json"
    return answer.status, json.loads(answer.body)["Code"]


@pytest.mark.parametrize("region", ["", "us-east-1", "eu-west-1"])
def test_every_region_is_accepted(surface: Surface, region: str) -> None:
    """madmin signs for the empty region."""
    assert send(surface, region=region).status == 204
    signed, body = surface.dispatcher._admin.seen[0]  # type: ignore[union-attr]
    assert (signed.principal.access_key, signed.secret, body) == (ACCESS, SECRET, BODY)


@pytest.mark.parametrize("digest", ["", "UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "A" * 64])
def test_the_body_must_be_signed(surface: Surface, digest: str) -> None:
    assert code(send(surface, digest)) == (403, "AccessDenied")


def test_another_body_is_refused(surface: Surface) -> None:
    assert code(send(surface, body=b"b body")) == (400, "XAmzContentSHA256Mismatch")


def test_a_wrong_secret_is_refused(surface: Surface) -> None:
    assert code(send(surface, secret="another-secret")) == (403, "SignatureDoesNotMatch")


def test_nobody_is_refused(surface: Surface) -> None:
    assert code(surface.send("PUT", PATH, body=BODY, signed=False)) == (403, "AccessDenied")


def test_an_old_signature_is_refused(surface: Surface) -> None:
    stamp = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
    headers = {"date": stamp, "authorization": f"AWS {ACCESS}:c2lnbmF0dXJl"}
    assert surface.send("PUT", PATH, headers, signed=False).status == 403


def test_conditions_about_tags_find_none(surface: Surface) -> None:
    """No call is about an object: a policy that asks for its tags is no reason to fail."""
    send(surface, query="prefix=x")
    signed, _ = surface.dispatcher._admin.seen[0]  # type: ignore[union-attr]
    assert signed.values("s3:ExistingObjectTag/class") is None
    assert signed.values("s3:prefix") == ("x",)
