"""Heads of replies, error documents, request ids, patience with slow peers."""

from __future__ import annotations

import asyncio
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor

from sos.http.limits import Limits, Patience
from sos.http.refusals import REFUSALS, render_plain_error
from sos.http.reply_head import SERVER_HEADERS, HeadWriter, server_headers
from sos.http.shell import Shell

SECOND = 1_000_000_000


def write(
    status: int = 200, fields=(), length: int | None = 0, closing: bool = False, http10: bool = False, ns: int = 0
):
    return HeadWriter(SERVER_HEADERS).write(status, list(fields), "ID", length, closing, http10, ns)


def test_every_reply_carries_what_minio_sends() -> None:
    head = write(ns=784111777 * SECOND).decode()
    assert head.startswith("HTTP/1.1 200 OK\r\n")
    assert head.endswith("\r\n\r\n")
    for line in (
        "Server: MinIO",
        "Accept-Ranges: bytes",
        "X-Amz-Request-Id: ID",
        "X-Content-Type-Options: nosniff",
        "Date: Sun, 06 Nov 1994 08:49:37 GMT",
        "Content-Length: 0",
    ):
        assert f"\r\n{line}\r\n" in head
    assert "Connection" not in head


def test_the_date_moves_on() -> None:
    writer = HeadWriter(())
    assert b"08:49:37" in writer.write(200, [], "", 0, False, False, 784111777 * SECOND)
    assert b"08:49:38" in writer.write(200, [], "", 0, False, False, 784111778 * SECOND)


def test_a_value_cannot_add_a_header() -> None:
    head = write(fields=[("Content-Disposition", "a\r\nX-Evil: 1\n\rX: 2\0"), ("B", "c")])
    assert b"\r\nX-Evil" not in head and b"\nX-Evil" not in head
    assert b"\r\nContent-Disposition: a  X-Evil: 1  X: 2 \r\nB: c\r\n" in head


def test_values_are_the_bytes_that_came_in() -> None:
    assert b"x-amz-meta-a: \xe9\r\n" in write(fields=[("x-amz-meta-a", "\xe9")])
    assert "x-amz-meta-a: \u4e16\r\n".encode() in write(fields=[("x-amz-meta-a", "\u4e16")])


def test_connection_header_only_where_it_says_something() -> None:
    assert b"Connection: close\r\n" in write(closing=True)
    assert b"Connection: keep-alive\r\n" in write(http10=True)
    assert b"Content-Length" not in write(length=None)


def test_the_node_gives_the_host_id() -> None:
    headers = dict(server_headers("node-1", "sos"))
    assert headers["Server"] == "sos" and len(headers["X-Amz-Id-2"]) == 64


def test_error_documents_are_xml_whatever_the_resource() -> None:
    for code, (status, message) in REFUSALS.items():
        reply = render_plain_error(code, status, "ID", b"/b/<&\x00\xff\x1b")
        assert isinstance(reply.body, bytes)
        root = ET.fromstring(reply.body)
        assert root.tag == "Error" and root.findtext("Message") == message
        assert root.findtext("Resource", "").startswith("/b/<&")
        assert reply.status == status


def test_request_ids_are_unique_and_rise() -> None:
    loop = asyncio.new_event_loop()
    pool = ThreadPoolExecutor(1)
    try:
        shell = Shell(loop, lambda _: None, pool, pool, (), Limits())  # type: ignore[arg-type,return-value]
        ids = [shell.next_request_id(ns) for ns in (5, 5, 4, 9)]
    finally:
        pool.shutdown()
        loop.close()
    assert ids == [f"{n:016X}" for n in (5, 6, 7, 9)]


def test_patience_counts_only_silence() -> None:
    patience = Patience(10.0, Limits(rate_min=100, rate_grace_s=1000.0))
    patience.waited(9.0)
    assert patience.left_s() == 1.0
    patience.progress(1)
    assert patience.left_s() == 10.0


def test_patience_ends_below_the_minimum_rate() -> None:
    """R29: one byte at a time does not buy time for ever."""
    patience = Patience(10.0, Limits(rate_min=100, rate_grace_s=30.0))
    seconds = 0
    while patience.left_s() > 0:
        patience.waited(1.0)
        patience.progress(1)
        seconds += 1
        assert seconds < 100
    assert 30 <= seconds <= 32
    patience.progress(1000)
    assert patience.left_s() > 0
