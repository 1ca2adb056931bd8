"""Reports of how buckets and objects stand on the drives, item by item, as ``mc admin heal`` asks for them.

A report is made while it is fetched: each step looks at some more rows, of a snapshot of its own, so nothing is held while
nobody asks. It lives in the worker that began it; the others fetch from there over the mesh.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from ..domain.errors import Busy, DriveFault, NoSuchBucket, StoreError
from ..erasure.handle import Snapshot
from ..erasure.set import ErasureSet
from ..erasure.standing import State
from ..meta import queries
from ..meta.records import BucketRecord, DataRef, ObjectRecord
from ..meta.rows import open_object
from ..meta.walk import Bound, after, at, inside, walk
from .anywhere import DRIVES_TRIED_MAX
from .buckets import Buckets
from .fleet import TOPIC_HEAL, Fleet

#: Of one step, and for how long it looks.
ITEMS_MAX = 1000
STEP_S_MAX = 0.5
#: In one worker; of more the oldest is forgotten, and any that nobody asked for so long.
REPORTS_MAX = 32
KEPT_S = 600.0
#: For another worker to answer a step.
ANSWER_S_MAX = 10.0
TABLES = ("current", "versions")


class Item(msgspec.Struct, array_like=True, frozen=True):
    """One bucket, or one version of an object.

    :param set: its number; -1 for a bucket, which is on all sets
    :param states: by drive, of the set or of all sets
    :param k: data shards, 0 where it has no payload
    """

    bucket: str
    object: bytes = b""
    version_id: bytes = b""
    size: int = 0
    set: int = -1
    k: int = 0
    m: int = 0
    states: tuple[State, ...] = ()


class Step(msgspec.Struct, array_like=True, frozen=True):
    """What a fetch gave.

    :param ended: there is no more
    :param failure: why there is no more, empty unless something could not be read
    """

    items: tuple[Item, ...] = ()
    ended: bool = False
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a report is about.

    :param bucket: empty for all
    :param prefix: of the keys; without ``recursive`` the key itself
    :param recursive: objects too, not only buckets
    """

    bucket: str = ""
    prefix: bytes = b""
    recursive: bool = False


@dataclass(slots=True)
class _Place:
    """Where a report is: what comes next."""

    bucket: int = 0
    told: bool = False
    set: int = 0
    table: int = 0
    bound: Bound | None = None


