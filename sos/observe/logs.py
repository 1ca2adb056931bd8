"""Log lines on standard error: text for people, or one JSON object a line."""

from __future__ import annotations

import json
import logging
import sys
import time

from ..config.settings import Settings


class TextLines(logging.Formatter):
    """``2026-01-31T12:00:00.123Z WARNING worker 0: message``."""

    def __init__(self, role: str) -> None:
        super().__init__()
        self._role = role

    def format(self, record: logging.LogRecord) -> str:
        line = f"{_stamp(record)} {record.levelname} {self._role}: {record.getMessage()}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonLines(logging.Formatter):
    """The same facts as an object: ``time level role logger message`` and ``trace`` of an exception."""

    def __init__(self, role: str) -> None:
        super().__init__()
        self._role = role

    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "time": _stamp(record),
            "level": record.levelname.lower(),
            "role": self._role,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["trace"] = self.formatException(record.exc_info)
        return json.dumps(fields)


def _stamp(record: logging.LogRecord) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{whole}.{int(record.msecs):03d}Z"


def setup(settings: Settings, role: str) -> None:
    """Send everything this process logs to standard error.

    :param role: who speaks, for example ``worker 0``
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(role) if settings.log_json else TextLines(role))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    set_level(settings)


def set_level(settings: Settings) -> None:
    logging.getLogger().setLevel(settings.log_level.upper())
    # its own banner tells nothing that ours does not
    logging.getLogger("sanic").setLevel(logging.WARNING)
