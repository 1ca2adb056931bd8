"""What an owner promises of a group: durable on a quorum, in order, atomic, answered once."""

from __future__ import annotations

import asyncio
from itertools import combinations

import msgspec
import pytest

from sos.base.pages import GEN_BUCKETS, GEN_IAM
from sos.domain.conditions import Conditions
from sos.domain.errors import Busy, WriteQuorumLost
from sos.erasure import protocol
from sos.erasure.limits import Limits
from sos.meta.proposals import Done, PutSystem, Refused
from tests.kit.owned_set import QUICK, OwnedSet, all_done, until

ABSENT_ONLY = Conditions(if_none_match=("*",))


def test_an_acknowledged_put_is_on_every_drive_and_published() -> None:
    async def run() -> None:
        rig = OwnedSet()
        async with rig.owner() as owner:
            (outcome,) = await owner.submit([rig.put("a")])
            assert isinstance(outcome, Done)
            assert rig.state() == (owner.epoch, outcome.seq, 0b1111)
        rig.assert_whole()
        assert rig.etag("a") == "e"

    asyncio.run(run())


def test_a_proposal_sees_those_before_it_in_its_group() -> None:
    async def run() -> None:
        rig = OwnedSet()
        async with rig.owner() as owner:
            outcomes = await owner.submit([rig.put("a", "1"), rig.put("a", "2", ABSENT_ONLY), rig.delete("a"), rig.put("a", "3")])
            assert [type(outcome) for outcome in outcomes] == [Done, Refused, Done, Done]
            assert isinstance(outcomes[1], Refused) and outcomes[1].name == "PreconditionFailed"
        rig.assert_whole()
        assert rig.etag("a") == "3"

    asyncio.run(run())


def test_of_a_hundred_racing_creators_one_wins() -> None:
    """R13."""

    async def run() -> None:
        rig = OwnedSet()
        async with rig.owner() as owner:
            racing = [owner.submit([rig.put("a", str(i), ABSENT_ONLY)]) for i in range(100)]
            outcomes = [outcome for (outcome,) in await asyncio.gather(*racing)]
        assert sum(isinstance(outcome, Done) for outcome in outcomes) == 1

    asyncio.run(run())


def test_a_refused_proposal_changes_nothing_and_takes_no_sequence() -> None:
    async def run() -> None:
        rig = OwnedSet()
        async with rig.owner() as owner:
            await owner.submit([rig.put("a")])
            before, state = rig.drives[0].state, rig.state()
            (outcome,) = await owner.submit([rig.put("a", "2", ABSENT_ONLY)])
            assert isinstance(outcome, Refused)
            assert rig.drives[0].state is before and rig.state() == state

    asyncio.run(run())


def test_a_repeated_request_gets_the_first_outcome_also_from_the_next_owner() -> None:
    async def run() -> None:
        rig = OwnedSet()
        proposal, other = rig.put("a", "1", ABSENT_ONLY), rig.put("a", "2")
        async with rig.owner() as owner:
            twice = await owner.submit([proposal, proposal])
            assert twice[0] == twice[1] and all_done(twice)
            await owner.submit([other])
            assert await owner.submit([proposal]) == twice[:1]
        async with rig.owner() as owner:
            assert await owner.submit([proposal]) == twice[:1]
        assert rig.etag("a") == "2"

    asyncio.run(run())


@pytest.mark.parametrize("kind", ["fail", "fail_after"])
@pytest.mark.parametrize("failing", [set(c) for f in range(1, 5) for c in combinations(range(4), f)])
def test_success_is_answered_exactly_when_a_quorum_has_it(kind: str, failing: set[int]) -> None:
    """R01: a drive whose write failed does not count."""

    async def run() -> None:
        rig = OwnedSet()
        async with rig.owner() as owner:
            for drive in failing:
                getattr(rig.engines[drive], kind)("apply", forever=True)
            try:
                done = all_done(await owner.submit([rig.put("a")]))
            except WriteQuorumLost:
                done = False
            assert done == (len(failing) <= 1)
            if done:
                assert rig.state().mask == 0b1111 & ~protocol.mask_of(failing)
                rig.assert_whole(set(range(4)) - failing)

    asyncio.run(run())


def test_a_drive_that_fails_once_does_not_cost_the_request() -> None:
    """Wq is missed, the owner recovers, and the proposal is answered after it."""

    async def run() -> None:
        rig = OwnedSet()
        async with rig.owner() as owner:
            epoch = owner.epoch
            for drive in (1, 2):
                rig.engines[drive].fail("apply")
            assert all_done(await owner.submit([rig.put("a")]))
            assert owner.epoch > epoch
            await until(lambda: rig.state().mask == 0b1111)
        rig.assert_whole()

    asyncio.run(run())


def test_a_hung_drive_leaves_the_mask_and_the_others_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "DEADLINE_FLOOR_NS", 50_000_000)

    async def run() -> None:
        rig = OwnedSet()
        async with rig.owner() as owner:
            release = rig.engines[2].hang("apply")
            assert all_done(await owner.submit([rig.put("a")]))
            assert rig.state().mask == 0b1011
            assert all_done(await owner.submit([rig.put("b")]))
            release.set()
            await until(lambda: rig.state().mask == 0b1111)
            assert all_done(await owner.submit([rig.put("c")]))
        rig.assert_whole()

    asyncio.run(run())


