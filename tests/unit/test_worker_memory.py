"""A worker gives up what it has mapped and what its heap keeps free: under load, at rest, and in background work."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable

import pytest

from sos.worker import memory
from sos.worker.memory import FILE_BYTES_MAX, HEAP_BYTES_MAX, Resident, Trimmer
from tests.kit.owned_set import until

MUCH = FILE_BYTES_MAX + 1


class Worker:
    """What a trimmer sees of a worker, and what it does about it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.files = self.anonymous = self.requests = self.buffers = self.idle = 0
        self.released: list[bool] = []
        self.spared = self.trimmed = self.looks = 0
        monkeypatch.setattr(memory, "resident", self.resident)
        monkeypatch.setattr(memory, "trim_heap", self.trim)
        monkeypatch.setattr(memory, "LOOK_S", 0.1)
        monkeypatch.setattr(memory, "LOOK_SOON_S", 0.001)
        self.trimmer = Trimmer(self.release, self.spare, lambda: self.requests, lambda: self.buffers)

    def resident(self) -> Resident:
        self.looks += 1
        return Resident(self.files, self.anonymous)

    def release(self, volumes: bool) -> None:
        self.released.append(volumes)
        self.files = 0

    def spare(self) -> None:
        self.spared += 1
        self.idle = 0

    def trim(self) -> None:
        self.trimmed += 1

    def run(self, scenario: Callable[[], Awaitable[None]]) -> None:
        async def run() -> None:
            self.trimmer.start()
            try:
                await scenario()
            finally:
                self.trimmer.stop()

        asyncio.run(run())


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Worker:
    return Worker(monkeypatch)


def test_mapped_pages_are_bounded_without_any_request(worker: Worker) -> None:
    """A drive that is copied or healed has all of its index read."""

    async def scenario() -> None:
        for _ in range(3):
            worker.files = MUCH
            await until(lambda: worker.files == 0)
        assert worker.released == [False] * 3

    worker.run(scenario)


def test_background_work_may_look_after_each_step(worker: Worker) -> None:
    worker.files = MUCH
    worker.trimmer.look()
    assert worker.released == [False]
    worker.trimmer.look()
    assert worker.released == [False]


def test_it_looks_more_often_while_much_is_mapped(worker: Worker) -> None:
    async def scenario() -> None:
        worker.files = FILE_BYTES_MAX
        await until(lambda: worker.looks == 1)
        looks, worker.files = worker.looks, FILE_BYTES_MAX
        await asyncio.sleep(0.05)
        assert worker.looks > looks + 3

    worker.run(scenario)


def test_a_moment_without_a_request_is_no_rest_and_a_while_is(worker: Worker) -> None:
    async def scenario() -> None:
        worker.files = FILE_BYTES_MAX  # so that it looks often
        worker.requests = 1
        await until(lambda: worker.spared > 5)
        assert worker.trimmed == 0 and worker.released == []
        await until(lambda: worker.trimmed == 1)
        assert worker.released == [True]
        # an upload that ends later leaves no idle buffers behind
        worker.idle = 1
        await until(lambda: worker.idle == 0)
        assert worker.trimmed == 1

    worker.run(scenario)


def test_holes_of_the_heap_are_given_back_under_load_now_and_then(worker: Worker) -> None:
    async def scenario() -> None:
        worker.files = FILE_BYTES_MAX
        worker.anonymous = worker.buffers = HEAP_BYTES_MAX * 2
        for _ in range(5):
            worker.requests += 1
            looks = worker.looks
            await until(lambda: worker.looks > looks)  # noqa: B023
        assert worker.trimmed == 0, "buffers under way are no holes"
        worker.buffers = 0
        for _ in range(5):
            worker.requests += 1
            looks = worker.looks
            await until(lambda: worker.looks > looks)  # noqa: B023
        assert worker.trimmed == 1

    worker.run(scenario)


def test_large_blocks_of_many_threads_go_back_to_the_system() -> None:
    """Freed ones, held down by small ones that stay: by default tens of arenas would keep them."""
    code = """
import ctypes, threading
from sos.worker.memory import bound_heap, resident
bound_heap()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
before = resident().anonymous
def work():
    for _ in range(20):
        block = libc.malloc(4 << 20)
        ctypes.memset(block, 1, 4 << 20)
        libc.malloc(100)
        libc.free(block)
threads = [threading.Thread(target=work) for _ in range(16)]
[t.start() for t in threads]; [t.join() for t in threads]
print(resident().anonymous - before >> 20)
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert int(out) < 8
