"""Profiles of a worker: where its processor time goes, who holds memory, what its threads and tasks do at this moment."""

from __future__ import annotations

import asyncio
import gc
import io
import os
import sys
import tempfile
import threading
import traceback
import tracemalloc
from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec
import psutil

from ..base.later import Later

if TYPE_CHECKING:
    import yappi
else:
    yappi = Later("yappi")

#: A profile that nobody takes ends by itself.
PROFILE_S_MAX = 1800.0
LINES_MAX = 300
FRAMES_MAX = 40
#: Kinds that madmin knows. Both of processor time, and of all time, are taken by one profiler: the first counts.
KINDS = ("cpu", "cpuio", "mem", "block", "mutex", "trace", "threads", "goroutines", "runtime")
_TIMED = {"cpu": "cpu", "cpuio": "wall"}
_ABSENT = ("block", "mutex", "trace")


class Order(msgspec.Struct, array_like=True, frozen=True):
    """:param what: ``start`` or ``take``"""

    what: str
    kinds: list[str] = []
    seconds_max: float = PROFILE_S_MAX


class Taken(msgspec.Struct, array_like=True, frozen=True):
    """:param running: whether there was a profile to take
    :param files: name → content
    """

    running: bool
    files: dict[str, bytes] = {}


encode = msgspec.msgpack.Encoder().encode
_order = msgspec.msgpack.Decoder(Order).decode
decode_taken = msgspec.msgpack.Decoder(Taken).decode


class ProfileTopic:
    """The part of one worker."""

    def __init__(self) -> None:
        self._kinds: list[str] = []
        self._end: asyncio.TimerHandle | None = None

    async def __call__(self, payload: bytes) -> bytes:
        order = _order(payload)
        if order.what == "start":
            self._stop()
            self._start(order)
            return encode(Taken(True))
        if not self._kinds:
            return encode(Taken(False))
        kinds = self._kinds
        stacks = _tasks() if {"goroutines", "threads"} & set(kinds) else ""
        files = await asyncio.to_thread(_files, kinds, stacks)
        self._stop()
        return encode(Taken(True, files))

    def _start(self, order: Order) -> None:
        self._kinds = [kind for kind in order.kinds if kind in KINDS]
        timed = [kind for kind in self._kinds if kind in _TIMED]
        if timed:
            yappi.clear_stats()
            yappi.set_clock_type(_TIMED[timed[0]])
            yappi.start()
        if "mem" in self._kinds:
            tracemalloc.start()
        self._end = asyncio.get_running_loop().call_later(order.seconds_max, self._stop)

    def _stop(self) -> None:
        if self._end is not None:
            self._end.cancel()
        self._end, self._kinds = None, []
        if yappi.is_running():
            yappi.stop()
        yappi.clear_stats()
        if tracemalloc.is_tracing():
            tracemalloc.stop()


def _files(kinds: list[str], stacks: str) -> dict[str, bytes]:
    """In a thread."""
    files: dict[str, bytes] = {}
    timed = [kind for kind in kinds if kind in _TIMED]
    if timed:
        yappi.stop()
        files |= _times(timed[0])
    if "mem" in kinds:
        files["mem.txt"] = _memory()
    if "threads" in kinds:
        files["threads.txt"] = _threads()
    if "goroutines" in kinds:
        files["goroutines.txt"] = _threads() + b"\n" + stacks.encode()
    if "runtime" in kinds:
        files["runtime.json"] = _runtime()
    without = [kind for kind in kinds if kind in _ABSENT] + timed[1:]
    if without:
        files["notes.txt"] = f"not taken: {', '.join(without)} (Python has no such profile)\n".encode()
    return files


def _times(kind: str) -> dict[str, bytes]:
    """As ``pstats`` reads it, and as text."""
    stats, out = yappi.get_func_stats(), io.StringIO()
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "stats")
        stats.save(path, type="pstat")
        with open(path, "rb") as file:
            raw = file.read()
    stats.sort("tsub")
    columns = {0: ("name", 100), 1: ("ncall", 12), 2: ("tsub", 10), 3: ("ttot", 10), 4: ("tavg", 10)}
    stats.print_all(out, columns)
    text = "\n".join(out.getvalue().splitlines()[:LINES_MAX])
    return {f"{kind}.pstats": raw, f"{kind}.txt": text.encode()}


def _memory() -> bytes:
    snapshot = tracemalloc.take_snapshot()
    held, most = tracemalloc.get_traced_memory()
    resident = psutil.Process().memory_info().rss
    lines = [f"resident {resident} bytes; allocated since the profile began {held}, at most {most}", ""]
    lines += [str(one) for one in snapshot.statistics("lineno")[:LINES_MAX]]
    return "\n".join(lines).encode()


def _threads() -> bytes:
    """Every thread and where it is. Code only: no values are shown."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    parts: list[str] = []
    for ident, frame in sys._current_frames().items():
        stack = traceback.format_stack(frame, FRAMES_MAX)
        parts.append(f"thread {names.get(ident, ident)}:\n{''.join(stack)}")
    return "\n".join(parts).encode()


def _tasks() -> str:
    """Every task of the event loop and where it waits. On the loop."""
    return "\n".join(f"task {task.get_name()}:\n{''.join(_frames(task))}" for task in asyncio.all_tasks())


def _frames(task: asyncio.Task[object]) -> Iterable[str]:
    for frame in task.get_stack(limit=FRAMES_MAX):
        yield from traceback.format_stack(frame, 1)


def _runtime() -> bytes:
    process = psutil.Process()
    with process.oneshot():
        facts = {
            "python": sys.version,
            "pid": process.pid,
            "resident": process.memory_info().rss,
            "threads": process.num_threads(),
            "descriptors": process.num_fds(),
            "cpu": list(process.cpu_times()),
            "switches": list(process.num_ctx_switches()),
            "gc": gc.get_stats(),
            "objects": len(gc.get_objects()),
        }
    return msgspec.json.format(msgspec.json.encode(facts), indent=1)
