"""Where a key lives: one set in each pool is responsible for it, and the key is in at most one of these.

A new key goes to the pool with most free space. Two workers could see the free space differently at the same moment,
so with several pools the choice for a new key is made in one place: by the worker that owns the key's set in the first
pool (its ``claims``), which answers everybody the same for as long as both could still be writing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence

from ..erasure.handle import SetHandle

#: Choices remembered; a claim only has to outlive the requests that race for it.
CLAIMS_MAX = 100_000

SetOf = Callable[[int, bytes], int]
"""(bucket id, key) → index of the set within a pool of a given size; see ``sos.placement.sets``."""

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

    :param pools: for each pool its sets in order
    :param place: (bucket id, key, number of sets) → index of the set in its pool
    """

    def __init__(
        self, pools: Sequence[Sequence[SetHandle]], place: Callable[[int, bytes, int], int], claim: Claim | None = None
    ) -> None:
        self._pools = [list(sets) for sets in pools]
        self._place = place
        self._claim = claim
        self.all = [handle for sets in self._pools for handle in sets]
        self.system = self.all[0]

    def candidates(self, bucket_id: int, key: bytes) -> list[SetHandle]:
        """The set responsible for the key in each pool."""
        return [sets[self._place(bucket_id, key, len(sets))] if len(sets) > 1 else sets[0] for sets in self._pools]

    async def for_new(self, bucket_id: int, key: bytes, candidates: list[SetHandle]) -> SetHandle:
        """The set that takes a key which exists nowhere."""
        if len(candidates) == 1:
            return candidates[0]
        wanted = max(range(len(candidates)), key=lambda i: candidates[i].space_free() * len(self._pools[i]))
        if self._claim is None:
            return candidates[wanted]
        return candidates[await self._claim(candidates[0].number, bucket_id.to_bytes(8, "big") + key, wanted)]
