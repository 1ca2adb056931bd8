"""Parsing of request heads: byte-exact, and strict about everything that two parsers could read differently."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sos.http.head import parse_head
from sos.http.limits import Limits
from sos.http.refusals import REFUSALS, Refused

LIMITS = Limits()


def parse(*lines: str | bytes):
    raw = b"\r\n".join(line if isinstance(line, bytes) else line.encode("latin-1") for line in lines)
    return parse_head(raw, LIMITS)


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"/", b"/", b""),
        (b"//b//k", b"//b//k", b""),
        (b"/b/k/", b"/b/k/", b""),
        (b"/b/../c/./d", b"/b/../c/./d", b""),
        (b"/b/%2F%00%ff+;{}^|", b"/b/%2F%00%ff+;{}^|", b""),
        (b"/b/\xc3\xa9", b"/b/\xc3\xa9", b""),
        (b"/b?uploads", b"/b", b"uploads"),
        (b"/b?a=1&a=&b??#x", b"/b", b"a=1&a=&b??#x"),
        (b"/b#frag", b"/b#frag", b""),
        (b"http://host:9000/b/k?x=y", b"/b/k", b"x=y"),
        (b"http://host", b"/", b""),
        (b"http://host?acl", b"/", b"acl"),
        (b"/http://host/k", b"/http://host/k", b""),
        (b"*", b"*", b""),
    ],
)
def test_path_and_query_are_handed_on_as_sent(target: bytes, path: bytes, query: bytes) -> None:
    head = parse(b"GET " + target + b" HTTP/1.1", "Host: h")
    assert (head.path, head.query) == (path, query)


def test_header_values_keep_bytes_order_and_duplicates() -> None:
    head = parse("GET / HTTP/1.1", "Host: h", b"X-A: \t2  3 \t", b"x-a:\xe9", "Empty:", "X-a: b:c")
    assert head.headers.items == [("host", "h"), ("x-a", "2  3"), ("x-a", "\xe9"), ("empty", ""), ("x-a", "b:c")]
    assert head.headers.all("x-a") == ["2  3", "\xe9", "b:c"]


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (["GET  / HTTP/1.1", "Host: h"], "BadRequest"),
        (["GET /", "Host: h"], "BadRequest"),
        (["G T / HTTP/1.1", "Host: h"], "BadRequest"),
        ([b"GET /\x01 HTTP/1.1", "Host: h"], "BadRequest"),
        (["GET k HTTP/1.1", "Host: h"], "InvalidURI"),
        (["CONNECT host:80 HTTP/1.1", "Host: h"], "InvalidURI"),
        (["GET / HTTP/2.0", "Host: h"], "HTTPVersionNotSupported"),
        (["GET / HTTP/1.1"], "MissingHost"),
        (["GET / HTTP/1.1", "Host: a", "Host: a"], "MissingHost"),
        (["PUT / HTTP/1.1", "Host: h", "Content-Length : 3"], "BadRequest"),
        (["PUT / HTTP/1.1", "Host: h", "Content\tLength: 3"], "BadRequest"),
        (["PUT / HTTP/1.1", "Host: h", "A: b", " folded"], "BadRequest"),
        (["PUT / HTTP/1.1", " Host: h"], "BadRequest"),
        (["GET / HTTP/1.1", "Host: h", "no colon"], "BadRequest"),
        (["GET / HTTP/1.1", "Host: h", ": empty"], "BadRequest"),
        (["GET / HTTP/1.1", "Host: h", "A: b\nC: d"], "BadRequest"),
        (["GET / HTTP/1.1", "Host: h", "A: b\rC: d"], "BadRequest"),
        (["GET / HTTP/1.1", "Host: h", "A: \0"], "BadRequest"),
        (["PUT / HTTP/1.1", "Host: h", "Content-Length: -1"], "InvalidContentLength"),
        (["PUT / HTTP/1.1", "Host: h", "Content-Length: +1"], "InvalidContentLength"),
        (["PUT / HTTP/1.1", "Host: h", "Content-Length: 1_0"], "InvalidContentLength"),
        (["PUT / HTTP/1.1", "Host: h", "Content-Length: 0x10"], "InvalidContentLength"),
        (["PUT / HTTP/1.1", "Host: h", "Content-Length: 5, 5"], "InvalidContentLength"),
        (["PUT / HTTP/1.1", "Host: h", "Content-Length:"], "InvalidContentLength"),
        (["PUT / HTTP/1.1", "Host: h", b"Content-Length: \xb2"], "InvalidContentLength"),
        (["PUT / HTTP/1.1", "Host: h", "Content-Length: 5", "Content-Length: 5"], "InvalidContentLength"),
        (["PUT / HTTP/1.1", "Host: h", f"Content-Length: {2**63}"], "EntityTooLarge"),
        (["PUT / HTTP/1.1", "Host: h", "Content-Length: " + "9" * 5000], "EntityTooLarge"),
        (["PUT / HTTP/1.1", "Host: h", "Content-Length: 5", "Transfer-Encoding: chunked"], "BadRequest"),
        (["PUT / HTTP/1.0", "Host: h", "Transfer-Encoding: chunked"], "BadRequest"),
        (["PUT / HTTP/1.1", "Host: h", "Transfer-Encoding: gzip, chunked"], "NotImplemented"),
        (["PUT / HTTP/1.1", "Host: h", "Transfer-Encoding: identity"], "NotImplemented"),
        (["PUT / HTTP/1.1", "Host: h", "Transfer-Encoding: chunked", "Transfer-Encoding: x"], "NotImplemented"),
        (["PUT / HTTP/1.1", "Host: h", "Expect: 200-maybe"], "ExpectationFailed"),
        (["GET / HTTP/1.1", "Host: h", "A: " + "x" * 8192], "MetadataTooLarge"),
    ],
)
def test_ambiguous_and_broken_heads_are_refused(lines: list[str | bytes], code: str) -> None:
    """S08, P07: negative, huge, doubled lengths, smuggling by blanks, folding, bare line ends."""
    with pytest.raises(Refused) as caught:
        parse(*lines)
    assert caught.value.code == code
    assert 400 <= REFUSALS[code][0] < 600


@pytest.mark.parametrize(
    ("version", "connection", "keeps"),
    [
        ("1.1", None, True),
        ("1.1", "close", False),
        ("1.1", "a, Keep-Alive", True),
        ("1.1", "keep-alive, CLOSE", False),
        ("1.0", None, False),
        ("1.0", "Keep-Alive", True),
    ],
)
def test_connection_is_kept_as_asked(version: str, connection: str | None, keeps: bool) -> None:
    fields = [] if connection is None else [f"Connection: {connection}"]
    assert parse(f"GET / HTTP/{version}", "Host: h", *fields).keep_alive is keeps


def test_framing_is_recognised() -> None:
    assert parse("PUT / HTTP/1.1", "Host: h").length is None
    assert parse("PUT / HTTP/1.1", "Host: h", "Content-Length: 007").length == 7
    head = parse("PUT / HTTP/1.1", "Host: h", "Transfer-Encoding: CHUNKED")
    assert head.chunked and head.length is None
    assert parse("PUT / HTTP/1.1", "Host: h", "Expect: 100-Continue").expects
    assert not parse("PUT / HTTP/1.0", "Expect: 100-continue").expects


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400), st.booleans())
def test_no_bytes_crash_the_parser(junk: bytes, prefixed: bool) -> None:
    """P07: whatever arrives is parsed or refused."""
    raw = (b"PUT /b/k HTTP/1.1\r\nHost: h\r\n" if prefixed else b"") + junk
    try:
        parse_head(raw, LIMITS)
    except Refused as refused:
        assert refused.code in REFUSALS


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /" + b"a" * 16000 + b"\x01",
        b"A" * 16000,
        b"GET / HTTP/1.1" + b"\r\na:b" * 1600 + b"\x00",
        b"GET / HTTP/1.1\r\n" + b"a" * 8000,
        b"GET / HTTP/1.1\r\na:" + b" \t" * 4000 + b"\x00",
        b"GET http" + b":" * 8000 + b" HTTP/1.1",
    ],
)
def test_parsing_takes_linear_time(raw: bytes) -> None:
    """P06: the longest head of the nastiest shape costs less than ten milliseconds."""
    best = 1.0
    for _ in range(3):
        begun = time.perf_counter()
        with pytest.raises(Refused):
            parse_head(raw, LIMITS)
        best = min(best, time.perf_counter() - begun)
    assert best < 0.01
