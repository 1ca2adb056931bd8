"""Replies that go on: durations as Go writes them, work that ends when nobody waits for it, traces and who listens."""

from __future__ import annotations

import asyncio
import json

import pytest

from sos.admin.streams import duration_ns, running, waiting
from sos.base.board import Board
from sos.domain.errors import InvalidAdminArgument
from sos.observe.tap import LEASE_NS, Kind, Listener, Tap, place_of

S = 10**9


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("", 7),
        ("0", 0),
        ("0s", 0),
        ("10s", 10 * S),
        ("1h0m0s", 3600 * S),
        ("1m30.5s", 90 * S + S // 2),
        ("250ms", S // 4),
        ("1.5h", 5400 * S),
        (".5s", S // 2),
        ("3us", 3000),
        ("3µs", 3000),
        ("+5s", 5 * S),
    ],
)
def test_durations_are_read_as_go_writes_them(text: str, ns: int) -> None:
    assert duration_ns(text, 7) == ns


@pytest.mark.parametrize("text", ["10", "s", "-1s", "1d", "1s ", "1 s", "10sx", "ten", "25h", "9" * 5000 + "h"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(InvalidAdminArgument):
        duration_ns(text, 7)


def test_work_that_nobody_waits_for_is_ended_and_tidies_up() -> None:
    tidied: list[bool] = []

    async def work() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0)
            tidied.append(True)

    async def leave() -> None:
        pieces = waiting(running(work()), b" ", 0.001)
        assert await anext(pieces) == b" "
        await pieces.aclose()

    asyncio.run(leave())
    assert tidied == [True]


def test_work_that_ends_is_left_alone() -> None:
    async def through() -> tuple[int, list[bytes]]:
        async def work() -> int:
            return 7

        task = running(work())
        return await task, [piece async for piece in waiting(task, b" ", 0.001)]

    assert asyncio.run(through()) == (7, [])


def test_a_tap_wants_nothing_while_nobody_listens() -> None:
    board = Board(2)
    taps = [Tap(board, slot) for slot in (0, 1)]
    assert not any(tap.wants(place_of(kind), 1) for tap in taps for kind in Kind)
    listener = Listener(board, Kind.S3 | Kind.INTERNAL, now_ns=100)
    for tap in taps:
        assert tap.wants(place_of(Kind.S3), 101)
        assert tap.wants(place_of(Kind.INTERNAL), 101)
        assert not tap.wants(place_of(Kind.STORAGE), 101)
        assert not tap.wants(place_of(Kind.S3), 100 + LEASE_NS)
        tap.put(Kind.S3, 5, False, {"funcname": "s3.GetObject"})
        tap.put(Kind.STORAGE, 5, True, {"funcname": "storage"})
    events, lost = listener.take(1 << 20)
    assert [json.loads(event.document)["funcname"] for event in events] == ["s3.GetObject"] * 2
    assert lost == 0
    assert listener.take(1 << 20) == ([], 0)


def test_each_listener_has_its_own_place_and_losses() -> None:
    board = Board(1)
    tap = Tap(board, 0)
    early = Listener(board, Kind.S3, now_ns=0)
    for i in range(5000):
        tap.put(Kind.S3, i, False, {"path": "x" * 1000})
    late = Listener(board, Kind.S3, now_ns=0)
    tap.put(Kind.S3, 5000, False, {})
    events, lost = early.take(1 << 30)
    assert lost + len(events) == 5001
    assert lost > 3000
    assert [event.duration_ns for event in late.take(1 << 20)[0]] == [5000]
