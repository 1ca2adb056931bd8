"""The payload of a proposal is given back only when its owner has refused it, not when nobody knows."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from sos.domain.body import Digests
from sos.domain.errors import Busy, DriveFull, InternalFault, PreconditionFailed, StoreError, WriteQuorumLost
from sos.erasure.handle import Staged
from sos.meta.proposals import AnyProposal, Done, Outcome, Refused
from sos.services.objects import commit_staged
from tests.kit.owned_set import OwnedSet, until


class Target:
    """A set whose owner gives one answer."""

    def __init__(self, answer: Outcome | Exception) -> None:
        self.answer = answer
        self.discarded = 0
        self.doubtful: list[bytes] = []

    async def submit(self, proposals: Sequence[AnyProposal]) -> list[Outcome]:
        if isinstance(self.answer, Exception):
            raise self.answer
        return [self.answer]

    async def discard(self, staged: Staged) -> None:
        self.discarded += 1

    def unsettled(self, request_id: bytes, staged: Staged) -> None:
        self.doubtful.append(request_id)


STAGED = Staged(None, (), 4096, Digests(b""))


@pytest.mark.parametrize("error", [InternalFault("a bug after the group was written"), WriteQuorumLost(), Busy()])
def test_an_owner_that_failed_may_have_committed_the_payload(error: StoreError) -> None:
    target, proposal = Target(error), OwnedSet().put("key")
    with pytest.raises(type(error)):
        asyncio.run(commit_staged(target, proposal, STAGED))  # type: ignore[arg-type]
    assert target.discarded == 0 and target.doubtful == [proposal.request_id]


@pytest.mark.parametrize("error", [PreconditionFailed, InternalFault])
def test_what_the_owner_refused_is_given_back(error: type[StoreError]) -> None:
    target = Target(Refused(error.__name__))
    with pytest.raises(error):
        asyncio.run(commit_staged(target, OwnedSet().put("key"), STAGED))  # type: ignore[arg-type]
    assert target.discarded == 1 and target.doubtful == []


def test_a_repeated_proposal_is_answered_from_the_log_on_full_drives() -> None:
    """Were it refused for lack of space, its payload would be given back under the committed record."""

    async def run() -> None:
        rig = OwnedSet()
        async with rig.owner() as owner:
            first = rig.put("a")
            (done,) = await owner.submit([first])
            for engine in rig.engines:
                engine.fail("apply", forever=True, error=DriveFull("full"))
            repeated, refused = await owner.submit([first, rig.delete("a")])
            assert repeated == done and isinstance(done, Done)
            assert isinstance(refused, Refused) and refused.name == "StorageFull"
        rig.assert_whole()

    asyncio.run(run())


def test_stopping_an_owner_answers_the_group_under_way() -> None:
    """It is on the drives: its callers must not wait for ever."""

    async def run() -> None:
        rig = OwnedSet()
        owner = rig.make_owner()
        await owner.start()
        releases = [engine.hang("apply") for engine in rig.engines]
        putting = asyncio.ensure_future(owner.submit([rig.put("a")]))
        await until(lambda: all(engine.calls[-1] == "apply" for engine in rig.engines))
        stopping = asyncio.ensure_future(owner.stop())
        await asyncio.sleep(0)
        for release in releases:
            release.set()
        async with asyncio.timeout(10):
            (outcome,) = await putting
            await stopping
        assert isinstance(outcome, Done)

    asyncio.run(run())
