"""``sos client`` with ``--json``: what it says when all went well, and why it failed when it did not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .clients import Tool

Ask = Callable[..., list[dict[str, Any]]]
"""``Speaker.ask``."""


def documents(text: str) -> list[dict[str, Any]]:
    """The JSON lines of an output."""
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def keys(found: list[dict[str, Any]]) -> list[str]:
    return [one["key"] for one in found]


class Speaker:
    """:param words: what all commands begin with"""

    def __init__(self, tool: Tool, *words: str) -> None:
        self.tool, self._words = tool, words

    def ask(self, *arguments: str | Path, **named: Any) -> list[dict[str, Any]]:
        """Run a command that must succeed; its JSON lines."""
        found = documents(self.tool(*self._words, *arguments, "--json", **named).out)
        assert all(one.get("status") != "error" for one in found), found
        return found

    def fail(self, *arguments: str | Path, **named: Any) -> tuple[str, str]:
        """Run a command that must fail; its message with the cause, and the code that the server gave."""
        ended = self.tool.run(*self._words, *arguments, "--json", **named)
        assert ended.code == 1, ended
        error = [one for one in documents(ended.out) if one["status"] == "error"][-1]["error"]
        return f"{error['message']} {error['cause']['message']}", error["cause"]["error"].get("Code", "")
