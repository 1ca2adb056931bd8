"""What an account has of identities as documents, and back: for moving from, and to, another server.

The documents are those that MinIO writes (``cmd/admin-handlers-users.go``, "ExportIAM"), by name of their file. Each entry
of an import is one change of its own: what cannot be taken is told and changes nothing, the others are taken.

Invariants, against imports that reach for more than they may (known-failures A03):

E1  What is imported belongs to the account that is administered, whatever the documents say.
E2  A key gets no claims and no groups, and no parent but a user of the account, or of the directory; the account's root
    only where its root imports.
E3  Nobody's secret leaves, unless the account's own root asks, who may change them all anyway.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import msgspec

from ...domain.errors import AccessDenied, InvalidArgument, InvalidSecretKey, NoSuchAccessKey, NoSuchUser, StoreError
from ...domain.policy.builtin import builtin_json
from ...erasure.handle import Snapshot
from ...meta import iam
from ...meta.iam import ROOT_ACCOUNT, GroupRecord, KeyKind, KeyRecord, PolicyRecord, UserRecord
from . import ldap_names, rules
from .access_keys import AccessKeys, NewService, Parent, ServiceUpdate
from .context import Realm
from .groups import MEMBERS_AT_ONCE_MAX, Groups
from .policies import Policies, Target
from .store import read, scan
from .users import Users

#: Changes under way at once; they share commits.
CHANGES_MAX = 32

POLICIES, USERS, GROUPS, KEYS = "policies.json", "users.json", "groups.json", "svcaccts.json"
OF_USERS, OF_GROUPS, OF_EXTERNAL = "user_mappings.json", "group_mappings.json", "stsuser_mappings.json"


class User(msgspec.Struct, rename="camel", omit_defaults=True):
    """madmin ``AddOrUpdateUserReq``."""

    status: str
    secret_key: str = ""


class Group(msgspec.Struct):
    """MinIO's ``GroupInfo``."""

    members: list[str] | None = None
    status: str = "enabled"
    version: int = 1


class Key(msgspec.Struct, rename="camel"):
    """madmin ``SRSvcAccCreate``. :param session_policy: JSON, or the base64 of it
    :param expiration_ns: 0 = never
    """

    parent: str
    access_key: str
    secret_key: str = ""
    groups: list[str] | None = None
    claims: dict[str, Any] | None = None
    session_policy: msgspec.Raw = msgspec.Raw(b"null")
    status: str = "on"
    name: str = ""
    description: str = ""
    expiration: str | None = None


class Mapping(msgspec.Struct):
    """MinIO's ``MappedPolicy``. :param policy: names, with commas between them"""

    policy: str
    version: int = 1


class Documents(msgspec.Struct):
    """All of an account."""

    policies: dict[str, msgspec.Raw] = {}
    users: dict[str, User] = {}
    groups: dict[str, Group] = {}
    keys: dict[str, Key] = {}
    of_users: dict[str, Mapping] = {}
    of_groups: dict[str, Mapping] = {}
    of_external: dict[str, Mapping] = {}


FILES: dict[str, tuple[str, Any]] = {
    POLICIES: ("policies", dict[str, msgspec.Raw]),
    USERS: ("users", dict[str, User]),
    GROUPS: ("groups", dict[str, Group]),
    KEYS: ("keys", dict[str, Key]),
    OF_USERS: ("of_users", dict[str, Mapping]),
    OF_GROUPS: ("of_groups", dict[str, Mapping]),
    OF_EXTERNAL: ("of_external", dict[str, Mapping]),
}
"""File → field of :class:`Documents` and what is in it, in the order in which they are taken."""


class Outcome(msgspec.Struct):
    """What became of one entry.

    :param what: of madmin ``IAMEntities``: ``policies``, ``users``, ``userPolicies`` …
    :param policies: of a mapping
    :param error: None where it was taken
    """

    what: str
    name: str
    policies: list[str] | None = None
    error: StoreError | None = None
    skipped: bool = False
    removed: bool = False


