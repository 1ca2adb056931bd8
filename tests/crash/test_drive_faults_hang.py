"""A drive whose I/O does not return: an XFS on a loop device that is frozen under the running server.

Whatever writes to it then, a page that is mapped from it included, waits in the kernel and cannot be killed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.devices import LONG, missing
from tests.kit.load import Load
from tests.kit.rig import Rig, rig
from tests.kit.rig_load import finish, started
from tests.kit.server import until

#: Clients give up on a worker that hangs after 30 s; until then it is replaced.
PATIENCE_S = 120.0

pytestmark = [pytest.mark.serial, pytest.mark.skipif(bool(missing()), reason=missing() or "-")]


@pytest.fixture
def four(tmp_path: Path) -> Iterator[Rig]:
    """2 + 2 drives; whatever is frozen is thawed at the end, else nothing could ever be unmounted."""
    with rig(tmp_path, 4) as one:
        yield one


@pytest.mark.parametrize("drive", [pytest.param(3, marks=LONG), 0])
def test_requests_go_on_beside_a_hung_drive_and_it_returns(four: Rig, drive: int) -> None:
    """R05: drive 4 is read for inline shards only, and leaves when a group of commits waits for it. Of drive 1 both workers
    read all the time in their event loops, which hang then: they are replaced, without that drive."""
    history, session = started(four)
    with Load(four.server, history, "load") as load:
        load.wait_for(60)
        with four.drives[drive].frozen():
            four.wait_lacking(1, PATIENCE_S)
            load.wait_for(120, PATIENCE_S)
            assert four.health().status == 200
        four.wait_whole(PATIENCE_S)
        load.wait_for(20)
    finish(four, history, session, load, PATIENCE_S)


@pytest.mark.parametrize(
    ("drive", "kills"),
    [
        (3, [0]),
        pytest.param(3, [1], marks=LONG),
        pytest.param(3, [0, 1], marks=LONG),
        pytest.param(0, [1, 0], marks=LONG),
    ],
)
def test_a_worker_that_is_killed_while_it_hangs_on_a_drive_is_replaced(four: Rig, drive: int, kills: list[int]) -> None:
    """It does not end before the drive answers again: its successor goes on without that drive, and the other workers ask
    the successor, though the old process still holds its connections."""
    history, session = started(four)
    with Load(four.server, history, "load") as load:
        load.wait_for(60)
        with four.drives[drive].frozen():
            four.wait_lacking(1, PATIENCE_S)
            for slot in kills:
                killed = four.server.kill_worker(slot)
                until(lambda: four.server.worker_pids().get(slot, 0) not in (0, killed), "a successor", PATIENCE_S)  # noqa: B023
                load.wait_for(60, PATIENCE_S)
            assert four.health().status == 200
            told = [int(pid) for pid in re.findall(r"\(pid (\d+)\) cannot be killed", four.server.log())]
            assert told and all(exists(pid) for pid in told)
        four.wait_whole(PATIENCE_S)
        until(lambda: not any(exists(pid) for pid in told), "the old processes to end")
        load.wait_for(20)
    finish(four, history, session, load, PATIENCE_S)


def exists(pid: int) -> bool:
    """Also where only a thread of it is left."""
    return Path(f"/proc/{pid}").exists()
