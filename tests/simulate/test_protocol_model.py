"""Random runs of the commit and recovery protocol; a seed reproduces a run.

Covers R01, R02, R04, R12 (what is acknowledged or served is never undone; what is kept has its payload), R14, R23.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from sos.erasure.protocol import Report, elect
from tests.simulate.protocol_model import Rules, Run, Violation

STEPS = 400


def by_sequence_alone(promised: Sequence[Report], quorum: int) -> Report | None:
    """The wrong rule: a longer log of an older epoch wins over a recovered one."""
    if elect(promised, quorum) is None:
        return None
    return max((r for r in promised if r.voting and not r.syncing), key=lambda r: r.last.seq)


def by_position_alone(promised: Sequence[Report], quorum: int) -> Report | None:
    """The wrong rule: what a single drive got before the cut is kept, though the payload's other shards are gone."""
    return elect([report._replace(group=None) for report in promised], quorum)


def violations(rules: Rules, runs: int) -> int:
    found = 0
    for seed in range(runs):
        try:
            Run(seed, rules).play(STEPS)
        except Violation:
            found += 1
    return found


@pytest.mark.parametrize("block", range(4))
def test_acknowledged_and_served_operations_survive_any_crash(block: int) -> None:
    acks = reads = joins = copies = undone = 0
    for seed in range(block * 1000, block * 1000 + 1000):
        try:
            world = Run(seed).play(STEPS)
        except Violation as violation:
            raise AssertionError(f"seed {seed}") from violation
        acks, reads = acks + world.acks, reads + world.reads
        joins, copies, undone = joins + world.joins, copies + world.copies, undone + world.undone
    # a model in which nothing happens proves nothing
    assert acks > 10_000 and reads > 2000 and joins > 150 and copies > 200 and undone > 50


def test_canary_recovery_by_sequence_alone_is_caught() -> None:
    assert violations(Rules(elect=by_sequence_alone), 1000) > 0


def test_canary_a_quorum_of_k_is_caught() -> None:
    assert violations(Rules(quorum=lambda k, m: max(1, k)), 1000) > 0


def test_canary_drives_without_a_fence_are_caught() -> None:
    assert violations(Rules(fenced=False), 1000) > 0


def test_canary_serving_what_one_drive_holds_is_caught() -> None:
    assert violations(Rules(stable=lambda k, m: 1), 1000) > 0


def test_canary_keeping_what_lost_its_payload_is_caught() -> None:
    assert violations(Rules(elect=by_position_alone), 1000) > 0


def test_canary_serving_a_group_that_may_be_undone_is_caught() -> None:
    assert violations(Rules(marked=False), 4000) > 0
