"""``mc support perf``: objects through all workers, drives one by one or together, and the way from the client to here."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import threading
import time
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from ...domain.errors import (
    ClientGone,
    InvalidAdminArgument,
    NotImplementedHere,
    SpeedtestInsufficientCapacity,
    StoreError,
    UnknownCall,
)
from ...drive.speed import DriveSpeed, Stopped, measure
from ...http.message import Reply
from ...services.speed import Phase, SpeedTest
from ..call import Call, plain
from ..cluster import Drive, SetShape
from ..streams import DOCUMENTS, duration_ns, given_up, line, running, streamed, waiting, whole_number

OBJECT_BYTES, LANES, DURATION_NS = 64 << 20, 32, 10 * 10**9
OBJECT_BYTES_MAX, LANES_MAX, DURATION_S_MAX = 5 << 30, 4096, 3600.0
FILE_BYTES, BLOCK_BYTES, BLOCK_BYTES_MAX = 1 << 30, 4 << 20, 64 << 20
#: More lanes are tried for as long as reading gets faster by this share (MinIO's).
GROWTH_MIN = 0.025
LANES_START_MIN = 4
#: What a client may send to be thrown away (madmin-go's ``MaxClientPerfTimeout``).
DEVNULL_S_MAX, DEVNULL_BYTES_MAX, DEVNULL_PIECE = 30.0, 100 << 30, 128 << 10

_NO_TIMES = dict.fromkeys(("avg", "p50", "p75", "p95", "p99", "p999", "l5p", "s5p", "max", "min", "sdev", "range"), 0)


async def speedtest(call: Call) -> Reply:
    """By what the path names; without a name, objects."""
    kind = call.path.get("kind", "object")
    if kind == "object":
        return await _object(call)
    if kind == "drive":
        return _drive(call)
    if kind in ("net", "site"):
        # between the nodes of a cluster, and between sites: there is one of each here
        raise NotImplementedHere(what=f"the speed test of {kind}")
    raise UnknownCall()


def _number(call: Call, name: str, default: int, most: int) -> int:
    text = call.get(name)
    if not text:
        return default
    number = whole_number(text)
    if number is None or not 0 < number <= most:
        raise InvalidAdminArgument(f"{name} must be a number from 1 to {most}.")
    return number


# -- objects ---------------------------------------------------------------------------------------------


async def _object(call: Call) -> Reply:
    """NDJSON of madmin ``SpeedTestResult``; empty ones until there is a first."""
    size, lanes = _number(call, "size", OBJECT_BYTES, OBJECT_BYTES_MAX), _number(call, "concurrent", LANES, LANES_MAX)
    seconds = min(DURATION_S_MAX, max(1.0, duration_ns(call.get("duration"), DURATION_NS) / 1e9))
    sets = await call.services.cluster.sets()
    free = sum(drive.free * (len(one.drives) - one.parity) // len(one.drives) for one in sets for drive in one.drives)
    if size * lanes > free:
        raise SpeedtestInsufficientCapacity(
            f"not enough usable space available to perform speedtest - expected {size * lanes}, got {free}"
        )
    autotune = call.switch("autotune")
    if autotune:
        lanes = max(LANES_START_MIN, min(lanes, sum(len(one.drives) for one in sets)))
    bucket = call.get("bucket")
    if bucket:
        await call.services.buckets.get(bucket)  # one that is not there is told before the reply begins
    test = call.services.observing.speed_test(bucket, not call.switch("noclear"))
    return streamed(_rounds(call, test, sets, (size, lanes, seconds), autotune), DOCUMENTS)


async def _rounds(
    call: Call, test: SpeedTest, sets: Sequence[SetShape], asked: tuple[int, int, float], autotune: bool
) -> AsyncGenerator[bytes, None]:
    size, lanes, seconds = asked
    storage_class = call.get("storage-class") or "STANDARD"
    best, shown = 0.0, line(_result(call, sets, (0, 0), [], []) | {"version": "", "servers": 0, "disks": 0})
    async with test:
        while True:
            task = running(test.round(size, lanes, seconds, storage_class))
            async with contextlib.aclosing(waiting(task, shown)) as pieces:
                async for piece in pieces:
                    yield piece
            put, got = task.result()
            shown = line(_result(call, sets, (size, lanes), put, got))
            yield shown
            speed = sum(phase.size / phase.span_s for phase in got if phase.span_s)
            if not autotune or any(phase.error for phase in (*put, *got)) or speed <= best * (1 + GROWTH_MIN):
                return
            best, lanes = speed, min(LANES_MAX, lanes + (lanes + 1) // 2)


def _result(
    call: Call, sets: Sequence[SetShape], asked: tuple[int, int], put: list[Phase], got: list[Phase]
) -> dict[str, Any]:
    facts = call.services.cluster.facts()
    return {
        "version": facts.version,
        "servers": 1,
        "disks": sum(len(one.drives) for one in sets),
        "size": asked[0],
        "concurrent": asked[1],
        "PUTStats": _stats(facts.endpoint, put),
        "GETStats": _stats(facts.endpoint, got),
    }


def _stats(endpoint: str, phases: list[Phase]) -> dict[str, Any]:
    """madmin ``SpeedTestStats``."""
    speed = int(sum(phase.size / phase.span_s for phase in phases if phase.span_s))
    rate = int(sum(phase.objects / phase.span_s for phase in phases if phase.span_s))
    errors = [phase.error for phase in phases if phase.error]
    server = {
        "endpoint": endpoint,
        "throughputPerSec": speed,
        "objectsPerSec": rate,
        "err": errors[0] if errors else "",
    }
    return {
        "throughputPerSec": speed,
        "objectsPerSec": rate,
        "responseTime": _times([time for phase in phases for time in phase.times_ns]),
        "ttfb": _times([time for phase in phases for time in phase.first_ns]),
        "servers": [server] if phases else [],
    }


def _times(spans_ns: list[int]) -> dict[str, int]:
    """madmin ``Timings``."""
    if not spans_ns:
        return _NO_TIMES
    spans = sorted(spans_ns)
    count = len(spans)
    few = max(1, count // 20)

    def share(part: float) -> int:
        return spans[min(count - 1, int(count * part))]

    return {
        "avg": int(statistics.fmean(spans)),
        "p50": share(0.5),
        "p75": share(0.75),
        "p95": share(0.95),
        "p99": share(0.99),
        "p999": share(0.999),
        "l5p": int(statistics.fmean(spans[-few:])),
        "s5p": int(statistics.fmean(spans[:few])),
        "max": spans[-1],
        "min": spans[0],
        "sdev": int(statistics.pstdev(spans)),
        "range": spans[-1] - spans[0],
    }


# -- drives ----------------------------------------------------------------------------------------------


def _drive(call: Call) -> Reply:
    """NDJSON of madmin ``DriveSpeedTestResult``: empty ones until all drives are measured."""
    block = _number(call, "blocksize", BLOCK_BYTES, BLOCK_BYTES_MAX)
    length = _number(call, "filesize", FILE_BYTES, 1 << 50)
    return streamed(_drives(call, block, length, call.switch("serial")), DOCUMENTS)


async def _drives(call: Call, block: int, length: int, serial: bool) -> AsyncGenerator[bytes, None]:
    facts, sets = call.services.cluster.facts(), await call.services.cluster.sets()
    drives = [drive for one in sets for drive in one.drives]
    stop = threading.Event()
    task = running(_measured(drives, block, length, serial, stop))
    try:
        async with contextlib.aclosing(waiting(task, line({"version": "", "endpoint": ""}))) as pieces:
            async for piece in pieces:
                yield piece
        yield line(
            {"version": facts.version, "endpoint": f"{facts.scheme}://{facts.endpoint}", "drivePerf": task.result()}
        )
    finally:
        stop.set()
        await given_up(task)


async def _measured(
    drives: Sequence[Drive], block: int, length: int, serial: bool, stop: threading.Event
) -> list[dict[str, Any]]:
    """madmin ``DrivePerf``."""
    if serial:
        return [await _one(drive, block, length, stop) for drive in drives]
    return list(await asyncio.gather(*(_one(drive, block, length, stop) for drive in drives)))


async def _one(drive: Drive, block: int, length: int, stop: threading.Event) -> dict[str, Any]:
    if drive.state != "ok":
        return {"path": drive.path, "readThroughput": 0, "writeThroughput": 0, "error": "drive is faulty"}
    try:
        found = await asyncio.to_thread(measure, drive.path, block, length, stop.is_set)
    except (OSError, Stopped) as error:
        found, text = DriveSpeed(0, 0), str(error) or "stopped"
        return {"path": drive.path, "readThroughput": 0, "writeThroughput": 0, "error": text}
    return {"path": drive.path, "readThroughput": found.read, "writeThroughput": found.write}


# -- the client ------------------------------------------------------------------------------------------


async def devnull(call: Call) -> Reply:
    """Take what the client sends, as fast as it comes, and throw it away. It ends when the client does."""
    body, taken, until = call.request.body, 0, time.monotonic() + DEVNULL_S_MAX
    with contextlib.suppress(StoreError, ClientGone):
        while taken < DEVNULL_BYTES_MAX and time.monotonic() < until:
            piece = await body.read_some(DEVNULL_PIECE)
            if not piece:
                break
            taken += len(piece)
    return Reply(200, close=True)


async def devnull_extra_time(call: Call) -> Reply:
    """How long that call had to wait for its turn: it has none to wait for."""
    return plain({"dur": 0})
