"""``mc support diag``: what the machine is, what runs on it, and what the server knows of itself. No secrets are in it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import resource
import time
from collections.abc import AsyncGenerator, Callable
from typing import Any

import msgspec
import psutil

from ...config.settings import OPTIONS, display
from ...http.message import Reply
from .. import moments
from ..call import Call
from ..cluster import Drive
from ..streams import DOCUMENTS, line, running, streamed, waiting
from .info import server_info
from .metrics import memory_info

VERSION = "3"
#: Go's JSON decoder may read this far beyond the first document, which a client decodes apart from the rest.
APART = b" " * 4096
KEEP_ALIVE_S = 5.0
STRICT = "strict"
DOCKER = os.path.exists("/.dockerenv")

Section = Callable[[str, "list[Drive]"], "list[dict[str, Any]]"]


async def health_info(call: Call) -> Reply:
    """NDJSON of madmin ``HealthInfo``: its version, then all of it."""
    return streamed(_documents(call), DOCUMENTS)


async def _documents(call: Call) -> AsyncGenerator[bytes, None]:
    yield line({"version": VERSION, "timestamp": moments.show(time.time_ns())}) + APART
    task = running(_gathered(call))
    async with contextlib.aclosing(waiting(task, b" ", KEEP_ALIVE_S)) as pieces:
        async for piece in pieces:
            yield piece
    text = msgspec.json.encode(task.result())
    if call.get("anonymize") == STRICT:
        sets = await call.services.cluster.sets()
        text = _anonymous(call, text, [drive.path for one in sets for drive in one.drives])
    yield text + b"\n"


async def _gathered(call: Call) -> dict[str, Any]:
    facts, sets = call.services.cluster.facts(), await call.services.cluster.sets()
    drives = [drive for one in sets for drive in one.drives]
    wanted = {name: make for switch, (name, make) in _SECTIONS.items() if call.switch(switch)}
    system = {name: await asyncio.to_thread(make, facts.endpoint, drives) for name, make in wanted.items()}
    minio: dict[str, Any] = {"config": {}, "info": {"tls": None, "is_kubernetes": None, "is_docker": None}}
    if call.switch("minioconfig"):
        minio["config"] = {"config": _config(call)}
    if call.switch("minioinfo"):
        body = (await server_info(call)).body
        assert isinstance(body, bytes)
        known = msgspec.json.decode(body)
        minio["info"] = {
            **{name: known[name] for name in known if name not in ("versions", "deletemarkers", "pools")},
            "tls": {"tls_enabled": facts.scheme == "https"},
            "is_kubernetes": "KUBERNETES_SERVICE_HOST" in os.environ,
            "is_docker": DOCKER,
        }
    now = moments.show(time.time_ns())
    return {"version": VERSION, "timestamp": now, "sys": {**system, "kubernetes": {}}, "minio": minio}


def _config(call: Call) -> dict[str, str]:
    """The settings in force; secrets are masked."""
    settings = call.services.settings()
    return {option.name: display(option, getattr(settings, option.name)) for option in OPTIONS}


def _anonymous(call: Call, text: bytes, paths: list[str]) -> bytes:
    """Without names of hosts and paths."""
    facts = call.services.cluster.facts()
    names = {facts.endpoint: "server1", facts.endpoint.rpartition(":")[0]: "host1", platform.node(): "host1"}
    names |= {path: f"drive{i + 1}" for i, path in enumerate(paths)}
    for name in sorted(names, key=len, reverse=True):
        if name:
            text = text.replace(msgspec.json.encode(name)[1:-1], names[name].encode())
    return text


# -- the machine -----------------------------------------------------------------------------------------


def _cpus(node: str, _: list[Drive]) -> list[dict[str, Any]]:
    """madmin ``CPUs``, from /proc/cpuinfo."""
    cpus: dict[tuple[str, str], dict[str, Any]] = {}
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for block in file.read().strip().split("\n\n"):
            facts = {k.strip(): v.strip() for k, _, v in (text.partition(":") for text in block.splitlines())}
            place = (facts.get("physical id", "0"), facts.get("model name", ""))
            one = cpus.setdefault(place, _cpu(facts))
            one["cores"] += 1
    return [{"addr": node, "cpus": list(cpus.values())}]


def _cpu(facts: dict[str, str]) -> dict[str, Any]:
    def number(name: str) -> float:
        with contextlib.suppress(ValueError):
            return float(facts.get(name, "0").split()[0])
        return 0.0

    return {
        "vendor_id": facts.get("vendor_id", ""),
        "family": facts.get("cpu family", ""),
        "model": facts.get("model", ""),
        "stepping": int(number("stepping")),
        "physical_id": facts.get("physical id", ""),
        "model_name": facts.get("model name", ""),
        "mhz": number("cpu MHz"),
        "cache_size": int(number("cache size")),
        "flags": facts.get("flags", "").split(),
        "microcode": facts.get("microcode", ""),
        "cores": 0,
    }


def _partitions(node: str, drives: list[Drive]) -> list[dict[str, Any]]:
    """madmin ``Partitions``: the file systems of the drives."""
    mounted = sorted(psutil.disk_partitions(all=True), key=lambda one: len(one.mountpoint), reverse=True)
    found = []
    for drive in drives:
        real = os.path.realpath(drive.path)
        on = next((one for one in mounted if os.path.commonpath((real, one.mountpoint)) == one.mountpoint), None)
        shown = {
            "device": on.device if on else "",
            "major": drive.device[0],
            "minor": drive.device[1],
            "mountpoint": drive.path,
            "fs_type": on.fstype if on else "",
            "mount_options": on.opts if on else "",
            "space_total": drive.total,
            "space_free": drive.free,
            "inode_total": drive.inodes_used + drive.inodes_free,
            "inode_free": drive.inodes_free,
        }
        found.append(shown | ({} if drive.state == "ok" else {"error": f"the drive is {drive.state}"}))
    return [{"addr": node, "partitions": found}]


def _os(node: str, _: list[Drive]) -> list[dict[str, Any]]:
    """madmin ``OSInfo``."""
    release = platform.freedesktop_os_release() if os.path.exists("/etc/os-release") else {}
    boot = int(psutil.boot_time())
    info = {
        "hostname": platform.node(),
        "uptime": int(time.time()) - boot,
        "bootTime": boot,
        "procs": len(psutil.pids()),
        "os": "linux",
        "platform": release.get("ID", ""),
        "platformFamily": release.get("ID_LIKE", release.get("ID", "")),
        "platformVersion": release.get("VERSION_ID", ""),
        "kernelVersion": platform.release(),
        "kernelArch": platform.machine(),
    }
    sensors = [
        {
            "sensorKey": f"{name}_{one.label}" if one.label else name,
            "temperature": one.current,
            "sensorHigh": one.high or 0.0,
            "sensorCritical": one.critical or 0.0,
        }
        for name, some_sensors in psutil.sensors_temperatures().items()
        for one in some_sensors
    ]
    return [{"addr": node, "info": info, **({"sensors": sensors} if sensors else {})}]


def _processes(node: str, _: list[Drive]) -> list[dict[str, Any]]:
    """madmin ``ProcInfo``: the supervisor and its children."""
    supervisor, found = psutil.Process(os.getppid()), []
    for one in (supervisor, *supervisor.children(recursive=True)):
        with contextlib.suppress(psutil.Error), one.oneshot():
            found.append({"addr": node, **_process(one)})
    return found


def _process(one: psutil.Process) -> dict[str, Any]:
    memory, times, switches = one.memory_info(), one.cpu_times(), one.num_ctx_switches()
    return {
        "pid": one.pid,
        "cpu_percent": one.cpu_percent(),
        "children_pids": [child.pid for child in one.children()],
        "cmd_line": " ".join(one.cmdline()),
        "num_connections": len(one.net_connections()),
        "create_time": int(one.create_time() * 1000),
        "cwd": one.cwd(),
        "exec_path": one.exe(),
        "gids": list(one.gids()),
        "is_running": one.is_running(),
        "mem_info": {"rss": memory.rss, "vms": memory.vms, "data": memory.data, "stack": 0, "locked": 0, "swap": 0},
        "mem_percent": one.memory_percent(),
        "name": one.name(),
        "nice": one.nice(),
        "num_ctx_switches": {"voluntary": switches.voluntary, "involuntary": switches.involuntary},
        "num_fds": one.num_fds(),
        "num_threads": one.num_threads(),
        "ppid": one.ppid(),
        "status": one.status(),
        "times": {"cpu": "cpu", "user": times.user, "system": times.system, "iowait": times.iowait},
        "uids": list(one.uids()),
        "username": one.username(),
    }


def _networks(node: str, _: list[Drive]) -> list[dict[str, Any]]:
    """madmin ``NetInfo``."""
    return [{"addr": node, "interface": name} for name in psutil.net_if_addrs() if name != "lo"]


def _errors(node: str, drives: list[Drive]) -> list[dict[str, Any]]:
    """madmin ``SysErrors``."""
    return [{"addr": node, "errors": [f"drive {d.path} is {d.state}" for d in drives if d.state != "ok"]}]


def _services(node: str, _: list[Drive]) -> list[dict[str, Any]]:
    """madmin ``SysServices``."""
    enforcing = "/sys/fs/selinux/enforce"
    selinux = "not-installed"
    with contextlib.suppress(OSError), open(enforcing, encoding="ascii") as file:
        selinux = "enforcing" if file.read().strip() == "1" else "permissive"
    names = {one.info["name"] for one in psutil.process_iter(["name"])}
    services = [("selinux", selinux), ("auditd", "active" if "auditd" in names else "inactive")]
    return [{"addr": node, "services": [{"name": name, "status": status} for name, status in services]}]


def _system_config(node: str, _: list[Drive]) -> list[dict[str, Any]]:
    """madmin ``SysConfig``."""
    clock = {"current_time": moments.show(time.time_ns()), "roundtrip_duration": 0, "time_zone": time.tzname[0]}
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return [{"addr": node, "config": {"rlimit-max": files, "time-info": clock}}]


_SECTIONS: dict[str, tuple[str, Section]] = {
    "syscpu": ("cpus", _cpus),
    "sysdrivehw": ("partitions", _partitions),
    "sysosinfo": ("osinfo", _os),
    "sysmem": ("meminfo", lambda node, _: [memory_info(node)]),
    "sysprocess": ("procinfo", _processes),
    "sysnet": ("netinfo", _networks),
    "syserrors": ("errors", _errors),
    "sysservices": ("services", _services),
    "sysconfig": ("config", _system_config),
}
"""Switch → member of madmin ``SysInfo`` and how it is made; each in a thread."""
