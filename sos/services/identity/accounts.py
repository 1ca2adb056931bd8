"""Accounts: tenants of one deployment. Root's own account is always there and has no row; who needs no other never sees
one."""

from __future__ import annotations

import secrets

import msgspec

from ...domain.errors import AccountExists, AccountNotEmpty, InvalidArgument, NoSuchAccount
from ...erasure.handle import Snapshot
from ...meta import iam, rows
from ...meta.iam import ACCOUNT_CHARS, ROOT_ACCOUNT, AccountRecord, KeyKind, KeyRecord
from ...meta.records import BucketRecord
from . import rules
from .account_rows import every_account
from .context import Realm
from .store import Change, read

#: The owner that MinIO clients know; the root account's.
ROOT_CANONICAL_ID = "02d6176db174dc93cb1b899f7c6078f08654445fe8cf1b6ce98d8855f66bdbf4"
ROOT_NAME = "minio"
QUOTA_BYTES_MAX = 2**63 - 1


class Accounts:
    """The service. For the deployment's root alone."""

    def __init__(self, realm: Realm) -> None:
        self._realm = realm

    def root(self) -> AccountRecord:
        """The root account as a record."""
        return AccountRecord(ROOT_ACCOUNT, ROOT_NAME, ROOT_CANONICAL_ID, self._realm.root_user, 0)

    async def add(
        self, name: str, access_key: str, secret: str, email: str = "", quota_bytes: int = 0
    ) -> AccountRecord:
        """Make an account with the key of its root.

        :raises AccountExists, CredentialsTaken, InvalidAccessKey, InvalidSecretKey, InvalidArgument
        """
        _check(name, email, quota_bytes)
        rules.check_user(access_key)
        rules.check_secret(secret)
        sealed, now = self._realm.seal(access_key, secret), self._realm.clock()

        def plan(change: Change) -> AccountRecord:
            account = str(secrets.randbelow(9 * 10 ** (ACCOUNT_CHARS - 1)) + 10 ** (ACCOUNT_CHARS - 1))
            record = AccountRecord(account, name, secrets.token_hex(32), access_key, now, email, quota_bytes)
            if name == ROOT_NAME or change.document(iam.account_name_row(name)) is not None:
                raise AccountExists(account=name)
            if change.document(iam.account_row(account)) is not None:
                raise AccountExists("An account number was drawn twice; try again.")
            self._realm.require_free(change, access_key)
            change.put(iam.account_name_row(name), account.encode())
            change.put(iam.account_row(account), record)
            change.put(
                iam.key_row(access_key), KeyRecord(access_key, KeyKind.ACCOUNT_ROOT, account, "", b"", sealed, now)
            )
            return record

        return await self._realm.store.change(plan)

    async def get(self, account: str) -> AccountRecord:
        """By id or by name. :raises NoSuchAccount:"""
        if len(account.encode()) > rules.NAME_BYTES_MAX:
            raise NoSuchAccount(account=account[:64])

        def look(snapshot: Snapshot) -> AccountRecord | None:
            if account in (ROOT_ACCOUNT, ROOT_NAME):
                return self.root()
            number = read(snapshot, iam.account_name_row(account)) or account.encode()
            document = read(snapshot, iam.account_row(number.decode()))
            return None if document is None else iam.decode(document, AccountRecord)

        found = await self._realm.store.read(look)
        if found is None:
            raise NoSuchAccount(account=account)
        return found

    async def every(self) -> list[AccountRecord]:
        """All but root's, by id."""
        return await every_account(self._realm.store.system)

    async def update(
        self,
        account: str,
        *,
        disabled: bool | None = None,
        quota_bytes: int | None = None,
        email: str | None = None,
        secret: str | None = None,
    ) -> AccountRecord:
        """Change what is given; in force at once for all keys of the account.

        :param account: id or name
        :param secret: of its root
        :raises NoSuchAccount, InvalidArgument, InvalidSecretKey
        """
        known = await self.get(account)
        _check(known.name, email or "", quota_bytes or 0)
        if secret is not None:
            rules.check_secret(secret)
        wanted = {"disabled": disabled, "quota_bytes": quota_bytes, "email": email}
        sealed = None if secret is None else self._realm.seal(known.root_key, secret)

        def plan(change: Change) -> AccountRecord:
            record = _require(change, known.account)
            record = msgspec.structs.replace(record, **{k: v for k, v in wanted.items() if v is not None})
            change.put(iam.account_row(record.account), record)
            key = change.get(iam.key_row(record.root_key), KeyRecord) if sealed is not None else None
            if key is not None and sealed is not None:
                change.put(iam.key_row(record.root_key), msgspec.structs.replace(key, sealed=sealed))
            return record

        return await self._realm.store.change(plan)

    async def remove(self, account: str) -> None:
        """Remove an account that has no buckets, with its users, groups, policies and keys.

        It is disabled first, which ends all of its keys at once and keeps it from making buckets; then its rows go, in
        steps; last the account. Cut off in between it is there and disabled, and can be removed again.

        :raises NoSuchAccount, AccountNotEmpty
        """
        known = await self.get(account)
        if known.account == ROOT_ACCOUNT:
            raise InvalidArgument("The root account cannot be removed.")
        was = known.disabled
        known = await self.update(known.account, disabled=True)
        if await self._has_buckets(known.account):
            if not was:
                await self.update(known.account, disabled=False)
            raise AccountNotEmpty(account=known.name)
        while not await self._realm.store.change(lambda change: _drop_some(change, known.account)):
            continue
        await self._realm.store.change(lambda change: _drop_account(change, known))

    async def _has_buckets(self, account: str) -> bool:
        return await self._realm.store.read(lambda snapshot: any(b.owner == account for b in _buckets(snapshot)))


