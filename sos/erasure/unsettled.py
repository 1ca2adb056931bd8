"""Payloads of proposals whose outcome nobody knows: the owner was lost, or lost its quorum, before it answered.

They may be committed, so their space cannot be given back at once; and they may not be, so it must not be kept for ever.

1. As soon as the set has an owner again, it is offered an empty operation under the *same request id*. Was the proposal
   committed, it is answered from the log and nothing happens; was it not, the empty operation takes its id, and the
   proposal can never be committed any more, should it still be on its way.
2. After that the index tells: a payload whose extent has no row is referred to by nothing, and never will be.
3. What this worker does not get to is found by the sweep when its slot starts anew (``sweep.py``).
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from ..domain.errors import StoreError
from ..meta import keys
from ..meta.proposals import AnyProposal, DropExtents, Outcome
from ..meta.rows import open_extent
from .handle import Snapshot, Staged

log = logging.getLogger("sos.erasure.unsettled")

#: Before the first try, and doubled while there is no owner.
PAUSE_S_MIN = 1.0
PAUSE_S_MAX = 30.0
#: Asked about at once.
BATCH_MAX = 256
#: Payloads waiting; the space of what comes beyond is found by the sweep.
WAITING_MAX = 16_384

Submit = Callable[[Sequence[AnyProposal]], Awaitable[list[Outcome]]]


class Unsettled:
    """Those of one set in one worker. On the event loop; nothing runs while there are none.

    :param snapshot: at or after everything acknowledged so far
    :param discard: gives the space of a payload back
    """

    def __init__(
        self,
        number: int,
        submit: Submit,
        snapshot: Callable[[], Awaitable[Snapshot]],
        discard: Callable[[Staged], Awaitable[None]],
    ) -> None:
        self._number = number
        self._submit, self._snapshot, self._discard = submit, snapshot, discard
        self._waiting: deque[tuple[bytes, Staged]] = deque()
        self._task: asyncio.Task[None] | None = None

    def add(self, request_id: bytes, staged: Staged) -> None:
        """Find out about a payload, and give it back if nothing refers to it."""
        if staged.data is None or not staged.extent or len(self._waiting) >= WAITING_MAX:
            return
        self._waiting.append((request_id, staged))
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        pause_s = PAUSE_S_MIN
        while self._waiting:
            await asyncio.sleep(pause_s)
            batch = [self._waiting[i] for i in range(min(BATCH_MAX, len(self._waiting)))]
            try:
                unused = await self._unused(batch)
            except StoreError as error:
                pause_s = min(PAUSE_S_MAX, pause_s * 2)
                log.info("set %d: %d payloads stay unsettled: %s", self._number, len(self._waiting), error.name)
                continue
            pause_s = 0.0
            for _ in batch:
                self._waiting.popleft()
            for staged in unused:
                await self._discard(staged)
            log.info("set %d: %d of %d unsettled payloads given back", self._number, len(unused), len(batch))

    async def _unused(self, batch: Sequence[tuple[bytes, Staged]]) -> list[Staged]:
        """Those that are not committed and never will be.

        :raises StoreError: that cannot be told now
        """
        await self._submit([DropExtents(request_id=request_id, bucket_id=0, keys=()) for request_id, _ in batch])
        snapshot = await self._snapshot()
        try:
            return [staged for _, staged in batch if not _is_known(snapshot, staged)]
        finally:
            snapshot.close()


def _is_known(snapshot: Snapshot, staged: Staged) -> bool:
    """Whether the payload's extent has a row, live or freed: then it was committed, and reclaim sees to its space.

    :raises BadRow:
    """
    assert staged.data is not None
    row = keys.extent_row(staged.data.volume, staged.data.offset)
    value = snapshot.get("extents", row)
    return value is not None and open_extent(row, value).data_id == staged.data.data_id
