"""Sizes, durations and moments: read as mc reads them, shown as mc shows them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_IEC = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_UNITS_S = {
    "ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0,
    "d": 86400.0, "w": 7 * 86400.0, "y": 365 * 86400.0,
}  # fmt: skip
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)([a-zµμ]+)")
_SIZE = re.compile(r"\s*([0-9][0-9,]*(?:\.[0-9]*)?)\s*([kmgtpe]?)(i?)b?\s*", re.IGNORECASE)
_MOMENTS = ("%Y.%m.%d", "%Y.%m.%dT%H:%M", "%Y.%m.%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S %Z")


def size(count: int, gap: str = " ") -> str:
    """``1536`` → ``1.5 KiB``; three digits at most, as mc rounds."""
    if count < 10:
        return f"{count}{gap}B"
    value, unit = float(count), 0
    while value >= 1024 and unit < len(_IEC) - 1:
        value, unit = value / 1024, unit + 1
    rounded = int(value * 10 + 0.5) / 10
    return f"{rounded:.1f}{gap}{_IEC[unit]}" if rounded < 10 and unit else f"{rounded:.0f}{gap}{_IEC[unit]}"


def read_size(text: str) -> int:
    """``64MB``, ``1gi``, ``5`` → bytes. :raises ValueError:"""
    found = _SIZE.fullmatch(text)
    if not found:
        raise ValueError(f"`{text}` is no size; write for example 64MiB")
    power = "kmgtpe".find(found[2].lower()) + 1 if found[2] else 0
    return int(float(found[1].replace(",", "")) * (1024 if found[3] else 1000) ** power)


def read_duration(text: str) -> timedelta:
    """``7d10h31s`` → the time span. :raises ValueError:"""
    found = _DURATION.findall(text)
    if not found or "".join(number + unit for number, unit in found) != text:
        raise ValueError(f"`{text}` is no duration; write for example 7d10h31s")
    unknown = [unit for _, unit in found if unit not in _UNITS_S]
    if unknown:
        raise ValueError(f"`{unknown[0]}` is no unit of time; known are {', '.join(_UNITS_S)}")
    try:
        return timedelta(seconds=sum(float(number) * _UNITS_S[unit] for number, unit in found))
    except OverflowError:
        raise ValueError(f"`{text}` is too long a duration") from None


def read_moment(text: str) -> datetime:
    """A date, a date and time, or how long ago. :raises ValueError:"""
    for form in _MOMENTS:
        try:
            return datetime.strptime(text, form).astimezone()
        except ValueError:
            continue
    try:
        return datetime.fromisoformat(text).astimezone()
    except ValueError:
        pass
    try:
        return datetime.now(UTC) - read_duration(text)
    except (ValueError, OverflowError):
        raise ValueError(f"`{text}` is neither a date like 2024.01.31T10:30 nor a duration like 7d") from None


def moment(when: datetime | None) -> str:
    """As in mc's JSON: RFC 3339 in local time, no trailing zeros."""
    if when is None:
        return "1970-01-01T00:00:00Z"
    local = when.astimezone()
    fraction = f".{local.microsecond:06d}".rstrip("0").rstrip(".")
    offset = local.strftime("%z")
    return f"{local:%Y-%m-%dT%H:%M:%S}{fraction}{'Z' if offset == '+0000' else f'{offset[:3]}:{offset[3:]}'}"


def short_moment(when: datetime | None) -> str:
    """As in mc's listings; blank where there is none."""
    return f"{when.astimezone():%Y-%m-%d %H:%M:%S %Z}" if when else " " * 23


def span(seconds: float) -> str:
    """``3725`` → ``1 hour 2 minutes``: the two largest parts."""
    parts = []
    left = int(seconds)
    for name, unit in (("week", 604800), ("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        count, left = divmod(left, unit)
        if count:
            parts.append(f"{count} {name}{'s' if count > 1 else ''}")
    return " ".join(parts[:2]) or "0 seconds"
