"""P06, P07, S08, S11: whatever a client sends, authentication, framing and forms raise nothing but ``StoreError``."""

from __future__ import annotations

import asyncio
import contextlib

from hypothesis import example, given, settings
from hypothesis import strategies as st

from sos.domain.errors import StoreError
from sos.s3.auth import (
    BodyLimits,
    Credentials,
    Form,
    Identity,
    authenticate,
    check_form,
    open_body,
    open_file,
    parse_form,
    parse_query,
    split_path,
)
from sos.s3.auth.chain import Unsigned
from sos.s3.auth.form_policy import check_policy
from sos.s3.auth.framing import Deframer
from sos.s3.auth.identity import Seed
from tests.kit.signed_requests import ACCESS, NOW_S, SECRET, STAMP, MemoryBody, request, unsigned_chunks

KEYS = {ACCESS: Credentials(ACCESS, SECRET)}
SCOPE = f"{ACCESS}/{STAMP[:8]}/us-east-1/s3/aws4_request"
PAYLOADS = [
    "",
    "UNSIGNED-PAYLOAD",
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
    "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
]
latin = st.text(st.characters(max_codepoint=255), max_size=60)
names = st.sampled_from(
    ["authorization", "host", "date", "x-amz-date", "x-amz-content-sha256", "x-amz-decoded-content-length", "x-amz-trailer", "content-md5", "x-amz-checksum-crc32", "x-amz-checksum-sha256", "x-amz-sdk-checksum-algorithm", "x-amz-security-token", "expect", "range", "content-encoding", "content-length", "x-amz-meta-a"]
)
values = st.one_of(
    latin,
    st.sampled_from(
        [
            *PAYLOADS,
            STAMP,
            "Tue, 14 Nov 2023 22:13:20 GMT",
            f"AWS4-HMAC-SHA256 Credential={SCOPE}, SignedHeaders=host, Signature=" + "0" * 64,
            f"AWS {ACCESS}:AAAA",
            "x-amz-checksum-crc32",
            "CRC32",
            "AAAAAA==",
            "5",
            "aws-chunked",
        ]
    ),
    st.builds(lambda a: "AWS4-HMAC-SHA256 " + a, latin),
    st.builds(lambda a: f"AWS4-HMAC-SHA256 Credential={SCOPE}, SignedHeaders={a}, Signature=x", latin),
    st.builds(lambda a: "AWS " + a, latin),
)
headers = st.lists(st.tuples(names, values), max_size=8)
parameter = st.one_of(
    st.sampled_from(
        [
            b"X-Amz-Algorithm=AWS4-HMAC-SHA256",
            f"X-Amz-Credential={SCOPE}".encode(),
            f"X-Amz-Date={STAMP}".encode(),
            b"X-Amz-Expires=60",
            b"X-Amz-SignedHeaders=host",
            b"X-Amz-Signature=00",
            b"AWSAccessKeyId=" + ACCESS.encode(),
            b"Expires=1999999999",
            b"Signature=x",
            b"acl",
            b"",
            b"=",
        ]
    ),
    st.binary(max_size=20),
)
queries = st.lists(parameter, max_size=9).map(b"&".join)


def run(work) -> None:  # type: ignore[no-untyped-def]
    with contextlib.suppress(StoreError):
        asyncio.run(work)


@settings(max_examples=400, deadline=None)
@given(method=st.sampled_from(["GET", "PUT", "x"]), path=st.binary(max_size=30), query=queries, fields=headers)
@example("GET", b"/%C3", b"X-Amz-Expires=%D9%A1", [])
def test_authenticate_raises_store_errors_only(
    method: str, path: bytes, query: bytes, fields: list[tuple[str, str]]
) -> None:
    sent = request(method, "/", fields)
    sent.path, sent.query = b"/" + path, query
    with contextlib.suppress(StoreError):
        found = authenticate(sent, KEYS.get, "", NOW_S)
        assert found.anonymous  # no signature here is good


@settings(max_examples=300, deadline=None)
@given(raw=st.binary(max_size=60))
def test_targets_decode_once_or_are_refused(raw: bytes) -> None:
    """S11: what was decoded is the same UTF-8 however it was escaped."""
    with contextlib.suppress(StoreError):
        bucket, key = split_path(b"/" + raw)
        key.decode()
        escaped = b"".join(b"%%%02x" % c for c in key)
        assert split_path(b"/b/" + escaped) == ("b", key)
        assert isinstance(bucket, str)
    with contextlib.suppress(StoreError):
        assert all(len(pair) == 2 for pair in parse_query(raw))


framed = st.one_of(
    st.binary(max_size=300),
    st.lists(st.binary(min_size=1, max_size=40), max_size=5).map(
        lambda p: unsigned_chunks(p, [("x-amz-checksum-crc32", "AAAAAA==")])
    ),
    st.lists(
        st.one_of(
            st.binary(max_size=8),
            st.sampled_from([b"5\r\n", b"0\r\n", b"\r\n", b"ffffffffffffffff\r\n", b"5;chunk-signature=", b"0" * 64]),
        ),
        max_size=12,
    ).map(b"".join),
)


