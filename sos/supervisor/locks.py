"""The locks of the drives: taken before the workers exist, inherited by each of them, so that they end with the last.

A drive that failed must be let go by everybody, or it cannot be unmounted. So when its owner opens it anew, it first
asks here that the lock be given up, and then takes the lock itself (``sos/worker/drives.py``).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from ..base.pages import Pages


class DriveLocks:
    """What the supervisor holds.

    :param sets: paths of each set's drives, sets numbered over all pools
    :param held: path → locked descriptor
    """

    def __init__(self, pages: Pages, sets: Sequence[Sequence[str]], held: Mapping[str, int]) -> None:
        self._pages, self._sets = pages, sets
        self.held = dict(held)
        for number, paths in enumerate(sets):
            pages.set_locked(number, sum(1 << i for i, path in enumerate(paths) if path in held))

    def look(self) -> None:
        """Give up what owners have asked for."""
        for number, paths in enumerate(self._sets):
            if asked := self._pages.unlock(number) & self._pages.locked(number):
                self._give_up(number, asked, paths)

    def _give_up(self, number: int, asked: int, paths: Sequence[str]) -> None:
        for i, path in enumerate(paths):
            if asked >> i & 1 and (fd := self.held.pop(path, -1)) >= 0:
                os.close(fd)
        self._pages.set_locked(number, self._pages.locked(number) & ~asked)
