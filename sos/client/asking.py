"""What commands ask: the admin API, with its errors told as the command's; the user, for what was not given."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from .connection import Admin
from .errors import FAULTS, Failure, Stop
from .session import Session

DOCUMENT_BYTES_MAX = 1 << 20


class Asker:
    """:param text: the argument that names the server
    :param what: what cannot be done when a call fails
    """

    def __init__(self, session: Session, text: str, what: str) -> None:
        self._admin: Admin = session.admin(text)
        self._what = what

    def ask(
        self, call: str, body: bytes | None = None, *, sealed: bool = False, opened: bool = False, **query: str
    ) -> bytes:
        """:raises Stop:"""
        try:
            return self._admin.ask(call, dict(query), body, sealed=sealed, opened=opened)
        except FAULTS as error:
            raise Stop(self._what, error) from None

    def json(
        self,
        call: str,
        body: Any = None,
        *,
        kind: type = dict,
        sealed: bool = False,
        opened: bool = False,
        **query: str,
    ) -> Any:
        """The answer as JSON.

        :param body: sent as JSON
        :param kind: what the answer must be; nothing at all is an empty one
        """
        sent = None if body is None else json.dumps(body).encode()
        answer = self.ask(call, sent, sealed=sealed, opened=opened, **query)
        try:
            found = json.loads(answer) if answer.strip() else kind()
        except ValueError:
            found = answer
        # Go writes an empty list as null
        found = kind() if found is None else found
        if not isinstance(found, kind):
            raise Stop(self._what, Failure("The server's answer is not one of the admin API."))
        return found


def document(path: str, what: str) -> bytes:
    """The content of a file that the user names, ``-`` for standard input. :raises Stop:"""
    try:
        with (Path("/dev/stdin") if path == "-" else Path(path)).open("rb") as file:
            text = file.read(DOCUMENT_BYTES_MAX + 1)
    except OSError as error:
        raise Stop(what, error) from None
    if len(text) > DOCUMENT_BYTES_MAX:
        raise Stop(what, Failure(f"`{path}` has more than {DOCUMENT_BYTES_MAX} bytes."))
    return text


def asked(prompt: str, hidden: bool = False) -> str:
    """From a terminal, or the next line of standard input."""
    if sys.stdin.isatty():
        return str(click.prompt(prompt, prompt_suffix="", hide_input=hidden, default="", show_default=False, err=True))
    return sys.stdin.readline().rstrip("\r\n")
