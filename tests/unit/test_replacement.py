"""Replacing workers one by one: who is told to leave, and when."""

from __future__ import annotations

import signal
from typing import cast

from sos.supervisor.processes import Child
from sos.supervisor.replacement import Replacement
from sos.supervisor.slot import Phase, Slot


class FakeChild:
    def __init__(self) -> None:
        self.signals: list[signal.Signals] = []

    def send(self, number: signal.Signals) -> None:
        self.signals.append(number)


def serve(slot: Slot) -> FakeChild:
    child = FakeChild()
    slot.child, slot.phase = cast(Child, child), Phase.SERVING
    return child


def told(slots: list[Slot]) -> list[list[signal.Signals]]:
    return [cast(FakeChild, slot.child).signals for slot in slots]


def test_one_leaves_at_a_time_and_the_next_when_all_serve_again() -> None:
    slots = [Slot(number, 1.0) for number in range(2)]
    first, second = serve(slots[0]), serve(slots[1])
    replacement = Replacement(slots, 10.0)
    replacement.advance(0.0)
    assert told(slots) == [[], []]
    replacement.begin()
    replacement.advance(1.0)
    replacement.advance(2.0)
    assert (first.signals, second.signals) == ([signal.SIGTERM], [])
    assert replacement.owns(slots[0], cast(Child, first)) and not replacement.owns(slots[1], cast(Child, second))
    slots[0].child, slots[0].phase = cast(Child, FakeChild()), Phase.BOOTING
    replacement.advance(3.0)
    assert second.signals == []
    slots[0].phase = Phase.SERVING
    replacement.advance(4.0)
    assert second.signals == [signal.SIGTERM]
    serve(slots[1])
    replacement.advance(5.0)
    replacement.advance(6.0)
    assert told(slots) == [[], []] and replacement.deadline_s() is None


def test_who_does_not_leave_in_time_is_killed() -> None:
    slots = [Slot(0, 1.0)]
    child = serve(slots[0])
    replacement = Replacement(slots, 10.0)
    replacement.begin()
    replacement.advance(1.0)
    assert replacement.deadline_s() == 11.0
    replacement.advance(10.9)
    assert child.signals == [signal.SIGTERM]
    replacement.advance(11.0)
    assert child.signals == [signal.SIGTERM, signal.SIGKILL] and slots[0].phase is Phase.DYING


def test_a_stop_ends_it() -> None:
    slots = [Slot(number, 1.0) for number in range(2)]
    for slot in slots:
        serve(slot)
    replacement = Replacement(slots, 10.0)
    replacement.begin()
    replacement.end()
    replacement.advance(1.0)
    assert told(slots) == [[], []]
