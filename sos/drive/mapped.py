"""The engine on a real directory: index in LMDB, data in mapped volume files. See FORMAT.md."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from ..base.touch import UNNOTED, Touch
from ..domain.errors import DriveFault
from . import layout
from .engine import Group, Position, Space
from .environment import create_index
from .faults import fault_of
from .identity import Identity, read_identity, sync_ancestors, sync_directory, write_identity
from .index import Index
from .mapping import RESIDENCY
from .snapshot import IndexRead
from .volumes import Volumes

MAP_BYTES_MAX = 1 << 40
MAP_BYTES_MIN = 1 << 30
#: Free bytes of a file system below which nothing new is taken, by default: 1/256 of it within these bounds.
RESERVE_BYTES_MIN = 16 << 20
RESERVE_BYTES_MAX = 1 << 30


def reserve_bytes(total: int) -> int:
    """The default reserve on a file system of ``total`` bytes."""
    return min(RESERVE_BYTES_MAX, max(RESERVE_BYTES_MIN, total // 256))


def map_bytes(total: int) -> int:
    """The size of the index mapping for a drive of ``total`` bytes: no index outgrows its drive."""
    return min(MAP_BYTES_MAX, max(MAP_BYTES_MIN, total + -total % layout.UNIT_BYTES))


class MappedEngine:
    """One open drive. Opened once per process, after the fork; see :class:`~sos.drive.engine.DriveEngine`."""

    def __init__(self, path: str, writer: bool, reserve: int | None = None, touch: Touch = UNNOTED) -> None:
        """
        :param path: the drive's directory
        :param writer: True in the process that owns the set; others read the index but may write volumes
        :param reserve: free bytes to leave on the file system, None for the default
        :param touch: notes on the worker's pulse what is done with the index
        :raises DriveFault: it cannot be opened, or is blank
        """
        identity = read_identity(path)
        if identity is None:
            raise DriveFault(f"{path}: blank, not a drive of a deployment", path=path)
        self.identity = identity
        self._path = path
        self._volumes = Volumes(os.path.join(path, layout.ROOT, layout.VOLUMES), path)
        left = reserve_bytes(self._volumes.space().total) if reserve is None else reserve
        self._volumes.reserve_bytes = left
        try:
            self._index = Index(path, identity.index_map_bytes, writer, left, touch)
        except DriveFault:
            self._volumes.close()
            raise

    @property
    def drive_id(self) -> str:
        return self.identity.drive

    @property
    def path(self) -> str:
        return self._path

    # -- index -------------------------------------------------------------------------------------

    def begin_read(self) -> IndexRead:
        return self._index.begin()

    def promised(self) -> int:
        return self._index.state()[0]

    def last(self) -> Position:
        return self._index.state()[1]

    def voting(self) -> bool:
        return self._index.state()[2]

    def promise(self, epoch: int) -> Position:
        return self._index.promise(epoch)

    def apply(self, group: Group) -> None:
        self._index.apply(group)

    def set_voting(self, epoch: int, voting: bool) -> None:
        self._index.set_voting(epoch, voting)

    def release_pages(self, volumes: bool = False) -> None:
        """Unmap what was read of the index; see :meth:`Index.release_pages`.

        :param volumes: and what was read of volumes, of all drives of the process
        """
        self._index.release_pages()
        if volumes:
            RESIDENCY.release()

    def reader_check(self) -> int:
        """Free the reader slots of dead processes; called by the owner when a worker has died. The number freed."""
        return self._index.reader_check()

    # -- volumes -----------------------------------------------------------------------------------

    def create_volume(self, volume: int, size: int) -> None:
        self._volumes.create(volume, size)

    def allocate(self, volume: int, offset: int, length: int) -> None:
        self._volumes.allocate(volume, offset, length)

    def write(self, volume: int, offset: int, buffers: Sequence[memoryview]) -> None:
        self._volumes.write(volume, offset, buffers)

    def sync(self, volume: int) -> None:
        self._volumes.sync(volume)

    def read(self, volume: int, offset: int, length: int, sequential: bool = False) -> memoryview:
        return self._volumes.read(volume, offset, length, sequential)

    def punch(self, volume: int, offset: int, length: int) -> None:
        self._volumes.punch(volume, offset, length)

    def volumes(self) -> dict[int, int]:
        return self._volumes.sizes()

    def remove_volume(self, volume: int) -> None:
        self._volumes.remove(volume)

    # -- the drive ---------------------------------------------------------------------------------

    def space(self) -> Space:
        return self._volumes.space()

    def suspect(self) -> None:
        self._volumes.suspected = True

    def close(self) -> None:
        self._index.close()
        self._volumes.close()

    def wait_closed(self, timeout_s: float) -> bool:
        """After ``close``: whether the last use of the index has ended, so that it can be opened again."""
        return self._index.closed.wait(timeout_s)


def initialise(path: str, identity: Identity, voting: bool) -> Identity:
    """Make a blank directory a drive: index, volume directory, and last of all its identity, each durable.

    A crash on the way leaves a directory that still counts as blank.

    :param identity: ``index_map_bytes`` is filled in here, from the drive's size
    :param voting: True in a new deployment or pool, False for a drive that joins one
    :return: the identity as written
    :raises DriveFault: the device failed, or the drive has an identity already
    """
    if read_identity(path) is not None:
        raise DriveFault(f"{path}: belongs to a deployment already", path=path)
    root = os.path.join(path, layout.ROOT)
    try:
        status = os.statvfs(path)
        identity = replace(identity, index_map_bytes=map_bytes(status.f_blocks * status.f_frsize))
        with suppress(FileNotFoundError):
            shutil.rmtree(os.path.join(root, layout.INDEX))
        os.makedirs(root, mode=0o700, exist_ok=True)
        os.mkdir(os.path.join(root, layout.INDEX), mode=0o700)
        os.makedirs(os.path.join(root, layout.VOLUMES), mode=0o700, exist_ok=True)
        create_index(path, identity.index_map_bytes, voting)
        for directory in (os.path.join(root, layout.INDEX), root, path):
            sync_directory(directory)
        sync_ancestors(path)
    except OSError as error:
        raise fault_of(error, "initialise", path) from error
    write_identity(path, identity)
    return identity
