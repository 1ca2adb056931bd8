"""Numbers in queries and headers."""

from __future__ import annotations

from ..domain.errors import InvalidArgument

PARTS_MAX = 10_000
COUNT_MAX = 2**31 - 1


def read_count(text: str, name: str, default: int, cap: int = COUNT_MAX) -> int:
    """A count of 0 to 2³¹−1, cut to ``cap``.

    :raises InvalidArgument: anything else
    """
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= COUNT_MAX):
        raise InvalidArgument(
            f"Argument {name} must be an integer between 0 and {COUNT_MAX}", ArgumentName=name, ArgumentValue=text[:64]
        )
    return min(int(text), cap)


def read_part_number(text: str) -> int:
    """A part number of 1 to 10,000.

    :raises InvalidArgument: anything else
    """
    if text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= PARTS_MAX:
        return int(text)
    raise InvalidArgument(
        f"Part number must be an integer between 1 and {PARTS_MAX}, inclusive",
        ArgumentName="partNumber",
        ArgumentValue=text[:64],
    )


def read_size(text: str, name: str) -> int:
    """A size in bytes, −1 when absent.

    :raises InvalidArgument: not a number
    """
    if not text:
        return -1
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise InvalidArgument(f"{name} must be a non-negative integer", ArgumentName=name, ArgumentValue=text[:64])
    return int(text)
