"""The shared pages: what one process publishes another reads whole."""

from __future__ import annotations

import os
import signal

from sos.base.pages import Pages, SetState


def test_sets_and_pulses_do_not_overlap() -> None:
    pages = Pages(3, 5)
    for number in range(5):
        pages.publish(number, SetState(number + 1, number + 10, number + 100))
        pages.set_suspects(number, number + 7)
        pages.set_locked(number, number + 8)
        pages.set_healing(number, number + 9)
    for worker in range(3):
        pages.set_pulse(worker, 63, worker + 1)
    for number in range(5):
        assert pages.set_state(number) == (number + 1, number + 10, number + 100)
        assert (pages.suspects(number), pages.locked(number), pages.healing(number)) == (number + 7, number + 8, number + 9)
    assert [pages.pulse(worker, 63) for worker in range(3)] == [1, 2, 3]
    pages.clear_pulse(1)
    assert [pages.pulse(worker, 63) for worker in range(3)] == [1, 0, 3]


def test_a_reader_sees_each_state_whole_and_the_last_one_of_a_killed_owner() -> None:
    """States whose three words belong together, written by another process that is killed in the middle of writing."""
    pages = Pages(1, 1)
    pages.publish(0, SetState(1, 1, 1))
    child = os.fork()
    if not child:
        number = 2
        while True:
            pages.publish(0, SetState(number, number, number))
            number += 1
    seen = set()
    while len(seen) < 2_000:
        state = pages.set_state(0)
        assert state.epoch == state.committed == state.mask
        seen.add(state.epoch)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    last = pages.set_state(0)
    assert last.epoch == last.committed == last.mask
    assert pages.set_state(0) == last
