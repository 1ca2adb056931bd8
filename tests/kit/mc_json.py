"""MinIO's client with ``--json``: what it says, as scripts read it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .clients import Tool, mc
from .server import PASSWORD, USER, Server

SECRET = "a-secret-of-hers"
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Said:
    """:param code: with which it exited
    :param rows: documents, in their order
    """

    code: int
    text: str
    rows: list[Row]

    @property
    def told(self) -> list[str]:
        """Of each error the server's code, or the client's own text."""
        return [told(row) for row in self.rows if row.get("status") == "error"]

    @property
    def message(self) -> str:
        """Of the server, in the last error."""
        return str(self.rows[-1]["error"]["cause"]["message"])

    @property
    def about(self) -> Row:
        """The whole of what the server said in the last error."""
        found: Row = self.rows[-1]["error"]["cause"]["error"]
        return found


def told(row: Row) -> str:
    """The code of an error that came from the server, or the text of one that did not."""
    error = row["error"]
    if isinstance(error, str):  # some commands give the text alone
        return error
    return str((error["cause"].get("error") or {}).get("Code") or error["cause"]["message"])


def _rows(line: str) -> list[Row]:
    if line.startswith("["):
        found: list[Row] = json.loads(line)
        return found
    # mc pipe writes how far it is before what it says
    return [json.loads(line[line.index("{") :])] if "{" in line else []


class Mc:
    """:param home: holds its configuration"""

    def __init__(self, server: Server, home: Path) -> None:
        """Aliases: ``sos`` of root, ``wrong`` of root with another secret, ``hers`` of the user ``hers``."""
        host = f"127.0.0.1:{server.port}"
        self._env = {
            "MC_HOST_wrong": f"http://{USER}:not-{PASSWORD}@{host}",
            "MC_HOST_hers": f"http://hers:{SECRET}@{host}",
        }
        self.tool: Tool = mc(server.url, home)

    def run(self, *arguments: str | Path, stdin: bytes = b"") -> Said:
        """Whatever becomes of it."""
        ended = self.tool.run("--json", *arguments, stdin=stdin, env=self._env)
        return Said(ended.code, ended.out, [row for line in ended.lines for row in _rows(line)])

    def rows(self, *arguments: str | Path, stdin: bytes = b"") -> list[Row]:
        """It must succeed."""
        said = self.run(*arguments, stdin=stdin)
        assert (said.code, said.told) == (0, []), f"{arguments}: {said.text}"
        return said.rows

    def row(self, *arguments: str | Path, stdin: bytes = b"") -> Row:
        """It must succeed and say one thing."""
        rows = self.rows(*arguments, stdin=stdin)
        assert len(rows) == 1, f"{arguments}: {rows}"
        return rows[0]

    def fails(self, *arguments: str | Path, stdin: bytes = b"", code: int = 1) -> Said:
        """It must fail and say why."""
        said = self.run(*arguments, stdin=stdin)
        assert said.code == code and said.told, f"{arguments}: {said}"
        return said
