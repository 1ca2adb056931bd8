"""Keys of users of the directory, looked at from time to time: those of users who are gone go, groups are taken over.

One worker does it, the owner of set 0. When the directory cannot be asked nothing changes: nobody is gone for that.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping

import msgspec

from ...domain.errors import StoreError
from ...erasure.handle import Snapshot
from ...meta import iam
from ...meta.iam import ROOT_ACCOUNT, KeyRecord
from .identity import Identity
from .ldap import PROVIDER, USERNAME, Ldap
from .ldap_directory import REVIEW_S_MAX, Person
from .store import Change, read, scan
from .users import drop_children

log = logging.getLogger("sos.identity.ldap")

#: Between two looks.
REFRESH_S = 600.0
#: Users in one conversation with the directory.
USERS_AT_ONCE = 200


class LdapRefresh:
    """The job."""

    def __init__(self, ldap: Ldap, identity: Identity) -> None:
        self._ldap, self._identity = ldap, identity

    async def run(self) -> None:
        """Until it is cancelled."""
        self._ldap.enabled  # noqa: B018 - what is wrong with the configuration is told at the start
        while True:
            await asyncio.sleep(REFRESH_S)
            try:
                if self._ldap.enabled:
                    await self.step()
            except StoreError as error:
                log.warning("users of the directory are looked at later: %s %s", error.name, error.message)

    async def step(self) -> None:
        """Look at all of them once. :raises LdapUnreachable, Busy, NotEnabled"""
        snapshot = await self._identity.realm.store.snapshot()
        # of very many keys this takes a while
        owned = await asyncio.shield(asyncio.to_thread(_keys, snapshot))
        names = {parent: _username(some) for parent, some in owned.items()}
        for users in _batches(names):
            found = await self._reviewed(users)
            for dn, person in found.items():
                await self._apply(dn, person, owned[dn])

    async def _reviewed(self, users: Mapping[str, str]) -> dict[str, Person | None]:
        return await self._ldap.ask(lambda directory, by: directory.review(users, by), REVIEW_S_MAX)

    async def _apply(self, dn: str, person: Person | None, keys: list[KeyRecord]) -> None:
        if person is None:
            log.info("a user is not in the directory any more: %d keys of %s removed", len(keys), dn)
            while not await self._identity.realm.store.change(lambda change: drop_children(change, ROOT_ACCOUNT, dn)):
                continue
        elif person.grouped:
            stale = [key.access_key for key in keys if tuple(sorted(key.groups)) != person.groups]
            for access_key in stale:
                await self._regroup(access_key, person.groups)

    async def _regroup(self, access_key: str, groups: tuple[str, ...]) -> None:
        def plan(change: Change) -> None:
            row = iam.key_row(access_key)
            key = change.get(row, KeyRecord)
            if key is not None and key.provider == PROVIDER:
                change.put(row, msgspec.structs.replace(key, groups=groups))

        await self._identity.realm.store.change(plan)


def _keys(snapshot: Snapshot) -> dict[str, list[KeyRecord]]:
    """Of all users of the directory; expired ones are as good as any."""
    found: dict[str, list[KeyRecord]] = {}
    try:
        for rest, _ in scan(snapshot, iam.all_children_of(ROOT_ACCOUNT)):
            parent, _, name = rest.decode().partition("\0")
            document = read(snapshot, iam.key_row(name)) if "=" in parent else None  # as all distinguished names have
            key = iam.decode(document, KeyRecord) if document is not None else None
            if key is not None and key.provider == PROVIDER:
                found.setdefault(parent, []).append(key)
    finally:
        snapshot.close()
    return found


def _username(keys: list[KeyRecord]) -> str:
    """The name that a user logs in with, from any key that knows it."""
    return next((str(key.claims[USERNAME]) for key in keys if key.claims.get(USERNAME)), "")


def _batches(names: Mapping[str, str]) -> Iterator[dict[str, str]]:
    items = sorted(names.items())
    for at in range(0, len(items), USERS_AT_ONCE):
        yield dict(items[at : at + USERS_AT_ONCE])
