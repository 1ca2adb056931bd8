"""What a directory is asked for and answers, free of how that is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


class Unreachable(Exception):
    """No conversation is possible: connection, TLS, time or the directory itself. The text holds no secret."""


class LookupRefused(Unreachable):
    """The directory does not take the lookup account."""


class NoSuchBase(Unreachable):
    """Where to search is not in the directory."""


class TooMany(Exception):
    """More entries than asked for."""


Scope = Literal["BASE", "SUBTREE"]
"""Of a search: an entry, or all below it too."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the directory.

    :param dn: its name in the one spelling
    :param actual: as the directory spells it
    """

    dn: str
    actual: str
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
