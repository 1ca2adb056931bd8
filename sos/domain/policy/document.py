"""Policy documents: JSON → frozen structs, strictly, and back to canonical JSON.

Messages are those of the MinIO server where it refuses the same thing (minio/pkg ``policy``), since operators and
scripts know them. Stricter than MinIO: duplicate and unknown members are refused, never dropped, because a dropped
``Condition`` widens a grant. As there, names of members are compared without regard to case.
"""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Any

import msgspec

from ..errors import MalformedPolicy, PolicyTooLarge

VERSION = "2012-10-17"
OLD_VERSION = "2008-10-17"
VERSIONS = (VERSION, OLD_VERSION, "")
"""Empty counts as the current one, as in MinIO; in the old one ``${…}`` is plain text, as in AWS."""

ALL_S3 = "arn:aws:s3:::"
ALL_KMS = "arn:minio:kms:::"


class Kind(StrEnum):
    """Where a document is attached."""

    IDENTITY = "identity"
    BUCKET = "bucket"
    SESSION = "session"


BYTES_MAX = {Kind.IDENTITY: 20_480, Kind.BUCKET: 20_480, Kind.SESSION: 4_096}
"""Size of a document as it came."""


class Condition(msgspec.Struct, frozen=True):
    """One test of one key.

    :param operator: as written, e.g. ``ForAllValues:StringLike``
    :param key: as written, e.g. ``s3:ExistingObjectTag/class``
    """

    operator: str
    key: str
    values: tuple[str, ...]


class Principal(msgspec.Struct, frozen=True):
    """:param type: ``AWS`` or ``CanonicalUser``
    :param value: ``*``, an account id, an ARN, or the bare name of a user
    """

    type: str
    value: str


class Statement(msgspec.Struct, frozen=True):
    """One statement; of each pair with ``not_`` at most one is set."""

    effect: str
    sid: str = ""
    principals: tuple[Principal, ...] = ()
    not_principals: tuple[Principal, ...] = ()
    actions: tuple[str, ...] = ()
    not_actions: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    not_resources: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()


class Document(msgspec.Struct, frozen=True):
    version: str
    statements: tuple[Statement, ...]
    id: str = ""


def parse(raw: bytes, kind: Kind, bucket: str = "", *, version_required: bool = False, bytes_max: int = 0) -> Document:
    """Read and check a document before it is stored.

    :param bucket: the bucket of a bucket policy
    :param version_required: as MinIO's handlers do for documents that clients send
    :param bytes_max: size limit, 0 for the kind's own
    :raises PolicyTooLarge: the document is longer than its kind allows
    :raises MalformedPolicy: anything else; the message says what
    """
    from .checks import check_statement  # it needs the structs above

    if len(raw) > (bytes_max or BYTES_MAX[kind]):
        raise PolicyTooLarge()
    document = read(raw, kind)
    if version_required and not document.version:
        raise MalformedPolicy(
            f"Version cannot be empty expecting '{VERSION}'"
            if kind is Kind.SESSION
            else "The policy must contain a valid version string"
        )
    for statement in document.statements:
        check_statement(statement, kind, bucket)
    return document


def read(raw: bytes, kind: Kind) -> Document:
    """The structs of a document of the right shape; what its statements say is not checked."""
    members = _members(_load(raw), "policy", {"version": "Version", "id": "Id", "statement": "Statement"})
    version = "" if members.get("Version") is None else members["Version"]
    if version not in VERSIONS:
        raise MalformedPolicy(f"invalid version '{_shown(version)}'")
    listed = members.get("Statement", [])
    listed = [listed] if isinstance(listed, dict) else listed
    if not isinstance(listed, list):
        raise MalformedPolicy("Statement must be an object or a list of objects")
    if not listed:
        raise MalformedPolicy("Statement must not be empty")
    return Document(version, tuple(_statement(item, kind) for item in listed), _text(members, "Id"))


def to_builtins(document: Document) -> dict[str, Any]:
    """The canonical form: every list a list, members in AWS's order."""
    named = {"Id": document.id} if document.id else {}
    return {"Version": document.version, **named, "Statement": [_unread(item) for item in document.statements]}


def to_json(document: Document) -> bytes:
    return msgspec.json.encode(to_builtins(document))


# -- reading ----------------------------------------------------------------------------------------------


