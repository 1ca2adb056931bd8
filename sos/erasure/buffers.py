"""Page-aligned buffers for payloads under way, under one budget per worker.

Invariants:

1. Bytes handed out and kept idle never exceed the budget, except for one request that is larger than the budget
   itself and is then alone, and for what is set apart.
2. Requests are served in the order in which they came; a request that must wait is not overtaken.
3. A buffer goes to a second user only when nothing refers to its memory any more. Whoever still holds a view (a thread
   that outlived its request) keeps the memory; its bytes no longer count, so that a hung drive cannot stop all uploads,
   and the buffer returns to the pool when it is found free.
4. Buffers of a holder that waits for its client are set apart: they count against another bound, several times the
   budget, so that slow clients, of which there may be many, do not keep the others from the drives. Their holder takes
   them in again, in turn, before it goes on.

All methods are called on the event loop.
"""

from __future__ import annotations

import asyncio
import mmap
from collections import OrderedDict, deque
from collections.abc import Sequence

_PAGE = 4096
#: What may be set apart, in budgets.
APART = 4


def size_class(size: int) -> int:
    """The bytes of the buffer that serves ``size``: an eighth of a power of two apart, so little is wasted and buffers
    of like requests fit each other."""
    step = max(_PAGE, 1 << max(0, size.bit_length() - 4))
    return -(-size // step) * step


class Buffer:
    """Anonymous memory. Views of it must be dropped by their users before it is released."""

    __slots__ = ("_map", "apart", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self.apart = False
        self._map = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)

    def view(self, length: int) -> memoryview:
        return memoryview(self._map)[:length]

    def unused(self) -> bool:
        """Whether no view of the memory is left. A map with exported views refuses a resize, even to its own size."""
        try:
            self._map.resize(self.size)
        except BufferError:
            return False
        return True


class BufferPool:
    """See the module's invariants.

    :param budget: bytes in all
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.used = 0
        self.apart = 0
        #: how often a buffer could not be reused at once because a view of it was still alive
        self.retired = 0
        self._lingering: list[Buffer] = []
        self._idle: OrderedDict[int, list[Buffer]] = OrderedDict()
        self._idle_bytes = 0
        self._waiters: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def held(self) -> int:
        """Bytes handed out, set apart and kept idle."""
        return self.used + self.apart + self._idle_bytes

    @property
    def waiting(self) -> int:
        """Requests that wait for a buffer."""
        return len(self._waiters)

    async def acquire(self, size: int) -> Buffer:
        """A buffer of at least ``size`` bytes with whatever content, as soon as it is this request's turn."""
        wanted = size_class(size)
        await self._charge(wanted)
        return self._obtain(wanted)

    def try_acquire(self, size: int) -> Buffer | None:
        """A buffer if one is free and nobody waits."""
        wanted = size_class(size)
        if self._waiters or not self._fits(wanted):
            return None
        self.used += wanted
        return self._obtain(wanted)

    def set_apart(self, buffers: Sequence[Buffer]) -> None:
        """Their holder waits for its client: let others go on meanwhile."""
        for buffer in buffers:
            if not buffer.apart and self.apart + buffer.size <= APART * self.budget:
                buffer.apart = True
                self.apart += buffer.size
                self.used -= buffer.size
        self._grant()

    async def take_in(self, buffers: Sequence[Buffer]) -> None:
        """What was set apart of these is in use again, as soon as it is this holder's turn."""
        back = [buffer for buffer in buffers if buffer.apart]
        if not back:
            return
        size = sum(buffer.size for buffer in back)
        await self._charge(size)
        self.apart -= size
        for buffer in back:
            buffer.apart = False
        self._shrink()

    def release(self, buffer: Buffer) -> None:
        if buffer.apart:
            buffer.apart = False
            self.apart -= buffer.size
        else:
            self.used -= buffer.size
        if buffer.unused():
            self._keep(buffer)
        else:
            self._set_aside(buffer)
        self._grant()
        self._shrink()

    def renew(self, buffer: Buffer) -> Buffer:
        """The same buffer for its next use by the same holder, or another where views of it are still alive."""
        if buffer.unused():
            return buffer
        self._set_aside(buffer)
        return Buffer(buffer.size)

    def trim(self) -> None:
        """Give idle memory back to the system."""
        self._idle.clear()
        self._idle_bytes = 0
        self._lingering.clear()

    def _keep(self, buffer: Buffer) -> None:
        self._idle.setdefault(buffer.size, []).append(buffer)
        self._idle.move_to_end(buffer.size)
        self._idle_bytes += buffer.size

    def _set_aside(self, buffer: Buffer) -> None:
        self.retired += 1
        self._lingering.append(buffer)

    def _reclaim(self) -> None:
        """Take back the buffers whose last view has gone since."""
        lingering, self._lingering = self._lingering, []
        for buffer in lingering:
            if buffer.unused():
                self._keep(buffer)
            else:
                self._lingering.append(buffer)

    def _fits(self, size: int) -> bool:
        return self.used + size <= self.budget or self.used == 0

    async def _charge(self, size: int) -> None:
        """Count bytes as handed out, in turn."""
        if not self._waiters and self._fits(size):
            self.used += size
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((size, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.used -= size
                self._grant()
            else:
                self._forget(turn)
            raise

    def _obtain(self, size: int) -> Buffer:
        """A buffer, new or kept, whose bytes are counted already."""
        if self._lingering:
            self._reclaim()
        kept = self._idle.get(size)
        if kept:
            self._idle_bytes -= size
            buffer = kept.pop()
            if not kept:
                del self._idle[size]
            self._shrink()
            return buffer
        self._shrink()
        return Buffer(size)

    def _shrink(self) -> None:
        while self._idle and self.used + self._idle_bytes > self.budget:
            self._evict()

    def _evict(self) -> None:
        """Drop one buffer of the class that was used longest ago."""
        size, kept = next(iter(self._idle.items()))
        kept.pop()
        self._idle_bytes -= size
        if not kept:
            del self._idle[size]

    def _grant(self) -> None:
        while self._waiters and self._fits(self._waiters[0][0]):
            size, turn = self._waiters.popleft()
            if not turn.done():
                self.used += size
                turn.set_result(None)

    def _forget(self, turn: asyncio.Future[None]) -> None:
        self._waiters = deque(entry for entry in self._waiters if entry[1] is not turn)
        self._grant()
