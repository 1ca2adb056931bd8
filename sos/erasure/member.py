"""A drive as the owner of its set sees it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from ..domain.errors import DriveFault
from ..drive.engine import DriveEngine, Position
from .catchup import HEAL
from .lane import Lane
from .protocol import DriveState

T = TypeVar("T")

#: A drive that was late is given the short deadline for this long.
LATE_MEMORY_S = 600.0
RETRY_S_MAX = 5.0


class Member:
    """One drive: its state, its thread, and when to try it again.

    ``busy`` is a call that was not waited for to its end: nothing else is asked of the drive until it is over.
    ``failed`` tells that it has to be opened anew before it can be trusted with anything, ``marked`` that it is known to
    hold the mark of shards that it lacks (``catchup.HealMark``).
    """

    def __init__(self, index: int, engine: DriveEngine | None, retry_s_min: float = 1.0) -> None:
        self.index = index
        self.engine = engine
        self.state = DriveState.OUT if engine is not None else DriveState.ABSENT
        self.last = Position(0, 0)
        self.damaged = False
        self.failed = engine is None
        self.marked = False
        self.reason = "" if engine is not None else "no drive"
        self.retry_at = 0.0
        self._retry_s_min = self._pause_s = retry_s_min
        self._late_at = -LATE_MEMORY_S
        self._lane: Lane | None = None
        self._busy: asyncio.Future[Any] | None = None

    @property
    def in_sync(self) -> bool:
        return self.state is DriveState.IN_SYNC

    @property
    def busy(self) -> bool:
        return self._busy is not None and not self._busy.done()

    @property
    def late_lately(self) -> bool:
        return time.monotonic() - self._late_at < LATE_MEMORY_S

    @property
    def open(self) -> DriveEngine:
        """The engine of a drive that is known to have one."""
        if self.engine is None:
            raise DriveFault("no drive", drive=self.index)
        return self.engine

    def run(self, call: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        """Call in the drive's thread."""
        if self._lane is None:
            self._lane = Lane(f"drive-{self.index}")
        self._busy = self._lane.run(call, *args)
        return self._busy

    def is_marked(self) -> bool:
        """Whether the drive says that it lacks shards. On the loop: one row."""
        if not self.marked:
            try:
                self.marked = _has_mark(self.open)
            except DriveFault:
                return False  # its answer to the next group will tell
        return self.marked

    def joined(self, last: Position) -> None:
        self.state, self.last, self.reason = DriveState.IN_SYNC, last, ""
        self.damaged = self.failed = False
        self._pause_s = self._retry_s_min

    def leave(self, reason: str, late: bool = False) -> None:
        """Out of the mask; tried again later, after a pause that doubles while it fails."""
        self.state = DriveState.OUT if self.engine is not None else DriveState.ABSENT
        self.reason, self.failed, self.marked = reason, True, False
        if late:
            self._late_at = time.monotonic()
        self.retry_at = time.monotonic() + self._pause_s
        self._pause_s = min(RETRY_S_MAX, self._pause_s * 2)

    def stand_by(self) -> None:
        """Neither in sync nor failed: there is no owner to be in sync with."""
        if self.in_sync:
            self.state, self.reason = DriveState.OUT, "no write quorum"

    def close(self) -> None:
        if self._lane is not None:
            self._lane.close()
            self._lane = None


async def ask(members: Iterable[Member], call: Callable[[Member], T], timeout_s: float) -> dict[int, T | DriveFault]:
    """What each drive answers, all at once; a drive that does not in time counts as failed and stays busy."""
    calls = {member.index: member.run(call, member) for member in members}
    if calls:
        await asyncio.wait(calls.values(), timeout=timeout_s)
    return {index: _answer(index, future) for index, future in calls.items()}


def _answer(index: int, future: asyncio.Future[Any]) -> Any:
    if not future.done():
        return DriveFault("no answer in time", drive=index)
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, DriveFault):
        return error
    raise error


def _has_mark(engine: DriveEngine) -> bool:
    txn = engine.begin_read()
    try:
        return txn.get("local", HEAL) is not None
    finally:
        txn.close()
