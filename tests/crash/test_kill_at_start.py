"""Kills while a server boots, forms its drives or recovers; and two servers that want the same drives."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path

import pytest

from tests.kit.history import History
from tests.kit.load import Session
from tests.kit.replicas import inspect
from tests.kit.server import Server, alive, children, until

pytestmark = pytest.mark.soak
SOAK = bool(os.environ.get("SOS_SOAK"))
KILLS = 30 if SOAK else 3


def after_s(server: Server, source: random.Random, most_s: float) -> None:
    """A random moment of a start: waits for the clock alone, since any moment is as good."""
    history = History()
    end = history.clock()[0] + source.uniform(0, most_s)
    until(lambda: history.clock()[0] >= end or not server.running, "a moment")


@pytest.mark.parametrize("what", ["supervisor", "everything"])
def test_kills_during_the_first_start_leave_drives_that_can_be_formed(tmp_path: Path, what: str) -> None:
    """Boot children, half-made indexes, drives that say they are being formed: the next start goes on with all."""
    source = random.Random(what)
    for number in range(KILLS):
        path = tmp_path / str(number)
        path.mkdir()
        server = Server(path).launch()
        after_s(server, source, 0.5)
        server.kill_supervisor() if what == "supervisor" else server.kill_all()
        with server.restart(), server.client() as client:
            assert client.request("PUT", "/bucket").status == 200
            assert server.stop() == 0
            inspect(server.paths)


def test_kills_during_recovery_lose_nothing(tmp_path: Path) -> None:
    """The machine restarts again and again before it has recovered; then once more, and it serves everything."""
    source = random.Random(3)
    with Server(tmp_path) as server:
        history = History()
        session = Session(server, history, "writer")
        session.prepare()
        for key in ("key/00", "key/01"):
            session.put_small(key)
            session.put_large(key)
        for _ in range(2 * KILLS):
            server.kill_all()
            server.launch()
            after_s(server, source, 0.4)
        server.restart()
        session.close()
        session.read_all()
        assert not session.problems
        history.check()
        assert server.stop() == 0
        inspect(server.paths)


def test_a_worker_that_dies_again_and_again_while_it_recovers_comes_back(tmp_path: Path) -> None:
    """The owner of the set is killed as soon as it is forked, several times; the other worker serves on."""
    with Server(tmp_path) as server:
        history = History()
        session = Session(server, history, "writer")
        session.prepare()
        session.use(server.client_of(1))
        killed = server.kill_worker(0)
        for _ in range(4):
            killed = until(lambda killed=killed: _fork_of(server, killed), "a successor")
            os.kill(killed, signal.SIGKILL)
        session.put_small("key/02")  # waits for an owner
        server.wait_worker(0, killed)
        session.read_all()
        assert not session.problems and session.restless == 0
        history.check()


def _fork_of(server: Server, killed: int) -> int:
    """A worker that was forked after ``killed`` and does not serve yet."""
    serving = server.worker_pids().values()
    return next((pid for pid in children(server.pid) if pid > killed and alive(pid) and pid not in serving), 0)


def _refused(server: Server) -> str:
    assert server.process is not None
    assert server.process.wait(30) == 1
    return server.log()


@pytest.mark.parametrize("moment", ["serving", "killed"])
def test_two_servers_never_have_the_same_drives(tmp_path: Path, moment: str) -> None:
    """The second is refused while the first serves, and has the drives at once when the first was killed; of two that
    start in the same moment one at most serves."""
    (tmp_path / "other").mkdir()
    with Server(tmp_path) as first:
        second = Server(tmp_path / "other", first.paths).launch()
        assert "another server uses this drive" in _refused(second)
        with first.client() as client:
            assert client.request("PUT", "/bucket").status == 200
        if moment == "killed":
            first.kill_all()
            racers = [first.launch(), second.launch()]
            until(lambda: any(map(_serves, racers)) or not any(one.running for one in racers), "a winner or none")
            if not any(one.running for one in racers):
                racers[0].launch()  # each had a drive that the other wanted, and gave it back
            winner = until(lambda: next(filter(_serves, racers), None), "a winner")
            winner.wait_ready()
            until(lambda: sum(one.running for one in racers) == 1, "the other to give up")
            with winner.client() as client:
                assert client.request("HEAD", "/bucket").status == 200
            winner.close()


def _serves(server: Server) -> bool:
    return server.running and len(server.worker_pids()) == server.workers