def test_full_drives_refuse_writes_and_take_deletes() -> None:
    """R19."""

    async def run() -> None:
        rig = OwnedSet()
        async with rig.owner() as owner:
            await owner.submit([rig.put("a"), rig.put("b")])
            for engine, drive in zip(rig.engines, rig.drives, strict=True):
                engine.engine._reserve = drive.total + 1  # type: ignore[attr-defined]
            both = await owner.submit([rig.put("c"), rig.delete("a")])
            assert isinstance(both[0], Refused) and both[0].name == "StorageFull"
            assert isinstance(both[1], Done)
            assert rig.state().mask == 0b1111 and owner.serving
        rig.assert_whole()
        assert (rig.etag("a"), rig.etag("b"), rig.etag("c")) == (None, "e", None)

    asyncio.run(run())


def test_one_full_drive_leaves_the_mask_and_costs_nothing() -> None:
    async def run() -> None:
        rig = OwnedSet()
        async with rig.owner() as owner:
            rig.engines[3].engine._reserve = rig.drives[3].total + 1  # type: ignore[attr-defined]
            assert all_done(await owner.submit([rig.put("a")]))
            assert rig.state().mask == 0b0111

    asyncio.run(run())


def test_the_queue_is_bounded() -> None:
    async def run() -> None:
        rig = OwnedSet(limits=msgspec_replace(queued_proposals_max=4))
        async with rig.owner() as owner:
            with pytest.raises(Busy):
                await owner.submit([rig.put(str(i)) for i in range(5)])
            assert all_done(await owner.submit([rig.put(str(i)) for i in range(4)]))

    asyncio.run(run())


def test_a_large_batch_is_spread_over_groups_and_answered_in_order() -> None:
    async def run() -> None:
        rig = OwnedSet(limits=msgspec_replace(group_proposals_max=7))
        async with rig.owner() as owner:
            outcomes = await owner.submit([rig.put(f"k{i:03}") for i in range(50)])
            sequences = [outcome.seq for outcome in outcomes if isinstance(outcome, Done)]
            assert sequences == list(range(sequences[0], sequences[0] + 50))
        rig.assert_whole()

    asyncio.run(run())


def test_generations_are_bumped_before_the_answer() -> None:
    async def run() -> None:
        rig = OwnedSet()
        async with rig.owner() as owner:
            buckets, iam = rig.pages.generation(GEN_BUCKETS), rig.pages.generation(GEN_IAM)
            await owner.submit([rig.put("a")])
            assert (rig.pages.generation(GEN_BUCKETS), rig.pages.generation(GEN_IAM)) == (buckets, iam)
            await owner.submit([PutSystem(request_id=b"r" * 16, bucket_id=0, key=b"user/x", value=b"1")])
            assert (rig.pages.generation(GEN_BUCKETS), rig.pages.generation(GEN_IAM)) == (buckets, iam + 1)

    asyncio.run(run())


def test_an_idle_owner_asks_nothing_of_its_drives() -> None:
    async def run() -> None:
        rig = OwnedSet()
        async with rig.owner() as owner:
            await owner.submit([rig.put("a")])
            calls = [len(engine.calls) for engine in rig.engines]
            await asyncio.sleep(0.1)  # long against the pauses of this rig: a timer that runs would show
            assert [len(engine.calls) for engine in rig.engines] == calls
            assert all(engine.engine.reads_open == 0 for engine in rig.engines)  # type: ignore[attr-defined]

    asyncio.run(run())


def test_a_bug_in_a_transition_fails_its_callers_and_not_the_set() -> None:
    async def run() -> None:
        rig = OwnedSet()
        async with rig.owner() as owner:
            poison = PutSystem(request_id=b"p" * 16, bucket_id=0, key=b"k", value=b"v")
            real = owner._decide

            def decide(view, bucket, proposal, order, now_ns):  # type: ignore[no-untyped-def]
                if proposal is poison:
                    raise ZeroDivisionError
                return real(view, bucket, proposal, order, now_ns)

            owner._decide = decide
            with pytest.raises(Exception, match="ZeroDivisionError"):
                await owner.submit([poison])
            assert all_done(await owner.submit([rig.put("a")]))

    asyncio.run(run())


def test_stop_commits_what_is_queued() -> None:
    async def run() -> None:
        rig = OwnedSet()
        owner = rig.make_owner()
        assert await owner.start()
        waiting = asyncio.gather(*(owner.submit([rig.put(f"k{i}")]) for i in range(20)))
        await asyncio.sleep(0)
        await owner.stop()
        assert all(all_done(outcomes) for outcomes in await waiting)

    asyncio.run(run())


def msgspec_replace(**changes: int) -> Limits:
    return Limits(retry_s_min=QUICK.retry_s_min, **changes)  # type: ignore[arg-type]


def test_the_log_is_trimmed_in_bounded_steps() -> None:
    async def run() -> None:
        limits = Limits(retry_s_min=0.01, log_entries_min=20, log_trim_max=8, log_age_ns=0, repeat_s=0.0)
        rig = OwnedSet(limits=limits)
        async with rig.owner() as owner:
            for i in range(60):
                await owner.submit([rig.put(f"k{i}")])
        rig.assert_whole()
        sequences = sorted(int.from_bytes(key, "big") for key in rig.replicated(0)["oplog"])
        assert sequences == list(range(sequences[0], 62)) and 20 <= len(sequences) <= 30

    asyncio.run(run())


def test_outcomes_travel_through_the_log_unchanged() -> None:
    done = Done(5, b"v" * 16, True, etag="x", existed=True)
    from sos.erasure.pending import decode_outcome, encode_outcome

    assert decode_outcome(encode_outcome(done)) == done
    assert decode_outcome(msgspec.msgpack.encode(Refused("Busy", "m", {"a": 1}))) == Refused("Busy", "m", {"a": 1})
