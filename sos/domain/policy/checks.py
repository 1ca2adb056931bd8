"""What a statement must say before it is stored. The messages are MinIO's (minio/pkg ``policy``) where it has them."""

from __future__ import annotations

import re

from ..errors import MalformedPolicy
from . import keys
from .actions import Level, condition_keys, known_actions, level_of, namespace_of
from .conditions import compile_condition
from .document import ALL_KMS, ALL_S3, Condition, Kind, Principal, Statement
from .match import compile_pattern

_ARN = re.compile(r"arn:aws:(iam|sts)::([^:*?]{0,64}):(root|(user|role|assumed-role|federated-user)/[^*?]{1,512})")
_ACCOUNT = re.compile(r"[0-9]{12}|[0-9a-f]{64}")
_NAME_MAX = 512


def check_statement(statement: Statement, kind: Kind, bucket: str) -> None:
    """:raises MalformedPolicy: the first thing that is wrong"""
    if kind is Kind.BUCKET:
        _check_principals(statement)
    _check_actions(statement, kind)
    for condition in statement.conditions:
        compile_condition(condition)
    _check_resources(statement, kind, bucket)
    _check_condition_keys(statement)


# -- principals -------------------------------------------------------------------------------------------


def _check_principals(statement: Statement) -> None:
    if not statement.principals and not statement.not_principals:
        raise MalformedPolicy("invalid Principal {[]}")
    if statement.principals and statement.not_principals:
        raise MalformedPolicy("Principal and NotPrincipal cannot be specified in the same statement")
    if statement.not_principals and statement.effect == "Allow":
        raise MalformedPolicy("NotPrincipal is only allowed with Effect Deny")
    for principal in (*statement.principals, *statement.not_principals):
        if not _is_principal(principal):
            raise MalformedPolicy(f"invalid principal '{principal.value[:100]}'")


def _is_principal(principal: Principal) -> bool:
    if principal.type == "CanonicalUser":
        return _ACCOUNT.fullmatch(principal.value) is not None
    if principal.value.startswith("arn:"):
        return _ARN.fullmatch(principal.value) is not None
    return 1 <= len(principal.value) <= _NAME_MAX


# -- actions ----------------------------------------------------------------------------------------------

_UNSUPPORTED = {"admin": "admin action", "sts": "STS action", "kms": "KMS action"}


def _check_actions(statement: Statement, kind: Kind) -> None:
    if not statement.actions and not statement.not_actions:
        raise MalformedPolicy("Action must not be empty")
    if statement.actions and statement.not_actions:
        raise MalformedPolicy("Action and NotAction cannot be specified in the same statement")
    for action in statement.actions or statement.not_actions:
        if not known_actions(action):
            what = _UNSUPPORTED.get(namespace_of(action), "action")
            raise MalformedPolicy(f"unsupported {what} '{action[:100]}'")
        if kind is Kind.BUCKET and spaces_of(action) != {"s3"} and action != "*":
            raise MalformedPolicy(f"unsupported action '{action[:100]}'")
    if len({frozenset(spaces_of(action)) for action in statement.actions}) > 1:
        raise MalformedPolicy("mixing action types in the same statement is not allowed")


def spaces_of(action: str) -> set[str]:
    """The name spaces of the actions that a pattern matches."""
    return {namespace_of(known) for known in known_actions(action)}


# -- resources --------------------------------------------------------------------------------------------


def _check_resources(statement: Statement, kind: Kind, bucket: str) -> None:
    if statement.resources and statement.not_resources:
        raise MalformedPolicy("Resource and NotResource cannot be specified in the same statement")
    named = statement.resources or statement.not_resources
    spaces = set().union(*map(spaces_of, statement.actions)) if statement.actions else {"s3"}
    if not named and "s3" in spaces:
        raise MalformedPolicy("Resource must not be empty")
    for resource in named:
        _check_resource(resource, spaces)
    if kind is Kind.BUCKET:
        for resource in named:
            if not covers_bucket(resource, bucket):
                raise MalformedPolicy("bucket name does not match")
        _check_levels(statement, named)


def _check_resource(resource: str, spaces: set[str]) -> None:
    if resource == "*":
        return
    prefix = next((arn for arn in (ALL_S3, ALL_KMS) if resource.startswith(arn)), "")
    rest = resource.removeprefix(prefix)
    if not prefix or not rest:
        raise MalformedPolicy(f"invalid resource '{resource[:200]}'")
    if rest.startswith("/"):
        raise MalformedPolicy(f"invalid resource '{resource[:200]}' - starts with '/' will not match a bucket")
    if prefix == ALL_KMS and "s3" in spaces:
        raise MalformedPolicy(f"resource '{resource[:200]}' type is not S3")
    if spaces == {"kms"}:
        if prefix != ALL_KMS:
            raise MalformedPolicy(f"resource '{resource[:200]}' type is not KMS")
        if set(rest) & set("/\\."):
            raise MalformedPolicy("invalid resource")


def covers_bucket(resource: str, bucket: str) -> bool:
    """Whether a pattern is about this bucket: it matches the bucket's name, or the element before its first ``/`` does.

    By whole elements: ``tenant1/*`` is not about ``tenant1234``, nor the other way round.
    """
    element = resource.removeprefix(ALL_S3).partition("/")[0]
    if _matches(element, bucket):
        return True
    # a star may stand for the slash too: ``buck*key`` names objects of ``bucket``
    before, star, _ = element.partition("*")
    return bool(star) and _matches(before, bucket[: len(before)])


def _matches(pattern: str, name: str) -> bool:
    return compile_pattern(pattern, variables=False).match(name, lambda key: None)


def _check_levels(statement: Statement, named: tuple[str, ...]) -> None:
    """Object actions need a resource that can name objects, bucket actions one that can name buckets."""
    rests = [resource.removeprefix(ALL_S3) for resource in named]
    objects = any("/" in rest or "*" in rest for rest in rests)
    buckets = any("/" not in rest for rest in rests)
    for action in statement.actions:
        levels = {level_of(known) for known in known_actions(action)}
        if not (objects if Level.OBJECT in levels else buckets):
            shown = " ".join(sorted(named))[:500]
            raise MalformedPolicy(f"unsupported Resource found [{shown}] for action {action}")


# -- conditions -------------------------------------------------------------------------------------------


def _check_condition_keys(statement: Statement) -> None:
    for action in statement.actions:
        allowed = condition_keys(action)
        odd = [condition.key for condition in statement.conditions if not _allowed(condition, allowed)]
        if odd:
            shown = " ".join(dict.fromkeys(odd))[:200]
            raise MalformedPolicy(f"unsupported condition keys '[{shown}]' used for action '{action}'")


def _allowed(condition: Condition, allowed: frozenset[str]) -> bool:
    key = keys.canonical(condition.key)
    return key is not None and keys.base_of(key) in allowed
