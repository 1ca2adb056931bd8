"""Bodies made of other bodies: the parts of a multipart object in a row, and a stored object as the source of a copy."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor

from ..domain import checksums
from ..domain.body import FRESH_S, BodyStream, Digests
from ..domain.errors import ReadQuorumLost


class BytesStream:
    """A body that is in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self.length = len(data)

    def next_batch(self) -> list[memoryview]:
        rest = memoryview(self._data)[self._at :]
        self._at = len(self._data)
        return [rest] if rest else []

    def put_back(self, count: int) -> None:
        """See ``BodyStream``."""
        self._at -= count

    def close(self) -> None:
        self._at = len(self._data)


class ChainStream:
    """Several streams in a row, each opened when its turn comes.

    :param openers: make the streams; called in the thread that reads
    :param length: bytes of all of them together
    :param release: called when it is closed, perhaps more than once
    """

    def __init__(
        self, openers: Sequence[Callable[[], BodyStream]], length: int, release: Callable[[], None] = lambda: None
    ) -> None:
        self._openers = deque(openers)
        self._release = release
        self._open: BodyStream | None = None
        self.length = length

    def next_batch(self) -> list[memoryview]:
        while True:
            if self._open is None:
                if not self._openers:
                    return []
                self._open = self._openers.popleft()()
            batch = self._open.next_batch()
            if batch:
                return batch
            self._open.close()
            self._open = None

    def put_back(self, count: int) -> None:
        """See ``BodyStream``: the last batch came from the stream that is open."""
        if self._open is not None:
            self._open.put_back(count)

    def close(self) -> None:
        self._openers.clear()
        if self._open is not None:
            self._open.close()
            self._open = None
        self._release()


class CopyBody:
    """The :class:`~sos.domain.body.Body` of a copy: the bytes of a stream, hashed as they pass.

    :param checksum: algorithm of the checksum wanted for the copy, empty for none
    """

    def __init__(self, stream: BodyStream, executor: Executor, checksum: str = "", first: Sequence[memoryview] = ()) -> None:
        self._stream = stream
        self._executor = executor
        self._rest: deque[memoryview] = deque(first)
        self._verified_s = time.monotonic()
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._checksum = checksums.new(checksum) if checksum else None
        self._algorithm = checksum
        self.size = stream.length

    async def fill(self, view: memoryview) -> None:
        await asyncio.get_running_loop().run_in_executor(self._executor, self._copy, view)

    def _copy(self, view: memoryview) -> None:
        at = 0
        self._put_back_stale()
        while at < len(view):
            if not self._rest:
                self._rest.extend(self._stream.next_batch())
                self._verified_s = time.monotonic()
                if not self._rest:
                    raise ReadQuorumLost("the source ended early")
            piece = self._rest.popleft()
            taken = min(len(piece), len(view) - at)
            view[at : at + taken] = piece[:taken]
            at += taken
            if taken < len(piece):
                self._rest.appendleft(piece[taken:])
        self._md5.update(view)
        if self._checksum is not None:
            self._checksum.update(view)

    def _put_back_stale(self) -> None:
        """What was verified long before it is copied may be something else by now, and would be stored as good."""
        if self._rest and time.monotonic() - self._verified_s > FRESH_S:
            self._stream.put_back(sum(map(len, self._rest)))
            self._rest.clear()

    async def finish(self) -> Digests:
        found = {self._algorithm: self._checksum.digest()} if self._checksum is not None else {}
        return Digests(md5=self._md5.digest(), checksums=found)
