"""madmin ``Metrics``: what drives, memory, processors and interfaces do, once or again and again (``mc support top``)."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator
from enum import IntFlag
from typing import Any

import psutil

from ...http.message import Reply
from ...services import measures
from .. import moments
from ..call import Call, some
from ..cluster import Drive
from ..streams import DOCUMENTS, KEEP_ALIVE_S, duration_ns, line, streamed, whole_number

INTERVAL_NS_MIN = 10**9


class Kind(IntFlag):
    """madmin ``MetricType``; of the others there is nothing to tell here."""

    DISK = 2
    NET = 32
    MEM = 64
    CPU = 128


async def metrics(call: Call) -> Reply:
    """NDJSON of madmin ``RealtimeMetrics``."""
    every = Kind.DISK | Kind.NET | Kind.MEM | Kind.CPU
    kinds = whole_number(call.get("types"))
    wanted = Kind(kinds & every) if kinds else every
    interval_ns = max(INTERVAL_NS_MIN, duration_ns(call.get("interval"), INTERVAL_NS_MIN))
    samples = whole_number(call.get("n")) or None
    return streamed(_samples(call, wanted, samples, interval_ns / 1e9), DOCUMENTS)


async def _samples(call: Call, wanted: Kind, samples: int | None, interval_s: float) -> AsyncGenerator[bytes, None]:
    """:param samples: None: without end"""
    taken = 0
    while True:
        taken += 1
        final = samples is not None and taken >= samples
        yield line({**await sample(call, wanted), "final": final})
        if final:
            return
        until = time.monotonic() + interval_s
        while (left := until - time.monotonic()) > 0:
            await asyncio.sleep(min(KEEP_ALIVE_S, left))
            yield b" "


async def sample(call: Call, wanted: Kind) -> dict[str, Any]:
    """One ``RealtimeMetrics`` but for ``final``."""
    facts = call.services.cluster.facts()
    hosts = [host for host in call.get("hosts").split(",") if host]
    if hosts and facts.endpoint not in hosts:
        return {"hosts": [], "aggregated": {}}
    named = {path for path in call.get("disks").split(",") if path}
    drives = [drive for one in await call.services.cluster.sets() for drive in one.drives]
    drives = [drive for drive in drives if not named or drive.path in named]
    found = await asyncio.to_thread(_metrics, wanted, facts.endpoint, drives)
    shown: dict[str, Any] = {"hosts": [facts.endpoint], "aggregated": found}
    if call.switch("by-host"):
        shown["by_host"] = {facts.endpoint: found}
    if call.switch("by-disk") and Kind.DISK in wanted:
        shown["by_disk"] = {drive.path: _disk([drive]) for drive in drives}
    return shown


def _metrics(wanted: Kind, node: str, drives: list[Drive]) -> dict[str, Any]:
    """madmin ``Metrics``. Looks at the kernel's files: in a thread."""
    found: dict[str, Any] = {}
    if Kind.DISK in wanted:
        found["disk"] = _disk(drives)
    if Kind.NET in wanted:
        found["net"] = _net()
    if Kind.MEM in wanted:
        found["mem"] = {"collected": _now(), "memInfo": memory_info(node)}
    if Kind.CPU in wanted:
        found["cpu"] = _cpu()
    return found


def _now() -> str:
    return moments.show(time.time_ns())


def _disk(drives: list[Drive]) -> dict[str, Any]:
    """madmin ``DiskMetric``; drives on one device share its figures, which count once."""
    devices = {drive.device for drive in drives if any(drive.device)}
    counters = [found for device in devices if (found := measures.device_counters(device)) is not None]
    sums = {name: sum(getattr(one, name) for one in counters) for name in measures.DeviceCounters._fields}
    # so are they spelled there
    misspelled = {"write_sectors": "wrte_sectors", "discard_sectors": "discard_secotrs"}
    return {
        "collected": _now(),
        "n_disks": len(drives),
        **some(offline=sum(drive.state != "ok" for drive in drives) or None),
        **some(healing=sum(drive.healing for drive in drives) or None),
        "last_minute": {},
        "iostats": {misspelled.get(name, name): value for name, value in sums.items()},
    }


def _net() -> dict[str, Any]:
    """madmin ``NetMetrics``: the interface with most traffic, since there is room for one."""
    found = {name: one for name, one in psutil.net_io_counters(pernic=True).items() if name != "lo"}
    found = found or psutil.net_io_counters(pernic=True)
    if not found:
        return {"collected": _now(), "interfaceName": "", "netstats": {}}
    name, one = max(found.items(), key=lambda item: item[1].bytes_recv + item[1].bytes_sent)
    stats = {
        "name": name,
        "rx_bytes": one.bytes_recv,
        "rx_packets": one.packets_recv,
        "rx_errors": one.errin,
        "rx_dropped": one.dropin,
        "tx_bytes": one.bytes_sent,
        "tx_packets": one.packets_sent,
        "tx_errors": one.errout,
        "tx_dropped": one.dropout,
    }
    return {"collected": _now(), "interfaceName": name, "netstats": stats}


def memory_info(node: str) -> dict[str, Any]:
    """madmin ``MemInfo``."""
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    return {
        "addr": node,
        "total": memory.total,
        "used": memory.used,
        "free": memory.free,
        "available": memory.available,
        "shared": memory.shared,
        "cache": memory.cached,
        "buffer": memory.buffers,
        "swap_space_total": swap.total,
        "swap_space_free": swap.free,
        "limit": _limit(memory.total),
    }


def _limit(total: int) -> int:
    """Of the control group, where that has one."""
    try:
        with open("/sys/fs/cgroup/memory.max", encoding="ascii") as file:
            text = file.read().strip()
    except OSError:
        return total
    return min(total, int(text)) if text.isdecimal() else total


def _cpu() -> dict[str, Any]:
    """madmin ``CPUMetrics``."""
    times, load = psutil.cpu_times(), psutil.getloadavg()
    kinds = {"guest_nice": "guestNice"}
    return {
        "collected": _now(),
        "timesStat": {"cpu": "cpu-total", **{kinds.get(kind, kind): value for kind, value in times._asdict().items()}},
        "loadStat": {"load1": load[0], "load5": load[1], "load15": load[2]},
        "cpuCount": os.cpu_count() or 1,
    }
