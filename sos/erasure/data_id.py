"""Ids of payloads (FORMAT.md).

They are the keys of the table ``inline``, so their order decides which pages of an index a group touches. Ids of one
time stand side by side, in as many places as a set has drives: what is written together, or was and is deleted together,
shares pages. Random ids would touch a page each, and cost a store of many objects a third of its writes and deletions.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

DATA_ID_BYTES = 16
_CLOCK_SHIFT, _CLOCK_BYTES = 20, 6
_RANDOM_BYTES = DATA_ID_BYTES - 1 - _CLOCK_BYTES


def new_data_id(drives: int, clock: Callable[[], int] = time.time_ns) -> bytes:
    """A number below ``drives``, by which shards are rotated over the set; the time in units of 2²⁰ ns; 72 random bits.

    Unique also where the clock stands still or goes back.

    :param clock: nanoseconds since the epoch
    """
    moment = (clock() >> _CLOCK_SHIFT).to_bytes(_CLOCK_BYTES)
    random = os.urandom(1 + _RANDOM_BYTES)
    return bytes((random[0] % drives,)) + moment + random[1:]
