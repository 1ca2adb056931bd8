"""Shapes of deployments: pools, sets, drives and parity, and drives taken away from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .server import Server


@dataclass(frozen=True)
class Shape:
    """A deployment.

    :param volumes: arguments below the test's directory
    :param drives: what they stand for, in sets: drives of each set
    :param parity: drives that may go from each set; its own for each set where pools differ
    :param says: what the banner has to tell
    """

    volumes: tuple[str, ...]
    sets: tuple[tuple[str, ...], ...]
    parity: int | tuple[int, ...]
    says: str
    workers: int = 2
    env: Mapping[str, str] = field(default_factory=dict)

    def parities(self) -> tuple[int, ...]:
        return self.parity if isinstance(self.parity, tuple) else (self.parity,) * len(self.sets)


def plain(count: int, parity: int, says: str, workers: int = 2, **env: str) -> Shape:
    names = tuple(f"d{i + 1}" for i in range(count))
    return Shape((f"d{{1...{count}}}",) if count > 1 else names, (names,), parity, says, workers, env)


def names(letter: str, first: int, last: int) -> tuple[str, ...]:
    return tuple(f"{letter}{i}" for i in range(first, last + 1))


def take_away(path: Path, shape: Shape, parities: Iterable[int]) -> list[Path]:
    """Move so many drives of each set out of the way; the server must not run."""
    gone = [path / name for one, count in zip(shape.sets, parities, strict=True) for name in one[:count]]
    for drive in gone:
        drive.rename(_away(drive))
    return gone


def bring_back(gone: Iterable[Path]) -> None:
    for drive in gone:
        _away(drive).rename(drive)


def _away(drive: Path) -> Path:
    return drive.with_name(f"{drive.name}.away")


def server_of(path: Path, shape: Shape) -> Server:
    return Server(path, [str(path / volume) for volume in shape.volumes], shape.workers, shape.env)
