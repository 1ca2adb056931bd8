"""Set 0 in memory with the generation page, and the identity service over it: what is committed is seen at once."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Coroutine, Sequence
from functools import cache
from typing import Any, TypeVar

from sos.base.pages import GEN_BUCKETS, GEN_CONFIG, GEN_IAM, Pages
from sos.crypto.passwords import derive
from sos.domain.errors import ReadQuorumLost
from sos.meta.proposals import AnyProposal, Outcome
from sos.meta.transitions import decide
from sos.services.identity.identity import Identity
from sos.services.identity.vault import Root, salt_of
from tests.kit.dict_view import DictView

T = TypeVar("T")
ROOT, PASSWORD = "operator", "a-good-password"
SALT = salt_of(b"deployment")
MAIN = "000000000000"


@cache
def derived(user: str, password: str) -> bytes:
    return derive(user, password, SALT)


class MemorySystem:
    """Set 0. ``before`` is called ahead of each commit, to let another change overtake it; ``away`` makes it unreadable;
    ``stop_at`` raises at that commit and later, as a killed worker would never come to them."""

    number = pool = 0

    def __init__(self, pages: Pages, view: DictView | None = None) -> None:
        self.view = view or DictView()
        self.pages = pages
        self.away = False
        self.before: Callable[[], Coroutine[Any, Any, None]] | None = None
        self.commits = 0
        self.stop_at: int | None = None

    def snapshot_now(self) -> DictView | None:
        return None if self.away else copy.copy(self.view)

    async def snapshot(self) -> DictView:
        if self.away:
            raise ReadQuorumLost(set=0)
        frozen = DictView()
        frozen.tables = {name: dict(rows) for name, rows in self.view.tables.items()}
        frozen._order = {name: list(rows) for name, rows in self.view._order.items()}
        return frozen

    async def submit(self, proposals: Sequence[AnyProposal]) -> list[Outcome]:
        if self.before is not None:
            before, self.before = self.before, None
            await before()
        if self.stop_at is not None and self.commits >= self.stop_at:
            raise ConnectionError("killed")
        outcomes = []
        for proposal in proposals:
            self.commits += 1
            decision = decide(self.view, None, proposal, self.commits, 1)
            self.view.apply(decision.rows)
            for table, word in (("sys", GEN_IAM), ("sys", GEN_CONFIG), ("buckets", GEN_BUCKETS)):
                if any(row.table == table for row in decision.rows):
                    self.pages.bump(word)
            outcomes.append(decision.outcome)
        return outcomes

    def rows(self, prefix: bytes = b"iam/") -> list[bytes]:
        return [key for key, _ in self.view.scan("sys", prefix, prefix[:-1] + b"0")]


class World:
    """One deployment with as many workers as are asked for."""

    def __init__(self) -> None:
        self.pages = Pages(2, 1)
        self.system = MemorySystem(self.pages)
        self.now_ns = 1_800_000_000 * 10**9
        self.identity = self.worker()

    def worker(self, user: str = ROOT, password: str = PASSWORD, **old: str) -> Identity:
        """The service of one more worker, opened."""
        root = Root(user, password, SALT, derived(user, password), **old)
        identity = Identity(self.system, self.pages, root, lambda: self.now_ns)  # type: ignore[arg-type]
        run(identity.start())
        return identity


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)
