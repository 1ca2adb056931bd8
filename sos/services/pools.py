"""Where a key lives: one set in each pool is responsible for it, and the key is in at most one of these.

A new key goes to the pool with most free space. Two workers could see the free space differently at the same moment,
so with several pools the choice for a new key is made in one place: by the worker that owns the key's set in the first
pool (its ``claims``), which answers everybody the same for as long as both could still be writing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence

from ..domain.errors import ReadQuorumLost
from ..erasure.handle import SetHandle
from ..placement.sets import KeyMap

#: Choices remembered; a claim only has to outlive the requests that race for it.
CLAIMS_MAX = 100_000

Claim = Callable[[int, bytes, int], Awaitable[int]]
"""(set number in the first pool, bucket id and key as one id, wanted pool) → the pool that all must use."""


class Claims:
    """Choices made for new keys, by the owner of the key's set in the first pool. Bounded, oldest forgotten first."""

    def __init__(self) -> None:
        self._chosen: OrderedDict[bytes, int] = OrderedDict()

    def claim(self, key: bytes, wanted: int) -> int:
        """The pool for a new key: the one claimed before, else ``wanted``."""
        pool = self._chosen.setdefault(key, wanted)
        self._chosen.move_to_end(key)
        if len(self._chosen) > CLAIMS_MAX:
            self._chosen.popitem(last=False)
        return pool


class Pools:
    """The sets of all pools, and which of them is responsible for a key.

    :param sets: all sets, by number
    :param maps: for each pool the map from keys to its sets
    """

    def __init__(self, sets: Sequence[SetHandle], maps: Sequence[KeyMap], claim: Claim | None = None) -> None:
        self.all = list(sets)
        self.system = self.all[0]
        self._maps = list(maps)
        self._claim = claim

    def candidates(self, bucket_id: int, key: bytes) -> list[SetHandle]:
        """The set responsible for the key in each pool."""
        return [self.all[key_map.set_of(bucket_id, key)] for key_map in self._maps]

    async def for_new(self, bucket_id: int, key: bytes, candidates: list[SetHandle]) -> SetHandle:
        """The set that takes a key which exists nowhere: in the pool with most free space."""
        if len(candidates) == 1:
            return candidates[0]
        wanted = max(range(len(candidates)), key=self._free)
        if self._claim is None:
            return candidates[wanted]
        return candidates[await self._claim(candidates[0].number, bucket_id.to_bytes(8, "big") + key, wanted)]

    def _free(self, pool: int) -> int:
        """Payload bytes that still fit in a pool; 0 where it cannot be told."""
        free = 0
        for handle in self.all:
            if handle.pool == pool:
                try:
                    free += handle.space_free()
                except ReadQuorumLost:
                    continue  # a set without drives takes no new keys
        return free
