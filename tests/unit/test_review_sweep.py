"""What a worker that died had proposed, and what still waits for a decision, is not taken for a leak."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

from sos.domain.errors import WriteQuorumLost
from sos.meta.proposals import AnyProposal, Done, Outcome
from sos.worker.jobs import Jobs
from tests.kit.owned_set import OwnedSet

VOLUME = 3 << 32 | 7


class Swept:
    """Notes up to where the set was committed when a sweep began."""

    def __init__(self, drives: OwnedSet, done: list[int]) -> None:
        self.drives, self.done = drives, done

    def run(self, volumes: Sequence[int]) -> int:
        self.done.append(self.drives.state().committed)
        return 0


def jobs_over(submit: Any, executor: ThreadPoolExecutor, drives: OwnedSet, done: list[int]) -> Jobs:
    jobs = Jobs.__new__(Jobs)  # a sweep needs nothing else of it
    jobs._sets = [SimpleNamespace(submit=submit)]  # type: ignore[list-item]
    jobs._sweeps = {0: Swept(drives, done)}  # type: ignore[dict-item]
    jobs._executor = executor
    return jobs


def test_a_sweep_waits_for_what_the_owner_has_queued() -> None:
    async def run() -> None:
        drives, done = OwnedSet(), list[int]()
        async with drives.owner() as owner:
            with ThreadPoolExecutor(1) as executor:
                release = drives.engines[0].hang("apply")
                queued = asyncio.ensure_future(owner.submit([drives.put("of a dead worker")]))
                await asyncio.sleep(0)
                sweeping = asyncio.ensure_future(jobs_over(owner.submit, executor, drives, done).sweep(0, [VOLUME]))
                await asyncio.wait([sweeping], timeout=0.05)
                release.set()
                await sweeping
                (outcome,) = await queued
                assert isinstance(outcome, Done) and done[0] >= outcome.seq

    asyncio.run(run())


def test_nothing_is_swept_while_the_set_has_no_quorum() -> None:
    async def submit(proposals: Sequence[AnyProposal]) -> list[Outcome]:
        raise WriteQuorumLost

    done: list[int] = []
    with ThreadPoolExecutor(1) as executor:
        asyncio.run(jobs_over(submit, executor, OwnedSet(), done).sweep(0, [VOLUME]))
    assert done == []
