"""What ``mc support inspect`` takes: a zip archive, sealed for somebody else to look at.

Two forms (madmin-go ``inspect.go`` and ``estream``). 1: a byte 1, the key, the sealed archive. 2: a sequence of blocks, each
a MessagePack number (what it is) and length before its content; the key is in it sealed with an RSA key that the client
named, so that only its owner can open the archive.
"""

from __future__ import annotations

import base64
import binascii
import os
from enum import IntEnum

import msgspec
import xxhash
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
    load_pem_public_key,
)

from ..domain.errors import InvalidAdminArgument
from .crypto import PREFIX_BYTES, Fragments

KEY_BYTES = 32
VERSION = bytes([2, 1])
NAME = "inspect.zip"
PIECE_BYTES = 64 * 1024
RSA_BITS_MIN, RSA_BITS_MAX = 2048, 8192
_XXHASH = 1
_encode = msgspec.msgpack.Encoder().encode


class _Block(IntEnum):
    ENCRYPTED_KEY = 2
    ENCRYPTED_STREAM = 3
    DATA = 5
    END_OF_STREAM = 6
    END = 7


def plain_key(archive: bytes) -> bytes:
    """Form 1."""
    key = os.urandom(KEY_BYTES)
    return b"\x01" + key + Fragments(AESGCM(key), bytes(PREFIX_BYTES)).sealed(archive)


def sealed_key(archive: bytes, public: RSAPublicKey) -> bytes:
    """Form 2."""
    key, nonce = os.urandom(KEY_BYTES), bytes(PREFIX_BYTES)
    sealed = Fragments(AESGCM(key), nonce).sealed(archive)
    der = public.public_bytes(Encoding.DER, PublicFormat.PKCS1)
    wrapped = public.encrypt(key, padding.OAEP(padding.MGF1(hashes.SHA512()), hashes.SHA512(), None))
    pieces = [sealed[at : at + PIECE_BYTES] for at in range(0, len(sealed), PIECE_BYTES)]
    return VERSION + b"".join(
        (
            _block(_Block.ENCRYPTED_KEY, der, wrapped),
            _block(_Block.ENCRYPTED_STREAM, NAME, b"", _XXHASH, nonce),
            *(_block(_Block.DATA, piece) for piece in pieces),
            _block(_Block.END_OF_STREAM, xxhash.xxh64_digest(sealed)),
            _block(_Block.END),
        )
    )


def _block(kind: _Block, *content: bytes | str | int) -> bytes:
    body = b"".join(map(_encode, content))
    return _encode(int(kind)) + _encode(len(body)) + body


def read_public_key(text: str) -> RSAPublicKey:
    """As a client sends it: base64 of PEM, or of DER. :raises InvalidAdminArgument:"""
    try:
        raw = base64.b64decode(text, validate=True)
        key = load_pem_public_key(raw) if raw.lstrip().startswith(b"-----") else load_der_public_key(raw)
    except (ValueError, binascii.Error):
        raise InvalidAdminArgument("public-key is no RSA key.") from None
    if not isinstance(key, RSAPublicKey) or not RSA_BITS_MIN <= key.key_size <= RSA_BITS_MAX:
        raise InvalidAdminArgument("public-key is no RSA key.")
    return key
