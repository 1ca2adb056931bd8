"""An inline payload of a class with less parity than the default one: what is acknowledged can be read.

8 + 4 drives, so a write quorum of 8; the class has 10 data and 2 parity shards.
"""

from __future__ import annotations

import asyncio

import pytest

from sos.domain.errors import WriteQuorumLost
from sos.erasure import protocol
from sos.meta.proposals import Done, Outcome, Refused
from tests.kit.owned_set import OwnedSet, all_done, until

WIDE = (10, 2)
ALL = 0xFFF


def shards(rig: OwnedSet, data_id: bytes) -> int:
    return sum(data_id in drive.state.tables["inline"] for drive in rig.drives)


@pytest.mark.parametrize("kind", ["fail", "fail_after"])
@pytest.mark.parametrize("failing", range(6))
def test_success_is_answered_exactly_when_so_many_drives_hold_it(kind: str, failing: int) -> None:
    """R01."""

    async def run() -> None:
        rig = OwnedSet(8, 4)
        async with rig.owner() as owner:
            for drive in range(failing):
                getattr(rig.engines[drive], kind)("apply", forever=True)
            proposal = rig.put("a", split=WIDE)
            try:
                done = all_done(await owner.submit([proposal]))
            except WriteQuorumLost:
                done = False
            assert done == (failing <= 2)
            data = proposal.record.data
            assert data is not None and (not done or shards(rig, data.data_id) >= 10)

    asyncio.run(run())


def test_late_drives_are_waited_for_and_who_asks_again_is_not_told_that_it_is_safe(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nine drives hold it, three hang: it is kept, since they may hold it too, and not acknowledged."""
    monkeypatch.setattr(protocol, "DEADLINE_FLOOR_NS", 20_000_000)
    monkeypatch.setattr(protocol, "GIVE_UP_NS", 200_000_000)

    async def run() -> None:
        rig = OwnedSet(8, 4)
        async with rig.owner() as owner:
            releases = [engine.hang("apply") for engine in rig.engines[:3]]
            (outcome,) = await owner.submit([rig.put("a", split=WIDE)])
            assert isinstance(outcome, Refused) and outcome.name == "WriteQuorumLost"
            assert all_done(await owner.submit([rig.put("b")])), "nine are enough for others"
            for release in releases:
                release.set()
            await until(lambda: rig.state().mask == ALL)
            assert all_done(await owner.submit([rig.put("a", split=WIDE)]))
        rig.assert_whole()

    asyncio.run(run())


def test_it_is_refused_where_too_few_drives_are_in_sync() -> None:
    async def run() -> None:
        rig = OwnedSet(8, 4)
        async with rig.owner() as owner:
            for engine in rig.engines[:3]:
                engine.die()
            await owner.submit([rig.put("first")])
            outcomes = await owner.submit([rig.put("a", split=WIDE), rig.put("b"), rig.put("c", split=(7, 5))])
            assert [kind(outcome) for outcome in outcomes] == ["WriteQuorumLost", "Done", "Done"]
            assert owner.serving and rig.etag("a", 5) is None

    asyncio.run(run())


def test_a_group_on_too_few_drives_is_undone_and_decided_again() -> None:
    async def run() -> None:
        rig = OwnedSet(8, 4)
        async with rig.owner() as owner:
            await owner.submit([rig.put("a", "old")])
            epoch = owner.epoch
            for engine in rig.engines[:3]:
                engine.fail("apply")
            proposal = rig.put("a", "new", split=WIDE)
            (outcome,) = await owner.submit([proposal])
            assert owner.epoch > epoch
            data = proposal.record.data
            assert data is not None
            if isinstance(outcome, Done):
                assert shards(rig, data.data_id) >= 10
            await until(lambda: rig.state().mask == ALL)
        rig.assert_whole()

    asyncio.run(run())


def kind(outcome: Outcome) -> str:
    return outcome.name if isinstance(outcome, Refused) else "Done"
