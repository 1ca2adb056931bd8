"""The identity service of one worker: everything about who there is, under one roof."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from ...base.pages import Pages
from ...domain.errors import RootSecretWrong, StoreError
from ...erasure.handle import SetHandle
from .access_keys import AccessKeys
from .accounts import Accounts
from .context import Realm
from .directory import Directory
from .groups import Groups
from .policies import Policies
from .store import Store
from .users import Users
from .vault import Root, Vault

log = logging.getLogger("sos.identity")

#: How long a start waits for the store to be opened.
OPEN_S_MAX = 30.0
#: And for set 0 to be readable at all; a server whose set 0 cannot be read refuses requests until it can.
READABLE_S_MAX = 3.0
LOOK_S = 0.05
RETRY_S = 0.25


class Identity:
    """:param system: set 0"""

    def __init__(
        self,
        system: SetHandle,
        pages: Pages,
        root: Root,
        clock: Callable[[], int] = time.time_ns,
        *,
        root_access: bool = True,
    ) -> None:
        store = Store(system)
        self.realm = Realm(store, Vault(store, root), clock)
        self.accounts = Accounts(self.realm)
        self.users = Users(self.realm)
        self.groups = Groups(self.realm)
        self.policies = Policies(self.realm)
        self.access_keys = AccessKeys(self.realm)
        self.directory = Directory(self.realm, pages, root_access)
        self._opening: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the store; go on in the background where that takes long.

        :raises RootSecretWrong: the root credentials are not those of this deployment
        """
        self._opening = opening = asyncio.create_task(self._open())
        began = time.monotonic()
        while not opening.done() and time.monotonic() - began < self._patience_s():
            await asyncio.wait((opening,), timeout=LOOK_S)
        if opening.done():
            opening.result()
        else:
            opening.add_done_callback(_tell)

    def _patience_s(self) -> float:
        snapshot = self.realm.store.system.snapshot_now()
        if snapshot is None:
            return READABLE_S_MAX
        snapshot.close()
        return OPEN_S_MAX

    async def stop(self) -> None:
        if self._opening is not None and not self._opening.done():
            self._opening.cancel()
            await asyncio.wait((self._opening,))

    async def _open(self) -> None:
        while True:
            try:
                await self.realm.vault.open()
                return
            except RootSecretWrong:
                raise
            except StoreError as error:
                log.warning("the identity store cannot be opened yet: %s %s", error.name, error.message)
                await asyncio.sleep(RETRY_S)

    async def wait(self) -> None:
        """Until set 0 can be read: what to do about MustWait. :raises ReadQuorumLost:"""
        (await self.realm.store.snapshot()).close()


def _tell(opening: asyncio.Task[None]) -> None:
    if not opening.cancelled() and (error := opening.exception()) is not None:
        log.critical("every request is refused: %s", error)
