"""Patterns of policies: wildcards and variables (IAM user guide: "Policy variables", "Resource").

1. ``*`` matches any run of characters, also ``/`` and none; ``?`` matches one character.
2. A pattern matches the whole text, so a name never matches a longer one that merely starts with it.
3. ``${key}`` stands for the request's only value of that condition key, taken literally: wildcards in it have no
   meaning. Without a value, with an empty one or with several, the pattern matches nothing, unless a default is given:
   ``${key, 'default'}``. ``${*}``, ``${?}`` and ``${$}`` are the characters themselves.
4. Time is linear in the text for every pattern (no backtracking).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum

from .keys import canonical

Lookup = Callable[[str], "tuple[str, ...] | None"]
"""Canonical condition key → the request's values, or None."""


class Wild(Enum):
    STAR = "*"
    ONE = "?"


class Variable:
    """``${key}`` or ``${key, 'default'}``."""

    __slots__ = ("default", "key")

    def __init__(self, key: str, default: str | None) -> None:
        self.key = key
        self.default = default

    def value(self, lookup: Lookup) -> str | None:
        values = lookup(self.key)
        return values[0] if values and len(values) == 1 and values[0] else self.default


Token = str | Wild
Part = Token | Variable
_WILD = {"*": Wild.STAR, "?": Wild.ONE}
EXPANSIONS_MAX = 64


class Glob:
    """A pattern without variables."""

    __slots__ = ("_first", "_last", "_least", "_middle", "exact", "prefix")

    def __init__(self, tokens: tuple[Token, ...] | list[Token]) -> None:
        pieces: list[list[Token]] = [[]]
        for token in tokens:
            if token is Wild.STAR:
                pieces.append([])
            else:
                pieces[-1].append(token)
        segments = [_segment(piece) for piece in pieces]
        single = segments[0] if len(segments) == 1 else None
        self.exact = single if isinstance(single, str) else None
        self._first, self._last = segments[0], segments[-1] if len(segments) > 1 else None
        self._middle = [segment for segment in segments[1:-1] if segment != ""]
        self._least = sum(map(_length, segments))
        self.prefix = literal_prefix(tokens)

    @property
    def is_prefix(self) -> bool:
        """The pattern is its literal prefix and ``*``: having that prefix is all it asks."""
        return self._first == self.prefix and self._last == "" and not self._middle

    def match(self, text: str) -> bool:
        if self.exact is not None:
            return text == self.exact
        size = len(text)
        if size < self._least or not _starts(self._first, text, 0):
            return False
        last = self._last
        if last is None:
            return size == self._least
        end = size - _length(last)
        return _starts(last, text, end) and self._middle_fits(text, end)

    def _middle_fits(self, text: str, end: int) -> bool:
        at = _length(self._first)
        for segment in self._middle:  # segments have fixed lengths, so the leftmost place is always the best
            at = _find(segment, text, at, end)
            if at < 0:
                return False
            at += _length(segment)
        return True


class _Gap:
    """A run of characters with ``?`` in it."""

    __slots__ = ("length", "pattern")

    def __init__(self, tokens: list[Token]) -> None:
        self.length = sum(1 if token is Wild.ONE else len(str(token)) for token in tokens)
        source = "".join("." if token is Wild.ONE else re.escape(str(token)) for token in tokens)
        self.pattern = re.compile(source, re.DOTALL)


_Segment = str | _Gap


def _segment(tokens: list[Token]) -> _Segment:
    if any(token is Wild.ONE for token in tokens):
        return _Gap(tokens)
    return "".join(str(token) for token in tokens)


def _length(segment: _Segment) -> int:
    return len(segment) if isinstance(segment, str) else segment.length


def _starts(segment: _Segment, text: str, at: int) -> bool:
    if isinstance(segment, str):
        return text.startswith(segment, at)
    return segment.pattern.match(text, at) is not None


def _find(segment: _Segment, text: str, at: int, end: int) -> int:
    if isinstance(segment, str):
        return text.find(segment, at, end)
    found = segment.pattern.search(text, at, end)
    return found.start() if found else -1


