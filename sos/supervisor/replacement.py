"""Replacing the workers of a serving server one after the other, without refusing a request.

One worker at a time is told to drain. Its sockets stay with the supervisor, so whoever connects meanwhile waits for the
successor or is served by the others. The next one follows when all serve again.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence

from .processes import Child
from .slot import Phase, Slot


class Replacement:
    """:param patience_s: for a worker to drain; it is killed then"""

    def __init__(self, slots: Sequence[Slot], patience_s: float) -> None:
        self._slots, self._patience_s = slots, patience_s
        self._waiting: list[Slot] = []
        self._leaving: tuple[Slot, Child] | None = None
        self._until_s = 0.0

    def begin(self) -> None:
        """Replace all of them; one that is being replaced right now, too, once more."""
        self._waiting = list(self._slots)

    def end(self) -> None:
        """Replace no more."""
        self._waiting, self._leaving = [], None

    def owns(self, slot: Slot, child: Child) -> bool:
        """Whether a worker that ended was told to."""
        return self._leaving == (slot, child)

    def deadline_s(self) -> float | None:
        """When the worker that leaves has had its time."""
        left = self._leaving
        return self._until_s if left is not None and left[0].child is left[1] else None

    def advance(self, now_s: float) -> None:
        """What is due."""
        if self._leaving is not None:
            slot, child = self._leaving
            if slot.child is child:
                if now_s >= self._until_s and slot.phase is Phase.SERVING:
                    slot.kill(now_s)
                return
            self._leaving = None
        if not self._waiting or any(slot.phase is not Phase.SERVING for slot in self._slots):
            return
        slot = self._waiting.pop(0)
        if slot.child is not None:
            self._leaving, self._until_s = (slot, slot.child), now_s + self._patience_s
            slot.child.send(signal.SIGTERM)
