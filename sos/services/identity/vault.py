"""The data key of a deployment: made once, kept on the drives under a key derived from the root credentials.

States: closed → open. While it is closed nobody can be authenticated. A wrong root secret is told apart from a damaged
store only by what the operator is told: nothing is written in either case.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from functools import partial

from blake3 import blake3

from ...crypto.keyring import Keyring
from ...crypto.passwords import SALT_BYTES, Cost, derive
from ...crypto.seal import KEY_BYTES, NotSealedHere, Sealer
from ...domain.errors import RootSecretWrong
from ...meta.iam import WRAP_ROW, WrapRecord
from .store import Change, Store

SALT = "sos 2026 root credentials"
WRONG = (
    "the root credentials do not open the identity store of this deployment. Start with the credentials used before, or "
    "give those as MINIO_ROOT_USER_OLD and MINIO_ROOT_PASSWORD_OLD together with the new ones. Nothing was changed"
)


def salt_of(deployment_key: bytes) -> bytes:
    """The salt of a deployment, known before the index can be read."""
    return blake3(deployment_key, derive_key_context=SALT).digest(length=SALT_BYTES)


@dataclass(frozen=True, slots=True)
class Root:
    """The root credentials, as they are for the life of a server process.

    :param derived: the key made from them with ``salt`` and the default cost, where that was done before; else empty
    :param old_user: of the credentials used before, for the start that changes them
    """

    user: str
    password: str
    salt: bytes
    derived: bytes = b""
    old_user: str = ""
    old_password: str = ""

    def __repr__(self) -> str:
        return f"Root({self.user!r})"


@dataclass(slots=True)
class Vault:
    """Opens the data key, and changes what it is kept under."""

    store: Store
    root: Root
    keyring: Keyring | None = field(default=None)

    async def open(self) -> Keyring:
        """The keys of the deployment; made where there are none.

        :raises RootSecretWrong: neither the root credentials nor the old ones open it
        :raises ReadQuorumLost, WriteQuorumLost, Busy: not now
        """
        while self.keyring is None:
            record = await self.store.get(WRAP_ROW, WrapRecord)
            if record is None:
                await self._make()
                continue
            data_key = await self._unwrap(record, self.root.user, self.root.password, self.root.derived)
            if data_key is None:
                await self._rewrap(record)
                continue
            self.keyring = Keyring(data_key)
        return self.keyring

    async def _make(self) -> None:
        await self._keep(None, os.urandom(KEY_BYTES))

    async def _rewrap(self, record: WrapRecord) -> None:
        """Put the data key under the present credentials, by the old ones."""
        old = (self.root.old_user or self.root.user, self.root.old_password or self.root.password)
        if old == (self.root.user, self.root.password):
            raise RootSecretWrong(WRONG)
        data_key = await self._unwrap(record, *old)
        if data_key is None:
            raise RootSecretWrong(WRONG)
        await self._keep(record, data_key)

    async def _keep(self, before: WrapRecord | None, data_key: bytes) -> None:
        """Store the data key, unless another worker changed the row meanwhile: then that is what counts."""
        cost, salt = Cost(), self.root.salt
        key = self.root.derived or await _derive(self.root.user, self.root.password, salt, cost)
        sealed = Sealer(key).seal(data_key, WRAP_ROW)
        generation = before.generation + 1 if before is not None else 1
        after = WrapRecord(sealed, salt, *cost, generation)

        def plan(change: Change) -> None:
            if change.get(WRAP_ROW, WrapRecord) == before:
                change.put(WRAP_ROW, after)

        await self.store.change(plan)

    async def _unwrap(self, record: WrapRecord, user: str, password: str, derived: bytes = b"") -> bytes | None:
        cost = Cost(record.memory_kib, record.passes, record.lanes)
        if not derived or (record.salt, cost) != (self.root.salt, Cost()):
            derived = await _derive(user, password, record.salt, cost)
        try:
            return Sealer(derived).open(record.sealed, WRAP_ROW)
        except NotSealedHere:
            return None


async def _derive(user: str, password: str, salt: bytes, cost: Cost) -> bytes:
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(None, partial(derive, user, password, salt, cost))
