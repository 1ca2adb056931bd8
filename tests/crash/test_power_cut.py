"""Power cuts at the syncs of a whole server (R02, R03, R04, R11, R17).

Clients work against a server whose every change of its drives is journaled. Then the drives are rebuilt as they would be
had the power failed at some sync, a server is started on them, and what it serves is held against what the clients had
been told by that moment. ``SOS_SOAK=1`` tries every sync instead of some, and more seeds.
"""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.kit.history import History, Moment
from tests.kit.journal import EVERYTHING, LOSSES, SOME, Journal, Loss, build_library, compiler
from tests.kit.load import KEYS, Load, Session
from tests.kit.replicas import inspect
from tests.kit.server import Server

pytestmark = [pytest.mark.soak, pytest.mark.skipif(compiler() is None, reason="needs a C compiler for the journal")]
SOAK = bool(os.environ.get("SOS_SOAK"))
REQUESTS = 90
TRACKED = KEYS[:6]
END = float("inf")


@dataclass(frozen=True)
class Shape:
    """A deployment, and how many cuts of it the short form tries."""

    name: str
    drives: int
    sets: int
    cuts: int

    def server(self, path: Path, drives: Path, **env: str) -> Server:
        paths = [str(drives / f"d{i + 1}") for i in range(self.drives)]
        env = {"MINIO_ERASURE_SET_DRIVE_COUNT": str(self.drives // self.sets)} | env if self.sets > 1 else env
        return Server(path, paths, workers=2 if env.get("SOS_JOURNAL") else 1, env=env)


SHAPES = [Shape("2+2", 4, 1, 8), Shape("1+1", 2, 1, 3), Shape("two sets", 4, 2, 3), Shape("2+1", 3, 1, 3)]


@dataclass(frozen=True)
class Run:
    """What was recorded."""

    shape: Shape
    journal: Journal
    history: History
    served_at: int
    library: Path


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_library(tmp_path_factory.mktemp("journal"))


def journaled(shape: Shape, path: Path, drives: Path, library: Path) -> tuple[Server, Path]:
    log = path / "journal"
    env = {"LD_PRELOAD": str(library), "SOS_JOURNAL": str(log), "SOS_JOURNAL_ROOT": str(drives)}
    return shape.server(path, drives, **env), log


def record(shape: Shape, path: Path, library: Path, seed: int) -> Run:
    """Three clients at once, so that groups hold several operations."""
    drives = path / "drives"
    drives.mkdir()
    server, log = journaled(shape, path, drives, library)

    def clock() -> Moment:
        return float(log.stat().st_size), time.monotonic()

    with server.start():
        served_at = log.stat().st_size
        history = History(clock)
        Session(server, history, f"{seed}/setup", TRACKED).prepare()
        with Load(server, history, seed, threads=3, keys=TRACKED) as load:
            load.wait_for(REQUESTS)
        assert not load.problems
        assert server.stop() == 0
    history.check()
    return Run(shape, Journal(log, drives), history, served_at, library)


@pytest.fixture(scope="module", params=SHAPES, ids=lambda shape: shape.name)
def run(request: pytest.FixtureRequest, library: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    path = tmp_path_factory.mktemp("run").resolve()
    yield record(request.param, path, library, seed=1)
    shutil.rmtree(path)


def some(points: list[int], count: int, source: random.Random) -> list[int]:
    return points if SOAK else sorted(source.sample(points, min(count, len(points))))


def check(run: Run, server: Server, cut: int) -> None:
    """Start on what the cut left, compare with what was known, stop, and look into the drives."""
    history = run.history.until((float(cut), END))
    history.clock = lambda: (float(cut), END)
    with server.start():
        session = Session(server, history, "after", TRACKED)
        if history.acknowledged():
            session.read_all()
            session.read_all()  # what was found must stay: it is committed now, whatever it was before
        assert not session.problems, session.problems
        assert server.stop() == 0
    history.check()
    inspect(server.paths)


def test_the_journal_is_complete(run: Run, tmp_path: Path) -> None:
    """Replayed to its end it gives the very bytes that are on the drives, so no call escapes it."""
    run.journal.rebuild(run.journal.records[-1].end, EVERYTHING, 0, tmp_path / "drives")
    kept = [path for path in run.journal.root.rglob("*") if path.is_file() and path.name not in ("lock.mdb", "lock")]
    assert len(kept) >= 3 * run.shape.drives, "an identity, an index and a volume each"
    for path in kept:
        twin = tmp_path / "drives" / path.relative_to(run.journal.root)
        assert os.stat(twin).st_size == path.stat().st_size
        assert not differences(path, twin), path


def differences(one: Path, two: Path) -> bool:
    """Compares the parts of two sparse files that hold data in either."""
    with open(one, "rb") as left, open(two, "rb") as right:
        for file in (left, right):
            end, at = os.stat(file.fileno()).st_size, 0
            while at < end:
                try:
                    at = os.lseek(file.fileno(), at, os.SEEK_DATA)
                except OSError:  # ENXIO: nothing but a hole
                    break
                stop = os.lseek(file.fileno(), at, os.SEEK_HOLE)
                while at < stop:
                    length = min(1 << 20, stop - at)
                    if os.pread(left.fileno(), length, at) != os.pread(right.fileno(), length, at):
                        return True
                    at += length
    return False


def test_acknowledged_requests_survive_a_cut_at_any_sync(run: Run, tmp_path: Path) -> None:
    """PUT of every kind, overwrite, delete, copy, multipart; right before and right after a sync ends."""
    points = run.journal.sync_points(run.served_at)
    for number, cut in enumerate(some(points, run.shape.cuts, random.Random(5))):
        for loss in LOSSES if SOAK else [LOSSES[number % len(LOSSES)]]:
            drives = tmp_path / "drives"
            run.journal.rebuild(cut, loss, number, drives)
            check_or_tell(run, run.shape.server(tmp_path, drives), cut, loss, number)
            shutil.rmtree(drives)


def check_or_tell(run: Run, server: Server, cut: int, loss: Loss, seed: int) -> None:
    try:
        check(run, server, cut)
    except AssertionError as error:
        raise AssertionError(f"cut at {cut}, {loss.name} of the unsynced kept, seed {seed}") from error


def test_a_group_that_only_some_drives_have_is_whole_or_gone(run: Run, tmp_path: Path) -> None:
    """R04: cut between the commits of one group on its drives. What it replaced must not be lost with it."""
    commits = [record.end for record in run.journal.records if record.is_commit and record.end > run.served_at]
    for number, cut in enumerate(some(commits, run.shape.cuts, random.Random(6))):
        drives = tmp_path / "drives"
        run.journal.rebuild(cut, SOME, number, drives)
        check_or_tell(run, run.shape.server(tmp_path, drives), cut, SOME, number)
        shutil.rmtree(drives)


def test_a_cut_while_the_drives_are_formed_leaves_what_can_be_formed(run: Run, tmp_path: Path) -> None:
    """R03: names of directories and files too. Nothing was acknowledged yet; the next start goes on."""
    points = [point for point in run.journal.sync_points() if point < run.served_at]
    for number, cut in enumerate(some(points, run.shape.cuts // 2, random.Random(7))):
        drives = tmp_path / "drives"
        run.journal.rebuild(cut, LOSSES[number % len(LOSSES)], number, drives)
        server = run.shape.server(tmp_path, drives)
        with server.start(), server.client() as client:
            assert client.request("PUT", "/bucket").status == 200
            assert server.stop() == 0
        inspect(server.paths)
        shutil.rmtree(drives)


def test_a_cut_during_the_recovery_from_a_cut_loses_nothing_more(run: Run, tmp_path: Path) -> None:
    """The power fails again while the server recovers, or just after."""
    source = random.Random(8)
    commits = [record.end for record in run.journal.records if record.is_commit and record.end > run.served_at]
    for number, cut in enumerate(some(commits, run.shape.cuts // 3, source)):
        first, second = tmp_path / "first", tmp_path / "second"
        run.journal.rebuild(cut, SOME, number, first)
        run.journal.rebuild(cut, SOME, number, second)
        server, log = journaled(run.shape, tmp_path, first.resolve(), run.library)
        with server.start():
            server.kill_all()
        journal = Journal(log, first.resolve())
        again = source.choice(journal.sync_points())
        journal.rebuild(again, SOME, number, second)
        try:
            check(run, run.shape.server(tmp_path, second), cut)
        except AssertionError as error:
            raise AssertionError(f"cut at {cut}, then at {again} of the recovery, seed {number}") from error
        for path in (first, second):
            shutil.rmtree(path)
        log.unlink()
