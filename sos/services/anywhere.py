"""Reading rows of set 0 from a drive where they can be read.

A row that fails its checksum is a fault of its drive, which is then read no more until it has been copied anew; only where
every drive fails is a reader told of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ..domain.errors import DriveFault, MustWait
from ..erasure.handle import SetHandle, Snapshot

T = TypeVar("T")

#: Drives on which a row is looked for; a drive that was distrusted is not asked again for a while.
DRIVES_TRIED_MAX = 4


def read_now(system: SetHandle, read: Callable[[Snapshot], T]) -> T:
    """What a function finds in one snapshot, at once, on the event loop.

    :raises MustWait: nothing can be read at this moment
    :raises DriveFault: on every drive that was tried
    """
    for tries in range(DRIVES_TRIED_MAX, 0, -1):
        snapshot = system.snapshot_now()
        if snapshot is None:
            raise MustWait()
        try:
            return read(snapshot)
        except DriveFault as error:
            system.distrust(snapshot, error)
            if tries == 1:
                raise
        finally:
            snapshot.close()
    raise AssertionError("unreachable")


async def read(system: SetHandle, look: Callable[[Snapshot], T]) -> T:
    """The same at or after everything acknowledged.

    :raises ReadQuorumLost, DriveFault: no drive can be read
    """
    for tries in range(DRIVES_TRIED_MAX, 0, -1):
        snapshot = system.snapshot_now() or await system.snapshot()
        try:
            return look(snapshot)
        except DriveFault as error:
            system.distrust(snapshot, error)
            if tries == 1:
                raise
        finally:
            snapshot.close()
    raise AssertionError("unreachable")