class Transfer:
    """The service.

    :param show: nanoseconds as the documents have them
    :param parse: and back; raises BadDocument
    """

    def __init__(self, realm: Realm, users: Users, groups: Groups, policies: Policies, keys: AccessKeys) -> None:
        self._realm = realm
        self._users, self._groups, self._policies, self._keys = users, groups, policies, keys

    # -- out -----------------------------------------------------------------------------------------------

    async def collect(self, account: str, root: str, secrets: bool, show: Callable[[int], str]) -> Documents:
        """Everything of an account, at one moment.

        :param root: access key of its root, as the parent of its root's keys
        :param secrets: whether secret keys are in it (E3)
        """
        snapshot = await self._realm.store.snapshot()
        try:
            return await asyncio.to_thread(self._collect, snapshot, account, root, secrets, show)
        finally:
            snapshot.close()

    def _collect(
        self, snapshot: Snapshot, account: str, root: str, secrets: bool, show: Callable[[int], str]
    ) -> Documents:
        users = [iam.decode(one, UserRecord) for _, one in scan(snapshot, iam.user_row(account, ""))]
        groups = [iam.decode(one, GroupRecord) for _, one in scan(snapshot, iam.group_row(account, ""))]
        own = [iam.decode(one, PolicyRecord) for _, one in scan(snapshot, iam.policy_row(account, ""))]
        here = [user for user in users if user.provider == "builtin"]
        policies = builtin_json() | {one.name: one.document for one in own}
        return Documents(
            {name: msgspec.Raw(document) for name, document in policies.items()},
            {user.name: self._user(snapshot, user, secrets) for user in here},
            {g.name: self._group(snapshot, g) for g in groups if g.provider == "builtin"},
            {key.access_key: self._key(key, root, secrets, show) for key in self._keys_of(snapshot, account)},
            {user.name: Mapping(",".join(user.policies)) for user in here if user.policies},
            {group.name: Mapping(",".join(group.policies)) for group in groups if group.policies},
            {u.name: Mapping(",".join(u.policies)) for u in users if u.provider != "builtin" and u.policies},
        )

    def _user(self, snapshot: Snapshot, user: UserRecord, secrets: bool) -> User:
        document = read(snapshot, iam.key_row(user.name)) if secrets else None
        secret = self._realm.secret_of(iam.decode(document, KeyRecord)) if document is not None else ""
        return User("enabled" if user.enabled else "disabled", secret)

    @staticmethod
    def _group(snapshot: Snapshot, group: GroupRecord) -> Group:
        members = [name.decode() for name, _ in scan(snapshot, iam.members_of(group.account, group.name))]
        return Group(members, "enabled" if group.enabled else "disabled")

    def _keys_of(self, snapshot: Snapshot, account: str) -> Iterator[KeyRecord]:
        """The service accounts that live."""
        now = self._realm.clock()
        for rest, _ in scan(snapshot, iam.all_children_of(account)):
            document = read(snapshot, iam.key_row(rest.decode().rpartition("\0")[2]))
            key = None if document is None else iam.decode(document, KeyRecord)
            if key is not None and key.kind == KeyKind.SERVICE and not 0 < key.expires_ns <= now:
                yield key

    def _key(self, key: KeyRecord, root: str, secrets: bool, show: Callable[[int], str]) -> Key:
        return Key(
            key.parent or root,
            key.access_key,
            self._realm.secret_of(key) if secrets else "",
            list(key.groups),
            dict(key.claims),
            msgspec.Raw(key.session_policy or b"null"),
            "on" if key.enabled else "off",
            key.name,
            key.description,
            show(key.expires_ns),
        )

    # -- in ------------------------------------------------------------------------------------------------

    async def take(
        self, account: str, root: str, as_root: bool, documents: Documents, parse: Callable[[str], int]
    ) -> list[Outcome]:
        """Take all that can be; what became of each entry.

        :param root: access key of the account's root
        :param as_root: whether it is its root who imports (E2)
        """
        keys = {name: (root, as_root, key) for name, key in documents.keys.items()}
        found = await self._each("policies", documents.policies, lambda n, one: self._take_policy(account, n, one))
        found += await self._each("users", documents.users, lambda n, one: self._take_user(account, n, one))
        found += await self._each("groups", documents.groups, lambda n, one: self._take_group(account, n, one))
        found += await self._each("serviceAccounts", keys, lambda n, one: self._take_key(account, n, *one, parse=parse))
        for what, mappings, group in (
            ("userPolicies", documents.of_users, False),
            ("groupPolicies", documents.of_groups, True),
            ("stsPolicies", documents.of_external, False),
        ):
            builtin = what != "stsPolicies"
            found += await self._each(
                what,
                mappings,
                lambda n, one, group=group, builtin=builtin: self._take_mapping(account, n, one, group, builtin),
            )
        return found

    @staticmethod
    async def _each(
        what: str, entries: dict[str, Any], take: Callable[..., Awaitable[Outcome | None]]
    ) -> list[Outcome]:
        turns = asyncio.Semaphore(CHANGES_MAX)

        async def one(name: str, entry: Any) -> Outcome:
            policies = _names(entry) if isinstance(entry, Mapping) else None
            async with turns:
                try:
                    special = await take(name, entry)
                except StoreError as error:
                    return Outcome(what, name, policies, error)
            return special or Outcome(what, name, policies)

        return await asyncio.gather(*(one(name, entry) for name, entry in entries.items()))

    async def _take_policy(self, account: str, name: str, document: msgspec.Raw) -> Outcome | None:
        """One without statements removes the policy; a built-in one as it is here is left alone."""
        text = bytes(document)
        try:
            content = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidArgument(f"The policy is no JSON: {error}") from None
        if isinstance(content, dict) and not content.get("Statement"):
            await self._policies.remove(account, name)
            return Outcome("policies", name, removed=True)
        if name in builtin_json() and _same(content, msgspec.json.decode(builtin_json()[name])):
            return Outcome("policies", name, skipped=True)
        await self._policies.put(account, name, text)
        return None

    async def _take_user(self, account: str, name: str, user: User) -> Outcome | None:
        enabled = _enabled(user.status)
        if user.secret_key:
            await self._users.put(account, name, user.secret_key, enabled)
            return None
        try:
            await self._users.set_enabled(account, name, enabled)
        except NoSuchUser:
            raise InvalidSecretKey("A new user needs a secret key, and the document has none.") from None
        return None

    async def _take_group(self, account: str, name: str, group: Group) -> Outcome | None:
        members = group.members or []
        if not members:
            await self._groups.add(account, name, [], _enabled(group.status))
        for at in range(0, len(members), MEMBERS_AT_ONCE_MAX):
            await self._groups.add(account, name, members[at : at + MEMBERS_AT_ONCE_MAX], _enabled(group.status))
        return None

    async def _take_key(
        self, account: str, name: str, root: str, as_root: bool, key: Key, *, parse: Callable[[str], int]
    ) -> Outcome | None:
        """A key of the name that the same user has is changed; any other stays what it is."""
        parent = "" if key.parent == root else _spelled(account, key.parent)
        if not parent and not as_root:
            raise AccessDenied("Only the root of an account can import keys of its own.")
        policy, expires_ns = session_policy(key.session_policy), parse(key.expiration) if key.expiration else 0
        enabled = key.status not in ("off", "disabled")
        try:
            old = await self._keys.get(name, KeyKind.SERVICE)
        except NoSuchAccessKey:
            if not key.secret_key:
                raise InvalidSecretKey("A new access key needs a secret key, and the document has none.") from None
            wanted = NewService(name, key.secret_key, policy, key.name, key.description, expires_ns, enabled)
            # its groups are taken from the directory, never from the document
            await self._keys.create(Parent(account, parent, "ldap" if "=" in parent else "builtin"), wanted)
            return None
        if (old.account, old.parent) != (account, parent):
            raise InvalidArgument("The access key belongs to another user.")
        await self._keys.update(
            name, ServiceUpdate(key.secret_key or None, policy, enabled, key.name, key.description, expires_ns)
        )
        return None

    async def _take_mapping(
        self, account: str, name: str, mapping: Mapping, group: bool, builtin: bool
    ) -> Outcome | None:
        """Names of a directory contain an equals sign, those of users and groups here never do."""
        external = "=" in name
        if not builtin and not external:
            return Outcome("stsPolicies", name, _names(mapping), skipped=True)
        provider = "ldap" if external else "builtin"
        await self._policies.set(account, _names(mapping), Target(_spelled(account, name), group, provider))
        return None


