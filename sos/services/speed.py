"""How fast this server stores objects and gives them back: by doing so, in every worker at once, the way that all objects
go. What was stored for it goes again, also when whoever asked has left."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import Executor

import msgspec

from ..domain.conditions import NO_CONDITIONS
from ..domain.errors import NoSuchBucket, StoreError
from ..meta.iam import ROOT_ACCOUNT
from ..meta.records import BucketRecord, Kind, ObjectRecord
from .buckets import Buckets
from .fleet import TOPIC_SPEED, Fleet
from .objects import Objects
from .purge import Purge
from .streams import CopyBody

#: Buckets of tests: each has one of its own, and one that a killed worker left is removed by the next test.
BUCKET = "sos-speedtest-"
LEFTOVER_NS = 3600 * 10**9
#: Below it in a bucket that was named.
PREFIX = "speedtest/"
#: For the requests under way at the end of a phase, and for the owners to answer.
GRACE_S = 120.0
#: Times that are kept of one phase in one worker.
TIMES_MAX = 20_000
_RANDOM_BYTES = 4 << 20
_BATCH_BYTES = 1 << 20


class Task(msgspec.Struct, array_like=True, frozen=True):
    """What one worker is to do.

    :param what: ``put``, ``get`` or ``stop``
    :param lanes: requests at the same time
    :param stored: by an earlier ``put``, for each lane
    """

    what: str
    run: str
    bucket: str = ""
    size: int = 0
    lanes: int = 0
    seconds: float = 0.0
    storage_class: str = "STANDARD"
    stored: list[int] = []


class Phase(msgspec.Struct, array_like=True):
    """What came of it.

    :param stored: objects by lane
    :param times_ns: of whole requests; ``first_ns`` until their first byte
    """

    objects: int = 0
    size: int = 0
    span_s: float = 0.0
    error: str = ""
    stored: list[int] = []
    times_ns: list[int] = []
    first_ns: list[int] = []


_encode = msgspec.msgpack.Encoder().encode
_task = msgspec.msgpack.Decoder(Task).decode
_phase = msgspec.msgpack.Decoder(Phase).decode


class _Random:
    """A body of random bytes (a ``BodyStream``), which nothing can compress; each begins elsewhere in the same ones."""

    _bytes = memoryview(b"")
    _starts = itertools.count()

    def __init__(self, size: int) -> None:
        if not _Random._bytes:
            _Random._bytes = memoryview(os.urandom(_RANDOM_BYTES))
        self.length = self._left = size
        self._at = next(self._starts) * 4099 % _RANDOM_BYTES

    def next_batch(self) -> list[memoryview]:
        count = min(self._left, _BATCH_BYTES, _RANDOM_BYTES - self._at)
        batch = self._bytes[self._at : self._at + count]
        self._at = (self._at + count) % _RANDOM_BYTES
        self._left -= count
        return [batch] if count else []

    def put_back(self, count: int) -> None:
        """See ``BodyStream``: any bytes will do."""
        self._left += count

    def close(self) -> None:
        self._left = 0


class SpeedTopic:
    """The part of one worker."""

    def __init__(self, buckets: Buckets, objects: Objects, hashing: Executor, reading: Executor) -> None:
        self._buckets = buckets
        self._objects = objects
        self._hashing = hashing
        self._reading = reading
        self._running: dict[str, asyncio.Event] = {}

    async def __call__(self, payload: bytes) -> bytes:
        task = _task(payload)
        if task.what == "stop":
            ended = self._running.pop(task.run, None)
            if ended is not None:
                await ended.wait()
            return b""
        ended = self._running[task.run] = asyncio.Event()
        phase = Phase(stored=[0] * task.lanes)
        began = time.perf_counter()
        try:
            record = await self._buckets.get(task.bucket)
            lane = self._put if task.what == "put" else self._get
            await asyncio.gather(*(lane(task, record, number, phase, began) for number in range(task.lanes)))
        except StoreError as error:
            phase.error = f"{error.name}: {error.message}"
        finally:
            self._running.pop(task.run, None)
            ended.set()
        phase.span_s = time.perf_counter() - began
        return _encode(phase)

    def _goes_on(self, task: Task, phase: Phase, began: float) -> bool:
        return task.run in self._running and not phase.error and time.perf_counter() - began < task.seconds

    async def _put(self, task: Task, record: BucketRecord, number: int, phase: Phase, began: float) -> None:
        template = ObjectRecord(0, b"", Kind.OBJECT, 0, 0, "", storage_class=task.storage_class, owner=ROOT_ACCOUNT)
        while self._goes_on(task, phase, began):
            key = f"{PREFIX}{task.run}/{number}/{phase.stored[number]}".encode()
            started = time.perf_counter_ns()
            body = CopyBody(_Random(task.size), self._hashing)
            try:
                await self._objects.put(record, key, body, template, NO_CONDITIONS)
            except StoreError as error:
                phase.error = phase.error or f"{error.name}: {error.message}"
                return
            phase.stored[number] += 1
            _note(phase, task.size, time.perf_counter_ns() - started, 0)

    async def _get(self, task: Task, record: BucketRecord, number: int, phase: Phase, began: float) -> None:
        count = task.stored[number] if number < len(task.stored) else 0
        turn = 0
        while count and self._goes_on(task, phase, began):
            key = f"{PREFIX}{task.run}/{number}/{turn % count}".encode()
            turn += 1
            started = time.perf_counter_ns()
            try:
                first_ns = await self._read(record, key, started)
            except StoreError as error:
                phase.error = phase.error or f"{error.name}: {error.message}"
                return
            _note(phase, task.size, time.perf_counter_ns() - started, first_ns)

    async def _read(self, record: BucketRecord, key: bytes, started: int) -> int:
        """Read an object to its end; nanoseconds until the first byte."""
        opened = await self._objects.open(record, key, None, NO_CONDITIONS, None, None)
        first_ns = time.perf_counter_ns() - started
        stream = opened.stream
        if stream is not None:
            loop, left = asyncio.get_running_loop(), stream.length - sum(map(len, opened.first))
            try:
                while left:
                    left -= await loop.run_in_executor(self._reading, lambda: sum(map(len, stream.next_batch())))
            finally:
                await loop.run_in_executor(self._reading, stream.close)
        return first_ns


def _note(phase: Phase, size: int, whole_ns: int, first_ns: int) -> None:
    phase.objects += 1
    phase.size += size
    if len(phase.times_ns) < TIMES_MAX:
        phase.times_ns.append(whole_ns)
        if first_ns:
            phase.first_ns.append(first_ns)


class SpeedTest:
    """One test over all workers, from the worker that was asked for it.

    :param bucket: to use, which must exist; empty for one of its own
    :param clear: whether what was stored is removed at the end
    """

    def __init__(self, fleet: Fleet, buckets: Buckets, purge: Purge, bucket: str = "", clear: bool = True) -> None:
        self._fleet = fleet
        self._buckets = buckets
        self._purge = purge
        self._named = bucket
        self._clear = clear
        self._bucket = bucket or f"{BUCKET}{uuid.uuid4().hex[:12]}"
        self._runs: list[str] = []

    async def __aenter__(self) -> SpeedTest:
        """:raises NoSuchBucket: the one that is named"""
        if self._named:
            await self._buckets.get(self._named)
        else:
            await self._remove_leftovers()
            await self._buckets.create(self._bucket, ROOT_ACCOUNT, "", False)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Whoever is cancelled here waits until all is removed."""
        await asyncio.shield(asyncio.ensure_future(self._end()))

    async def _end(self) -> None:
        for run in self._runs:
            await self._fleet.ask(TOPIC_SPEED, _encode(Task("stop", run)), GRACE_S)
        if not self._clear:
            return
        with contextlib.suppress(NoSuchBucket):
            record = await self._buckets.get(self._bucket)
            if not self._named:
                await self._purge.bucket(record, ROOT_ACCOUNT)
            else:
                for run in self._runs:
                    await self._purge.tree(record, f"{PREFIX}{run}".encode(), ROOT_ACCOUNT, _any)

    async def _remove_leftovers(self) -> None:
        found, _ = await self._buckets.list(BUCKET, "", 1000)
        for record in found:
            if record.owner == ROOT_ACCOUNT and record.created_ns < time.time_ns() - LEFTOVER_NS:
                await self._purge.bucket(record, ROOT_ACCOUNT)

    async def round(self, size: int, lanes: int, seconds: float, storage_class: str) -> tuple[list[Phase], list[Phase]]:
        """Store for a while, then read for a while: what came of the two in each worker.

        :param lanes: requests at the same time, of all workers together
        """
        run = uuid.uuid4().hex[:16]
        self._runs.append(run)
        shares = [lanes // len(self._fleet) + (slot < lanes % len(self._fleet)) for slot in range(len(self._fleet))]
        tasks = [Task("put", run, self._bucket, size, share, seconds, storage_class) for share in shares]
        put = await self._phase(tasks)
        if any(phase.error for phase in put):
            return put, []
        tasks = [
            Task("get", run, self._bucket, size, share, seconds, storage_class, phase.stored)
            for share, phase in zip(shares, put, strict=True)
        ]
        return put, await self._phase(tasks)

    async def _phase(self, tasks: Sequence[Task]) -> list[Phase]:
        timeout_s = tasks[0].seconds + GRACE_S
        asked = [self._fleet.ask_one(slot, TOPIC_SPEED, _encode(task), timeout_s) for slot, task in enumerate(tasks)]
        answers = await asyncio.gather(*asked)
        return [Phase(error="the worker did not answer") if a is None else _phase(a) for a in answers]


async def _any(_: bytes) -> None:
    """What the test has stored is the test's."""
