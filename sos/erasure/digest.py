"""Digests of stored blocks: blake3, keyed for one shard of one object of one deployment.

The key of a shard is ``blake3(data id ‖ shard number, key = deployment key)``, so a block of another object, shard or
deployment never passes, whatever drive or offset it turns up at.
"""

from __future__ import annotations

from blake3 import blake3

from .geometry import DIGEST_BYTES, UNIT

#: The algorithm byte of footers and inline shards.
BLAKE3_KEYED = 1
#: Bytes in front of an inline shard: algorithm, digest.
INLINE_HEAD = 1 + DIGEST_BYTES

Readable = bytes | bytearray | memoryview


class BadShard(Exception):
    """A stored shard is not what was written. Internal to ``erasure``: it is read around and reported for healing."""


def shard_key(deployment_key: bytes, data_id: bytes, shard: int) -> bytes:
    """The 32-byte key of one shard. ``deployment_key`` has 32 bytes."""
    return blake3(data_id + bytes((shard,)), key=deployment_key).digest()


def digest(key: bytes, data: Readable) -> bytes:
    return blake3(data, key=key).digest()


def unit_digests(key: bytes, block: memoryview) -> bytes:
    """The digests of the units of one block, one after the other."""
    return b"".join([blake3(block[at : at + UNIT], key=key).digest() for at in range(0, len(block), UNIT)])


def seal_inline(key: bytes, shard: Readable) -> bytes:
    """The stored value of an inline shard."""
    return b"".join((bytes((BLAKE3_KEYED,)), blake3(shard, key=key).digest(), shard))


def open_inline(key: bytes, value: bytes, length: int) -> memoryview:
    """The shard inside a stored value.

    :raises BadShard: wrong length, unknown algorithm or digest mismatch
    """
    if len(value) != INLINE_HEAD + length or value[0] != BLAKE3_KEYED:
        raise BadShard("inline shard has a wrong head or length")
    shard = memoryview(value)[INLINE_HEAD:]
    if blake3(shard, key=key).digest() != value[1:INLINE_HEAD]:
        raise BadShard("inline shard does not match its digest")
    return shard
