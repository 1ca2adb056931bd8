"""What the services see of one erasure set, in any worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from ..domain.body import Body, BodyStream, Digests
from ..domain.errors import DriveFault
from ..meta.proposals import AnyProposal, Outcome
from ..meta.records import DataRef


class Snapshot(Protocol):
    """A consistent view of a set's index at a published sequence. Used by one thread at a time."""

    @property
    def seq(self) -> int: ...

    def get(self, table: str, key: bytes) -> bytes | None: ...

    def scan(self, table: str, start: bytes, stop: bytes | None, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Staged:
    """A payload that is durable on the drives but not referenced by any record.

    :param data: None for an empty payload
    :param inline: shards in the order of the set's drives when ``data.volume`` is 0
    :param extent: bytes of the extent on each drive, 0 for inline data
    """

    data: DataRef | None
    inline: tuple[bytes, ...]
    extent: int
    digests: Digests


class SetHandle(Protocol):
    """One erasure set."""

    number: int
    pool: int

    def snapshot_now(self) -> Snapshot | None:
        """A snapshot without waiting, or None when one must wait (``snapshot``). On the event loop."""

    async def snapshot(self) -> Snapshot:
        """A snapshot at or after everything acknowledged so far.

        :raises ReadQuorumLost: no drive can serve it in time
        """

    def beside(self, snapshot: Snapshot) -> Snapshot | None:
        """A snapshot of another drive, at or after the committed operations; None where there is none at once. What is
        damaged in the tree of an index is not found there, and no checksum tells: a miss is believed when two drives
        agree on it.
        """

    def distrust(self, snapshot: Snapshot, error: DriveFault) -> None:
        """A row of the snapshot's drive is bad: read elsewhere from now on, and have the drive copied anew."""

    async def submit(self, proposals: Sequence[AnyProposal]) -> list[Outcome]:
        """Have the owner decide and commit. Retried with the same request ids while the owner is replaced.

        :raises WriteQuorumLost: outcome unknown
        :raises Busy: no owner in time
        """

    async def stage(self, body: Body, storage_class: str) -> Staged:
        """Receive, encode and durably write a payload.

        :raises StorageFull, WriteQuorumLost, and whatever the body raises; nothing is left behind then
        """

    async def discard(self, staged: Staged) -> None:
        """Give the space of a staged payload back that was refused by the owner."""

    def unsettled(self, request_id: bytes, staged: Staged) -> None:
        """Nobody knows what became of the proposal that refers to a staged payload: find out, and give the space back if it
        was not committed. In the background; the proposal must not be offered again."""

    def open_data(self, ref: DataRef, start: int, length: int) -> BodyStream:
        """A stream of ``length`` payload bytes from ``start``. The first ``next_batch`` verifies the first unit.

        :raises ReadQuorumLost: at the first batch
        :raises NoSuchKey: inline data is gone: the object was replaced since the snapshot; read the record again
        """

    def hold(self) -> Callable[[], None]:
        """Until the returned function is called (again does nothing), extents that snapshots of now show are not given
        back, though they be freed. For reads that open their extents one after the other."""

    def read_inline(self, ref: DataRef, start: int, length: int) -> bytes:
        """Inline data at once, on the event loop. Raises like ``open_data``."""

    def space_free(self) -> int:
        """Payload bytes that still fit."""