@dataclass(slots=True)
class _Report:
    wanted: Wanted
    buckets: Sequence[BucketRecord]
    place: _Place = field(default_factory=_Place)
    used_s: float = field(default_factory=time.monotonic)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class HealReports:
    """Those that this worker makes, and the way to those of the others."""

    def __init__(self, sets: Sequence[ErasureSet], buckets: Buckets, fleet: Fleet) -> None:
        self._sets, self._buckets, self._fleet = sets, buckets, fleet
        self._reports: OrderedDict[int, _Report] = OrderedDict()
        # numbers of an earlier worker of this slot must not be taken for ones of this
        self._numbers = itertools.count(time.time_ns() // 1_000_000)

    async def begin(self, wanted: Wanted, sees: Callable[[BucketRecord], bool]) -> tuple[int, int]:
        """Worker and number of a new report.

        :param sees: whether who asks may know of a bucket
        :raises NoSuchBucket, ReadQuorumLost
        """
        if wanted.bucket:
            every: Sequence[BucketRecord] = [await self._buckets.get(wanted.bucket)]
        else:
            every = [one for one in await self._buckets.every() if one.state == "live"]
        found = [one for one in every if sees(one)]
        if wanted.bucket and not found:
            raise NoSuchBucket(bucket=wanted.bucket)
        self._forget()
        number = next(self._numbers)
        self._reports[number] = _Report(wanted, found)
        return self._fleet.slot, number

    async def fetch(self, slot: int, number: int) -> Step | None:
        """The next items; None for a report that is not known any more.

        :raises Busy: its worker does not answer
        """
        if slot == self._fleet.slot:
            return await self._step(number)
        if slot >= len(self._fleet):
            return None
        answer = await self._fleet.ask_one(slot, TOPIC_HEAL, number.to_bytes(8, "big"), ANSWER_S_MAX)
        if answer is None:
            raise Busy("the worker that makes the report does not answer")
        found: Step | None = _decode(answer)
        return found

    async def topic(self, payload: bytes) -> bytes:
        """What another worker fetches."""
        return _encode(await self._step(int.from_bytes(payload, "big")))

    def _forget(self) -> None:
        now_s = time.monotonic()
        for number, report in list(self._reports.items()):
            if now_s - report.used_s > KEPT_S or len(self._reports) >= REPORTS_MAX:
                del self._reports[number]

    async def _step(self, number: int) -> Step | None:
        report = self._reports.get(number)
        if report is None:
            return None
        async with report.lock:
            report.used_s = time.monotonic()
            try:
                items = await self._items(report)
            except StoreError as error:
                return Step(ended=True, failure=f"{error.name}: {error.message}")
            return Step(tuple(items), ended=report.place.bucket >= len(report.buckets))

    async def _items(self, report: _Report) -> list[Item]:
        found: list[Item] = []
        until_s = time.monotonic() + STEP_S_MAX
        while report.place.bucket < len(report.buckets) and len(found) < ITEMS_MAX and time.monotonic() < until_s:
            found += await self._next(report, ITEMS_MAX - len(found), until_s)
        return found

    async def _next(self, report: _Report, most: int, until_s: float) -> list[Item]:
        place, wanted = report.place, report.wanted
        bucket = report.buckets[place.bucket]
        if not place.told:
            place.told = True
            states = await asyncio.to_thread(lambda: [state for one in self._sets for state in one.standing().drives()])
            return [Item(bucket.name, states=tuple(states))]
        if place.set == len(self._sets) or not (wanted.recursive or wanted.prefix):
            report.place = _Place(place.bucket + 1)
            return []
        items, bound = await self._of_set(self._sets[place.set], bucket, report, most, until_s)
        if bound is not None:
            place.bound = bound
            return items
        place.bound, place.table = None, place.table + 1
        if place.table == len(TABLES):
            place.set, place.table = place.set + 1, 0
        return items

    async def _of_set(
        self, one: ErasureSet, bucket: BucketRecord, report: _Report, most: int, until_s: float
    ) -> tuple[list[Item], Bound | None]:
        """Items of a set from a table, and where to go on in it; None at its end."""
        place, wanted = report.place, report.wanted
        for tries in range(DRIVES_TRIED_MAX, 0, -1):
            snapshot = one.snapshot_now() or await one.snapshot()
            try:
                look = _Look(one, snapshot, bucket, wanted, TABLES[place.table])
                return await asyncio.to_thread(look.take, place.bound or at(wanted.prefix), most, until_s)
            except DriveFault as error:
                one.distrust(snapshot, error)
                if tries == 1:
                    raise
            finally:
                snapshot.close()
        raise AssertionError("unreachable")


class _Look:
    """One look at one table of a set. Plain functions for a thread."""

    def __init__(self, one: ErasureSet, snapshot: Snapshot, bucket: BucketRecord, wanted: Wanted, table: str) -> None:
        self._number, self._snapshot, self._bucket = one.number, snapshot, bucket
        self._wanted, self._table = wanted, table
        self._standing = one.standing()

    def take(self, start: Bound, most: int, until_s: float) -> tuple[list[Item], Bound | None]:
        found: list[Item] = []
        rows = walk(self._snapshot, self._table, self._bucket.bucket_id, self._wanted.prefix, start)
        for key, row, value in rows:
            if not self._wanted.recursive and key != self._wanted.prefix:
                return found, None
            found.append(self._item(key, open_object(row, value)))
            if len(found) >= most or time.monotonic() > until_s:
                return found, after(key) if self._table == "current" else inside(key, row[-8:])
        return found, None

    def _item(self, key: bytes, record: ObjectRecord) -> Item:
        refs = list(self._refs(record))
        k, m = (refs[0].k, refs[0].m) if refs else (0, 0)
        states = tuple(self._standing.of(refs))
        return Item(self._bucket.name, key, record.version_id, record.size, self._number, k, m, states)

    def _refs(self, record: ObjectRecord) -> Iterator[DataRef]:
        if record.data is not None:
            yield record.data
        if record.manifest:
            manifest = queries.manifest(self._snapshot, record.manifest)
            yield from (part.data for part in manifest.parts if part.data is not None) if manifest is not None else ()


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Step | None).decode
