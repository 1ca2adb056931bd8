"""The pause before a group: callers answered a moment ago come again, and share it.

A group commit takes the same syncs for one proposal as for twenty. Clients that send one request after the other split
into two halves all by themselves: while the proposals of one half are written those of the other arrive, and each half
pays for a commit of its own. So the owner waits until as many callers are there as the last group answered and left
waiting, but no longer than that group took. A caller alone waits for nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

#: Fewer callers than this are not waited for: the commit spared would not make up for the pause.
CALLERS_MIN = 4
#: Groups without a pause after one in which fewer than half of the expected came: such callers do not come again.
SPARED = 4


class Gathering:
    """What the owner of a set expects of its callers. For its event loop alone.

    :param pause_s_max: 0 never waits
    """

    def __init__(self, pause_s_max: float) -> None:
        self._pause_s_max = pause_s_max
        self._expected = 0
        self._until_s = 0.0
        self._spared = 0
        self._full: asyncio.Future[None] | None = None

    def after(self, answered: int, waiting: int, took_s: float) -> None:
        """A group was written just now.

        :param answered: its callers
        :param waiting: those who came meanwhile
        """
        self._expected = answered + waiting if answered >= CALLERS_MIN else 0
        self._until_s = asyncio.get_running_loop().time() + min(self._pause_s_max, took_s)

    def arrived(self, waiting: int) -> None:
        """A caller came.

        :param waiting: how many there are with this one
        """
        if self._full is not None and waiting >= self._expected and not self._full.done():
            self._full.set_result(None)

    async def pause(self, waiting: Callable[[], int]) -> None:
        """Return when the expected callers are there, at once if they are, or when it is too late for them.

        :param waiting: how many there are
        """
        loop = asyncio.get_running_loop()
        if waiting() >= self._expected or loop.time() >= self._until_s:
            return
        if self._spared:
            self._spared -= 1
            return
        self._full = full = loop.create_future()
        end = loop.call_at(self._until_s, full.cancel)
        try:
            await asyncio.wait((full,))
        finally:
            end.cancel()
            self._full = None
        if waiting() * 2 < self._expected:
            self._spared = SPARED
