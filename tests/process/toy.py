"""A server with the real supervisor and the real worker loop, but a toy in place of the store.

Run as ``python -m tests.process.toy``; prints one JSON line when it serves. The toy answers lines over TCP.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Sequence

from sos.base.pages import PULSE_THREADS, Pages
from sos.config.address import Address
from sos.config.settings import Settings
from sos.config.values import ConfigError
from sos.mesh.sockets import listen as mesh_listen
from sos.observe import logs
from sos.supervisor.notify import Notifier
from sos.supervisor.sockets import listen
from sos.supervisor.supervisor import Hooks, Limits, Supervisor
from sos.worker.context import WorkerContext
from sos.worker.run import Tell, run


class Toy:
    """Commands: pid, block S (the loop stands still), hold (answered at the drain), die N, touch D (drive), level."""

    def __init__(self, context: WorkerContext) -> None:
        self.context = context
        self.draining = asyncio.Event()
        self.held: set[asyncio.Task[object]] = set()
        self.servers: list[asyncio.Server] = []

    async def start(self) -> None:
        for sock in self.context.api_sockets:
            self.servers.append(await asyncio.start_server(self.serve, sock=sock.dup()))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write((await self.answer(line.decode().split())).encode() + b"\n")
            await writer.drain()
        writer.close()

    async def answer(self, words: list[str]) -> str:
        if words[0] == "block":
            time.sleep(float(words[1]))  # noqa: ASYNC251 - the point is to stop the loop
        elif words[0] == "hold":
            task = asyncio.current_task()
            assert task is not None
            self.held.add(task)
            await self.draining.wait()
            return "held"
        elif words[0] == "die":
            os.kill(os.getpid(), int(words[1]))
        elif words[0] == "touch":
            self.context.pages.set_pulse(self.context.slot, PULSE_THREADS, int(words[1]) + 1)
        elif words[0] == "level":
            return self.context.settings.log_level
        return str(os.getpid())

    async def drain(self, timeout_s: float) -> None:
        for server in self.servers:
            server.close()
        self.draining.set()
        # the client of a held request closes once it has its answer
        if self.held:
            await asyncio.wait(self.held)

    async def reload(self) -> None:
        return None


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--boot", default="", help="FILE: the toy fails to start while it exists")
    parser.add_argument("--silence", type=float, default=5.0)
    parser.add_argument("--level", default="", help="FILE with the log level, read again at a reload")
    found = parser.parse_args()
    return build(found).run()


def build(found: argparse.Namespace) -> Supervisor:
    def settings() -> Settings:
        if not found.level:
            return Settings(drain_timeout_s=5.0)
        with open(found.level, encoding="utf-8") as file:
            level = file.read().strip()
        if level not in ("info", "debug"):
            raise ConfigError(f"no such level: {level}")
        return Settings(drain_timeout_s=5.0, log_level=level)

    async def start(context: WorkerContext) -> Toy:
        if found.boot and os.path.exists(found.boot):  # noqa: ASYNC240
            raise RuntimeError("the toy is told to fail")
        toy = Toy(context)
        await toy.start()
        return toy

    first = settings()
    logs.setup(first, "supervisor")
    pages = Pages(found.workers, 1)
    api = listen(Address("127.0.0.1", 0), found.workers)
    mesh = mesh_listen(found.workers)

    def worker(slot: int, incarnation: int, tell: Tell) -> int:
        addresses = [sock.getsockname() for sock in mesh]
        context = WorkerContext(
            slot, found.workers, incarnation, first, pages, None, api[slot], mesh[slot], addresses, settings
        )
        return run(context, tell, start)

    def ready() -> None:
        pids = [slot.child.pid for slot in supervisor.slots if slot.child is not None]
        print(json.dumps({"port": api[0][0].getsockname()[1], "pids": pids}), flush=True)

    def suspect(drives: Sequence[int], why: str) -> None:
        print(json.dumps({"suspect": list(drives), "why": why}), flush=True)

    def stopping() -> None:
        for sock in (sock for slot in api for sock in slot):
            sock.close()

    hooks = Hooks(worker=worker, suspect=suspect, check=settings, ready=ready, stopping=stopping)
    limits = Limits(silence_s=found.silence, drain_s=first.drain_timeout_s, look_s=min(1.0, found.silence / 5))
    supervisor = Supervisor(found.workers, pages, hooks, limits, Notifier(os.environ))
    return supervisor


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main())
