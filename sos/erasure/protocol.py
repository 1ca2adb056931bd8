"""The commit and recovery rules of one erasure set, as pure functions.

The owner (``owner.py``) moves bytes; every decision it takes is here, and ``tests/simulate`` runs these functions
against random crashes.

Words. An *operation* is (epoch, sequence). A drive's *position* is its last operation; positions compare as
(epoch, sequence). A drive *votes* unless it came blank or foreign and is not rebuilt. A drive is *syncing* while its
rows are being copied in several transactions: its rows are then a mixture and its position is (0, 0), so that a reader
that noted the mask earlier cannot take it for a drive in sync.
The *mask* holds the drives in sync. C is the last published sequence. Wq is the write quorum.

Invariants.

I1  The same (epoch, sequence) is the same operation on every drive, after the same prefix.
I2  An epoch has one owner: it is promised on Wq voting drives before its first use, and two write quorums meet.
I3  An acknowledged operation is in the logs of Wq voting drives, so in every later authority.
I4  What readers are served has sequence <= C in the published epoch, so it is never undone.
I5  A drive in the mask holds a prefix of the owner's log, at least up to C.
I6  A punched extent was freed at a sequence <= C, no reader can see it, and its grace has passed.
I7  have[i] is set only where shard i was durable on drive i before the operation was proposed.
I8  A drive begins *syncing* only when Wq other drives, voting and not syncing, hold every operation up to C
    and all that it holds itself and that was acknowledged. It never is the authority. Its promise still counts:
    of the n - 1 other drives, the Wq that hold an acknowledged operation and the Wq - 1 others that promised meet,
    since 2 Wq > n.
I9  What is kept has its payload. Inline payload comes with the operation, so a group that was cut off on a few drives
    brings too few shards of it, and takes what it replaced away: recovery undoes a group that fewer than Wq drives can hold.
    (A payload of a class with less parity has more data shards than Wq: its group is acknowledged, and kept, only with the
    write quorum of that class.) For that each group leaves a note: the position before it, the drives it was sent to (no other
    can hold it), and how many it needs. Before
    readers are served a group that is not acknowledged, its notes are taken away on *stable* drives, which keeps it.
    Where more than Wq - k of those drives are lost in the same moment a group may be kept with fewer than k shards: it
    may have been acknowledged. (So may one whose notes were taken away on some drives only.)

States of an owner.

IDLE → PROMISING → ALIGNING → BARRIER → SERVING → (quorum lost) → PROMISING with the next epoch.

PROMISING  reads promised epoch and position of each drive, promises E = 1 + the largest epoch seen on Wq of them.
ALIGNING   the authority is the largest position among those that promised; others take its log and rows.
BARRIER    an empty operation (E, s + 1) on Wq drives commits everything before it.
SERVING    groups of operations, one transaction per drive; C moves when the group is done.

States of a drive, seen by its owner: ABSENT (no engine), OUT (late, failed or behind), SYNCING, IN_SYNC.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from typing import NamedTuple

from ..drive.engine import Position

#: The least time a drive is given for a group once the others have it, when it was never late lately. Far above the
#: 100 ms that would do on a quiet machine: a commit is a device flush, and on a loaded machine (or several drives on
#: one disk) a lone flush of a healthy drive takes a second. Throwing it out costs a catch-up and a drive less; waiting
#: costs one slow group, and a drive that is late again has only DEADLINE_LATE_NS.
DEADLINE_FLOOR_NS = 2_000_000_000
DEADLINE_LATE_NS = 100_000_000
DEADLINE_FACTOR = 4
#: Without a write quorum by then, the group is given up.
GIVE_UP_NS = 30_000_000_000


class DriveState(Enum):
    ABSENT = "absent"
    OUT = "out"
    SYNCING = "syncing"
    IN_SYNC = "in sync"


class Verdict(Enum):
    """What has become of a group."""

    WAIT = "wait"
    DONE = "done"
    LOST = "lost"


class LastGroup(NamedTuple):
    """The note of the group that brought a drive to its position.

    :param before: the set's position before the group
    :param last: its last operation
    :param sent: mask of the drives in sync then, to which it was sent
    :param needed: drives that must hold it before it is acknowledged, where its inline payload asks for more than Wq
    """

    before: Position
    last: Position
    sent: int
    needed: int = 0


class Report(NamedTuple):
    """What a drive says of itself before it promises.

    :param group: None after a barrier or a catch-up, which bring nothing that is not held elsewhere, and where the note
        was taken away
    """

    drive: int
    promised: int
    last: Position
    voting: bool
    syncing: bool
    group: LastGroup | None = None


def write_quorum(k: int, m: int) -> int:
    """Wq: drives that must hold an operation before it is acknowledged; two such quorums always meet."""
    return k if k > m else k + 1


def stable_quorum(k: int, m: int) -> int:
    """Drives that must hold an operation of the newest epoch, and no note of it, so that every later authority has it.

    Any Wq drives meet n - Wq + 1 others; k of them have its payload. It is enough to serve reads (I4) after the write quorum
    is gone, not to acknowledge.
    """
    return max(k, k + m - write_quorum(k, m) + 1)


def next_epoch(reports: Iterable[Report], known: int = 0) -> int:
    """One more than any epoch seen."""
    seen = known
    for report in reports:
        seen = max(seen, report.promised, report.last.epoch)
    return seen + 1


def has_quorum(reports: Iterable[Report], quorum: int) -> bool:
    return sum(report.voting for report in reports) >= quorum


def elect(promised: Sequence[Report], quorum: int) -> Report | None:
    """The authority among the drives that promised the new epoch, None without a quorum of voters.

    The largest (epoch, sequence), never the largest sequence alone: a longer log of an older epoch can be one that
    a recovery has undone elsewhere. Without its last group where that cannot have been acknowledged (I9); an earlier one
    was done before the next was sent.
    """
    voters = [report for report in promised if report.voting]
    sound = [report for report in voters if not report.syncing]
    if len(voters) < quorum or not sound:
        return None
    newest = max(sound, key=lambda report: report.last)
    group = newest.group
    holders = [report for report in sound if report.last == newest.last]
    if group is None or any(report.group is None for report in holders):
        return newest
    unheard = group.sent & ~mask_of(report.drive for report in sound)
    if len(holders) + unheard.bit_count() >= max(quorum, group.needed):
        return newest
    # without a drive at the position before it there is nobody to undo it by
    return next((report for report in sound if report.last == group.before), newest)


def judge(in_sync: int, accepted: int, failed: int, quorum: int, late: bool, hopeless: bool = False) -> Verdict:
    """The done-rule for a group.

    :param in_sync: drives the group was sent to
    :param accepted: drives that hold it durably
    :param failed: drives that answered with a fault
    :param late: the deadline for stragglers passed
    :param hopeless: the time after which a missing quorum is given up passed
    """
    waiting = in_sync - accepted - failed
    if accepted >= quorum and (waiting == 0 or late):
        return Verdict.DONE
    if waiting == 0 or hopeless:
        return Verdict.LOST
    return Verdict.WAIT


def deadline_ns(p99_ns: int, late_lately: bool) -> int:
    """How long stragglers have, from the start of the group."""
    return max(DEADLINE_FACTOR * p99_ns, DEADLINE_LATE_NS if late_lately else DEADLINE_FLOOR_NS)


def last_common(
    mine: Position, mine_first: int, his: Position, his_first: int, epochs: Callable[[int], tuple[int, int]]
) -> Position | None:
    """The last operation that two logs share, None when one of them is too short to tell.

    :param mine_first, his_first: the lowest sequence in each log, 1 more than the position for an empty log
    :param epochs: sequence → the epoch of that entry in each log; asked only where both have it
    """
    if mine == his:
        return mine
    first = max(mine_first, his_first, 1)
    for seq in range(min(mine.seq, his.seq), first - 1, -1):
        left, right = epochs(seq)
        if left == right:
            return Position(left, seq)
    # below the first entries nothing is known, unless both logs are whole
    return Position(0, 0) if mine_first <= 1 and his_first <= 1 else None


class Readable(NamedTuple):
    """Drives that may serve reads without a write quorum, all at one position.

    :param enough: so many of them must see to it that no recovery undoes their last group
    """

    last: Position
    drives: list[int]
    enough: int


def readable(reports: Sequence[Report], stable: int) -> Readable | None:
    """The newest position, where so many drives hold it that every later authority does; else None."""
    sound = [report for report in reports if report.voting and not report.syncing]
    if not sound:
        return None
    last = max(report.last for report in sound)
    holders = [report for report in sound if report.last == last]
    enough = max(stable, *(report.group.needed for report in holders if report.group is not None), 0)
    drives = [report.drive for report in holders]
    return Readable(last, drives, enough) if len(holders) >= enough and last.seq else None


def may_sync(in_sync_voters: int, quorum: int) -> bool:
    """I8 for an owner that serves: whether a drive outside the mask may begin *syncing*."""
    return in_sync_voters >= quorum


def trim_to(committed: int, positions: Iterable[int], first: int, keep: int, most: int, batch: int) -> int:
    """The highest sequence of the log that may be deleted with the next group; ``first - 1`` for nothing.

    :param positions: sequence of every drive that is to catch up by the log
    :param keep: entries kept in any case
    :param most: entries kept at most, even when a drive still lacks them (it is then copied whole)
    :param batch: entries deleted at once
    """
    all_have = min([committed, *positions])
    limit = max(min(all_have, committed - keep), committed - most)
    return max(min(limit, first + batch - 1), first - 1)


def mask_of(drives: Iterable[int]) -> int:
    mask = 0
    for drive in drives:
        mask |= 1 << drive
    return mask
