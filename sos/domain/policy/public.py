"""Whether a bucket policy is public (S3 user guide: "The meaning of 'public'"; GetBucketPolicyStatus)."""

from __future__ import annotations

import ipaddress

from . import keys
from .conditions import parse_operator
from .document import Condition, Document, Statement
from .match import Variable, Wild, parse_parts

_FIXING = frozenset({"aws:userid", "aws:username", "aws:PrincipalArn", "aws:PrincipalAccount", "aws:SourceIp"})
_OPERATORS = frozenset({"StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnEquals", "ArnLike", "IpAddress"})
_WIDEST_V4, _WIDEST_V6 = 8, 32


def is_public(document: Document) -> bool:
    """A policy is public when some Allow for everyone is not bound to fixed callers or addresses."""
    return any(_is_public(statement) for statement in document.statements)


def _is_public(statement: Statement) -> bool:
    if statement.effect != "Allow":
        return False
    everyone = any("*" in principal.value for principal in statement.principals)
    return everyone and not any(_fixes(condition) for condition in statement.conditions)


def _fixes(condition: Condition) -> bool:
    operator = parse_operator(condition.operator)
    key = keys.canonical(condition.key)
    if operator.negated or operator.if_exists or operator.qualifier == "ForAllValues":
        return False
    if key not in _FIXING or operator.base not in _OPERATORS:
        return False
    return all(_is_fixed(value, operator.base) for value in condition.values)


def _is_fixed(value: str, base: str) -> bool:
    if base == "IpAddress":
        network = ipaddress.ip_network(value, strict=False)
        return network.prefixlen >= (_WIDEST_V4 if network.version == 4 else _WIDEST_V6)
    parts = parse_parts(value, wildcards=base not in ("StringEquals", "StringEqualsIgnoreCase"))
    return not any(isinstance(part, Wild | Variable) for part in parts)
