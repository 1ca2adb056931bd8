"""The drives of one set as one worker has them open."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from ..base.pages import Pages
from ..domain.errors import DriveFault
from ..drive.engine import DriveEngine
from ..drive.mapped import MappedEngine

log = logging.getLogger("sos.worker.drives")


@dataclass(frozen=True, slots=True)
class OpenAs:
    """How drives are opened.

    :param owner: this worker owns the set
    :param reserve_bytes: free bytes to leave on each drive; None for the default
    """

    owner: bool
    reserve_bytes: int | None


class SetDrives:
    """Engines by position. ``engines`` is shared with the view and the writer: an entry is replaced in place.

    :param paths: by position in the set
    :param unreachable: paths that could not be opened when the server started
    """

    def __init__(self, number: int, paths: Sequence[str], pages: Pages, how: OpenAs) -> None:
        self.number = number
        self.paths = list(paths)
        self._pages = pages
        self._how = how
        self._failed = 0
        self.engines: list[DriveEngine | None] = [self._first(i) for i in range(len(self.paths))]

    def _first(self, index: int) -> DriveEngine | None:
        if self._pages.suspects(self.number) >> index & 1:
            return None
        try:
            return self._open(index)
        except DriveFault as error:
            log.warning("drive %s is left out: %s", self.paths[index], error)
            return None

    def _open(self, index: int) -> DriveEngine:
        return MappedEngine(self.paths[index], self._how.owner, self._how.reserve_bytes)

    def reopen(self, index: int) -> DriveEngine | None:
        """Open a drive anew, in its own thread; None while it cannot be. The old engine is closed first: an index can be
        open only once in a process.
        """
        old, self.engines[index] = self.engines[index], None
        if old is not None:
            old.close()
        try:
            engine = self._open(index)
        except DriveFault as error:
            log.info("drive %s stays out: %s", self.paths[index], error)
            return None
        # a drive that opens and answers is no suspect any more; the owner still compares its log before it counts
        self._pages.set_suspects(self.number, self._pages.suspects(self.number) & ~(1 << index))
        self.engines[index] = engine
        return engine

    def failed(self, index: int) -> None:
        """A drive failed in this worker: it has to be opened anew here before it is used again."""
        self._failed |= 1 << index

    def returned(self) -> list[int]:
        """Drives that their owner has in sync and that are not open here, or failed here since."""
        state = self._pages.set_state(self.number)
        mask = state.mask & ~self._pages.suspects(self.number)
        return [i for i, engine in enumerate(self.engines) if mask >> i & 1 and (engine is None or self._failed >> i & 1)]

    def take_back(self, index: int) -> None:
        """Open a returned drive in a worker that does not own the set. In a thread."""
        old, self.engines[index] = self.engines[index], None
        if old is not None:
            old.close()
        try:
            self.engines[index] = self._open(index)
        except DriveFault as error:
            log.info("drive %s stays out here: %s", self.paths[index], error)
            return
        self._failed &= ~(1 << index)
        log.info("drive %s is back", self.paths[index])

    def release_pages(self) -> None:
        """Give up index pages that this process has mapped; a drive that fails meanwhile is somebody else's finding."""
        for engine in self.engines:
            if isinstance(engine, MappedEngine):
                with suppress(OSError):
                    engine.release_pages()

    def reader_check(self) -> None:
        """Free the snapshots of workers that died. In a thread."""
        for engine in self.engines:
            if isinstance(engine, MappedEngine):
                with suppress(DriveFault):
                    engine.reader_check()

    def close(self) -> None:
        for engine in self.engines:
            if engine is not None:
                engine.close()
