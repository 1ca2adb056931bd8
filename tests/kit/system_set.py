"""A set as the services see it, over memory drives: its owner, its view, and commits that can be held before they are
published."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from sos.erasure.owner import Owner
from sos.erasure.view import SetSnapshot, SetView
from sos.meta.proposals import AnyProposal, Outcome
from tests.kit.owned_set import OwnedSet


class ServedSet:
    """The part of ``SetHandle`` that buckets need."""

    def __init__(self, drives: OwnedSet, owner: Owner) -> None:
        self.number, self.pool = drives.number, 0
        self._view = SetView(drives.number, drives.engines, drives.pages)
        self._owner = owner
        #: Called before each submission with its proposals, and before each awaited snapshot with None; may return
        #: something to wait for.
        self.before: Callable[[Sequence[AnyProposal] | None], Any] = lambda proposals: None

    def beside(self, snapshot: object) -> None:
        return None

    def snapshot_now(self) -> SetSnapshot | None:
        return self._view.snapshot_now()

    async def snapshot(self) -> SetSnapshot:
        if (waited := self.before(None)) is not None:
            await waited
        return await self._view.snapshot()

    async def submit(self, proposals: Sequence[AnyProposal]) -> list[Outcome]:
        if (waited := self.before(proposals)) is not None:
            await waited
        return await self._owner.submit(proposals)


class ServedSets:
    """The part of ``Pools`` that buckets need: the first set is the system's."""

    def __init__(self, *sets: ServedSet) -> None:
        self.all = list(sets)
        self.system = sets[0]


def hold_after_apply(drives: OwnedSet) -> threading.Event:
    """The next group is on every drive, and its owner does not hear of it until the event is set."""
    release = threading.Event()

    def act(call: Callable[[], Any], args: tuple[Any, ...]) -> None:
        call()
        release.wait()

    for engine in drives.engines:
        engine._arm("apply", act, 1, False)
    return release
