"""Freed extents are punched only when nobody can need them any more (I6)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

from sos.base.pages import Pages, SetState
from sos.drive.engine import Space
from sos.erasure import reclaim as module
from sos.erasure.reads import OpenReads
from sos.erasure.reclaim import Reclaim
from sos.meta import keys
from sos.meta.proposals import AnyProposal, Done, DropExtents, Outcome, Release
from sos.meta.records import ExtentRecord
from sos.meta.rows import seal


class Drive:
    path = "memory"

    def __init__(self) -> None:
        self.punched: list[tuple[int, int, int]] = []
        self.free = 500

    def space(self) -> Space:
        return Space(1000, self.free)

    def punch(self, volume: int, offset: int, length: int) -> None:
        self.punched.append((volume, offset, length))


class View:
    """Extents of one volume at 4096·i; ``freed`` says which sequence freed each (0: live)."""

    def __init__(self, pages: Pages, freed: Sequence[int]) -> None:
        self.pages = pages
        self.engines: list[Any] = [Drive(), Drive(), None]
        self.releases: set[bytes] = set()
        self.rows = {
            keys.extent_row(1, 4096 * i): ExtentRecord(bytes(16), 4096, seq, 1 if seq else 0) for i, seq in enumerate(freed)
        }

    def state(self) -> SetState:
        return self.pages.set_state(0)

    def usable(self) -> int:
        return 0b001

    async def snapshot(self) -> Any:
        return nullcontext(SimpleNamespace(scan=self.scan_all))

    def scan_all(self, table: str, start: bytes, stop: bytes | None) -> Iterator[tuple[bytes, bytes]]:
        if table == "undo":
            yield from ((row, b"") for row in sorted(self.releases) if row >= start)
            return
        assert table == "extents"
        for key in sorted(self.rows):
            if key >= start:
                yield key, seal(key, self.rows[key])


class Rig:
    def __init__(self, monkeypatch: Any, freed: Sequence[int], committed: int) -> None:
        self.now_s = 1000
        clock = SimpleNamespace(monotonic_ns=lambda: self.now_s * 10**9, time_ns=lambda: 1 << 62)
        monkeypatch.setattr(module, "time", clock)
        monkeypatch.setattr("sos.erasure.reads.time", clock)
        self.pages = Pages(2, 1)
        self.commit(committed)
        self.view = View(self.pages, freed)
        self.reads = OpenReads(self.pages, 1)
        self.dropped: list[bytes] = []
        self.reclaim = Reclaim(self.view, self.submit, self.pages, ThreadPoolExecutor(1))  # type: ignore[arg-type]

    def commit(self, seq: int) -> None:
        self.pages.publish(0, SetState(1, seq, 0b011))

    async def submit(self, proposals: Sequence[AnyProposal]) -> list[Outcome]:
        (drop,) = proposals
        assert isinstance(drop, DropExtents)
        self.dropped += drop.keys
        for key in drop.keys:
            del self.view.rows[key]
        return [Done(1)]

    def step(self, later_s: int = 0) -> bool:
        self.now_s += later_s
        return asyncio.run(self.reclaim.step(bytes(16)))

    def look(self, later_s: int = 0) -> None:
        self.now_s += later_s
        asyncio.run(self.reclaim.look())

    @property
    def punched(self) -> list[int]:
        return [offset // 4096 for _, offset, _ in self.view.engines[0].punched]


def test_only_freed_extents_go_and_only_after_the_grace(monkeypatch: Any) -> None:
    rig = Rig(monkeypatch, [0, 5, 0, 6], committed=6)
    rig.step()
    rig.step(59)
    assert rig.punched == [] and rig.reclaim.pending == 2
    rig.step(1)
    assert rig.punched == [1, 3] and len(rig.dropped) == 2 and rig.reclaim.pending == 0
    assert rig.view.engines[1].punched == [], "a drive out of sync is left alone"


def test_where_space_is_short_the_grace_is_too(monkeypatch: Any) -> None:
    rig = Rig(monkeypatch, [5, 6], committed=5)
    rig.view.engines[1].free = 1  # out of sync: does not count
    rig.look()
    rig.step(2)
    assert not rig.reclaim.short and rig.punched == []
    rig.view.engines[0].free = 124
    ticket = rig.reads.begin()
    rig.commit(6)
    rig.look()
    assert rig.reclaim.short
    rig.step(30)
    assert rig.punched == [0], "the other one was freed after the open read began"
    rig.reads.end(ticket)
    rig.step()
    assert rig.punched == [0, 1]


def test_graces_run_from_the_looks(monkeypatch: Any) -> None:
    rig = Rig(monkeypatch, [5], committed=5)
    rig.look()
    rig.look(30)
    rig.step(30)
    assert rig.punched == [0]


def test_the_wall_clock_does_not_matter(monkeypatch: Any) -> None:
    """R23: the rows say that the extents were freed long ago; what counts is when we saw them committed."""
    rig = Rig(monkeypatch, [5], committed=4)
    rig.step()
    rig.commit(5)
    rig.step(59)
    rig.step(2)
    assert rig.punched == [], "freed two seconds ago at most"
    rig.step(60)
    assert rig.punched == [0]


def test_an_open_read_keeps_what_was_freed_after_it_began(monkeypatch: Any) -> None:
    rig = Rig(monkeypatch, [5], committed=4)
    rig.step()
    rig.now_s += 61
    ticket = rig.reads.begin()
    rig.commit(5)
    for _ in range(5):
        rig.step(100)
    assert rig.punched == []
    rig.reads.end(ticket)
    rig.step(1)
    assert rig.punched == [0]


def test_steps_are_bounded_also_over_live_extents(monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "STEP_ROWS_MAX", 3)
    rig = Rig(monkeypatch, [0] * 9 + [5], committed=5)
    rig.step()
    more = [rig.step(61)]
    while more[-1]:
        more.append(rig.step())
    assert len(more) >= 2 and rig.punched == [9]


def test_what_operations_left_to_be_freed_is_freed_first_one_operation_a_step(monkeypatch: Any) -> None:
    rig = Rig(monkeypatch, [5], committed=6)
    rows = [keys.release_row(seq, number) for seq, number in ((4, 0), (4, 1), (300, 0))]
    rig.view.releases.update(rows)
    released: list[bytes] = []

    async def submit(proposals: Sequence[AnyProposal]) -> list[Outcome]:
        (release,) = proposals
        assert isinstance(release, Release)
        released.append(release.row)
        # the second one takes two operations
        if released.count(release.row) == 1 + (release.row == rows[1]):
            rig.view.releases.discard(release.row)
        return [Done(1)]

    monkeypatch.setattr(rig.reclaim, "_submit", submit)
    assert all(rig.step() for _ in range(4))
    assert released == [rows[0], rows[1], rows[1], rows[2]]
    monkeypatch.setattr(rig.reclaim, "_submit", rig.submit)
    rig.step()
    rig.step(60)
    assert rig.punched == [0]
