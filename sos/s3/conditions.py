"""Conditional headers and ranges as clients send them (RFC 9110 §13, §14)."""

from __future__ import annotations

import re
from datetime import UTC
from email.utils import parsedate_to_datetime

from ..domain.conditions import NO_CONDITIONS, NS_PER_S, Conditions
from ..http.message import Headers
from ..services.types import ByteRange

OFFSET_MAX = 2**62

_TAG = re.compile(r'(W/)?"([^"]*)"|([^\s,"]+)')
_RANGE = re.compile(r"bytes[ \t]*=[ \t]*([0-9]*)[ \t]*-[ \t]*([0-9]*)[ \t]*")


def read_tags(value: str) -> tuple[str, ...]:
    """Entity tags without quotes; weak ones keep their ``W/``."""
    return tuple((m[1] or "") + m[2] if m[3] is None else m[3] for m in _TAG.finditer(value))


def read_date(value: str) -> int | None:
    """Nanoseconds of an HTTP date; None when it is not one (such a header is ignored, RFC 9110 §13.1.3)."""
    try:
        moment = parsedate_to_datetime(value)
        return int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()) * NS_PER_S
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def read_conditions(headers: Headers, prefix: str = "") -> Conditions:
    """The conditions of a request.

    :param prefix: ``x-amz-copy-source-`` for those on the source of a copy
    """
    match, none_match = prefix + "if-match", prefix + "if-none-match"
    modified, unmodified = prefix + "if-modified-since", prefix + "if-unmodified-since"
    if not (match in headers or none_match in headers or modified in headers or unmodified in headers):
        return NO_CONDITIONS
    return Conditions(
        if_match=read_tags(",".join(headers.all(match))) if match in headers else None,
        if_none_match=read_tags(",".join(headers.all(none_match))) if none_match in headers else None,
        if_modified_since=read_date(headers.get(modified)) if modified in headers else None,
        if_unmodified_since=read_date(headers.get(unmodified)) if unmodified in headers else None,
    )


def delete_conditions(headers: Headers) -> Conditions:
    """Those of DeleteObject, with S3's own size and time."""
    conditions = read_conditions(headers)
    size, moment = headers.get("x-amz-if-match-size"), headers.get("x-amz-if-match-last-modified-time")
    if not size and not moment:
        return conditions
    return Conditions(
        if_match=conditions.if_match,
        if_none_match=conditions.if_none_match,
        if_modified_since=conditions.if_modified_since,
        if_unmodified_since=conditions.if_unmodified_since,
        if_match_size=int(size) if size.isascii() and size.isdigit() and len(size) < 19 else None,
        if_match_mtime=read_date(moment) if moment else None,
    )


def read_range(value: str) -> ByteRange | None:
    """A single byte range; None for anything else (several ranges, other units, bad syntax): the whole is sent."""
    found = _RANGE.fullmatch(value)
    if found is None or (not found[1] and not found[2]):
        return None
    first, last = _offset(found[1]), _offset(found[2])
    if first is not None and last is not None and last < first:
        return None
    return ByteRange(first, last)


def _offset(digits: str) -> int | None:
    """The number, cut to the largest offset there can be: a longer one means the same."""
    if not digits:
        return None
    digits = digits.lstrip("0") or "0"
    return OFFSET_MAX if len(digits) > 18 else int(digits)
