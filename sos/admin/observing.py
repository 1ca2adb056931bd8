"""What the observing half of the admin API looks at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ..base.board import Board
from ..services.buckets import Buckets
from ..services.fleet import Fleet
from ..services.heal_reports import HealReports
from ..services.listing import Listing
from ..services.purge import Purge
from ..services.raw_rows import OnDrive
from ..services.speed import SpeedTest


@dataclass(frozen=True, slots=True)
class Inside:
    """What a look at the inside needs.

    :param raw_rows: bucket id and key → what each drive has of it; blocking
    """

    buckets: Buckets
    listing: Listing
    purge: Purge
    raw_rows: Callable[[int, bytes], list[OnDrive]]
    heal_reports: HealReports


@dataclass(frozen=True, slots=True)
class Observing:
    """:param board: what the processes of this server show
    :param names: operations of S3, in the order in which they are counted
    :param fleet: the workers of this server
    :param looks: what a look at the inside needs; None where there is none
    """

    board: Board = field(default_factory=lambda: Board(1))
    names: Sequence[str] = ()
    fleet: Fleet = field(default_factory=lambda: Fleet((), 0))
    looks: Inside | None = None

    @property
    def inside(self) -> Inside:
        if self.looks is None:
            raise LookupError("nothing to look at")
        return self.looks

    def speed_test(self, bucket: str, clear: bool) -> SpeedTest:
        """A test of the speed of storing and reading. See there for its parameters."""
        inside = self.inside
        return SpeedTest(self.fleet, inside.buckets, inside.purge, bucket, clear)
