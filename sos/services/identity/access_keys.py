"""Keys that belong to somebody: service accounts and temporary credentials.

A child can do at most what its parent can: its parent's policies are looked at for each request, and its own session
policy, with those of the key that made it, can only take away. It is dead while its parent is disabled or gone.
"""

from __future__ import annotations

import base64
import secrets
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from ...crypto import tokens
from ...crypto.keyring import Keyring
from ...domain.errors import NoSuchAccessKey, SessionPolicyTooLarge
from ...erasure.handle import Snapshot
from ...meta import iam
from ...meta.iam import ChildRecord, KeyKind, KeyRecord
from . import rules
from .allowance import Allowance
from .context import Realm
from .documents import check_session_document
from .store import Change, read, scan
from .users import child_of, require_account, require_user

#: Siblings looked at, for expired ones to drop, whenever a key is made.
SWEPT = 16
#: Where looking begins: keys, and parents from providers, begin with any of these alike.
_PLACES = ("", *string.ascii_letters, *string.digits, "-", "_", "custom:", "tls:")

ClaimValue = str | int | list[str]


@dataclass(frozen=True, slots=True)
class Parent:
    """Whom a new key belongs to.

    :param name: a user of the account; empty = the account's root; with another provider a name known there
    :param policies: that come with the claims of an external provider
    :param groups: that come with them
    :param inherited: session policies of the key that makes the new one; they restrict it too (A01)
    """

    account: str
    name: str
    provider: str = "builtin"
    claims: Mapping[str, ClaimValue] = field(default_factory=dict)
    policies: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    inherited: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class NewService:
    """What a new service account is to be; empty keys are made up.

    :param policy: JSON of its session policy, empty = none
    :param expires_ns: 0 = never
    """

    access_key: str = ""
    secret: str = ""
    policy: bytes = b""
    name: str = ""
    description: str = ""
    expires_ns: int = 0
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class ServiceUpdate:
    """What changes of a service account; None leaves it."""

    secret: str | None = None
    policy: bytes | None = None
    enabled: bool | None = None
    name: str | None = None
    description: str | None = None
    expires_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Issued:
    """Credentials just made: the only time that the secret is shown.

    :param token: session token, empty for a service account
    """

    access_key: str
    secret: str
    expires_ns: int = 0
    token: str = ""

    def __repr__(self) -> str:
        return f"Issued({self.access_key!r})"


