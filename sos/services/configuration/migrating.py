"""Reading what was exported, here or by a MinIO: nothing that was set is dropped silently.

A line that is not in use is a comment, and comments say nothing. Of what exists only in MinIO, lines and keys at MinIO's
defaults are left out. Where one was set, the whole is refused before anything changes, with the names of all of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ...config.foreign import foreign, plain
from ...config.subsystems import COMMENT, ENABLE, OFF, ON, SUBSYSTEMS
from ...domain.errors import InvalidSetting
from . import lines
from .lines import Line

#: Of the text that names what cannot be taken.
TEXT_CHARS_MAX = 2000
_ANY_KEY = re.compile(r"(?:^|(?<=\s))([a-z][a-z0-9_]{0,63})\s*=\s*")
_ADVICE = "Nothing was changed: put # before these lines, or take these keys out, to import the rest."


def read_import(text: str) -> list[Line]:
    """What is to be set, of the lines of an export.

    :raises InvalidSetting: a line is not understood, or something was set that does not exist here
    """
    found, missing = [], []
    for line in lines.content(text):
        word, _, rest = line.strip().partition(" ")
        name = word.partition(":")[0]
        if name in SUBSYSTEMS:
            kept, beyond = _own(line, name, rest)
            found += [kept] if kept is not None else []
            missing += _told(word, beyond)
        elif name in foreign():
            missing += _told(word, _set(name, _pairs(rest)))
        else:
            missing.append(f"{word[: lines.NAME_CHARS_MAX]} (unknown)")
    if missing:
        told = "; ".join(missing)
        told = told if len(told) <= TEXT_CHARS_MAX else told[:TEXT_CHARS_MAX] + "…"
        raise InvalidSetting(f"This server has no such settings: {told}. {_ADVICE}")
    return found


def _own(line: str, name: str, rest: str) -> tuple[Line | None, list[str]]:
    """What can be set of a line about a subsystem that is here, and the keys that cannot."""
    others = foreign().get(name, {})
    if not others or not rest.strip():
        return lines.read_assignment(line), []
    subsystem, target = lines.place_of(line.strip().partition(" ")[0])
    values = lines.read_pairs(subsystem, rest, tuple(others))
    beyond = {key: values.pop(key) for key in others if key in values}
    kept = {key: value for key, value in beyond.items() if not _is_default(others, key, value)}
    return (Line(subsystem, target, values) if values else None), list(kept)


def _pairs(text: str) -> dict[str, str]:
    """Key → value of a line about a subsystem whose keys may be any."""
    starts = list(_ANY_KEY.finditer(text))
    quoted = [range(one.start(), one.end()) for one in re.finditer(r'"[^"]*"', text)]
    starts = [one for one in starts if not any(one.start() in part for part in quoted)]
    ends = [one.start() for one in starts[1:]] + [len(text)]
    return {one[1]: plain(text[one.end() : end]) for one, end in zip(starts, ends, strict=True)}


def _set(name: str, values: Mapping[str, str]) -> list[str]:
    """The keys of a line that are not at MinIO's defaults."""
    defaults = foreign()[name]
    # a line that says nothing of it switches a target on
    implied = {ENABLE: ON} if ENABLE in defaults else {}
    return [key for key, value in {**implied, **values}.items() if not _is_default(defaults, key, value)]


def _is_default(defaults: Mapping[str, str | None], key: str, value: str) -> bool:
    if key == COMMENT or not value:
        return True
    if key not in defaults:
        return False
    default = defaults[key]
    return default is None or plain(value) == default or (value == OFF and default == "")


def _told(word: str, keys: list[str]) -> list[str]:
    """A line and its keys; never their values, which may be secret."""
    return [f"{word[: 2 * lines.NAME_CHARS_MAX]} ({', '.join(keys)})"] if keys else []
