"""Byte ranges (RFC 9110 §14). Pure."""

from __future__ import annotations

from .errors import InvalidRange


def resolve(first: int | None, last: int | None, size: int) -> tuple[int, int]:
    """(start, length) of an inclusive range ``first-last``, ``first-`` or ``-last`` in ``size`` bytes.

    :raises InvalidRange: nothing of it lies within the object
    """
    if first is None:
        suffix = min(last or 0, size)
        if suffix <= 0:
            raise InvalidRange(size=size)
        return size - suffix, suffix
    if first >= size:
        raise InvalidRange(size=size)
    end = size - 1 if last is None else min(last, size - 1)
    return first, end - first + 1
