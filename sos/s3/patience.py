"""Decisions are made at once, on the event loop; rarely one needs what cannot be read at that moment, and waits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from ..domain.errors import MustWait

T = TypeVar("T")
#: Each wait ends when set 0 could be read; more than a few in a row are a storm of changes.
WAITS_MAX = 20

Wait = Callable[[], Awaitable[None]]
"""Returns when set 0 can be read. May raise ReadQuorumLost."""


async def patiently(attempt: Callable[[], T], wait: Wait) -> T:
    """What ``attempt`` returns once it need not wait any more.

    :raises MustWait: still not (503)
    """
    for _ in range(WAITS_MAX):
        try:
            return attempt()
        except MustWait:
            await wait()
    return attempt()


async def no_wait() -> None:
    """Where everything is always at hand."""
