"""Faults around any engine.

A :class:`Fault` is armed for a kind of call (the method's name, or ``*``) and takes effect at its n-th call from then
on, once or for good. Nothing in the product knows of it.
"""

from __future__ import annotations

import mmap
import threading
from collections.abc import Callable, Sequence
from typing import Any

from sos.domain.errors import DriveFault, DriveFull
from sos.drive.engine import DriveEngine, Group, Position, ReadTxn, Space
from sos.drive.layout import UNIT_BYTES


class Fault:
    """What happens instead of, or around, a call.

    :param kind: method name, ``*`` for all
    :param at: which call of that kind from now on, 1 = the next
    :param forever: also every later call
    """

    def __init__(
        self, kind: str, act: Callable[[Callable[[], Any], tuple[Any, ...]], Any], at: int, forever: bool
    ) -> None:
        self.kind, self.act, self.at, self.forever = kind, act, at, forever
        self.calls = 0
        #: How often it took effect.
        self.hits = 0

    def takes(self, kind: str) -> bool:
        if self.kind not in ("*", kind):
            return False
        self.calls += 1
        if self.calls == self.at or (self.forever and self.calls > self.at):
            self.hits += 1
            return True
        return False


class FaultyEngine:
    """An engine that misbehaves as told. See :class:`~sos.drive.engine.DriveEngine`."""

    def __init__(self, engine: DriveEngine) -> None:
        self.engine = engine
        #: Names of all calls so far, in order.
        self.calls: list[str] = []
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    # -- arming ------------------------------------------------------------------------------------

    def fail(self, kind: str, at: int = 1, forever: bool = False, error: Exception | None = None) -> Fault:
        """The call raises and does nothing."""

        def act(call: Callable[[], Any], args: tuple[Any, ...]) -> Any:
            raise error or DriveFault(f"{self.path}: EIO injected into {kind}", path=self.path)

        return self._arm(kind, act, at, forever)

    def fail_after(self, kind: str, at: int = 1, forever: bool = False) -> Fault:
        """The call is done and then raises: its outcome is unknown to the caller."""

        def act(call: Callable[[], Any], args: tuple[Any, ...]) -> Any:
            call()
            raise DriveFault(f"{self.path}: EIO injected after {kind}", path=self.path)

        return self._arm(kind, act, at, forever)

    def fill(self, kind: str = "allocate", at: int = 1, forever: bool = True) -> Fault:
        """The disk is full."""
        return self.fail(kind, at, forever, DriveFull(f"{self.path}: ENOSPC injected", path=self.path))

    def die(self, at: int = 1) -> Fault:
        """Every call from the n-th on fails."""
        return self.fail("*", at, forever=True)

    def hang(self, kind: str, at: int = 1, forever: bool = False) -> threading.Event:
        """The call waits until the event is set, then goes on."""
        release = threading.Event()

        def act(call: Callable[[], Any], args: tuple[Any, ...]) -> Any:
            release.wait()
            return call()

        self._arm(kind, act, at, forever)
        return release

    def flip(self, bit: int = 0, at: int = 1, forever: bool = False) -> Fault:
        """``read`` returns its bytes with one bit turned (modulo the length)."""

        def act(call: Callable[[], Any], args: tuple[Any, ...]) -> memoryview:
            data = bytearray(call())
            where = bit % (len(data) * 8)
            data[where // 8] ^= 1 << where % 8
            return memoryview(data).toreadonly()

        return self._arm("read", act, at, forever)

    def tear(self, pages: int, at: int = 1) -> Fault:
        """``write`` writes only the first ``pages`` pages and fails."""

        def act(call: Callable[[], Any], args: tuple[Any, ...]) -> None:
            volume, offset, buffers = args
            head = memoryview(b"".join(buffers))[: pages * UNIT_BYTES]
            if head:
                self.engine.write(volume, offset, [_aligned(head)])
            raise DriveFault(f"{self.path}: torn write injected", path=self.path)

        return self._arm("write", act, at, False)

    def heal(self) -> None:
        """Take all faults away."""
        with self._lock:
            self._faults.clear()

    def _arm(
        self, kind: str, act: Callable[[Callable[[], Any], tuple[Any, ...]], Any], at: int, forever: bool
    ) -> Fault:
        fault = Fault(kind, act, at, forever)
        with self._lock:
            self._faults.append(fault)
        return fault

    def _call(self, kind: str, *args: Any) -> Any:
        method = getattr(self.engine, kind)
        with self._lock:
            self.calls.append(kind)
            taken = next((fault for fault in [*self._faults] if fault.takes(kind)), None)
        if taken is None:
            return method(*args)
        return taken.act(lambda: method(*args), args)

    # -- the interface -----------------------------------------------------------------------------

    @property
    def drive_id(self) -> str:
        return self.engine.drive_id

    @property
    def path(self) -> str:
        return self.engine.path

    def begin_read(self) -> ReadTxn:
        return self._call("begin_read")

    def promised(self) -> int:
        return self._call("promised")

    def last(self) -> Position:
        return self._call("last")

    def voting(self) -> bool:
        return self._call("voting")

    def promise(self, epoch: int) -> Position:
        return self._call("promise", epoch)

    def apply(self, group: Group) -> None:
        self._call("apply", group)

    def set_voting(self, epoch: int, voting: bool) -> None:
        self._call("set_voting", epoch, voting)

    def create_volume(self, volume: int, size: int) -> None:
        self._call("create_volume", volume, size)

    def allocate(self, volume: int, offset: int, length: int) -> None:
        self._call("allocate", volume, offset, length)

    def write(self, volume: int, offset: int, buffers: Sequence[memoryview]) -> None:
        self._call("write", volume, offset, buffers)

    def sync(self, volume: int) -> None:
        self._call("sync", volume)

    def read(self, volume: int, offset: int, length: int, sequential: bool = False) -> memoryview:
        return self._call("read", volume, offset, length, sequential)

    def punch(self, volume: int, offset: int, length: int) -> None:
        self._call("punch", volume, offset, length)

    def volumes(self) -> dict[int, int]:
        return self._call("volumes")

    def remove_volume(self, volume: int) -> None:
        self._call("remove_volume", volume)

    def space(self) -> Space:
        return self._call("space")

    def suspect(self) -> None:
        self._call("suspect")

    def reader_check(self) -> int:
        return self._call("reader_check")

    def close(self) -> None:
        self.engine.close()


def _aligned(data: memoryview) -> memoryview:
    """A page-aligned copy, for O_DIRECT."""
    buffer = memoryview(mmap.mmap(-1, len(data)))
    buffer[:] = data
    return buffer
