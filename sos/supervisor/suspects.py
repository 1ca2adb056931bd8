"""Which drives to take out after a worker died or hung while touching them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from ..base.pages import Pages
from ..placement.sets import DriveMap

log = logging.getLogger("sos.supervisor")

#: A drive alone in being named again within this time is taken out even when it passes the probe: one bad sector is
#: enough.
AGAIN_S = 60.0

Probe = Callable[[Sequence[str]], list[int]]


class Suspects:
    """Marks drives in the shared page, for all workers.

    The only drive of a set is never marked: without it there is nothing to read at all.

    :param sets: paths of each set's drives, sets numbered over all pools
    :param probe: indices of the paths that fail or hang
    """

    def __init__(self, pages: Pages, sets: Sequence[Sequence[str]], probe: Probe) -> None:
        self._pages, self._sets, self._probe = pages, sets, probe
        self._drives = DriveMap([len(one) for one in sets])
        self._named_s: dict[int, float] = {}

    def suspect(self, numbers: Sequence[int], why: str) -> None:
        """Take the bad ones of these drives out; of all drives where none is named."""
        known = [n for n in numbers or range(self._drives.count) if self._may_go(n)]
        if not known:
            return
        now_s = time.monotonic()
        bad = {known[i] for i in self._probe([self._path(n) for n in known])}
        again = {n for n in known if now_s - self._named_s.get(n, -AGAIN_S) < AGAIN_S}
        if not bad and numbers and len(again) == 1:
            bad = again
        if numbers:
            self._named_s |= dict.fromkeys(known, now_s)
        for number in sorted(bad):
            self._mark(number, why)

    def _may_go(self, number: int) -> bool:
        return number < self._drives.count and len(self._sets[self._drives.place_of(number).set]) > 1

    def _path(self, number: int) -> str:
        place = self._drives.place_of(number)
        return self._sets[place.set][place.position]

    def _mark(self, number: int, why: str) -> None:
        place = self._drives.place_of(number)
        self._pages.set_suspects(place.set, self._pages.suspects(place.set) | 1 << place.position)
        log.error("drive %s is taken out: %s", self._path(number), why)
