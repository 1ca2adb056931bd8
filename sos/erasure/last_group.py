"""The note that each group leaves on each drive, in row ``group`` of table ``local``: see ``protocol.LastGroup``.

It is written in the group's own transaction, so it is about a drive's position exactly when it names that position;
a barrier or a catch-up moves the drive on and leaves a note that is about none.
"""

from __future__ import annotations

import msgspec

from ..drive.engine import DriveEngine, Group, Position, ReadTxn, Row
from ..meta.rows import open_row, seal
from .protocol import LastGroup

GROUP = b"group"


class Note(msgspec.Struct, array_like=True, frozen=True):
    """As stored: epoch and sequence before the group, of its last operation, mask of the drives it was sent to, how many it
    needs (0 in notes of earlier forms, and where Wq is enough)."""

    before_epoch: int
    before_seq: int
    epoch: int
    seq: int
    sent: int
    needed: int = 0


def note_row(group: LastGroup) -> Row:
    return Row("local", GROUP, seal(GROUP, Note(*group.before, *group.last, group.sent, group.needed)))


def read_note(txn: ReadTxn) -> LastGroup | None:
    """The group that brought the drive to its position; None where something else did.

    :raises BadRow: the row cannot be read
    """
    value = txn.get("local", GROUP)
    if value is None:
        return None
    note = open_row(GROUP, value, Note)
    before, last = Position(note.before_epoch, note.before_seq), Position(note.epoch, note.seq)
    group = LastGroup(before, last, note.sent, note.needed)
    return group if group.last == txn.last else None


def take_note_away(engine: DriveEngine, last: Position, epoch: int | None = None) -> None:
    """So that no recovery undoes the group; blocking, durable.

    :param epoch: of an owner, which must not have been deposed; None for the latest that the drive promised
    :raises DriveFault: also when the drive has moved on
    """
    txn = engine.begin_read()
    try:
        if txn.last == last and read_note(txn) is None:
            return
    finally:
        txn.close()
    epoch = engine.promised() if epoch is None else epoch
    engine.apply(Group(epoch, last, last, (), [Row("local", GROUP, None)], frees=True))
