"""What the client prints: lines for people, or one JSON document a line with mc's names."""

from __future__ import annotations

import json
import re
import sys
import threading
from collections.abc import Mapping
from typing import Any, TextIO

from .errors import Failure, Stop, explain

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


class Console:
    """Where a command speaks. Several threads may."""

    def __init__(self) -> None:
        self.as_json = self.quiet = False
        self.failed = False
        self._lock = threading.Lock()

    def say(self, message: Mapping[str, Any], text: str) -> None:
        """A result: ``message`` with ``--json``, else ``text``."""
        line = _json({"status": "success", **message}) if self.as_json else text
        self._write(sys.stdout, line)

    def raw(self, document: Mapping[str, Any], text: str) -> None:
        """Like ``say`` for the few documents that carry no status."""
        self._write(sys.stdout, _json(document) if self.as_json else text)

    def fail(self, what: str, why: BaseException | None = None, fatal: bool = False, counts: bool = True) -> None:
        """Something could not be done; the exit code will tell, unless it does not count."""
        self.failed = self.failed or counts
        failure = explain(why) if why is not None else Failure("")
        if not self.as_json:
            return self._write(sys.stderr, f"sos client: <ERROR> {_joined(what, failure.message)}")
        cause = {"message": failure.message, "error": failure.detail}
        error = {"message": what, "cause": cause, "type": "fatal" if fatal else "error"}
        return self._write(sys.stdout, _json({"status": "error", "error": error}))

    def stop(self, stop: Stop) -> None:
        self.fail(stop.what, stop.why, fatal=True)

    def note(self, text: str) -> None:
        """For people only."""
        if not self.as_json:
            self._write(sys.stderr, text)

    def _write(self, stream: TextIO, line: str) -> None:
        if not self.as_json and stream.isatty():
            line = visible(line)
        # a file name that is no UTF-8 must not end the command
        data = line.encode(errors="surrogateescape") + b"\n"
        with self._lock:
            stream.flush()
            stream.buffer.write(data)
            stream.buffer.flush()


def visible(text: str) -> str:
    """A name from a server must not steer the terminal."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def _joined(what: str, why: str) -> str:
    if what and why and what[-1] not in ".:":
        what += "." if why[0].isupper() else ":"
    return f"{what} {why}".strip()


def _json(document: Mapping[str, Any]) -> str:
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(document, separators=(",", ":"))
    return text
