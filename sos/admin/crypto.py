"""Bodies that carry secrets, encrypted with the secret key of the caller (madmin-go ``encrypt.go``, sio-go).

Layout: salt (32), algorithm (1), nonce prefix (8), then fragments of 16 KiB, each with its tag (16). A fragment's nonce is
the prefix and its number (4, little-endian) from 1 on; its associated data is a flag (0x80 for the last) and the tag of an
empty text under number 0, so fragments can be neither moved nor cut off.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import struct
from enum import IntEnum
from weakref import WeakValueDictionary

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from ..domain.errors import BadDocument

SALT_BYTES, PREFIX_BYTES, TAG_BYTES = 32, 8, 16
HEAD_BYTES = SALT_BYTES + 1 + PREFIX_BYTES
FRAGMENT_BYTES = 16384
MEMORY_KIB, PASSES, LANES = 65536, 1, 4
PBKDF2_PASSES = 8192
#: Derivations at a time in one worker: each takes 64 MiB.
DERIVATIONS_MAX = 2
_MORE, _LAST = b"\x00", b"\x80"


class Algorithm(IntEnum):
    """How key and cipher are chosen; any client may use any."""

    ARGON2_AES = 0
    ARGON2_CHACHA = 1
    PBKDF2_AES = 2


Cipher = AESGCM | ChaCha20Poly1305


class Fragments:
    """A text in sealed pieces, none of which can be moved or left out (sio-go's streams).

    :param prefix: of the nonces; never twice with one key
    """

    def __init__(self, cipher: Cipher, prefix: bytes) -> None:
        self._cipher = cipher
        self._prefix = prefix
        self._tag = cipher.encrypt(self._nonce(0), b"", b"")

    def _nonce(self, number: int) -> bytes:
        return self._prefix + struct.pack("<I", number)

    def seal(self, number: int, text: bytes, last: bool) -> bytes:
        return self._cipher.encrypt(self._nonce(number), text, (_LAST if last else _MORE) + self._tag)

    def open(self, number: int, text: bytes, last: bool) -> bytes:
        return self._cipher.decrypt(self._nonce(number), text, (_LAST if last else _MORE) + self._tag)

    def sealed(self, text: bytes) -> bytes:
        """All pieces of a text."""
        pieces = _pieces(text, FRAGMENT_BYTES)
        return b"".join(self.seal(i, piece, i == len(pieces)) for i, piece in enumerate(pieces, 1))


def _stream(secret: str, head: bytes) -> Fragments:
    """The cipher of one body. :raises BadDocument:"""
    salt, number, prefix = head[:SALT_BYTES], head[SALT_BYTES], head[SALT_BYTES + 1 :]
    if number not in list(Algorithm):
        raise BadDocument("The document is not encrypted in a way that is known.")
    key = _derive(secret.encode(), salt, number == Algorithm.PBKDF2_AES)
    return Fragments(ChaCha20Poly1305(key) if number == Algorithm.ARGON2_CHACHA else AESGCM(key), prefix)


def _derive(secret: bytes, salt: bytes, pbkdf2: bool) -> bytes:
    if pbkdf2:
        return hashlib.pbkdf2_hmac("sha256", secret, salt, PBKDF2_PASSES, 32)
    from argon2.low_level import Type, hash_secret_raw  # most workers never need it

    return hash_secret_raw(secret, salt, PASSES, MEMORY_KIB, LANES, 32, Type.ID)


def _pieces(text: bytes, size: int) -> list[bytes]:
    """At least one; a full last piece is not followed by an empty one."""
    return [text[at : at + size] for at in range(0, len(text), size)] or [b""]


def encrypt(secret: str, text: bytes, algorithm: Algorithm = Algorithm.ARGON2_AES) -> bytes:
    """The body for a text. Takes tens of milliseconds."""
    head = os.urandom(SALT_BYTES) + bytes([algorithm]) + os.urandom(PREFIX_BYTES)
    return head + _stream(secret, head).sealed(text)


def decrypt(secret: str, body: bytes) -> bytes:
    """The text of a body. Takes tens of milliseconds.

    :raises BadDocument: encrypted with another key, cut off, or not encrypted at all
    """
    if len(body) < HEAD_BYTES + TAG_BYTES:
        raise BadDocument()
    stream, pieces = _stream(secret, body[:HEAD_BYTES]), _pieces(body[HEAD_BYTES:], FRAGMENT_BYTES + TAG_BYTES)
    try:
        return b"".join(stream.open(i, piece, i == len(pieces)) for i, piece in enumerate(pieces, 1))
    except InvalidTag:
        raise BadDocument() from None


class Envelopes:
    """The two of them without holding up the event loop, and not too many at once: one of each key, so that whoever asks
    for a thousand, which takes no right but a key, waits for himself and not the others for him.
    """

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(DERIVATIONS_MAX)
        self._callers: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def seal(self, secret: str, text: bytes) -> bytes:
        async with self._of(secret), self._turns:
            return await asyncio.to_thread(encrypt, secret, text)

    async def open(self, secret: str, body: bytes) -> bytes:
        """:raises BadDocument:"""
        async with self._of(secret), self._turns:
            return await asyncio.to_thread(decrypt, secret, body)

    def _of(self, secret: str) -> asyncio.Lock:
        """Forgotten when nobody holds it or waits for it."""
        lock = self._callers.get(secret)
        if lock is None:
            lock = self._callers[secret] = asyncio.Lock()
        return lock
