"""The keys that are made from the data key of a deployment. See ``sos/meta/FORMAT.md``, "Identity"."""

from __future__ import annotations

from blake3 import blake3

from .seal import Sealer

SECRETS = "sos 2026 identity secrets"
TOKENS = "sos 2026 session tokens"
TOKEN_KEY_BYTES = 64


class Keyring:
    """:param data_key: 32 random bytes, the same for the life of the deployment"""

    def __init__(self, data_key: bytes) -> None:
        self.secrets = Sealer(blake3(data_key, derive_key_context=SECRETS).digest())
        self.tokens = blake3(data_key, derive_key_context=TOKENS).digest(length=TOKEN_KEY_BYTES)

    def __repr__(self) -> str:
        return "Keyring()"
