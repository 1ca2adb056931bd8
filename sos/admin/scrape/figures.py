"""What the metrics are made of, gathered once for one answer."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import cached_property

from ...erasure.protocol import write_quorum
from ...meta.records import BucketRecord, CounterRecord
from ...observe.tallies import Cell, Tally, summed, summed_by_bucket
from ...services import measures
from ...services.fleet import TOPIC_MEASURES
from ...services.usage import Usages
from ..call import Services
from ..cluster import Drive, ServerFacts, SetShape

BUCKETS_MAX = 1_000_000


class SetState:
    """One erasure set and what it can do at this moment."""

    def __init__(self, shape: SetShape) -> None:
        self.shape = shape
        n = len(shape.drives)
        self.data = n - shape.parity
        self.read_quorum = self.data
        self.write_quorum = write_quorum(self.data, shape.parity)
        self.online = sum(drive.state == "ok" for drive in shape.drives)
        self.healing = sum(drive.healing for drive in shape.drives)

    @property
    def writable(self) -> bool:
        return self.online >= self.write_quorum

    @property
    def readable(self) -> bool:
        return self.online >= self.read_quorum

    def usable(self, raw: int) -> int:
        """Bytes of payload that some bytes of its drives hold."""
        return raw * self.data // len(self.shape.drives)


@dataclass
class Figures:
    """:param records: of all buckets"""

    services: Services
    facts: ServerFacts
    sets: list[SetState]
    usages: Usages
    records: list[BucketRecord]
    processes: measures.Processes
    _machine: measures.Machine | None = None

    @property
    def drives(self) -> list[Drive]:
        return [drive for one in self.sets for drive in one.shape.drives]

    @property
    def online(self) -> int:
        return sum(one.online for one in self.sets)

    @cached_property
    def held(self) -> CounterRecord:
        return self.usages.of_all()

    @cached_property
    def tallies(self) -> dict[str, Tally]:
        """Operation → what all workers counted of it."""
        observing = self.services.observing
        return summed(observing.names, map(observing.board.tally, range(observing.board.workers)))

    def by_bucket(self) -> list[tuple[str, str, Cell]]:
        observing = self.services.observing
        slots = map(observing.board.tally, range(observing.board.workers))
        return list(summed_by_bucket(observing.names, slots, [record.name for record in self.records]))

    async def machine(self) -> measures.Machine:
        """Over a short while, once for one answer."""
        if self._machine is None:
            devices = [drive.device for drive in self.drives if any(drive.device)]
            self._machine = await asyncio.to_thread(measures.machine, devices)
        return self._machine


async def gather(services: Services) -> Figures:
    """Everything as it is now. :raises ReadQuorumLost:"""
    _, sets, usages, (records, _), processes = await asyncio.gather(
        services.observing.fleet.ask(TOPIC_MEASURES, b""),
        services.cluster.sets(),
        services.usage.now(),
        services.buckets.list("", "", BUCKETS_MAX),
        asyncio.to_thread(measures.processes),
    )
    return Figures(services, services.cluster.facts(), [SetState(one) for one in sets], usages, records, processes)