class AccessKeys:
    """The service."""

    def __init__(self, realm: Realm) -> None:
        self._realm = realm
        self._allowance = Allowance(realm.clock)

    # -- service accounts ------------------------------------------------------------------------------

    async def create(self, parent: Parent, wanted: NewService) -> Issued:
        """Make a service account.

        :raises InvalidAccessKey, InvalidSecretKey, InvalidArgument, InvalidPolicyName, SessionPolicyTooLarge
        :raises CredentialsTaken, NoSuchUser, NoSuchAccount, TooManyAccessKeys
        """
        access_key, secret = wanted.access_key or rules.new_access_key(), wanted.secret or rules.new_secret()
        now = self._realm.clock()
        rules.check_service_key(access_key, secret)
        rules.check_service_texts(wanted.name, wanted.description)
        rules.check_service_expiry(wanted.expires_ns, now)
        _check_policy(wanted.policy, rules.SERVICE_POLICY_BYTES_MAX)
        sealed = self._realm.seal(access_key, secret)

        def plan(change: Change) -> None:
            record = self._record(change, parent, access_key, KeyKind.SERVICE, sealed)
            record = msgspec.structs.replace(
                record,
                enabled=wanted.enabled,
                expires_ns=wanted.expires_ns,
                session_policy=wanted.policy,
                name=wanted.name,
                description=wanted.description,
                claims=dict(parent.claims),
            )
            self._add(change, record)

        await self._realm.store.change(plan)
        return Issued(access_key, secret, wanted.expires_ns)

    async def update(self, access_key: str, update: ServiceUpdate) -> KeyRecord:
        """Change a service account. Its keys' rules are those of :meth:`create`.

        :raises NoSuchAccessKey: also for any other kind of key
        :raises InvalidSecretKey, InvalidArgument, InvalidPolicyName, SessionPolicyTooLarge
        """
        if update.secret is not None:
            rules.check_service_secret(update.secret)
        if update.expires_ns is not None:
            rules.check_service_expiry(update.expires_ns, self._realm.clock())
        rules.check_service_texts(update.name or "", update.description or "")
        _check_policy(update.policy or b"", rules.SERVICE_POLICY_BYTES_MAX)
        sealed = None if update.secret is None else self._realm.seal(access_key, update.secret)
        wanted = {
            "sealed": sealed,
            "session_policy": update.policy,
            "enabled": update.enabled,
            "name": update.name,
            "description": update.description,
            "expires_ns": update.expires_ns,
        }

        def plan(change: Change) -> KeyRecord:
            record = _require(change.document(iam.key_row(access_key)), access_key, KeyKind.SERVICE)
            record = msgspec.structs.replace(record, **{k: v for k, v in wanted.items() if v is not None})
            change.put(iam.key_row(access_key), record)
            change.put(iam.child_row(record.account, record.parent, access_key), child_of(record))
            return record

        return await self._realm.store.change(plan)

    # -- temporary credentials -------------------------------------------------------------------------

    async def issue(
        self,
        parent: Parent,
        duration_s: int,
        policy: bytes = b"",
        token_type: str = "",
        name: str = "",
        until_s: int | None = None,
    ) -> Issued:
        """Make temporary credentials with a session token.

        :param policy: JSON of a session policy, empty = none
        :param token_type: by which they can be revoked
        :param name: for people
        :param until_s: seconds since the epoch that they do not outlive
        :raises InvalidPolicyName, SessionPolicyTooLarge, NoSuchUser, NoSuchAccount, InvalidArgument,
            TooManyAccessKeys
        """
        _check_policy(policy, rules.SESSION_POLICY_BYTES_MAX)
        access_key, secret, now = rules.new_access_key(), rules.new_secret(), self._realm.clock()
        expires_s = now // 10**9 + duration_s
        expires_s = expires_s if until_s is None else min(expires_s, until_s)
        claims: dict[str, ClaimValue] = dict(parent.claims)
        claims |= {"accessKey": access_key, "exp": expires_s, "parent": parent.name or self._realm.root_user}
        if policy:
            claims["sessionPolicy"] = base64.b64encode(policy).decode()
        if token_type:
            claims["tokenRevokeType"] = token_type
        sealed = self._realm.seal(access_key, secret)

        def plan(change: Change) -> None:
            record = self._record(change, parent, access_key, KeyKind.TEMPORARY, sealed)
            self._add(
                change,
                msgspec.structs.replace(
                    record, expires_ns=expires_s * 10**9, session_policy=policy, claims=claims, name=name
                ),
            )

        await self._realm.store.change(plan)
        return Issued(access_key, secret, expires_s * 10**9, session_token(claims, self._realm.keyring))

    async def revoke(self, account: str, parent: str, token_type: str = "", every: bool = False) -> int:
        """End temporary credentials of a user: of one type, or all. How many there were."""

        def plan(change: Change) -> tuple[int, bool]:
            ended, prefix = 0, iam.children_of(account, parent)
            for name, document in scan(change.snapshot, prefix):
                if iam.decode(document, ChildRecord).kind != KeyKind.TEMPORARY:
                    continue
                if change.room < 2:
                    return ended, False
                row = iam.key_row(name.decode())
                key = _decoded(read(change.snapshot, row))
                if every or key is None or key.claims.get("tokenRevokeType", "") == token_type:
                    change.drop(prefix + name)
                    change.drop(row)
                    ended += 1
            return ended, True

        total, whole = 0, False
        while not whole:
            ended, whole = await self._realm.store.change(plan)
            total += ended
        self._allowance.forget(account, parent)
        return total

    # -- both ------------------------------------------------------------------------------------------

    async def remove(self, access_key: str) -> None:
        """:raises NoSuchAccessKey: not a service account or temporary credentials"""

        def plan(change: Change) -> None:
            record = _require(change.document(iam.key_row(access_key)), access_key)
            change.drop(iam.key_row(access_key))
            change.drop(iam.child_row(record.account, record.parent, access_key))
            self._allowance.forget(record.account, record.parent)

        await self._realm.store.change(plan)

    async def get(self, access_key: str, kind: KeyKind | None = None) -> KeyRecord:
        """:raises NoSuchAccessKey: none of this kind (None: service or temporary), or expired"""
        document = await self._realm.store.read(lambda snapshot: read(snapshot, iam.key_row(access_key)))
        record = _require(document, access_key, kind)
        if self._expired(record.expires_ns):
            raise NoSuchAccessKey(access_key=access_key)
        return record

    async def of(self, account: str, parent: str) -> list[KeyRecord]:
        """The living keys of a user, or of the account's root (empty), by access key."""

        def look(snapshot: Snapshot) -> list[KeyRecord]:
            names = [name.decode() for name, _ in scan(snapshot, iam.children_of(account, parent))]
            found = [_decoded(read(snapshot, iam.key_row(name))) for name in names]
            return [record for record in found if record is not None and not self._expired(record.expires_ns)]

        return await self._realm.store.read(look)

    async def every(self, account: str) -> dict[str, list[KeyRecord]]:
        """The living keys of all parents of an account."""

        def look(snapshot: Snapshot) -> dict[str, list[KeyRecord]]:
            found: dict[str, list[KeyRecord]] = {}
            prefix = b"iam/child/" + account.encode()
            for rest, _ in scan(snapshot, prefix):
                parent, _, name = rest.decode().partition("\0")
                record = _decoded(read(snapshot, iam.key_row(name)))
                if record is not None and not self._expired(record.expires_ns):
                    found.setdefault(parent, []).append(record)
            return found

        return await self._realm.store.read(look)

    def _expired(self, expires_ns: int) -> bool:
        return 0 < expires_ns <= self._realm.clock()

    def _record(self, change: Change, parent: Parent, access_key: str, kind: KeyKind, sealed: bytes) -> KeyRecord:
        require_account(change, parent.account)
        uid = b""
        if parent.name and parent.provider == "builtin":
            # held to be the same user: it cannot be removed, or made anew, between here and the commit
            uid = require_user(change, parent.account, parent.name).uid
        self._realm.require_free(change, access_key)
        return KeyRecord(
            access_key,
            kind,
            parent.account,
            parent.name,
            uid,
            sealed,
            self._realm.clock(),
            provider=parent.provider,
            policies=parent.policies,
            groups=parent.groups,
            inherited=parent.inherited,
        )

    def _add(self, change: Change, record: KeyRecord) -> None:
        """:raises TooManyAccessKeys:"""
        self._allowance.take(change.snapshot, record)
        change.put(iam.key_row(record.access_key), record)
        change.put(iam.child_row(record.account, record.parent, record.access_key), child_of(record))
        self._sweep(change, record.account, record.parent)

    def _sweep(self, change: Change, account: str, parent: str) -> None:
        """Drop some expired keys, siblings and any of the account, from random places on: so their number stays bounded
        without a job for it, also where each parent comes only once."""
        for prefix in (iam.children_of(account, parent), iam.all_children_of(account)):
            start = secrets.choice(_PLACES).encode()
            for _, (rest, document) in zip(range(SWEPT), scan(change.snapshot, prefix, start), strict=False):
                if self._expired(iam.decode(document, ChildRecord).expires_ns):
                    change.drop(prefix + rest)
                    change.drop(iam.key_row(rest.rpartition(b"\0")[2].decode()))


def session_token(claims: Mapping[str, ClaimValue], keyring: Keyring) -> str:
    """The session token of temporary credentials: a pure function of their claims. What a provider vouched for is kept
    beside them, not in it: with the groups of some users it would be longer than a header may be."""
    return tokens.make({name: value for name, value in claims.items() if ":" not in name}, keyring.tokens)


def _decoded(document: bytes | None) -> KeyRecord | None:
    return None if document is None else iam.decode(document, KeyRecord)


def _require(document: bytes | None, access_key: str, kind: KeyKind | None = None) -> KeyRecord:
    kinds: Sequence[int] = (KeyKind.SERVICE, KeyKind.TEMPORARY) if kind is None else (kind,)
    record = _decoded(document)
    if record is None or record.kind not in kinds:
        raise NoSuchAccessKey(access_key=access_key)
    return record


def _check_policy(document: bytes, bytes_max: int) -> None:
    if len(document) > bytes_max:
        raise SessionPolicyTooLarge()
    if document:
        check_session_document(document)