def _spelled(account: str, name: str) -> str:
    """A name of a directory in the one spelling that it has here, any other as it is. :raises InvalidArgument:"""
    if "=" not in name:
        return name
    if account != ROOT_ACCOUNT:
        raise InvalidArgument("The directory belongs to the first account.")
    spelled = ldap_names.require_name(name)
    rules.check_external(spelled)
    return spelled


def session_policy(raw: msgspec.Raw) -> bytes:
    """Empty where there is none. :raises InvalidArgument:"""
    text = bytes(raw)
    if text in (b"", b"null", b'""'):
        return b""
    if not text.startswith(b'"'):
        return text
    try:
        return base64.b64decode(msgspec.json.decode(text, type=str), validate=True)
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        raise InvalidArgument("The session policy is neither JSON nor base64 of it.") from None


def _names(mapping: Mapping) -> list[str]:
    return [name.strip() for name in mapping.policy.split(",") if name.strip()]


def _enabled(status: str) -> bool:
    return status not in ("disabled", "off")


def _same(one: Any, other: Any) -> bool:
    """Whether two documents say the same: order within lists does not matter, nor does an empty statement id."""
    try:
        return bool(_plain(one) == _plain(other))
    except RecursionError:
        return False  # one is nested so deeply that it is no policy


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items() if not (k in ("Sid", "ID", "Id") and not v)}
    if isinstance(value, list):
        return sorted((_plain(one) for one in value), key=repr) if len(value) != 1 else _plain(value[0])
    return value
