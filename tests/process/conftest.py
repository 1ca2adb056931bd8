"""Starts toy servers and ends them."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.kit.server import ROOT, alive, children, until

PATIENCE_S = 20.0


class Server:
    """One toy server."""

    def __init__(self, *arguments: str, env: dict[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.process.toy", *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env={**os.environ, **(env or {})},
        )  # fmt: skip
        self.pid = self.process.pid
        self.said: queue.Queue[dict[str, Any]] = queue.Queue()
        self.log: list[str] = []
        self._readers = [threading.Thread(target=self._say), threading.Thread(target=self._log)]
        for reader in self._readers:
            reader.start()
        self.port = 0

    def _say(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.put(json.loads(line))

    def _log(self) -> None:
        assert self.process.stderr is not None
        self.log.extend(self.process.stderr)

    def ready(self) -> Server:
        self.port = self.said.get(timeout=PATIENCE_S)["port"]
        return self

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)

    def ask(self, *lines: str) -> list[str]:
        with self.connect() as sock:
            return [talk(sock, line) for line in lines]

    def reach(self, pid: int) -> socket.socket:
        """A connection to one worker: the kernel spreads them, so try until it is the one."""

        def one() -> socket.socket | None:
            sock = self.connect()
            if talk(sock, "pid") == str(pid):
                return sock
            sock.close()
            return None

        return until(one, f"a connection to worker {pid}")

    def workers(self) -> list[int]:
        return [pid for pid in children(self.pid) if alive(pid)]

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        code = self.process.wait(PATIENCE_S)
        for reader in self._readers:
            reader.join(PATIENCE_S)
        return code

    def text(self) -> str:
        return "".join(self.log)

    def close(self) -> None:
        for pid in self.workers() if self.process.poll() is None else []:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self.process.kill()
        self.wait()


def talk(sock: socket.socket, line: str) -> str:
    """One command and its answer; empty when the connection ended."""
    sock.sendall(line.encode() + b"\n")
    return hear(sock)


def hear(sock: socket.socket) -> str:
    data = b""
    while not data.endswith(b"\n"):
        try:
            got = sock.recv(100)
        except ConnectionResetError:
            return ""
        if not got:
            return ""
        data += got
    return data.decode().strip()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Starts a toy server; all are ended with the test."""
    started: list[Server] = []

    def start(*arguments: str, env: dict[str, str] | None = None) -> Server:
        started.append(Server(*arguments, env=env))
        return started[-1]

    yield start
    for server in started:
        server.close()
