"""What waits for the owner of a set: the proposals of callers, in the order in which they came."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence

from ..domain.errors import Busy
from ..meta.proposals import AnyProposal
from .gather import Gathering
from .limits import Limits
from .pending import Place, Ticket


class Queue:
    """Tickets of callers. For the event loop alone; false when there is none.

    :param number: the set's, for errors
    """

    def __init__(self, number: int, limits: Limits) -> None:
        self._number, self._limits = number, limits
        self._tickets: deque[Ticket] = deque()
        self._proposals = 0
        self._filled = asyncio.Event()
        self._gathering = Gathering(limits.pause_s_max)

    def __len__(self) -> int:
        return len(self._tickets)

    def __iter__(self) -> Iterator[Ticket]:
        return iter(self._tickets)

    def add(self, proposals: Sequence[AnyProposal]) -> Ticket:
        """One caller's proposals.

        :raises Busy: it would be too many
        """
        if self._proposals + len(proposals) > self._limits.queued_proposals_max:
            raise Busy(set=self._number)
        ticket = Ticket(proposals, asyncio.get_running_loop().create_future())
        self._tickets.append(ticket)
        self._proposals += len(proposals)
        self._filled.set()
        self._gathering.arrived(len(self))
        return ticket

    async def filled(self) -> None:
        """Wait for a ticket."""
        if not self._tickets:
            self._filled.clear()
            await self._filled.wait()

    async def gathered(self) -> None:
        """Wait for those expected to come with the ones that are here (``gather.py``), unless a group is full already."""
        if self._proposals < self._limits.group_proposals_max:
            await self._gathering.pause(self.__len__)

    def take(self) -> list[Place]:
        """The next proposals, bounded in number and inline bytes."""
        places: list[Place] = []
        size = 0
        while self._tickets and len(places) < self._limits.group_proposals_max:
            ticket = self._tickets[0]
            if ticket.future.done() or ticket.taken == len(ticket.proposals):
                self._tickets.popleft()
                self._proposals -= len(ticket.proposals) - ticket.taken
                continue
            size += sum(map(len, getattr(ticket.proposals[ticket.taken], "inline", ())))
            if places and size > self._limits.group_inline_bytes_max:
                break
            places.append((ticket, ticket.taken))
            ticket.taken += 1
            self._proposals -= 1
        return places

    def taken(self, places: Sequence[Place], took_s: float) -> None:
        """What ``take`` returned has been dealt with, in so many seconds."""
        self._gathering.after(len({ticket for ticket, _ in places}), len(self), took_s)

    def give_back(self, places: Sequence[Place]) -> None:
        """Queue proposals again, in front: they are answered after the recovery, from the log if it has them."""
        for ticket, index in reversed(places):
            if ticket.outcomes[index] is not None or ticket.future.done():
                continue
            ticket.taken = min(ticket.taken, index)
            if not self._tickets or self._tickets[0] is not ticket:
                self._tickets.appendleft(ticket)
        self._proposals = sum(len(ticket.proposals) - ticket.taken for ticket in self._tickets)
        self._filled.set()

    def fail(self, error: Exception) -> None:
        """Answer all with an error."""
        for ticket in self._tickets:
            ticket.fail(error)
        self._tickets.clear()
        self._proposals = 0
