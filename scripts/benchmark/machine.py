"""The machine's own rates, printed beside the figures: what bounds a row can be seen from them."""

from __future__ import annotations

import hashlib
import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable

import blake3


def _rate(work: Callable[[], int], seconds: float = 0.5) -> float:
    """MiB/s of ``work``, which returns the bytes it did."""
    done, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        done += work()
    return done / (time.perf_counter() - start) / 2**20


def rates(directory: str) -> dict[str, float]:
    block = os.urandom(1 << 20)
    found = {
        "md5 MiB/s": _rate(lambda: len(hashlib.md5(block, usedforsecurity=False).digest()) and len(block)),
        "sha256 MiB/s": _rate(lambda: len(hashlib.sha256(block).digest()) and len(block)),
        "blake3 MiB/s": _rate(lambda: len(blake3.blake3(block).digest()) and len(block)),
        "loopback MiB/s": _loopback(block),
    }
    found |= _disk(directory, block)
    return found


def _loopback(block: bytes) -> float:
    left, right = socket.socketpair()
    buffer = bytearray(1 << 20)

    def drain() -> None:
        while right.recv_into(buffer):
            pass

    thread = threading.Thread(target=drain)
    thread.start()

    def send() -> int:
        left.sendall(block)
        return len(block)

    rate = _rate(send)
    left.close()
    thread.join()
    right.close()
    return rate


def _disk(directory: str, block: bytes) -> dict[str, float]:
    with tempfile.NamedTemporaryFile(dir=directory) as file:
        times = []
        for _ in range(50):
            os.pwrite(file.fileno(), block[:4096], 0)
            start = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - start)

        def write() -> int:
            os.pwrite(file.fileno(), block, 0)
            os.fdatasync(file.fileno())
            return len(block)

        return {"fdatasync ms": sorted(times)[25] * 1000, "write+fdatasync MiB/s": _rate(write)}
