"""Requests that are broken, hostile or never end: each gets an answer or a closed connection, and every worker lives
(the ``server`` fixture compares process ids at the end)."""

from __future__ import annotations

import http.client
import os
import random
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.kit.checksums import text
from tests.kit.server import BROKEN, Client, Server
from tests.kit.wire import SIGNED_CHUNKS, STREAMING, UNSIGNED, UNSIGNED_TRAILER, Wired, exchange

SILENCE_S = 1.0


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that waits a second for a client."""
    env = {"SOS_BODY_TIMEOUT": "1s", "SOS_READ_HEADER_TIMEOUT": "1s"}
    with Server(tmp_path_factory.mktemp("impatient"), drives=4, workers=2, env=env) as running:
        before = running.worker_pids()
        running.boto3().create_bucket(Bucket="bucket")
        yield running
        assert running.worker_pids() == before


def answer(server: Server, data: bytes, end: bool = False) -> tuple[int, str, float]:
    """Send and wait: status (0 = closed without an answer), code, seconds."""
    began = time.monotonic()
    try:
        reply = exchange(server.port, data, end=end)
    except BROKEN:
        return 0, "", time.monotonic() - began
    return reply.status, reply.code, time.monotonic() - began


@pytest.mark.parametrize("mode", [UNSIGNED, *STREAMING])
@pytest.mark.parametrize("cut", [0, 3, 100, 40_000, -1, -3, -90])
def test_bodies_that_stop(impatient: Server, mode: str, cut: int) -> None:
    """R29: a body cut anywhere, with the connection left open or closed, ends in time and stores nothing."""
    pieces = [b"x" * 30_000] * 3
    for end in (True, False):
        if not end and cut not in (0, 40_000, -1):
            continue
        wired = Wired(impatient.port, "PUT", "/bucket/cut", payload=mode).sign(*pieces)
        whole = wired.raw()
        data = whole[: len(whole) - len(wired.body) + cut] if cut >= 0 else whole[:cut]
        status, code, taken = answer(impatient, data, end)
        assert status in (0, 400, 408)
        assert code in ("", "IncompleteBody", "RequestTimeout")
        assert taken < 10 * SILENCE_S
    with impatient.client() as client:
        assert client.request("HEAD", "/bucket/cut").status == 404


def test_a_body_that_drips(impatient: Server) -> None:
    """R29: a byte now and then keeps neither the request alive for ever nor a thread busy; others go on meanwhile."""
    wired = Wired(impatient.port, "PUT", "/bucket/drip", payload=SIGNED_CHUNKS).sign(b"x" * 50_000)
    data = wired.raw()
    socks = []
    for _ in range(30):
        sock = socket.create_connection(("127.0.0.1", impatient.port))
        sock.sendall(data[:2000])
        socks.append(sock)
    with impatient.client() as client:
        for number in range(20):
            assert client.request("PUT", f"/bucket/{number}", body=b"y" * 200_000).status == 200
    for sock in socks:
        sock.settimeout(20)
        try:
            head = sock.recv(100)
            assert head == b"" or head.split()[1] in (b"400", b"408")
        except OSError:
            pass
        sock.close()


def test_heads_that_stop(impatient: Server) -> None:
    for data in (b"", b"G", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"y" * 1000):
        status, code, taken = answer(impatient, data)
        assert (status, code) in ((0, ""), (408, "RequestTimeout"), (400, "RequestTimeout"))
        assert taken < 10 * SILENCE_S


HEADS = [
    b"\x00" * 100,
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),  # TLS to a plain port
    b"GET\r\n\r\n",
    b"GET / HTTP/9.9\r\nHost: h\r\n\r\n",
    b"GET / HTTP/2.0\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost : h\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: h\r\n folded: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: h\r\nX: a\x00b\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: h\r\n: nameless\r\n\r\n",
    b"GET  / HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET /a b HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET \x01 HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET http:// HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET / HTTP/1.1\nHost: h\n\n",
    b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: h\r\n" + b"X: y\r\n" * 50_000 + b"\r\n",
    b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
    b"PUT /b/k HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    b"PUT /b/k HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 200-ok\r\n\r\n",
    b"GET /?" + b"&" * 5000 + b" HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET /?a=%zz HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET /b?prefix=%ff%fe HTTP/1.1\r\nHost: h\r\n\r\n",
]


@pytest.mark.parametrize("number", range(len(HEADS)))
def test_broken_heads(server: Server, number: int) -> None:
    """P06 P07: a 4xx or 5xx document or a closed connection, at once."""
    status, _, taken = answer(server, HEADS[number], end=True)
    assert status == 0 or 400 <= status < 600
    assert taken < 5


def test_random_bytes(server: Server) -> None:
    """P07: noise, and good requests with noise in them."""
    chance = random.Random(7)
    good = Wired(server.port, "PUT", "/bucket-x/key", payload=UNSIGNED_TRAILER).sign(b"abc" * 100).raw()
    for _ in range(150):
        data = bytearray(good) if chance.random() < 0.7 else bytearray(chance.randbytes(chance.randint(1, 2000)))
        for _ in range(chance.randint(1, 8)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        status, _, taken = answer(server, bytes(data), end=True)
        assert status == 0 or status >= 300
        assert taken < 5


def test_a_header_like_the_conditions_of_policies(wire: Client, shared: str) -> None:
    """S09: headers named like what a policy asks about mean nothing."""
    names = ("aws:sourceip", "aws-sourceip", "x-forwarded-for", "x-real-ip", "s3-prefix", "x-amz-acl-owner")
    for name in names:
        if ":" in name:
            continue
        assert wire.request("GET", f"/{shared}", headers={name: "127.0.0.1"}).status == 200


# -- documents ----------------------------------------------------------------------------------------

BOMB = (
    "<!DOCTYPE x [" + "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10 if i else "x" * 100}">' for i in range(10)) + "]>"
    "<Delete><Object><Key>&l9;</Key></Object></Delete>"
)
DOCUMENTS = {
    "entity bomb": BOMB,
    "external entity": '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><Delete><Object><Key>&e;</Key></Object></Delete>',
    "external dtd": '<!DOCTYPE x SYSTEM "http://127.0.0.1:1/x.dtd"><Delete/>',
    "parameter entity": '<!DOCTYPE x [<!ENTITY % p SYSTEM "file:///etc/passwd"> %p;]><Delete/>',
    "unknown entity": "<Delete><Object><Key>&nbsp;</Key></Object></Delete>",
    "deep": "<a>" * 100_000,
    "deep in a key": "<Delete><Object><Key>" + "<a>" * 50_000,
    "wide": "<Delete>" + "<Object><Key>a</Key></Object>" * 200_000 + "</Delete>",
    "attributes": "<Delete " + " ".join(f'a{i}="x"' for i in range(50_000)) + "/>",
    "not well formed": "<Delete><Object></Delete></Object>",
    "two roots": "<Delete/><Delete/>",
    "nothing": "",
    "only space": " \n ",
    "NUL": "<Delete><Object><Key>a\0b</Key></Object></Delete>",
    "control": "<Delete><Object><Key>a\x01b</Key></Object></Delete>",
    "utf-16 declared": '<?xml version="1.0" encoding="UTF-16"?><Delete/>',
    "unknown encoding": '<?xml version="1.0" encoding="x-none"?><Delete/>',
    "typo": "<Delete><Object><Kye>a</Kye></Object></Delete>",
    "json": '{"Delete": {}}',
}


@pytest.mark.parametrize("name", DOCUMENTS)
@pytest.mark.parametrize("where", ["delete", "complete", "create"])
def test_hostile_documents(wire: Client, s3: Any, shared: str, name: str, where: str) -> None:
    """P05 P08: refused quickly, by code, wherever a document is read."""
    body = DOCUMENTS[name].encode()
    began = time.monotonic()
    if where == "delete":
        reply = wire.request("POST", f"/{shared}", {"delete": ""}, body, {"x-amz-checksum-crc32": crc(body)})
    elif where == "complete":
        upload = s3.create_multipart_upload(Bucket=shared, Key="key")["UploadId"]
        body = body.replace(b"Delete", b"CompleteMultipartUpload").replace(b"Object", b"Part")
        reply = wire.request("POST", f"/{shared}/key", {"uploadId": upload}, body)
    elif name in ("nothing", "attributes"):
        return  # no document is needed, and attributes mean nothing
    else:
        reply = wire.request("PUT", "/never-made", body=body.replace(b"Delete", b"CreateBucketConfiguration"))
    assert (reply.status, reply.code) == (400, "MalformedXML"), reply.body
    assert time.monotonic() - began < 5
    assert wire.request("HEAD", "/never-made").status == 404


def crc(body: bytes) -> str:
    return text("CRC32", body)


def test_a_hundred_megabytes_of_document(server: Server, s3: Any, shared: str) -> None:
    """P05: refused by its length, before it is read."""
    upload = s3.create_multipart_upload(Bucket=shared, Key="key")["UploadId"]
    for method, path, query in (
        ("POST", f"/{shared}", "delete="),
        ("POST", f"/{shared}/key", f"uploadId={upload}"),
        ("PUT", "/never-made", ""),
    ):
        headers = {"content-length": str(100 << 20), "content-md5": "A" * 22 + "=="}
        began = time.monotonic()
        reply = Wired(server.port, method, path, query, headers=headers).sign().send()
        assert reply.status == 400 and reply.code in ("EntityTooLarge", "MalformedXML")
        assert time.monotonic() - began < 5


def test_clients_that_leave(server: Server, s3: Any, shared: str) -> None:
    """Connections cut in the middle of bodies and replies leave nothing behind and kill nobody."""
    s3.put_object(Bucket=shared, Key="large", Body=os.urandom(20 << 20))
    for i in range(20):
        wired = Wired(server.port, "PUT", f"/{shared}/left-{i}").sign(b"x" * (1 << 20))
        with socket.create_connection(("127.0.0.1", server.port)) as sock:
            sock.sendall(wired.raw()[: 500_000 + i])
        reading = Wired(server.port, "GET", f"/{shared}/large").sign()
        with socket.create_connection(("127.0.0.1", server.port)) as sock:
            sock.sendall(reading.raw())
            sock.recv(100_000)
    assert s3.list_objects_v2(Bucket=shared, Prefix="left")["KeyCount"] == 0
    assert len(s3.get_object(Bucket=shared, Key="large")["Body"].read()) == 20 << 20


def test_pipelined_requests(server: Server, s3: Any, shared: str) -> None:
    """Several requests in one packet are answered one by one, in order."""
    for i in range(5):
        s3.put_object(Bucket=shared, Key=f"pipe-{i}", Body=b"%d" % i * 10)
    data = b"".join(Wired(server.port, "GET", f"/{shared}/pipe-{i}").sign().raw() for i in range(5))
    with socket.create_connection(("127.0.0.1", server.port), 10) as sock:
        sock.sendall(data)
        for i in range(5):
            reply = http.client.HTTPResponse(sock)
            # unbuffered: the rest of the packet belongs to the next reply
            reply.fp = sock.makefile("rb", buffering=0)
            reply.begin()
            assert reply.read() == b"%d" % i * 10
