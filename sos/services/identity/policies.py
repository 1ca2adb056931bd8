"""Policies by name, and what they are attached to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from ...domain.errors import (
    InvalidAdminArgument,
    InvalidArgument,
    NoSuchGroup,
    NoSuchPolicy,
    NoSuchUser,
    PolicyInUse,
    PolicyUnchanged,
)
from ...domain.policy.builtin import builtin_json
from ...erasure.handle import Snapshot
from ...meta import iam
from ...meta.iam import GroupRecord, PolicyRecord, UserRecord
from . import rules
from .context import Realm
from .documents import check_identity_document
from .store import Change, read, scan

#: Policies attached to one user or group.
ATTACHED_MAX = 50


class Target(NamedTuple):
    """What a policy is attached to.

    :param provider: ``builtin`` needs it to exist; with ``ldap`` the name is a distinguished name, known elsewhere
    """

    name: str
    group: bool = False
    provider: str = "builtin"


class Attached(NamedTuple):
    """:param changed: names of the policies that were attached or detached"""

    changed: tuple[str, ...]
    policies: tuple[str, ...]
    updated_ns: int


class Uses(NamedTuple):
    """What a policy is attached to."""

    users: list[str]
    groups: list[str]


class Policies:
    """The service."""

    def __init__(self, realm: Realm) -> None:
        self._realm = realm

    async def put(self, account: str, name: str, document: bytes) -> PolicyRecord:
        """Store a policy, replacing one of the name. In force everywhere on return.

        :param document: JSON
        :raises InvalidPolicyName:
        """
        rules.check_policy_name(name)
        check_identity_document(document)
        now, row = self._realm.clock(), iam.policy_row(account, name)

        def plan(change: Change) -> PolicyRecord:
            old = change.get(row, PolicyRecord)
            new = PolicyRecord(name, account, document, old.created_ns if old is not None else now, now)
            change.put(row, new)
            return new

        return await self._realm.store.change(plan)

    async def get(self, account: str, name: str) -> PolicyRecord:
        """:raises NoSuchPolicy:"""

        def look(snapshot: Snapshot) -> PolicyRecord | None:
            return find(snapshot, account, name)

        found = await self._realm.store.read(look)
        if found is None:
            raise NoSuchPolicy(policy=name)
        return found

    async def every(self, account: str) -> list[PolicyRecord]:
        """All of an account and the built-in ones, by name."""

        def look(snapshot: Snapshot) -> list[PolicyRecord]:
            prefix = iam.policy_row(account, "")
            return [iam.decode(document, PolicyRecord) for _, document in scan(snapshot, prefix)]

        own = {record.name: record for record in await self._realm.store.read(look)}
        every = {name: builtin(account, name) for name in builtin_json()} | own
        return [every[name] for name in sorted(every)]

    async def remove(self, account: str, name: str) -> None:
        """Remove a policy; of a built-in one what replaced it, which then is in force again.

        :raises NoSuchPolicy, PolicyInUse, InvalidAdminArgument
        """

        def plan(change: Change) -> None:
            row = iam.policy_row(account, name)
            if change.document(row) is None:
                if name in builtin_json():
                    raise InvalidAdminArgument(f"The built-in policy {name} cannot be removed.")
                raise NoSuchPolicy(policy=name)
            if name not in builtin_json() and not change.require_vacant(iam.uses_of(account, name)):
                raise PolicyInUse(policy=name)
            change.drop(row)

        await self._realm.store.change(plan)

    # -- attaching -------------------------------------------------------------------------------------

    async def attach(self, account: str, names: Sequence[str], to: Target) -> Attached:
        """:raises NoSuchUser, NoSuchGroup, NoSuchPolicy
        :raises PolicyUnchanged: all of them are attached already
        """

        def plan(change: Change) -> Attached:
            old = self._target(change, account, to)
            added = tuple(name for name in dict.fromkeys(names) if name not in old.policies)
            if not added:
                raise PolicyUnchanged()
            return self._set(change, account, to, old, (*old.policies, *added), added)

        return await self._realm.store.change(plan)

    async def detach(self, account: str, names: Sequence[str], to: Target) -> Attached:
        """:raises NoSuchUser, NoSuchGroup, NoSuchPolicy
        :raises PolicyUnchanged: none of them is attached
        """

        def plan(change: Change) -> Attached:
            old = self._target(change, account, to)
            for name in names:
                if name not in old.policies and find(change.snapshot, account, name) is None:
                    raise NoSuchPolicy(policy=name)
            removed = tuple(name for name in dict.fromkeys(names) if name in old.policies)
            if not removed:
                raise PolicyUnchanged()
            kept = tuple(name for name in old.policies if name not in removed)
            return self._set(change, account, to, old, kept, removed)

        return await self._realm.store.change(plan)

    async def set(self, account: str, names: Sequence[str], to: Target) -> Attached:
        """Replace all that is attached; no names detach everything. (The older call of clients.)

        :raises NoSuchUser, NoSuchGroup, NoSuchPolicy
        """

        def plan(change: Change) -> Attached:
            old = self._target(change, account, to)
            wanted = tuple(dict.fromkeys(names))
            changed = tuple(sorted(set(wanted) ^ set(old.policies)))
            return self._set(change, account, to, old, wanted, changed)

        return await self._realm.store.change(plan)

    async def uses(self, account: str, name: str) -> Uses:
        """Users and groups that a policy is attached to."""

        def look(snapshot: Snapshot) -> Uses:
            found = Uses([], [])
            for rest, _ in scan(snapshot, iam.uses_of(account, name)):
                (found.groups if rest[:1] == b"g" else found.users).append(rest[1:].decode())
            return found

        return await self._realm.store.read(look)

    async def of(self, account: str, target: Target) -> tuple[str, ...]:
        """The policies attached to a user or group; none where it has none or is not known."""
        row = iam.group_row(account, target.name) if target.group else iam.user_row(account, target.name)
        record: GroupRecord | UserRecord | None = await self._realm.store.get(
            row, GroupRecord if target.group else UserRecord
        )
        return record.policies if record is not None else ()

    def _target(self, change: Change, account: str, to: Target) -> UserRecord | GroupRecord:
        now = self._realm.clock()
        if to.group:
            group = change.get(iam.group_row(account, to.name), GroupRecord)
            if group is None and to.provider == "builtin":
                raise NoSuchGroup(group=to.name)
            return group or GroupRecord(to.name, account, now, provider=to.provider)
        user = change.get(iam.user_row(account, to.name), UserRecord)
        if user is None and to.provider == "builtin":
            raise NoSuchUser(user=to.name)
        if user is None:
            rules.check_external(to.name)
        return user or UserRecord(to.name, account, b"", now, provider=to.provider)

    def _set(
        self,
        change: Change,
        account: str,
        to: Target,
        old: UserRecord | GroupRecord,
        policies: tuple[str, ...],
        changed: tuple[str, ...],
    ) -> Attached:
        if len(policies) > ATTACHED_MAX:
            raise InvalidArgument(f"At most {ATTACHED_MAX} policies can be attached.")
        for name in set(policies) - set(old.policies):
            # held to exist: a removal at the same moment finds it in use, or this change runs again
            if change.document(iam.policy_row(account, name)) is None and name not in builtin_json():
                raise NoSuchPolicy(policy=name)
            change.put(iam.use_row(account, name, to.group, to.name), b"")
        for name in set(old.policies) - set(policies):
            change.drop(iam.use_row(account, name, to.group, to.name))
        now = self._realm.clock()
        row = iam.group_row(account, to.name) if to.group else iam.user_row(account, to.name)
        if to.provider != "builtin" and not policies:
            change.drop(row)  # a name of a directory is known here only for what is attached to it
        else:
            change.put(row, msgspec.structs.replace(old, policies=policies, updated_ns=now))
        return Attached(changed, policies, now)


def builtin(account: str, name: str) -> PolicyRecord:
    """A built-in policy as a record."""
    return PolicyRecord(name, account, builtin_json()[name], 0, 0)


def find(snapshot: Snapshot, account: str, name: str) -> PolicyRecord | None:
    """A policy of an account, or the built-in one of the name."""
    document = read(snapshot, iam.policy_row(account, name))
    if document is not None:
        return iam.decode(document, PolicyRecord)
    return builtin(account, name) if name in builtin_json() else None


def drop_uses(change: Change, account: str, names: Iterable[str], target: Target) -> None:
    """Take a user or group that is being removed out of the index of its policies."""
    for name in names:
        change.drop(iam.use_row(account, name, target.group, target.name))
