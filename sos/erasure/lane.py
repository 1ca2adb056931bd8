"""One thread per drive, which runs the drive's calls one after the other.

A pool would do, but its threads are joined when the process ends, and a thread stuck in a hung drive must not keep
a worker from dying.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")
_Job = tuple["asyncio.Future[Any]", Callable[..., Any], tuple[Any, ...]]


class Lane:
    """Calls in order, in a thread of its own. ``run`` is called from the event loop only."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def run(self, call: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        future: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put((future, call, args))
        return future

    def close(self) -> None:
        """End the thread after what is queued."""
        self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            future, call, args = job
            result: Any = None
            problem: BaseException | None = None
            try:
                result = call(*args)
            except BaseException as error:  # noqa: BLE001  the outermost loop of a thread: whoever waits gets it
                problem = error
            if not self._deliver(future, result, problem):
                return

    def _deliver(self, future: asyncio.Future[Any], result: Any, problem: BaseException | None) -> bool:
        try:
            self._loop.call_soon_threadsafe(_settle, future, result, problem)
        except RuntimeError:
            return False  # the loop is closed: nobody waits any more
        return True


def _settle(future: asyncio.Future[Any], result: Any, problem: BaseException | None) -> None:
    if future.cancelled():
        return
    if problem is None:
        future.set_result(result)
    else:
        future.set_exception(problem)
        future.exception()  # taken note of, also where the waiter has given up
