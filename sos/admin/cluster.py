"""What the admin API tells of the machine: values that a worker gathers, free of how it does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Drive:
    """One drive as it is now.

    :param state: ``ok`` while it is in sync, ``offline`` otherwise, ``unformatted`` for none that is known
    :param healing: it is being rebuilt, or still lacks shards
    :param total: of its file system, in bytes
    :param device: major and minor number
    """

    path: str
    uuid: str
    pool: int
    set: int
    position: int
    state: str
    healing: bool = False
    total: int = 0
    used: int = 0
    free: int = 0
    inodes_used: int = 0
    inodes_free: int = 0
    device: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class SetShape:
    """One erasure set.

    :param number: over all pools
    :param parity: drives of STANDARD that may fail
    :param reduced: drives of REDUCED_REDUNDANCY
    """

    number: int
    pool: int
    index: int
    parity: int
    reduced: int
    drives: tuple[Drive, ...]


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """:param endpoint: host and port of the API
    :param mode: ``online`` or ``initializing``
    :param pools: how each pool was given on the command line
    """

    deployment: str
    endpoint: str
    scheme: str
    version: str
    region: str
    domains: tuple[str, ...]
    mode: str
    workers: int
    uptime_s: int
    pools: tuple[str, ...]


class Cluster(Protocol):
    """What a worker can tell."""

    def facts(self) -> ServerFacts: ...

    async def sets(self) -> list[SetShape]:
        """Looks at every drive; one that hangs is told as offline within a bound."""

    def stop(self) -> None:
        """Stop the whole server in order, as a signal to it would."""

    def restart(self) -> None:
        """Replace the workers one by one, as a signal to the server would."""

    def freeze(self, frozen: bool) -> None:
        """Have S3 requests wait, in all workers at once, until told otherwise or stopped."""
