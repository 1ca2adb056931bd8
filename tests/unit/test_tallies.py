"""Counts: exact, by operation and bucket, over several workers, and never going back when one is replaced."""

from __future__ import annotations

from sos.base.board import Board
from sos.observe.tallies import BUCKETS, CELL_WORDS, ROW_WORDS, UNROUTED, Tallies, summed, summed_by_bucket

NAMES = ["GetObject", "PutObject", "ListObjects"]
MS = 1_000_000


def count(tallies: Tallies, name: str, bucket: str = "", status: int = 200, ms: int = 1, whole: bool = True) -> None:
    tallies.count(tallies.begin(name), bucket, status, ms * MS, 2 * ms * MS, 10, 20, whole)


def test_requests_errors_bytes_and_times_are_counted() -> None:
    tallies = Tallies(NAMES, Board(1).tally(0))
    for status, ms in ((200, 1), (206, 60), (404, 300), (503, 20_000)):
        count(tallies, "GetObject", status=status, ms=ms)
    count(tallies, "GetObject", whole=False)
    found = tallies["GetObject"]
    assert found[:6] == (5, 1, 1, 1, 50, 100)
    assert found.first == (2, 1, 0, 1, 0, 0, 0, 0, 1)
    assert sum(found.whole) == 5
    assert abs(found.first_s - 20.362) < 1e-9
    assert tallies["PutObject"].requests == 0


def test_what_is_under_way_is_told_and_ends_with_its_worker() -> None:
    board = Board(2)
    one = Tallies(NAMES, board.tally(1))
    one.begin("PutObject")
    one.flush()
    assert summed(NAMES, [board.tally(0), board.tally(1)])["PutObject"].under_way == 1
    Tallies(NAMES, board.tally(1))
    assert "PutObject" not in summed(NAMES, [board.tally(0), board.tally(1)])


def test_the_next_worker_of_a_slot_goes_on_counting() -> None:
    board = Board(2)
    slots = [board.tally(0), board.tally(1)]
    for turn in range(3):
        for slot in slots:
            tallies = Tallies(NAMES, slot)
            count(tallies, "GetObject", "photos")
            count(tallies, UNROUTED, status=400)
            tallies.flush()
        found = summed(NAMES, slots)
        assert found["GetObject"].requests == 2 * (turn + 1)
        assert found[UNROUTED].client_errors == 2 * (turn + 1)
        [(bucket, name, cell)] = summed_by_bucket(NAMES, slots, ["photos", "other"])
        assert (bucket, name, cell.requests, cell.sent) == ("photos", "GetObject", 2 * (turn + 1), 40 * (turn + 1))
        assert sum(cell.first) == cell.requests
        assert len(cell.first) == BUCKETS


def test_names_that_are_tried_out_take_no_place() -> None:
    board = Board(1)
    tallies = Tallies(NAMES, board.tally(0))
    for i in range(1000):
        count(tallies, "GetObject", f"guess-{i}", status=404)
    count(tallies, "GetObject", "there")
    count(tallies, "GetObject", "there", status=404)
    tallies.flush()
    buckets = ["there", *(f"guess-{i}" for i in range(1000))]
    [(bucket, _, cell)] = summed_by_bucket(NAMES, [board.tally(0)], buckets)
    assert (bucket, cell.requests, cell.client_errors) == ("there", 2, 1)


def test_a_full_table_counts_no_more_buckets_but_all_requests() -> None:
    words = memoryview(bytearray(8 * ((len(NAMES) + 1) * ROW_WORDS + 2 * CELL_WORDS))).cast("Q")
    tallies = Tallies(NAMES, words)
    for i in range(5):
        count(tallies, "GetObject", f"bucket-{i}")
    tallies.flush()
    assert tallies["GetObject"].requests == 5
    found = list(summed_by_bucket(NAMES, [words], [f"bucket-{i}" for i in range(5)]))
    assert [bucket for bucket, _, _ in found] == ["bucket-0", "bucket-1"]


def test_what_changed_is_copied_once_a_second_at_most() -> None:
    board = Board(1)
    asked: list[float] = []
    tallies = Tallies(NAMES, board.tally(0), lambda seconds, call: asked.append(seconds))
    for _ in range(10):
        count(tallies, "GetObject")
    assert asked == [1.0]
    assert summed(NAMES, [board.tally(0)]) == {}
    tallies.flush()
    count(tallies, "GetObject")
    assert len(asked) == 2
