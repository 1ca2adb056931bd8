"""``mc admin service``: restarts that refuse nobody, freezing, and a stop."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.admin_wire import AdminWire
from tests.kit.clients import Tool, mc
from tests.kit.server import BROKEN, Server, until


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose workers may change."""
    with Server(tmp_path_factory.mktemp("server"), workers=3) as running:
        yield running


@pytest.fixture(scope="module")
def tool(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Tool:
    return mc(server.url, tmp_path_factory.mktemp("mc"))


def test_a_restart_replaces_every_worker_and_refuses_nothing(server: Server, tool: Tool) -> None:
    s3 = server.boto3()
    s3.create_bucket(Bucket="restart")
    before, stop, failed, done = server.worker_pids(), threading.Event(), [], itertools.count()

    def load(number: int) -> None:
        while not stop.is_set():
            key = f"{number}-{next(done)}"
            with server.client() as client:  # each on a connection of its own: none is lost that waits for a successor
                for _ in range(3):
                    try:
                        reply = client.request("PUT", f"/restart/{key}", body=key.encode())
                    except BROKEN as error:
                        failed.append(repr(error))
                        break
                    if reply.status != 200:
                        failed.append(f"{reply.status} {reply.code}")
                    if reply.headers.get("connection") == "close":
                        break

    threads = [threading.Thread(target=load, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    try:
        # its exit code alone: two goroutines of mc take the answers from one channel, and only one of them prints;
        # as JSON, since for people it draws on a terminal
        tool("admin", "service", "restart", "sos", "--json")
        until(lambda: not set(server.worker_pids().values()) & set(before.values()), "three other workers")
        until(lambda: len(server.worker_pids()) == 3, "all workers")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failed == []
    stored = [
        one["Key"]
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket="restart")
        for one in page["Contents"]
    ]
    assert len(stored) >= 20
    assert "ERROR" not in server.log()


def test_a_frozen_server_has_requests_wait(server: Server, tool: Tool) -> None:
    s3 = server.boto3()
    s3.create_bucket(Bucket="frozen")
    tool("admin", "service", "freeze", "sos")
    done: list[int] = []

    def put(slot: int) -> None:
        with server.client_of(slot) as client:
            done.append(client.request("PUT", f"/frozen/{slot}", body=b"x").status)

    threads = [threading.Thread(target=put, args=(slot,)) for slot in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(3):  # the admin API and the probes go on in every worker
        assert json.loads(tool("admin", "info", "sos", "--json").out)["info"]["mode"] == "online"
        with server.client() as client:
            assert client.request("GET", "/minio/health/live").status == 200
    assert all(thread.is_alive() for thread in threads) and done == []
    tool("admin", "service", "unfreeze", "sos")
    for thread in threads:
        thread.join()
    assert done == [200, 200, 200]
    assert s3.list_objects_v2(Bucket="frozen")["KeyCount"] == 3


def test_a_server_is_restarted_while_it_is_frozen(server: Server, tool: Tool) -> None:
    """Who waits is told to come back; the state outlives the workers."""
    root, before = AdminWire(server), server.worker_pids()
    assert root.ask("POST service", action="freeze").status == 200
    statuses: list[int] = []

    def get() -> None:
        with server.client() as client:
            statuses.append(client.request("GET", "/").status)

    waiting = threading.Thread(target=get)
    waiting.start()
    assert root.ask("POST service", action="restart").status == 200
    until(lambda: not set(server.worker_pids().values()) & set(before.values()), "three other workers")
    until(lambda: len(server.worker_pids()) == 3, "all workers")
    assert statuses in ([], [503])
    assert root.ask("POST service", action="unfreeze").status == 200
    waiting.join()
    assert statuses in ([200], [503])


def test_service_calls_tell_what_they_do(server: Server) -> None:
    """A28: an update from an address of the caller's choice is none."""
    root, before = AdminWire(server), server.worker_pids()
    told = root.ask("POST service", action="restart", type="2", **{"dry-run": "true"}).json
    assert (told["action"], told["dryRun"], len(told["results"])) == ("restart", True, 1)
    assert root.ask("POST service", action="nonsense", type="2").code == "XMinioAdminInvalidArgument"
    assert root.ask("POST update", updateURL="http://127.0.0.1/").code == "NotImplemented"
    assert server.worker_pids() == before


def test_a_stop_ends_the_server(tmp_path: Path, servers: list[Server]) -> None:
    server = Server(tmp_path).start()
    servers.append(server)
    tool = mc(server.url, tmp_path / "mc")
    tool("admin", "service", "stop", "sos")
    until(lambda: not server.running, "the end")
    assert server.process is not None and server.process.returncode == 0
