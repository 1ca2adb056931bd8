"""The I/O around a formation: look at the drives, then make the changes decided."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from ..domain.errors import DriveFault
from . import layout
from .formation import Formation, FormationRefused, Found, Step, Unreachable, Unusable
from .identity import IdentityNewer, read_identity, write_identity
from .mapped import initialise

ANSWER_DEADLINE_S = 10.0
#: Names that an empty file system may hold.
IGNORED = frozenset(("lost+found",))


def survey(paths: Iterable[str], deadline_s: float = ANSWER_DEADLINE_S) -> dict[str, Found]:
    """What is at each path; a drive that does not answer in time is unreachable, as is one that is not mounted."""
    found: dict[str, Found] = {}
    mounted: list[str] = []
    threads = []
    for path in paths:
        found[path] = Unreachable("does not answer")
        # a daemon: a hung drive never lets its thread go
        thread = threading.Thread(target=_survey_one, args=(path, found, mounted), daemon=True)
        thread.start()
        threads.append(thread)
    end = time.monotonic() + deadline_s
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    return without_unmounted(dict(found), set(mounted))


def _survey_one(path: str, found: dict[str, Found], mounted: list[str]) -> None:
    if _is_mounted(path):
        mounted.append(path)
    found[path] = examine(path)


def _is_mounted(path: str) -> bool:
    """Whether a directory is a mount point, or at least not on the root file system."""
    try:
        return os.path.ismount(os.path.realpath(path)) or os.stat(path).st_dev != os.stat("/").st_dev
    except OSError:
        return False


def without_unmounted(found: Mapping[str, Found], mounted: Collection[str]) -> dict[str, Found]:
    """Empty directories on the root file system, among drives that are elsewhere: their own file systems are not mounted.
    They are unreachable, not blank, so that nothing is ever written below a mount point.
    """
    answered = {path for path, item in found.items() if not isinstance(item, Unreachable)}
    if not answered.intersection(mounted):
        return dict(found)
    absent = {path for path in answered if found[path] is None and path not in mounted}
    return {path: Unreachable("is not mounted") if path in absent else item for path, item in found.items()}


def examine(path: str) -> Found:
    """What is at one path. Changes nothing."""
    try:
        names = set(os.listdir(path)) - IGNORED
    except FileNotFoundError:
        return Unreachable("does not exist", absent=True)
    except NotADirectoryError:
        return Unusable("is not a directory")
    except OSError as error:
        return Unreachable(f"cannot be read: {error.strerror}")
    if names and layout.ROOT not in names:
        if ".minio.sys" in names:
            return Unusable("is a drive of MinIO; give sos an empty directory and copy the data with mc mirror")
        return Unusable("is not empty and not a drive of sos: it holds somebody else's data")
    try:
        return read_identity(path)
    except IdentityNewer as error:
        return Unusable(error.message.removeprefix(f"{path}: "))
    except DriveFault as error:
        return Unreachable(error.message.removeprefix(f"{path}: "))


def carry_out(formation: Formation) -> dict[str, DriveFault]:
    """Make the changes, in order. Call it with the drives locked, in a process that does not fork afterwards with an
    index open (none is left open).

    :return: drives that failed and have to be left out; they are as good as unreachable
    :raises FormationRefused: a new pool could not be made on all its drives; the next start goes on with it
    """
    failed: dict[str, DriveFault] = {}
    for step in formation.steps:
        if step.path in failed:
            continue
        try:
            _take(step)
        except DriveFault as error:
            if step.identity.forming:
                raise FormationRefused(f"the pool could not be formed: {error.message}") from error
            failed[step.path] = error
    return failed


def _take(step: Step) -> None:
    if step.initialise:
        try:
            os.makedirs(step.path, exist_ok=True)
        except OSError as error:
            raise DriveFault(f"{step.path}: cannot be created: {error.strerror}", path=step.path) from error
        initialise(step.path, step.identity, step.voting)
        return
    current = read_identity(step.path)
    if current is None or current.drive != step.identity.drive:
        raise DriveFault(f"{step.path}: changed while the server started", path=step.path)
    write_identity(step.path, replace(step.identity, index_map_bytes=current.index_map_bytes))
