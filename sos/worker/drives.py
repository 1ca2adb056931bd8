"""The drives of one set as one worker has them open.

Invariants:

1. The owner of a set opens its drives, gives them up and opens them anew; every other worker follows: it has a drive open
   while the owner has it in sync, and what it opened before the owner gave a drive up is not used any more.
2. Whoever gives a drive up closes everything of it, its lock included: a failed drive can be unmounted.
3. An index is open once in a process: a drive is opened again when the last use of the old opening has ended.
4. Nothing is written to a drive before its identity was read: a mount point without its drive stays empty.
5. A drive that hangs holds a thread of its own, and nobody waits for it without a bound.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from ..base.pages import Pages
from ..base.touch import Touch, Touches
from ..domain.errors import DriveFault
from ..drive.engine import DriveEngine
from ..drive.identity import read_identity
from ..drive.mapped import MappedEngine
from .locks import take_lock
from .traced_drive import DriveTraces, TracedEngine

log = logging.getLogger("sos.worker.drives")

#: What the drives have for being opened when a worker starts; they are opened side by side.
OPEN_S_MAX = 5.0
#: For the last use of an old opening to end, and for the supervisor to let go of a lock.
CLOSE_S_MAX = 5.0
UNLOCK_S_MAX = 3.0
POLL_S = 0.02
#: A worker that follows tries again to open a drive that it could not open.
RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class OpenAs:
    """How drives are opened.

    :param owner: this worker owns the set
    :param reserve_bytes: free bytes to leave on each drive; None for the default
    :param deployment: UUID that a drive must name
    :param place: pool and set (in its pool) that it must name
    :param touches: the worker's pulse
    :param first: number, over all sets, of the set's first drive
    :param traces: told what is done with them
    """

    owner: bool
    reserve_bytes: int | None
    deployment: str
    place: tuple[int, int]
    touches: Touches
    first: int
    traces: DriveTraces


class Opening:
    """One attempt to open a drive, in a thread of its own."""

    def __init__(self, drives: SetDrives, index: int) -> None:
        self.opening = drives.opening(index)
        self.engine: DriveEngine | None = None
        self._drives, self._index = drives, index
        self._unwanted = False
        self._lock = threading.Lock()
        self.done = threading.Event()
        threading.Thread(target=self._run, name=f"open-{index}", daemon=True).start()

    def _run(self) -> None:
        try:
            engine = self._drives.open(self._index)
            with self._lock:
                self.engine = None if self._unwanted else engine
            if self._unwanted:
                engine.close()
        except DriveFault as error:
            self._drives.tell_once(self._index, str(error))
        finally:
            self.done.set()
            self._drives.opened()

    def give_up(self) -> None:
        """Nobody waits any more: what is opened late is closed again."""
        with self._lock:
            self._unwanted = True
            engine, self.engine = self.engine, None
        if engine is not None:
            engine.close()


class SetDrives:
    """Engines by position. ``engines`` is shared with the view and the writer: an entry is replaced in place.

    :param paths: by position in the set
    :param locks: path → inherited descriptor of its lock
    """

    def __init__(
        self, number: int, paths: Sequence[str], pages: Pages, how: OpenAs, locks: dict[str, int] | None = None
    ) -> None:
        self.number = number
        self.paths = list(paths)
        self._pages = pages
        self._how = how
        self._locks = locks if locks is not None else {}
        self._opened = [0] * len(self.paths)
        self._old: dict[int, DriveEngine] = {}
        self._tries: dict[int, Opening] = {}
        self._retry_at = [0.0] * len(self.paths)
        self._failed = 0
        self._told: dict[int, str] = {}
        #: Called in any thread when an attempt to open a drive has ended.
        self.opened: Callable[[], None] = lambda: None
        self.engines: list[DriveEngine | None] = [None] * len(self.paths)
        self._open_all()

    # -- opening -------------------------------------------------------------------------------------

    def opening(self, index: int) -> int:
        return self._pages.opening(self.number, index)

    def _open_all(self) -> None:
        """All drives but suspects, side by side; one that hangs is left out."""
        wanted = ~self._pages.suspects(self.number)
        tries = {i: Opening(self, i) for i in range(len(self.paths)) if wanted >> i & 1}
        until_s = time.monotonic() + OPEN_S_MAX
        for index, one in tries.items():
            if one.done.wait(max(0.0, until_s - time.monotonic())):
                self._opened[index], self.engines[index] = one.opening, one.engine
            else:
                one.give_up()
                log.error("drive %s is left out: it does not answer", self.paths[index])

    def open(self, index: int) -> MappedEngine:
        """Open a drive that is what it should be.

        :raises DriveFault: it is missing, blank, another one, or fails
        """
        self._find(index)
        touch = Touch(self._how.touches, self._how.first + index)
        how = self._how
        return TracedEngine(self.paths[index], how.owner, how.reserve_bytes, touch, how.traces)

    def _find(self, index: int) -> None:
        """See to it that ``paths[index]`` is the drive of this position: drives that were absent when the server started
        may have returned at each other's place.
        """
        path = self.paths[index]
        if self._position_at(path) == index:
            return
        for other, candidate in enumerate(self.paths):
            if other != index and self.engines[other] is None:
                with suppress(DriveFault):
                    if self._position_at(candidate) == index:
                        self.paths[index], self.paths[other] = candidate, path
                        log.warning("%s is drive %d of its set: used in its own place", candidate, index + 1)
                        return
        raise DriveFault(f"{path}: is not drive {index + 1} of its set, which is missing", path=path)

    def _position_at(self, path: str) -> int:
        """:raises DriveFault: there is no drive of this set"""
        identity = read_identity(path)
        if identity is None:
            text = "empty: not mounted, or replaced by a new drive, which is taken when the server is started again"
            raise DriveFault(f"{path}: {text}", path=path)
        if identity.deployment != self._how.deployment:
            raise DriveFault(f"{path}: belongs to another deployment ({identity.deployment})", path=path)
        if (identity.pool, identity.set) != self._how.place:
            raise DriveFault(f"{path}: belongs to pool {identity.pool + 1}, set {identity.set + 1}", path=path)
        return identity.position

    # -- the owner -----------------------------------------------------------------------------------

    def reopen(self, index: int) -> DriveEngine | None:
        """Open a drive anew, in its own thread; None while it cannot be."""
        self._give_up(index)
        try:
            self._let_go(index)
            self._find(index)
            self._locks[self.paths[index]] = take_lock(self.paths[index])
            engine = self.open(index)
        except DriveFault as error:
            self._close_lock(index)
            self.tell_once(index, str(error))
            return None
        # a drive that opens and answers is no suspect any more; the owner still compares its log before it counts
        self._pages.set_suspects(self.number, self._pages.suspects(self.number) & ~(1 << index))
        self._opened[index], self.engines[index] = self.opening(index), engine
        self._told.pop(index, None)
        return engine

    def tell_once(self, index: int, why: str) -> None:
        """A drive is tried every few seconds: log what is new."""
        if self._told.get(index) != why:
            self._told[index] = why
            log.warning("drive %s stays out: %s", self.paths[index], why)

    def _give_up(self, index: int) -> None:
        """Nobody uses the present opening any more, in any worker."""
        self._pages.next_opening(self.number, index)
        engine, self.engines[index] = self.engines[index], None
        if engine is not None:
            self._old[index] = engine
            engine.close()

    def _let_go(self, index: int) -> None:
        """Wait until the old opening is closed and its lock is free.

        :raises DriveFault: not within bounds
        """
        old = self._old.get(index)
        if isinstance(old, MappedEngine) and not old.wait_closed(CLOSE_S_MAX):
            raise DriveFault(f"{old.path}: its old opening is still in use", path=old.path)
        self._old.pop(index, None)
        self._close_lock(index)
        self._pages.ask_unlock(self.number, index)
        until_s = time.monotonic() + UNLOCK_S_MAX
        while self._pages.locked(self.number) >> index & 1:
            if time.monotonic() > until_s:
                raise DriveFault(f"{self.paths[index]}: the supervisor still holds its lock", path=self.paths[index])
            time.sleep(POLL_S)

    def _close_lock(self, index: int) -> None:
        _close(None, self._locks.pop(self.paths[index], -1))

    # -- other workers -------------------------------------------------------------------------------

    def failed(self, index: int) -> None:
        """A drive failed in this worker: it has to be opened anew here before it is used again."""
        self._failed |= 1 << index

    def follow(self) -> None:
        """Take over what the owner gave up or brought back. On the event loop, often, without waiting for a drive."""
        state = self._pages.set_state(self.number)
        if not state.epoch:
            return
        mask = state.mask & ~self._pages.suspects(self.number)
        for index, engine in enumerate(self.engines):
            if engine is not None:
                in_use = mask >> index & 1 and self._opened[index] == self.opening(index)
                if not in_use or self._failed >> index & 1:
                    self._drop(index)
            elif mask >> index & 1:
                self._take_back(index)
            elif self.paths[index] in self._locks:
                self._close_in_thread(index, None)

    def _drop(self, index: int) -> None:
        """Close a drive in a thread: even that can hang."""
        engine, self.engines[index] = self.engines[index], None
        self._failed &= ~(1 << index)
        assert engine is not None
        self._old[index] = engine
        self._close_in_thread(index, engine)

    def _close_in_thread(self, index: int, engine: DriveEngine | None) -> None:
        lock = self._locks.pop(self.paths[index], -1)
        threading.Thread(target=_close, args=(engine, lock), name=f"close-{index}", daemon=True).start()

    def _take_back(self, index: int) -> None:
        """Begin to open a drive, or take one that was opened meanwhile."""
        one, old = self._tries.get(index), self._old.get(index)
        now_s = time.monotonic()
        if one is None:
            if isinstance(old, MappedEngine) and not old.wait_closed(0):
                return
            self._old.pop(index, None)
            if now_s >= self._retry_at[index]:
                self._tries[index] = Opening(self, index)
                self._retry_at[index] = now_s + RETRY_S
        elif one.done.is_set():
            del self._tries[index]
            self._opened[index], self.engines[index] = one.opening, one.engine
            if one.engine is not None:
                log.info("drive %s is back", self.paths[index])

    # -- all -----------------------------------------------------------------------------------------

    def in_use(self) -> list[MappedEngine]:
        """The open drives that are in sync: others may hang."""
        mask = self._pages.set_state(self.number).mask & ~self._pages.suspects(self.number)
        return [e for i, e in enumerate(self.engines) if mask >> i & 1 and isinstance(e, MappedEngine)]

    def release_pages(self, volumes: bool = False) -> None:
        """Give up index pages that this process has mapped, and pages of volumes; a drive that fails meanwhile is somebody
        else's finding. Of drives that are being copied too: nothing here waits for a device.
        """
        apart = self._pages.suspects(self.number)
        for index, engine in enumerate(self.engines):
            if apart >> index & 1 or not isinstance(engine, MappedEngine):
                continue
            with suppress(OSError, DriveFault):
                engine.release_pages(volumes)

    def reader_check(self) -> None:
        """Free the snapshots of workers that died. In a thread."""
        for engine in self.in_use():
            with suppress(DriveFault):
                engine.reader_check()

    def close(self) -> None:
        for one in self._tries.values():
            one.give_up()
        for engine in self.engines:
            if engine is not None:
                engine.close()


def _close(engine: DriveEngine | None, lock: int) -> None:
    if engine is not None:
        engine.close()
    if lock >= 0:
        os.close(lock)
