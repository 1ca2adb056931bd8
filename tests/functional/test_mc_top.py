"""``mc support top`` at a terminal and with ``--json``, as developers run it (``--dev``); others are sent to register first,
by the client itself."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.functional.test_mc_observe import listening
from tests.kit.clients import HIDDEN, Tool, mc
from tests.kit.server import PATIENCE_S, Server, until

CODES = re.compile(r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b\[[0-9;?]*[a-zA-Z]")
#: What a terminal answers to a question for its background and for where its cursor is.
ANSWERS = {b"\x1b]11;?": b"\x1b]11;rgb:0000/0000/0000\x1b\\\x1b[1;1R", b"\x1b[6n": b"\x1b[1;1R"}


@pytest.fixture(scope="module")
def tool(server: Server, home: Path) -> Tool:
    return mc(server.url, home)


@contextmanager
def at_terminal(tool: Tool, *arguments: str) -> Iterator[Callable[[], str]]:
    """A command at a terminal; gives what can be read there so far, and answers what it asks the terminal."""
    clean = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy") and not k.startswith(HIDDEN)}
    command = [*tool.command, *arguments]
    child, terminal = pty.fork()
    if child == 0:
        os.execvpe(command[0], command, {**clean, **tool.env, "TERM": "xterm", "COLUMNS": "160", "LINES": "40"})
    seen = bytearray()

    def shown() -> str:
        until_s = time.monotonic() + PATIENCE_S
        while select.select([terminal], [], [], 0.05)[0] and time.monotonic() < until_s:
            try:
                piece = os.read(terminal, 65536)
            except OSError:  # it has ended
                break
            seen.extend(piece)
            for question, answer in ANSWERS.items():
                if question in piece:
                    os.write(terminal, answer)
        return CODES.sub("", seen.decode(errors="replace"))

    try:
        yield shown
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(terminal)


@pytest.mark.parametrize(
    ("what", "wanted"),
    [
        ("disk", ("DRIVE", "READ", "/d1", "/d4", "MiB/s")),
        ("net", ("INTERFACE", "RECEIVE", "127.0.0.1:", "B/s")),
        ("rpc", ("SERVER", "no rpc connections")),
        ("locks", ("Since", "Resource")),
    ],
)
def test_it_shows_its_table(tool: Tool, what: str, wanted: tuple[str, ...]) -> None:
    with at_terminal(tool, "support", "top", what, "--dev", "sos") as shown:
        until(lambda: all(word in shown() for word in wanted), f"the table of top {what}: {wanted}")


def test_calls_are_counted_as_they_come(server: Server, tool: Tool, bucket: str) -> None:
    with at_terminal(tool, "support", "top", "api", "--dev", "sos") as shown, server.client() as client:

        def counted() -> bool:
            client.request("GET", f"/{bucket}/none")
            return re.search(r"s3\.GetObject\s+[0-9]", shown()) is not None

        until(counted, "the call in the table")


def test_figures_come_as_json(server: Server, tool: Tool) -> None:
    for what, member in (("net", "net"), ("rpc", "")):
        with listening(tool, "support", "top", what, "--dev", "sos") as printed:
            first = until(lambda printed=printed: next(iter(printed()), None), f"figures of top {what}")
        assert first["hosts"] == [f"127.0.0.1:{server.port}"]
        # there are no connections to other nodes to tell of
        assert list(first["aggregated"]) == ([member] if member else [])


def test_others_are_told_to_register(tool: Tool) -> None:
    for what in ("disk", "net", "api", "locks", "rpc"):
        ended = tool.run("support", "top", what, "--json", "sos")
        said = json.loads(ended.lines[-1])
        assert ended.code == 1 and "mc license register" in said["error"]["cause"]["message"], what
