"""Users: a name that is an access key, with a secret that the administrator chose."""

from __future__ import annotations

import os

import msgspec

from ...domain.errors import NoSuchAccount, NoSuchUser
from ...erasure.handle import Snapshot
from ...meta import iam
from ...meta.iam import ROOT_ACCOUNT, AccountRecord, ChildRecord, KeyKind, KeyRecord, UserRecord
from . import rules
from .context import Realm
from .policies import Target, drop_uses
from .store import Change, scan


class Users:
    """The service."""

    def __init__(self, realm: Realm) -> None:
        self._realm = realm

    async def put(self, account: str, name: str, secret: str, enabled: bool = True) -> UserRecord:
        """Make a user, or give one a new secret and status. What is attached to it stays.

        :raises InvalidAccessKey, InvalidSecretKey
        :raises CredentialsTaken: the name is root's, a service account's, or a user's of another account
        """
        rules.check_user(name)
        rules.check_secret(secret)
        sealed, now = self._realm.seal(name, secret), self._realm.clock()

        def plan(change: Change) -> UserRecord:
            require_account(change, account)
            old = change.get(iam.user_row(account, name), UserRecord)
            if old is None or old.provider != "builtin":
                self._realm.require_free(change, name)
                old = UserRecord(name, account, os.urandom(16), now)
            user = msgspec.structs.replace(old, enabled=enabled, updated_ns=now)
            key = change.get(iam.key_row(name), KeyRecord)
            made = key.created_ns if key is not None else now
            change.put(iam.user_row(account, name), user)
            change.put(iam.key_row(name), KeyRecord(name, KeyKind.USER, account, name, user.uid, sealed, made))
            return user

        return await self._realm.store.change(plan)

    async def set_enabled(self, account: str, name: str, enabled: bool) -> UserRecord:
        """In force at once, for the user's service and temporary keys too. :raises NoSuchUser:"""

        def plan(change: Change) -> UserRecord:
            user = require_user(change, account, name)
            user = msgspec.structs.replace(user, enabled=enabled, updated_ns=self._realm.clock())
            change.put(iam.user_row(account, name), user)
            return user

        return await self._realm.store.change(plan)

    async def set_secret(self, account: str, name: str, secret: str) -> None:
        """:raises NoSuchUser, InvalidSecretKey"""
        rules.check_secret(secret)
        sealed = self._realm.seal(name, secret)

        def plan(change: Change) -> None:
            require_user(change, account, name)
            key = change.get(iam.key_row(name), KeyRecord)
            if key is None:
                raise NoSuchUser(user=name)
            change.put(iam.key_row(name), msgspec.structs.replace(key, sealed=sealed))

        await self._realm.store.change(plan)

    async def remove(self, account: str, name: str) -> None:
        """Remove a user with its service and temporary keys and its place in groups; all of it in one transaction. Of very
        many keys some rows go in later ones; those keys are dead from the first on (I3).

        :raises NoSuchUser:
        """

        def plan(change: Change) -> bool:
            user = require_user(change, account, name)
            change.drop(iam.user_row(account, name))
            change.drop(iam.key_row(name))
            drop_uses(change, account, user.policies, Target(name))
            for group in user.groups:
                change.drop(iam.member_row(account, group, name))
            return drop_children(change, account, name)

        whole = await self._realm.store.change(plan)
        while not whole:
            whole = await self._realm.store.change(lambda change: drop_orphans(change, account, name))

    async def get(self, account: str, name: str) -> UserRecord:
        """:raises NoSuchUser:"""
        found = await self._realm.store.get(iam.user_row(account, name), UserRecord)
        if found is None or found.provider != "builtin":
            raise NoSuchUser(user=name)
        return found

    async def every(self, account: str, after: str = "", most: int = 1_000_000) -> list[UserRecord]:
        """Users of an account by name, those of external providers left out."""

        def look(snapshot: Snapshot) -> list[UserRecord]:
            found: list[UserRecord] = []
            for _, document in scan(snapshot, iam.user_row(account, ""), after.encode()):
                user = iam.decode(document, UserRecord)
                if user.provider == "builtin":
                    found.append(user)
                if len(found) == most:
                    break
            return found

        return await self._realm.store.read(look)

    async def external(self, account: str, provider: str = "ldap") -> list[UserRecord]:
        """Users that a directory knows and to whom something is attached here."""

        def look(snapshot: Snapshot) -> list[UserRecord]:
            every = (iam.decode(d, UserRecord) for _, d in scan(snapshot, iam.user_row(account, "")))
            return [user for user in every if user.provider == provider]

        return await self._realm.store.read(look)


def require_account(change: Change, account: str) -> None:
    """:raises NoSuchAccount:"""
    if account != ROOT_ACCOUNT and change.get(iam.account_row(account), AccountRecord) is None:
        raise NoSuchAccount(account=account)


def require_user(change: Change, account: str, name: str) -> UserRecord:
    """:raises NoSuchUser:"""
    user = change.get(iam.user_row(account, name), UserRecord)
    if user is None or user.provider != "builtin":
        raise NoSuchUser(user=name)
    return user


def drop_children(change: Change, account: str, parent: str) -> bool:
    """Drop the keys of a parent, as many as fit into the change; whether these are all."""
    prefix = iam.children_of(account, parent)
    for name in change.under(prefix):
        if change.room < 2:
            return False
        change.drop(prefix + name)
        change.drop(iam.key_row(name.decode()))
    return True


def drop_orphans(change: Change, account: str, parent: str) -> bool:
    """Drop the keys that belonged to an earlier user of a name; whether these are all."""
    user = change.get(iam.user_row(account, parent), UserRecord)
    prefix = iam.children_of(account, parent)
    for name in change.under(prefix):
        if change.room < 2:
            return False
        row = iam.key_row(name.decode())
        key = change.get(row, KeyRecord)
        if key is None or user is None or key.parent_uid != user.uid:
            change.drop(prefix + name)
            change.drop(row)
    return True


def child_of(record: KeyRecord) -> ChildRecord:
    """The entry of a key in the index of its parent's keys."""
    return ChildRecord(record.kind, record.expires_ns)
