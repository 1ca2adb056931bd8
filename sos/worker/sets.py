"""The sets as one worker has them: the drives, the view and the writer of every set, and the owner of each it owns."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from ..base.touch import Touches
from ..domain.errors import DriveFault
from ..erasure.buffers import BufferPool
from ..erasure.heal import Heal
from ..erasure.owner import Owner
from ..erasure.pending import BucketOf, Decide
from ..erasure.reads import OpenReads
from ..erasure.set import ErasureSet, Finding, SetIdentity, Submit, shard_rebuilder
from ..erasure.view import SetView
from ..erasure.writer import SetWriter, WriterLimits, WriterPools, make_drives
from ..mesh.client import MeshClient
from ..placement.parity import Parities, parities
from ..placement.sets import KeyMap, owned_by, owner_of
from .context import WorkerContext
from .drives import OpenAs, SetDrives
from .submit import Fault, RemoteOwner, take_finding
from .traced_drive import DriveTraces

log = logging.getLogger("sos.worker")


@dataclass(frozen=True, slots=True)
class Rules:
    """What owners decide by. It comes from the services, which stand on the sets and are built after them.

    See :class:`~sos.erasure.owner.Owner` for each.
    """

    prepare: Callable[[], Awaitable[None]]
    decide: Decide
    bucket_of: BucketOf


class Sets:
    """All sets of the deployment. Built on the event loop; the drives are opened meanwhile.

    :param put_pool: stages the uploads
    :param peers: by slot
    :param traces: told what is done with drives
    :param tell_fault: brings word of a failing drive to the owner of its set, in another worker
    """

    def __init__(
        self,
        context: WorkerContext,
        put_pool: Executor,
        peers: Sequence[MeshClient],
        rules: Rules,
        tell_fault: Callable[[Fault], None],
        traces: DriveTraces,
    ) -> None:
        self.all: list[ErasureSet] = []
        #: by pool
        self.maps: list[KeyMap] = []
        self.drives: list[SetDrives] = []
        #: as they were when the worker started, and for new objects now
        self.classes: list[Parities] = []
        self.live_classes: list[Parities] = []
        #: of the sets that this worker owns
        self.owners: dict[int, Owner] = {}
        self.heals: list[Heal] = []
        self._context, self._settings, self._formation = context, context.settings, context.formation
        self._peers, self._rules, self._tell_fault = peers, rules, tell_fault
        self._traces = traces
        self._loop = asyncio.get_running_loop()
        self._reads = OpenReads(context.pages, context.slot)
        self._touches = Touches(context.pages, context.slot)
        self._locks = dict(context.locks)
        share = self._settings.buffers_bytes_max // context.workers
        self._writer_pools = WriterPools(BufferPool(share), put_pool)
        self._build()

    # -- building ------------------------------------------------------------------------------------

    def _build(self) -> None:
        deployment = bytes.fromhex(self._formation.deployment.replace("-", ""))
        number = 0
        for pool, sets in enumerate(self._formation.layout):
            numbers = range(number, number + len(sets))
            self.maps.append(KeyMap(deployment, numbers))
            for number, paths in zip(numbers, sets, strict=True):
                self.all.append(self._build_set(number, pool, paths))
            number = numbers.stop

    def _build_set(self, number: int, pool: int, paths: list[str]) -> ErasureSet:
        owned = number in owned_by(self._context.slot, self._context.workers, number + 1)
        classes = parities(len(paths), self._settings.storage_class_standard, self._settings.storage_class_rrs)
        drives = SetDrives(number, paths, self._context.pages, self._open_as(number, pool, owned), self._locks)
        view = SetView(number, drives.engines, self._context.pages, turn=self._context.slot)
        self.drives.append(drives)
        self.classes.append(classes)
        self.live_classes.append(classes)
        submit = self._own(number, drives, view, classes) if owned else self._follow(drives)
        writer = SetWriter(
            number,
            make_drives(drives.engines, view.usable, partial(self._drive_failed, number)),
            self._context.slot,
            self._formation.key,
            self._writer_pools,
            WriterLimits(inline_bytes_max=self._settings.inline_bytes_max),
        )
        identity = SetIdentity(number, pool, len(paths), self._formation.key)

        def geometry(storage_class: str) -> tuple[int, int]:
            parity = self.live_classes[number].of(storage_class)
            return len(paths) - parity, parity

        return ErasureSet(identity, view, writer, submit, geometry, self._reads, self._shard_bad, self._found)

    def _open_as(self, number: int, pool: int, owned: bool) -> OpenAs:
        layout = self._formation.layout
        place = (pool, number - sum(len(sets) for sets in layout[:pool]))
        first = sum(len(drives.paths) for drives in self.drives)
        reserve = self._settings.reserve_bytes or None
        return OpenAs(owned, reserve, self._formation.deployment, place, self._touches, first, self._traces)

    def _own(self, number: int, drives: SetDrives, view: SetView, classes: Parities) -> Submit:
        owner = Owner(
            number,
            drives.engines,
            self._context.pages,
            self._rules.decide,
            self._rules.bucket_of,
            len(drives.paths) - classes.standard,
            classes.standard,
            prepare=self._rules.prepare,
            reopen=drives.reopen,
            rebuild_inline=shard_rebuilder(view, self._formation.key),
        )
        self.owners[number] = owner
        self.heals.append(Heal(owner, view, self._formation.key, self._context.pages))
        return owner.submit

    def _follow(self, drives: SetDrives) -> Submit:
        # what was opened is taken at once; nothing waits for it when the loop is gone
        drives.opened = partial(self._soon, drives.follow)
        return RemoteOwner(drives.number, self.owner_peer(drives.number)).submit

    def owner_peer(self, number: int) -> MeshClient:
        """The worker that owns a set."""
        return self._peers[owner_of(number, self._context.workers)]

    # -- drives that fail ----------------------------------------------------------------------------

    def _soon(self, call: Callable[[], None]) -> None:
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(call)

    def _drive_failed(self, number: int, drive: int, error: DriveFault) -> None:
        """A stager of this worker found a drive failing: its owner takes it out of the mask."""
        if number not in self.owners:
            self.drives[number].failed(drive)
        self._tell(number, drive, Finding.FAILED, error)

    def _found(self, number: int, drive: int, finding: Finding, error: DriveFault) -> None:
        """A reader found a drive failing, in any thread."""
        self._loop.call_soon_threadsafe(self._tell, number, drive, finding, error)

    def _tell(self, number: int, drive: int, finding: Finding, error: DriveFault) -> None:
        log.warning(
            "set %d, drive %s is %s: %s %s", number, self.drives[number].paths[drive], finding, error, error.detail
        )
        fault = Fault(number, drive, str(error) or error.name, finding)
        owner = self.owners.get(number)
        if owner is not None:
            take_finding(owner, fault)
        else:
            self._tell_fault(fault)

    def _shard_bad(self, number: int, drive: int, data_id: bytes) -> None:
        log.warning("set %d, drive %s: bad shard of %s", number, self.drives[number].paths[drive], data_id.hex())

    # -- while serving -------------------------------------------------------------------------------

    def looks(self) -> list[Callable[[], None]]:
        """To be called on the loop, often: a few comparisons each."""
        follows = [drives.follow for drives in self.drives if drives.number not in self.owners]
        return follows + [owner.leave_suspects for owner in self.owners.values()]

    def reader_check(self) -> None:
        """Free the snapshots of workers that died, on the drives of the owned sets. In a thread."""
        for number in self.owners:
            self.drives[number].reader_check()

    def release_pages(self, volumes: bool) -> None:
        for drives in self.drives:
            drives.release_pages(volumes)

    def buffers(self) -> int:
        """Bytes that uploads hold or keep for the next."""
        return self._writer_pools.buffers.held

    def trim_buffers(self) -> None:
        if not self._writer_pools.buffers.used:
            self._writer_pools.buffers.trim()

    def close_writers(self) -> None:
        for one in self.all:
            one.writer.close()

    def close_drives(self) -> None:
        for drives in self.drives:
            drives.close()
