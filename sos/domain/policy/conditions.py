"""Conditions (IAM user guide: "Condition operators", "Set operators for multi-valued context keys").

How a test is decided, for a key whose request values are ``v``:

| operator | key missing | else |
| --- | --- | --- |
| ``X`` | false | some v matches some value of the policy |
| ``NotX`` | true | no v matches any |
| ``XIfExists``, ``NotXIfExists`` | true | as without |
| ``ForAllValues:X`` | true | every v matches some value |
| ``ForAllValues:NotX`` | true | every v matches none |
| ``ForAnyValue:X`` | false | some v matches some value |
| ``ForAnyValue:NotX`` | false | some v matches none |
| ``ForAnyValue:…IfExists`` | false | the set operator sees no value to excuse |
| ``Null: true`` | true | false |

The set operators and ``Null`` take a key with nothing but empty strings for missing (unless the policy itself lists
the empty string). All tests of a statement must hold. A request value that is not of the operator's type (a date that
is none) matches nothing.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import operator
import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from ..errors import MalformedPolicy
from . import keys
from .document import Condition
from .match import Lookup, Part, Pattern, Variable, Wild, compile_pattern, parse_parts

Matcher = Callable[[str, Lookup], bool]
"""(a value of the request, its other values) → whether some value of the policy matches."""

FOR_ALL, FOR_ANY = "ForAllValues", "ForAnyValue"
IF_EXISTS = "IfExists"


class Operator(NamedTuple):
    """:param name: as written
    :param base: without qualifier, ``IfExists`` and negation
    """

    name: str
    base: str
    negated: bool
    qualifier: str
    if_exists: bool


class Check:
    """A condition, ready to be evaluated.

    :param holds: decides it for the values of a request
    """

    __slots__ = ("condition", "holds", "key", "operator")

    def __init__(self, condition: Condition, parsed: Operator, key: str, match: Matcher | frozenset[str]) -> None:
        self.condition = condition
        self.operator = parsed
        self.key = key
        if parsed.qualifier or parsed.base == "Null":
            self.holds = _set_check(parsed, key, _matcher(match), "" in condition.values)
        elif isinstance(match, frozenset):
            self.holds = _exact_check(parsed, key, match)
        else:
            self.holds = _plain_check(parsed, key, match)


def _matcher(match: Matcher | frozenset[str]) -> Matcher:
    if not isinstance(match, frozenset):
        return match
    wanted = match
    return lambda value, lookup: value in wanted


def _plain_check(parsed: Operator, key: str, match: Matcher) -> Callable[[Lookup], bool]:
    negated, missing = parsed.negated, parsed.negated or parsed.if_exists

    def holds(lookup: Lookup) -> bool:
        values = lookup(key)
        if not values:
            return missing
        for value in values:
            if match(value, lookup):
                return not negated
        return negated

    return holds


def _exact_check(parsed: Operator, key: str, wanted: frozenset[str]) -> Callable[[Lookup], bool]:
    """As ``_plain_check``, for values that are compared whole: the most frequent kind, at half its cost."""
    negated, missing = parsed.negated, parsed.negated or parsed.if_exists

    def holds(lookup: Lookup) -> bool:
        values = lookup(key)
        if not values:
            return missing
        for value in values:
            if value in wanted:
                return not negated
        return negated

    return holds


def _set_check(parsed: Operator, key: str, match: Matcher, empty_counts: bool) -> Callable[[Lookup], bool]:
    """:param empty_counts: the policy lists the empty string, so it is a value like others"""
    every, null, negated = parsed.qualifier == FOR_ALL, parsed.base == "Null", parsed.negated

    def holds(lookup: Lookup) -> bool:
        values = lookup(key) or ()
        missing = not (values if empty_counts else any(values))
        if null:
            return match("true" if missing else "false", lookup)
        if missing:
            return every
        hits = (match(value, lookup) != negated for value in values)
        return all(hits) if every else any(hits)

    return holds


def compile_condition(condition: Condition, variables: bool = True) -> Check:
    """:param variables: whether ``${…}`` is a variable
    :raises MalformedPolicy: unknown operator or key, or a value that is not of the operator's type
    """
    parsed = parse_operator(condition.operator)
    key = keys.canonical(condition.key)
    if key is None:
        raise MalformedPolicy(f"invalid condition key '{condition.key[:100]}'")
    return Check(condition, parsed, key, _FAMILIES[parsed.base](parsed, key, condition.values, variables))


def parse_operator(name: str) -> Operator:
    """:raises MalformedPolicy: there is no such operator"""
    qualifier, colon, rest = name.rpartition(":")
    plain = rest.removesuffix(IF_EXISTS)
    if_exists = plain != rest
    base = _NEGATED.get(plain, plain)
    if base not in _FAMILIES or (colon and qualifier not in (FOR_ALL, FOR_ANY)) or (base == "Null" and plain != name):
        raise MalformedPolicy(f"invalid condition name '{name[:100]}'")
    return Operator(name, base, plain in _NEGATED, qualifier, if_exists)


_NEGATED = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
    "NotIpAddress": "IpAddress",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
}
_ORDERS: dict[str, Callable[[Decimal, Decimal], bool]] = {
    "Equals": operator.eq,
    "LessThan": operator.lt,
    "LessThanEquals": operator.le,
    "GreaterThan": operator.gt,
    "GreaterThanEquals": operator.ge,
}

# -- strings ----------------------------------------------------------------------------------------------

_FIXED = {
    "s3:x-amz-server-side-encryption-customer-algorithm": ("AES256",),
    "s3:x-amz-server-side-encryption": ("AES256", "aws:kms"),
    "s3:x-amz-metadata-directive": ("COPY", "REPLACE"),
}


def _strings(parsed: Operator, key: str, values: tuple[str, ...], variables: bool) -> Matcher | frozenset[str]:
    like, fold = parsed.base == "StringLike", parsed.base == "StringEqualsIgnoreCase"
    _check_strings(parsed.name, key, values, like)
    patterns = [compile_pattern(value, wildcards=like, variables=variables, fold=fold) for value in values]
    if not fold and all(pattern.glob and pattern.glob.exact is not None for pattern in patterns):
        return frozenset(pattern.glob.exact for pattern in patterns if pattern.glob and pattern.glob.exact is not None)
    return _any_pattern(patterns)


def _any_pattern(patterns: list[Pattern]) -> Matcher:
    if len(patterns) == 1:
        return patterns[0].match
    return lambda value, lookup: any(pattern.match(value, lookup) for pattern in patterns)


def _check_strings(name: str, key: str, values: tuple[str, ...], like: bool) -> None:
    for value in values:
        if key == "s3:x-amz-copy-source" and not value.lstrip("/").partition("/")[2]:
            raise MalformedPolicy(f"invalid value '{value[:100]}' for '{key}' for {name} condition")
        if not like and "${" not in value and value not in _FIXED.get(key, (value,)):
            raise MalformedPolicy(f"invalid value '{value[:100]}' for '{key}' for {name} condition")
        if key == "s3:x-amz-content-sha256" and not value:
            raise MalformedPolicy(f"invalid empty value for '{key}' for {name} condition")


# -- numbers and dates ------------------------------------------------------------------------------------

DIGITS_MAX = 64
_DECIMAL = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")


def _numbers(parsed: Operator, key: str, values: tuple[str, ...], variables: bool) -> Matcher:
    return _ordered(
        parsed.base.removeprefix("Numeric"), [_required(parsed, v, _number, "a int") for v in values], _number
    )


def _dates(parsed: Operator, key: str, values: tuple[str, ...], variables: bool) -> Matcher:
    wanted = [_required(parsed, value, _date, "a time.Time string") for value in values]
    return _ordered(parsed.base.removeprefix("Date"), wanted, _date)


def _ordered(order: str, wanted: list[Decimal], read: Callable[[str], Decimal | None]) -> Matcher:
    compare = _ORDERS[order]

    def match(value: str, lookup: Lookup) -> bool:
        found = read(value)
        return found is not None and any(compare(found, item) for item in wanted)

    return match


def _required(parsed: Operator, value: str, read: Callable[[str], Decimal | None], what: str) -> Decimal:
    found = read(value)
    if found is None:
        raise MalformedPolicy(f"value {value[:100]} must be {what} for {parsed.name} condition")
    return found


@lru_cache(1024)
def _number(text: str) -> Decimal | None:
    return Decimal(text) if len(text) <= DIGITS_MAX and _DECIMAL.fullmatch(text) else None


@lru_cache(1024)
def _date(text: str) -> Decimal | None:
    """Seconds since the epoch, of an ISO 8601 time (UTC when it names no zone) or of such a number."""
    try:
        moment = datetime.fromisoformat(text)
        return Decimal(repr((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()))
    except (ValueError, OverflowError):
        return _number(text)


# -- the other families -----------------------------------------------------------------------------------

_TRUTH = {"true": "true", "false": "false", "1": "true", "0": "false", "t": "true", "f": "false"}


def _booleans(parsed: Operator, key: str, values: tuple[str, ...], variables: bool) -> Matcher:
    if parsed.base == "Null" and len(values) != 1:
        raise MalformedPolicy("only one value is allowed for Null condition")
    wanted = frozenset(_TRUTH.get(value.lower(), "") for value in values)
    if "" in wanted:
        raise MalformedPolicy(f"value must be a boolean string for {parsed.name} condition")
    return lambda value, lookup: value.lower() in wanted


def _binaries(parsed: Operator, key: str, values: tuple[str, ...], variables: bool) -> Matcher:
    """The policy's values are base64; a request's value is either that text or the decoded bytes as text."""
    wanted = set(values)
    for value in values:
        try:
            wanted.add(base64.b64decode(value, validate=True).decode("utf-8", "surrogateescape"))
        except (binascii.Error, ValueError):
            raise MalformedPolicy(f"value {value[:100]} must be base64 for {parsed.name} condition") from None
    return lambda value, lookup: value in wanted


class _Address(NamedTuple):
    version: int
    number: int


_CIDR = re.compile(r"[0-9A-Fa-f.:]+(/[0-9]{1,3})?")


@lru_cache(4096)
def _address(text: str) -> _Address | None:
    """An address; one of version 4 inside version 6 is that of version 4."""
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return _Address(found.version, int(found))


def _addresses(parsed: Operator, key: str, values: tuple[str, ...], variables: bool) -> Matcher:
    if key != "aws:SourceIp":
        raise MalformedPolicy(f"only aws:SourceIp key is allowed for {parsed.name} condition")
    networks = [_network(parsed.name, value) for value in values]

    def match(value: str, lookup: Lookup) -> bool:
        found = _address(value)
        if found is None:
            return False
        spoken, given = found
        for version, number, mask in networks:  # noqa: SIM110 - a generator costs twice the time here
            if version == spoken and given & mask == number:
                return True
        return False

    return match


def _network(name: str, text: str) -> tuple[int, int, int]:
    """An address, or one with the number of its leading bits: a mask written out is read in two ways by others."""
    try:
        if not _CIDR.fullmatch(text):
            raise ValueError
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise MalformedPolicy(f"value {text[:100]} must be CIDR string for {name} condition") from None
    return network.version, int(network.network_address), int(network.netmask)


ARN_ELEMENTS = 6


def _arns(parsed: Operator, key: str, values: tuple[str, ...], variables: bool) -> Matcher:
    """Each of an ARN's six elements is matched by itself, so that a star does not reach over a colon."""
    wanted = [_arn_elements(parsed.name, value, variables) for value in values]

    def match(value: str, lookup: Lookup) -> bool:
        elements = value.split(":", ARN_ELEMENTS - 1)
        return any(_same_arn(patterns, elements, lookup) for patterns in wanted)

    return match


