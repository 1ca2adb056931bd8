"""The LMDB environment of an index: how it is made, and opened."""

from __future__ import annotations

import errno
import os
import time
from typing import Any

import lmdb

from ..domain.errors import DriveFault, DriveFull
from . import layout, local
from .engine import TABLES, Position
from .faults import FULL

READERS_MAX = 4096
TABLES_MAX = 64
FILE_MODE = 0o600
#: What is taken for a deadlock is over by then.
DEADLOCK_S = 1.0


def open_environment(directory: str, map_bytes: int, writer: bool, root: str) -> Any:
    """
    :param root: the drive's directory, for errors
    :raises DriveFault: it cannot be opened, or its file is shorter than it says
    """
    try:
        opened = _open_patiently(directory, map_bytes, writer)
    except lmdb.Error as error:
        raise DriveFault(f"{root}: index open: {error}", path=root) from error
    try:
        _check_length(opened, os.path.join(directory, layout.INDEX_DATA))
    except (OSError, EOFError) as error:
        opened.close()
        raise DriveFault(f"{root}: index open: {error}", path=root) from error
    return opened


def _open_patiently(directory: str, map_bytes: int, writer: bool) -> Any:
    """Again where the kernel takes two workers that open several indices each, all at once, for a deadlock: a lock of
    LMDB is its process's, not its thread's."""
    until_s = time.monotonic() + DEADLOCK_S
    while True:
        try:
            return lmdb.open(
                directory,
                map_size=map_bytes,
                readonly=not writer,
                create=False,
                max_readers=READERS_MAX,
                max_dbs=TABLES_MAX,
                max_spare_txns=1,
                mode=FILE_MODE,
            )
        except lmdb.Error as error:
            if getattr(error, "code", 0) != errno.EDEADLK or time.monotonic() > until_s:
                raise
            time.sleep(0.002)


def _check_length(opened: Any, name: str) -> None:
    """A file that was cut off (LMDB looks at its first pages only) kills by SIGBUS whoever reads a page that is gone.

    :raises EOFError: it lacks pages
    """
    needed = (opened.info()["last_pgno"] + 1) * opened.stat()["psize"]
    length = os.stat(name).st_size
    if length < needed:
        raise EOFError(f"{name} was cut off, it has {length} of {needed} bytes")


def create_index(root: str, map_bytes: int, voting: bool) -> None:
    """Make an empty index with all tables, durable, closed again.

    :param voting: whether the drive has a vote at once (a new deployment) or not (it joins one)
    :raises DriveFault: the device failed
    """
    directory = os.path.join(root, layout.ROOT, layout.INDEX)
    try:
        # lib_version 0: data format 1, which every LMDB 0.9 reads
        with lmdb.open(
            directory, map_size=map_bytes, max_dbs=TABLES_MAX, max_readers=READERS_MAX, mode=FILE_MODE, lib_version=0
        ) as made:
            tables = {name: made.open_db(name.encode()) for name in TABLES}
            with made.begin(write=True, db=tables["local"]) as txn:
                txn.put(local.PROMISED, local.seal_promised(0))
                txn.put(local.LAST, local.seal_last(Position(0, 0)))
                txn.put(local.VOTING, local.seal_voting(voting))
    except lmdb.Error as error:
        kind = DriveFull if getattr(error, "code", 0) in FULL else DriveFault
        raise kind(f"{root}: index create: {error}", path=root) from error
