"""What the machine and the processes of this server use, as the kernel tells it. Plain functions: call them in a thread."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import psutil

#: Between the two looks at what is a rate.
SAMPLE_S = 0.2
SECTOR_BYTES = 512


@dataclass(slots=True)
class Processes:
    """Supervisor and workers together. What only grows does so over the death of a worker too: the kernel adds what a
    child used to its parent when that has noticed its end.

    :param started_s: of the supervisor, seconds since the epoch
    :param cpu_s: user and system
    :param resident, virtual: bytes now
    :param chars_read, chars_written: bytes of ``read`` and ``write`` calls; ``bytes_…`` those that reached a device
    :param calls_read, calls_written: how many such calls
    """

    started_s: float = 0.0
    count: int = 0
    threads: int = 0
    cpu_s: float = 0.0
    resident: int = 0
    virtual: int = 0
    descriptors: int = 0
    descriptors_max: int = 0
    chars_read: int = 0
    chars_written: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
    calls_read: int = 0
    calls_written: int = 0
    resident_of: dict[int, int] = field(default_factory=dict)


def processes() -> Processes:
    """As they are now. To be called in a worker."""
    supervisor = psutil.Process(os.getppid())
    found = Processes(supervisor.create_time())
    times = supervisor.cpu_times()
    found.cpu_s += times.children_user + times.children_system
    for one in (supervisor, *_children(supervisor)):
        with contextlib.suppress(psutil.Error), one.oneshot():
            _add(found, one)
    found.descriptors_max = psutil.Process().rlimit(psutil.RLIMIT_NOFILE)[0] if hasattr(psutil, "RLIMIT_NOFILE") else 0
    return found


def _children(process: psutil.Process) -> list[psutil.Process]:
    with contextlib.suppress(psutil.Error):
        return list(process.children(recursive=True))
    return []


def _add(found: Processes, one: psutil.Process) -> None:
    times, memory = one.cpu_times(), one.memory_info()
    found.cpu_s += times.user + times.system
    found.count += 1
    found.threads += one.num_threads()
    found.resident += memory.rss
    found.virtual += memory.vms
    found.resident_of[one.pid] = memory.rss
    found.descriptors += one.num_fds()
    with contextlib.suppress(psutil.AccessDenied):
        io = one.io_counters()
        found.chars_read += io.read_chars
        found.chars_written += io.write_chars
        found.bytes_read += io.read_bytes
        found.bytes_written += io.write_bytes
        found.calls_read += io.read_count
        found.calls_written += io.write_count


class DeviceCounters(NamedTuple):
    """What a block device did since the boot (Documentation/block/stat.rst): operations, sectors of 512 bytes, ms."""

    read_ios: int = 0
    read_merges: int = 0
    read_sectors: int = 0
    read_ticks: int = 0
    write_ios: int = 0
    write_merges: int = 0
    write_sectors: int = 0
    write_ticks: int = 0
    current_ios: int = 0
    total_ticks: int = 0
    req_ticks: int = 0
    discard_ios: int = 0
    discard_merges: int = 0
    discard_sectors: int = 0
    discard_ticks: int = 0
    flush_ios: int = 0
    flush_ticks: int = 0


class DeviceRates(NamedTuple):
    """Per second, milliseconds an operation, percent of the time."""

    reads: float
    reads_kib: float
    reads_await_ms: float
    writes: float
    writes_kib: float
    writes_await_ms: float
    busy: float


def device_counters(device: tuple[int, int]) -> DeviceCounters | None:
    """None where the kernel counts nothing: network file systems, overlays, memory.

    :param device: major and minor number
    """
    try:
        with open(f"/sys/dev/block/{device[0]}:{device[1]}/stat", encoding="ascii") as file:
            numbers = [int(word) for word in file.read().split()]
    except (OSError, ValueError):
        return None
    return DeviceCounters(*numbers[: len(DeviceCounters._fields)])


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine over a short while.

    :param cpu: percent by kind: ``user system idle iowait nice steal``
    :param memory: bytes by kind: ``total used free shared buffers cached available`` and ``percent``
    :param interfaces: name → rx_bytes, rx_errors, tx_bytes, tx_errors since the boot
    :param devices: device number → what it did meanwhile
    """

    cpu: dict[str, float]
    load: tuple[float, float, float]
    cores: int
    memory: dict[str, float]
    interfaces: dict[str, tuple[int, int, int, int]]
    devices: dict[tuple[int, int], DeviceRates]


def machine(devices: Sequence[tuple[int, int]]) -> Machine:
    """Takes ``SAMPLE_S``."""
    wanted = sorted(set(devices))
    before, began = {one: device_counters(one) for one in wanted}, time.monotonic()
    cpu = psutil.cpu_times_percent(SAMPLE_S)
    passed = time.monotonic() - began
    after = {one: device_counters(one) for one in wanted}
    memory = psutil.virtual_memory()
    kinds = ("total", "used", "free", "shared", "buffers", "cached", "available", "percent")
    return Machine(
        {kind: float(getattr(cpu, kind, 0.0)) for kind in ("user", "system", "idle", "iowait", "nice", "steal")},
        psutil.getloadavg(),
        os.cpu_count() or 1,
        {kind: float(getattr(memory, kind, 0)) for kind in kinds},
        dict(interfaces()),
        {one: _rates(a, b, passed) for one in wanted if (a := before[one]) and (b := after[one])},
    )


def interfaces() -> Iterator[tuple[str, tuple[int, int, int, int]]]:
    """Those that lead out of the machine, since the boot."""
    for name, one in psutil.net_io_counters(pernic=True).items():
        if name != "lo":
            yield name, (one.bytes_recv, one.errin, one.bytes_sent, one.errout)


def _rates(a: DeviceCounters, b: DeviceCounters, passed_s: float) -> DeviceRates:
    reads, writes = b.read_ios - a.read_ios, b.write_ios - a.write_ios
    return DeviceRates(
        reads / passed_s,
        (b.read_sectors - a.read_sectors) * SECTOR_BYTES / 1024 / passed_s,
        (b.read_ticks - a.read_ticks) / reads if reads else 0.0,
        writes / passed_s,
        (b.write_sectors - a.write_sectors) * SECTOR_BYTES / 1024 / passed_s,
        (b.write_ticks - a.write_ticks) / writes if writes else 0.0,
        min(100.0, (b.total_ticks - a.total_ticks) / 10 / passed_s),
    )
