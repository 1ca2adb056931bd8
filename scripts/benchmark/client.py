"""A closed-loop HTTP client on non-blocking sockets: one thread, one poll loop, no object per byte."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Iterator

from .sign import Wire

IOV_MAX = 512
RECEIVE = 1 << 20


class Failed(RuntimeError):
    """A reply with an unexpected status."""


class Sample(list[tuple[str, float, int, int]]):
    """(kind, seconds, bytes sent, bytes received) of each request."""


class Connection:
    """One connection that sends the next request when its reply is complete."""

    def __init__(
        self,
        address: tuple[str, int],
        source: Iterator[Wire],
        sink: Sample,
        check: Callable[[Wire, bytes], None] | None,
    ) -> None:
        self.sock = socket.create_connection(address)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.setblocking(False)
        self._source = source
        self._sink = sink
        self._check = check
        self._buffer = bytearray(RECEIVE)
        self._view = memoryview(self._buffer)
        self.done = False

    def begin(self) -> int:
        """Start the next request; the poll mask to wait for, 0 when there is none."""
        wire = next(self._source, None)
        if wire is None:
            self.done = True
            return 0
        self._wire = wire
        self._pieces = wire.pieces
        self._index, self._skip = 0, 0
        self._head: bytes | None = None
        self._got = bytearray()
        self._left = 0
        self._received = 0
        self._body: list[bytes] | None = [] if self._check is not None else None
        self._start = time.perf_counter()
        return self.send()

    def send(self) -> int:
        pieces, index = self._pieces, self._index
        while index < len(pieces):
            batch = list(pieces[index : index + IOV_MAX])
            if self._skip:
                batch[0] = batch[0][self._skip :]
            try:
                sent = self.sock.sendmsg(batch)
            except BlockingIOError:
                self._index = index
                return select.EPOLLOUT | select.EPOLLIN
            for piece in batch:
                if sent < len(piece):
                    self._skip = (self._skip if piece is batch[0] else 0) + sent
                    break
                sent -= len(piece)
                index += 1
                self._skip = 0
            self._index = index
        return select.EPOLLIN

    def receive(self) -> bool:
        """Take what is there; whether the reply is complete."""
        while True:
            try:
                n = self.sock.recv_into(self._buffer)
            except BlockingIOError:
                return False
            if n == 0:
                raise Failed(f"{self._wire.kind}: connection closed")
            if self._take(n):
                return True
            if n < RECEIVE // 4:
                return False

    def _take(self, n: int) -> bool:
        if self._head is not None:
            if self._body is not None:
                self._body.append(bytes(self._view[:n]))
            self._left -= n
            self._received += n
            return self._left <= 0
        self._got += self._view[:n]
        end = self._got.find(b"\r\n\r\n")
        if end < 0:
            return False
        self._parse(bytes(self._got[:end]).lower(), len(self._got) - end - 4)
        if self._body is not None:
            self._body.append(bytes(self._got[end + 4 :]))
        return self._left <= 0

    def _parse(self, head: bytes, extra: int) -> None:
        status = int(head[9:12])
        if status == 100:
            raise Failed("unexpected 100")
        at = head.find(b"content-length:")
        length = int(head[at + 15 : head.find(b"\r\n", at) if head.find(b"\r\n", at) > 0 else None]) if at >= 0 else 0
        if self._wire.kind == "stat" or status in (204, 304):
            length = 0
        if status not in self._wire.expect:
            raise Failed(f"{self._wire.kind}: {status} {bytes(self._got[-400:])!r}")
        self._head = head
        self._received = extra
        self._left = length - extra

    def finish(self) -> None:
        wire = self._wire
        self._sink.append((wire.kind, time.perf_counter() - self._start, wire.payload, self._received))
        if self._check is not None and self._body is not None:
            self._check(wire, b"".join(self._body))


def run(
    address: tuple[str, int],
    sources: list[Iterator[Wire]],
    seconds: float,
    check: Callable[[Wire, bytes], None] | None = None,
) -> tuple[Sample, float]:
    """Drive one connection per source until the sources end or the time is up; samples and the seconds it took."""
    sink, poll = Sample(), select.epoll()
    connections = [Connection(address, source, sink, check) for source in sources]
    by_fd = {c.sock.fileno(): c for c in connections}
    start = time.perf_counter()
    deadline = start + seconds
    active = 0
    for connection in connections:
        poll.register(connection.sock.fileno(), 0)
        mask = connection.begin()
        poll.modify(connection.sock.fileno(), mask)
        active += not connection.done
    while active:
        for fd, event in poll.poll(30):
            connection = by_fd[fd]
            if event & select.EPOLLIN and connection.receive():
                connection.finish()
                mask = 0
                if time.perf_counter() < deadline:
                    mask = connection.begin()
                if not mask:
                    active -= 1
                    poll.unregister(fd)
                    continue
                poll.modify(fd, mask)
            elif event & select.EPOLLOUT:
                poll.modify(fd, connection.send())
            elif event & (select.EPOLLHUP | select.EPOLLERR):
                raise Failed("connection lost")
    took = time.perf_counter() - start
    for connection in connections:
        connection.sock.close()
    return sink, took
