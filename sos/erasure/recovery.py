"""Taking over a set: promise, authority, alignment, barrier (``protocol.py``: states of an owner)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from ..domain.errors import DriveFault
from ..drive.engine import DriveEngine, Group, Position, ReadTxn, Row
from ..meta import keys
from ..meta.records import LogEntry
from ..meta.rows import open_row, seal
from . import catchup, oplog, protocol
from .catchup import Rebuild, Target
from .member import Member, ask
from .protocol import LastGroup, Report

ANSWER_S_MAX = 5.0
#: A whole log may have to be replayed in one transaction before a quorum stands.
ALIGN_S_MAX = 120.0
PROMISES_MAX = 3


class Recall(NamedTuple):
    """How much of the log a new owner reads, to know what is committed already.

    :param age_ns: entries younger than this by the wall clock, and
    :param least: in any case this many (the clock may have been set), but
    :param most: no more than this
    """

    age_ns: int
    least: int
    most: int


class Recovered(NamedTuple):
    """The set as the new owner takes it over.

    :param last: the barrier
    :param log_first: the lowest sequence in the log
    :param committed: request id and sequence of the newest operations, in their order
    :param unsure: request ids of operations that are kept although they may have lost their payload (I9)
    """

    epoch: int
    last: Position
    log_first: int
    committed: list[tuple[bytes, int]]
    unsure: frozenset[bytes] = frozenset()


class _Head(msgspec.Struct, array_like=True, frozen=True):
    """The first fields of a :class:`~sos.meta.records.LogEntry`: the others of so many need not be made."""

    epoch: int
    seq: int
    request_id: bytes
    at_ns: int


class Recovery:
    """One attempt to take over a set.

    :param known: the highest epoch this process has heard of
    """

    def __init__(
        self,
        members: Sequence[Member],
        quorum: int,
        rebuild: Rebuild,
        known: int,
        now_ns: int,
        recall: Recall,
    ) -> None:
        self.epoch = known
        #: What the drives said of themselves, for whoever must do without a quorum.
        self.reports: list[Report] = []
        self._members = members
        self._quorum = quorum
        self._rebuild = rebuild
        self._now_ns = now_ns
        self._recall = recall

    async def run(self) -> Recovered | None:
        """None without a write quorum: nothing is dropped, nothing can be written."""
        promised = await self._promise()
        chosen = protocol.elect(promised, self._quorum)
        if chosen is None:
            return None
        authority = self._members[chosen.drive]
        authority.joined(chosen.last)
        aligned = [authority, *await self._align(authority, [r for r in promised if r.drive != chosen.drive])]
        holders = await self._barrier(aligned, chosen.last)
        tail = await self._tail(holders)
        if tail is not None and chosen.group is not None:
            tail = tail._replace(unsure=await self._unsure(holders, chosen.group))
        return tail if sum(member.in_sync for member in holders) >= self._quorum else None

    async def _tail(self, holders: list[Member]) -> Recovered | None:
        """Read the end of the log from the first drive that can."""
        for member in holders:
            answers = await ask([member], lambda m: self._read_tail(m.open), ANSWER_S_MAX)
            self._note(answers)
            if isinstance(found := answers[member.index], Recovered):
                return found
        return None

    def _read_tail(self, engine: DriveEngine) -> Recovered:
        txn = engine.begin_read()
        try:
            return Recovered(self.epoch, txn.last, oplog.first(txn), self._committed(txn))
        finally:
            txn.close()

    def _committed(self, txn: ReadTxn) -> list[tuple[bytes, int]]:
        least, most, young_ns = self._recall.least, self._recall.most, self._now_ns - self._recall.age_ns
        found: list[tuple[bytes, int]] = []
        for key, value in txn.scan("oplog", b"", None, reverse=True):
            head = open_row(key, value, _Head)
            if len(found) >= most or (len(found) >= least and head.at_ns < young_ns):
                break
            if head.request_id:
                found.append((head.request_id, head.seq))
        found.reverse()
        return found

    async def _unsure(self, holders: list[Member], group: LastGroup) -> frozenset[bytes]:
        """Request ids of the last group whose inline payloads fewer drives hold than must before they are acknowledged. It
        is kept, since others may hold it that are not heard now; but who asks again must not be told that it is safe.
        """
        needed = max(self._quorum, group.needed)
        answers = await ask(holders, lambda m: _inline_of(m.open, group), ANSWER_S_MAX)
        self._note(answers)
        held = [answer for answer in answers.values() if not isinstance(answer, DriveFault)]
        ids = {request_id for each in held for request_id in each}
        counts = {request_id: [each.get(request_id, frozenset()) for each in held] for request_id in ids}
        return frozenset(
            request_id
            for request_id, found in counts.items()
            if any(sum(data_id in each for each in found) < needed for data_id in frozenset().union(*found))
        )

    # -- PROMISING --------------------------------------------------------------------------------------

    async def _promise(self) -> list[Report]:
        """Those that promised the new epoch, with the position they then had."""
        for _ in range(PROMISES_MAX):
            reports = self.reports = await self._reports()
            if not protocol.has_quorum(reports, self._quorum):
                return []
            self.epoch = protocol.next_epoch(reports, self.epoch)
            asked = [self._members[report.drive] for report in reports]
            answers = await ask(asked, lambda member: member.open.promise(self.epoch), ANSWER_S_MAX)
            promised = [_moved(r, last) for r in reports if not isinstance(last := answers[r.drive], DriveFault)]
            self._note(answers)
            if protocol.has_quorum(promised, self._quorum):
                return promised
        return []

    async def _reports(self) -> list[Report]:
        asked = [member for member in self._members if member.engine is not None and not member.busy]
        answers = await ask(asked, lambda member: catchup.report(member.open, member.index), ANSWER_S_MAX)
        self._note(answers)
        reports = [answer for answer in answers.values() if not isinstance(answer, DriveFault)]
        for found in reports:
            self._members[found.drive].last = found.last
        return reports

    def _note(self, answers: Mapping[int, object]) -> None:
        for index, answer in answers.items():
            if isinstance(answer, DriveFault):
                self._members[index].leave(str(answer) or answer.name)

    # -- ALIGNING ---------------------------------------------------------------------------------------

    async def _align(self, authority: Member, others: list[Report]) -> list[Member]:
        """Voting drives brought to the authority's position: all with a short gap, more only while they are needed.

        Without a published C a drive may not begin to be copied in steps (I8), unless the authority's log is too
        short for it: then the entries it lacks were trimmed, so committed without it.
        """
        aligned = [self._members[r.drive] for r in others if r.voting and not r.syncing and r.last == authority.last]
        behind = [self._members[r.drive] for r in others if r.voting and self._members[r.drive] not in aligned]
        gaps = await ask(behind, lambda member: catchup.gap(member.open, authority.open.begin_read), ANSWER_S_MAX)
        self._note(gaps)
        near = [m for m in behind if isinstance(g := gaps[m.index], int) and g <= catchup.JOIN_OPERATIONS_MAX]
        far = sorted(
            (m for m in behind if isinstance(gaps[m.index], int) and m not in near), key=lambda m: _int(gaps[m.index])
        )
        lost = [m for m in behind if gaps[m.index] is None]
        aligned += await self._join(near, authority, whole=False)
        for member in far:
            if len(aligned) + 1 < self._quorum:
                aligned += await self._join([member], authority, whole=False)
        for member in lost:
            if len(aligned) + 1 < self._quorum:
                aligned += await self._join([member], authority, whole=True)
        return aligned

    async def _join(self, members: list[Member], authority: Member, whole: bool) -> list[Member]:
        source = authority.open.begin_read

        def join(member: Member) -> Position:
            target = Target(member.open, member.index, self.epoch, self._rebuild)
            if whole:
                for _ in catchup.sync_steps(target, source):
                    pass
            return catchup.join(target, source, frees=True)

        answers = await ask(members, join, ALIGN_S_MAX)
        self._note(answers)
        return [member for member in members if not isinstance(answers[member.index], DriveFault)]

    # -- BARRIER ----------------------------------------------------------------------------------------

    async def _barrier(self, aligned: list[Member], last: Position) -> list[Member]:
        """Commit everything before it by an empty operation of the new epoch."""
        seq = last.seq + 1
        key = keys.log_row(seq)
        entry = LogEntry(self.epoch, seq, b"", self._now_ns, (), b"")
        position = Position(self.epoch, seq)
        group = Group(self.epoch, last, position, [Row("oplog", key, seal(key, entry))], frees=True)
        answers = await ask(aligned, lambda member: member.open.apply(group), ANSWER_S_MAX * 6)
        self._note(answers)
        holders = [member for member in aligned if not isinstance(answers[member.index], DriveFault)]
        for member in holders:
            member.joined(position)
        return holders


def _inline_of(engine: DriveEngine, group: LastGroup) -> dict[bytes, frozenset[bytes]]:
    """Request id → the inline payloads, of those that its operation touched, whose shard the drive holds. What it took away
    no drive holds any more.
    """
    txn = engine.begin_read()
    try:
        found = {}
        for entry in oplog.entries(txn, group.before.seq, group.last.seq):
            touched = [key for table, key in entry.keys if table == "inline"]
            found[entry.request_id] = frozenset(key for key in touched if txn.get("inline", key) is not None)
        return found
    finally:
        txn.close()


def _moved(report: Report, last: Position) -> Report:
    """The report with the position that its drive had when it promised."""
    return report if report.last == last else report._replace(last=last, group=None)


def _int(value: object) -> int:
    return value if isinstance(value, int) else 0
