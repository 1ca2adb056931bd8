"""The note of the last group, as it is stored and as it is read."""

from __future__ import annotations

import pytest

from sos.domain.errors import DriveFault
from sos.drive.engine import DriveEngine, Group, Position, Row
from sos.erasure.last_group import GROUP, note_row, read_note, take_note_away
from sos.erasure.protocol import LastGroup
from tests.kit.memory_engine import MemoryDrive

NOTE = LastGroup(Position(3, 70_000), Position(3, 70_002), 0b1011, 10)
GOLDEN = "019603ce0001117003ce000111720b0acfb3ea91481face6"
#: Of the same note before it said how many it needs.
GOLDEN_FIRST = "019503ce0001117003ce000111720b99c2ec0afb8cf735"


def drive(note: LastGroup = NOTE, last: Position = NOTE.last) -> DriveEngine:
    engine = MemoryDrive("d").open()
    engine.promise(3)
    engine.apply(Group(3, Position(0, 0), last, (), [note_row(note)]))
    return engine


def test_golden_bytes() -> None:
    value = note_row(NOTE).value
    assert value is not None and value.hex() == GOLDEN


def test_the_first_form_is_read() -> None:
    engine = MemoryDrive("d").open()
    engine.promise(3)
    row = Row("local", GROUP, bytes.fromhex(GOLDEN_FIRST))
    engine.apply(Group(3, Position(0, 0), NOTE.last, (), [row]))
    assert read_note(engine.begin_read()) == NOTE._replace(needed=0)


def test_it_is_about_the_position_that_it_names() -> None:
    assert read_note(drive().begin_read()) == NOTE
    assert read_note(drive(last=Position(3, 70_003)).begin_read()) is None
    assert read_note(MemoryDrive("blank").open().begin_read()) is None


def test_it_is_taken_away_from_a_drive_that_is_still_there() -> None:
    engine = drive()
    take_note_away(engine, NOTE.last, epoch=3)
    txn = engine.begin_read()
    assert txn.get("local", GROUP) is None and txn.last == NOTE.last
    take_note_away(engine, NOTE.last)


@pytest.mark.parametrize(("last", "epoch"), [(Position(3, 70_001), 3), (NOTE.last, 2)], ids=["moved on", "deposed"])
def test_it_is_not_taken_away_by_one_who_has_no_say(last: Position, epoch: int) -> None:
    engine = drive()
    with pytest.raises(DriveFault):
        take_note_away(engine, last, epoch)
    assert read_note(engine.begin_read()) == NOTE
