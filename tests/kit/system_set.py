"""A set as the services see it, over memory drives: its owner, its view, and commits that can be held before they are
published."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from sos.base.pages import Pages
from sos.domain.errors import DriveFault
from sos.erasure.owner import Owner
from sos.erasure.view import SetSnapshot, SetView
from sos.meta.proposals import AnyProposal, Outcome
from sos.meta.records import BucketRecord
from sos.meta.transitions import decide
from sos.services.buckets import Buckets
from sos.services.unfinished import Unfinished
from tests.kit.owned_set import QUICK, OwnedSet, abandon


class ServedSet:
    """The part of ``SetHandle`` that buckets need."""

    def __init__(self, drives: OwnedSet, owner: Owner) -> None:
        self.number, self.pool = drives.number, 0
        self._view = SetView(drives.number, drives.engines, drives.pages)
        self._owner = owner
        #: Called before each submission with its proposals, and before each awaited snapshot with None; may return
        #: something to wait for.
        self.before: Callable[[Sequence[AnyProposal] | None], Any] = lambda proposals: None

    def beside(self, snapshot: SetSnapshot) -> SetSnapshot | None:
        return self._view.snapshot_now(snapshot.drive)

    def distrust(self, snapshot: SetSnapshot, error: DriveFault) -> None:
        self._view.shun(snapshot.drive)
        self._owner.drop_drive(snapshot.drive, str(error), damaged=True)

    def snapshot_now(self) -> SetSnapshot | None:
        return self._view.snapshot_now()

    async def snapshot(self) -> SetSnapshot:
        if (waited := self.before(None)) is not None:
            await waited
        return await self._view.snapshot()

    async def submit(self, proposals: Sequence[AnyProposal]) -> list[Outcome]:
        if (waited := self.before(proposals)) is not None:
            await waited
        return await self._owner.submit(proposals)


class ServedSets:
    """The part of ``Pools`` that buckets need: the first set is the system's."""

    def __init__(self, *sets: ServedSet) -> None:
        self.all = list(sets)
        self.system = sets[0]


def hold_after_apply(drives: OwnedSet) -> threading.Event:
    """The next group is on every drive, and its owner does not hear of it until the event is set."""
    release = threading.Event()

    def act(call: Callable[[], Any], args: tuple[Any, ...]) -> None:
        call()
        release.wait()

    for engine in drives.engines:
        engine._arm("apply", act, 1, False)
    return release


class Deployment:
    """Two sets, and the service as each of several workers has it."""

    def __init__(self, drives: list[OwnedSet], owners: list[Owner], pages: Pages) -> None:
        self.drives, self.owners, self.pages = drives, owners, pages

    def worker(self) -> tuple[Buckets, ServedSet]:
        """The service, and its handle of set 0."""
        handles = [ServedSet(drives, owner) for drives, owner in zip(self.drives, self.owners, strict=True)]
        return Buckets(ServedSets(*handles), self.pages), handles[0]  # type: ignore[arg-type]

    def unfinished(self) -> Unfinished:
        """What ends deletions, as the owner of set 0 has it."""
        handles = [ServedSet(drives, owner) for drives, owner in zip(self.drives, self.owners, strict=True)]
        pools = ServedSets(*handles)
        return Unfinished(Buckets(pools, self.pages), pools)  # type: ignore[arg-type]

    async def put(self, number: int, bucket: BucketRecord) -> Any:
        proposal = msgspec.structs.replace(self.drives[number].put("key"), bucket_id=bucket.bucket_id)
        return (await self.owners[number].submit([proposal]))[0]

    async def remove(self, number: int, bucket: BucketRecord) -> Any:
        proposal = msgspec.structs.replace(self.drives[number].delete("key"), bucket_id=bucket.bucket_id)
        return (await self.owners[number].submit([proposal]))[0]


@asynccontextmanager
async def deployment() -> AsyncIterator[Deployment]:
    drives = [OwnedSet(), OwnedSet(seed=1)]
    drives[1].number, drives[1].pages = 1, drives[0].pages
    made = Deployment(drives, [], drives[0].pages)
    records: list[Buckets] = []
    for one in drives:
        made.owners.append(
            Owner(
                one.number,
                one.open(),
                one.pages,
                decide,
                lambda number: records[0].decide_record(number),
                2,
                2,
                limits=QUICK,
                prepare=lambda: records[0].prepare(),
            )
        )
    records.append(made.worker()[0])
    for owner in made.owners:
        await owner.start()
    yield made
    for owner in made.owners:
        await abandon(owner)


async def half_deleted(buckets: Buckets, record: BucketRecord) -> None:
    """What a DeleteBucket leaves that was cut off after its first step."""
    await buckets.update(record, msgspec.structs.replace(record, state="deleting"))
