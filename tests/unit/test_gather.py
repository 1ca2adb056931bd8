"""The pause before a group of commits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from sos.erasure.gather import CALLERS_MIN, SPARED, Gathering

FOREVER_S = 3600.0


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(test())


async def passes(gathering: Gathering, waiting: int) -> bool:
    """Whether a group is taken without a pause."""
    task = asyncio.ensure_future(gathering.pause(lambda: waiting))
    await asyncio.sleep(0)
    if task.done():
        return True
    task.cancel()
    await asyncio.wait([task])
    return False


@pytest.mark.parametrize(
    ("answered", "came", "took_s", "waiting", "at_once"),
    [
        (1, 0, FOREVER_S, 1, True),  # alone
        (CALLERS_MIN - 1, 0, FOREVER_S, 1, True),  # a few
        (CALLERS_MIN, 0, FOREVER_S, CALLERS_MIN, True),  # all are back
        (CALLERS_MIN, 0, FOREVER_S, CALLERS_MIN - 1, False),
        (10, 10, FOREVER_S, 19, False),
        (10, 10, FOREVER_S, 20, True),
        (10, 10, 0.0, 1, True),  # the time that the group took is over already
    ],
)
def test_who_is_waited_for(answered: int, came: int, took_s: float, waiting: int, at_once: bool) -> None:
    async def test() -> None:
        gathering = Gathering(FOREVER_S)
        gathering.after(answered, came, took_s)
        assert await passes(gathering, waiting) is at_once

    run(test)


def test_the_last_expected_caller_ends_the_pause() -> None:
    async def test() -> None:
        gathering, waiting = Gathering(FOREVER_S), 5
        gathering.after(10, 5, FOREVER_S)
        pause = asyncio.ensure_future(gathering.pause(lambda: waiting))
        while waiting < 15:
            await asyncio.sleep(0)
            assert not pause.done()
            waiting += 1
            gathering.arrived(waiting)
        await asyncio.wait_for(pause, 10)

    run(test)


def test_callers_that_do_not_come_again_are_not_waited_for_each_time() -> None:
    async def test() -> None:
        gathering, at_once = Gathering(FOREVER_S), 0
        gathering.after(10, 0, 0.001)
        await asyncio.wait_for(gathering.pause(lambda: 1), 10)
        gathering.after(10, 0, FOREVER_S)
        while await passes(gathering, 1):
            at_once += 1
        assert at_once == SPARED

    run(test)


def test_no_pause_at_all() -> None:
    async def test() -> None:
        gathering = Gathering(0)
        gathering.after(10, 10, FOREVER_S)
        assert await passes(gathering, 1)

    run(test)
