"""Descriptors that live as long as somebody uses them.

A drive is closed while threads may still be in calls on it. A descriptor closed under such a call would be taken by the
next file that is opened, and the call would end up in another drive's file.
"""

from __future__ import annotations

import os


class Descriptor:
    """Closed with its last reference. Hold the object in a local name for as long as ``fd`` is used."""

    __slots__ = ("fd",)

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __del__(self) -> None:
        os.close(self.fd)


class File(Descriptor):
    """:param direct: opened with O_DIRECT"""

    __slots__ = ("direct",)

    def __init__(self, fd: int, direct: bool) -> None:
        super().__init__(fd)
        self.direct = direct
