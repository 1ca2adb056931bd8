"""Records of buckets as set 0 has them, from a drive where they can be read.

A row that fails its checksum is a fault of its drive, which is then read no more until it has been copied anew; only where
every drive fails is a reader told of it. A miss is believed when two drives agree on it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

from ..domain.errors import BadRow, DriveFault
from ..erasure.handle import SetHandle, Snapshot
from ..meta import queries, rows
from ..meta.records import BucketRecord
from .anywhere import read, read_now

log = logging.getLogger("sos.services.buckets")


class BucketRows:
    """The reading side of table ``buckets``.

    :param system: set 0
    """

    def __init__(self, system: SetHandle) -> None:
        self._system = system

    def find_now(self, name: str) -> BucketRecord | None:
        """The record in any state, at once, on the event loop.

        :raises MustWait: nothing can be read at this moment
        :raises DriveFault: no drive can be read
        """
        return read_now(self._system, lambda snapshot: self._find(snapshot, name))

    async def find(self, name: str) -> BucketRecord | None:
        """The record in any state.

        :raises ReadQuorumLost, DriveFault: no drive can be read
        """
        return await read(self._system, lambda snapshot: self._find(snapshot, name))

    async def page(self, start: bytes, stop: bytes | None, most: int) -> list[BucketRecord]:
        """Live buckets in the order of their names, from ``start`` until ``stop``."""
        return await read(self._system, lambda snapshot: list(_live(snapshot, start, stop, most)))

    async def every(self) -> list[BucketRecord]:
        """All records in any state. One that no drive can read is left out: others must not be held up for it."""
        try:
            return await read(self._system, lambda snapshot: list(_every(snapshot)))
        except BadRow as error:
            log.error("a bucket is left out, its record is bad on every drive: %s %s", error, error.detail)
            return await read(self._system, lambda snapshot: list(_readable(snapshot)))

    def _find(self, snapshot: Snapshot, name: str) -> BucketRecord | None:
        found = queries.bucket(snapshot, name)
        return self._second_look(snapshot, name) if found is None else found

    def _second_look(self, snapshot: Snapshot, name: str) -> BucketRecord | None:
        """What another drive has of a bucket that the first does not have."""
        other = self._system.beside(snapshot)
        if other is None:
            return None
        try:
            found = queries.bucket(other, name)
            if found is not None and other.seq == snapshot.seq:
                self._system.distrust(snapshot, BadRow("a row is missing on one drive"))
            return found
        except DriveFault as error:
            self._system.distrust(other, error)
            return None
        finally:
            other.close()


def _every(snapshot: Snapshot, start: bytes = b"", stop: bytes | None = None) -> Iterator[BucketRecord]:
    for key, value in snapshot.scan("buckets", start, stop):
        yield rows.open_row(key, value, BucketRecord)


def _live(snapshot: Snapshot, start: bytes, stop: bytes | None, most: int) -> Iterator[BucketRecord]:
    found = 0
    for record in _every(snapshot, start, stop):
        if record.state == "live":
            yield record
            found += 1
            if found == most:
                return


def _readable(snapshot: Snapshot) -> Iterator[BucketRecord]:
    for key, value in snapshot.scan("buckets", b"", None):
        if rows.is_sealed(key, value):
            yield rows.open_row(key, value, BucketRecord)
