"""Replies that go on for as long as somebody listens: JSON documents one after the other, white space between them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable
from fractions import Fraction
from typing import Any, TypeVar

from ..domain.errors import InvalidAdminArgument
from ..http.message import Reply
from .call import encode

#: How often it is looked for something new.
LOOK_S = 0.1
#: White space at least so often: only by writing is it noticed that a client left, and proxies cut silent connections.
KEEP_ALIVE_S = 0.5
DURATION_S_MAX = 24 * 3600.0
DURATION_CHARS_MAX = 64
#: Digits of a number in a query.
DIGITS_MAX = 18

_UNITS = {"ns": 1, "us": 1_000, "µs": 1_000, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
T = TypeVar("T")

EVENTS = [
    ("Content-Type", "text/event-stream"),
    ("Cache-Control", "no-cache"),
    ("X-Accel-Buffering", "no"),
]
DOCUMENTS = [("Content-Type", "application/json")]


def streamed(pieces: AsyncGenerator[bytes, None], headers: list[tuple[str, str]]) -> Reply:
    """The reply whose body comes piece by piece."""
    return Reply(200, list(headers), pieces=pieces)


def line(value: Any) -> bytes:
    """A document and the end of its line."""
    return encode(value) + b"\n"


async def waiting(task: asyncio.Future[T], empty: bytes, every_s: float = KEEP_ALIVE_S) -> AsyncGenerator[bytes, None]:
    """``empty`` again and again until some work is done. Work whose client leaves is cancelled."""
    try:
        while not task.done():
            await asyncio.wait((task,), timeout=every_s)
            if not task.done():
                yield empty
    finally:
        await given_up(task)


async def given_up(task: asyncio.Future[Any]) -> None:
    """Cancel some work, unless it is done, and wait until it has tidied up."""
    if not task.done():
        task.cancel()
        await asyncio.wait((task,))
        if not task.cancelled():
            task.exception()


def running(work: Awaitable[T]) -> asyncio.Future[T]:
    """Some work as a task."""
    return asyncio.ensure_future(work)


def whole_number(text: str) -> int | None:
    """A number in decimal digits; None for anything else."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= DIGITS_MAX else None


def duration_ns(text: str, default_ns: int) -> int:
    """A duration as Go writes it (``1h0m0s``, ``1.5s``); the default where there is none.

    :raises InvalidAdminArgument: it is none, negative or longer than a day
    """
    if not text:
        return default_ns
    if len(text) > DURATION_CHARS_MAX:
        raise InvalidAdminArgument("That is not a duration.")
    parts = _PART.findall(text)
    whole = "".join(number + unit for number, unit in parts) == text.removeprefix("+")
    total = int(sum(Fraction(number) * _UNITS[unit] for number, unit in parts))
    if text in ("0", "+0"):
        return 0
    if not parts or not whole or total > DURATION_S_MAX * 10**9:
        raise InvalidAdminArgument(f"{text[:40]!r} is not a duration.")
    return total
