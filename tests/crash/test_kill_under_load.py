"""kill -9 of workers, of the supervisor and of everything at random moments under mixed load (R01, R02, R04, R11, R12,
R15, R17).

What was acknowledged is there, byte for byte; what was not is there whole or not at all; what was read once never
disappears; listings agree; counters, extents and replicas are exact. ``SOS_SOAK=1`` runs more seeds for longer.
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.kit.history import History
from tests.kit.load import Load, Session
from tests.kit.replicas import inspect
from tests.kit.server import Server

pytestmark = pytest.mark.soak
SOAK = bool(os.environ.get("SOS_SOAK"))
SEEDS = range(20) if SOAK else range(1)
#: Between two kills the clients hear so many answers, at least and at most.
ANSWERS = (5, 120)


def kill_worker(server: Server, source: random.Random) -> None:
    slot = source.randrange(server.workers)
    killed = server.kill_worker(slot)
    if source.random() < 0.7:  # else the next kill may come before the successor serves
        server.wait_worker(slot, killed)


def kill_supervisor(server: Server, _: random.Random) -> None:
    server.kill_supervisor()
    server.start()


def kill_all(server: Server, _: random.Random) -> None:
    server.kill_all()
    server.start()


def run(server: Server, kill: Callable[[Server, random.Random], None], kills: int, seed: int) -> None:
    source = random.Random(seed)
    history = History()
    Session(server, history, f"{seed}/setup").prepare()
    with Load(server, history, seed) as load:
        for _ in range(kills):
            load.wait_for(source.randint(*ANSWERS))
            kill(server, source)
        load.wait_for(ANSWERS[1])
    assert not load.problems, load.problems[:5]
    after = Session(server, history, f"{seed}/after")
    for slot in range(server.workers):
        after.use(server.client_of(slot))
        after.read_all()
    assert not after.problems, after.problems[:5]
    history.check()
    assert history.acknowledged() > 100
    assert server.stop() == 0
    inspect(server.paths)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("kill", "kills", "drives", "sets"),
    [(kill_worker, 6, 4, 1), (kill_worker, 5, 4, 2), (kill_supervisor, 3, 3, 1), (kill_all, 4, 4, 1), (kill_all, 3, 1, 1)],
    ids=["workers", "workers of two sets", "supervisor", "all", "all on one drive"],
)  # fmt: skip
def test_nothing_acknowledged_is_lost(
    tmp_path: Path, kill: Callable[[Server, random.Random], None], kills: int, drives: int, sets: int, seed: int
) -> None:
    env = {"MINIO_ERASURE_SET_DRIVE_COUNT": str(drives // sets)} if sets > 1 else {}
    with Server(tmp_path, drives, env=env) as server:
        run(server, kill, kills * (5 if SOAK else 1), seed)


def test_requests_to_the_others_do_not_fail_while_a_worker_is_replaced(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Whichever worker dies, the owner of the set or not: a connection to another one never sees an error. A connection
    to the killed one breaks, and a request made again succeeds."""
    with Server(tmp_path) as server:
        history = History()
        Session(server, history, "setup").prepare()
        for slot in (0, 1):
            other, broken = Session(server, history, f"other {slot}"), Session(server, history, f"broken {slot}")
            other.use(server.client_of(1 - slot))
            broken.use(server.client_of(slot))
            before = history.answers.copy()
            stop = threading.Event()
            thread = threading.Thread(target=_until_stopped, args=(other, stop))
            thread.start()
            began = history.clock()[0]
            server.wait_worker(slot, server.kill_worker(slot))
            record_property(f"worker_{slot}_back_s", round(history.clock()[0] - began, 3))
            broken.read_all()  # its first request finds the connection broken
            again = Session(server, history, f"again {slot}")
            again.read_all()
            again.put("key/00", 1000)
            stop.set()
            thread.join()
            assert not other.problems and not again.problems, (other.problems, again.problems)
            seen = history.answers - before
            assert [kind for kind in seen if not kind.split()[-1].isdigit()] in (
                [], ["RemoteDisconnected"], ["ConnectionResetError"],
            )  # fmt: skip
            assert not [kind for kind in seen if kind.endswith(" 503")], seen
            other.close()
        history.check()


def _until_stopped(session: Session, stop: threading.Event) -> None:
    while not stop.is_set():
        session.step()
