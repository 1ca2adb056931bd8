"""The interface of one drive.

Two implementations stand behind it: the mapped engine (``sos/drive/mapped.py``) and the memory engine with
faults (``tests/kit``); one conformance suite holds both. Nothing here knows what a row means: tables, keys
and values are bytes, written by ``sos/meta``.

All calls block and are made from threads, except ``begin_read`` and reads of a small number of rows, which
may run on the event loop. Every failure of the device is a :class:`~sos.domain.errors.DriveFault`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

#: Named tables of the index, in the order of FORMAT.md. ``local`` is this drive's own state; all other tables
#: but ``inline`` are byte-identical on every in-sync drive of a set.
TABLES = (
    "current",
    "versions",
    "vids",
    "inline",
    "manifests",
    "uploads",
    "parts",
    "oplog",
    "extents",
    "fences",
    "counters",
    "undo",
    "buckets",
    "sys",
    "local",
)


class Row(NamedTuple):
    """One change of the index: ``value`` None deletes the row."""

    table: str
    key: bytes
    value: bytes | None


class Position(NamedTuple):
    """Where a log ends: compared as (epoch, seq)."""

    epoch: int
    seq: int


class Space(NamedTuple):
    """Bytes of the drive's file system."""

    total: int
    free: int


@dataclass(frozen=True, slots=True)
class Group:
    """One transaction: a group of operations, or a step of recovery.

    :param epoch: the owner's epoch; the drive refuses when it has promised another
    :param expect: the drive's last position must be this
    :param last: its last position afterwards
    :param rows: replicated changes, in order (a later row of the same key wins)
    :param own_rows: this drive's own rows (its shards of inline objects; ``local`` state)
    :param frees: the group only gives space back (deletes, trimming): taken also below the reserve
    """

    epoch: int
    expect: Position
    last: Position
    rows: Sequence[Row]
    own_rows: Sequence[Row] = field(default=())
    frees: bool = False


class ReadTxn(Protocol):
    """A consistent snapshot of a drive's index. Used by one thread at a time; may move between threads."""

    @property
    def last(self) -> Position:
        """The last operation in the snapshot."""

    def get(self, table: str, key: bytes) -> bytes | None: ...

    def scan(
        self, table: str, start: bytes, stop: bytes | None, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Rows with ``start <= key < stop`` (to the end where stop is None) in key order, or from the end down."""

    def close(self) -> None:
        """Give the reader slot back. Idempotent."""


class DriveEngine(Protocol):
    """One open drive."""

    @property
    def drive_id(self) -> str:
        """The drive's own UUID, from format.json."""

    @property
    def path(self) -> str:
        """The directory, for messages."""

    # -- index -------------------------------------------------------------------------------------

    def begin_read(self) -> ReadTxn: ...

    def promised(self) -> int:
        """The highest epoch promised durably; 0 on a new drive."""

    def last(self) -> Position:
        """The last applied operation; (0, 0) on a new drive."""

    def voting(self) -> bool:
        """Whether this drive has a vote: false for a blank or foreign drive that is not rebuilt."""

    def promise(self, epoch: int) -> Position:
        """Durably refuse every lower epoch from now on; the last position.

        :raises DriveFenced: a higher epoch is promised already
        """

    def apply(self, group: Group) -> None:
        """One durable transaction: check epoch and position, write the rows, move the position.

        :raises DriveFenced: promised epoch differs from ``group.epoch``
        :raises DriveBehind: last position differs from ``group.expect``
        :raises DriveFull: no space for the index
        """

    def set_voting(self, epoch: int, voting: bool) -> None:
        """Durably set whether the drive votes."""

    # -- volumes -----------------------------------------------------------------------------------

    def create_volume(self, volume: int, size: int) -> None:
        """Create the file for ``volume`` exclusively, with an apparent size of ``size`` bytes and no blocks, and sync the
        directory. A drive that missed the creation gets it with the first ``allocate``.

        :raises FileExistsError: the volume exists (the caller takes the next number)
        """

    def allocate(self, volume: int, offset: int, length: int) -> None:
        """Reserve blocks; after it writes into the range cannot hit a full disk.

        :raises DriveFull: no space, or the reserve would be touched
        """

    def write(self, volume: int, offset: int, buffers: Sequence[memoryview]) -> None:
        """Write at ``offset``; offset and every length are multiples of 4096 and buffers page-aligned (O_DIRECT)."""

    def sync(self, volume: int) -> None:
        """fdatasync; after a failure the volume is sealed on this drive and never synced again."""

    def read(self, volume: int, offset: int, length: int, sequential: bool = False) -> memoryview:
        """The bytes of a range, mapped and already faulted in: touching them cannot raise SIGBUS afterwards
        except by a new device error. Falls back to pread into a buffer on a suspected drive, and for what cannot be mapped.

        :param sequential: the range is part of a run of megabytes that is read to its end, so that more of it may be
            fetched from the device
        :raises DriveFault: the device failed, or the volume is missing or too short
        """

    def punch(self, volume: int, offset: int, length: int) -> None:
        """Give the blocks of a freed extent back."""

    def volumes(self) -> dict[int, int]:
        """Volume → bytes of blocks allocated to it."""

    def remove_volume(self, volume: int) -> None:
        """Unlink a volume that holds no live extent; no error when it is gone."""

    # -- the drive ---------------------------------------------------------------------------------

    def space(self) -> Space: ...

    def suspect(self) -> None:
        """From now on read by pread, never through the mapping."""

    def close(self) -> None: ...
