"""Every bound of the HTTP shell, in one place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds; bytes and seconds.

    :param connections_max: further connections are answered 503 SlowDown and closed
    :param head_bytes_max: request line and header fields together
    :param fields_bytes_max: header fields alone (MinIO refuses more than 8 KiB)
    :param buffered_body_bytes_max: bodies up to this length are taken from the connection's buffer; longer ones are
        received by a thread
    :param buffer_bytes_max: reading pauses while the connection's buffer holds more
    :param head_s: from the first byte of a head to its last
    :param idle_s: between two requests of a connection
    :param body_idle_s: without a byte of a body that the handler waits for
    :param reply_idle_s: without a byte of a reply taken by the client
    :param rate_min: bytes per second on average, either direction, counting only the time spent waiting for the client
    :param rate_grace_s: waiting that does not count for the rate
    :param drain_bytes_max: an unread body up to this length is skipped so that the connection can be kept
    :param linger_s: how long the rest of a refused body is thrown away before the connection is closed; closing at
        once would reset the connection and take the reply with it
    :param linger_bytes_max: the most that is thrown away then
    :param late_s: between two white-space bytes of a late reply
    :param thread_wait_ms: how long a thread waits for the next bytes of a body, in all per fill, before it is given up
        and readiness is awaited on the loop
    :param sweep_s: between two looks for connections past their time
    """

    connections_max: int = 16_384
    head_bytes_max: int = 16_384
    fields_bytes_max: int = 8_192
    buffered_body_bytes_max: int = 256 * 1024
    buffer_bytes_max: int = 256 * 1024
    head_s: float = 15.0
    idle_s: float = 120.0
    body_idle_s: float = 30.0
    reply_idle_s: float = 30.0
    rate_min: int = 1024
    rate_grace_s: float = 30.0
    drain_bytes_max: int = 64 * 1024
    linger_s: float = 5.0
    linger_bytes_max: int = 64 * 1024 * 1024
    late_s: float = 10.0
    thread_wait_ms: int = 20
    sweep_s: float = 1.0


class Patience:
    """Decides when a peer that keeps us waiting has used up its time.

    Only waiting counts: while we are busy ourselves the peer is not to blame. ``idle_s`` bounds one wait;
    ``rate_min`` the average over all waits beyond ``rate_grace_s``.
    """

    __slots__ = ("_grace_s", "_idle_s", "_quiet_s", "_rate_min", "_waited_s", "moved")

    def __init__(self, idle_s: float, limits: Limits) -> None:
        self._idle_s = idle_s
        self._grace_s = limits.rate_grace_s
        self._rate_min = limits.rate_min
        self._waited_s = 0.0
        self._quiet_s = 0.0
        self.moved = 0

    def progress(self, count: int) -> None:
        """``count`` bytes went over the wire."""
        if count:
            self.moved += count
            self._quiet_s = 0.0

    def waited(self, seconds: float) -> None:
        self._waited_s += seconds
        self._quiet_s += seconds

    def left_s(self) -> float:
        """Seconds the peer may still be waited for; not positive when its time is up."""
        earned = self._grace_s + self.moved / self._rate_min - self._waited_s
        return min(self._idle_s - self._quiet_s, earned)
