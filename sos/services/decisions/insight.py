"""All of it under one roof, for the surfaces."""

from __future__ import annotations

import asyncio

from ..fleet import Fleet
from .asking import Remembered, ask
from .simulator import Simulator


class Insight:
    """What one worker can tell of the decisions of all.

    :param replaying: held during a replay, of which there is one at a time: it looks at all that is remembered
    """

    def __init__(self, simulator: Simulator, fleet: Fleet) -> None:
        self.simulator = simulator
        self.replaying = asyncio.Lock()
        self._fleet = fleet

    async def remembered(self, request_id: str = "") -> Remembered:
        """Denials of one request, or everything that is remembered."""
        return await ask(self._fleet, request_id)
