"""The blocking half of healing (``heal.py``): what a drive may lack, and rebuilding it. One thread at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import NamedTuple

from ..domain.errors import DriveFault
from ..drive.engine import DriveEngine, ReadTxn, Row
from ..meta import keys
from ..meta.records import DataRef
from ..meta.rows import open_extent
from . import catchup, oplog
from .catchup import HealMark
from .digest import BadShard, shard_key
from .extent import read_footer
from .geometry import Geometry, shard_of
from .reader import rebuild_extent, rebuild_inline
from .refs import refs_of
from .view import SetSnapshot, SetView

TABLES = ("current", "versions", "manifests", "parts")
#: Rows and operations of one step: bounds the time for which a snapshot is held.
STEP_ROWS = 512
STEP_OPERATIONS = 256


class Want(NamedTuple):
    """A row, and the payloads of it that the drive may lack."""

    table: str
    row: bytes
    refs: list[DataRef]


class Repair:
    """Repairs of one drive.

    :param drive: its position in the set
    """

    def __init__(self, view: SetView, deployment_key: bytes, drive: int) -> None:
        self._view, self._key, self._drive = view, deployment_key, drive
        #: Operations up to here have been looked at.
        self.seq = 0

    @property
    def _engine(self) -> DriveEngine:
        engine = self._view.engines[self._drive]
        if engine is None or not self._view.usable() >> self._drive & 1:
            raise DriveFault("left the mask", drive=self._drive)
        return engine

    # -- what it may lack -----------------------------------------------------------------------------

    def mark(self) -> HealMark | None:
        txn = self._engine.begin_read()
        try:
            return catchup.heal_mark(txn)
        finally:
            txn.close()

    def wants(self, mark: HealMark) -> Iterator[list[Want]]:
        """What the drive lacks of everything that its mark covers, in steps, up to the present."""
        for found, doubted in self._covered(mark):
            yield [w for want in found if (w := self._lacking(want, doubted)).refs]

    def _lacking(self, want: Want, doubted: bool) -> Want:
        return want._replace(refs=[ref for ref in want.refs if self.lacks(ref, doubted)])

    def _covered(self, mark: HealMark) -> Iterator[tuple[list[Want], bool]]:
        """Rows, and whether ``have`` is doubted: of what came after the drive's last position, the drive may have held
        shards once and be an older copy of itself now, or have lost what it said it had synced."""
        self.seq = mark.seq
        with self._view.snapshot_blocking() as snapshot:
            whole = mark.blank or oplog.first(snapshot) > mark.seq + 1
            began = snapshot.seq
        if whole:
            # a row that moves between the tables meanwhile is in the log after this
            self.seq = began
            for table in TABLES:
                for rows in self._table(table):
                    yield rows, mark.blank
        while (touched := self._touched()) is not None:
            yield touched, True

    def _table(self, table: str) -> Iterator[list[Want]]:
        start: bytes | None = b""
        while start is not None:
            with self._view.snapshot_blocking() as snapshot:
                rows = list(islice(snapshot.scan(table, start, None), STEP_ROWS))
            start = rows[-1][0] + b"\0" if len(rows) == STEP_ROWS else None
            yield [Want(table, key, refs_of(table, key, value)) for key, value in rows]

    def _touched(self) -> list[Want] | None:
        """What the next operations of the log touched, as it is now; None at the log's end."""
        with self._view.snapshot_blocking() as snapshot:
            upto = min(self.seq + STEP_OPERATIONS, snapshot.seq)
            if upto == self.seq:
                return None
            found = oplog.touched(snapshot, self.seq, upto)
            self.seq = upto
            return [self._want(snapshot, table, key) for table, key in found if table in TABLES]

    def _want(self, snapshot: SetSnapshot, table: str, key: bytes) -> Want:
        value = snapshot.get(table, key)
        return Want(table, key, [] if value is None else refs_of(table, key, value))

    # -- repairs --------------------------------------------------------------------------------------

    def lacks(self, ref: DataRef, doubted: bool) -> bool:
        """:param doubted: ``have`` alone does not tell, the footer must be there"""
        if not ref.volume:
            txn = self._engine.begin_read()
            try:
                return txn.get("inline", ref.data_id) is None
            finally:
                txn.close()
        return not ref.have >> self._drive & 1 or (doubted and not self._is_there(ref))

    def _is_there(self, ref: DataRef) -> bool:
        """Whether the footer of the drive's shard is what it should be; it was written last."""
        geometry, number = Geometry.of(ref), shard_of(ref.data_id, self._drive, ref.k + ref.m)
        try:
            footer = self._engine.read(ref.volume, ref.offset + geometry.shard_length, geometry.footer_length)
            read_footer(footer, ref, geometry, number, shard_key(self._key, ref.data_id, number))
        except (BadShard, DriveFault):
            return False
        return True

    def inline(self, ref: DataRef) -> Row:
        """The drive's inline shard.

        :raises ReadQuorumLost: too few of the others are good
        """
        rows = self._view.inline_rows(ref, len(self._view.engines))
        return Row("inline", ref.data_id, rebuild_inline(rows, ref, self._key, self._drive))

    def extent(self, ref: DataRef) -> None:
        """Rebuild the drive's shard in its place, durably.

        :raises ReadQuorumLost: too few of the others are good
        :raises DriveFault: the drive failed, or is full
        """
        others = self._view.usable() & ~(1 << self._drive)
        rebuild_extent(self._view.engines, ref, others, self._key, self._engine, self._drive)

    def is_referred(self, want: Want, ref: DataRef) -> bool:
        with self._view.snapshot_blocking() as snapshot:
            return any(other.data_id == ref.data_id for other in self._want(snapshot, want.table, want.row).refs)

    def punch_gone(self, ref: DataRef) -> None:
        """Give the blocks back if the extent was dropped while it was rebuilt."""
        with self._view.snapshot_blocking() as snapshot:
            row = keys.extent_row(ref.volume, ref.offset)
            value = snapshot.get("extents", row)
        if value is None or open_extent(row, value).data_id != ref.data_id:
            with suppress(DriveFault):  # the sweep finds it
                self._engine.punch(ref.volume, ref.offset, Geometry.of(ref).extent_length)


def refers(txn: ReadTxn, want: Want, data_id: bytes) -> bool:
    """Whether a row, as it is now, refers to a payload."""
    value = txn.get(want.table, want.row)
    return value is not None and any(ref.data_id == data_id for ref in refs_of(want.table, want.row, value))
