"""The checker of histories must find what is wrong and accept what is not: the canaries of the kill tests."""

from __future__ import annotations

import itertools
import random

import pytest

from tests.kit.history import ABSENT, NEVER, Event, History, Moment, explains


def write(value: str, began: float, returned: float | None) -> Event:
    return Event("k", True, value, (began, 0), NEVER if returned is None else (returned, 0))


def read(value: str, began: float, returned: float) -> Event:
    return Event("k", False, value, (began, 0), (returned, 0))


GOOD = {
    "nothing": [],
    "absent before": [read(ABSENT, 0, 1), write("a", 2, 3), read("a", 4, 5)],
    "either during an overwrite": [write("a", 0, 1), write("b", 2, 9), read("b", 3, 4), read("b", 5, 6)],
    "old then new during an overwrite": [write("a", 0, 1), write("b", 2, 9), read("a", 3, 4), read("b", 5, 6)],
    "unknown write that happened": [write("a", 0, 1), write("b", 2, None), read("b", 8, 9)],
    "unknown write that did not": [write("a", 0, 1), write("b", 2, None), read("a", 8, 9)],
    "unknown write that happened late": [write("a", 0, 1), write("b", 2, None), read("a", 3, 4), read("b", 8, 9)],
    "concurrent writes in either order": [write("a", 0, 5), write("b", 1, 4), read("a", 6, 7)],
    "deleted": [write("a", 0, 1), write(ABSENT, 2, 3), read(ABSENT, 4, 5)],
    "written twice": [write("a", 0, 1), write("b", 2, 3), write("a", 4, 5), read("a", 6, 7)],
}
BAD = {
    "acknowledged and lost": [write("a", 0, 1), read(ABSENT, 2, 3)],
    "acknowledged overwrite lost": [write("a", 0, 1), write("b", 2, 3), read("a", 4, 5)],
    "never written": [write("a", 0, 1), read("c", 2, 3)],
    "read before it was written": [read("a", 0, 1), write("a", 2, 3)],
    "new then old": [write("a", 0, 1), write("b", 2, 9), read("b", 3, 4), read("a", 5, 6)],
    "unknown write that disappears": [write("a", 0, 1), write("b", 2, None), read("b", 3, 4), read("a", 5, 6)],
    "unknown write that disappears into nothing": [write("b", 2, None), read("b", 3, 4), read(ABSENT, 5, 6)],
    "deleted and there again": [write("a", 0, 1), write(ABSENT, 2, 3), read("a", 4, 5)],
    "two readers see two orders": [
        write("a", 0, 9), write("b", 0, 9),
        read("a", 10, 11), read("b", 12, 13),
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_checker_accepts(name: str) -> None:
    assert explains(GOOD[name])


@pytest.mark.parametrize("name", BAD)
def test_checker_rejects(name: str) -> None:
    assert not explains(BAD[name])


def by_permutation(events: list[Event]) -> bool:
    """The definition itself: some choice of the unknown writes, in some order that keeps who came before whom."""
    known = [event for event in events if event.returned != NEVER]
    unknown = [event for event in events if event.returned == NEVER]
    for count in range(len(unknown) + 1):
        for some in itertools.combinations(unknown, count):
            if any(fits(order) for order in itertools.permutations([*known, *some])):
                return True
    return False


def fits(order: tuple[Event, ...]) -> bool:
    value = ABSENT
    for at, event in enumerate(order):
        if any(later.returned < event.began for later in order[at:]):
            return False
        if not event.is_write and event.value != value:
            return False
        value = event.value
    return True


def test_checker_agrees_with_the_definition() -> None:
    source = random.Random(7)
    verdicts = []
    for _ in range(400):
        events = []
        for _ in range(source.randint(1, 5)):
            began = source.randint(0, 8)
            returned = began + source.randint(0, 5)
            value = source.choice([ABSENT, "a", "b"])
            if source.random() < 0.5:
                events.append(write(value, began, None if source.random() < 0.4 else returned))
            else:
                events.append(read(value, began, returned))
        verdicts.append(explains(events))
        assert verdicts[-1] == by_permutation(events), "\n".join(map(str, events))
    assert {True, False} == set(verdicts)


def test_past_of_a_history() -> None:
    now: list[Moment] = [(0, 0)]
    history = History(lambda: now[0])

    def at(moment: float) -> None:
        now[0] = (moment, 0)

    first = history.write("k", "a")
    at(1)
    history.done(first)
    at(2)
    second = history.write("k", "b")
    at(4)
    history.done(second)
    at(5)
    history.write("k", "c")
    past = history.until((3, 0))
    assert [(event.value, event.returned) for event in past.events] == [("a", (1, 0)), ("b", NEVER)]
