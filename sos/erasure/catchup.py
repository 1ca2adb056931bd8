"""Bringing a drive that missed writes back to where another drive is. Blocking: run in the thread of the drive.

Invariants.

U1  A drive in sync or with a position other than (0, 0) holds exactly the rows of its log: it is moved from one
    position to another by one transaction (``join``).
U2  Where the gap is too long for that, rows are copied in steps. The first step marks the drive (row ``syncing`` of
    ``local``) and sets its position to (0, 0); the last one, again ``join``, takes the mark away.
U3  Every step reads its own snapshot of the source, so that none is held long; whatever changes meanwhile is in the
    source's log and is copied again by a later step. The snapshots hold committed operations only, or (in recovery)
    are all the same: a row of an operation that is undone later could not be found again.
U4  The mark holds the position up to which the drive's log and rows follow the source's, (0, 0) while they do not;
    an interrupted copy goes on from there.
U5  ``inline`` holds each drive's own shards: a copied record that refers to inline data makes the shard be rebuilt,
    unless the drive has it: a data id never names two payloads.
U6  A drive that missed operations may lack their shards, in volumes and in ``inline``. The transaction that brings it
    back says so in row ``heal`` of ``local``; the row goes when all of them have been rebuilt (``heal.py``).
U7  A row of ``extents`` that a drive loses takes the blocks with it: the others punched them while it was away. Not so
    a row that only the drive's undone operations made: whoever proposed one of those may still propose it again.
U8  A copy ends, however long it takes and however much changes meanwhile: each step also copies the next stretch of the log
    since the copy began, and what that touched, so the log has to reach back by some steps only, not to the beginning.
    Rows in front of the place that the copy has come to are copied twice then, which does no harm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from typing import NamedTuple

import msgspec

from ..domain.errors import DriveBehind, DriveFault, StoreError
from ..drive.engine import TABLES, DriveEngine, Group, Position, ReadTxn, Row
from ..meta import keys
from ..meta.records import DataRef
from ..meta.rows import open_extent, open_row, seal
from . import oplog
from .last_group import read_note
from .protocol import Report, last_common
from .refs import inline_refs

#: A gap of at most this many operations is closed in one transaction.
JOIN_OPERATIONS_MAX = 4096
#: Operations of the log replayed in one step, and rows copied in one step of a whole copy.
STEP_OPERATIONS = 512
STEP_ROWS = 512

SYNCING = b"syncing"
HEAL = b"heal"
COPIED_TABLES = tuple(table for table in TABLES if table not in ("local", "inline"))
NOWHERE = Position(0, 0)

#: Opens a snapshot of the drive that is copied from.
Source = Callable[[], ReadTxn]
#: Rebuilds the shard of inline data that drive number ``drive`` should hold, from the other drives.
Rebuild = Callable[[DataRef, int], bytes]


class Mark(msgspec.Struct, array_like=True, frozen=True):
    """Value of ``local/syncing``: the position up to which the drive follows the source's log."""

    epoch: int
    seq: int


class HealMark(msgspec.Struct, array_like=True, frozen=True):
    """Value of ``local/heal``: operations after ``seq`` may have left the drive without shards.

    :param blank: the drive was replaced: nothing that ``have`` says of it counts
    """

    seq: int
    blank: bool = False


class Target(NamedTuple):
    """The drive that is brought back."""

    engine: DriveEngine
    drive: int
    epoch: int
    rebuild: Rebuild


def report(engine: DriveEngine, index: int) -> Report:
    """What the drive says of itself."""
    txn = engine.begin_read()
    try:
        syncing = txn.get("local", SYNCING) is not None
        return Report(index, engine.promised(), txn.last, engine.voting(), syncing, read_note(txn))
    finally:
        txn.close()


def heal_mark(txn: ReadTxn) -> HealMark | None:
    """What a drive says of the shards that it lacks.

    :raises BadRow: the row cannot be read
    """
    value = txn.get("local", HEAL)
    return None if value is None else open_row(HEAL, value, HealMark)


def heal_row(mark: HealMark) -> Row:
    return Row("local", HEAL, seal(HEAL, mark))


def _lacking_since(target: Target, mine: ReadTxn, seq: int) -> Row:
    """The mark of a drive that missed what came after ``seq``, joined with the one that it has."""
    blank = not target.engine.voting()
    old = heal_mark(mine)
    if old is not None:
        seq, blank = min(seq, old.seq), blank or old.blank
    return heal_row(HealMark(seq, blank))


def follows(mine: ReadTxn) -> Position:
    """The position up to which a drive's rows follow its log: its position, or what its mark says."""
    value = mine.get("local", SYNCING)
    return mine.last if value is None else Position(*msgspec.structs.astuple(open_row(SYNCING, value, Mark)))


