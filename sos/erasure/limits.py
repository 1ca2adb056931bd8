"""What an owner bounds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of an owner.

    :param queued_proposals_max: beyond it ``submit`` raises Busy
    :param group_proposals_max: bounds the time the event loop is held, and the transaction
    :param pause_s_max: before a group, for callers expected to come again (``gather.py``)
    :param log_entries_min: operations always kept in the log
    :param log_entries_max: operations kept even though a drive lacks them; then it is copied whole
    :param log_age_ns: entries younger than this stay while the log is below its maximum
    :param log_trim_max: entries deleted with one group
    :param repeat_s: a proposal may be offered again for so long after it was committed: well above the time for which a
        worker offers one to the owner's successors (``sos/worker/submit.py``)
    :param repeat_segments_max: memory for it, a MiB each; 24 are enough for 39,000 commits a second
    :param repeats_min: request ids that a new owner takes from the log in any case
    :param retry_s_min: pause before a drive that left is tried again; doubled while it fails
    """

    queued_proposals_max: int = 16_384
    group_proposals_max: int = 256
    group_inline_bytes_max: int = 4 << 20
    pause_s_max: float = 0.010
    log_entries_min: int = 65_536
    log_entries_max: int = 262_144
    log_age_ns: int = 600 * 1_000_000_000
    log_trim_max: int = 512
    repeat_s: float = 30.0
    repeat_segments_max: int = 24
    repeats_min: int = 32_768
    retry_s_min: float = 1.0
