"""Bringing the drives into a state that workers can open: survey, lock, form. All of it in a short-lived child."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import msgspec

from ..domain.errors import DriveFault
from ..drive.formation import Formation, FormationRefused, form
from ..drive.identity import DriveLocked, lock_drive
from ..drive.survey import carry_out, survey
from ..placement.ellipses import Layout
from .boot import in_child
from .root_key import RootKey

BOOT_PATIENCE_S = 300.0
LOCK_DEADLINE_S = 10.0

Pools = Sequence[Sequence[Sequence[str]]]


@dataclass(frozen=True, slots=True)
class Prepared:
    """Drives that are locked and formed.

    :param formation: as the workers get it; drives that failed on the way are among its unreachable ones
    :param devices: path → number of its device
    :param locked: paths of the locked drives, in the order of the descriptors
    :param root_key: made from the root credentials, see ``root_key.py``
    """

    formation: Formation
    devices: dict[str, int]
    locked: tuple[str, ...] = ()
    root_key: bytes = b""

    def __repr__(self) -> str:
        return f"Prepared({self.formation!r})"


def prepare(
    layout: Layout, user: str, password: str, meanwhile: Callable[[], None] | None = None
) -> tuple[Prepared, dict[str, int]]:
    """The drives of a layout, and the descriptors that hold their locks, by path.

    :param user: of the root credentials
    :param meanwhile: done in this process while a child works on the drives

    :raises BootFailed: with the reason for the operator
    """
    pools = [[[os.path.abspath(path) for path in one] for one in pool.sets] for pool in layout.pools]
    expected = (FormationRefused, DriveLocked)
    text, locks = in_child(lambda: _prepare(pools, user, password), BOOT_PATIENCE_S, expected, meanwhile)
    prepared = msgspec.msgpack.decode(text, type=Prepared)
    return prepared, dict(zip(prepared.locked, locks, strict=True))


def _prepare(pools: Pools, user: str, password: str) -> tuple[bytes, list[int]]:
    paths = [path for pool in pools for one in pool for path in one]
    first = form(pools, survey(paths))
    root_key = RootKey(user, password, first.key)
    locks, failed = _lock([path for path in paths if path not in first.unreachable])
    # decide again under the locks: another server may have formed the drives a moment ago
    formation = form(pools, survey(paths))
    formation = replace(formation, steps=tuple(s for s in formation.steps if s.path not in failed))
    failed |= {path: fault.message for path, fault in carry_out(formation).items()}
    formation = replace(
        formation,
        identities={p: i for p, i in formation.identities.items() if p not in failed},
        joining=tuple(p for p in formation.joining if p not in failed),
        unreachable={**formation.unreachable, **failed},
        steps=(),
    )
    # the lock of a drive that failed is not kept: it would keep the drive from being unmounted
    kept = {path: fd for path, fd in locks.items() if path in formation.identities}
    prepared = Prepared(formation, _devices(formation.identities), tuple(kept), root_key.result(formation.key))
    return msgspec.msgpack.encode(prepared), list(kept.values())


def _lock(paths: Sequence[str]) -> tuple[dict[str, int], dict[str, str]]:
    """Locked descriptors by path, and the drives that failed or did not answer in time.

    :raises DriveLocked: another server uses one
    """
    locks: dict[str, int] = {}
    failed = dict.fromkeys(paths, "does not answer")
    taken: list[DriveLocked] = []

    def one(path: str) -> None:
        try:
            os.makedirs(path, exist_ok=True)
            locks[path] = lock_drive(path)
            del failed[path]
        except DriveLocked as error:
            taken.append(error)
        except DriveFault as error:
            failed[path] = error.message
        except OSError as error:
            failed[path] = str(error)

    # daemons: a hung drive never lets its thread go
    threads = [threading.Thread(target=one, args=(path,), daemon=True) for path in paths]
    for thread in threads:
        thread.start()
    end_s = time.monotonic() + LOCK_DEADLINE_S
    for thread in threads:
        thread.join(max(0.0, end_s - time.monotonic()))
    if taken:
        raise taken[0]
    return dict(locks), dict(failed)


def _devices(paths: Iterable[str]) -> dict[str, int]:
    devices = {}
    for path in paths:
        try:
            devices[path] = os.stat(path).st_dev
        except OSError:
            continue  # it is reported by whoever opens it
    return devices
