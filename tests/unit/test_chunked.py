"""Bodies in every framing, whole and tampered with."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import random
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from sos.domain import checksums, errors
from sos.domain.body import Digests
from sos.http.message import Request
from sos.s3.auth import BodyLimits, Credentials, Identity, authenticate, open_body, read_document
from sos.s3.auth import errors as e
from tests.kit.signed_requests import (
    ACCESS,
    EMPTY,
    NOW_S,
    SECRET,
    MemoryBody,
    put,
    request,
    seed_of,
    signed_chunks,
    split,
    unsigned_chunks,
)

SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
KEYS = {ACCESS: Credentials(ACCESS, SECRET)}
SIZES = [0, 1, 5, 8192, 65535, 65536, 65537, 131072, 300_001, 1_500_000]


def bytes_of(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def crc32c(data: bytes) -> str:
    return checksums.encode(checksums.digest("CRC32C", data))


def receive(sent: Request, identity: Identity, step: int = 1 << 30, **options: bool) -> tuple[bytes, Digests]:
    """Read a body in views of ``step`` bytes."""

    async def run() -> tuple[bytes, Digests]:
        body = open_body(sent, identity, BodyLimits(), **options)
        data = bytearray(body.size)
        view = memoryview(data)
        for at in range(0, body.size, step):
            await body.fill(view[at : at + step])
        return bytes(data), await body.finish()

    return asyncio.run(run())


def streaming(mode: str, data: bytes, pieces: Sequence[bytes], **options: object) -> tuple[Request, Identity]:
    """A PUT with a good stream, and its identity."""
    extra = {"x-amz-decoded-content-length": str(len(data)), "content-encoding": "aws-chunked"}
    if mode != SIGNED:
        extra["x-amz-trailer"] = "x-amz-checksum-crc32c"
    trailers = [("x-amz-checksum-crc32c", crc32c(data))]
    seed = seed_of(put(mode, b"", extra))
    if mode == SIGNED:
        stream = signed_chunks(pieces, seed)
    elif mode == SIGNED_TRAILER:
        stream = signed_chunks(pieces, seed, trailers)
    else:
        stream = unsigned_chunks(pieces, trailers, bool(options.get("minio")))
    known = bool(options.get("known", True))
    sent = put(mode, MemoryBody(stream, known, int(str(options.get("gulp", 1 << 30)))), extra)
    return sent, authenticate(sent, KEYS.get, "", NOW_S)


def with_body(sent: Request, stream: bytes) -> Request:
    return request(sent.method, sent.path, sent.headers.items, stream)


def stream_of(sent: Request) -> bytes:
    assert isinstance(sent.body, MemoryBody)
    return sent.body.data


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", [SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER])
@pytest.mark.parametrize("step", [1 << 30, 262_144, 100_003, 4096])
@pytest.mark.parametrize("known", [True, False])
def test_payload_comes_out_of_its_framing(size: int, mode: str, step: int, known: bool) -> None:
    """R25: the stored bytes are the payload, without headers and trailers."""
    data = bytes_of(size)
    for chunk in (65536, 1 << 20):
        sent, identity = streaming(mode, data, split(data, chunk), known=known, gulp=70_000)
        got, digests = receive(sent, identity, step)
        assert got == data
        assert digests.md5 == hashlib.md5(data).digest()
        assert digests.checksums == ({} if mode == SIGNED else {"CRC32C": checksums.digest("CRC32C", data)})
        assert isinstance(sent.body, MemoryBody) and sent.body.at == len(sent.body.data)


def test_equal_chunks_are_received_in_place() -> None:
    """The prediction holds for minio-go's framing: one scatter receive per view, no parser."""
    data = bytes_of(4 << 20)
    sent, identity = streaming(SIGNED, data, split(data, 65536))
    assert receive(sent, identity, 2 << 20)[0] == data
    assert isinstance(sent.body, MemoryBody)
    assert sent.body.fills == [63, 65]  # payload and what stands between: 32 chunks of 64 KiB