def common_position(mine: ReadTxn, source: ReadTxn) -> Position | None:
    """The last operation that a drive shares with the source, None when a log is too short or nothing is known."""
    was = follows(mine)
    if was == NOWHERE and mine.last == NOWHERE and mine.get("local", SYNCING) is not None:
        return None
    return last_common(
        was,
        oplog.first(mine),
        source.last,
        oplog.first(source),
        lambda seq: (oplog.entry(mine, seq).epoch, oplog.entry(source, seq).epoch),
    )


def join(target: Target, open_source: Source, frees: bool = False) -> Position:
    """Move a drive to the source's position in one transaction, and take its mark away; the position.

    The caller sees to it that the source does not move meanwhile.

    :param frees: recovery may use the space that is kept for groups that only free
    :raises DriveBehind: a log is too short: the drive must be copied first
    """
    with _snapshots(target.engine, open_source) as (mine, source):
        after = common_position(mine, source)
        if after is None:
            raise DriveBehind("the log is too short", path=target.engine.path)
        was = follows(mine)
        undone = oplog.touched(mine, after.seq, was.seq)
        changed = undone | oplog.touched(source, after.seq, source.last.seq)
        rows, own = copy_keys(target, mine, source, changed)
        rows += oplog.copied(source, after.seq, source.last.seq)
        # what the source has trimmed, and what it never had
        rows += oplog.dropped(mine, oplog.first(source), source.last.seq)
        if mine.get("local", SYNCING) is not None:
            own.append(Row("local", SYNCING, None))
        if source.last.seq > after.seq:
            own.append(_lacking_since(target, mine, after.seq))
        target.engine.apply(Group(target.epoch, mine.last, source.last, rows, own, frees))
        _punch_dropped(target, mine, [row for row in rows if (row.table, row.key) not in undone])
        return source.last


def gap(target: DriveEngine, open_source: Source) -> int | None:
    """Operations that a drive lacks, None when it must be copied whole."""
    with _snapshots(target, open_source) as (mine, source):
        after = common_position(mine, source)
        return None if after is None else source.last.seq - after.seq


# -- copying in steps -------------------------------------------------------------------------------


def sync_steps(target: Target, open_source: Source, whole: bool = False) -> Iterator[None]:
    """Copy rows until a ``join`` can close the gap; each step is one transaction.

    :param open_source: committed snapshots of a drive in sync at the moment (U3)
    :param whole: trust none of the drive's rows
    """
    if _begin(target, open_source, whole):
        yield from _copy_tables(target, open_source)
    yield
    while _replay(target, open_source):
        yield


def _begin(target: Target, open_source: Source, whole: bool) -> bool:
    """Mark the drive; whether all tables must be copied. Undoes what the source does not have (U4)."""
    with _snapshots(target.engine, open_source) as (mine, source):
        after = None if whole else common_position(mine, source)
        rows: list[Row] = []
        own: list[Row] = []
        if after is not None:
            was = follows(mine)
            rows, own = copy_keys(target, mine, source, oplog.touched(mine, after.seq, was.seq))
            rows += [Row("oplog", keys.log_row(seq), None) for seq in range(after.seq + 1, was.seq + 1)]
        own.append(_mark(after or NOWHERE))
        own.append(_lacking_since(target, mine, after.seq if after is not None else 0))
        target.engine.apply(Group(target.epoch, mine.last, NOWHERE, rows, own))
        return after is None


def _mark(at: Position) -> Row:
    return Row("local", SYNCING, seal(SYNCING, Mark(at.epoch, at.seq)))


def _step(target: Target, mine: ReadTxn | None, rows: list[Row], own: list[Row]) -> None:
    target.engine.apply(Group(target.epoch, NOWHERE, NOWHERE, rows, own))
    if mine is not None:
        _punch_dropped(target, mine, rows)


def _punch_dropped(target: Target, mine: ReadTxn, rows: Iterable[Row]) -> None:
    """Give the blocks of extents back whose rows have just been deleted (U7)."""
    for table, key, value in rows:
        if table != "extents" or value is not None or (old := mine.get(table, key)) is None:
            continue
        volume, offset = keys.extent_place(key)
        with suppress(DriveFault):  # what stays allocated is found by the sweep
            target.engine.punch(volume, offset, open_extent(key, old).length)


