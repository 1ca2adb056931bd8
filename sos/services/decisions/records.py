"""Decisions as they are remembered and as workers tell each other of them. No secret, token or signature is in any.

Invariants:

D1  A denial says all that its explanation needs, so it can be explained after every policy changed.
D2  What was not recorded is counted, and what was not looked at in a request is told from what was not there.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import msgspec

from ...domain.policy.actions import condition_keys, namespace_of
from ...domain.policy.evaluate import Caller, Reason
from ...domain.policy.explain import Explanation
from ...domain.policy.keys import TAGGED

#: Of one value of a condition key, and how many of one key, as they are remembered.
VALUE_CHARS_MAX = 1024
VALUES_MAX = 100

Values = dict[str, tuple[str, ...]]
"""Canonical condition key → values."""

Facts = tuple[str, bool, str | None, str | None, str | None]
"""What is remembered of every request, whether a policy asks for it or not: the client's address, whether TLS, and of the
query ``prefix``, ``delimiter`` and ``max-keys``, None without one."""

FACTS = ("aws:SourceIp", "aws:SecureTransport", "s3:prefix", "s3:delimiter", "s3:max-keys")
"""The condition keys of ``Facts``, in their order."""

TIMES = frozenset({"aws:CurrentTime", "aws:EpochTime"})
"""Known from when it was decided."""

PASSING = TIMES | {"s3:signatureAge"}
"""Other for each request, so no part of what makes two of them alike."""


def values_of(facts: Facts) -> Values:
    source, secure, *query = facts
    told = (source or None, "true" if secure else "false", *query)
    return {key: (value,) for key, value in zip(FACTS, told, strict=True) if value is not None}


class Occasion(NamedTuple):
    """The request that a decision was made for.

    :param at_ns: wall clock
    :param surface: ``s3``, ``admin`` or ``sts``
    :param call: name of the operation
    """

    request_id: str
    at_ns: int
    surface: str
    call: str


class Denial(msgspec.Struct, array_like=True, frozen=True):
    """Something that was refused.

    :param key_kind: ``user``, ``service``, ``temporary``, ``root``; empty for anonymous and unknown
    :param account: that owns what was asked for
    :param values: of all condition keys of the action's name space that the request had a value for
    :param asked: keys beyond those (tags) that policies asked for
    :param reason: None where no policy decided but what ``code`` and ``message`` say
    :param revision: of all policies that it depended on
    :param explanation: None where it was not worked out at that moment: too many at once
    """

    request_id: str
    at_ns: int
    surface: str
    call: str
    caller: Caller
    key_kind: str
    action: str = ""
    resource: str = ""
    account: str = ""
    values: Values = {}
    asked: tuple[str, ...] = ()
    deny_only: bool = False
    reason: Reason | None = None
    revision: str = ""
    explanation: Explanation | None = None
    code: str = ""
    message: str = ""

    def knows(self) -> frozenset[str]:
        """The condition keys of which it is known whether the request had a value."""
        return everyday_keys(self.action).union(self.asked)


class Allowed(msgspec.Struct, array_like=True, frozen=True):
    """Requests that were allowed and differ in nothing that policies look at.

    :param below: prefix of the resources that were folded into one; empty where all had the same
    :param resource: of folded ones the first
    :param asked: condition keys that policies asked for
    """

    caller: Caller
    action: str
    resource: str
    account: str
    facts: Facts
    values: Values
    asked: tuple[str, ...]
    deny_only: bool
    below: str
    count: int
    first_ns: int
    last_ns: int

    def knows(self) -> frozenset[str]:
        """The condition keys of which it is known whether the requests had a value."""
        return TIMES.union(FACTS, self.asked)


class Coverage(msgspec.Struct, array_like=True, frozen=True):
    """What one worker remembers. Times are wall clock; nothing before is remembered.

    :param denials_since_ns: of known callers
    :param unknown_since_ns: denials and refusals of others
    :param dropped_denials: since the worker started
    :param dropped_allowed: requests of the last hour that are in no entry
    """

    worker: int
    since_ns: int
    denials_since_ns: int
    unknown_since_ns: int
    dropped_denials: int = 0
    dropped_allowed: int = 0


class Ask(msgspec.Struct, array_like=True, frozen=True):
    """What one worker asks another. :param request_id: empty asks for everything"""

    request_id: str = ""


class Told(msgspec.Struct, array_like=True, frozen=True):
    """What a worker answers."""

    coverage: Coverage
    denials: list[Denial] = []
    allowed: list[Allowed] = []


def everyday_keys(action: str) -> frozenset[str]:
    """All condition keys of an action's name space but those of single tags."""
    return condition_keys(f"{namespace_of(action)}:*") - TAGGED


def clip(key: str, values: Collection[str]) -> tuple[str, ...]:
    """Values short enough to be kept. The query of a referring page is cut off: links carry tokens there."""
    if key == "aws:Referer":
        values = [value.partition("?")[0] for value in values]
    return tuple(value[:VALUE_CHARS_MAX] for value in values)[:VALUES_MAX]
