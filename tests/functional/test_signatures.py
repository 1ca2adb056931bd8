"""Attacks on signatures, over the wire: every mode of a payload, with everything wrong that can be, at every handler."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.kit.checksums import text
from tests.kit.server import PASSWORD, Client, Reply, Server
from tests.kit.signed_requests import sign_v4
from tests.kit.wire import (
    SIGNED_CHUNKS,
    SIGNED_TRAILER,
    STREAMING,
    UNSIGNED,
    UNSIGNED_TRAILER,
    Wired,
    exchange,
    moved,
    stamp_of,
)

DATA = [b"a" * 10_000, b"b" * 10_000, b"c" * 77]
WHOLE = b"".join(DATA)
LARGE = [bytes([n]) * 65536 for n in range(16)]
HASHED = hashlib.sha256(WHOLE).hexdigest()
MODES = [HASHED, UNSIGNED, *STREAMING]
CRC = [("x-amz-checksum-crc32", text("CRC32", WHOLE))]


@pytest.fixture(scope="module")
def upload(s3: Any, shared: str) -> str:
    identifier: str = s3.create_multipart_upload(Bucket=shared, Key="part")["UploadId"]
    s3.put_object(Bucket=shared, Key="source", Body=b"source")
    return identifier


class Targets:
    """Ways to send a payload, and whether anything came of it."""

    def __init__(self, server: Server, s3: Any, bucket: str, upload: str) -> None:
        self.server, self.s3, self.bucket, self.upload = server, s3, bucket, upload

    def make(self, handler: str, mode: str, **more: Any) -> Wired:
        trailers = CRC if mode in (SIGNED_TRAILER, UNSIGNED_TRAILER) else None
        path, query, headers = f"/{self.bucket}/key", "", {}
        if handler == "UploadPart":
            path, query = f"/{self.bucket}/part", f"partNumber=1&uploadId={self.upload}"
        elif handler == "extract":
            headers = {"x-amz-meta-snowball-auto-extract": "true"}
        elif handler == "CopyObject":
            headers = {"x-amz-copy-source": f"/{self.bucket}/source"}
        settings = {"trailers": trailers, "headers": headers, **more}
        return Wired(self.server.port, "PUT", path, query, mode, **settings)

    def untouched(self) -> bool:
        listed = self.s3.list_objects_v2(Bucket=self.bucket)["Contents"]
        parts = self.s3.list_parts(Bucket=self.bucket, Key="part", UploadId=self.upload)
        clean = [entry["Key"] for entry in listed] == ["source"] and "Parts" not in parts
        if not clean:
            self.clear()
        return clean

    def clear(self) -> None:
        """Forget what was stored, for the next test."""
        self.s3.delete_object(Bucket=self.bucket, Key="key")
        self.s3.abort_multipart_upload(Bucket=self.bucket, Key="part", UploadId=self.upload)
        self.upload = self.s3.create_multipart_upload(Bucket=self.bucket, Key="part")["UploadId"]


@pytest.fixture(scope="module")
def targets(server: Server, s3: Any, shared: str, upload: str) -> Targets:
    return Targets(server, s3, shared, upload)


def flip(wired: Wired) -> None:
    last = wired.signature[-1]
    wired.signature = wired.signature[:-1] + ("0" if last != "0" else "1")


def change_length(wired: Wired) -> None:
    wired.headers["x-amz-decoded-content-length"] = "5"


WRONG: dict[str, tuple[dict[str, Any], Callable[[Wired], None] | None, str]] = {
    "secret": ({"secret": "not-the-password"}, None, "SignatureDoesNotMatch"),
    "empty secret": ({"secret": ""}, None, "SignatureDoesNotMatch"),
    "user": ({"access": "nobody"}, None, "InvalidAccessKeyId"),
    "last digit": ({}, flip, "SignatureDoesNotMatch"),
    "upper case": ({}, lambda w: setattr(w, "signature", w.signature.upper()), "SignatureDoesNotMatch"),
    "cut": ({}, lambda w: setattr(w, "signature", w.signature[:32]), "SignatureDoesNotMatch"),
    "no signature": ({}, lambda w: setattr(w, "signature", ""), "AuthorizationHeaderMalformed"),
    "another path": ({}, lambda w: setattr(w, "path", w.path + "2"), "SignatureDoesNotMatch"),
    "another date": ({}, lambda w: w.headers.update({"x-amz-date": moved(w.stamp, timedelta(seconds=9))}), "SignatureDoesNotMatch"),
    "header added": ({}, lambda w: w.headers.update({"x-amz-meta-added": "1"}), "AccessDenied"),
    "header changed": ({}, lambda w: w.headers.update({"x-amz-content-sha256": UNSIGNED if w.payload != UNSIGNED else HASHED}), "SignatureDoesNotMatch"),
    "scheme": ({}, lambda w: w.headers.update({"authorization": w.headers["authorization"].replace("HMAC", "hmac")}), "InvalidRequest"),
    "none": ({}, lambda w: w.headers.pop("authorization") and None, "AccessDenied"),
}  # fmt: skip


@pytest.mark.parametrize("handler", ["PutObject", "UploadPart", "extract", "CopyObject"])
@pytest.mark.parametrize("mode", MODES, ids=["hashed", "unsigned", "chunks", "trailer", "unsigned-trailer"])
@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_signature_stores_nothing(targets: Targets, handler: str, mode: str, wrong: str) -> None:
    """S01 S03 S06: whatever the mode says about the payload, the head is verified."""
    settings, spoil, code = WRONG[wrong]
    wired = targets.make(handler, mode, **settings).sign(*DATA)
    if spoil is not None:
        spoil(wired)
    reply = wired.send()
    assert (reply.status // 100, reply.code) == (4, code)
    assert targets.untouched()


def test_credentials_in_the_query_are_verified(targets: Targets) -> None:
    """S02: a credential parameter beside an unsigned trailer, with no signature, a wrong one, and one in each place."""
    date = stamp_of()[:8]
    credential = f"X-Amz-Credential=operator%2F{date}%2Fus-east-1%2Fs3%2Faws4_request"
    for query in (
        credential,
        f"{credential}&X-Amz-Signature={'0' * 64}",
        f"X-Amz-Algorithm=AWS4-HMAC-SHA256&{credential}&X-Amz-Date={stamp_of()}&X-Amz-Expires=60"
        f"&X-Amz-Signature={'0' * 64}&X-Amz-SignedHeaders=host",
        "AWSAccessKeyId=operator&Expires=9999999999&Signature=AAAA",
        "AWSAccessKeyId=operator",
    ):
        for mode in (UNSIGNED_TRAILER, SIGNED_TRAILER, UNSIGNED):
            wired = targets.make("PutObject", mode).sign(*DATA)
            del wired.headers["authorization"]
            wired.query = query
            assert wired.send().status in (400, 403)
            both = targets.make("PutObject", mode).sign(*DATA)
            both.query = query
            assert both.send().status in (400, 403)
    assert targets.untouched()


@pytest.mark.parametrize("handler", ["PutObject", "UploadPart"])
@pytest.mark.parametrize("pieces", [DATA, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("mode", [SIGNED_CHUNKS, SIGNED_TRAILER])
def test_tampered_chunks(targets: Targets, handler: str, pieces: list[bytes], mode: str) -> None:
    """S04: a good head, and a body changed anywhere behind it."""
    trailers = [("x-amz-checksum-crc32", text("CRC32", b"".join(pieces)))] if mode == SIGNED_TRAILER else None

    def make() -> Wired:
        return targets.make(handler, mode, trailers=trailers).sign(*pieces)

    good = make().body
    size = b"%x" % len(pieces[0])
    first, second = good.index(b"\r\n") + 2, good.index(size, 100)
    spoiled = {
        "first chunk": good[:first] + b"!" + good[first + 1 :],
        "last data": good.replace(pieces[-1], pieces[-1][:-1] + b"!"),
        "chunks exchanged": good[second : second + second] + good[:second] + good[2 * second :],
        "chunk repeated": good[:second] + good[:second] + good[2 * second :],
        "signature": good.replace(b"chunk-signature=", b"chunk-signature=0", 1),
        "signature left out": good[: len(size)] + good[first - 2 :],
        "unsigned chunk": size + b"\r\n" + good[first:],
        "last signature": good[: good.rindex(b"signature") + 10] + b"0" * 64 + good[good.rindex(b"signature") + 74 :],
    }
    for what, body in spoiled.items():
        wired = make()
        wired.body = body
        reply = wired.send(end=True)
        assert reply.status in (400, 403), what
    other = targets.make(handler, mode, trailers=trailers).sign(*pieces, chunk_secret="another")
    assert (other.send().status, other.send().code) == (403, "SignatureDoesNotMatch")
    if mode == SIGNED_TRAILER:
        wired = make()
        wired.body = good.replace(b"crc32:", b"crc32: ", 1).replace(text("CRC32", b"".join(pieces)).encode(), b"AAAAAA==")
        assert (wired.send().status, wired.send().code) == (403, "SignatureDoesNotMatch")
    assert targets.untouched()


def test_good_requests_of_every_mode(targets: Targets, s3: Any) -> None:
    """The same requests, not spoiled: what the tests above refuse is not refused for another reason."""
    for pieces in (DATA, LARGE, [b""]):
        body = b"".join(pieces)
        for mode in (hashlib.sha256(body).hexdigest(), UNSIGNED, *STREAMING):
            crc = [("x-amz-checksum-crc32", text("CRC32", body))]
            more = {"trailers": crc if mode in (SIGNED_TRAILER, UNSIGNED_TRAILER) else None}
            for handler in ("PutObject", "UploadPart"):
                assert targets.make(handler, mode, **more).sign(*(p for p in pieces if p)).send().status == 200
            assert s3.get_object(Bucket=targets.bucket, Key="key")["Body"].read() == body
    targets.clear()


FRAMING: dict[str, Callable[[Wired], Any]] = {
    "no last chunk": lambda w: setattr(w, "body", w.body[: w.body.rindex(b"\r\n0")] + b"\r\n"),
    "cut in data": lambda w: setattr(w, "body", w.body[:5000]),
    "cut in a header": lambda w: setattr(w, "body", w.body[:3]),
    "bytes behind the end": lambda w: setattr(w, "body", w.body + b"more"),
    "another chunk behind the end": lambda w: setattr(w, "body", w.body + w.body[:11000]),
    "longer size": lambda w: setattr(w, "body", b"f" + w.body),
    "huge size": lambda w: setattr(w, "body", b"7fffffffffffffff" + w.body[4:]),
    "endless digits": lambda w: setattr(w, "body", b"0" * 100_000 + w.body),
    "negative size": lambda w: setattr(w, "body", b"-1" + w.body[4:]),
    "no digits": lambda w: setattr(w, "body", b"zz" + w.body[4:]),
    "blank": lambda w: setattr(w, "body", b" " + w.body),
    "bare LF": lambda w: setattr(w, "body", w.body.replace(b"\r\n", b"\n", 1)),
    "nothing at all": lambda w: setattr(w, "body", b""),
    "endless header": lambda w: setattr(w, "body", w.body[:4] + b";" + b"x" * 200_000 + w.body[4:]),
}


@pytest.mark.parametrize("mode", STREAMING)
@pytest.mark.parametrize("broken", FRAMING)
def test_broken_framing(targets: Targets, mode: str, broken: str) -> None:
    """S05 R29: sizes, ends and lines that are wrong; refused at once, not waited for."""
    wired = targets.make("PutObject", mode).sign(*DATA)
    FRAMING[broken](wired)
    reply = wired.send()
    assert reply.status in (400, 403), reply.body
    assert targets.untouched()


@pytest.mark.parametrize("mode", STREAMING)
@pytest.mark.parametrize("length", ["5", "20076", "20078", "999999", "-1", "", "x", "1e4", "9223372036854775808", "0"])
def test_decoded_length_that_is_wrong(targets: Targets, mode: str, length: str) -> None:
    """S05 S08: signed, so that only the length itself is wrong."""
    wired = targets.make("PutObject", mode, headers={"x-amz-decoded-content-length": length}).sign(*DATA)
    assert wired.send().status in (400, 411)
    assert targets.untouched()


@pytest.mark.parametrize("mode", [SIGNED_TRAILER, UNSIGNED_TRAILER])
@pytest.mark.parametrize("crc", [CRC[0][1], "AAAAAA==", ""])
@pytest.mark.parametrize("declared", ["x-amz-checksum-crc32", "x-amz-checksum-sha256", "x-amz-meta-x", "", "x-amz-checksum-crc32,x-amz-checksum-sha1"])  # fmt: skip
@pytest.mark.parametrize("sent", ["x-amz-checksum-crc32", "x-amz-checksum-crc32c", "authorization", None])
def test_trailers_other_than_declared(targets: Targets, mode: str, declared: str, sent: str | None, crc: str) -> None:
    """S05: only the trailer that was announced, with the right value, is taken."""
    trailers = [(sent, crc)] if sent else []
    headers = {"x-amz-trailer": declared} if declared else {}
    wired = targets.make("PutObject", mode, trailers=trailers, headers=headers, announce=False)
    reply = wired.sign(*DATA).send()
    # a signature over no trailers at all is none
    none = not sent and not declared and mode == UNSIGNED_TRAILER
    good = none or (declared == sent == CRC[0][0] and crc == CRC[0][1])
    assert reply.status == (200 if good else 400), reply.body
    assert targets.untouched() != good


@pytest.mark.parametrize("left_out", ["host", "x-amz-date", "x-amz-content-sha256", "x-amz-meta-a", "x-amz-copy-source"])
def test_headers_that_must_be_signed(targets: Targets, left_out: str) -> None:
    """S05: ``host`` and every ``x-amz-*`` header."""
    headers = {"x-amz-meta-a": "1", "x-amz-copy-source": f"/{targets.bucket}/source"}
    wired = targets.make("PutObject", UNSIGNED, headers=headers)
    given = {"host": f"127.0.0.1:{wired.port}", "x-amz-date": wired.stamp, "x-amz-content-sha256": UNSIGNED, **headers}
    signed = {name: value for name, value in given.items() if name != left_out}
    access = {"access": wired.access, "secret": wired.secret, "stamp": wired.stamp}
    wired.headers = {**given, "authorization": sign_v4("PUT", wired.path, "", signed, UNSIGNED, **access)}
    reply = wired.send()
    assert (reply.status, reply.code) == (403, "AccessDenied")
    assert targets.untouched()


NOW = datetime.now(UTC)


@pytest.mark.parametrize(
    ("settings", "status", "code"),
    [
        ({"stamp": stamp_of(NOW - timedelta(minutes=16))}, 403, "RequestTimeTooSkewed"),
        ({"stamp": stamp_of(NOW + timedelta(minutes=90))}, 403, "RequestTimeTooSkewed"),
        ({"stamp": stamp_of(NOW - timedelta(days=400))}, 403, "RequestTimeTooSkewed"),
        ({"stamp": "20000101T000000Z"}, 403, "RequestTimeTooSkewed"),
        ({"stamp": "yesterday"}, 400, "MalformedDate"),
        ({"stamp": "99999999T999999Z"}, 400, "MalformedDate"),
        ({"service": "sts"}, 400, "AuthorizationParametersError"),
        ({"service": "ec2"}, 400, "AuthorizationParametersError"),
        ({"region": "mars-1"}, 200, ""),
    ],
)
def test_times_and_scopes(targets: Targets, settings: dict[str, str], status: int, code: str) -> None:
    """S07: outside the window, another service; any region where none is configured."""
    reply = Wired(targets.server.port, "GET", f"/{targets.bucket}/source", **settings).sign().send()
    assert (reply.status, reply.code) == (status, code)


def test_the_date_of_the_scope_is_that_of_the_request(targets: Targets) -> None:
    """S07."""
    wired = Wired(targets.server.port, "GET", f"/{targets.bucket}/source").sign()
    other = stamp_of(datetime.now(UTC) - timedelta(days=1))[:8]
    wired.headers["authorization"] = wired.headers["authorization"].replace(wired.stamp[:8], other, 1)
    reply = wired.send()
    assert (reply.status, reply.code) == (400, "AuthorizationHeaderMalformed")


def test_a_configured_region_is_required(tmp_path: Any) -> None:
    """S07: the reply says which one it is, so that clients try again with it."""
    with Server(tmp_path, drives=1, workers=1, env={"MINIO_SITE_REGION": "eu-north-7"}) as server:
        for region, status in (("eu-north-7", 200), ("us-east-1", 400), ("", 400)):
            reply = Wired(server.port, "GET", "/", region=region).sign().send()
            assert reply.status == status
            if status == 400:
                assert (reply.code, reply.element("Region")) == ("AuthorizationHeaderMalformed", "eu-north-7")
        location = Wired(server.port, "GET", "/none", "location=").sign().send()
        assert (location.status, location.code) == (404, "NoSuchBucket")


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        " ",
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 ",
        "AWS4-HMAC-SHA256 Credential=,SignedHeaders=,Signature=",
        "AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=host, Signature=00",
        "AWS4-HMAC-SHA256 Credential=operator/20200101/us-east-1/s3/aws4_request",
        "AWS4-HMAC-SHA256 " + "Credential=" * 500,
        "AWS4-HMAC-SHA256 " + "=" * 5000,
        "AWS4-HMAC-SHA256 Credential=operator/" + "/" * 3000 + ", SignedHeaders=host, Signature=0",
        "AWS4-ECDSA-P256-SHA256 Credential=x, SignedHeaders=host, Signature=00",
        "AWS operator:",
        "AWS :",
        "AWS operator",
        "AWS " + ":" * 5000,
        "Basic b3BlcmF0b3I6YS1nb29kLXBhc3N3b3Jk",
        "Bearer x.y.z",
        "operator",
        "\xff\xfe",
    ],
)
def test_authorizations_that_are_none(targets: Targets, authorization: str) -> None:
    """P06 P07: any text is answered, in time."""
    wired = Wired(targets.server.port, "GET", f"/{targets.bucket}/source").sign()
    wired.headers["authorization"] = authorization
    reply = wired.send()
    assert reply.status in (400, 403), reply.body


def test_lengths_that_cannot_be(targets: Targets) -> None:
    """S08: no length, a negative one, one beyond 2⁶³, two, and a chunked body without the decoded length."""
    for lengths in (["-1"], ["9223372036854775808"], ["1" * 100], ["5", "6"], ["5, 5"], ["+5"], ["5 5"], ["0x5"], ["\xb2"]):
        wired = targets.make("PutObject", UNSIGNED).sign(b"data!")
        head = wired.raw().replace(b"content-length: 5\r\n", b"".join(b"content-length: %s\r\n" % one.encode("latin-1") for one in lengths))
        assert exchange(wired.port, head).status == 400, lengths
    missing = targets.make("PutObject", UNSIGNED).sign()
    reply = exchange(missing.port, missing.raw().replace(b"content-length: 0\r\n", b""))
    assert (reply.status, reply.code) == (411, "MissingContentLength")
    chunked = targets.make("PutObject", UNSIGNED).sign()
    raw = chunked.raw().replace(b"content-length: 0\r\n", b"transfer-encoding: chunked\r\n") + b"5\r\nhello\r\n0\r\n\r\n"
    reply = exchange(chunked.port, raw)
    assert (reply.status, reply.code) == (411, "MissingContentLength")
    for coding in ("gzip", "chunked, chunked", "identity", "chunked, gzip"):
        raw = chunked.raw().replace(b"content-length: 0\r\n", f"transfer-encoding: {coding}\r\n".encode())
        assert exchange(chunked.port, raw).status in (400, 501)
    assert targets.untouched()


def test_streaming_in_chunked_transfer_coding(targets: Targets, s3: Any) -> None:
    """SDKs over TLS send aws-chunked inside HTTP's own chunks, in pieces of any size."""
    for step in (7, 4096, 1 << 20):
        for mode in STREAMING:
            wired = targets.make("PutObject", mode).sign(*DATA)
            body = wired.body
            framed = b"".join(b"%x\r\n%b\r\n" % (len(body[i : i + step]), body[i : i + step]) for i in range(0, len(body), step))
            wired.body = b""
            raw = wired.raw().replace(b"content-length: 0\r\n", b"transfer-encoding: chunked\r\n") + framed + b"0\r\n\r\n"
            assert exchange(wired.port, raw).status == 200
            assert s3.get_object(Bucket=targets.bucket, Key="key")["Body"].read() == WHOLE
    s3.delete_object(Bucket=targets.bucket, Key="key")


