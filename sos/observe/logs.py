"""Log lines on standard error: text for people, or one JSON object a line; the last of them are kept on the board too."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
import traceback

import msgspec

from ..base.rings import Ring
from ..config.settings import Settings

#: Of what is kept of one message, in characters.
MESSAGE_CHARS_MAX = 8000
TRACE_LINES_MAX = 20


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


class Kept(msgspec.Struct, array_like=True, frozen=True):
    """A line on the board.

    :param role: who spoke, for example ``worker 0``
    :param source: file and line
    :param trace: the lines of an exception's
    """

    time_ns: int
    level: str
    role: str
    logger: str
    message: str
    source: str
    trace: list[str] = []


_encode = msgspec.msgpack.Encoder().encode
kept = msgspec.msgpack.Decoder(Kept).decode


class BoardLines(logging.Handler):
    """Keeps what a process logs in its ring on the board, where the others find it after its death too."""

    def __init__(self, ring: Ring, role: str) -> None:
        super().__init__()
        self._ring = ring
        self._role = role
        self._pid = os.getpid()

    def emit(self, record: logging.LogRecord) -> None:
        if os.getpid() != self._pid:
            return  # a child that was forked for something else: the ring has one writer
        try:
            self._ring.append(_encode(_kept(record, self._role)))
        except Exception:  # noqa: BLE001 - as in every handler: what cannot be logged must not break what is logged
            self.handleError(record)


def _kept(record: logging.LogRecord, role: str) -> Kept:
    trace: list[str] = []
    if record.exc_info:
        trace = "".join(traceback.format_exception(*record.exc_info)).splitlines()[-TRACE_LINES_MAX:]
    return Kept(
        int(record.created * 1e9),
        record.levelname,
        role,
        record.name,
        record.getMessage()[:MESSAGE_CHARS_MAX],
        f"{record.module}.py:{record.lineno}",
        [text[:500] for text in trace],
    )


def keep(ring: Ring, role: str) -> None:
    """Keep what this process logs from now on, beside standard error."""
    logging.getLogger().addHandler(BoardLines(ring, role))


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
