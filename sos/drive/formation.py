"""Which drive is which when the server starts: pure, from the configured paths and what was found at them.

Rules:

1. A deployment is formed only when every drive is there and none belongs to another one.
2. A drive's place is what its identity says; the order of the paths means something only for blank drives.
3. A pool exists once a drive of it says so (``forming`` false). A crash on the way leaves drives that are all blank or
   forming, and the next start goes on with it.
4. A blank drive among formatted ones gets a free place and no vote: it has to be rebuilt first.
5. A pool of blank drives is new when every pool the deployment knows is there; else it is a lost one, and its drives
   join without a vote.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from ..domain.errors import StoreError
from .identity import Identity


class FormationRefused(StoreError):
    """The drives cannot be used as configured; the message tells the operator why."""


@dataclass(frozen=True, slots=True)
class Unreachable:
    """Nothing can be told about a drive: it is missing, or fails, or hangs.

    :param absent: the directory does not exist: as good as blank where everything else is blank
    """

    reason: str
    absent: bool = False


@dataclass(frozen=True, slots=True)
class Unusable:
    """A directory that must not be touched: data of somebody else, or a damaged or newer ``format.json``."""

    reason: str


#: What was found at a path; None is a blank drive.
Found = Identity | Unreachable | Unusable | None


class Slot(NamedTuple):
    """A place in the deployment."""

    pool: int
    set: int
    position: int


@dataclass(frozen=True, slots=True)
class Step:
    """A change of one drive.

    :param identity: what its ``format.json`` is to say
    :param initialise: it is blank and has to be made a drive first
    :param voting: of an initialised drive
    """

    path: str
    identity: Identity
    initialise: bool
    voting: bool = False


@dataclass(frozen=True, slots=True)
class Formation:
    """The decision.

    :param layout: pool → sets → paths, by the identities, whatever the order of the configuration
    :param identities: path → its identity once ``steps`` are done; without the unreachable drives
    :param joining: paths of blank drives that get no vote
    :param unreachable: path → reason
    :param steps: changes to make, in this order, each durable before the next
    :param messages: what the operator should know
    """

    deployment: str
    key: bytes
    layout: list[list[list[str]]]
    identities: dict[str, Identity]
    joining: tuple[str, ...] = ()
    unreachable: dict[str, str] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    messages: tuple[str, ...] = ()


def form(
    pools: Sequence[Sequence[Sequence[str]]],
    found: Mapping[str, Found],
    new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    new_key: Callable[[], bytes] = lambda: uuid.uuid4().bytes + uuid.uuid4().bytes,
) -> Formation:
    """Decide from the configuration (pool → sets → paths) and what is at each path.

    :raises FormationRefused: with a message for the operator
    """
    _check_paths(pools, found)
    known = {path: item for path, item in found.items() if isinstance(item, Identity)}
    _check_identities(known)
    if known:
        first = next(iter(known.values()))
        deployment, key = first.deployment, first.key
    else:
        deployment, key = new_id(), new_key()
    return _Former(pools, found, known, deployment, key, new_id).decide()


def _check_paths(pools: Sequence[Sequence[Sequence[str]]], found: Mapping[str, Found]) -> None:
    paths = [path for pool in pools for one in pool for path in one]
    if len(set(paths)) != len(paths):
        twice = sorted({path for path in paths if paths.count(path) > 1})
        raise FormationRefused(f"drives are named twice: {', '.join(twice)}")
    for path in paths:
        item = found[path]
        if isinstance(item, Unusable):
            raise FormationRefused(f"{path}: {item.reason}")


def _check_identities(known: Mapping[str, Identity]) -> None:
    """No two deployments, no two copies of a drive, no two drives in one place."""
    _check_one_deployment(known)
    drives: dict[str, str] = {}
    places: dict[tuple[int, int, int], str] = {}
    for path, identity in known.items():
        other = drives.setdefault(identity.drive, path)
        if other != path:
            raise FormationRefused(f"{other} and {path} are copies of one drive ({identity.drive}): remove one of them")
        other = places.setdefault(identity.slot, path)
        if other != path:
            where = _place(Slot(*identity.slot))
            raise FormationRefused(f"{other} and {path} are both {where}: one of them was replaced, remove it")


def _check_one_deployment(known: Mapping[str, Identity]) -> None:
    groups: dict[str, list[str]] = {}
    for path, identity in known.items():
        groups.setdefault(identity.deployment, []).append(path)
    if len(groups) > 1:
        parts = "; ".join(f"{name}: {', '.join(paths)}" for name, paths in groups.items())
        raise FormationRefused(f"drives of several deployments are mixed: {parts}")


def _place(slot: Slot) -> str:
    return f"pool {slot.pool + 1}, set {slot.set + 1}, drive {slot.position + 1}"


class _Former:
    """The decision under way."""

    def __init__(
        self,
        pools: Sequence[Sequence[Sequence[str]]],
        found: Mapping[str, Found],
        known: Mapping[str, Identity],
        deployment: str,
        key: bytes,
        new_id: Callable[[], str],
    ) -> None:
        self.pools, self.found, self.known = pools, found, known
        self.deployment, self.key, self.new_id = deployment, key, new_id
        self.identities: dict[str, Identity] = {}
        self.layout: dict[int, list[list[str]]] = {}
        self.joining: list[str] = []
        self.messages: list[str] = []
        self.begin: list[Step] = []
        self.finish: list[Step] = []

    def decide(self) -> Formation:
        numbers = self._number_pools()
        for pool, number in zip(self.pools, numbers, strict=True):
            self._decide_pool(pool, number)
        self._count_pools()
        return Formation(
            deployment=self.deployment,
            key=self.key,
            layout=[self.layout[number] for number in sorted(self.layout)],
            identities=self.identities,
            joining=tuple(self.joining),
            unreachable={
                p: f.reason for p, f in self.found.items() if isinstance(f, Unreachable) and not self._made(p)
            },
            steps=tuple(self.begin + self.finish),
            messages=tuple(self.messages),
        )

    def _made(self, path: str) -> bool:
        return path in self.identities

    # -- pools -------------------------------------------------------------------------------------

    def _number_pools(self) -> list[int]:
        """The number of each configured pool: what its drives say, else the lowest free one."""
        said = [self._said(pool) for pool in self.pools]
        claimed = [number for number in said if number is not None]
        if len(set(claimed)) != len(claimed):
            raise FormationRefused("drives of one pool are spread over several pools of the configuration")
        free = (number for number in range(len(self.pools) + len(claimed)) if number not in claimed)
        numbers = [next(free) if number is None else number for number in said]
        known = max([len(numbers), *(number + 1 for number in claimed), *self._formed_pools()])
        if known > len(numbers):
            missing = min(set(range(known)) - set(numbers))
            raise FormationRefused(f"pool {missing + 1} of this deployment is missing from the configuration")
        if numbers != sorted(numbers):
            self.messages.append("the pools are configured in another order than before; their own order is kept")
        return numbers

    def _said(self, pool: Sequence[Sequence[str]]) -> int | None:
        numbers = {self.known[path].pool for path in _paths(pool) if path in self.known}
        if len(numbers) > 1:
            listed = ", ".join(str(number + 1) for number in sorted(numbers))
            raise FormationRefused(f"one pool of the configuration holds drives of the pools {listed}")
        return next(iter(numbers), None)

    def _decide_pool(self, pool: Sequence[Sequence[str]], number: int) -> None:
        members = {path: self.known[path] for path in _paths(pool) if path in self.known}
        self._check_shape(pool, members)
        places = self._places(pool, number, members)
        self.layout[number] = _layout(pool, places)
        if self._is_new(number, members):
            self._form_pool(pool, places)
        else:
            self._join_pool(pool, places)

    def _check_shape(self, pool: Sequence[Sequence[str]], members: Mapping[str, Identity]) -> None:
        shape = (len(pool), len(pool[0]))
        for path, identity in members.items():
            if (identity.sets, identity.drives) != shape:
                raise FormationRefused(
                    f"{path}: its pool has {identity.sets} sets of {identity.drives} drives, "
                    f"the configuration makes {shape[0]} of {shape[1]}"
                )
            if identity.set >= shape[0] or identity.position >= shape[1]:
                raise FormationRefused(f"{path}: says it is {_place(Slot(*identity.slot))}, which cannot be")

    def _is_new(self, number: int, members: Mapping[str, Identity]) -> bool:
        """Rules 3 and 5."""
        if members:
            return all(identity.forming for identity in members.values())
        return number >= max(self._formed_pools(), default=0)

    def _formed_pools(self) -> list[int]:
        return [identity.pools for identity in self.known.values() if not identity.forming]

    # -- drives ------------------------------------------------------------------------------------

    def _places(self, pool: Sequence[Sequence[str]], number: int, members: Mapping[str, Identity]) -> dict[str, Slot]:
        """The place of every path: its identity's, else its own in the configuration, else a free one."""
        places = {path: Slot(*identity.slot) for path, identity in members.items()}
        configured = {path: Slot(number, s, p) for s, one in enumerate(pool) for p, path in enumerate(one)}
        taken = set(places.values())
        homeless = []
        for path, slot in configured.items():
            if path in places:
                self._tell_moved(path, slot, places[path])
            elif slot in taken:
                homeless.append(path)
            else:
                places[path] = slot
                taken.add(slot)
        free = (slot for slot in configured.values() if slot not in taken)
        places.update(zip(homeless, free, strict=False))
        return places

    def _tell_moved(self, path: str, configured: Slot, own: Slot) -> None:
        if configured[1:] != own[1:]:
            self.messages.append(f"{path} is {_place(own)}, configured as {_place(configured)}: used in its own place")

    def _identity(self, path: str, slot: Slot, shape: tuple[int, int], forming: bool) -> Identity:
        return Identity(
            deployment=self.deployment,
            drive=self.new_id(),
            pool=slot.pool,
            set=slot.set,
            position=slot.position,
            pools=len(self.pools),
            sets=shape[0],
            drives=shape[1],
            key=self.key,
            forming=forming,
        )

    def _form_pool(self, pool: Sequence[Sequence[str]], places: Mapping[str, Slot]) -> None:
        """Make all drives of a new pool, then say on each that it exists (rules 1 and 3)."""
        shape = (len(pool), len(pool[0]))
        for path in _paths(pool):
            item = self.found[path]
            if isinstance(item, Unreachable) and not item.absent:
                raise FormationRefused(f"{path}: {item.reason}; a new pool is formed only with all its drives")
            if isinstance(item, Identity):
                identity = replace(item, pools=len(self.pools))
            else:
                identity = self._identity(path, places[path], shape, forming=True)
                self.begin.append(Step(path, identity, initialise=True, voting=True))
            self.identities[path] = replace(identity, forming=False)
            self.finish.append(Step(path, self.identities[path], initialise=False))

    def _join_pool(self, pool: Sequence[Sequence[str]], places: Mapping[str, Slot]) -> None:
        """Take the drives of a pool that exists; blank ones join without a vote (rule 4)."""
        shape = (len(pool), len(pool[0]))
        for path in _paths(pool):
            item = self.found[path]
            if isinstance(item, Unreachable):
                self.messages.append(f"{path}: {item.reason}; going on without it")
            elif isinstance(item, Identity):
                self._keep(path, item)
            else:
                identity = self._identity(path, places[path], shape, forming=False)
                self.identities[path] = identity
                self.joining.append(path)
                self.begin.append(Step(path, identity, initialise=True, voting=False))
                self.messages.append(f"{path} is blank: it is {_place(places[path])} and has no vote until rebuilt")

    def _keep(self, path: str, identity: Identity) -> None:
        self.identities[path] = replace(identity, forming=False)
        if identity.forming:
            self.finish.append(Step(path, self.identities[path], initialise=False))

    def _count_pools(self) -> None:
        """Drives of the older pools learn the number of pools, after the new pool exists."""
        for path in self.known:
            if self.identities[path].pools < len(self.pools):
                self.identities[path] = replace(self.identities[path], pools=len(self.pools))
                self.finish.append(Step(path, self.identities[path], initialise=False))


def _paths(pool: Sequence[Sequence[str]]) -> Iterator[str]:
    for one in pool:
        yield from one


def _layout(pool: Sequence[Sequence[str]], places: Mapping[str, Slot]) -> list[list[str]]:
    layout = [list(one) for one in pool]
    for path, slot in places.items():
        layout[slot.set][slot.position] = path
    return layout
