"""What every part of the identity service works with."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ...crypto.keyring import Keyring
from ...domain.errors import CredentialsTaken, IdentityClosed
from ...meta import iam
from ...meta.iam import KeyRecord
from .store import Change, Store
from .vault import Vault


@dataclass(slots=True)
class Realm:
    """:param clock: wall clock, nanoseconds"""

    store: Store
    vault: Vault
    clock: Callable[[], int] = field(default=time.time_ns)

    @property
    def root_user(self) -> str:
        return self.vault.root.user

    @property
    def keyring(self) -> Keyring:
        """:raises IdentityClosed:"""
        if self.vault.keyring is None:
            raise IdentityClosed()
        return self.vault.keyring

    def seal(self, access_key: str, secret: str) -> bytes:
        """A secret key as it is stored."""
        return self.keyring.secrets.seal(secret.encode(), iam.key_row(access_key))

    def secret_of(self, record: KeyRecord) -> str:
        """:raises NotSealedHere: the row is damaged"""
        return self.keyring.secrets.open(record.sealed, iam.key_row(record.access_key)).decode()

    def require_free(self, change: Change, access_key: str) -> None:
        """:raises CredentialsTaken: the access key is root's or anybody's"""
        if access_key == self.root_user:
            raise CredentialsTaken("Credential is not allowed to be same as admin access key")
        if change.document(iam.key_row(access_key)) is not None:
            raise CredentialsTaken("The access key is taken by another user or service account.")