def test_a_replayed_request_is_answered_alike(targets: Targets) -> None:
    """S07: within the window a replay is the same request; its time cannot be moved."""
    wired = Wired(targets.server.port, "GET", f"/{targets.bucket}/source").sign()
    assert [wired.send().status for _ in range(3)] == [200] * 3
    wired.headers["x-amz-date"] = moved(wired.stamp, timedelta(minutes=10))
    assert wired.send().status == 403


def test_unknown_user_and_wrong_password_tell_nothing_of_the_object(targets: Targets) -> None:
    """S12 A24: the same answer for objects that exist and that do not."""
    for settings in ({"access": "nobody"}, {"secret": PASSWORD + "x"}):
        answers = set()
        for path in (f"/{targets.bucket}/source", f"/{targets.bucket}/none", "/no-such-bucket/x"):
            reply = Wired(targets.server.port, "GET", path, **settings).sign().send()
            answers.add((reply.status, reply.code, reply.etag, reply.headers.get("last-modified")))
        assert len(answers) == 1


def test_a_connection_goes_on_after_a_refusal(server: Server, shared: str) -> None:
    """What follows a refused body is not read as a request."""
    with server.client() as client:
        for _ in range(3):
            wrong: Reply = client.request("PUT", f"/{shared}/key", body=b"x" * 1000, headers={"content-md5": "A" * 22 + "=="})
            assert wrong.code == "BadDigest"
            assert client.request("GET", f"/{shared}/source").status == 200


def test_signatures_of_version_2(server: Server, s3: Any, shared: str, wire: Client) -> None:
    """boto3 signing with V2, and the same with a wrong password or old date."""
    import boto3
    from botocore.config import Config

    good = server.boto3(signature_version="s3")
    good.put_object(Bucket=shared, Key="v2/key with blanks", Body=b"two")
    assert good.get_object(Bucket=shared, Key="v2/key with blanks")["Body"].read() == b"two"
    assert good.list_objects_v2(Bucket=shared, Prefix="v2/", Delimiter="x")["KeyCount"] == 1
    assert good.list_multipart_uploads(Bucket=shared)["ResponseMetadata"]["HTTPStatusCode"] == 200
    good.delete_object(Bucket=shared, Key="v2/key with blanks")
    bad = boto3.client(
        "s3", endpoint_url=server.url, region_name="us-east-1", aws_access_key_id="operator", aws_secret_access_key="no",
        config=Config(signature_version="s3", retries={"total_max_attempts": 1}),
    )  # fmt: skip
    with pytest.raises(bad.exceptions.ClientError, match="SignatureDoesNotMatch"):
        bad.list_buckets()
