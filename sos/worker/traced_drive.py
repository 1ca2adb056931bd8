"""A drive whose use is traced while somebody listens (``mc admin trace --call storage``): what is done with its volumes, and
each transaction of its index. Looks into the mapped index are none: they take microseconds, and no call of a drive.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from ..base.touch import Touch
from ..domain.errors import StoreError
from ..drive.engine import Group
from ..drive.layout import volume_name
from ..drive.mapped import MappedEngine
from ..http.watch import rfc3339
from ..observe.tap import Kind, Tap, place_of

T = TypeVar("T")
_STORAGE = place_of(Kind.STORAGE)


class DriveTraces:
    """Where uses of drives are told. From any thread.

    :param node: host and port of this server
    """

    def __init__(self, tap: Tap, node: str) -> None:
        self._tap, self._node = tap, node

    def wanted(self) -> bool:
        """Whether anybody listens; a fraction of a microsecond."""
        return self._tap.wants(_STORAGE, time.monotonic_ns())

    def run(self, name: str, path: str, count: int, call: Callable[[], T]) -> T:
        """Do something with a drive and tell of it.

        :param path: the drive, and what of it
        :param count: bytes
        """
        began_ns, error = time.monotonic_ns(), ""
        try:
            return call()
        except (StoreError, OSError) as raised:
            error = str(raised) or type(raised).__name__
            raise
        finally:
            span_ns = time.monotonic_ns() - began_ns
            fields = {
                "nodename": self._node,
                "funcname": f"storage.{name}",
                "time": rfc3339(time.time_ns() - span_ns),
                "path": path,
                "bytes": count,
                "error": error,
            }
            self._tap.put(Kind.STORAGE, span_ns, bool(error), fields)


class TracedEngine(MappedEngine):
    """The engine of a real directory."""

    def __init__(self, path: str, writer: bool, reserve: int | None, touch: Touch, traces: DriveTraces) -> None:
        """:raises DriveFault: see ``MappedEngine``"""
        super().__init__(path, writer, reserve, touch)
        self._traces = traces

    def apply(self, group: Group) -> None:
        if not self._traces.wanted():
            return super().apply(group)
        return self._traces.run("Apply", f"{self.path} index", 0, lambda: MappedEngine.apply(self, group))

    def create_volume(self, volume: int, size: int) -> None:
        if not self._traces.wanted():
            return super().create_volume(volume, size)
        return self._run("CreateVolume", volume, 0, 0, lambda: MappedEngine.create_volume(self, volume, size))

    def allocate(self, volume: int, offset: int, length: int) -> None:
        if not self._traces.wanted():
            return super().allocate(volume, offset, length)
        return self._run("Allocate", volume, offset, length, lambda: MappedEngine.allocate(self, volume, offset, length))

    def write(self, volume: int, offset: int, buffers: Sequence[memoryview]) -> None:
        if not self._traces.wanted():
            return super().write(volume, offset, buffers)
        count = sum(map(len, buffers))
        return self._run("Write", volume, offset, count, lambda: MappedEngine.write(self, volume, offset, buffers))

    def sync(self, volume: int) -> None:
        if not self._traces.wanted():
            return super().sync(volume)
        return self._run("Sync", volume, 0, 0, lambda: MappedEngine.sync(self, volume))

    def read(self, volume: int, offset: int, length: int, sequential: bool = False) -> memoryview:
        if not self._traces.wanted():
            return super().read(volume, offset, length, sequential)
        call = lambda: MappedEngine.read(self, volume, offset, length, sequential)  # noqa: E731
        return self._run("Read", volume, offset, length, call)

    def punch(self, volume: int, offset: int, length: int) -> None:
        if not self._traces.wanted():
            return super().punch(volume, offset, length)
        return self._run("Punch", volume, offset, length, lambda: MappedEngine.punch(self, volume, offset, length))

    def remove_volume(self, volume: int) -> None:
        if not self._traces.wanted():
            return super().remove_volume(volume)
        return self._run("RemoveVolume", volume, 0, 0, lambda: MappedEngine.remove_volume(self, volume))

    def _run(self, name: str, volume: int, offset: int, count: int, call: Callable[[], T]) -> T:
        return self._traces.run(name, f"{self.path} {volume_name(volume)} {offset}", count, call)