@settings(max_examples=500, deadline=None)
@given(
    payload=st.one_of(st.sampled_from(PAYLOADS), latin),
    fields=headers,
    stream=framed,
    known=st.booleans(),
    gulp=st.integers(1, 400),
    step=st.integers(1, 400),
    seeded=st.booleans(),
)
def test_bodies_raise_store_errors_only(
    payload: str, fields: list[tuple[str, str]], stream: bytes, known: bool, gulp: int, step: int, seeded: bool
) -> None:
    sent = request("PUT", "/b/k", fields, MemoryBody(stream, known, gulp))
    seed = Seed(bytes(32), STAMP, "scope", "0" * 64) if seeded else None

    async def receive() -> None:
        body = open_body(sent, Identity(ACCESS, payload=payload, seed=seed), BodyLimits(1 << 20))
        view = memoryview(bytearray(body.size))
        for at in range(0, body.size, step):
            await body.fill(view[at : at + step])
        await body.finish()

    run(receive())


@settings(max_examples=300, deadline=None)
@given(
    chunks=st.lists(st.binary(min_size=1, max_size=30_000), max_size=6),
    cuts=st.lists(st.integers(1, 50_000), max_size=12),
    step=st.integers(1, 60_000),
)
def test_parser_gives_the_payload_however_the_bytes_arrive(chunks: list[bytes], cuts: list[int], step: int) -> None:
    """R25: pieces of any size in, views of any size out."""
    payload, stream = b"".join(chunks), unsigned_chunks(chunks)
    deframer = Deframer(len(payload), Unsigned())
    out, held, cuts = bytearray(len(payload)), b"", [*cuts, 1 << 20]
    made = 0
    for cut in cuts:
        held += stream[:cut]
        stream = stream[cut:]
        while True:
            used, more = deframer.parse(memoryview(held), memoryview(out)[made : made + step])
            held, made = held[used:], made + more
            if not used and not more:
                break
    assert (bytes(out), held, deframer.at_tail) == (payload, b"\r\n", True)


form_piece = st.one_of(
    st.binary(max_size=30),
    st.sampled_from(
        [
            b"--b",
            b"--b\r\n",
            b"\r\n--b\r\n",
            b"\r\n--b--\r\n",
            b"\r\n\r\n",
            b'Content-Disposition: form-data; name="key"\r\n\r\n',
            b'Content-Disposition: form-data; name="file"; filename="x"\r\n\r\n',
            b"Content-Type: a/b\r\n",
        ]
    ),
)


@settings(max_examples=400, deadline=None)
@given(
    pieces=st.lists(form_piece, max_size=12),
    gulp=st.integers(1, 100),
    kind=st.one_of(st.just("multipart/form-data; boundary=b"), latin),
)
def test_forms_raise_store_errors_only(pieces: list[bytes], gulp: int, kind: str) -> None:
    sent = request("POST", "/b", [("content-type", kind)], MemoryBody(b"--b\r\n" + b"".join(pieces), gulp=gulp))

    async def receive() -> None:
        form = await parse_form(sent)
        check_form(form, "b", KEYS.get, "", NOW_S)
        body = open_file(sent, form, 0, 1 << 20)
        await body.fill(memoryview(bytearray(body.size)))
        await body.finish()

    run(receive())


json_like = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False),
        st.text(max_size=10),
        st.sampled_from(["eq", "$key", "2033-01-01T00:00:00Z"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(["expiration", "conditions", "key"]), inner, max_size=3),
    ),
    max_leaves=12,
)


@settings(max_examples=400, deadline=None)
@given(
    document=json_like,
    fields=st.dictionaries(
        st.sampled_from(
            [
                "key",
                "acl",
                "policy",
                "x-amz-date",
                "x-amz-credential",
                "x-amz-algorithm",
                "x-amz-signature",
                "signature",
                "awsaccesskeyid",
            ]
        ),
        st.text(max_size=20),
        max_size=9,
    ),
)
def test_policies_raise_store_errors_only(document: object, fields: dict[str, str]) -> None:
    import base64
    import json

    with contextlib.suppress(StoreError):
        check_policy(base64.b64encode(json.dumps(document).encode()).decode(), fields, NOW_S)
    with contextlib.suppress(StoreError):
        check_form(Form(fields, "f", "", 1, b"", b"b"), "b", KEYS.get, "", NOW_S)


def test_long_hostile_headers_cost_linear_time() -> None:
    """P06: no header makes parsing quadratic."""
    import time

    def cost(length: int) -> float:
        hostile = [
            'form-data; name="' + "\\" * length,
            "form-data" + "; a=b" * (length // 5),
            "AWS4-HMAC-SHA256 " + "," * length,
        ]
        started = time.perf_counter()
        for text in hostile:
            body = b"--b\r\nContent-Disposition: " + text.encode() + b"\r\n\r\nx"
            run(parse_form(request("POST", "/b", [("content-type", "multipart/form-data; boundary=b")], body)))
            with contextlib.suppress(StoreError):
                authenticate(request("GET", "/", [("authorization", text)]), KEYS.get, "", NOW_S)
        return time.perf_counter() - started

    assert min(cost(8000) for _ in range(3)) < 0.5
