"""What clients asked of a store and heard from it, and whether one register per key could have answered so.

Every value has an ETag of its own; an absent object is the value ``ABSENT``. A write whose outcome is unknown (the
connection broke, or the answer was a 5xx) may have taken effect at any moment after it began, or never. The check is
linearizability (Herlihy and Wing 1990) by the search of Wing and Gong with the states that were visited remembered
(Lowe 2017); keys are independent, so each is checked by itself.
"""

from __future__ import annotations

import hashlib
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

ABSENT = ""
#: A clock's reading: compared only.
Moment = tuple[float, float]
NEVER: Moment = (math.inf, math.inf)


def monotonic() -> Moment:
    """The usual clock."""
    return time.monotonic(), 0.0


@dataclass(slots=True, eq=False)
class Event:
    """One operation on one key.

    :param value: ETag written or read
    :param returned: when it was acknowledged; ``NEVER`` while, or because, its outcome is unknown
    """

    key: str
    is_write: bool
    value: str
    began: Moment
    returned: Moment = NEVER

    def __str__(self) -> str:
        verb = "write" if self.is_write else "read "
        end = "?" if self.returned == NEVER else f"{self.returned[0]:.6f}"
        return f"{verb} {self.value or 'absent':34} {self.began[0]:.6f} … {end}"


@dataclass(frozen=True, slots=True)
class Payload:
    """A value that can be made again from its name, no two parts of which are equal."""

    name: str
    size: int

    def make(self) -> bytes:
        return hashlib.shake_128(f"{self.name} {self.size}".encode()).digest(self.size)


class History:
    """Collects events from several threads."""

    def __init__(self, clock: Callable[[], Moment] = monotonic) -> None:
        self.clock = clock
        self.events: list[Event] = []
        self.answers: Counter[str] = Counter()
        self._payloads: dict[str, tuple[Payload, ...]] = {ABSENT: ()}
        self._lock = threading.Lock()

    # -- recording -------------------------------------------------------------------------------------

    def value(self, etag: str, *payloads: Payload) -> str:
        """Make a value known: what an object with this ETag must hold."""
        with self._lock:
            known = self._payloads.setdefault(etag, payloads)
        assert known == payloads, "two values with one ETag"
        return etag

    def body(self, etag: str) -> bytes | None:
        """The payload of a value; None for an ETag that nobody ever wrote."""
        payloads = self._payloads.get(etag)
        return None if payloads is None else b"".join(payload.make() for payload in payloads)

    def size(self, etag: str) -> int:
        return sum(payload.size for payload in self._payloads.get(etag, ()))

    def write(self, key: str, value: str) -> Event:
        """A write begins; nobody knows its outcome until :meth:`done` or :meth:`refused`."""
        event = Event(key, True, value, self.clock())
        with self._lock:
            self.events.append(event)
        return event

    def done(self, event: Event) -> None:
        event.returned = self.clock()

    def refused(self, event: Event) -> None:
        """It certainly had no effect."""
        with self._lock:
            self.events.remove(event)

    def read(self, key: str, value: str, began: Moment) -> None:
        """A read that began then has just returned ``value``."""
        event = Event(key, False, value, began, self.clock())
        with self._lock:
            self.events.append(event)

    def count(self, what: str) -> None:
        """One more answer of a kind, to see afterwards that a run was not idle."""
        with self._lock:
            self.answers[what] += 1

    # -- checking --------------------------------------------------------------------------------------

    @property
    def keys(self) -> list[str]:
        return sorted({event.key for event in self.events})

    def acknowledged(self) -> int:
        """How many writes were."""
        return sum(event.is_write and event.returned != NEVER for event in self.events)

    def check(self) -> None:
        """Assert that every key behaved as one register."""
        for key in self.keys:
            events = [event for event in self.events if event.key == key]
            assert explains(events), f"no order of these explains what was read of {key!r}:\n" + "\n".join(
                str(event) for event in sorted(events, key=lambda e: e.began)
            )

    def until(self, moment: Moment) -> History:
        """What was known at an earlier moment: writes under way then are of unknown outcome, later ones are not there."""
        past = History(self.clock)
        past._payloads = self._payloads
        for event in self.events:
            if event.began >= moment:
                continue
            if event.returned <= moment:
                past.events.append(event)
            elif event.is_write:
                past.events.append(replace(event, returned=NEVER))
        return past


def explains(events: Sequence[Event], initial: str = ABSENT) -> bool:
    """Whether the events of one key are linearizable as a register."""
    relevant = sorted(_relevant(events), key=lambda event: event.began)
    must = sum(1 << i for i, event in enumerate(relevant) if event.returned != NEVER)
    seen: set[tuple[int, str]] = set()
    stack = [(0, initial)]
    while stack:
        state = stack.pop()
        done, value = state
        if done & must == must:
            return True
        if state in seen:
            continue
        seen.add(state)
        stack.extend(_next(relevant, done, value))
    return False


def _relevant(events: Iterable[Event]) -> list[Event]:
    """Without the writes of unknown outcome whose value nobody read: they may as well not have happened."""
    read = {event.value for event in events if not event.is_write}
    return [event for event in events if event.returned != NEVER or event.value in read]


def _next(events: Sequence[Event], done: int, value: str) -> list[tuple[int, str]]:
    """States after one more event, the most promising last."""
    reads, writes, doubtful = [], [], []
    horizon = NEVER
    for i, event in enumerate(events):
        if done >> i & 1:
            continue
        if event.began > horizon:
            break
        horizon = min(horizon, event.returned)
        following = (done | 1 << i, event.value)
        if event.is_write and event.returned == NEVER:
            # of several that write the same, none of which ever expires, it does not matter which
            if all(value != following[1] for _, value in doubtful):
                doubtful.append(following)
        elif event.is_write:
            writes.append(following)
        elif event.value == value:
            reads.append(following)
    # a read that fits changes nothing, so it may always come first
    return reads[:1] or [*doubtful, *reversed(writes)]
