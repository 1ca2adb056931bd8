"""Several jobs at a time, while the rest is still being listed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

from .errors import FAULTS
from .meter import Meter

T = TypeVar("T")
WORKERS = 4
#: Jobs handed out and not done: listing goes no further ahead than this.
WAITING_MAX = 4 * WORKERS


def work(
    jobs: Iterable[T],
    do: Callable[[T], None],
    done: Callable[[T, Exception | None], None],
    meter: Meter,
) -> None:
    """Do them all; ``done`` is called here, in the caller's thread, with what went wrong.

    :raises KeyboardInterrupt: when what was begun has been undone
    """
    waiting: dict[Future[None], T] = {}
    with ThreadPoolExecutor(WORKERS) as pool:
        try:
            for job in jobs:
                while len(waiting) >= WAITING_MAX:
                    _collect(waiting, done)
                waiting[pool.submit(do, job)] = job
            while waiting:
                _collect(waiting, done)
        except BaseException:
            meter.cancel()
            _end(waiting)
            raise


def _collect(waiting: dict[Future[None], T], done: Callable[[T, Exception | None], None]) -> None:
    finished, _ = wait(waiting, return_when=FIRST_COMPLETED)
    for future in finished:
        job = waiting.pop(future)
        try:
            future.result()
        except FAULTS as error:
            done(job, error)
        else:
            done(job, None)


def _end(waiting: dict[Future[None], T]) -> None:
    for future in waiting:
        future.cancel()
    try:
        wait(waiting)
    except KeyboardInterrupt:
        # asked twice: now
        os._exit(130)
