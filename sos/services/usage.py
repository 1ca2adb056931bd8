"""What the buckets hold: sums of counters that are exact after every operation."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from ..erasure.handle import SetHandle, Snapshot
from ..meta.records import BucketRecord, CounterRecord
from ..meta.rows import open_row

ID_BYTES = 8


@dataclass(frozen=True, slots=True)
class Usages:
    """:param sets: for each set, bucket id → what it holds there"""

    sets: list[dict[int, CounterRecord]]

    def of_bucket(self, record: BucketRecord) -> CounterRecord:
        return total(held[record.bucket_id] for held in self.sets if record.bucket_id in held)

    def of_set(self, number: int) -> CounterRecord:
        return total(self.sets[number].values())

    def of_all(self) -> CounterRecord:
        return total(self.of_set(number) for number in range(len(self.sets)))


class Usage:
    """The service."""

    def __init__(self, sets: Sequence[SetHandle]) -> None:
        self._sets = sets

    async def now(self) -> Usages:
        """At or after everything acknowledged. :raises ReadQuorumLost:"""
        return Usages([await self._of(one) for one in self._sets])

    async def _of(self, one: SetHandle) -> dict[int, CounterRecord]:
        snapshot = one.snapshot_now() or await one.snapshot()
        try:
            return await asyncio.to_thread(_scan, snapshot)
        finally:
            snapshot.close()


def total(counters: Iterable[CounterRecord]) -> CounterRecord:
    """The sum of some counters."""
    sums = [0] * len(CounterRecord.__struct_fields__)
    for counter in counters:
        sums = [a + b for a, b in zip(sums, msgspec.structs.astuple(counter), strict=True)]
    return CounterRecord(*sums)


def _scan(snapshot: Snapshot) -> dict[int, CounterRecord]:
    found: dict[int, CounterRecord] = {}
    for key, value in snapshot.scan("counters", b"", None):
        number, counter = int.from_bytes(key[:ID_BYTES], "big"), open_row(key, value, CounterRecord)
        found[number] = total((found[number], counter)) if number in found else counter
    return found
