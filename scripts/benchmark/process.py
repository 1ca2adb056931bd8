"""What the server under test costs: CPU seconds and proportional memory of its process tree."""

from __future__ import annotations

import psutil


def server_of(port: int) -> list[psutil.Process]:
    """The processes of the server that listens on a local port: its tree from the topmost listener down; empty for a remote one."""
    pids = {
        c.pid
        for c in psutil.net_connections("tcp")
        if c.status == "LISTEN" and c.laddr and c.laddr.port == port and c.pid
    }
    if not pids:
        return []
    top = psutil.Process(min(pids))
    # forked workers share the command line of the process that made them
    while (parent := top.parent()) is not None and parent.cmdline() == top.cmdline():
        top = parent
    return [top, *top.children(recursive=True)]


def cpu_s(processes: list[psutil.Process]) -> float:
    total = 0.0
    for process in processes:
        try:
            times = process.cpu_times()
            total += times.user + times.system
        except psutil.NoSuchProcess:
            continue
    return total


def pss_mib(processes: list[psutil.Process]) -> float:
    total = 0
    for process in processes:
        try:
            total += process.memory_full_info().pss
        except psutil.NoSuchProcess:
            continue
    return total / 2**20


def written_bytes(processes: list[psutil.Process]) -> int:
    return sum(p.io_counters().write_bytes for p in processes if p.is_running())
