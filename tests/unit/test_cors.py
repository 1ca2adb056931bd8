"""Cross-origin requests, for every path and every kind of answer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sos.s3.cors import allowed
from tests.kit.surface import Surface

ORIGIN = {"origin": "https://app.example"}
ASKING = {**ORIGIN, "access-control-request-method": "PUT"}


@pytest.fixture
def s3() -> Iterator[Surface]:
    surface = Surface()
    yield surface
    surface.close()


@pytest.mark.parametrize("target", ["/", "/bucket", "/bucket/some/key?uploads", "/minio/health/live"])
def test_every_origin_may_ask_by_default(s3: Surface, target: str) -> None:
    sent = {**ASKING, "access-control-request-headers": "authorization,x-amz-date"}
    reply = s3.send("OPTIONS", target, sent, signed=False)
    assert (reply.status, reply.body) == (204, b"")
    assert reply.headers["access-control-allow-origin"] == "*"
    assert reply.headers["access-control-allow-methods"] == "PUT"
    assert reply.headers["access-control-allow-headers"] == "authorization,x-amz-date"


def test_credentials_are_never_allowed(s3: Surface) -> None:
    """A10: what a browser sends by itself (cookies) must not be of use to another origin."""
    for reply in (s3.send("OPTIONS", "/bucket", ASKING, signed=False), s3.send("GET", "/", ORIGIN)):
        assert "access-control-allow-credentials" not in reply.headers


def test_no_preflight_without_origin_and_method(s3: Surface) -> None:
    for headers in ({}, ORIGIN, {"access-control-request-method": "PUT"}):
        reply = s3.send("OPTIONS", "/bucket", headers, signed=False)
        assert (reply.status, reply.headers) == (200, {})


def test_unknown_methods_are_not_allowed(s3: Surface) -> None:
    reply = s3.send("OPTIONS", "/bucket", {**ORIGIN, "access-control-request-method": "BREW"}, signed=False)
    assert reply.status == 204
    assert "access-control-allow-origin" not in reply.headers


def test_scripts_may_read_replies_and_errors(s3: Surface) -> None:
    for target, status in (("/", 200), ("/none", 404), ("/minio/health/live", 200)):
        reply = s3.send("GET", target, ORIGIN)
        assert (reply.status, reply.headers["access-control-allow-origin"]) == (status, "*")
        assert "Etag" in reply.headers["access-control-expose-headers"]
    assert "access-control-allow-origin" not in s3.send("GET", "/").headers


def test_only_configured_origins() -> None:
    s3 = Surface(origins=("https://app.example",))
    assert s3.send("GET", "/", ORIGIN).headers["access-control-allow-origin"] == "https://app.example"
    assert "access-control-allow-origin" not in s3.send("GET", "/", {"origin": "https://evil.example"}).headers
    refused = s3.send("OPTIONS", "/", {**ASKING, "origin": "https://evil.example"}, signed=False)
    assert "access-control-allow-origin" not in refused.headers
    s3.close()


@pytest.mark.parametrize(
    ("pattern", "origin", "good"),
    [
        ("https://*.example", "https://a.example", True),
        ("https://*.example", "https://a.b.example", True),
        ("https://*.example", "https://.example", True),
        ("https://*.example", "http://a.example", False),
        ("https://*.example", "https://a.example.evil", False),
        ("https://aba*aba", "https://aba", False),
        ("http://[::1]:80", "http://[::1]:80", True),
        ("http://[::1]:80", "http://:", False),
    ],
)
def test_patterns(pattern: str, origin: str, good: bool) -> None:
    assert allowed(origin, ("https://other", pattern)) == (origin if good else "")
