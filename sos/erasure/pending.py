"""A group in the making: proposals decided one after the other, each seeing what those before it did."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence

import msgspec

from ..domain.errors import StorageFull, WriteQuorumLost
from ..drive.engine import Group, Position, ReadTxn, Row
from ..meta import keys
from ..meta.proposals import AnyProposal, Done, Outcome, PutObject, PutPart, Refused
from ..meta.records import BucketRecord, DataRef, LogEntry
from ..meta.rows import seal
from ..meta.transitions import Decision
from .catchup import HealMark, heal_row
from .last_group import note_row
from .overlay import Overlay
from .protocol import LastGroup, mask_of, write_quorum

Decide = Callable[[Overlay, "BucketRecord | None", AnyProposal, int, int], Decision]
BucketOf = Callable[[int], "BucketRecord | None"]

encode_outcome = msgspec.msgpack.Encoder().encode
decode_outcome = msgspec.msgpack.Decoder(Outcome).decode


class Ticket:
    """What one caller of ``submit`` waits for. Its proposals may be spread over several groups."""

    __slots__ = ("future", "missing", "outcomes", "proposals", "taken")

    def __init__(self, proposals: Sequence[AnyProposal], future: asyncio.Future[list[Outcome]]) -> None:
        self.proposals = proposals
        self.future = future
        self.outcomes: list[Outcome | None] = [None] * len(proposals)
        self.missing = len(proposals)
        self.taken = 0

    def answer(self, index: int, outcome: Outcome) -> None:
        if self.outcomes[index] is None:
            self.outcomes[index] = outcome
            self.missing -= 1
        if not self.missing and not self.future.done():
            self.future.set_result([outcome for outcome in self.outcomes if outcome is not None])

    def fail(self, error: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(error)


Place = tuple[Ticket, int]
"""One proposal of a ticket."""


class Pending:
    """The changes of a group over the snapshot ``base`` of a drive in sync.

    :param last: the set's position before the group
    :param drives: how many it will be sent to
    :param quorum: Wq
    """

    def __init__(self, base: ReadTxn, epoch: int, last: Position, now_ns: int, drives: int, quorum: int) -> None:
        self.epoch, self.expect = epoch, last
        self.view = Overlay(base)
        self.answers: list[tuple[Ticket, int, Outcome]] = []
        #: request id → sequence and outcome of what the group commits
        self.fresh: dict[bytes, tuple[int, bytes]] = {}
        #: mask of drives that lack a shard of some payload in the group
        self.lacking = 0
        #: drives that must hold it, 0 where Wq is enough: an inline payload comes with the operation, and it has to survive
        #: what its own class promises (I9)
        self.needed = 0
        self.frees = True
        self.trimmed = range(0)
        self._now_ns = now_ns
        self._seq = last.seq
        self._drives, self._quorum = drives, quorum
        self._log: list[Row] = []
        self._shards: dict[bytes, tuple[bytes, ...]] = {}

    @property
    def last(self) -> Position:
        return Position(self.epoch, self._seq)

    @property
    def operations(self) -> int:
        return self._seq - self.expect.seq

    def add(self, place: Place, decide: Decide, bucket: BucketRecord | None, only_freeing: bool) -> None:
        """Decide one proposal; what it changes is seen by the next.

        :param only_freeing: the drives are full: refuse what does not only free space
        :raises DriveFault: the snapshot cannot be read; nothing was added
        """
        ticket, index = place
        proposal = ticket.proposals[index]
        decision = decide(self.view, bucket, proposal, self._seq + 1, self._now_ns)
        outcome = decision.outcome
        if isinstance(outcome, Done):
            data = payload_of(proposal)
            needed = self._drives_needed(data)
            if only_freeing and not decision.frees:
                outcome = Refused(StorageFull.__name__)
            elif needed > self._drives:
                outcome = Refused(WriteQuorumLost.__name__, "", {"drives": self._drives, "needed": needed})
            else:
                self._take(proposal.request_id, decision)
                self.needed = max(self.needed, needed)
                self.lacking |= _lacking(data)
        self.answers.append((ticket, index, outcome))

    def _drives_needed(self, data: DataRef | None) -> int:
        if data is None or data.volume:
            return 0
        needed = write_quorum(data.k, data.m)
        return needed if needed > self._quorum else 0

    def repeat(self, place: Place, outcome: Outcome) -> None:
        """Answer from the log; the answer still waits for the group, which may hold the first copy."""
        self.answers.append((*place, outcome))

    def refuse(self, place: Place, outcome: Refused) -> None:
        self.answers.append((*place, outcome))

    def _take(self, request_id: bytes, decision: Decision) -> None:
        self._seq += 1
        self.frees = self.frees and decision.frees
        self.view.put(decision.rows)
        touched = [(table, key) for table, key, _ in decision.rows]
        for table, key in touched:
            if table == "inline":
                # made and freed within one group: it must not be written after its deletion
                self._shards.pop(key, None)
        if decision.inline_id:
            self._shards[decision.inline_id] = decision.inline
            touched.append(("inline", decision.inline_id))
        outcome = encode_outcome(decision.outcome)
        key = keys.log_row(self._seq)
        entry = LogEntry(self.epoch, self._seq, request_id, self._now_ns, tuple(touched), outcome)
        self._log.append(Row("oplog", key, seal(key, entry)))
        self.fresh[request_id] = self._seq, outcome

    def groups(self, drives: Sequence[int], marked: Sequence[int] = ()) -> dict[int, Group]:
        """The transaction of each drive; ``trimmed`` are sequences to delete from the log.

        :param marked: drives that are to be marked as lacking shards from here on
        """
        rows = self.view.rows() + self._log + [Row("oplog", keys.log_row(seq), None) for seq in self.trimmed]
        note = note_row(LastGroup(self.expect, self.last, mask_of(drives), self.needed))
        own = {drive: [*self._own_rows(drive, drive in marked), note] for drive in drives}
        return {drive: Group(self.epoch, self.expect, self.last, rows, own[drive], self.frees) for drive in drives}

    def _own_rows(self, drive: int, marked: bool) -> list[Row]:
        rows = [Row("inline", key, shards[drive]) for key, shards in self._shards.items() if shards[drive]]
        return [*rows, heal_row(HealMark(self.expect.seq))] if marked else rows


def payload_of(proposal: AnyProposal) -> DataRef | None:
    """The payload that a proposal brings."""
    if isinstance(proposal, PutObject):
        return proposal.record.data
    return proposal.part.data if isinstance(proposal, PutPart) else None


def _lacking(data: DataRef | None) -> int:
    """The drives that did not get their shard of a payload in a volume."""
    if data is None or not data.volume:
        return 0
    return ((1 << (data.k + data.m)) - 1) & ~data.have


class _Nothing:
    """A snapshot of nothing."""

    last = Position(0, 0)

    def get(self, table: str, key: bytes) -> bytes | None:
        return None

    def scan(
        self, table: str, start: bytes, stop: bytes | None, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        return iter(())

    def close(self) -> None:
        return None


#: For a group without operations.
NOTHING: ReadTxn = _Nothing()
