"""What all connections of one listening socket share."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor
from contextlib import suppress

from .connection import Connection
from .forwarded import Proxies
from .limits import Limits
from .message import Handler
from .refusals import RenderError, render_plain_error
from .reply_head import HeadWriter

#: How long an idle connection outlives the order to drain.
LINGER_S = 0.25


class Shell:
    """Handler, pools, limits and the set of open connections.

    :param put_pool: threads that receive bodies and hash them (8–10 per worker)
    :param get_pool: threads that verify and send (2 per core and worker)
    :param proxies: reverse proxies in front
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        handler: Handler,
        put_pool: Executor,
        get_pool: Executor,
        headers: Sequence[tuple[str, str]],
        limits: Limits,
        render_error: RenderError = render_plain_error,
        proxies: Proxies | None = None,
    ) -> None:
        self.loop = loop
        self.handler = handler
        self.put_pool = put_pool
        self.get_pool = get_pool
        self.limits = limits
        self.heads = HeadWriter(headers)
        self.render_error = render_error
        self.proxies = proxies or Proxies()
        self.connections: set[Connection] = set()
        self.draining = False
        self.requests = 0
        self._last_id = 0
        self._sweep: asyncio.TimerHandle | None = None
        self._empty = asyncio.Event()
        self._empty.set()

    def next_request_id(self, now_ns: int) -> str:
        """16 upper-case hex digits: the time in nanoseconds, made unique in this worker."""
        self._last_id = now_ns if now_ns > self._last_id else self._last_id + 1
        return f"{self._last_id:016X}"

    def admit(self, connection: Connection) -> bool:
        """Note a new connection; False when there are too many. Those far beyond the bound are not even told."""
        self.connections.add(connection)
        self._empty.clear()
        if self._sweep is None:
            self._sweep = self.loop.call_later(self.limits.sweep_s, self._check_all)
        if len(self.connections) > 2 * self.limits.connections_max:
            connection.abort()
        return len(self.connections) <= self.limits.connections_max

    def forget(self, connection: Connection) -> None:
        self.connections.discard(connection)
        if not self.connections:
            self._empty.set()

    def _check_all(self) -> None:
        """Only while there are connections: an idle worker does nothing."""
        self._sweep = None
        now = self.loop.time()
        for connection in list(self.connections):
            connection.check(now)
        if self.connections:
            self._sweep = self.loop.call_later(self.limits.sweep_s, self._check_all)

    async def drain(self, timeout_s: float) -> int:
        """Let requests under way end, close the rest; cut what is left after ``timeout_s`` seconds.

        A client may be about to send on a connection that counts as idle, and cannot know that it is to be closed
        (RFC 9112 §9.5): for a moment it is answered still, and told.

        :returns: the number of connections cut
        """
        self.draining = True
        with suppress(TimeoutError):
            await asyncio.wait_for(self._empty.wait(), min(LINGER_S, timeout_s))
        for connection in list(self.connections):
            connection.close_if_idle()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._empty.wait(), timeout_s)
        left = list(self.connections)
        for connection in left:
            connection.abort()
        return len(left)
