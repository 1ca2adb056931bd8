"""How a setting is written: one kind per form, from text (flags, environment) and from TOML values."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any


class ConfigError(Exception):
    """A setting that cannot be used; the text is for the operator and names where it came from."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One form of values.

    :param name: for messages
    :param parse: from text; raises ValueError saying what is expected
    :param accept: TOML types that are taken; a text of them goes through ``parse``
    :param show: back to the text of a TOML value
    """

    name: str
    parse: Callable[[str], Any]
    accept: tuple[type, ...]
    show: Callable[[Any], str]


_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgtp]?)(i?)b?", re.IGNORECASE)
_SECONDS = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?", re.IGNORECASE)
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_ON = {"on", "true", "yes", "1", "enable", "enabled"}
_OFF = {"off", "false", "no", "0", "disable", "disabled"}


def parse_size(text: str) -> int:
    """Bytes of ``64MiB``, ``1G`` (binary), ``10MB`` (decimal) or a plain number."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError("a size like 64MiB")
    number, unit, binary = match.groups()
    power = " kmgtp".index(unit.lower() or " ")
    decimal = text.strip().lower().endswith("b") and unit and not binary
    return int(float(number) * float((1000 if decimal else 1024) ** power))


def parse_seconds(text: str) -> float:
    """Seconds of ``30s``, ``500ms``, ``2m``, ``1h`` or a plain number."""
    match = _SECONDS.fullmatch(text.strip())
    if match is None:
        raise ValueError("a duration like 30s")
    return float(match[1]) * _UNIT_S[(match[2] or "s").lower()]


def parse_switch(text: str) -> bool:
    word = text.strip().lower()
    if word not in _ON | _OFF:
        raise ValueError("on or off")
    return word in _ON


def parse_count(text: str) -> int:
    if not re.fullmatch(r"\d{1,18}", text.strip()):
        raise ValueError("a whole number")
    return int(text)


def parse_words(text: str) -> tuple[str, ...]:
    """Words between commas or blanks; blanks may be quoted."""
    return tuple(word for part in shlex.split(text) for word in part.split(",") if word)


def parse_networks(text: str) -> tuple[str, ...]:
    """Addresses and networks in CIDR notation."""
    words = parse_words(text)
    try:
        for word in words:
            ip_network(word, strict=False)
    except ValueError:
        raise ValueError("addresses and networks like 10.0.0.0/8") from None
    return words


def parse_paths(text: str) -> tuple[str, ...]:
    """Words between blanks, as in ``MINIO_VOLUMES``."""
    return tuple(shlex.split(text))


def show_size(value: int) -> str:
    for power, unit in ((4, "TiB"), (3, "GiB"), (2, "MiB"), (1, "KiB")):
        if value and value % 1024**power == 0:
            return quote(f"{value // 1024**power}{unit}")
    return str(value)


def show_seconds(value: float) -> str:
    return quote(f"{value:g}s")


def quote(text: str) -> str:
    """A TOML basic string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in escaped) + '"'


def _show_list(value: tuple[str, ...]) -> str:
    return "[" + ", ".join(quote(v) for v in value) + "]"


TEXT = Kind("text", str, (str,), quote)
COUNT = Kind("number", parse_count, (int,), str)
SIZE = Kind("size", parse_size, (int, str), show_size)
SECONDS = Kind("duration", parse_seconds, (int, float, str), show_seconds)
SWITCH = Kind("switch", parse_switch, (bool,), lambda v: "true" if v else "false")
WORDS = Kind("list", parse_words, (list, str), _show_list)
NETWORKS = Kind("list of networks", parse_networks, (list, str), _show_list)
PATHS = Kind("list of paths", parse_paths, (list, str), _show_list)


def choice(*words: str) -> Kind:
    """One of a few words."""

    def parse(text: str) -> str:
        word = text.strip().lower()
        if word not in words:
            raise ValueError(f"one of {', '.join(words)}")
        return word

    return Kind("choice", parse, (str,), quote)


def from_text(kind: Kind, text: str, where: str) -> Any:
    """:raises ConfigError: naming ``where`` the text was found"""
    try:
        return kind.parse(text)
    except ValueError as error:
        raise ConfigError(f"{where}: expected {error}, got {text!r}") from None


def from_toml(kind: Kind, value: object, where: str) -> Any:
    """:raises ConfigError: a value of another type"""
    if isinstance(value, bool) and bool not in kind.accept:
        raise ConfigError(f"{where}: expected a {kind.name}, got {str(value).lower()}")
    if not isinstance(value, kind.accept):
        raise ConfigError(f"{where}: expected a {kind.name}, got {value!r}")
    if isinstance(value, list):
        if not all(isinstance(word, str) for word in value):
            raise ConfigError(f"{where}: expected a list of texts")
        return from_text(kind, shlex.join(value), where)
    if isinstance(value, bool):
        return value
    return from_text(kind, str(value), where)
