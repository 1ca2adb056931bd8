"""Text of XML replies: escaping, and the forms of times, entity tags and keys."""

from __future__ import annotations

import re
import time
from functools import lru_cache

HEADER = '<?xml version="1.0" encoding="UTF-8"?>\n'
NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
XML = [("Content-Type", "application/xml")]
"""Headers of a document; never changed in place."""

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000

_SPECIAL = re.compile("[&<>\"'\x00-\x1f\x7f-\x9f\ufffe\uffff]")
_NAMED = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&#34;", "'": "&#39;"}


def _replace(found: re.Match[str]) -> str:
    char = found.group()
    if char in _NAMED:
        return _NAMED[char]
    # a character that no XML may hold becomes U+FFFD; clients with such keys ask for encoding-type=url
    legal = char in "\t\n\r" or "\x7f" <= char <= "\x9f"
    return f"&#x{ord(char):X};" if legal else "\ufffd"


def escape(text: str) -> str:
    """Text as it may stand in an element."""
    return _SPECIAL.sub(_replace, text) if _SPECIAL.search(text) else text


def escape_key(key: bytes) -> str:
    """A key (or prefix) as text of an element."""
    return escape(key.decode("utf-8", "replace"))


def url_key(key: bytes) -> str:
    """A key with ``encoding-type=url``: percent-encoded, so that both ways of reading ``+`` give the key back."""
    return _UNSAFE.sub(_percent, key).decode("ascii")


_UNSAFE = re.compile(rb"[^A-Za-z0-9_.~/-]")
_PERCENT = {bytes([byte]): b"%%%02X" % byte for byte in range(256)}


def _percent(found: re.Match[bytes]) -> bytes:
    return _PERCENT[found[0]]


@lru_cache(maxsize=4096)
def _seconds(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


def iso_time(ns: int) -> str:
    """``2006-01-02T15:04:05.000Z`` of nanoseconds since the epoch."""
    return f"{_seconds(ns // NS_PER_S)}.{ns // NS_PER_MS % 1000:03d}Z"


@lru_cache(maxsize=4096)
def _http_seconds(second: int) -> str:
    moment = time.gmtime(second)
    day = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[moment.tm_wday]
    return f"{day}, {moment.tm_mday:02d} {_MONTHS[moment.tm_mon - 1]} {time.strftime('%Y %H:%M:%S', moment)} GMT"


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def http_time(ns: int) -> str:
    """The IMF-fixdate of RFC 9110 §5.6.7 of nanoseconds since the epoch."""
    return _http_seconds(ns // NS_PER_S)
