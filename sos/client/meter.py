"""How far transfers are, shown as a bar on a terminal; and whether the user wants them to end."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import TYPE_CHECKING

from urllib3.response import BaseHTTPResponse, HTTPResponse

from .errors import Cancelled

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Meter:
    """Counts bytes. Several threads may use it.

    :param shown: draw a bar on standard error
    """

    def __init__(self, shown: bool) -> None:
        self.total = self.transferred = self.objects = 0
        self._cancelled = threading.Event()
        self._answers: set[HTTPResponse] = set()
        self._lock, self._began = threading.Lock(), time.monotonic()
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._shown = shown

    def __enter__(self) -> Meter:
        if self._shown:
            self._bar = _bar()
            self._task = self._bar.add_task("", total=None)
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    @property
    def drawing(self) -> bool:
        return self._bar is not None

    def expect(self, size: int) -> None:
        """One more object."""
        with self._lock:
            self.total, self.objects = self.total + size, self.objects + 1
            if self._bar is not None and self._task is not None:
                self._bar.update(self._task, total=self.total)

    def caption(self, text: str) -> None:
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, description=text)

    def advance(self, count: int) -> None:
        """:raises Cancelled:"""
        self.check()
        with self._lock:
            self.transferred += count
            if self._bar is not None and self._task is not None:
                self._bar.update(self._task, advance=count)

    def check(self) -> None:
        """:raises Cancelled:"""
        if self._cancelled.is_set():
            raise Cancelled

    def cancel(self) -> None:
        """End what is under way. Who waits for a server stops waiting."""
        self._cancelled.set()
        with self._lock:
            for answer in self._answers:
                with suppress(OSError, RuntimeError, ValueError):
                    answer.shutdown()

    @contextmanager
    def reading(self, answer: BaseHTTPResponse) -> Iterator[None]:
        """While an answer is read. It is given back at the end. :raises Cancelled:"""
        assert isinstance(answer, HTTPResponse)
        with self._lock:
            self._answers.add(answer)
        try:
            self.check()
            yield
        finally:
            with self._lock:
                self._answers.discard(answer)
            answer.close()
            answer.release_conn()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began


def _bar() -> Progress:
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        ProgressColumn,
        Task,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.progress import Progress as Bar
    from rich.text import Text

    from .console import visible

    class Caption(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(visible(escape(task.description))[-40:])

    columns = (Caption(), BarColumn(), DownloadColumn(binary_units=True), TransferSpeedColumn(), TimeRemainingColumn())
    return Bar(*columns, console=Console(stderr=True), transient=True)


def on_terminal() -> bool:
    return sys.stderr.isatty()