@pytest.mark.parametrize("seed", range(30))
def test_irregular_chunks_fall_back_to_the_parser(seed: int) -> None:
    rand = random.Random(seed)
    data = bytes_of(rand.randrange(1, 900_000))
    pieces, at = [], 0
    while at < len(data):
        size = rand.choice([1, 100, 4096, 8192, 8192, 8192, 8192, 65536, 65536, 100_000, 300_000])
        pieces.append(data[at : at + size])
        at += size
    mode = rand.choice([SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER])
    sent, identity = streaming(mode, data, pieces, known=rand.random() < 0.7, gulp=rand.choice([1, 7, 1000, 1 << 20]))
    assert receive(sent, identity, rand.choice([1 << 30, 50_000, 8192, 262_144]))[0] == data


@pytest.mark.parametrize("known", [True, False])
def test_upper_case_and_padded_sizes_are_read(known: bool) -> None:
    data = bytes_of(200_000)
    stream = b"".join(b"%08X\r\n%s\r\n" % (len(p), p) for p in split(data, 0xABCD)) + b"0\r\n\r\n"
    sent = put(UNSIGNED_TRAILER, MemoryBody(stream, known), {"x-amz-decoded-content-length": "200000"})
    assert receive(sent, authenticate(sent, KEYS.get, "", NOW_S), 65536)[0] == data


def test_trailers_as_minio_go_writes_them() -> None:
    data = bytes_of(100_000)
    sent, identity = streaming(UNSIGNED_TRAILER, data, split(data, 65536), minio=True)
    assert receive(sent, identity)[0] == data


def test_empty_upload_as_an_empty_body() -> None:
    """minio-go computes a stream length of 0 for an empty object."""
    sent = put(SIGNED, b"", {"x-amz-decoded-content-length": "0"})
    assert receive(sent, authenticate(sent, KEYS.get, "", NOW_S))[0] == b""


def test_anonymous_and_v2_clients_may_send_unsigned_trailers() -> None:
    data = b"hello"
    stream = unsigned_chunks([data], [("x-amz-checksum-crc32c", crc32c(data))])
    headers = [("x-amz-trailer", "x-amz-checksum-crc32c"), ("x-amz-decoded-content-length", "5")]
    anonymous = request("PUT", "/b/k", [*headers, ("x-amz-content-sha256", UNSIGNED_TRAILER)], stream)
    assert receive(anonymous, authenticate(anonymous, KEYS.get, "", NOW_S))[0] == data
    second = request("PUT", "/b/k", [*headers, ("content-encoding", "gzip, aws-chunked")], stream)
    assert receive(second, Identity(ACCESS, version=2))[0] == data


# -- AWS's published streams -----------------------------------------------------------------------------

