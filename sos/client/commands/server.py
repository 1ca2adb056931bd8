"""``admin info``, ``admin service``, ``ping`` and ``ready``."""

from __future__ import annotations

import time
from typing import Any

import click
import urllib3

from .. import formats
from ..asking import Asker
from ..command import command, flag
from ..command import group as family
from ..connection import CONNECT_S
from ..errors import Failure, Stop
from ..groups import admin, client
from ..session import Session

READY_S, POLL_S = 120.0, 0.25
_FINE = ("ok", "unformatted")


@command(admin, "info")
@click.argument("alias")
@flag("--offline", text="Only what is offline.")
def info(session: Session, alias: str, offline: bool) -> None:
    """Show the server, its drives and what it holds."""
    found = Asker(session, alias, "Unable to get service info.").json("GET info")
    session.console.say({"info": found}, "\n".join(_lines(found, offline)))


def _lines(found: dict[str, Any], offline: bool) -> list[str]:
    lines: list[str] = []
    for server in found.get("servers") or []:
        drives = server.get("drives") or []
        good = sum(drive.get("state") in _FINE for drive in drives)
        if offline and good == len(drives) and server.get("state") == "online":
            continue
        lines += [
            f"●  {server.get('endpoint', '')}",
            f"   Uptime: {formats.span(server.get('uptime', 0))}",
            f"   Version: {server.get('version', '')}",
            f"   Drives: {good}/{len(drives)} OK",
            *(f"     {one.get('path', '')}: {one.get('state', '')}" for one in drives if one.get("state") not in _FINE),
            "",
        ]
    return lines if offline else [*lines, *_pools(found), *_totals(found)]


def _pools(found: dict[str, Any]) -> list[str]:
    backend = found.get("backend") or {}
    shapes = zip(backend.get("totalSets") or [], backend.get("totalDrivesPerSet") or [], strict=False)
    return [f"Pool {n}: {sets} set{'s' * (sets != 1)} of {drives} drives" for n, (sets, drives) in enumerate(shapes, 1)]


def _totals(found: dict[str, Any]) -> list[str]:
    backend = found.get("backend") or {}
    size = (found.get("usage") or {}).get("size", 0)
    buckets, objects = ((found.get(name) or {}).get("count", 0) for name in ("buckets", "objects"))
    return [
        f"{formats.size(size)} Used, {buckets} Bucket{'s' * (buckets != 1)}, {objects} Object{'s' * (objects != 1)}",
        f"{backend.get('onlineDisks', 0)} drives online, {backend.get('offlineDisks', 0)} drives offline, "
        f"EC:{backend.get('standardSCParity', 0)}",
    ]


@family(admin, "service")
def service() -> None:
    """Restart or stop a server."""


@command(service, "restart")
@click.argument("alias")
def restart(session: Session, alias: str) -> None:
    """Restart the server, and wait until it serves again."""
    found = Asker(session, alias, "Unable to restart the server.").json("POST service", action="restart", type="2")
    if not wait_ready(session, alias, READY_S):
        raise Stop("Unable to restart the server.", Failure(f"It does not answer after {READY_S:.0f} s."))
    session.console.say({"serverURL": alias, "result": found}, f"Restarted `{alias}` successfully.")


@command(service, "stop")
@click.argument("alias")
def stop(session: Session, alias: str) -> None:
    """Stop the server."""
    Asker(session, alias, "Unable to stop the server.").json("POST service", action="stop", type="2")
    session.console.say({"serverURL": alias}, f"Stopped `{alias}` successfully.")


@command(client, "ready")
@click.argument("alias")
@flag("--cluster-read", text="Enough for reading.")
@flag("--maintenance", text="Enough without this node.")
def ready(session: Session, alias: str, cluster_read: bool, maintenance: bool) -> None:
    """Wait until the server can read and write."""
    path = "/minio/health/cluster/read" if cluster_read else "/minio/health/cluster"
    if not wait_ready(session, alias, READY_S, path + ("?maintenance=true" if maintenance else "")):
        raise Stop("The cluster is not ready.")
    session.console.say({"healthy": True}, f"The cluster '{alias}' is ready")


def wait_ready(session: Session, alias: str, patience_s: float, path: str = "/minio/health/cluster") -> bool:
    """Whether its health check says so in time."""
    url = session.url(session.remote_target(alias).alias)
    ends = time.monotonic() + patience_s
    while True:
        if health(session, alias, url + path) == 200:
            return True
        if time.monotonic() > ends:
            return False
        time.sleep(POLL_S)


def health(session: Session, alias: str, url: str) -> int:
    """The status of one question without credentials; 0 when nobody answers."""
    pool = session.remote(session.remote_target(alias).alias).s3._http
    timeout = urllib3.Timeout(connect=CONNECT_S, read=CONNECT_S)
    try:
        return pool.request("GET", url, retries=False, timeout=timeout).status
    except urllib3.exceptions.HTTPError:
        return 0


@command(client, "ping")
@click.argument("alias")
@click.option("-c", "--count", type=click.IntRange(min=1), default=1, help="How often.")
@click.option("-i", "--interval", type=click.FloatRange(min=0), default=1.0, help="Seconds between.")
def ping(session: Session, alias: str, count: int, interval: float) -> None:
    """Ask whether the server lives, and how fast it answers."""
    url = session.url(session.remote_target(alias).alias)
    for number in range(1, count + 1):
        began = time.perf_counter()
        status = health(session, alias, f"{url}/minio/health/live")
        took_ms = (time.perf_counter() - began) * 1000
        if status != 200:
            session.console.fail(f"{url}: no answer." if not status else f"{url} answered with status {status}.")
        else:
            session.console.say(
                {"serverURL": url, "counter": number, "timeMs": took_ms}, f"{number}: {url}   time={took_ms:.2f}ms"
            )
        if number < count:
            time.sleep(interval)
