"""Clients that take their time, beside others (R29)."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack
from pathlib import Path

from tests.kit.server import PATIENCE_S, Server
from tests.kit.wire import Wired

MIB = 1 << 20
#: A worker holds three batches of a set of 2 + 2, and sets fourteen apart; these clients ask for all of them.
BUFFERS = "32MiB"
SLOW = 14


def test_slow_uploads_do_not_keep_others_out(tmp_path: Path, servers: list[Server]) -> None:
    """Each of them holds a batch of its own, all the time that it takes to send it."""
    server = Server(tmp_path, 4, env={"SOS_BUFFERS_BYTES_MAX": BUFFERS})
    servers.append(server)
    server.start()
    body = random.Random(0).randbytes(8 * MIB)
    with server.client() as client:
        assert client.request("PUT", "/slow").status == 200
    with ExitStack() as stack:
        slow = []
        for number in range(SLOW):
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), PATIENCE_S))
            raw = Wired(server.port, "PUT", f"/slow/slow-{number}").sign(body).raw()
            sock.sendall(raw[: len(raw) - len(body) + MIB])
            slow.append((sock, raw[len(raw) - len(body) + MIB :]))
        for slot in range(2):
            with server.client_of(slot) as client:
                for number in range(3):
                    reply = client.request("PUT", f"/slow/quick-{slot}-{number}", body=body)
                    assert (reply.status, reply.code) == (200, "")
        for sock, rest in slow:
            sock.sendall(rest)
        for sock, _ in slow:
            assert sock.recv(4096).startswith(b"HTTP/1.1 200 ")
    with server.client() as client:
        for number in range(SLOW):
            assert (client.request("GET", f"/slow/slow-{number}").body == body) is True
