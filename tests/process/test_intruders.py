"""The ways into a server beside its API: the sockets of its workers, and calls that name a place to fetch from."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sos.mesh.frames import encode
from tests.kit.operator import mesh_address
from tests.kit.server import Server

NOBODY = 65534

KNOCK = """
import os, socket, sys
os.setuid(int(sys.argv[3]))
knocking = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
knocking.settimeout(30)
try:
    knocking.connect(bytes.fromhex(sys.argv[1]))
    knocking.sendall(bytes.fromhex(sys.argv[2]))
    print(len(knocking.recv(100)))
except ConnectionError:
    print(0)
"""


def knock(address: str, data: bytes, user: int) -> int:
    """Bytes of the answer that a process of a user gets."""
    command = [sys.executable, "-c", KNOCK, address.encode().hex(), data.hex(), str(user)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(os.getuid() != 0, reason="needs to be another user")
def test_workers_answer_their_own_user_alone(tmp_path: Path) -> None:
    """A20: who may call is what the kernel says of the other end: there is no secret to guess, to default or to leak."""
    with Server(tmp_path, drives=1, workers=2) as server:
        for slot in range(2):
            address = mesh_address(server, slot)
            call = encode(1, 200, b"")  # a topic that nobody has: the answer is a failure
            assert knock(address, call, os.getuid()) > 0
            assert knock(address, call, NOBODY) == 0
        assert "mesh connection of another user refused" in server.log()
        assert len(server.worker_pids()) == 2


def test_no_call_fetches_from_a_place_that_the_caller_names(tmp_path: Path) -> None:
    """A28: an update is not fetched, a restart takes no program."""
    with (
        Server(tmp_path, drives=1, workers=1) as server,
        server.client() as client,
        socket.create_server(("127.0.0.1", 0)) as trap,
    ):
        caught = threading.Event()

        def wait() -> None:
            with contextlib.suppress(OSError):
                trap.accept()
                caught.set()

        waiting = threading.Thread(target=wait, daemon=True)
        waiting.start()
        url = f"http://127.0.0.1:{trap.getsockname()[1]}/minio.sha256sum"
        before = server.worker_pids()
        asked = [
            client.request("POST", "/minio/admin/v3/update", {"updateURL": url}),
            client.request("POST", "/minio/admin/v3/update", {"updateURL": url, "type": "2"}),
            client.request("POST", "/minio/admin/v3/service", {"action": url}),
            client.request("POST", "/minio/admin/v3/service", {"action": "update", "updateURL": url}),
        ]
        assert [reply.status for reply in asked] == [501, 501, 400, 400]
        assert server.worker_pids() == before
        trap.shutdown(socket.SHUT_RDWR)
        waiting.join(10)
        assert not caught.is_set()
