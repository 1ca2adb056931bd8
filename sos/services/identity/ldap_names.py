"""Names of a directory: distinguished names (RFC 4514) and search filters (RFC 4515). Pure.

A distinguished name has many spellings. In the store, in policies and in comparisons it has one, made here once, of what
the directory answered: types in lower case, the parts of a multi-valued name in order, nothing escaped that need not be.
The case of values stays as the directory has it: whether it matters is for the directory to say.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from ...domain.errors import InvalidArgument

#: Characters of a name as it is typed or received.
DN_CHARS_MAX = 1024

Part = tuple[str, str]
"""Type in lower case, value."""
Name = tuple[tuple[Part, ...], ...]
"""The relative names, the outermost last."""

_TYPE = re.compile(r" *([A-Za-z][A-Za-z0-9-]*|\d+(?:\.\d+)*) *= *")
_VALUE = re.compile(r'((?:\\[0-9A-Fa-f]{2}|\\[ "#+,;<=>\\]|[^\\"+,;<>\0])*)([+,]|\Z)')
_ESCAPED = re.compile(rb'\\([0-9A-Fa-f]{2}|[ "#+,;<=>\\])')
_COMPARED = re.compile(r"\(\s*([A-Za-z][A-Za-z0-9-]*)\s*=\s*%s\s*\)")
_SPECIAL = frozenset('"+,;<>\\')
_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")


class NotAName(ValueError):
    """Not a distinguished name."""


def parse(text: str) -> Name:
    """:raises NotAName: also for an empty one, and for a value in the form of ``#`` and hex digits"""
    if not text or len(text) > DN_CHARS_MAX:
        raise NotAName(text[:64])
    name: list[tuple[Part, ...]] = []
    parts: list[Part] = []
    at, separator = 0, ","
    while separator:
        kind = _TYPE.match(text, at)
        value = _VALUE.match(text, kind.end()) if kind else None
        if kind is None or value is None or value[1].startswith("#"):
            raise NotAName(text[:64])
        parts.append((kind[1].lower(), _unescape(value[1])))
        at, separator = value.end(), value[2]
        if separator != "+":
            name.append(tuple(sorted(parts)))
            parts = []
    return tuple(name)


def _unescape(text: str) -> str:
    # a backslash before the last blank keeps it, unless that backslash is itself escaped
    stripped = text.rstrip(" ")
    backslashes = len(stripped) - len(stripped.rstrip("\\"))
    if backslashes % 2 and len(stripped) < len(text):
        stripped += " "

    def one(found: re.Match[bytes]) -> bytes:
        return bytes.fromhex(found[1].decode()) if len(found[1]) == 2 else found[1]

    try:
        return _ESCAPED.sub(one, stripped.encode()).decode()
    except UnicodeError:
        raise NotAName(text[:64]) from None


def spell(name: Name) -> str:
    """The one spelling of a name."""
    return ",".join("+".join(f"{kind}={_escape(value)}" for kind, value in parts) for parts in name)


def _escape(value: str) -> str:
    last = len(value) - 1

    def one(at: int, char: str) -> str:
        outer = char == " " and at in (0, last)
        if char in _SPECIAL or outer or (char == "#" and at == 0):
            return "\\" + char
        if not char.isprintable():
            return "".join(f"\\{byte:02x}" for byte in char.encode())
        return char

    return "".join(one(at, char) for at, char in enumerate(value))


def canonical(text: str) -> str:
    """The one spelling of a name. :raises NotAName:"""
    return spell(parse(text))


def is_name(text: str) -> bool:
    """Whether a text can be a distinguished name, and so is none of a user who logs in."""
    try:
        parse(text)
    except NotAName:
        return False
    return True


def folded(name: Name) -> Name:
    """For comparisons of what people type: as most attributes compare, whatever the case and the number of blanks."""
    return tuple(tuple(sorted((k, " ".join(v.split()).casefold()) for k, v in parts)) for parts in name)


def same(one: str, other: str) -> bool:
    """Whether two names are probably the same. :raises NotAName:"""
    return folded(parse(one)) == folded(parse(other))


def under(name: str, bases: Sequence[str]) -> bool:
    """Whether a name is strictly below one of some others. :raises NotAName:"""
    inner = folded(parse(name))
    for base in bases:
        outer = folded(parse(base))
        if len(outer) < len(inner) and inner[-len(outer) :] == outer:
            return True
    return False


def escape(value: str) -> str:
    """A value within a filter: everything but letters and digits as its bytes, so nothing in it can mean anything."""
    return "".join(chr(byte) if byte in _PLAIN else f"\\{byte:02x}" for byte in value.encode())


def filled(pattern: str, username: str, dn: str = "") -> str:
    """A filter with ``%s`` replaced by the name of a user and ``%d`` by its distinguished name."""
    values = {"%s": escape(username), "%d": escape(dn)}
    return re.sub("%[sd]", lambda found: values[found[0]], pattern)


def login_attributes(pattern: str) -> tuple[str, ...]:
    """Attributes that a filter compares with the name of a user and nothing else."""
    return tuple(dict.fromkeys(_COMPARED.findall(pattern)))


def login_name(typed: str, values: Sequence[str]) -> str | None:
    """The name that a user logs in with as the directory spells it, whatever was typed: policies compare it to the letter.

    :param values: of the attributes that it is compared with; none where they cannot be read
    :return: None where it is like none of them
    """
    if not values:
        return typed
    wanted = _prepared(typed)
    return next((value for value in values if _prepared(value) == wanted), None)


def _prepared(text: str) -> str:
    """As directories prepare texts to compare them (RFC 4518), and rather more."""
    shown = (
        char for char in unicodedata.normalize("NFKC", text) if unicodedata.category(char) not in ("Cf", "Cc", "Mn")
    )
    return " ".join("".join(shown).casefold().split())


def anybody(pattern: str) -> str:
    """A filter that every user meets who could log in."""
    return pattern.replace("%s", "*")


def split_names(text: str) -> tuple[str, ...]:
    """Distinguished names separated by ``;``."""
    return tuple(part.strip() for part in text.split(";") if part.strip())


def require_name(text: str) -> str:
    """:raises InvalidArgument: not a distinguished name"""
    try:
        return canonical(text)
    except NotAName:
        raise InvalidArgument("This is not a distinguished name.") from None
