"""Which drives of a set hold the shards of a payload, for people who ask. It reads no payload, so what rots is not seen."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from ..domain.errors import DriveFault
from ..meta.records import DataRef
from .repair import Repair
from .view import SetView

State = Literal["ok", "missing", "offline"]
"""Of one drive: it has all, it lacks a shard, it is out of the mask."""


class Standing:
    """A set as it is when this is made. Plain functions for threads: drives are looked at."""

    def __init__(self, view: SetView, deployment_key: bytes) -> None:
        drives, mask, healing = len(view.engines), view.state().mask, view.healing()
        self._in_sync = [bool(mask >> drive & 1) for drive in range(drives)]
        #: of drives that may lack more than rows tell
        self._repairs: dict[int, tuple[Repair, bool]] = {}
        for drive in (one for one in range(drives) if healing >> one & 1):
            repair = Repair(view, deployment_key, drive)
            try:
                mark = repair.mark()
            except DriveFault:
                self._in_sync[drive] = False
                continue
            self._repairs[drive] = repair, mark is not None and mark.blank

    def drives(self) -> list[State]:
        """Of what every drive in sync has: rows."""
        return ["ok" if one else "offline" for one in self._in_sync]

    def of(self, refs: Iterable[DataRef]) -> list[State]:
        """By drive, of all the payloads of an object."""
        found = list(refs)
        return [self._state(drive, found) for drive in range(len(self._in_sync))]

    def _state(self, drive: int, refs: list[DataRef]) -> State:
        if not self._in_sync[drive]:
            return "offline"
        repair = self._repairs.get(drive)
        try:
            if repair is not None:
                lacking = any(repair[0].lacks(ref, repair[1]) for ref in refs)
            else:  # an inline shard comes with its row
                lacking = any(ref.volume and not ref.have >> drive & 1 for ref in refs)
        except DriveFault:
            return "offline"
        return "missing" if lacking else "ok"
