"""Rebuilding the shards that a drive missed (``catchup.py``, U6), run by the owner of a set beside the live traffic.

A drive that was away, was replaced by a blank one, or was too full for a while says in its mark after which operation it
may lack shards. For each row that those operations touched:

1. an inline shard that the drive does not hold is rebuilt from the others and written into its ``inline`` table;
2. an extent whose ``have`` leaves the drive out, or whose footer is not there (the drive is an older copy of itself, or
   lost what it had synced), is rebuilt to its place in the volume, made durable, and only then ``have`` says so (I7).

Where the log no longer reaches back to the mark, all rows are looked at, and footers only on a drive that was blank. At
the end the mark goes, unless something was left out anew or could not be rebuilt; then all of it is tried again later,
which finds little left to do.

An extent that is dropped and punched while it is rebuilt is punched again on this drive.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from ..base.pages import Pages
from ..domain.errors import DriveFault, DriveFull, ReadQuorumLost, StoreError
from ..drive.engine import Group, Row
from ..meta.proposals import Refused, UpdateHave
from ..meta.records import DataRef
from .catchup import HEAL
from .geometry import Geometry
from .lane import Lane
from .owner import Owner
from .repair import Repair, Want, refers
from .view import SetView

log = logging.getLogger("sos.erasure.heal")

T = TypeVar("T")

WRITE_S_MAX = 10.0
#: Inline shards written in one transaction.
INLINE_ROWS_MAX = 32
#: After a try that left something; doubled while that stays so.
RETRY_S_MIN = 5.0
RETRY_S_MAX = 3600.0
#: The same where the drive was full: whether it still is takes one look.
RETRY_FULL_S_MAX = 30.0
#: Between two extents, as a share of the time that the last one took: traffic comes first.
PAUSE_SHARE = 0.5


class Tally:
    """What one pass did."""

    def __init__(self) -> None:
        self.extents = self.inline = self.failed = self.bytes = 0

    def __bool__(self) -> bool:
        return bool(self.extents or self.inline or self.failed)


class Heal:
    """The healing of one set. On the event loop; the work is done in a thread of its own."""

    def __init__(self, owner: Owner, view: SetView, deployment_key: bytes, pages: Pages) -> None:
        self._owner, self._view, self._key, self._pages = owner, view, deployment_key, pages
        self._lane: Lane | None = None
        self._attention = asyncio.Event()
        self._due_s: float | None = None
        self._pause_s = RETRY_S_MIN
        self._full = False
        owner.on_lacking = self.wake

    # -- pacing ---------------------------------------------------------------------------------------

    def wake(self, joined: bool) -> None:
        """A drive may lack shards: one that has just come back (healed at once), or one that was left out of a write."""
        if joined:
            self._due_s, self._pause_s = 0.0, RETRY_S_MIN
        elif self._due_s is None:
            self._due_s = time.monotonic() + self._pause_s
        # said at once, not when its turn comes: who waits for all drives to be whole must not believe that they are
        for member in self._owner.members:
            if member.in_sync and member.is_marked():
                self._show(member.index, True)
        self._attention.set()

    async def run(self) -> None:
        """For ever; asleep while no drive lacks anything."""
        while True:
            self._attention.clear()
            wait_s = None if self._due_s is None else self._due_s - time.monotonic()
            if wait_s is None or wait_s > 0:
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await self._attention.wait()
                continue
            self._due_s = None
            await self._step_once()

    async def _step_once(self) -> None:
        self._full = False
        if await self.step():
            self._pause_s = RETRY_S_MIN
            return
        if self._due_s is None:
            self._due_s = time.monotonic() + self._pause_s
        self._pause_s = min(RETRY_FULL_S_MAX if self._full else RETRY_S_MAX, self._pause_s * 2)

    async def step(self) -> bool:
        """Heal every drive in sync; whether none lacks anything now."""
        healed = True
        for member in self._owner.members:
            if self._owner.serving and member.in_sync and member.is_marked():
                healed &= await self._heal(member.index)
        return healed

    async def _heal(self, drive: int) -> bool:
        tally, began = Tally(), time.monotonic()
        self._show(drive, True)
        try:
            done = await self._pass(Repair(self._view, self._key, drive), drive, tally)
        except StoreError as error:
            self._full |= isinstance(error, DriveFull)
            log.warning("set %d, drive %d: healing is tried again: %s", self._owner.number, drive + 1, error)
            done = False
        self._show(drive, not done)
        if tally:
            what = f"{tally.extents} extents ({tally.bytes} bytes) and {tally.inline} inline shards"
            took_s = time.monotonic() - began
            log.info(
                "set %d, drive %d: %s rebuilt in %.1f s, %d not", self._owner.number, drive + 1, what, took_s, tally.failed
            )
        return done

    def _show(self, drive: int, lacking: bool) -> None:
        others = self._pages.healing(self._owner.number) & ~(1 << drive)
        self._pages.set_healing(self._owner.number, others | lacking << drive)

    # -- one drive ------------------------------------------------------------------------------------

    async def _pass(self, repair: Repair, drive: int, tally: Tally) -> bool:
        """One look at everything that the mark covers; whether the mark could be taken away."""
        mark = await self._call(repair.mark)
        if mark is None:
            return True
        steps = repair.wants(mark)
        while (wants := await self._call(next, steps, None)) is not None:
            inline: list[tuple[Want, Row]] = []
            for want in wants:
                await self._restore(repair, drive, want, inline, tally)
                if len(inline) >= INLINE_ROWS_MAX:
                    await self._write_inline(drive, inline)
            await self._write_inline(drive, inline)
        return not tally.failed and await self._forget_mark(drive, repair.seq)

    async def _restore(
        self, repair: Repair, drive: int, want: Want, inline: list[tuple[Want, Row]], tally: Tally
    ) -> None:
        healed: list[DataRef] = []
        for ref in want.refs:
            began = time.monotonic()
            try:
                if ref.volume:
                    await self._call(repair.extent, ref)
                    healed.append(ref)
                else:
                    inline.append((want, await self._call(repair.inline, ref)))
                    tally.inline += 1
            except ReadQuorumLost as error:
                if await self._call(repair.is_referred, want, ref):
                    tally.failed += 1
                    log.warning("set %d: shard of %s: %s %s", self._owner.number, ref.data_id.hex(), error.name, error.detail)
                continue
            await asyncio.sleep((time.monotonic() - began) * PAUSE_SHARE if ref.volume else 0)
        if healed:
            tally.extents += len(healed)
            tally.bytes += sum(Geometry.of(ref).extent_length for ref in healed)
            await self._say(repair, drive, want, healed)

    async def _say(self, repair: Repair, drive: int, want: Want, healed: list[DataRef]) -> None:
        """Let ``have`` know."""
        ids = tuple(ref.data_id for ref in healed if not ref.have >> drive & 1)
        if not ids:
            return
        outcomes = await self._owner.submit(
            [UpdateHave(request_id=os.urandom(16), bucket_id=0, table=want.table, row=want.row, data_ids=ids, have=1 << drive)]
        )
        if isinstance(outcomes[0], Refused):
            # where another row refers to it by now, the operation that made it so comes later in the log
            for ref in healed:
                await self._call(repair.punch_gone, ref)

    async def _write_inline(self, drive: int, inline: list[tuple[Want, Row]]) -> None:
        """Write rebuilt inline shards, but those of objects that are gone by now."""
        if not inline:
            return
        owner = self._owner
        async with owner.turn:
            member = owner.members[drive]
            if not (owner.serving and member.in_sync):
                raise DriveFault("left the mask", drive=drive)
            txn = member.open.begin_read()
            try:
                rows = [row for want, row in inline if refers(txn, want, row.key)]
            finally:
                txn.close()
            await self._write_own(drive, rows)
        inline.clear()

    async def _forget_mark(self, drive: int, seq: int) -> bool:
        """Take the mark away, unless an operation after ``seq`` left the drive out as well."""
        owner = self._owner
        async with owner.turn:
            member = owner.members[drive]
            if not (owner.serving and member.in_sync) or owner.lacking.get(drive, 0) > seq:
                return False
            await self._write_own(drive, [Row("local", HEAL, None)])
            member.marked = False
            return True

    async def _write_own(self, drive: int, rows: list[Row]) -> None:
        """Write rows of the drive's own tables. The owner's turn is held.

        :raises DriveFault: the drive failed; it leaves the mask unless it is only full
        """
        owner, member = self._owner, self._owner.members[drive]
        group = Group(owner.epoch, owner.last, owner.last, (), rows, frees=all(row.value is None for row in rows))
        call = member.run(member.open.apply, group)
        await asyncio.wait([call], timeout=WRITE_S_MAX)
        error = call.exception() if call.done() else DriveFault("no answer in time", drive=drive)
        if error is None:
            return
        if not isinstance(error, DriveFull):
            owner.expel(member, error)
        raise error

    async def _call(self, call: Callable[..., T], *args: Any) -> T:
        if self._lane is None:
            self._lane = Lane(f"heal-{self._owner.number}")
        try:
            return await self._lane.run(call, *args)
        finally:
            self._owner.after_step()
