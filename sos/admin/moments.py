"""Times as Go's JSON has them: RFC 3339, in UTC, with nanoseconds."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from ..domain.errors import BadDocument

NS_PER_S = 10**9
ZERO = "0001-01-01T00:00:00Z"
EPOCH = "1970-01-01T00:00:00Z"
"""How clients are told that something never expires."""
_FORM = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)")


def show(ns: int, zero: str = ZERO) -> str:
    """:param zero: what 0 is shown as"""
    if not ns:
        return zero
    text = datetime.fromtimestamp(ns // NS_PER_S, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f"{ns % NS_PER_S:09}".rstrip("0")
    return f"{text}.{fraction}Z" if fraction else f"{text}Z"


def parse(text: str) -> int:
    """Nanoseconds since the epoch; 0 for Go's zero time and for the epoch itself, which mean never.

    :raises BadDocument:
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise BadDocument(f"{text[:40]!r} is not a time.")
    try:
        moment = datetime.fromisoformat(found[1] + found[3].replace("Z", "+00:00"))
        seconds = int(moment.timestamp()) if moment.year > 1 else 0
    except (ValueError, OverflowError):
        raise BadDocument(f"{text[:40]!r} is not a time.") from None
    return max(0, seconds) * NS_PER_S + (int((found[2] or "0").ljust(9, "0")) if seconds > 0 else 0)
