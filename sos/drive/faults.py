"""Errors of the operating system as faults of a drive."""

from __future__ import annotations

import errno
import os

from ..domain.errors import DriveFault, DriveFull


class VolumeLost(DriveFault):
    """A volume is not there, or ends too early: its shards are lost, the drive is not."""


FULL = (errno.ENOSPC, errno.EDQUOT)


def fault_of(error: OSError, action: str, path: str) -> DriveFault:
    """The fault for ``error``, raised while doing ``action`` on the drive at ``path``."""
    kind = DriveFull if error.errno in FULL else DriveFault
    name = errno.errorcode.get(error.errno or 0, "?")
    return kind(f"{path}: {action}: {name} {os.strerror(error.errno or 0)}", path=path)
