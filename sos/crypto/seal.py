"""Authenticated encryption of small values: AES-256-GCM, nonce in front.

A sealed value is bound to where it is stored (``place``), so that one moved to another row does not open there.
"""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES = 12
TAG_BYTES = 16
KEY_BYTES = 32


class NotSealedHere(Exception):
    """Another key, another place, or a damaged value."""


class Sealer:
    """:param key: 32 bytes"""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, plain: bytes, place: bytes) -> bytes:
        """Nonce (12), ciphertext, tag (16)."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, place)

    def open(self, sealed: bytes, place: bytes) -> bytes:
        """:raises NotSealedHere:"""
        if len(sealed) < NONCE_BYTES + TAG_BYTES:
            raise NotSealedHere()
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], place)
        except InvalidTag:
            raise NotSealedHere() from None
