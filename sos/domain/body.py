"""The body of a write, as the layers below the protocol see it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Digests:
    """What was computed over the payload while it streamed by.

    :param md5: 16 bytes
    :param checksums: algorithm (``CRC32 CRC32C CRC64NVME SHA1 SHA256``) → raw digest, big-endian
    """

    md5: bytes
    checksums: dict[str, bytes] = field(default_factory=dict)


class Body(Protocol):
    """A payload of known size, read once, front to back. All framing is already taken off.

    ``fill`` and ``finish`` run on the event loop and move the bytes in pool threads.
    """

    @property
    def size(self) -> int:
        """Payload bytes in all."""

    async def fill(self, view: memoryview) -> None:
        """Put exactly the next ``len(view)`` payload bytes into ``view``.

        It keeps no reference to ``view`` afterwards; cancelled, it returns when no thread writes into ``view`` any more.

        :raises IncompleteBody: the client closed or lied about its length
        :raises BodyTimeout: nothing came for too long
        :raises SignatureMismatch, MalformedFraming: a chunk is not what it claims to be
        """

    async def finish(self) -> Digests:
        """After ``size`` bytes: read what follows them (trailers), check every declared digest and signature.

        :raises BadDigest, ChecksumMismatch, ContentHashMismatch, SignatureMismatch, ExcessBody
        """


FRESH_S = 0.005
"""How long verified bytes of a ``BodyStream`` may wait in a mapping, seconds: a device that fails or is written over
changes them. What waited longer is put back and verified again."""


class BodyStream(Protocol):
    """The body of a reply, produced in batches by a pool thread."""

    @property
    def length(self) -> int:
        """Bytes in all."""

    def next_batch(self) -> list[memoryview]:
        """The next 1–2 MiB as slices that stay valid until the following call or ``close``; empty at the end.

        Blocking (page faults, verification, reconstruction): call it in a pool thread.

        :raises ReadQuorumLost: too few good shards are left; the connection must be cut, never padded
        """

    def put_back(self, count: int) -> None:
        """The last ``count`` bytes handed out waited too long to be used: the next batch begins with them, verified
        anew. At most what the last batch had. Cheap.
        """

    def close(self) -> None:
        """Release mappings and reader slots. Idempotent; always called."""
