"""Arguments to drives: MinIO's ``{a...b}`` patterns, pools and set sizes. Pure; the rules are those of MinIO's
operators (its ``docs/distributed``), so that a command line moves over unchanged.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

SET_DRIVES_MIN = 2
SET_DRIVES_MAX = 16
#: A typing error like ``{1...1000000}`` must not fill the memory.
DRIVES_MAX = 16_384

_PATTERN = re.compile(r"\{([0-9A-Fa-f]{1,16})\.\.\.([0-9A-Fa-f]{1,16})\}")


class LayoutError(ValueError):
    """The drives named cannot form sets; the text is for the operator."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Drives that were named together and are split into equal sets.

    :param argument: as the operator wrote it
    :param drives: directories in the order of the sets
    :param set_size: drives of one set
    """

    argument: str
    drives: tuple[str, ...]
    set_size: int

    @property
    def sets(self) -> tuple[tuple[str, ...], ...]:
        """The drives of each set."""
        size = self.set_size
        return tuple(self.drives[i : i + size] for i in range(0, len(self.drives), size))


@dataclass(frozen=True, slots=True)
class Layout:
    """All pools, in the order of the arguments."""

    pools: tuple[Pool, ...]

    @property
    def drives(self) -> tuple[str, ...]:
        return tuple(drive for pool in self.pools for drive in pool.drives)

    @property
    def set_count(self) -> int:
        return sum(len(pool.sets) for pool in self.pools)


def has_ellipses(argument: str) -> bool:
    """Whether the argument means to be a pattern (it may still be a wrong one)."""
    return "..." in argument


def expand(argument: str) -> list[str]:
    """Every path of a pattern; the left-most range varies fastest.

    :raises LayoutError: a range that is malformed, reversed or too long
    """
    texts, ranges = _split(argument)
    total = 1
    for values in ranges:
        total *= len(values)
    if total > DRIVES_MAX:
        raise LayoutError(f"{argument!r} names {total} drives, at most {DRIVES_MAX} are supported")
    rows = itertools.product(*reversed(ranges))
    return ["".join(_interleave(texts, row[::-1])) for row in rows]


def layout(arguments: Sequence[str], set_drive_count: int = 0) -> Layout:
    """The pools that a command line names.

    :param set_drive_count: drives of a set, 0 to choose
    :raises LayoutError: what the operator has to change
    """
    if not arguments:
        raise LayoutError("no drives given: name at least one directory, for example `sos server /data{1...4}`")
    _refuse_urls(arguments)
    marked = [has_ellipses(argument) for argument in arguments]
    if any(marked) and not all(marked):
        plain = [a for a, m in zip(arguments, marked, strict=True) if not m]
        raise LayoutError(
            f"several arguments are several pools and each needs a pattern like {{1...4}}: {', '.join(plain)} has none"
        )
    if all(marked):
        pools = tuple(_pattern_pool(argument, set_drive_count) for argument in arguments)
    else:
        pools = (_plain_pool(arguments, set_drive_count),)
    _refuse_overlap([drive for pool in pools for drive in pool.drives])
    return Layout(pools)


def set_size(total: int, lengths: Sequence[int], wanted: int = 0) -> int:
    """Drives of one set in a pool of ``total`` drives: the largest divisor in 2..16 that spreads evenly over the
    deciding range, which is the left-most one.

    :param lengths: how many values each range of the pattern has, left to right; empty for plain paths
    :param wanted: the operator's choice, 0 for none
    :raises LayoutError: no size fits
    """
    if wanted:
        return _wanted_size(total, wanted)
    divisors = [size for size in range(SET_DRIVES_MAX, SET_DRIVES_MIN - 1, -1) if total % size == 0]
    if not divisors:
        raise LayoutError(
            f"{total} drives cannot be split into equal sets of {SET_DRIVES_MIN} to {SET_DRIVES_MAX} drives: "
            "add or leave out drives"
        )
    for size in divisors:
        if not lengths or _is_symmetric(size, lengths[0]):
            return size
    raise LayoutError(
        f"{total} drives cannot be spread evenly: no set size of {', '.join(map(str, divisors))} goes with a range of "
        f"{lengths[0]}; set MINIO_ERASURE_SET_DRIVE_COUNT to choose one"
    )


def _wanted_size(total: int, wanted: int) -> int:
    if not SET_DRIVES_MIN <= wanted <= SET_DRIVES_MAX:
        raise LayoutError(f"a set has {SET_DRIVES_MIN} to {SET_DRIVES_MAX} drives, not {wanted}")
    if total % wanted:
        raise LayoutError(f"{total} drives cannot be split into sets of {wanted}")
    return wanted


def _is_symmetric(size: int, length: int) -> bool:
    return length % size == 0 if size <= length else size % length == 0


def _pattern_pool(argument: str, wanted: int) -> Pool:
    lengths = [len(values) for values in _split(argument)[1]]
    drives = expand(argument)
    return Pool(argument, tuple(drives), set_size(len(drives), lengths, wanted))


def _plain_pool(arguments: Sequence[str], wanted: int) -> Pool:
    drives = tuple(arguments)
    if len(drives) == 1:
        return Pool(drives[0], drives, 1)
    return Pool(" ".join(drives), drives, set_size(len(drives), (), wanted))


def _split(argument: str) -> tuple[list[str], list[list[str]]]:
    """The texts between the ranges, and the values of each range."""
    pieces = _PATTERN.split(argument)
    texts = pieces[0::3]
    if any("..." in text or "{" in text or "}" in text for text in texts):
        raise LayoutError(f"malformed pattern in {argument!r}: write ranges as {{1...4}}, {{01...12}} or {{a...f}}")
    pairs = zip(pieces[1::3], pieces[2::3], strict=True)
    return texts, [_range(first, last, argument) for first, last in pairs]


def _range(first: str, last: str, argument: str) -> list[str]:
    base = 10 if first.isdigit() and last.isdigit() else 16
    low, high = int(first, base), int(last, base)
    if low >= high:
        raise LayoutError(f"range {{{first}...{last}}} in {argument!r}: the first number must be below the last")
    if high - low >= DRIVES_MAX:
        raise LayoutError(f"range {{{first}...{last}}} in {argument!r} is longer than {DRIVES_MAX}")
    padded = (len(first) > 1 and first[0] == "0") or (len(last) > 1 and last[0] == "0")
    width = max(len(first), len(last)) if padded else 0
    kind = "d" if base == 10 else "X" if any(c in "ABCDEF" for c in first + last) else "x"
    return [format(number, f"0{width}{kind}" if width else kind) for number in range(low, high + 1)]


def _interleave(texts: Sequence[str], values: Sequence[str]) -> list[str]:
    pieces = [texts[0]]
    for value, text in zip(values, texts[1:], strict=True):
        pieces += [value, text]
    return pieces


def _refuse_urls(arguments: Sequence[str]) -> None:
    for argument in arguments:
        if "://" in argument:
            raise LayoutError(f"{argument!r}: this release serves the drives of one machine, name directories")
        if not argument.strip():
            raise LayoutError("empty drive argument")


def _refuse_overlap(drives: Sequence[str]) -> None:
    seen: set[str] = set()
    for drive in drives:
        path = drive.rstrip("/") or "/"
        if path in seen:
            raise LayoutError(f"drive {drive} is named twice")
        seen.add(path)