def _same_arn(patterns: list[Pattern], elements: list[str], lookup: Lookup) -> bool:
    if len(patterns) == 1:
        return True  # the pattern is a lone star
    pairs = zip(patterns, elements, strict=False)
    return len(elements) == ARN_ELEMENTS and all(pattern.match(text, lookup) for pattern, text in pairs)


def _arn_elements(name: str, text: str, variables: bool) -> list[Pattern]:
    elements: list[list[Part]] = [[]]
    for part in parse_parts(text, variables=variables):
        if isinstance(part, Variable | Wild):
            elements[-1].append(part)
            continue
        first, *others = part.split(":", ARN_ELEMENTS - len(elements))
        elements[-1].append(first)
        elements += [[other] for other in others]
    if len(elements) != ARN_ELEMENTS and text != "*":
        raise MalformedPolicy(f"value {text[:100]} must be an ARN for {name} condition")
    return [Pattern(text, tuple(parts)) for parts in elements]


Family = Callable[[Operator, str, tuple[str, ...], bool], Matcher | frozenset[str]]
_FAMILIES: dict[str, Family] = {
    **dict.fromkeys(("StringEquals", "StringEqualsIgnoreCase", "StringLike"), _strings),
    **{f"Numeric{order}": _numbers for order in _ORDERS},
    **{f"Date{order}": _dates for order in _ORDERS},
    **dict.fromkeys(("Bool", "Null"), _booleans),
    "BinaryEquals": _binaries,
    "IpAddress": _addresses,
    **dict.fromkeys(("ArnEquals", "ArnLike"), _arns),
}

OPERATORS = tuple(sorted({*_FAMILIES, *_NEGATED}))
"""Every operator, without qualifiers and ``IfExists``."""


def keys_of(check: Check, variables: bool = True) -> set[str]:
    """The condition keys that a check asks for, those of its variables included."""
    parts = (part for value in check.condition.values for part in parse_parts(value, variables=variables))
    return {check.key, *(part.key for part in parts if isinstance(part, Variable))}
