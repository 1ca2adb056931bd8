"""Pages of memory shared by the supervisor and its workers.

One anonymous shared mapping, made before the fork, holds everything that processes tell each other without a
message. All fields are 8-byte aligned unsigned numbers in native order, read and written only through a
``memoryview`` cast to ``Q``: such an access is a single load or store (``struct`` writes byte by byte and tears).

Layout, in words of 8 bytes::

    0 … 63                      generations and server-wide words
    64 + 64·w                   pulse of worker slot w (64 words)
    64 + 64·workers + 16·s      state of set s (16 words): turn, slot 0 (epoch, committed, mask), suspects, openings,
                                locked, unlock, healing, slot 1 (epoch, committed, mask)

The owner of a set writes the slot that ``turn`` (modulo 2) does not name and then increments ``turn``; a reader takes
the slot that it names and checks that ``turn`` is still the same. So the named slot is never half written, and an owner
that is killed in the middle leaves what was in force. Each of the other words has one writer at a time.
"""

from __future__ import annotations

import mmap
from typing import NamedTuple

from .board import Board

WORDS_PULSE = 64
WORDS_SET = 16
WORDS_HEAD = 64

#: Offsets of the two slots of a set's state.
_SLOTS = (1, 9)

# words of the head
GEN_BUCKETS = 0
GEN_IAM = 1
GEN_CONFIG = 2
SERVER_STATE = 3
OPERATION_CLOCK = 4
QUOTA_TERM = 5  # grants of quota of an earlier term are void; written by the owner of set 0 alone
FROZEN = 6  # 1 while S3 requests are to wait

# words of a pulse
PULSE_BEAT = 0  # monotonic nanoseconds, written from the event loop
PULSE_PID = 1
PULSE_STATE = 2  # one of the STATE_ values
PULSE_READS = 3  # replies under way that hold mappings
PULSE_OLDEST_READ = 4  # monotonic ns of the oldest open read, 0 = none
PULSE_INCARNATION = 5
PULSE_REQUESTS = 6
PULSE_THREADS = 16  # 48 words: drive number + 1 that a use of a mapping under way touches, 0 = none
THREADS_MAX = WORDS_PULSE - PULSE_THREADS

# words of a set
_TURN, _EPOCH, _COMMITTED, _MASK, _SUSPECTS, _OPENINGS, _LOCKED, _UNLOCK, _HEALING = range(9)
_OPENING_BITS = 4
_OPENING_MAX = (1 << _OPENING_BITS) - 1

STATE_EMPTY, STATE_BOOTING, STATE_SERVING, STATE_DRAINING, STATE_FAILED = range(5)


class SetState(NamedTuple):
    """What the owner of a set has published.

    :param epoch: 0 while no owner has recovered it
    :param committed: the last sequence that may be served (C)
    :param mask: bit i is set while drive i is in sync
    """

    epoch: int
    committed: int
    mask: int


class Pages:
    """The shared mapping, and the ``board`` beside it. Created by the supervisor, inherited by ``fork``."""

    def __init__(self, workers: int, sets: int) -> None:
        self.workers = workers
        self.sets = sets
        words = WORDS_HEAD + WORDS_PULSE * workers + WORDS_SET * sets
        self._map = mmap.mmap(-1, words * 8)
        self._words = memoryview(self._map).cast("Q")
        self.board = Board(workers)

    def generation(self, word: int) -> int:
        return self._words[word]

    def bump(self, word: int) -> None:
        """Only the owner of set 0 bumps a generation, after the commit and before the acknowledgement."""
        self._words[word] += 1

    def set_word(self, word: int, value: int) -> None:
        self._words[word] = value

    def pulse(self, worker: int, field: int) -> int:
        return self._words[WORDS_HEAD + WORDS_PULSE * worker + field]

    def set_pulse(self, worker: int, field: int, value: int) -> None:
        self._words[WORDS_HEAD + WORDS_PULSE * worker + field] = value

    def pulse_words(self, worker: int) -> memoryview:
        """The pulse of a worker, for what is written too often for a call."""
        at = WORDS_HEAD + WORDS_PULSE * worker
        return self._words[at : at + WORDS_PULSE]

    def clear_pulse(self, worker: int) -> None:
        at = WORDS_HEAD + WORDS_PULSE * worker
        for i in range(WORDS_PULSE):
            self._words[at + i] = 0

    def _set_at(self, number: int) -> int:
        return WORDS_HEAD + WORDS_PULSE * self.workers + WORDS_SET * number

    def publish(self, number: int, state: SetState) -> None:
        """Called only by the owner of the set."""
        at, words = self._set_at(number), self._words
        turn = words[at] + 1
        slot = at + _SLOTS[turn & 1]
        words[slot] = state.epoch
        words[slot + 1] = state.committed
        words[slot + 2] = state.mask
        words[at] = turn

    def set_state(self, number: int) -> SetState:
        """The published state."""
        at, words = self._set_at(number), self._words
        while True:
            turn = words[at]
            slot = at + _SLOTS[turn & 1]
            state = SetState(words[slot], words[slot + 1], words[slot + 2])
            if words[at] == turn:
                return state

    def suspects(self, number: int) -> int:
        """Mask of drives the supervisor took out after a SIGBUS or a hang; all workers leave them alone."""
        return self._words[self._set_at(number) + _SUSPECTS]

    def set_suspects(self, number: int, mask: int) -> None:
        self._words[self._set_at(number) + _SUSPECTS] = mask

    def opening(self, number: int, drive: int) -> int:
        """Changes (modulo 16) whenever the owner gives a drive up: whoever opened it before must open it anew."""
        return self._words[self._set_at(number) + _OPENINGS] >> drive * _OPENING_BITS & _OPENING_MAX

    def next_opening(self, number: int, drive: int) -> None:
        """Called only by the owner of the set."""
        at, shift = self._set_at(number) + _OPENINGS, drive * _OPENING_BITS
        following = (self.opening(number, drive) + 1) & _OPENING_MAX
        self._words[at] = self._words[at] & ~(_OPENING_MAX << shift) | following << shift

    def locked(self, number: int) -> int:
        """Mask of drives whose lock the supervisor holds."""
        return self._words[self._set_at(number) + _LOCKED]

    def set_locked(self, number: int, mask: int) -> None:
        """Called only by the supervisor."""
        self._words[self._set_at(number) + _LOCKED] = mask

    def unlock(self, number: int) -> int:
        """Mask of drives whose lock the owner asks the supervisor to let go."""
        return self._words[self._set_at(number) + _UNLOCK]

    def ask_unlock(self, number: int, drive: int) -> None:
        """Called only by the owner of the set."""
        self._words[self._set_at(number) + _UNLOCK] |= 1 << drive

    def healing(self, number: int) -> int:
        """Mask of drives in sync that still lack shards which they missed."""
        return self._words[self._set_at(number) + _HEALING]

    def set_healing(self, number: int, mask: int) -> None:
        """Called only by the owner of the set."""
        self._words[self._set_at(number) + _HEALING] = mask
