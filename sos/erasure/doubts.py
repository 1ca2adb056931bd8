"""Drives that a reader could not read from: the fault of one sector, or of the whole drive?"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ..domain.errors import DriveFault
from .member import Member, ask

if TYPE_CHECKING:
    from .owner import Owner

#: For a drive to show that it can still write, and how long it is believed then.
CHECK_S_MAX = 10.0
CHECK_PAUSE_S = 5.0


class Doubts:
    """Has a doubted drive promise its epoch again, which is a durable write, and takes it out if it cannot."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._doubted: dict[int, asyncio.Task[None]] = {}

    def tasks(self) -> list[asyncio.Task[None]]:
        return list(self._doubted.values())

    def doubt(self, index: int, reason: str) -> None:
        """On the loop; a drive that passed a moment ago is believed."""
        member = self._owner.members[index]
        if self._owner.serving and member.in_sync and index not in self._doubted:
            self._doubted[index] = asyncio.create_task(self._check(member, reason))

    async def _check(self, member: Member, reason: str) -> None:
        owner, epoch = self._owner, self._owner.epoch
        try:
            answer = (await ask([member], lambda m: m.open.promise(epoch), CHECK_S_MAX))[member.index]
            if isinstance(answer, DriveFault) and owner.epoch == epoch and member.in_sync:
                owner.leave(member, f"{reason}; {answer}")
            await asyncio.sleep(CHECK_PAUSE_S)
        finally:
            del self._doubted[member.index]
