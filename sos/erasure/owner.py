"""The owner of an erasure set: the only writer of its index (DESIGN §5; the rules are in ``protocol.py``).

Invariants, besides I1–I8 of the protocol.

O1  One group at a time; nothing but the group, a recovery or the last step of a catch-up holds ``_turn``.
O2  A group is decided over a snapshot at exactly the set's position, so it sees every operation before it.
O3  The order after a group is: mask and C published, generations bumped, outcomes remembered, callers answered.
O4  A proposal whose request id is in the log gets the logged outcome, before and after a change of owner (``committed.py``).
O5  A refused proposal changes nothing and takes no sequence.
O6  Nothing is written and no timer runs while there is nothing to commit and all drives are in sync.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from ..base.pages import GEN_BUCKETS, GEN_CONFIG, GEN_IAM, Pages, SetState
from ..domain.errors import (
    BadRow,
    Busy,
    DriveFault,
    DriveFull,
    InternalFault,
    OwnerLeaves,
    StorageFull,
    StoreError,
    WriteQuorumLost,
)
from ..drive.engine import DriveEngine, Position, ReadTxn
from ..meta.proposals import AnyProposal, Done, Outcome, Refused
from ..meta.records import DataRef
from . import catchup, oplog, protocol
from .committed import Committed
from .confirmed import Confirmed
from .doubts import Doubts
from .keeper import Keeper
from .last_group import take_note_away
from .limits import Limits
from .member import Member, ask
from .pending import NOTHING, BucketOf, Decide, Pending, Place, decode_outcome
from .protocol import DriveState, Report, Verdict
from .queue import Queue
from .recovery import ANSWER_S_MAX, Recall, Recovered, Recovery

log = logging.getLogger("sos.erasure.owner")

#: Tables whose change makes every worker read again, and the generation that tells them.
GENERATIONS = {"buckets": (GEN_BUCKETS,), "sys": (GEN_IAM, GEN_CONFIG)}
TIMES_KEPT = 128
#: While a drive is being copied the log may grow so much longer: what changed since the copy began must stay in it.
SYNCING_LOG_FACTOR = 8


def no_rebuild(ref: DataRef, drive: int) -> bytes:
    """For sets whose inline shards cannot be rebuilt: the shard stays missing on that drive."""
    raise WriteQuorumLost("no rebuilder of inline data")


async def nothing_to_prepare() -> None:
    """For owners whose bucket records never change."""


class Owner:
    """The owner of one set, in the event loop of its worker.

    :param number: the set's number on the shared pages
    :param engines: the set's drives in their order, opened for writing; None where one is absent
    :param decide: ``sos.meta.transitions.decide``, with its options bound
    :param bucket_of: the record of a bucket id, as of the last ``prepare``
    :param prepare: awaited between taking proposals and deciding them, so that what was acknowledged of buckets before
        they were submitted is in force for them
    :param k, m: data and parity shards of the set's default class: they give the write quorum
    :param reopen: opens the drive at an index anew (in the drive's thread), None while it cannot; without it a failed
        drive is tried again as it is
    :param on_lacking: told when a drive in sync may lack shards, and whether it has just joined (``heal.py``)
    :param rebuild_inline: the shard of inline data for a drive, from the others (in the drive's thread)
    """

    def __init__(
        self,
        number: int,
        engines: Sequence[DriveEngine | None],
        pages: Pages,
        decide: Decide,
        bucket_of: BucketOf,
        k: int,
        m: int,
        *,
        prepare: Callable[[], Awaitable[None]] = nothing_to_prepare,
        reopen: Callable[[int], DriveEngine | None] | None = None,
        on_lacking: Callable[[bool], None] = lambda joined: None,
        rebuild_inline: catchup.Rebuild = no_rebuild,
        clock: Callable[[], int] = time.time_ns,
        limits: Limits | None = None,
    ) -> None:
        self.number = number
        self.epoch = 0
        self.last = Position(0, 0)
        self.quorum = protocol.write_quorum(k, m)
        self._limits = limits or Limits()
        self.members = [Member(i, engine, self._limits.retry_s_min) for i, engine in enumerate(engines)]
        self._prepare = prepare
        self.rebuild = rebuild_inline
        self.reopen = reopen
        self.on_lacking = on_lacking
        #: Called on the loop after each step of a copy or of healing, which may have read much.
        self.after_step: Callable[[], None] = lambda: None
        #: drive → the last operation committed without its shard, since this owner began
        self.lacking: dict[int, int] = {}
        self.turn = asyncio.Lock()
        self.serving = False
        self.reason = "starting"
        self._lost = False
        self._stable = protocol.stable_quorum(k, m)
        self._pages, self._decide, self._bucket_of, self._clock = pages, decide, bucket_of, clock
        self._log_first = 1
        self._queue = Queue(number, self._limits)
        self._served = asyncio.Event()
        self._stopping = False
        self._committed = self._remember_none()
        self._unsure: frozenset[bytes] = frozenset()
        self._times_ns: deque[int] = deque(maxlen=TIMES_KEPT)
        self._keeper = Keeper(self)
        self._doubts = Doubts(self)
        self.doubt_drive = self._doubts.doubt
        self._tasks: list[asyncio.Task[None]] = []

    def _remember_none(self) -> Committed:
        limits = self._limits
        return Committed(limits.repeat_s, limits.repeat_segments_max, limits.group_proposals_max)

    # -- life -------------------------------------------------------------------------------------------

    async def start(self) -> bool:
        """Recover the set; whether it is served now. If not, it is tried again until it can be.

        Never raises for a lack of drives: ``submit`` does until enough are there.
        """
        await self.recover()
        self._tasks = [asyncio.create_task(self._commit_forever()), asyncio.create_task(self._keeper.run())]
        return self.serving

    async def stop(self) -> None:
        """Commit what is queued, take nothing more, then end. The set stays published for readers."""
        self._stopping = True
        while self._queue and self.serving:
            await asyncio.wait([ticket.future for ticket in self._queue])
        if self.serving:
            async with self.turn:  # a group under way is answered too
                self.serving = False
        tasks = [*self._tasks, *self._doubts.tasks()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._queue.fail(WriteQuorumLost(set=self.number))
        for member in self.members:
            member.close()

    def drop_drive(self, index: int, reason: str, damaged: bool = False) -> None:
        """Take a drive out of the mask because a reader or a stager found it failing; it is tried again later.

        :param damaged: rows of its index are bad: it is copied whole before it returns
        """
        member = self.members[index]
        if not (self.serving and member.in_sync):
            return
        if damaged and sum(other.in_sync for other in self.members) <= self.quorum:
            # a set without one row of one replica is better than one that takes no writes
            log.error("set %d: drive %d stays although it is damaged: %s", self.number, index + 1, reason)
            return
        member.damaged = member.damaged or damaged
        self.leave(member, reason)

    def leave_suspects(self) -> None:
        """The supervisor took drives out: a worker died of them. Touch them no more."""
        suspects = self._pages.suspects(self.number)
        for member in self.members if suspects else ():
            if suspects >> member.index & 1 and member.in_sync:
                self.leave(member, "a worker died of it")

    # -- callers ----------------------------------------------------------------------------------------

    async def submit(self, proposals: Sequence[AnyProposal]) -> list[Outcome]:
        """Decide and commit proposals; each gets its own sequence. Outcomes in the order of the proposals.

        :raises OwnerLeaves: nothing was taken: the successor is to be asked
        :raises Busy: the queue is full
        :raises WriteQuorumLost: too few drives; the outcome is unknown, and asked again by the same request ids
        """
        if not proposals:
            return []
        if self._stopping:
            raise OwnerLeaves(set=self.number)
        if self._lost:
            raise WriteQuorumLost(set=self.number)
        return await self._queue.add(proposals).future

    # -- the committer ------------------------------------------------------------------------------------

    async def _commit_forever(self) -> None:
        while True:
            await self._queue.filled()
            await self._served.wait()
            await self._queue.gathered()
            async with self.turn:
                if self.serving and self._queue:
                    await self._commit_next()
            # let the callers just answered, and their next requests, into the next group
            await asyncio.sleep(0)

    async def _commit_next(self) -> None:
        self.leave_suspects()
        places = self._queue.take()
        began_s = time.monotonic()
        await self._commit_taken(places)
        self._queue.taken(places, time.monotonic() - began_s)

    async def _commit_taken(self, places: list[Place]) -> None:
        try:
            if any(ticket.proposals[index].bucket_id for ticket, index in places):
                await self._prepare()
        except StoreError as error:
            for ticket, _ in places:
                ticket.fail(error)
            return
        try:
            await self._commit(places)
        except Exception as error:  # outermost: a bug in a transition must not hang its callers
            log.exception("set %d: a group failed", self.number)
            for ticket, _ in places:
                ticket.fail(InternalFault(f"{type(error).__name__}: {error}", set=self.number))
            self.step_down("internal fault")

    async def _commit(self, places: list[Place], full: bool = False) -> None:
        """Decide, write, publish, answer."""
        decided = self._decide_all(places, full)
        if decided is None:
            self._queue.give_back(places)
            self.step_down("no drive can be read")
            return
        if not decided.operations:
            self.publish()  # a drive may have left while it was read
            self._answer(decided)
            return
        verdict = await self._write(decided)
        if verdict is Verdict.DONE:
            self._publish_group(decided)
            self._answer(decided)
        elif verdict is Verdict.LOST:
            self._queue.give_back(places)
            self.step_down("write quorum lost")
        elif not full:
            # every drive refused for lack of space, and none changed: what frees space still goes through
            await self._commit(places, full=True)
        else:
            self._refuse_full(decided)

    # -- deciding -----------------------------------------------------------------------------------------

    def _decide_all(self, places: list[Place], full: bool) -> Pending | None:
        """Decide over a drive in sync; a drive that cannot be read leaves the mask once another could."""
        failed: list[tuple[Member, DriveFault]] = []
        for member in [m for m in self.members if m.in_sync]:
            try:
                decided = self._decide_on(member, places, full)
            except DriveFault as fault:
                failed.append((member, fault))
                continue
            for broken, problem in failed:
                self.expel(broken, problem)
            return decided
        if failed and all(isinstance(fault, BadRow) for _, fault in failed):
            # the same row is bad everywhere: not a drive's fault, and no reason to stop the whole set
            return self._refuse_unreadable(places, full, failed[0][1])
        for broken, problem in failed:
            self.expel(broken, problem)
        return None

    def _refuse_unreadable(self, places: list[Place], full: bool, fault: DriveFault) -> Pending | None:
        if len(places) > 1:
            self._queue.give_back(places[1:])
            del places[1:]
            return self._decide_all(places, full)
        ticket, index = places[0]
        ticket.answer(index, Refused(InternalFault.__name__, str(fault)))
        return Pending(NOTHING, self.epoch, self.last, 0, 0, 0)

    def _decide_on(self, member: Member, places: list[Place], full: bool) -> Pending:
        txn = self._confirmed(member)
        try:
            if txn.last != self.last:
                raise DriveFault(f"at {tuple(txn.last)}, the set is at {tuple(self.last)}")
            drives = sum(other.in_sync for other in self.members)
            pending = Pending(txn, self.epoch, self.last, self._clock(), drives, self.quorum)
            for place in places:
                self._decide_one(pending, txn, place, full)
            self._trim(pending, txn)
            return pending
        finally:
            txn.close()

    def _confirmed(self, member: Member) -> ReadTxn:
        """A snapshot of a drive, with another to confirm what it lacks where there is one."""
        txn = member.open.begin_read()
        for other in self.members:
            if other.in_sync and other is not member:
                beside = None
                try:
                    beside = other.open.begin_read()
                    if beside.last == txn.last:
                        return Confirmed(txn, beside)
                except DriveFault:
                    pass  # found out by the group that it is about to get
                if beside is not None:
                    beside.close()
        return txn

    def _decide_one(self, pending: Pending, txn: ReadTxn, place: Place, full: bool) -> None:
        ticket, index = place
        proposal = ticket.proposals[index]
        known = self._known(pending, txn, proposal.request_id)
        if known is not None:
            pending.repeat(place, known)
            return
        if self._committed.full:
            # too many young ones to remember one more
            pending.refuse(place, Refused(Busy.__name__))
            return
        bucket = self._bucket_of(proposal.bucket_id) if proposal.bucket_id else None
        pending.add(place, self._decide, bucket, only_freeing=full)

    def _known(self, pending: Pending, txn: ReadTxn, request_id: bytes) -> Outcome | None:
        """The outcome of a proposal that is committed already, or in this very group (O4)."""
        outcome: Outcome
        if request_id in pending.fresh:
            outcome = decode_outcome(pending.fresh[request_id][1])
            return outcome
        if request_id in self._unsure:
            return Refused(WriteQuorumLost.__name__)
        for seq in self._committed.find(request_id):
            entry = oplog.entry(txn, seq)
            if entry.request_id == request_id:
                outcome = decode_outcome(entry.outcome)
                return outcome
        return None

    def _trim(self, pending: Pending, txn: ReadTxn) -> None:
        """Choose old log entries to delete with the group (DESIGN §4, ``oplog``)."""
        limits, first = self._limits, self._log_first
        behind = [member.last.seq for member in self.members if not member.in_sync]
        keep, most = limits.log_entries_min, limits.log_entries_max
        if any(member.state is DriveState.SYNCING for member in self.members):
            most *= SYNCING_LOG_FACTOR
        upto = protocol.trim_to(self.last.seq, behind, first, keep, most, limits.log_trim_max)
        self._committed.expire()
        if self._committed.first is not None:
            upto = min(upto, self._committed.first - 1)  # C2
        if upto < first or not pending.operations:
            return
        young = oplog.entry(txn, upto).at_ns > self._clock() - limits.log_age_ns
        if not young or self.last.seq - first > most:
            pending.trimmed = range(first, upto + 1)

    # -- writing ------------------------------------------------------------------------------------------

    async def _write(self, pending: Pending) -> Verdict:
        """Apply a group on each drive in sync, in the drives' threads. WAIT: all were full, nothing changed."""
        sent = [member for member in self.members if member.in_sync]
        groups = pending.groups([member.index for member in sent], self._unmarked(pending.lacking, sent))
        began = time.monotonic_ns()
        calls = {member.run(member.open.apply, groups[member.index]): member for member in sent}
        verdict = Verdict.WAIT
        waiting = set(calls)
        while verdict is Verdict.WAIT:
            elapsed = time.monotonic_ns() - began
            verdict = self._judge(calls, elapsed, max(self.quorum, pending.needed))
            if verdict is Verdict.WAIT:
                patience = self._patience_ns(calls, elapsed)
                _, waiting = await asyncio.wait(waiting, timeout=patience / 1e9, return_when=asyncio.FIRST_COMPLETED)
        self._times_ns.append(time.monotonic_ns() - began)
        verdict = self._settle(pending, calls, verdict)
        if verdict is Verdict.LOST:
            await self._keep_readable(pending)
        return verdict

    async def _keep_readable(self, pending: Pending) -> None:
        """Not acknowledged, but on enough drives: readers may go on with them once no later authority can lack it."""
        holders = [member for member in self.members if member.in_sync and member.last == pending.last]
        enough = max(self._stable, pending.needed)
        if len(holders) >= enough and len(await self._keep(holders, self.epoch)) >= enough:
            self._publish_group(pending)

    async def _keep(self, holders: Sequence[Member], epoch: int | None) -> list[int]:
        """Have no recovery undo the last group of these drives (I9); those that see to it."""
        answers = await ask(holders, lambda m: take_note_away(m.open, m.last, epoch), ANSWER_S_MAX)
        return [index for index, answer in answers.items() if not isinstance(answer, DriveFault)]

    def _unmarked(self, lacking: int, sent: Sequence[Member]) -> list[int]:
        """Drives in sync that a payload of the group goes without, and that do not say yet that they lack shards."""
        found = []
        for member in sent if lacking else ():
            if lacking >> member.index & 1 and not member.is_marked():
                found.append(member.index)
        return found

    def _judge(self, calls: dict[asyncio.Future[None], Member], elapsed_ns: int, quorum: int) -> Verdict:
        accepted = sum(call.done() and call.exception() is None for call in calls)
        failed = sum(call.done() and call.exception() is not None for call in calls)
        late = elapsed_ns >= self._deadline_ns(calls)
        return protocol.judge(len(calls), accepted, failed, quorum, late, elapsed_ns >= protocol.GIVE_UP_NS)

    def _deadline_ns(self, calls: dict[asyncio.Future[None], Member]) -> int:
        """The shorter deadline holds only where all stragglers were late lately."""
        times = sorted(self._times_ns)
        p99 = times[len(times) * 99 // 100] if times else 0
        return protocol.deadline_ns(p99, all(m.late_lately for call, m in calls.items() if not call.done()))

    def _patience_ns(self, calls: dict[asyncio.Future[None], Member], elapsed_ns: int) -> int:
        deadline = self._deadline_ns(calls)
        until = deadline if elapsed_ns < deadline else protocol.GIVE_UP_NS
        return max(1_000_000, until - elapsed_ns)

    def _settle(self, pending: Pending, calls: dict[asyncio.Future[None], Member], verdict: Verdict) -> Verdict:
        """What each drive's answer means for its place in the mask."""
        faults = [call.exception() for call in calls if call.done()]
        if verdict is Verdict.LOST and len(faults) == len(calls) and all(isinstance(f, DriveFull) for f in faults):
            return Verdict.WAIT
        for call, member in calls.items():
            if not call.done():
                self.leave(member, "late", late=True)
            elif (error := call.exception()) is not None:
                self.expel(member, error)
            else:
                member.last = pending.last
        return verdict

    def expel(self, member: Member, error: BaseException) -> None:
        """Out of the mask because a call failed; an error that is no drive's is raised."""
        if not isinstance(error, DriveFault):
            raise error
        member.damaged = member.damaged or isinstance(error, BadRow)
        self.leave(member, f"{error.name}: {error}")

    def leave(self, member: Member, reason: str, late: bool = False) -> None:
        """Out of the mask, and at once out of the published one, whatever becomes of the group under way."""
        log.warning("set %d: drive %d leaves: %s", self.number, member.index + 1, reason)
        member.leave(reason, late)
        self._unpublish(1 << member.index)
        self._keeper.wake()

    def _unpublish(self, drives: int) -> None:
        state = self._pages.set_state(self.number)
        if state.mask & drives:
            self._pages.publish(self.number, state._replace(mask=state.mask & ~drives))

    # -- publishing ---------------------------------------------------------------------------------------

    def publish(self) -> None:
        """Mask and C, in one step."""
        mask = protocol.mask_of(member.index for member in self.members if member.in_sync)
        self._pages.publish(self.number, SetState(self.epoch, self.last.seq, mask))

    def _publish_group(self, pending: Pending) -> None:
        self.last = pending.last
        if pending.trimmed:
            self._log_first = pending.trimmed.stop
        self.publish()
        self._note_lacking(pending)
        for table in pending.view.tables() & GENERATIONS.keys():
            for word in GENERATIONS[table]:
                self._pages.bump(word)

    def _note_lacking(self, pending: Pending) -> None:
        left_out = [m for m in self.members if m.in_sync and pending.lacking >> m.index & 1]
        for member in left_out:
            member.marked = True
            self.lacking[member.index] = pending.last.seq
        if left_out:
            self.on_lacking(False)

    def _answer(self, pending: Pending) -> None:
        for request_id, (seq, _) in pending.fresh.items():
            self._committed.add(request_id, seq)
        for ticket, index, outcome in pending.answers:
            ticket.answer(index, outcome)

    def _refuse_full(self, pending: Pending) -> None:
        error = StorageFull(set=self.number)
        refused = Refused(error.name, error.message, error.detail)
        for ticket, index, outcome in pending.answers:
            committed = isinstance(outcome, Done) and ticket.proposals[index].request_id not in pending.fresh
            ticket.answer(index, outcome if committed else refused)

    # -- taking over --------------------------------------------------------------------------------------

    async def recover(self) -> bool:
        """Take over the set with a new epoch; whether it is served now. Without a quorum the queue is answered
        WriteQuorumLost and the published state stays as it is, for readers.
        """
        async with self.turn:
            self._stand_by()
            recall = Recall(int(self._limits.repeat_s * 1e9), self._limits.repeats_min, self._committed.most)
            recovery = Recovery(self.members, self.quorum, self.rebuild, self.epoch, self._clock(), recall)
            recovered = await recovery.run()
            self.epoch = max(self.epoch, recovery.epoch)
            if recovered is None:
                self._lost = True
                self._stand_by()
                self._queue.fail(WriteQuorumLost(set=self.number))
                await self._publish_readable(recovery.reports)
            else:
                self._begin_service(recovered)
            self._keeper.wake()
        return self.serving

    def _stand_by(self) -> None:
        for member in self.members:
            member.stand_by()

    async def _publish_readable(self, reports: Sequence[Report]) -> None:
        """Without a write quorum: let readers have what no later authority can lack (``protocol.readable``)."""
        self._unpublish(~protocol.mask_of(report.drive for report in reports))
        found = protocol.readable(reports, self._stable)
        state = self._pages.set_state(self.number)
        if found is None or found.last.seq < state.committed:
            return
        kept = await self._keep([self.members[drive] for drive in found.drives], None)
        if len(kept) >= found.enough:
            epoch = max(found.last.epoch, state.epoch)
            self._pages.publish(self.number, SetState(epoch, found.last.seq, protocol.mask_of(kept)))

    def _begin_service(self, recovered: Recovered) -> None:
        self.last, self._log_first = recovered.last, recovered.log_first
        self._committed, self._unsure = self._remember_none(), recovered.unsure  # O4
        for request_id, seq in recovered.committed:
            self._committed.add(request_id, seq)
        self.publish()
        if self.number == 0:
            for word in (GEN_BUCKETS, GEN_IAM, GEN_CONFIG):
                self._pages.bump(word)
        self.serving, self._lost = True, False
        self._served.set()
        self.on_lacking(True)

    def step_down(self, reason: str) -> None:
        """No more groups under this epoch: a quorum was lost, or a drive promised another. The keeper recovers."""
        self.reason = reason
        self.serving = False
        self._served.clear()
        self._keeper.wake()