class Pattern:
    """A pattern that may hold variables.

    :param fold: compare without regard to case
    """

    __slots__ = ("_fold", "_glob", "_made", "_parts", "_variables", "prefix", "text")

    def __init__(self, text: str, parts: tuple[Part, ...], fold: bool = False) -> None:
        self.text = text
        self._fold = fold
        self._variables = tuple(part for part in parts if isinstance(part, Variable))
        self._parts = tuple(part.lower() if fold and isinstance(part, str) else part for part in parts)
        self._glob = None if self._variables else self._make(())
        self._made: dict[tuple[str, ...], Glob] = {}
        self.prefix = literal_prefix(self._parts)

    @property
    def keys(self) -> frozenset[str]:
        """The condition keys that its variables ask for."""
        return frozenset(variable.key for variable in self._variables)

    @property
    def needle(self) -> str:
        """The longest text that is in everything it matches, its literal prefix aside."""
        rest = self._parts[1:] if self.prefix else self._parts
        return max((part for part in rest if isinstance(part, str)), key=len, default="")

    @property
    def glob(self) -> Glob | None:
        """None where there are variables."""
        return self._glob

    def match(self, text: str, lookup: Lookup) -> bool:
        if self._fold:
            text = text.lower()
        if self._glob is not None:
            return self._glob.match(text)
        values: list[str] = []
        for variable in self._variables:
            value = variable.value(lookup)
            if value is None:
                return False
            values.append(value)
        return self._expanded(tuple(values)).match(text)

    def _expanded(self, values: tuple[str, ...]) -> Glob:
        glob = self._made.get(values)
        if glob is None:
            if len(self._made) >= EXPANSIONS_MAX:
                self._made.clear()
            glob = self._made[values] = self._make(values)
        return glob

    def _make(self, values: tuple[str, ...]) -> Glob:
        filled = iter(values)
        tokens: list[Token] = []
        for part in self._parts:
            if isinstance(part, Variable):
                value = next(filled)
                tokens.append(value.lower() if self._fold else value)
            else:
                tokens.append(part)
        return Glob(tokens)


def literal_prefix(parts: tuple[Part, ...] | list[Token]) -> str:
    """The text before the first wildcard or variable."""
    text = ""
    for part in parts:
        if not isinstance(part, str):
            break
        text += part
    return text


def compile_pattern(text: str, *, wildcards: bool = True, variables: bool = True, fold: bool = False) -> Pattern:
    """:param wildcards: whether ``*`` and ``?`` mean more than themselves
    :param variables: whether ``${…}`` does (not in documents of version 2008-10-17)
    """
    return Pattern(text, tuple(parse_parts(text, wildcards=wildcards, variables=variables)), fold)


def parse_parts(text: str, *, wildcards: bool = True, variables: bool = True) -> list[Part]:
    parts: list[Part] = []
    at = 0
    while variables and (start := text.find("${", at)) >= 0:
        found = _variable(text, start)
        if found is None:
            break
        parts += _literals(text[at:start], wildcards)
        parts.append(found[0])
        at = found[1]
    return parts + _literals(text[at:], wildcards)


def _literals(text: str, wildcards: bool) -> list[Part]:
    if not wildcards or ("*" not in text and "?" not in text):
        return [text] if text else []
    return [_WILD.get(piece, piece) for piece in re.split(r"([*?])", text) if piece]


def _variable(text: str, start: int) -> tuple[str | Variable, int] | None:
    """The part that begins with ``${`` at ``start``, and where it ends; None when nothing closes it."""
    end = text.find("}", start)
    quote = text.find("'", start, end)
    if end < 0:
        return None
    if quote < 0:
        name = text[start + 2 : end]
        return (name if name in ("*", "?", "$") else Variable(_key(name), None)), end + 1
    closing = _closing_quote(text, quote + 1)
    end = text.find("}", closing)
    if closing < 0 or end < 0:
        return None
    default = text[quote + 1 : closing].replace("''", "'")
    return Variable(_key(text[start + 2 : quote].rstrip().removesuffix(",")), default), end + 1


def _closing_quote(text: str, at: int) -> int:
    while (at := text.find("'", at)) >= 0 and text.startswith("''", at):
        at += 2
    return at


def _key(name: str) -> str:
    name = name.strip()
    return canonical(name) or name


def escape(text: str) -> str:
    """A pattern that matches just this text."""
    return re.sub(r"[*?$]", lambda found: "${" + found.group() + "}", text)
