"""The lock of a drive that is opened while the server runs."""

from __future__ import annotations

import os
import time
from contextlib import suppress

from ..drive import layout
from ..drive.identity import DriveLocked, lock_drive

NO_LOCK = -1
#: The other workers of this server let go of a lock a moment after the owner.
PATIENCE_S = 1.0
POLL_S = 0.05


def take_lock(path: str) -> int:
    """Lock a drive; -1 where a process of this server holds on to the lock, such as a predecessor that hangs in the
    kernel and cannot die.

    :raises DriveLocked: another server uses it
    :raises DriveFault: the device failed
    """
    until_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            return lock_drive(path)
        except DriveLocked:
            if time.monotonic() >= until_s:
                if _sibling_holds(path):
                    return NO_LOCK
                raise
        time.sleep(POLL_S)


def _sibling_holds(path: str) -> bool:
    name = os.path.join(os.path.realpath(path), layout.ROOT, layout.LOCK)
    parent = os.getppid()
    for entry in os.listdir("/proc"):
        if entry.isdigit() and _parent_of(entry) == parent and _has_open(entry, name):
            return True
    return False


def _parent_of(pid: str) -> int:
    with suppress(OSError, IndexError, ValueError), open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
        return int(stat.read().rpartition(")")[2].split()[1])
    return 0


def _has_open(pid: str, name: str) -> bool:
    directory = f"/proc/{pid}/fd"
    with suppress(OSError):
        for fd in os.listdir(directory):
            with suppress(OSError):
                if os.readlink(f"{directory}/{fd}") == name:
                    return True
    return False
