"""A relay before a server, which can be told to take connections and say nothing."""

from __future__ import annotations

import contextlib
import socket
from threading import Thread


class Relay:
    """:param port: of the server on this machine"""

    def __init__(self, port: int) -> None:
        self._to = port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._silent = False
        self._held: list[socket.socket] = []
        Thread(target=self._accept, daemon=True).start()

    @property
    def waiting(self) -> int:
        """Connections that were taken and get no answer."""
        return len(self._held)

    def hang(self) -> None:
        self._silent = True

    def close(self) -> None:
        """End everything."""
        for one in (self._listening, *self._held):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def __enter__(self) -> Relay:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client = self._listening.accept()[0]
                if self._silent:
                    self._held.append(client)
                    continue
                server = socket.create_connection(("127.0.0.1", self._to))
                for pair in ((client, server), (server, client)):
                    Thread(target=_copy, args=pair, daemon=True).start()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for one in (source, target):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
