"""Records of the identity store and the names of their rows in table ``sys`` of set 0. See ``FORMAT.md``, "Identity".

A row's document is the msgpack array of one of the records here; fields are only ever appended, with a default.

Invariants, kept by whoever changes rows only through the services of ``sos/services/identity``:

I1  An access key is one row ``iam/key``: it belongs to one account and one parent.
I2  ``iam/child`` has one row for each service and temporary key, ``iam/member`` one for each group of each user,
    ``iam/use`` one for each policy that is attached to something: they are written with what they index.
I3  A key is alive only while its parent is the user it was made for: the same name and the same ``uid``. So nothing that
    was left of a removed user revives with a new one of its name.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TypeVar

import msgspec

from ..domain.errors import BadRecord

T = TypeVar("T")

#: The account that a deployment starts with: root's.
ROOT_ACCOUNT = "000000000000"
ACCOUNT_CHARS = len(ROOT_ACCOUNT)

_SEPARATOR = b"\0"
WRAP_ROW = b"iam/wrap"


class KeyKind(IntEnum):
    """What an access key is."""

    USER = 0
    SERVICE = 1
    TEMPORARY = 2
    ACCOUNT_ROOT = 3


class WrapRecord(msgspec.Struct, array_like=True, frozen=True):
    """The data key of the identity store, sealed under a key that is derived from the root credentials.

    :param sealed: nonce (12) and AES-256-GCM of the data key (32), bound to the row's name
    :param memory_kib: of argon2id, with ``passes`` and ``lanes``
    :param generation: grows with every change of the root credentials
    """

    sealed: bytes
    salt: bytes
    memory_kib: int
    passes: int
    lanes: int
    generation: int = 1


class AccountRecord(msgspec.Struct, array_like=True, frozen=True):
    """A tenant. The root account has no row.

    :param account: 12 digits
    :param canonical_id: 64 hex digits, the id in S3 documents
    :param root_key: access key of its root
    :param quota_bytes: of all its buckets together, 0 = none
    """

    account: str
    name: str
    canonical_id: str
    root_key: str
    created_ns: int
    email: str = ""
    quota_bytes: int = 0
    disabled: bool = False


class KeyRecord(msgspec.Struct, array_like=True, frozen=True):
    """An access key.

    :param kind: ``KeyKind``
    :param parent: name of the user it belongs to (its own for a user's key), empty for the root of the account
    :param parent_uid: ``UserRecord.uid`` of that user, empty where the parent has no row (root, an external user)
    :param sealed: nonce (12) and AES-256-GCM of the secret key, bound to the row's name
    :param expires_ns: 0 = never
    :param session_policy: JSON document that restricts it, empty = none
    :param inherited: session policies of the key that made it; they restrict it too
    :param claims: what was vouched for at its making (``jwt:…``, ``ldap:…``), and the token's own claims
    :param provider: ``builtin``, ``openid:<name>``, ``ldap``, ``tls`` (the parent is ``tls:`` and the common name of a
        certificate) or ``custom`` (``custom:`` and a name that the identity plugin gave)
    :param policies: policies that come with the claims of an external provider
    :param groups: groups that come with them
    """

    access_key: str
    kind: int
    account: str
    parent: str
    parent_uid: bytes
    sealed: bytes
    created_ns: int
    enabled: bool = True
    expires_ns: int = 0
    session_policy: bytes = b""
    name: str = ""
    description: str = ""
    claims: dict[str, str | int | list[str]] = {}
    provider: str = "builtin"
    policies: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    inherited: tuple[bytes, ...] = ()


class ChildRecord(msgspec.Struct, array_like=True, frozen=True):
    """One entry in the index of a parent's keys, with what listings and clean-up need.

    :param kind: ``KeyKind``
    """

    kind: int
    expires_ns: int = 0


class UserRecord(msgspec.Struct, array_like=True, frozen=True):
    """A user; or, with a provider, what is attached here to a user that a directory knows.

    :param uid: 16 random bytes, another for each user of a name
    :param provider: ``builtin`` or ``ldap`` (the name is then a distinguished name)
    """

    name: str
    account: str
    uid: bytes
    updated_ns: int
    enabled: bool = True
    policies: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    provider: str = "builtin"


class GroupRecord(msgspec.Struct, array_like=True, frozen=True):
    """A group; its members are rows ``iam/member``."""

    name: str
    account: str
    updated_ns: int
    enabled: bool = True
    policies: tuple[str, ...] = ()
    provider: str = "builtin"


class PolicyRecord(msgspec.Struct, array_like=True, frozen=True):
    """A policy document under a name.

    :param document: JSON
    """

    name: str
    account: str
    document: bytes
    created_ns: int
    updated_ns: int


_encode = msgspec.msgpack.Encoder().encode


def encode(record: msgspec.Struct) -> bytes:
    """The document of a row."""
    return _encode(record)


def decode(document: bytes, kind: type[T]) -> T:
    """:raises BadRecord: not a ``kind``"""
    try:
        return msgspec.msgpack.decode(document, type=kind)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise BadRecord(str(error)) from error


# -- names of rows --------------------------------------------------------------------------------


def account_row(account: str) -> bytes:
    return b"iam/account/" + account.encode()


def account_name_row(name: str) -> bytes:
    """Its document is the account's id: names of accounts are unique."""
    return b"iam/account-name/" + name.encode()


def key_row(access_key: str) -> bytes:
    return b"iam/key/" + access_key.encode()


def user_row(account: str, name: str) -> bytes:
    return b"iam/user/" + account.encode() + name.encode()


def group_row(account: str, name: str) -> bytes:
    return b"iam/group/" + account.encode() + name.encode()


def policy_row(account: str, name: str) -> bytes:
    return b"iam/policy/" + account.encode() + name.encode()


def children_of(account: str, parent: str) -> bytes:
    """The prefix of the rows of all children of a user, or of the account's root (empty)."""
    return b"iam/child/" + account.encode() + parent.encode() + _SEPARATOR


def all_children_of(account: str) -> bytes:
    """The prefix of the rows of all children in an account."""
    return b"iam/child/" + account.encode()


def all_of(account: str) -> tuple[bytes, ...]:
    """The prefixes of all rows of an account, but for its own and those of access keys."""
    kinds = (b"user", b"group", b"policy", b"child", b"member", b"use")
    return tuple(b"iam/" + kind + b"/" + account.encode() for kind in kinds)


def child_row(account: str, parent: str, access_key: str) -> bytes:
    """Its document is a ``ChildRecord``."""
    return children_of(account, parent) + access_key.encode()


def members_of(account: str, group: str) -> bytes:
    """The prefix of the rows of all members of a group."""
    return b"iam/member/" + account.encode() + group.encode() + _SEPARATOR


def member_row(account: str, group: str, user: str) -> bytes:
    return members_of(account, group) + user.encode()


def uses_of(account: str, policy: str) -> bytes:
    """The prefix of the rows of everything that a policy is attached to."""
    return b"iam/use/" + account.encode() + policy.encode() + _SEPARATOR


def use_row(account: str, policy: str, group: bool, name: str) -> bytes:
    return uses_of(account, policy) + (b"g" if group else b"u") + name.encode()
