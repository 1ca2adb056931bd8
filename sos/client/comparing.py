"""Two trees side by side: what is only in one, and what differs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from .entries import Entry

_MD5 = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Pair:
    """A name with what the source and the target have under it."""

    name: str
    source: Entry | None
    target: Entry | None


def pairs(source: Iterator[tuple[str, Entry]], target: Iterator[tuple[str, Entry]]) -> Iterator[Pair]:
    """Both come in the order of their names' bytes; nothing is kept of what was passed."""
    left, right = next(source, None), next(target, None)
    while left is not None or right is not None:
        a, b = _order(left), _order(right)
        if right is None or (left is not None and a < b):
            assert left is not None
            yield Pair(left[0], left[1], None)
            left = next(source, None)
        elif left is None or b < a:
            yield Pair(right[0], None, right[1])
            right = next(target, None)
        else:
            yield Pair(left[0], left[1], right[1])
            left, right = next(source, None), next(target, None)


def _order(one: tuple[str, Entry] | None) -> bytes:
    return b"" if one is None else one[0].encode(errors="surrogateescape")


def differs(source: Entry, target: Entry) -> bool:
    """Of the same size: by ETag where both are MD5s of the content, else the younger source counts as changed."""
    if source.size != target.size:
        return True
    if _MD5.fullmatch(source.etag) and _MD5.fullmatch(target.etag):
        return source.etag != target.etag
    if source.modified is None or target.modified is None:
        return False
    return source.modified > target.modified
