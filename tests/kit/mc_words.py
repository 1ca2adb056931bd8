"""MinIO's client with ``--json``: what it says of success, and why it was refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .clients import Tool

Ask = Callable[..., Any]
"""``Words.ask`` or ``Words.fail``."""


class Words:
    def __init__(self, tool: Tool) -> None:
        self._tool = tool

    def ask(self, *arguments: str | Path) -> Any:
        """Run a command that must succeed; its JSON, a list where it prints several documents."""
        text, decoder, found, at = self._tool(*arguments, "--json").out.strip(), json.JSONDecoder(), [], 0
        while at < len(text):
            one, end = decoder.raw_decode(text, at)
            found.append(one)
            at = len(text) - len(text[end:].lstrip())
        assert all(one.get("status") != "error" for one in found if isinstance(one, dict)), found
        return found[0] if len(found) == 1 else found

    def fail(self, *arguments: str | Path) -> tuple[str, str]:
        """Run a command that must fail; code and message of the server."""
        ended = self._tool.run(*arguments, "--json")
        assert ended.code != 0, ended
        cause = json.loads(ended.lines[-1])["error"]["cause"]["error"]
        return str(cause["Code"]), str(cause["Message"])


def values(**named: str) -> list[str]:
    """The words that configure something."""
    return [f"{key}={value}" for key, value in named.items()]
