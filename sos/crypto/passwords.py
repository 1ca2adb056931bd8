"""Keys from passwords: argon2id (RFC 9106)."""

from __future__ import annotations

from typing import NamedTuple

#: 0.1 s of one core and 64 MiB, once at the start of a server.
MEMORY_KIB, PASSES, LANES = 65536, 3, 4
SALT_BYTES = 16


class Cost(NamedTuple):
    """Parameters of a derivation.

    :param memory_kib: memory in KiB
    :param passes: over that memory
    :param lanes: threads
    """

    memory_kib: int = MEMORY_KIB
    passes: int = PASSES
    lanes: int = LANES


def derive(user: str, password: str, salt: bytes, cost: Cost = Cost()) -> bytes:  # noqa: B008 - immutable
    """32 bytes. Blocks for as long as ``cost`` says, without the interpreter's lock."""
    # imported here: only the process that derives needs it
    from argon2.low_level import Type, hash_secret_raw

    secret = user.encode() + b"\0" + password.encode()
    return hash_secret_raw(secret, salt, cost.passes, cost.memory_kib, cost.lanes, 32, Type.ID)
