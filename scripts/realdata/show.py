"""What the reader sees: progress while something runs, and the table at the end."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from botocore.exceptions import BotoCoreError, ClientError

#: Between two lines of progress: on a terminal one line is written over.
TERMINAL_S, PLAIN_S = 0.2, 15.0


def size_text(count: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.2f} GiB"


@dataclass
class Step:
    """One row of the summary."""

    name: str
    files: int = 0
    bytes: int = 0
    seconds: float = 0.0
    failure: str = ""


@dataclass
class Show:
    """Progress and results."""

    steps: list[Step] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    _shown: float = 0.0
    _wide: int = 0

    def say(self, text: str) -> None:
        self._clear()
        print(f"{time.monotonic() - self.began:7.1f} s  {text}", flush=True)

    def event(self, text: str) -> None:
        """Something that was done to the server."""
        self.events.append(text)
        self.say(f"*** {text}")

    def progress(self, text: str) -> None:
        """At most a few times a second on a terminal, four times a minute in a log."""
        now = time.monotonic()
        terminal = sys.stdout.isatty()
        if now - self._shown < (TERMINAL_S if terminal else PLAIN_S):
            return
        self._shown = now
        if terminal:
            line = f"{now - self.began:7.1f} s  {text}"[:118]
            print(f"\r{line:{self._wide}}", end="", flush=True)
            self._wide = len(line)
        else:
            self.say(text)

    def counted(self, what: str, files: int, total: int) -> None:
        self.progress(f"{what}: {files} files, {size_text(total)}")

    def _clear(self) -> None:
        if self._wide:
            print(f"\r{'':{self._wide}}\r", end="")
            self._wide = 0

    @contextmanager
    def step(self, name: str, files: int, total: int) -> Iterator[Step]:
        """Time one step; what it raises as :class:`Failed`, or boto3 raises, becomes its failure."""
        self.say(name)
        self._shown = time.monotonic()
        step = Step(name, files, total)
        self.steps.append(step)
        began = time.monotonic()
        try:
            yield step
        except (Failed, BotoCoreError, ClientError) as error:
            step.failure = str(error)
        step.seconds = time.monotonic() - began
        speed = f", {size_text(total / step.seconds)}/s" if total else ""
        self.say(f"    FAILED: {step.failure}" if step.failure else f"    done in {step.seconds:.1f} s{speed}")

    def summary(self) -> bool:
        """Print the table; whether everything succeeded."""
        self._clear()
        print(f"\n{'step':44} {'files':>7} {'bytes':>11} {'seconds':>8} {'files/s':>8} {'MiB/s':>7}")
        for step in self.steps:
            rates = f"{step.files / step.seconds:8.0f} {step.bytes / step.seconds / 2**20:7.1f}" if step.files else " " * 16
            end = "  FAILED" if step.failure else ""
            print(f"{step.name:44} {step.files or '':>7} {size_text(step.bytes) if step.files else '':>11} {step.seconds:8.1f} {rates}{end}")
        print()
        for event in self.events:
            print(f"- {event}")
        failed = [step for step in self.steps if step.failure]
        for step in failed:
            print(f"\nFAILED {step.name}: {step.failure}")
        print(f"\n{len(self.steps) - len(failed)} steps succeeded, {len(failed)} failed, {time.monotonic() - self.began:.0f} s in all")
        return not failed


class Failed(Exception):
    """A step did not do what it must; the text says what."""
