"""The supervisor with real forks, real signals and real sockets."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.kit.server import alive, until

from .conftest import Server, hear, talk

Serve = Callable[..., Server]


def test_killed_worker_is_back_within_a_second_and_the_other_serves_meanwhile(serve: Serve) -> None:
    server = serve().ready()
    first, second = server.workers()
    other = server.reach(second)
    started = time.monotonic()
    os.kill(first, signal.SIGKILL)
    fresh = until(lambda: set(server.workers()) - {first, second}, "a new worker").pop()
    assert talk(other, "pid") == str(second)
    server.reach(fresh).close()
    assert time.monotonic() - started < 1.0
    assert alive(second)


def test_queued_connection_survives_the_death_of_its_worker(serve: Serve) -> None:
    """The socket is kept: a connection in the backlog of a dead worker is answered by its successor."""
    server = serve("--workers", "1").ready()
    (worker,) = server.workers()
    os.kill(worker, signal.SIGSTOP)
    waiting = [server.connect() for _ in range(20)]
    for sock in waiting:
        sock.sendall(b"pid\n")
    os.kill(worker, signal.SIGKILL)
    answers = {hear(sock) for sock in waiting}
    assert len(answers) == 1
    assert answers != {str(worker)}
    assert "" not in answers


def test_failed_boot_stops_the_server_with_the_workers_words(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "fail").touch()
    server = serve("--boot", str(tmp_path / "fail"))
    assert server.wait() == 1
    assert "failed to start: the toy is told to fail" in server.text()


def test_worker_that_cannot_boot_again_stops_the_server_after_a_few_tries(serve: Serve, tmp_path: Path) -> None:
    server = serve("--boot", str(tmp_path / "fail")).ready()
    (tmp_path / "fail").touch()
    os.kill(server.workers()[0], signal.SIGKILL)
    assert server.wait() == 1
    assert "time after time: the toy is told to fail" in server.text()


def test_sigterm_finishes_requests_and_refuses_new_connections(serve: Serve) -> None:
    server = serve("--workers", "1").ready()
    held = server.connect()
    held.sendall(b"hold\n")
    server.ask("pid")
    server.send(signal.SIGTERM)
    assert hear(held) == "held"
    held.close()
    assert server.wait() == 0
    with pytest.raises(ConnectionRefusedError):
        server.connect()


def test_second_sigterm_does_not_wait(serve: Serve) -> None:
    server = serve("--workers", "1").ready()
    server.connect().sendall(b"block 60\n")
    server.send(signal.SIGTERM)
    until(lambda: "stopping" in server.text(), "the first signal")
    started = time.monotonic()
    server.send(signal.SIGTERM)
    server.wait()
    assert time.monotonic() - started < 2.0


def test_workers_end_with_their_supervisor(serve: Serve) -> None:
    server = serve().ready()
    workers = server.workers()
    # also one whose loop stands still and cannot look for its parent
    server.reach(workers[0]).sendall(b"block 60\n")
    server.send(signal.SIGKILL)
    until(lambda: not any(map(alive, workers)), "the workers' end", 2.0)


def test_worker_that_stands_still_is_replaced_and_its_stacks_are_logged(serve: Serve) -> None:
    server = serve("--silence", "0.5").ready()
    first, second = server.workers()
    sock = server.reach(first)
    sock.sendall(b"block 60\n")
    until(lambda: not alive(first), "the kill", 5.0)
    until(lambda: len(server.workers()) == 2, "a new worker")
    assert alive(second)
    assert "stands still" in server.text()
    assert "in answer" in server.text()


def test_pause_of_the_whole_machine_kills_nobody(serve: Serve) -> None:
    """All beats are old after a pause; the supervisor was asleep too and does not count it."""
    server = serve("--silence", "1").ready()
    workers = server.workers()
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    looked = switches(server.pid)
    until(lambda: switches(server.pid) >= looked + 2, "a look at the last beats")
    os.kill(server.pid, signal.SIGSTOP)
    until(lambda: not runs(server.pid), "the stop")
    time.sleep(1.5)  # the pause itself
    before = switches(server.pid)
    os.kill(server.pid, signal.SIGCONT)
    until(lambda: switches(server.pid) > before, "the supervisor's look at beats that are old", 2.0)
    for pid in workers:
        os.kill(pid, signal.SIGCONT)
    assert set(server.ask("pid", "pid")) <= set(map(str, workers))
    assert server.workers() == workers
    assert "stands still" not in server.text()


def runs(pid: int) -> bool:
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
        return "State:\tT" not in file.read()


def switches(pid: int) -> int:
    """How often the process has gone to sleep of its own will: after each turn of its loop."""
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
        return int(file.read().partition("voluntary_ctxt_switches:")[2].split()[0])


def test_death_by_sigbus_names_the_drives_that_were_touched(serve: Serve) -> None:
    server = serve("--workers", "1").ready()
    with server.connect() as sock:
        talk(sock, "touch 2")
        talk(sock, f"die {int(signal.SIGBUS)}")
    told = server.said.get(timeout=5)
    assert told["suspect"] == [2]
    assert server.ask("pid")[0]


def test_crashes_of_one_slot_are_answered_ever_more_slowly_but_always(serve: Serve) -> None:
    server = serve("--workers", "1").ready()
    for _ in range(6):
        worker = int(server.ask("pid")[0])
        os.kill(worker, signal.SIGKILL)
        until(lambda gone=worker: not alive(gone), "its end")
    assert server.ask("pid")[0]


def test_sighup_reloads_in_every_worker_and_keeps_the_old_settings_when_wrong(serve: Serve, tmp_path: Path) -> None:
    level = tmp_path / "level"
    level.write_text("info")
    server = serve("--level", str(level)).ready()
    workers = server.workers()
    level.write_text("debug")
    server.send(signal.SIGHUP)
    for pid in workers:
        with server.reach(pid) as sock:
            until(lambda sock=sock: talk(sock, "level") == "debug", "the new level")
    level.write_text("nonsense")
    server.send(signal.SIGHUP)
    until(lambda: "reload refused" in server.text(), "the refusal")
    assert server.ask("level") == ["debug"]
    assert server.workers() == workers


def test_sigquit_dumps_every_stack_and_goes_on(serve: Serve) -> None:
    server = serve().ready()
    workers = server.workers()
    server.send(signal.SIGQUIT)
    until(lambda: server.text().count("most recent call first") >= 3, "three dumps")
    assert server.ask("pid")[0] in map(str, workers)
    assert server.workers() == workers


def test_service_manager_hears_ready_watchdog_reloading_and_stopping(serve: Serve, tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.settimeout(10)
    manager.bind(address)
    server = serve(env={"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "400000"}).ready()

    def next_but(*skip: str) -> dict[str, str]:
        while True:
            lines = dict(line.split("=", 1) for line in manager.recv(4096).decode().splitlines())
            if not lines.keys() & set(skip):
                return lines

    assert next_but()["READY"] == "1"
    assert next_but() == {"WATCHDOG": "1"}
    before = time.monotonic_ns() // 1000
    server.send(signal.SIGHUP)
    reloading = next_but("WATCHDOG")
    assert reloading["RELOADING"] == "1"
    assert before < int(reloading["MONOTONIC_USEC"]) < time.monotonic_ns() // 1000
    assert next_but("WATCHDOG")["READY"] == "1"
    server.send(signal.SIGTERM)
    assert next_but("WATCHDOG")["STOPPING"] == "1"


def test_watchdog_falls_silent_while_one_worker_stands_still(serve: Serve, tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(address)
    server = serve("--silence", "60", env={"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "600000"}).ready()
    os.kill(server.workers()[0], signal.SIGSTOP)
    manager.settimeout(1.2)
    with pytest.raises(TimeoutError):
        # messages that were on their way may still come, a living watchdog would never stop
        for _ in range(5):
            manager.recv(4096)


def test_nothing_of_a_worker_leaks_when_it_is_replaced(serve: Serve) -> None:
    server = serve("--workers", "1").ready()

    def descriptors() -> int:
        return len(os.listdir(f"/proc/{server.pid}/fd"))

    before = descriptors()
    for _ in range(3):
        worker = int(server.ask("pid")[0])
        os.kill(worker, signal.SIGKILL)
        until(lambda gone=worker: not alive(gone), "its end")
    server.ask("pid")
    assert descriptors() == before