def _copy_tables(target: Target, open_source: Source) -> Iterator[None]:
    """All rows, from snapshots that differ (U8); then the mark says from where the log must be replayed."""
    txn = open_source()
    began = since = txn.last
    txn.close()
    for table in (*COPIED_TABLES, "inline"):
        # what the log has after that comes with each step, and may come faster than this gets on
        end = keys.log_row(began.seq + 1) if table == "oplog" else None
        start: bytes | None = b""
        while start is not None:
            yield
            start, since = _copy_range(target, open_source, table, (start, end), since)
    _step(target, None, [], [_mark(since)])


def _copy_range(
    target: Target, open_source: Source, table: str, span: tuple[bytes, bytes | None], since: Position
) -> tuple[bytes | None, Position]:
    """Make the first rows of a stretch of a table equal, and what the log has touched after ``since``; where the next begin
    (None at the end), and the position up to which the log was followed.

    :raises DriveBehind: the log became too short
    """
    with _snapshots(target.engine, open_source) as (mine, source):
        theirs = list(islice(source.scan(table, *span), STEP_ROWS))
        present = list(islice(mine.scan(table, *span), STEP_ROWS))
        ends = [found[-1][0] + b"\0" for found in (theirs, present) if len(found) == STEP_ROWS]
        stop = min(ends, default=None)
        wanted = {key: value for key, value in theirs if stop is None or key < stop}
        have = {key: value for key, value in present if stop is None or key < stop}
        rows = [Row(table, key, None) for key in have if key not in wanted]
        own: list[Row] = []
        if table == "inline":
            rows, own = own, rows  # what is missing came with the records that refer to it
        else:
            rows += [Row(table, key, value) for key, value in wanted.items() if have.get(key) != value]
            own = _own_shards(target, mine, table, wanted)
        since, later, later_own = _later(target, mine, source, since)
        _step(target, mine, rows + later, own + later_own)
        return stop, since


def _later(target: Target, mine: ReadTxn, source: ReadTxn, since: Position) -> tuple[Position, list[Row], list[Row]]:
    """What the next stretch of the log after ``since`` touched, as it is now, with that stretch itself."""
    upto = min(since.seq + STEP_OPERATIONS, source.last.seq)
    if upto <= since.seq:
        return since, [], []
    if oplog.first(source) > since.seq + 1:
        raise DriveBehind("the log became too short", path=target.engine.path)
    rows, own = copy_keys(target, mine, source, oplog.touched(source, since.seq, upto))
    rows += oplog.copied(source, since.seq, upto)
    return Position(oplog.entry(source, upto).epoch, upto), rows, own


def _replay(target: Target, open_source: Source) -> bool:
    """Copy what one more stretch of the log touched; whether there is more than a join can do."""
    with _snapshots(target.engine, open_source) as (mine, source):
        after = common_position(mine, source)
        if after is None:
            raise DriveBehind("the log became too short", path=target.engine.path)
        if source.last.seq - after.seq <= STEP_OPERATIONS:
            return False
        since, rows, own = _later(target, mine, source, after)
        _step(target, mine, rows, [*own, _mark(since)])
        return True


# -- rows ------------------------------------------------------------------------------------------


def copy_keys(target: Target, mine: ReadTxn, source: ReadTxn, changed: oplog.Touched) -> tuple[list[Row], list[Row]]:
    """Rows that make ``changed`` equal to the source, and the drive's own inline shards."""
    rows: list[Row] = []
    own: list[Row] = []
    for table, key in changed:
        value = source.get(table, key)
        if table == "inline":
            if value is None:
                own.append(Row(table, key, None))
            continue
        if value != mine.get(table, key):
            rows.append(Row(table, key, value))
        if value is not None:
            own += _own_shards(target, mine, table, {key: value})
    return rows, own


def _own_shards(target: Target, mine: ReadTxn, table: str, values: dict[bytes, bytes]) -> list[Row]:
    """The inline shards that records refer to and this drive lacks."""
    own = []
    for key, value in values.items():
        for ref in inline_refs(table, key, value):
            if mine.get("inline", ref.data_id) is None:
                try:
                    own.append(Row("inline", ref.data_id, target.rebuild(ref, target.drive)))
                except StoreError:
                    continue  # freed meanwhile, or too few shards now: healing finds what stays missing
    return own


class _snapshots:
    """A snapshot of each of two drives."""

    def __init__(self, mine: DriveEngine, open_source: Source) -> None:
        self._openers = mine.begin_read, open_source
        self._open: list[ReadTxn] = []

    def __enter__(self) -> tuple[ReadTxn, ReadTxn]:
        try:
            self._open = [self._openers[0]()]
            self._open.append(self._openers[1]())
        except DriveFault:
            self.__exit__()
            raise
        return self._open[0], self._open[1]

    def __exit__(self, *_: object) -> None:
        for txn in self._open:
            txn.close()
