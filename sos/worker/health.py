"""The state of the sets, as the health paths report it."""

from __future__ import annotations

from collections.abc import Sequence

from ..erasure.protocol import write_quorum
from ..erasure.set import ErasureSet
from ..placement.parity import Parities, default_parity
from ..s3.health import ClusterHealth


class SetHealth:
    """Reads the shared page; see :class:`sos.s3.health.Health`."""

    def __init__(self, sets: Sequence[ErasureSet], classes: Sequence[Parities]) -> None:
        self._sets = sets
        self._classes = classes

    def status(self) -> str:
        """``offline`` until every set has been taken over by its owner once."""
        return "" if all(one.view.state().epoch for one in self._sets) else "offline"

    def cluster(self) -> ClusterHealth:
        writable = readable = True
        defaults = True
        quorum_write = quorum_read = 0
        out_of_sync = 0
        for one, classes in zip(self._sets, self._classes, strict=True):
            n = len(one.view.engines)
            m = classes.standard
            k = n - m
            state = one.view.state()
            here = sum(1 << i for i, engine in enumerate(one.view.engines) if engine is not None)
            online = (state.mask & here).bit_count() if state.epoch else 0
            writable &= online >= write_quorum(k, m)
            readable &= online >= k
            quorum_write = max(quorum_write, write_quorum(k, m))
            quorum_read = max(quorum_read, k)
            out_of_sync += n - online + one.view.healing().bit_count()
            defaults &= m == default_parity(n)
        # all drives are this node's: without it nothing would be left
        return ClusterHealth(writable, readable, False, quorum_write, quorum_read, out_of_sync, defaults)
