"""The HTTP shell with a programmable handler in a thread of its own, and a client that speaks raw bytes."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import uvloop

from sos.http.limits import Limits
from sos.http.message import Reply, Request
from sos.http.sanic_app import Server, make_app, serve

WAIT_S = 20.0


async def echo(request: Request) -> Reply:
    """Tells what arrived: the request as seen, and the md5 of its body."""
    body = await request.body.read_all(1 << 26)
    facts = b"\n".join(
        [
            request.method.encode(),
            request.path,
            request.query,
            b"%d" % len(body),
            hashlib.md5(body).hexdigest().encode(),
        ]
    )
    return Reply(200, [("Content-Type", "text/plain")], facts)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that another thread or the connection brings about."""
    while not condition():  # noqa: ASYNC110 - nothing signals it to this loop
        await asyncio.sleep(0.001)


class HttpServer:
    """Serves ``handler`` on a loopback port until closed."""

    def __init__(
        self,
        handler: Callable[[Request], Awaitable[Reply]] = echo,
        limits: Limits | None = None,
        tls: ssl.SSLContext | None = None,
        get_threads: int = 2,
    ) -> None:
        self.handler = handler
        self.put_pool = ThreadPoolExecutor(2)
        self.get_pool = ThreadPoolExecutor(get_threads)
        self._sock = socket.socket()
        self._sock.bind(("127.0.0.1", 0))
        self.port: int = self._sock.getsockname()[1]
        self._limits = limits or Limits()
        self._tls = tls
        self._up: Future[Server] = Future()
        self.loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._main, daemon=True)
        self._thread.start()
        self.server = self._up.result(WAIT_S)

    def _main(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self._start())
        self.loop.run_forever()
        self.loop.close()

    async def _start(self) -> None:
        async def handle(request: Request) -> Reply:
            return await self.handler(request)

        try:
            app = make_app(handle, self.put_pool, self.get_pool, limits=self._limits)
            self._up.set_result(await serve(app, self._sock, self._tls))
        except BaseException as error:
            self._up.set_exception(error)
            raise

    def run(self, work: Awaitable[Any]) -> Any:
        async def call() -> Any:
            return await work

        return asyncio.run_coroutine_threadsafe(call(), self.loop).result(WAIT_S)

    def connect(self, receive_buffer: int = 0) -> Client:
        sock = socket.socket()
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(WAIT_S)
        sock.connect(("127.0.0.1", self.port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return Client(sock)

    def ask(self, raw: bytes) -> Answer:
        """One request on a connection of its own."""
        with self.connect() as client:
            client.send(raw)
            return client.answer(raw.startswith(b"HEAD "))

    def alive(self) -> bool:
        return self.ask(b"GET /alive HTTP/1.1\r\nHost: h\r\n\r\n").status != 0

    def close(self) -> None:
        self.run(self.server.drain(2.0))
        self.run(self._end())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(WAIT_S)
        self._sock.close()
        self.put_pool.shutdown()
        self.get_pool.shutdown()

    async def _end(self) -> None:
        """Let no task be left to the collector, which would end it in the middle of another test."""
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=2.0)

    def __enter__(self) -> HttpServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name), None)

    @property
    def code(self) -> str:
        """The code of an S3 error document."""
        assert self.header("content-type") == "application/xml", self
        return self.body.partition(b"<Code>")[2].partition(b"</Code>")[0].decode()


class Client:
    """A connection."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._held = b""

    def send(self, raw: bytes) -> None:
        self.sock.sendall(raw)

    def finish(self) -> None:
        """No more bytes come from us; the answer is still read."""
        self.sock.shutdown(socket.SHUT_WR)

    def get(self, path: bytes) -> Answer:
        self.send(b"GET " + path + b" HTTP/1.1\r\nHost: h\r\n\r\n")
        return self.answer()

    def answer(self, bodyless: bool = False) -> Answer:
        head = self.until(b"\r\n\r\n").decode("latin-1")
        lines = head.split("\r\n")
        headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines[1:] if line)]
        answer = Answer(int(lines[0].split(" ")[1]), headers, b"")
        length = answer.header("content-length")
        if bodyless or answer.status in (204, 304) or answer.status < 200:
            return answer
        if answer.header("transfer-encoding") == "chunked":
            answer.body = self._chunks()
        else:
            answer.body = self.exactly(int(length)) if length is not None else self.rest()
        return answer

    def _chunks(self) -> bytes:
        pieces = []
        while size := int(self.until(b"\r\n"), 16):
            pieces.append(self.exactly(size))
            assert self.exactly(2) == b"\r\n"
        assert self.exactly(2) == b"\r\n"
        return b"".join(pieces)

    def until(self, mark: bytes) -> bytes:
        while mark not in self._held:
            piece = self.sock.recv(65536)
            if not piece:
                raise EOFError(self._held)
            self._held += piece
        found, _, self._held = self._held.partition(mark)
        return found

    def exactly(self, count: int) -> bytes:
        pieces, have = [self._held], len(self._held)
        while have < count:
            piece = self.sock.recv(1 << 20)
            if not piece:
                raise EOFError(f"{have} of {count}")
            pieces.append(piece)
            have += len(piece)
        data = b"".join(pieces)
        self._held = data[count:]
        return data[:count]

    def rest(self) -> bytes:
        """Everything until the server closes."""
        pieces = [self._held]
        self._held = b""
        while piece := self.sock.recv(1 << 20):
            pieces.append(piece)
        return b"".join(pieces)

    def closed(self) -> bool:
        """Wait until the server has closed, with nothing more sent."""
        try:
            return self.rest() == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self.sock.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
