"""Keys of users of a provider that tells who is still there (Keycloak), looked at from time to time: those of users who
are disabled or gone are removed.

One worker does it, the owner of set 0. When the provider cannot be asked nothing changes: nobody is gone for that.
"""

from __future__ import annotations

import asyncio
import logging

from ...domain.errors import StoreError
from ...erasure.handle import Snapshot
from ...meta import iam
from ...meta.iam import ROOT_ACCOUNT, KeyRecord
from .identity import Identity
from .keycloak import Keycloak
from .openid import OpenId
from .outbound import Unreachable
from .store import read, scan
from .users import drop_children

log = logging.getLogger("sos.identity")

#: Between two looks.
REFRESH_S = 600.0


class OpenIdRefresh:
    """The job."""

    def __init__(self, openid: OpenId, identity: Identity) -> None:
        self._openid, self._identity = openid, identity

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await asyncio.sleep(REFRESH_S)
            try:
                await self.step()
            except StoreError as error:
                log.warning("users of providers are looked at later: %s %s", error.name, error.message)

    async def step(self) -> None:
        """Look at all of them once."""
        for provider in list(self._openid.providers().values()):
            if provider.settings.keycloak is not None:
                try:
                    await self._look(await self._openid.keycloak(provider), provider.settings.origin)
                except Unreachable as error:
                    log.warning("users of provider %s are looked at later: %s", provider.settings.name, error)

    async def _look(self, keycloak: Keycloak, origin: str) -> None:
        snapshot = await self._identity.realm.store.snapshot()
        # of very many keys this takes a while
        users = await asyncio.shield(asyncio.to_thread(_users, snapshot, origin))
        for parent, user_id in users.items():
            if not await keycloak.has(user_id):
                log.info("a user of %s is not there any more: the keys of %s are removed", origin, parent)
                await self._remove(parent)

    async def _remove(self, parent: str) -> None:
        while not await self._identity.realm.store.change(lambda change: drop_children(change, ROOT_ACCOUNT, parent)):
            continue


def _users(snapshot: Snapshot, origin: str) -> dict[str, str]:
    """Parents of keys of a provider → what the provider calls them."""
    found: dict[str, str] = {}
    try:
        for rest, _ in scan(snapshot, iam.all_children_of(ROOT_ACCOUNT)):
            parent, _, name = rest.decode().partition("\0")
            document = read(snapshot, iam.key_row(name)) if parent and parent not in found else None
            key = iam.decode(document, KeyRecord) if document is not None else None
            if key is not None and key.provider == origin and (subject := _subject(key)):
                found[parent] = subject
    finally:
        snapshot.close()
    return found


def _subject(key: KeyRecord) -> str:
    """Keys that a session makes know only what policies can ask for."""
    return str(key.claims.get("sub") or key.claims.get("jwt:sub", ""))
