"""The workers of this server asked together: what each of them alone knows (decisions, traces, logs, measures)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from ..mesh.client import MeshClient, PeerFailed, PeerLost

log = logging.getLogger("sos.fleet")

#: For one worker to answer, seconds.
ANSWER_S_MAX = 3.0

# Topics of the mesh above those of ``sos/worker/submit.py``.
TOPIC_DECISIONS = 16
TOPIC_TRACE = 17
TOPIC_LOG = 18
TOPIC_MEASURES = 19
TOPIC_SPEED = 20
TOPIC_PROFILE = 21
TOPIC_QUOTA = 22
TOPIC_SERVICE = 23
TOPIC_HEAL = 24


class Fleet:
    """Asks every worker, this one included, over the mesh."""

    def __init__(self, peers: Sequence[MeshClient], slot: int) -> None:
        """:param peers: one for each worker slot, this one's own included"""
        self._peers = peers
        self.slot = slot

    def __len__(self) -> int:
        return len(self._peers)

    async def ask(self, topic: int, payload: bytes, timeout_s: float = ANSWER_S_MAX) -> list[bytes | None]:
        """The answers by worker slot; None where a worker is being replaced or did not answer in time."""
        return list(await asyncio.gather(*(self._one(slot, topic, payload, timeout_s) for slot in range(len(self)))))

    async def ask_one(self, slot: int, topic: int, payload: bytes, timeout_s: float = ANSWER_S_MAX) -> bytes | None:
        """The answer of one worker; None as above."""
        return await self._one(slot, topic, payload, timeout_s)

    async def _one(self, slot: int, topic: int, payload: bytes, timeout_s: float) -> bytes | None:
        try:
            return await self._peers[slot].call(topic, payload, timeout_s)
        except (PeerLost, PeerFailed, TimeoutError) as error:
            log.warning("worker %d does not answer topic %d: %s", slot, topic, error or type(error).__name__)
            return None
