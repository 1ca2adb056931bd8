"""What a proposal sees of those before it in its group: rows over rows, in order, both ways."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from sos.drive.engine import Group, Position, Row
from sos.erasure.overlay import Overlay
from tests.kit.memory_engine import MemoryDrive

KEYS = st.binary(min_size=1, max_size=2)
ROWS = st.lists(st.tuples(KEYS, st.none() | st.binary(max_size=1)), max_size=12)


@settings(max_examples=300, deadline=None)
@given(stored=ROWS, pending=ROWS, start=st.binary(max_size=2), stop=st.none() | KEYS, reverse=st.booleans())
def test_an_overlay_reads_as_if_its_rows_were_stored(
    stored: list[tuple[bytes, bytes | None]],
    pending: list[tuple[bytes, bytes | None]],
    start: bytes,
    stop: bytes | None,
    reverse: bool,
) -> None:
    engine = MemoryDrive().open()
    rows = [Row("current", key, value) for key, value in stored]
    engine.apply(Group(0, Position(0, 0), Position(0, 1), rows))
    view = Overlay(engine.begin_read())
    more = [Row("current", key, value) for key, value in pending]
    view.put(more)
    engine.apply(Group(0, Position(0, 1), Position(0, 2), view.rows()))
    after = engine.begin_read()
    assert list(view.scan("current", start, stop, reverse)) == list(after.scan("current", start, stop, reverse))
    assert [view.get("current", row.key) for row in more] == [after.get("current", row.key) for row in more]