def _load(raw: bytes) -> object:
    try:
        return json.loads(raw.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except UnicodeDecodeError:
        raise MalformedPolicy("invalid UTF-8") from None
    except RecursionError:
        raise MalformedPolicy("nested too deeply") from None
    except ValueError as error:
        raise MalformedPolicy(f"invalid JSON: {error}") from None


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise MalformedPolicy(f"duplicate key '{twice}'")
    return members


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def _members(value: object, what: str, known: dict[str, str]) -> dict[str, Any]:
    """The members of an object under their proper names; ``known`` maps lower case to those."""
    if not isinstance(value, dict):
        raise MalformedPolicy(f"{what} must be an object")
    found: dict[str, Any] = {}
    for name, member in value.items():
        proper = known.get(name.lower())
        if proper is None:
            raise MalformedPolicy(f'json: unknown field "{_shown(name)}"')
        if proper in found:
            raise MalformedPolicy(f"duplicate key '{proper}'")
        found[proper] = member
    return found


_PLAIN = ("Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition")
_MEMBERS = {name.lower(): name for name in (*_PLAIN, "Principal", "NotPrincipal")}


def _statement(value: object, kind: Kind) -> Statement:
    members = _members(value, "statement", _MEMBERS)
    effect = members.get("Effect", "")
    if effect not in ("Allow", "Deny"):
        raise MalformedPolicy(f"invalid Effect {_shown(effect)}")
    principals = _principals(members, "Principal")
    if kind is not Kind.BUCKET:
        # MinIO drops the element here; without loss only where it restricts nothing
        if "NotPrincipal" in members or any(principal.value != "*" for principal in principals):
            raise MalformedPolicy("Principal is only allowed in bucket policies")
        principals = ()
    return Statement(
        effect=effect,
        sid=_text(members, "Sid"),
        principals=principals,
        not_principals=_principals(members, "NotPrincipal"),
        actions=_strings(members, "Action"),
        not_actions=_strings(members, "NotAction"),
        resources=_resources(members, "Resource"),
        not_resources=_resources(members, "NotResource"),
        conditions=_conditions(members),
    )


def _text(members: dict[str, Any], name: str) -> str:
    value = members.get(name, "")
    if not isinstance(value, str):
        raise MalformedPolicy(f"{name} must be a string")
    return value


def _strings(members: dict[str, Any], name: str) -> tuple[str, ...]:
    if name not in members:
        return ()
    value = members[name]
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or not all(isinstance(item, str) for item in listed):
        raise MalformedPolicy(f"{name} must be a string or a list of strings")
    if not listed:
        raise MalformedPolicy(f"{name} must not be empty")
    return tuple(dict.fromkeys(listed))


def _resources(members: dict[str, Any], name: str) -> tuple[str, ...]:
    """MinIO shows and exports the resource ``*`` as ``**``."""
    return tuple("*" if set(item) == {"*"} else item for item in _strings(members, name))


def _principals(members: dict[str, Any], name: str) -> tuple[Principal, ...]:
    value = members.get(name)
    if value is None:
        return ()
    if isinstance(value, str):
        if value != "*":
            raise MalformedPolicy(f"invalid principal '{_shown(value)}'")
        return (Principal("AWS", "*"),)
    listed = _members(value, name, {"aws": "AWS", "canonicaluser": "CanonicalUser"})
    return tuple(Principal(type_, item) for type_ in listed for item in _strings(listed, type_))


def _conditions(members: dict[str, Any]) -> tuple[Condition, ...]:
    if "Condition" not in members:
        return ()
    block = members["Condition"]
    if block is None:  # to drop what somebody meant to restrict would widen the grant
        raise MalformedPolicy("condition must not be empty")
    if not isinstance(block, dict) or not all(isinstance(tests, dict) for tests in block.values()):
        raise MalformedPolicy("Condition must be an object of objects")
    if not block or not all(block.values()):
        raise MalformedPolicy("condition must not be empty")
    return tuple(
        Condition(operator, key, _values(operator, values))
        for operator, tests in block.items()
        for key, values in tests.items()
    )


def _values(operator: str, value: object) -> tuple[str, ...]:
    listed = value if isinstance(value, list) else [value]
    if not listed:
        raise MalformedPolicy("invalid value")
    if "String" in operator and not all(isinstance(item, str) for item in listed):
        raise MalformedPolicy(f"value must be a string for {_shown(operator)} condition")
    return tuple(dict.fromkeys(_scalar(item) for item in listed))


def _scalar(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise MalformedPolicy(f"unknown json data '{_shown(value)}'")


def _shown(value: object) -> str:
    """What the client sent, cut to what a message can bear."""
    return str(value)[:100]


# -- writing ----------------------------------------------------------------------------------------------


def _unread(statement: Statement) -> dict[str, Any]:
    members: dict[str, Any] = {
        "Sid": statement.sid,
        "Effect": statement.effect,
        "Principal": _unread_principals(statement.principals),
        "NotPrincipal": _unread_principals(statement.not_principals),
        "Action": list(statement.actions),
        "NotAction": list(statement.not_actions),
        "Resource": list(statement.resources),
        "NotResource": list(statement.not_resources),
        "Condition": _unread_conditions(statement.conditions),
    }
    return {name: value for name, value in members.items() if value}


def _unread_principals(principals: tuple[Principal, ...]) -> dict[str, list[str]]:
    listed: dict[str, list[str]] = {}
    for principal in principals:
        listed.setdefault(principal.type, []).append(principal.value)
    return listed


def _unread_conditions(conditions: tuple[Condition, ...]) -> dict[str, dict[str, list[str]]]:
    block: dict[str, dict[str, list[str]]] = {}
    for condition in conditions:
        block.setdefault(condition.operator, {})[condition.key] = list(condition.values)
    return block
