"""The text form of the configuration: ``subsystem[:target] key=value key="a value"``, a target a line. Pure.

Source: MinIO's ``internal/config/config.go``. As there, a value reaches to the next known key, so that one with blanks
needs no quotes (clients take them off).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ...config.subsystems import DEFAULT_TARGET, ENABLE, ON, SUBSYSTEMS, Subsystem
from ...domain.errors import InvalidSetting, NoSuchSetting

#: Of one value.
VALUE_BYTES_MAX = 32 * 1024
NAME_CHARS_MAX = 64
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_ENDS_QUOTED = re.compile(r'"(?=\s|$)')
_KEY = re.compile(r"\s*([a-z][a-z0-9_]{0,63})\s*=")
_BLANK = re.compile(r"\s")


@dataclass(frozen=True, slots=True, repr=False)
class Line:
    """One target and what is said of it.

    :param values: key → value; empty where a line only names a target
    :param keys: words after the target, of a line that removes
    """

    subsystem: Subsystem
    target: str
    values: Mapping[str, str]
    keys: tuple[str, ...] = ()

    @property
    def place(self) -> tuple[str, str]:
        return self.subsystem.name, self.target


def subsystem_of(name: str) -> Subsystem:
    """:raises NoSuchSetting:"""
    found = SUBSYSTEMS.get(name)
    if found is None:
        raise NoSuchSetting(f"unknown sub-system {name[:NAME_CHARS_MAX]}")
    return found


def place_of(word: str) -> tuple[Subsystem, str]:
    """Of ``subsystem`` or ``subsystem:target``. :raises NoSuchSetting, InvalidSetting:"""
    name, colon, target = word.partition(":")
    subsystem = subsystem_of(name)
    if not colon:
        return subsystem, DEFAULT_TARGET
    if not subsystem.many:
        raise InvalidSetting(f"sub-system '{name}' only supports single target")
    return subsystem, check_target(target)


def check_target(target: str) -> str:
    """:raises InvalidSetting: not the name of a target"""
    if not _NAME.fullmatch(target):
        raise InvalidSetting(f"the name of a target has letters, digits, '-', '_' and '.', at most {NAME_CHARS_MAX}")
    return target


def content(text: str) -> Iterable[str]:
    """The lines that say something."""
    return (line for line in text.splitlines() if line.strip() and not line.startswith("#"))


def read_assignments(text: str) -> list[Line]:
    """The lines of a set. :raises NoSuchSetting, InvalidSetting:"""
    return [read_assignment(line) for line in content(text)]


def read_removals(text: str) -> list[Line]:
    """The lines of a reset: a target, and keys of it or none for all. :raises NoSuchSetting, InvalidSetting:"""
    removals = []
    for line in content(text):
        word, _, rest = line.strip().partition(" ")
        subsystem, target = place_of(word)
        removals.append(Line(subsystem, target, {}, tuple(rest.split())))
    return removals


def read_assignment(line: str) -> Line:
    """One of them. :raises NoSuchSetting, InvalidSetting:"""
    word, blank, rest = line.strip().partition(" ")
    subsystem, target = place_of(word)
    if not blank:
        raise InvalidSetting(f"sub-system '{subsystem.name}' must have key")
    values = read_pairs(subsystem, rest)
    if not values:
        raise InvalidSetting(f"sub-system '{subsystem.name}' cannot have empty keys")
    return Line(subsystem, target, values)


def read_pairs(subsystem: Subsystem, text: str, others: tuple[str, ...] = ()) -> dict[str, str]:
    """``key=value`` pairs of a line, without quotes around the values.

    :param others: keys beyond those of the subsystem
    :raises InvalidSetting:
    """
    names = "|".join(sorted((*subsystem.names, *others), key=len, reverse=True))
    starts = re.compile(rf"(?:^|(?<=\s))({names})\s*=\s*")
    values: dict[str, str] = {}
    start = starts.search(text)
    if text.strip() and (start is None or text[: start.start()].strip()):
        # nothing is repeated but what looks like a key: it may be a secret
        named = _KEY.match(text)
        raise InvalidSetting(f"sub-system '{subsystem.name}' has no such key" + (f": {named[1]}" if named else ""))
    while start is not None:
        value, after = start.end(), start.end()
        if text[value : value + 1] == '"' and (end := _ENDS_QUOTED.search(text, value + 1)):
            after = end.end()
        following = starts.search(text, after)
        values[start[1]] = _plain(start[1], text[value : following.start() if following else len(text)])
        start = following
    return values


def _plain(key: str, text: str) -> str:
    value = text.strip()
    for quote in "\"'":
        value = value.removeprefix(quote).removesuffix(quote)
    if len(value.encode()) > VALUE_BYTES_MAX or "\0" in value:
        raise InvalidSetting(f"the value of '{key}' has more than {VALUE_BYTES_MAX} bytes, or a NUL byte")
    return value


def show_pair(key: str, value: str) -> str:
    return f'{key}="{value}"' if _BLANK.search(value) else f"{key}={value}"


def show_line(
    subsystem: Subsystem, target: str, values: Mapping[str, str], pins: Mapping[str, str], *, secrets: bool, off: bool
) -> str:
    """One target: a comment for each key that the environment pins, then what is stored or the default.

    :param values: all keys with what is stored, or the default
    :param pins: key → value in the environment
    :param secrets: also shown; else only those are that are empty
    :param off: as a comment, since it is not in use
    """
    known = {key.name: key for key in subsystem.keys}
    text = ""
    for name in subsystem.names:
        if name in pins and (secrets or not (name in known and known[name].secret)):
            text += f"# {subsystem.variable(name, target)}={pins[name]}\n"
    text += "# " if off else ""
    text += subsystem.name if target == DEFAULT_TARGET else f"{subsystem.name}:{target}"
    for name in subsystem.names:
        key, value = known.get(name), values.get(name, "")
        silent = (key is None or key.hidden or name == "comment") and not value
        if silent or (name == ENABLE and value == ON) or (key is not None and key.secret and value and not secrets):
            continue
        text += " " + show_pair(name, value)
    return f"{text} \n"
