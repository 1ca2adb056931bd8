"""Times as signatures carry them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from .errors import MalformedDate, MissingDate

SKEW_S = 15 * 60
"""How far a client's clock may be off, either way."""


def parse_stamp(text: str) -> int | None:
    """Seconds since the epoch of ``YYYYMMDDTHHMMSSZ``, or None."""
    digits = text[:8] + text[9:15]
    if len(text) != 16 or text[8] != "T" or text[15] != "Z" or not (digits.isascii() and digits.isdigit()):
        return None
    return _epoch(int(text[:4]), int(text[4:6]), int(text[6:8]), int(text[9:11]), int(text[11:13]), int(text[13:15]))


def header_time(values: Mapping[str, str]) -> tuple[int, str]:
    """When a request says that it was made, in seconds, and how it says so.

    :param values: its headers, by names in lower case
    :raises MissingDate, MalformedDate:
    """
    text = values.get("x-amz-date") or values.get("date")
    if not text:
        raise MissingDate()
    moment_s = parse_date(text)
    if moment_s is None:
        raise MalformedDate()
    return moment_s, text


def parse_date(text: str) -> int | None:
    """Seconds since the epoch of a ``Date`` in any of the forms in use (basic ISO 8601, RFC 1123, RFC 850), or None."""
    stamp = parse_stamp(text)
    if stamp is not None:
        return stamp
    if len(text) > 64:
        return None
    try:
        when = parsedate_to_datetime(text)
        return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def parse_iso(text: str) -> float | None:
    """Seconds since the epoch of an extended ISO 8601 time (``2007-12-01T12:00:00.000Z``), or None."""
    if len(text) > 40 or not text.isascii():
        return None
    try:
        when = datetime.fromisoformat(text)
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def format_stamp(moment_s: int) -> str:
    """``YYYYMMDDTHHMMSSZ``."""
    return datetime.fromtimestamp(moment_s, UTC).strftime("%Y%m%dT%H%M%SZ")


def _epoch(year: int, month: int, day: int, hour: int, minute: int, second: int) -> int | None:
    try:
        return int(datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp())
    except (ValueError, OverflowError):
        return None