def _require(change: Change, account: str) -> AccountRecord:
    record = change.get(iam.account_row(account), AccountRecord)
    if record is None:
        raise NoSuchAccount(account=account)
    return record


def _drop_some(change: Change, account: str) -> bool:
    """Drop rows of a disabled account, as many as fit into the change; whether these are all."""
    record = _require(change, account)
    if not record.disabled:
        raise AccountNotEmpty(account=record.name)  # somebody wants to keep it
    for prefix in iam.all_of(account):
        for name in change.under(prefix):
            if change.room < 2:
                return False
            change.drop(prefix + name)
            if (key := _key_of(prefix, name, account)) is not None:
                change.drop(iam.key_row(key))
    return True


def _key_of(prefix: bytes, name: bytes, account: str) -> str | None:
    """The access key that goes with a row: a user's name, the last part of a child's row."""
    if prefix == iam.user_row(account, ""):
        return name.decode()
    return name.decode().rpartition("\0")[2] if prefix == iam.all_children_of(account) else None


def _drop_account(change: Change, known: AccountRecord) -> None:
    record = _require(change, known.account)
    vacant = all(change.require_vacant(prefix) for prefix in iam.all_of(record.account))
    if not (vacant and record.disabled) or any(b.owner == record.account for b in _buckets(change.snapshot)):
        raise AccountNotEmpty(account=record.name)
    change.drop(iam.account_row(record.account))
    change.drop(iam.account_name_row(record.name))
    change.drop(iam.key_row(record.root_key))


def _check(name: str, email: str, quota_bytes: int) -> None:
    fits = len(name.encode()) <= rules.NAME_BYTES_MAX and name.isprintable() and name == name.strip()
    if not name or not fits or name.isdigit():
        raise InvalidArgument("The name of an account must be printable, of at most 220 bytes, and not a number.")
    if len(email) > 254 or not email.isprintable() or not 0 <= quota_bytes <= QUOTA_BYTES_MAX:
        raise InvalidArgument("The e-mail address or the quota of the account is invalid.")


def _buckets(snapshot: Snapshot) -> list[BucketRecord]:
    return [rows.open_row(key, value, BucketRecord) for key, value in snapshot.scan("buckets", b"", None)]
