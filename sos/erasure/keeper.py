"""Keeps a set whole: recovers it after a lost quorum, and brings drives back that are out of the mask.

It sleeps while every drive is in sync. A drive that cannot be brought back is tried again after a pause that doubles.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from ..domain.errors import DriveFault, DriveFenced
from ..drive.engine import Position, ReadTxn
from . import catchup, protocol
from .catchup import Target
from .member import Member
from .protocol import DriveState, Report

if TYPE_CHECKING:
    from .owner import Owner

T = TypeVar("T")
log = logging.getLogger("sos.erasure.keeper")

RECOVER_PAUSE_S_MIN = 0.1
RECOVER_PAUSE_S_MAX = 5.0
ANSWER_S_MAX = 10.0
STEP_S_MAX = 60.0
#: How long a step of a copy waits for a snapshot without a group under way, and how often it looks.
SOURCE_S_MAX = 5.0
SOURCE_POLL_S = 0.001
_END = object()


class Keeper:
    """The background task of one owner."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._attention = asyncio.Event()
        self._pause_s = RECOVER_PAUSE_S_MIN
        self._recover_at = 0.0

    def wake(self) -> None:
        """Something changed: a drive left, or the owner stepped down."""
        self._attention.set()

    async def run(self) -> None:
        while True:
            self._attention.clear()
            if not self._owner.serving and time.monotonic() >= self._recover_at:
                await self._recover()
            elif self._owner.serving:
                for member in self._due():
                    await self._bring_back(member)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._delay_s()):
                    await self._attention.wait()

    async def _recover(self) -> None:
        if await self._owner.recover():
            self._pause_s = RECOVER_PAUSE_S_MIN
        else:
            self._recover_at = time.monotonic() + self._pause_s
            self._pause_s = min(RECOVER_PAUSE_S_MAX, self._pause_s * 2)
            await self._reopen_all()

    async def _reopen_all(self) -> None:
        """Without a quorum every drive that could come back counts. Those that answer stay open: they may be all that
        readers have left.
        """
        for member in self._outside():
            if member.failed and not member.busy:
                with suppress(DriveFault):
                    await self._reopen(member)

    def _outside(self) -> list[Member]:
        """Drives that can be tried again."""
        owner = self._owner
        return [m for m in owner.members if not m.in_sync and (m.engine is not None or owner.reopen is not None)]

    def _due(self) -> list[Member]:
        now = time.monotonic()
        return [member for member in self._outside() if not member.busy and member.retry_at <= now]

    def _delay_s(self) -> float | None:
        """Until the next attempt; None while there is nothing to do."""
        now = time.monotonic()
        if not self._owner.serving:
            return max(0.0, self._recover_at - now)
        times = [max(member.retry_at - now, 0.05 if member.busy else 0.0) for member in self._outside()]
        return min(times, default=None)

    # -- one drive --------------------------------------------------------------------------------------

    async def _bring_back(self, member: Member) -> None:
        owner = self._owner
        try:
            await self._return(member, owner.epoch)
        except DriveFenced as fault:
            member.leave(str(fault))
            owner.step_down("a later epoch is promised")
        except DriveFault as fault:
            member.leave(f"{fault.name}: {fault}")

    async def _return(self, member: Member, epoch: int) -> None:
        """The steps of a return; each may fail and is tried again from the start."""
        await self._reopen(member)
        await self._call(member, ANSWER_S_MAX, member.open.promise, epoch)
        found = await self._call(member, ANSWER_S_MAX, catchup.report, member.open, member.index)
        member.last = found.last
        if not await self._is_near(member, found):
            await self._copy(member, found, epoch)
        await self._join(member, found, epoch)

    async def _reopen(self, member: Member) -> None:
        """A failed drive comes back by being opened anew (DESIGN §4)."""
        if self._owner.reopen is None:
            return
        engine = await self._call(member, ANSWER_S_MAX, self._owner.reopen, member.index)
        member.engine = engine
        member.failed = engine is None
        if engine is None:
            raise DriveFault("no drive", drive=member.index)

    async def _is_near(self, member: Member, found: Report) -> bool:
        """Whether one transaction is enough."""
        if self._is_untrusted(member, found):
            return False
        lacks = await self._call(member, ANSWER_S_MAX, catchup.gap, member.open, self._source(member))
        return lacks is not None and lacks <= catchup.JOIN_OPERATIONS_MAX

    def _is_untrusted(self, member: Member, found: Report) -> bool:
        """A drive with bad rows, or one from elsewhere: nothing that it holds counts."""
        return member.damaged or (not found.voting and not found.syncing and found.last != catchup.NOWHERE)

    async def _copy(self, member: Member, found: Report, epoch: int) -> None:
        """Bounded steps beside the live traffic. :raises DriveFault: also when the owner stepped down meanwhile"""
        owner = self._owner
        if not protocol.may_sync(sum(other.in_sync for other in owner.members), owner.quorum):
            raise DriveFault("too few drives in sync to begin a copy", drive=member.index)
        member.state = DriveState.SYNCING
        target = Target(member.open, member.index, epoch, owner.rebuild)
        steps = catchup.sync_steps(target, self._source(member), whole=self._is_untrusted(member, found))
        while await self._call(member, STEP_S_MAX, next, steps, _END) is not _END:
            self._check(epoch)
            owner.after_step()

    async def _join(self, member: Member, found: Report, epoch: int) -> None:
        """The last step: no group is under way, so the drive is exactly at the live tail."""
        owner = self._owner
        target = Target(member.open, member.index, epoch, owner.rebuild)
        async with owner.turn:
            self._check(epoch)
            await self._call(member, ANSWER_S_MAX, catchup.join, target, self._source(member))
            if not found.voting:
                await self._call(member, ANSWER_S_MAX, member.open.set_voting, epoch, True)
            member.joined(owner.last)
            owner.publish()
        log.info("set %d: drive %d is back in sync", owner.number, member.index + 1)
        owner.on_lacking(True)

    def _check(self, epoch: int) -> None:
        if not self._owner.serving or self._owner.epoch != epoch:
            raise DriveFault("the owner stepped down")

    async def _call(self, member: Member, timeout_s: float, call: Callable[..., T], *args: Any) -> T:
        """In the drive's thread; a drive that does not answer stays busy."""
        future = member.run(call, *args)
        await asyncio.wait([future], timeout=timeout_s)
        if not future.done():
            raise DriveFault("no answer in time", drive=member.index)
        return future.result()

    def _source(self, member: Member) -> catchup.Source:
        """Opens committed snapshots (U3) of drives in sync, another one at each attempt. Called in a drive's thread."""
        owner, epoch = self._owner, self._owner.epoch

        def open_source() -> ReadTxn:
            deadline = time.monotonic() + SOURCE_S_MAX
            while time.monotonic() < deadline:
                for other in sorted(owner.members, key=lambda m: (m.index - member.index) % len(owner.members)):
                    if other.in_sync and (txn := _committed(other, owner, epoch)) is not None:
                        return txn
                time.sleep(SOURCE_POLL_S)
            raise DriveFault("no committed snapshot", drive=member.index)

        return open_source


def _committed(other: Member, owner: Owner, epoch: int) -> ReadTxn | None:
    """A snapshot that holds published operations only."""
    txn = other.open.begin_read()
    last: Position = txn.last
    if owner.serving and owner.epoch == epoch and other.in_sync and last <= owner.last:
        return txn
    txn.close()
    return None