PUBLISHED_S = datetime(2013, 5, 24, tzinfo=UTC).timestamp()
PUBLISHED_SEED = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
PUBLISHED_SIGNATURES = [
    (65536, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"),
    (1024, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"),
    (0, "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"),
]


def published() -> Request:
    names = "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class"
    headers = [
        ("host", "s3.amazonaws.com"),
        ("x-amz-date", "20130524T000000Z"),
        ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        (
            "authorization",
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
            f"SignedHeaders={names},Signature={PUBLISHED_SEED}",
        ),
        ("x-amz-content-sha256", SIGNED),
        ("content-encoding", "aws-chunked"),
        ("x-amz-decoded-content-length", "66560"),
        ("content-length", "66824"),
    ]
    chunks = [b"%x;chunk-signature=%s\r\n%s\r\n" % (n, s.encode(), b"a" * n) for n, s in PUBLISHED_SIGNATURES]
    return request("PUT", "/examplebucket/chunkObject.txt", headers, b"".join(chunks))


def test_published_stream_is_accepted() -> None:
    sent = published()
    assert len(stream_of(sent)) == 66824
    identity = authenticate(sent, KEYS.get, "us-east-1", PUBLISHED_S)
    assert receive(sent, identity, 32768)[0] == b"a" * 66560


# -- refusals ---------------------------------------------------------------------------------------------

REFUSALS = (
    errors.SignatureMismatch,
    errors.MalformedFraming,
    errors.MalformedTrailer,
    errors.IncompleteBody,
    errors.ExcessBody,
    errors.ChecksumMismatch,
)


@pytest.mark.parametrize("mode", [SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER])
@pytest.mark.parametrize("size", [1000, 200_000])
@pytest.mark.parametrize("step", [1 << 30, 65536, 50_000])
def test_every_tampered_byte_is_refused(mode: str, size: int, step: int) -> None:
    """S01, S03, S04: a good seed signature, then one byte changed, anywhere."""
    data = bytes_of(size)
    sent, identity = streaming(mode, data, split(data, 65536))
    stream = stream_of(sent)
    rand = random.Random(size + step)
    tail = range(len(stream) - 200, len(stream)) if size == 1000 and step == 50_000 else ()
    places = {0, 1, 10, 80, 87, 88, 89, 65536 + 88, 65536 + 90, len(stream) - 1, *tail}
    places |= {rand.randrange(len(stream)) for _ in range(20)}
    for at in places:
        if at < len(stream):
            altered = bytearray(stream)
            altered[at] ^= 0x01
            with pytest.raises(REFUSALS):
                receive(with_body(sent, bytes(altered)), identity, step)


@pytest.mark.parametrize("mode", [SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER])
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("size", [0, 1000, 200_000])
def test_truncated_stream_is_refused(mode: str, known: bool, size: int) -> None:
    """R29, S05: missing final chunk, missing trailers, cut anywhere."""
    data = bytes_of(size)
    sent, identity = streaming(mode, data, split(data, 65536))
    stream = stream_of(sent)
    cuts = {1, 2, 3, 50, 91, 400, *range(2, min(len(stream), 220), 7)}
    for cut in cuts:
        if cut < len(stream) or (cut == len(stream) and size):
            short = request("PUT", sent.path, sent.headers.items, MemoryBody(stream[:-cut], known))
            with pytest.raises(REFUSALS):
                receive(short, identity, 65536)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("mode", [SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER])
@pytest.mark.parametrize("extra", [b"x", b"\r\n", b"0\r\n\r\n", b"x" * 100_000])
def test_extra_bytes_are_refused(mode: str, extra: bytes, known: bool) -> None:
    """S05: extra bytes."""
    data = bytes_of(1000)
    sent, identity = streaming(mode, data, [data])
    if extra == b"\r\n" and mode != SIGNED:
        pytest.skip("a blank line behind trailers is what minio-go sends")
    with pytest.raises(REFUSALS):
        receive(request("PUT", sent.path, sent.headers.items, MemoryBody(stream_of(sent) + extra, known)), identity)


def test_body_that_ends_before_its_length_is_refused() -> None:
    """R29: the client lied about its length and went away."""
    data = bytes_of(300_000)
    for mode in (SIGNED, UNSIGNED_TRAILER):
        sent, identity = streaming(mode, data, split(data, 65536))
        stream = stream_of(sent)
        for cut in (10, 1000, 150_000, 299_990):
            body = MemoryBody(stream[:-cut], length=len(stream))
            with pytest.raises(errors.IncompleteBody):
                receive(request("PUT", sent.path, sent.headers.items, body), identity, 65536)


@pytest.mark.parametrize("mode", [SIGNED, SIGNED_TRAILER])
@pytest.mark.parametrize("seed", ["0" * 64, "f" * 64])
def test_stream_of_another_seed_is_refused(mode: str, seed: str) -> None:
    """S03: chunks of another request, spliced in."""
    data = bytes_of(1000)
    sent, identity = streaming(mode, data, [data])
    stream = signed_chunks([data], seed, [("x-amz-checksum-crc32c", crc32c(data))] if mode == SIGNED_TRAILER else None)
    with pytest.raises(errors.SignatureMismatch):
        receive(with_body(sent, stream), identity)


def test_swapped_chunks_are_refused() -> None:
    """S04: order is part of the chain."""
    data = bytes_of(3 * 65536)
    sent, identity = streaming(SIGNED, data, split(data, 65536))
    stream, size = stream_of(sent), 65536 + 90
    swapped = stream[size : 2 * size] + stream[:size] + stream[2 * size :]
    with pytest.raises(errors.SignatureMismatch):
        receive(with_body(sent, swapped), identity)


@pytest.mark.parametrize(
    ("extra", "error"),
    [
        ({}, e.MissingContentLength),
        ({"x-amz-decoded-content-length": "-1"}, errors.InvalidRequest),
        ({"x-amz-decoded-content-length": "1e3"}, errors.InvalidRequest),
        ({"x-amz-decoded-content-length": ""}, errors.InvalidRequest),
        ({"x-amz-decoded-content-length": "²"}, errors.InvalidRequest),
        ({"x-amz-decoded-content-length": str(1 << 63)}, errors.StoreError),
        ({"x-amz-decoded-content-length": "9" * 5000}, errors.EntityTooLarge),
        ({"x-amz-decoded-content-length": "1000000"}, errors.IncompleteBody),
    ],
)
@pytest.mark.parametrize("mode", [SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER])
def test_decoded_length_must_be_a_size(mode: str, extra: dict[str, str], error: type[Exception]) -> None:
    """S05, S08: missing, negative, 2⁶³."""
    sent = put(mode, b"0\r\n\r\n", extra)
    with pytest.raises(error):
        receive(sent, authenticate(sent, KEYS.get, "", NOW_S))


@pytest.mark.parametrize(("declared", "error"), [(999, errors.ExcessBody), (1001, errors.IncompleteBody)])
@pytest.mark.parametrize("mode", [SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER])
def test_payload_must_have_its_decoded_length(mode: str, declared: int, error: type[Exception]) -> None:
    """S05."""
    data = bytes_of(1000)
    extra = {"x-amz-decoded-content-length": str(declared)}
    seed = seed_of(put(mode, b"", extra))
    stream = unsigned_chunks([data]) if mode == UNSIGNED_TRAILER else signed_chunks([data], seed)
    sent = put(mode, stream, extra)
    with pytest.raises(error):
        receive(sent, authenticate(sent, KEYS.get, "", NOW_S))


@pytest.mark.parametrize(
    "stream",
    [
        b"",
        b"\r\n",
        b"5",
        b"5\r\nhell",
        b"5\r\nhelloXX0\r\n\r\n",
        b"-5\r\nhello\r\n0\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b" 5\r\nhello\r\n0\r\n\r\n",
        b"+5\r\nhello\r\n0\r\n\r\n",
        b"5_\r\nhello\r\n0\r\n\r\n",
        b"5\nhello\n0\n\n",
        b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        b"ffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        b"6\r\nhello!\r\n0\r\n\r\n",
        b"0\r\n\r\n",
        b"3\r\nhel\r\n0\r\n\r\n2\r\nlo\r\n0\r\n\r\n",
        b"5" + b";" + b"x" * 5000 + b"\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32c:AAAAAA==\r\n\r\n",
        b"5\r\nhello\r\n0\r\nx-amz-trailer-signature:ab\r\n\r\n",
        b"5\r\nhello\r\n0\r\n" + b"x" * 30_000 + b"\r\n\r\n",
    ],
)
@pytest.mark.parametrize("known", [True, False])
def test_malformed_framing_is_refused(stream: bytes, known: bool) -> None:
    """S05, S08, R29."""
    sent = put(UNSIGNED_TRAILER, MemoryBody(stream, known), {"x-amz-decoded-content-length": "5"})
    with pytest.raises(REFUSALS):
        receive(sent, authenticate(sent, KEYS.get, "", NOW_S))


def test_tiny_chunks_are_bounded() -> None:
    data = bytes(100_000)
    sent = put(UNSIGNED_TRAILER, unsigned_chunks(split(data, 1)), {"x-amz-decoded-content-length": "100000"})
    with pytest.raises(errors.MalformedFraming):
        receive(sent, authenticate(sent, KEYS.get, "", NOW_S))


def test_signed_chunk_of_more_than_16_mib_is_refused() -> None:
    size = 16 * 1024 * 1024 + 1
    sent = put(SIGNED, b"", {"x-amz-decoded-content-length": str(size)})
    head = b"%x;chunk-signature=%s\r\n" % (size, b"0" * 64)
    sent = put(SIGNED, MemoryBody(head, length=size + 1000), {"x-amz-decoded-content-length": str(size)})
    with pytest.raises(errors.MalformedFraming):
        receive(sent, authenticate(sent, KEYS.get, "", NOW_S))


@pytest.mark.parametrize("mode", [SIGNED, SIGNED_TRAILER])
def test_signed_chunks_need_a_signed_request(mode: str) -> None:
    """S03: an anonymous client, or one that signed with V2, has no chain."""
    sent = request("PUT", "/b/k", [("x-amz-content-sha256", mode), ("x-amz-decoded-content-length", "0")])
    for identity in (authenticate(sent, KEYS.get, "", NOW_S), Identity(ACCESS, version=2, payload=mode)):
        with pytest.raises(e.SignatureDoesNotMatch):
            receive(sent, identity)


@pytest.mark.parametrize(
    ("announced", "sent_name", "value", "error"),
    [
        ("x-amz-checksum-crc32c", "x-amz-checksum-crc32", "AAAAAA==", errors.MalformedTrailer),
        ("x-amz-checksum-crc32c", "x-amz-checksum-crc32c", "AAAAAA==", errors.ChecksumMismatch),
        ("x-amz-checksum-crc32c", "x-amz-checksum-crc32c", "AAAA", errors.MalformedTrailer),
        ("x-amz-checksum-crc32c", "x-amz-checksum-crc32c", "", errors.MalformedTrailer),
        ("x-amz-checksum-crc32c", "x-amz-meta-owner", "me", errors.MalformedTrailer),
        ("x-amz-meta-owner", "x-amz-meta-owner", "me", errors.InvalidRequest),
        ("x-amz-checksum-md4", "x-amz-checksum-md4", "AAAA", errors.InvalidRequest),
        ("", "x-amz-checksum-crc32c", "AAAAAA==", errors.StoreError),
    ],
)
@pytest.mark.parametrize("mode", [SIGNED_TRAILER, UNSIGNED_TRAILER])
def test_trailer_must_be_the_one_announced(
    mode: str, announced: str, sent_name: str, value: str, error: type[Exception]
) -> None:
    """S05: trailer name differs from the declared one."""
    extra = {"x-amz-decoded-content-length": "5", "x-amz-trailer": announced}
    seed = seed_of(put(mode, b"", extra))
    trailers = [(sent_name, value)]
    stream = (
        signed_chunks([b"hello"], seed, trailers) if mode == SIGNED_TRAILER else unsigned_chunks([b"hello"], trailers)
    )
    sent = put(mode, stream, extra)
    with pytest.raises(error):
        receive(sent, authenticate(sent, KEYS.get, "", NOW_S))


def test_missing_or_repeated_trailer_is_refused() -> None:
    """S05."""
    extra = {"x-amz-decoded-content-length": "5", "x-amz-trailer": "x-amz-checksum-crc32c"}
    good = ("x-amz-checksum-crc32c", crc32c(b"hello"))
    for trailers in ([], [good, good], [good, ("x-amz-checksum-crc32", "AAAAAA==")]):
        sent = put(UNSIGNED_TRAILER, unsigned_chunks([b"hello"], trailers), extra)
        with pytest.raises(errors.MalformedTrailer):
            receive(sent, authenticate(sent, KEYS.get, "", NOW_S))


def test_wrong_trailer_signature_is_refused() -> None:
    """S01, S03."""
    data = b"hello"
    sent, identity = streaming(SIGNED_TRAILER, data, [data])
    stream = stream_of(sent)
    head, mark, signature = stream.rpartition(b"x-amz-trailer-signature:")
    for altered in (head + mark + b"0" * 64 + b"\r\n\r\n", head[:-2] + b"\r\n", head + mark + b"\xff\r\n\r\n"):
        with pytest.raises((errors.SignatureMismatch, errors.ExcessBody, errors.IncompleteBody)):
            receive(with_body(sent, altered), identity)
    assert receive(with_body(sent, head + mark + signature), identity)[0] == data


# -- plain bodies and declared digests -----------------------------------------------------------------------


def plain(data: bytes, payload: str | None = None, extra: dict[str, str] | None = None) -> tuple[Request, Identity]:
    sent = put(hashlib.sha256(data).hexdigest() if payload is None else payload, data, extra)
    return sent, authenticate(sent, KEYS.get, "", NOW_S)


@pytest.mark.parametrize("size", [0, 1, 200_000])
@pytest.mark.parametrize("payload", [None, "UNSIGNED-PAYLOAD"])
def test_plain_body(size: int, payload: str | None) -> None:
    data = bytes_of(size)
    assert receive(*plain(data, payload), step=65536) == (data, Digests(hashlib.md5(data).digest()))


def test_body_that_differs_from_its_signed_hash_is_refused() -> None:
    for data in (b"x", b""):
        sent, identity = plain(data, hashlib.sha256(b"other").hexdigest())
        with pytest.raises(errors.ContentHashMismatch):
            receive(sent, identity)


def test_absent_hash_means_an_empty_body() -> None:
    headers = {"host": "h", "x-amz-date": "20231114T221320Z"}
    from tests.kit.signed_requests import sign_v4

    items = [*headers.items(), ("authorization", sign_v4("PUT", "/b/k", "", headers, EMPTY))]
    for data in (b"", b"x"):
        sent = request("PUT", "/b/k", items, data)
        identity = authenticate(sent, KEYS.get, "", NOW_S)
        if data:
            with pytest.raises(errors.ContentHashMismatch):
                receive(sent, identity)
        else:
            assert receive(sent, identity)[0] == b""


@pytest.mark.parametrize("payload", ["", "x", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", "g" * 64, "0" * 63])
def test_malformed_content_hash_is_refused(payload: str) -> None:
    sent, identity = plain(b"x", payload)
    with pytest.raises(errors.StoreError) as caught:
        receive(sent, identity)
    assert caught.value.name == "MalformedContentHash"


def test_plain_body_needs_a_length() -> None:
    """S08."""
    sent = put("UNSIGNED-PAYLOAD", MemoryBody(b"x", known=False))
    with pytest.raises(e.MissingContentLength):
        receive(sent, authenticate(sent, KEYS.get, "", NOW_S))


@pytest.mark.parametrize("header", ["x-amz-trailer", "x-amz-decoded-content-length"])
def test_framing_headers_on_a_plain_body_are_refused(header: str) -> None:
    """R25: the framing would be stored as the object."""
    value = "x-amz-checksum-crc32" if header == "x-amz-trailer" else "1"
    sent, identity = plain(b"x", "UNSIGNED-PAYLOAD", {header: value})
    with pytest.raises(errors.InvalidRequest):
        receive(sent, identity)


@pytest.mark.parametrize("algorithm", sorted(checksums.SIZES))
def test_checksum_header_is_verified_and_kept(algorithm: str) -> None:
    data = bytes_of(100_000)
    raw = checksums.digest(algorithm, data)
    name = f"x-amz-checksum-{algorithm.lower()}"
    assert receive(*plain(data, extra={name: checksums.encode(raw)}))[1].checksums == {algorithm: raw}
    wrong = base64.b64encode(bytes(len(raw))).decode()
    with pytest.raises(errors.ChecksumMismatch):
        receive(*plain(data, extra={name: wrong}))
    with pytest.raises(errors.ChecksumMismatch):
        receive(*plain(data, "UNSIGNED-PAYLOAD", {name: wrong}))
    assert receive(*plain(data, extra={name: wrong}), object_checksums=False)[1].checksums == {}
    assert receive(*plain(data, extra={"x-amz-sdk-checksum-algorithm": algorithm}))[1].checksums == {algorithm: raw}


@pytest.mark.parametrize(
    ("extra", "error"),
    [
        ({"content-md5": "x"}, errors.InvalidDigest),
        ({"content-md5": ""}, errors.InvalidDigest),
        ({"content-md5": base64.b64encode(bytes(15)).decode()}, errors.InvalidDigest),
        ({"content-md5": base64.b64encode(bytes(16)).decode()}, errors.BadDigest),
        ({"x-amz-checksum-crc32": "x"}, errors.InvalidRequest),
        ({"x-amz-checksum-crc32": ""}, errors.InvalidRequest),
        ({"x-amz-checksum-crc32": "AAAAAAAA"}, errors.InvalidRequest),
        ({"x-amz-checksum-sha512": "AAAA"}, errors.InvalidRequest),
        ({"x-amz-checksum-crc32": "AAAAAA==", "x-amz-checksum-crc32c": "AAAAAA=="}, errors.InvalidRequest),
        ({"x-amz-checksum-crc32": "AAAAAA==", "x-amz-sdk-checksum-algorithm": "SHA1"}, errors.InvalidRequest),
        ({"x-amz-sdk-checksum-algorithm": "nothing"}, errors.InvalidRequest),
    ],
)
def test_declared_digests_must_be_well_formed_and_hold(extra: dict[str, str], error: type[Exception]) -> None:
    with pytest.raises(error):
        receive(*plain(b"data", extra=extra))


def test_content_md5_of_the_body_is_accepted() -> None:
    md5 = hashlib.md5(b"data").digest()
    assert receive(*plain(b"data", extra={"content-md5": base64.b64encode(md5).decode()}))[1].md5 == md5


def test_body_above_the_limit_is_refused() -> None:
    sent, identity = plain(b"12345")
    with pytest.raises(errors.EntityTooLarge):
        open_body(sent, identity, BodyLimits(4))


def test_read_document_verifies_like_a_stream() -> None:
    document = b"<x/>" * 100
    for sent, identity in (plain(document), streaming(SIGNED, document, [document])):
        assert asyncio.run(read_document(sent, identity, 1000)) == document
    sent, identity = plain(document, EMPTY)
    with pytest.raises(errors.ContentHashMismatch):
        asyncio.run(read_document(sent, identity, 1000))
    sent, identity = plain(document)
    with pytest.raises(errors.EntityTooLarge):
        asyncio.run(read_document(sent, identity, 10))


def test_finish_before_the_end_is_refused() -> None:
    sent, identity = plain(b"12345")

    async def run() -> None:
        body = open_body(sent, identity, BodyLimits())
        await body.fill(memoryview(bytearray(3)))
        await body.finish()

    with pytest.raises(errors.IncompleteBody):
        asyncio.run(run())


def test_signed_chunks_without_trailers_refuse_an_announced_trailer() -> None:
    """S05: the framing has no place for it."""
    sent = put(SIGNED, b"", {"x-amz-decoded-content-length": "0", "x-amz-trailer": "x-amz-checksum-crc32c"})
    with pytest.raises(errors.InvalidRequest):
        open_body(sent, authenticate(sent, KEYS.get, "", NOW_S), BodyLimits())


@pytest.mark.parametrize("known", [True, False])
def test_endless_tail_is_not_read_to_its_end(known: bool) -> None:
    """R29: what follows the payload is bounded."""
    data = bytes_of(100_000)
    stream = unsigned_chunks([data])[:-2] + b"a" * 10_000_000
    body = MemoryBody(stream, known, gulp=10_000)
    sent = put(UNSIGNED_TRAILER, body, {"x-amz-decoded-content-length": "100000"})
    with pytest.raises(errors.ExcessBody):
        receive(sent, authenticate(sent, KEYS.get, "", NOW_S))
    assert body.at < 200_000
