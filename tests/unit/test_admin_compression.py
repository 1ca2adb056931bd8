"""Replies of the admin API, compressed for those who ask for it."""

from __future__ import annotations

import asyncio
import gzip
import json

import pytest

from sos.admin.compression import BYTES_MIN, ON_LOOP_BYTES_MAX, compressed
from sos.http.message import Headers, Reply, Request

LONG = json.dumps(["word"] * 1000).encode()


def asked(accepts: str | None, body: bytes = LONG, kind: str = "application/json", status: int = 200) -> Reply:
    headers = Headers([] if accepts is None else [("accept-encoding", accepts)])
    request = Request("GET", b"/", b"", headers, None, "", False, "1", 0)  # type: ignore[arg-type]
    return asyncio.run(compressed(request, Reply(status, [("Content-Type", kind)], body)))


@pytest.mark.parametrize("accepts", ["gzip", "GZIP", "br, gzip;q=0.5", "deflate,gzip ; q=1", "gzip, deflate, br"])
@pytest.mark.parametrize("body", [LONG, LONG * (2 * ON_LOOP_BYTES_MAX // len(LONG))], ids=["short", "in a thread"])
def test_who_takes_gzip_gets_it(accepts: str, body: bytes) -> None:
    reply = asked(accepts, body)
    assert ("Content-Encoding", "gzip") in reply.headers and ("Vary", "Accept-Encoding") in reply.headers
    assert isinstance(reply.body, bytes) and len(reply.body) < len(body) // 4
    assert (gzip.decompress(reply.body) == body) is True


@pytest.mark.parametrize("accepts", [None, "", "br", "identity", "gzip;q=0", "gzip;q=0.0, br", "xgzip"])
def test_who_does_not_gets_it_as_it_is(accepts: str | None) -> None:
    reply = asked(accepts)
    assert "Content-Encoding" not in dict(reply.headers) and reply.body == LONG


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (LONG[: BYTES_MIN - 1], "application/json", 200),
        (b"\x17" + LONG, "application/json", 200),
        (LONG, "application/zip", 200),
        (LONG, "application/json", 500),
    ],
    ids=["short", "encrypted", "an archive", "an error"],
)
def test_what_gains_nothing_is_sent_as_it_is(body: bytes, kind: str, status: int) -> None:
    reply = asked("gzip", body, kind, status)
    assert "Content-Encoding" not in dict(reply.headers) and reply.body == body


def test_pages_of_metrics_are_compressed() -> None:
    """Prometheus always asks for it."""
    assert ("Content-Encoding", "gzip") in asked("gzip", b"# HELP\n" * 1000, "text/plain; version=0.0.4").headers
