"""One erasure set as the services see it: view, writer, reader and the way to its owner in one handle."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from ..domain.body import Body, BodyStream
from ..domain.errors import DriveFault, NoSuchKey, ReadQuorumLost
from ..meta.proposals import AnyProposal, Outcome
from ..meta.records import DataRef
from ..placement.parity import with_drives_gone
from .handle import Snapshot, Staged
from .reader import open_extent, read_inline, rebuild_inline
from .reads import OpenReads
from .standing import Standing
from .unsettled import Unsettled
from .view import SetSnapshot, SetView
from .writer import SetWriter

Submit = Callable[[Sequence[AnyProposal]], Awaitable[list[Outcome]]]
ParityOf = Callable[[str], tuple[int, int]]


class Finding(StrEnum):
    """What a worker has found of a drive.

    FAILED: a write or a sync failed. DOUBTFUL: a read failed, perhaps of one sector only. DAMAGED: rows are bad.
    """

    FAILED = "failed"
    DOUBTFUL = "doubtful"
    DAMAGED = "damaged"


OnFault = Callable[[int, int, Finding, DriveFault], None]


@dataclass(frozen=True, slots=True)
class SetIdentity:
    """What is fixed about a set.

    :param number: among all sets of the deployment
    :param drives: how many drives it has
    :param deployment_key: 32 bytes that key every digest
    """

    number: int
    pool: int
    drives: int
    deployment_key: bytes


class ErasureSet:
    """Implements :class:`~sos.erasure.handle.SetHandle`.

    :param submit: brings proposals to the owner: in this worker, or through the mesh
    :param geometry: storage class → (k, m)
    :param on_bad: told (set, drive, data id) of every shard that failed its digest
    :param on_fault: told (set, drive, what, error) of drives that readers found failing
    """

    def __init__(
        self,
        identity: SetIdentity,
        view: SetView,
        writer: SetWriter,
        submit: Submit,
        geometry: ParityOf,
        reads: OpenReads,
        on_bad: Callable[[int, int, bytes], None],
        on_fault: OnFault | None = None,
    ) -> None:
        self.number = identity.number
        self.pool = identity.pool
        self.view = view
        self.writer = writer
        self._identity = identity
        self._submit = submit
        self._geometry = geometry
        self._reads = reads
        self._on_bad = on_bad
        self._on_fault = on_fault
        self._unsettled = Unsettled(self.number, self.submit, self.snapshot, writer.discard)

    def snapshot_now(self) -> SetSnapshot | None:
        return self.view.snapshot_now()

    async def snapshot(self) -> SetSnapshot:
        return await self.view.snapshot()

    async def submit(self, proposals: Sequence[AnyProposal]) -> list[Outcome]:
        # shielded: a client that goes away must not leave a commit with nobody waiting for its end
        return await asyncio.shield(self._submit(proposals))

    def standing(self) -> Standing:
        """Which drives hold what, as of now. Blocking, as what it is asked is."""
        return Standing(self.view, self._identity.deployment_key)

    async def stage(self, body: Body, storage_class: str) -> Staged:
        k, m = with_drives_gone(*self._geometry(storage_class), self.writer.drives_alive())
        return await self.writer.stage(body, k, m)

    async def discard(self, staged: Staged) -> None:
        await self.writer.discard(staged)

    def unsettled(self, request_id: bytes, staged: Staged) -> None:
        self._unsettled.add(request_id, staged)

    def open_data(self, ref: DataRef, start: int, length: int) -> BodyStream:
        ticket = self._reads.begin()
        try:
            stream = open_extent(
                self.view.engines, ref, self.view.usable(), self._identity.deployment_key, start, length, self._bad, self._doubt
            )
        except BaseException:
            self._reads.end(ticket)
            raise
        return _Registered(stream, self._reads, ticket)

    def hold(self) -> Callable[[], None]:
        return partial(self._reads.end, self._reads.begin())

    def _doubt(self, drive: int, error: DriveFault) -> None:
        if self._on_fault is not None:
            self._on_fault(self.number, drive, Finding.DOUBTFUL, error)

    def beside(self, snapshot: Snapshot) -> SetSnapshot | None:
        return self.view.snapshot_now(snapshot.drive) if isinstance(snapshot, SetSnapshot) else None

    def distrust(self, snapshot: Snapshot, error: DriveFault) -> None:
        if isinstance(snapshot, SetSnapshot):
            self.view.shun(snapshot.drive)
            if self._on_fault is not None:
                self._on_fault(self.number, snapshot.drive, Finding.DAMAGED, error)

    def _bad(self, drive: int, data_id: bytes) -> None:
        self._on_bad(self.number, drive, data_id)

    def read_inline(self, ref: DataRef, start: int, length: int) -> bytes:
        key = self._identity.deployment_key
        rows = self.view.inline_rows(ref, ref.k)
        try:
            return read_inline(rows, ref, key, start, length, self._bad)
        except ReadQuorumLost:
            rows = self.view.inline_rows(ref, len(rows))
        try:
            return read_inline(rows, ref, key, start, length, self._bad)
        except ReadQuorumLost as error:
            if self.view.lacks_inline(ref):
                # its object was replaced or deleted after the record was read, on some drives or on all; that change may
                # still be on its way to the others
                raise NoSuchKey(replaced=True) from error
            raise

    def space_free(self) -> int:
        """Payload bytes that still fit, by the fullest drive."""
        k, _ = self._geometry("STANDARD")
        free = []
        for drive, engine in enumerate(self.view.engines):
            if engine is not None and self.view.usable() >> drive & 1:
                try:
                    free.append(engine.space().free)
                except DriveFault:
                    continue  # its owner finds out; it has no space to offer
        if not free:
            raise ReadQuorumLost(set=self.number)
        return min(free) * k


def shard_rebuilder(view: SetView, deployment_key: bytes) -> Callable[[DataRef, int], bytes]:
    """Makes the inline shard of a drive from those of the others (``Owner.rebuild``).

    Drives outside the published mask are asked only where the others do not suffice: while the first owner of a server
    recovers there is no mask yet. A shard is what its digest says, whatever else its drive missed.
    """

    def rebuild(ref: DataRef, drive: int) -> bytes:
        rows = view.inline_rows(ref, len(view.engines))
        try:
            return rebuild_inline(rows, ref, deployment_key, drive)
        except ReadQuorumLost:
            return rebuild_inline(view.inline_rows(ref, len(rows), in_sync=False), ref, deployment_key, drive)

    return rebuild


class _Registered:
    """A stream that keeps its place among the open reads until it is closed."""

    def __init__(self, stream: BodyStream, reads: OpenReads, ticket: int) -> None:
        self._stream = stream
        self._reads = reads
        self._ticket = ticket
        self.length = stream.length
        self.next_batch = stream.next_batch
        self.put_back = stream.put_back

    def close(self) -> None:
        self._stream.close()
        self._reads.end(self._ticket)
