"""Reading one set: snapshots of what its owner has published, in any worker.

Invariants (DESIGN §5, reader rule):

V1  A snapshot taken after an acknowledgement contains the acknowledged operation: its sequence is at least the
    committed sequence C noted before the read transaction began.
V2  A snapshot never contains an operation that could still be undone: its sequence is at most the C published in the
    same epoch while the drive was still in the mask.
V3  A drive outside the published mask, or suspected by the supervisor, is never read for metadata.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence

from ..base.pages import Pages, SetState
from ..domain.errors import DriveFault, ReadQuorumLost
from ..drive.engine import DriveEngine, Position, ReadTxn
from ..meta.records import DataRef

#: How long a request waits for an owner that is being replaced or for a commit that is being published.
WAIT_S_MAX = 10.0
#: Waits start with one turn of the loop and grow to this.
POLL_S_MAX = 0.005
#: For the owner to take a damaged drive out and copy it anew.
SHUN_S = 5.0


class SetSnapshot:
    """One drive's index at a published sequence. Used by one thread at a time."""

    __slots__ = ("_txn", "drive", "get", "scan", "seq")

    def __init__(self, txn: ReadTxn, drive: int) -> None:
        self._txn = txn
        self.drive = drive
        self.seq = txn.last.seq
        # bound once: these are the hottest calls of a request
        self.get = txn.get
        self.scan = txn.scan

    @property
    def last(self) -> Position:
        return self._txn.last

    def close(self) -> None:
        self._txn.close()

    def __enter__(self) -> SetSnapshot:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class SetView:
    """The read side of one set in one worker.

    :param engines: the set's drives in their order, None where one is not open; shared with whoever opens drives, who
        replaces entries in place
    :param turn: which in-sync drive this worker prefers, so that workers spread over the drives
    """

    def __init__(self, number: int, engines: Sequence[DriveEngine | None], pages: Pages, turn: int = 0) -> None:
        self.number = number
        self.engines = engines
        self._pages = pages
        self._turn = turn
        self._shunned: dict[int, float] = {}
        self._orders: dict[int, tuple[int, ...]] = {}

    def state(self) -> SetState:
        """The published state with the drives left out that this worker cannot use."""
        state = self._pages.set_state(self.number)
        apart = self._pages.suspects(self.number)
        if self._shunned:
            apart |= self._shunned_mask()
        return state._replace(mask=state.mask & ~apart) if apart else state

    def healing(self) -> int:
        """Mask of drives in sync that still lack shards."""
        return self._pages.healing(self.number) & self._pages.set_state(self.number).mask

    def shun(self, drive: int) -> None:
        """Read from other drives for a while: a row of this one is bad. Not where it is the only one in use."""
        if self.state().mask & ~(1 << drive):
            self._shunned[drive] = time.monotonic() + SHUN_S

    def _shunned_mask(self) -> int:
        now_s = time.monotonic()
        self._shunned = {drive: until_s for drive, until_s in self._shunned.items() if until_s > now_s}
        return sum(1 << drive for drive in self._shunned)

    def usable(self) -> int:
        """Mask of drives whose data may be read."""
        return self.state().mask

    def _order(self, mask: int) -> tuple[int, ...]:
        order = self._orders.get(mask)
        if order is None:
            n = len(self.engines)
            order = tuple(i for i in ((self._turn + j) % n for j in range(n)) if mask >> i & 1)
            self._orders[mask] = order
        return order

    def snapshot_now(self, leave_out: int = -1) -> SetSnapshot | None:
        """A snapshot without waiting; None while no drive can give one that keeps V1 and V2.

        :param leave_out: a drive that is not asked
        """
        state = self.state()
        if not state.epoch:
            return None
        for drive in self._order(state.mask):
            if drive == leave_out:
                continue
            txn = self._begin(drive)
            if txn is None:
                continue
            try:
                last, now = txn.last, self.state()
            except DriveFault:
                txn.close()
                continue  # its own position cannot be read
            if now.epoch == state.epoch and now.mask >> drive & 1 and state.committed <= last.seq <= now.committed:
                return SetSnapshot(txn, drive)
            txn.close()
        return None

    async def snapshot(self) -> SetSnapshot:
        """A snapshot at or after everything acknowledged so far.

        :raises ReadQuorumLost: nothing could be read within ``WAIT_S_MAX`` seconds
        """
        snapshot = self.snapshot_now()
        pauses = self._pauses()
        while snapshot is None:
            await asyncio.sleep(next(pauses))
            snapshot = self.snapshot_now()
        return snapshot

    def snapshot_blocking(self) -> SetSnapshot:
        """As :meth:`snapshot`, in a thread.

        :raises ReadQuorumLost: nothing could be read within ``WAIT_S_MAX`` seconds
        """
        snapshot = self.snapshot_now()
        pauses = self._pauses()
        while snapshot is None:
            time.sleep(next(pauses))
            snapshot = self.snapshot_now()
        return snapshot

    def _pauses(self) -> Iterator[float]:
        """:raises ReadQuorumLost: it took too long"""
        pause, deadline = 0.0, time.monotonic() + WAIT_S_MAX
        while time.monotonic() <= deadline:
            yield pause
            pause = min(POLL_S_MAX, pause * 2 + 0.0002)
        raise ReadQuorumLost(set=self.number)

    def _begin(self, drive: int) -> ReadTxn | None:
        engine = self.engines[drive]
        if engine is None:
            return None
        try:
            return engine.begin_read()
        except DriveFault:
            return None  # the owner finds out on its next commit; a reader only needs another drive

    def inline_rows(self, ref: DataRef, enough: int, in_sync: bool = True) -> list[bytes | None]:
        """The inline shards of ``ref`` by drive. Data shards are asked for first, and others only until ``enough`` are
        found, so that a healthy read decodes nothing.

        :param in_sync: leave out drives that are not in the published mask
        """
        n = len(self.engines)
        rows: list[bytes | None] = [None] * n
        usable = self.usable() if in_sync else ~self._pages.suspects(self.number)
        found, turn = 0, ref.data_id[0]
        for shard in range(ref.k + ref.m):
            drive = (shard + turn) % n
            row = self._inline_row(drive, ref.data_id) if usable >> drive & 1 else None
            if row is not None:
                rows[drive] = row
                found += 1
                if found >= enough:
                    break
        return rows

    def lacks_inline(self, ref: DataRef) -> bool:
        """Whether a drive in use that can be read has no inline shard of ``ref``."""
        usable = self.usable()
        for drive in self._order(usable):
            txn = self._begin(drive)
            if txn is None:
                continue
            try:
                if txn.get("inline", ref.data_id) is None:
                    return True
            except DriveFault:
                continue  # it may have it
            finally:
                txn.close()
        return False

    def _inline_row(self, drive: int, data_id: bytes) -> bytes | None:
        txn = self._begin(drive)
        if txn is None:
            return None
        try:
            return txn.get("inline", data_id)
        except DriveFault:
            return None  # one shard less; the caller needs k of n
        finally:
            txn.close()

    def scan_all(self, table: str, start: bytes, stop: bytes | None) -> Iterator[tuple[bytes, bytes]]:
        """Rows of a snapshot of its own; for background work, in a thread.

        :raises ReadQuorumLost: nothing could be read within ``WAIT_S_MAX`` seconds
        """
        with self.snapshot_blocking() as snapshot:
            yield from snapshot.scan(table, start, stop)
