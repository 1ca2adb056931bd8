"""The memory of all processes of a server together is bounded, however many uploads there are (issue: 500 MB)."""

from __future__ import annotations

import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from tests.kit.server import Server

MIB = 1 << 20
OBJECT_BYTES = 64 * MIB
ALL_BYTES_MAX = 500_000_000
LOOK_S = 0.05


class Memory:
    """The largest sum of proportional memory (PSS) seen of a server's processes."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.most = 0

    def _watch(self) -> None:
        while not self._end.wait(LOOK_S):
            self.most = max(self.most, sum(psutil.Process(pid).memory_full_info().pss for pid in self._server.pids()))

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()


def check(server: Server, uploads: int) -> int:
    """So many objects at once, put and then read; the most memory in bytes."""
    body = random.Random(uploads).randbytes(OBJECT_BYTES)
    with server.client() as client:
        assert client.request("PUT", "/memory").status == 200
    together = threading.Barrier(uploads)

    def put(number: int) -> None:
        with server.client(timeout_s=300) as client:
            together.wait()
            assert client.request("PUT", f"/memory/{number}", body=body).status == 200

    def get(number: int) -> None:
        with server.client(timeout_s=300) as client:
            assert client.request("GET", f"/memory/{number}").body == body

    with Memory(server) as memory:
        with ThreadPoolExecutor(uploads) as pool:
            list(pool.map(put, range(uploads)))
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(get, range(uploads)))
    return memory.most


def test_sixteen_large_uploads_at_once(tmp_path: Path, servers: list[Server]) -> None:
    server = Server(tmp_path, 4)
    servers.append(server)
    most = check(server.start(), 16)
    assert most < ALL_BYTES_MAX, f"{most / 1e6:.0f} MB"


@pytest.mark.soak
@pytest.mark.skipif("SOS_SOAK" not in os.environ, reason="SOS_SOAK=1 runs it: 8 GiB are written")
def test_sixty_four_large_uploads_at_once(tmp_path: Path, servers: list[Server]) -> None:
    server = Server(tmp_path, 4)
    servers.append(server)
    most = check(server.start(), 64)
    print(f"64 uploads of 64 MiB: {most / 1e6:.0f} MB in all processes")
    assert most < ALL_BYTES_MAX, f"{most / 1e6:.0f} MB"
