"""The same over TLS, where threads cannot have the connection."""

from __future__ import annotations

import hashlib
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sos.http.limits import Limits
from sos.http.message import Reply, Request
from tests.kit.http_server import Client, HttpServer

SIZE = 3_000_001


class Zeros:
    def __init__(self, size: int) -> None:
        self.length = size
        self._left = size
        self._buffer = bytearray(1 << 20)

    def next_batch(self) -> list[memoryview]:
        count = min(self._left, len(self._buffer))
        self._left -= count
        return [memoryview(self._buffer)[:count]] if count else []

    def put_back(self, count: int) -> None:
        self._left += count

    def close(self) -> None:
        self._buffer[:] = b"\xff" * len(self._buffer)


async def handler(request: Request) -> Reply:
    assert request.secure
    if request.method == "PUT":
        if request.body.length is None:
            data: bytes | bytearray = await request.body.read_all(1 << 26)
        else:
            data = bytearray(request.body.length)
            with memoryview(data) as view:
                await request.body.fill([view[:1000], view[1000:]], lambda: None)
        return Reply(200, [], hashlib.md5(data).hexdigest().encode())
    stream = Zeros(int(request.path[1:]))
    return Reply(200, [], stream, first=stream.next_batch())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpServer]:
    folder: Path = tmp_path_factory.mktemp("tls")
    key, cert = folder / "private.key", folder / "public.crt"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subprocess.run(
        [*command, "-keyout", key, "-out", cert, "-subj", "/CN=localhost", "-days", "2"],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    with HttpServer(handler, limits=Limits(linger_s=0.3, sweep_s=0.05), tls=context) as running:
        yield running


def connect(server: HttpServer) -> Client:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return Client(context.wrap_socket(server.connect().sock, server_hostname="localhost"))


def test_large_bodies_and_replies(server: HttpServer) -> None:
    body = bytes(range(256)) * (SIZE // 256)
    with connect(server) as client:
        for _ in range(2):
            client.send(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            assert client.answer().body.decode() == hashlib.md5(body).hexdigest()
            answer = client.get(b"/%d" % SIZE)
            assert len(answer.body) == SIZE and not any(answer.body)


def test_chunked_bodies_of_the_sdks(server: HttpServer) -> None:
    body = bytes(range(256)) * 4000
    pieces = [body[at : at + 65_536] for at in range(0, len(body), 65_536)]
    raw = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    with connect(server) as client:
        client.send(b"PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n")
        assert client.answer().status == 100
        client.send(raw)
        assert client.answer().body.decode() == hashlib.md5(body).hexdigest()


def test_refusals_are_s3_errors(server: HttpServer) -> None:
    with connect(server) as client:
        client.send(b"GET / HTTP/1.1\r\n\r\n")
        assert client.answer().code == "BadRequest"


def test_a_client_that_leaves_in_the_body(server: HttpServer) -> None:
    with connect(server) as client:
        client.send(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\nabc" % SIZE)
    with connect(server) as client:
        assert client.get(b"/10").status == 200
