"""Log lines on the board: there for every process, also after the death of the one that wrote them."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

import pytest

from sos.base.board import Board
from sos.base.rings import Ring
from sos.observe.logs import BoardLines, Kept, kept


@pytest.fixture
def board() -> Board:
    return Board(1)


@pytest.fixture
def log(board: Board) -> Iterator[logging.Logger]:
    logger = logging.getLogger("test.board")
    handler = BoardLines(Ring(board.log(0)), "worker 0")
    logger.addHandler(handler)
    yield logger
    logger.removeHandler(handler)


def lines(board: Board) -> list[Kept]:
    ring = Ring(board.log(0))
    return [kept(record) for record in ring.read(ring.oldest(), 1 << 20).records]


def test_a_line_tells_who_said_it_where_and_why(board: Board, log: logging.Logger) -> None:
    log.warning("drive %s is gone", "d1")
    try:
        raise KeyError("missing")
    except KeyError:
        log.exception("failed")
    first, second = lines(board)
    assert (first.level, first.role, first.logger, first.message) == (
        "WARNING",
        "worker 0",
        "test.board",
        "drive d1 is gone",
    )
    assert first.source.startswith("test_log_board.py:")
    assert second.trace[-1] == "KeyError: 'missing'"


def test_a_line_that_cannot_be_made_breaks_nothing(board: Board, log: logging.Logger) -> None:
    bad = log.makeRecord(log.name, logging.WARNING, __file__, 1, "%d", ("no number",), None)
    log.handlers[0].handle(bad)  # not through the logger: the test runner refuses such lines
    log.warning("x" * 1_000_000)
    log.warning("after")
    assert [line.message[:5] for line in lines(board)] == ["xxxxx", "after"]


def test_a_child_that_was_forked_for_something_else_writes_nothing(board: Board, log: logging.Logger) -> None:
    pid = os.fork()
    if not pid:
        log.warning("from the child")
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    log.warning("from the parent")
    assert [line.message for line in lines(board)] == ["from the parent"]
