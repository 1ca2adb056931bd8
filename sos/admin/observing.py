"""What the observing half of the admin API looks at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..base.board import Board
from ..services.fleet import Fleet


@dataclass(frozen=True, slots=True)
class Observing:
    """:param board: what the processes of this server show
    :param names: operations of S3, in the order in which they are counted
    :param fleet: the workers of this server
    """

    board: Board = field(default_factory=lambda: Board(1))
    names: Sequence[str] = ()
    fleet: Fleet = field(default_factory=lambda: Fleet((), 0))
