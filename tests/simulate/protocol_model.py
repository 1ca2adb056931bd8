"""A random model of one erasure set: drives with logs, an owner that crashes at any step, readers.

Only the decisions come from ``sos.erasure.protocol``; the rest is the world around them. Every drive keeps, besides the
log that a real drive would have, the whole history (``ghost``), by which the invariants are checked after each step.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from sos.drive.engine import Position
from sos.erasure import protocol
from sos.erasure.protocol import LastGroup, Report, Verdict

KEYS = 5
Operation = tuple[int, tuple[int, ...]]  # number, keys touched
Entry = tuple[int, Operation]  # epoch, operation
ORIGIN = Position(0, 0)
BARRIER: tuple[int, ...] = ()


class Violation(AssertionError):
    pass


class Deposed(Exception):
    pass


@dataclass
class Rules:
    """What the canaries replace."""

    elect: Callable[[Sequence[Report], int], Report | None] = protocol.elect
    quorum: Callable[[int, int], int] = protocol.write_quorum
    stable: Callable[[int, int], int] = protocol.stable_quorum
    fenced: bool = True
    marked: bool = True


@dataclass
class Drive:
    promised: int = 0
    last: Position = ORIGIN
    ghost: list[Entry] = field(default_factory=list)
    first: int = 1
    rows: dict[int, int] = field(default_factory=dict)
    voting: bool = True
    syncing: bool = False
    was: Position = ORIGIN
    up: bool = True
    group: LastGroup | None = None
    #: operations of whose inline payload this drive has its shard
    shards: set[int] = field(default_factory=set)
    inbox: list[tuple[int, Callable[[], None]]] = field(default_factory=list)

    def report(self, index: int) -> Report:
        group = self.group if self.group and self.group.last == self.last else None
        return Report(index, self.promised, self.last, self.voting, self.syncing, group)


def replay(ghost: Sequence[Entry]) -> dict[int, int]:
    rows: dict[int, int] = {}
    for _, (number, keys) in ghost:
        for key in keys:
            rows[key] = number
    return rows


class World:
    """The drives, the shared page, what was acknowledged and what was served."""

    def __init__(self, rng: random.Random, k: int, m: int, rules: Rules) -> None:
        self.rng, self.rules = rng, rules
        self.n, self.k = k + m, k
        self.quorum, self.stable = rules.quorum(k, m), rules.stable(k, m)
        self.drives = [Drive() for _ in range(self.n)]
        self.page = (0, 0, 0)
        self.acked: dict[int, int] = {}  # sequence → operation number
        self.served: list[Entry] = []
        self.identity: dict[Position, int] = {}
        self.number = 0
        self.blanked = 0
        self.blanks = 0
        self.undone = 0
        self.doubtful: set[int] = set()
        self.acks = self.reads = self.joins = self.copies = 0

    # -- a drive --------------------------------------------------------------------------------------

    def append(self, drive: Drive, epoch: int, expect: Position, entries: list[Entry], group: LastGroup | None) -> bool:
        """One transaction of a group."""
        if not drive.up or (self.rules.fenced and drive.promised != epoch) or drive.last != expect:
            return False
        drive.ghost = drive.ghost + entries
        drive.last = Position(entries[-1][0], len(drive.ghost))
        drive.group = group or drive.group
        drive.shards |= {number for _, (number, keys) in entries if keys}
        for _, (number, keys) in entries:
            for key in keys:
                drive.rows[key] = number
        self.check_identity(drive)
        return True

    def check_identity(self, drive: Drive) -> None:
        prefix = hash(tuple(drive.ghost))
        if self.identity.setdefault(drive.last, prefix) != prefix:
            raise Violation("I1: one position, two histories")

    def check_rows(self, drive: Drive) -> None:
        if not drive.syncing and drive.rows != replay(drive.ghost):
            raise Violation("rows differ from the log")

    def check_authority(self, authority: Drive) -> None:
        for seq, number in self.acked.items():
            if len(authority.ghost) < seq or authority.ghost[seq - 1][1][0] != number:
                raise Violation("I3: an acknowledged operation is not in the authority")
        if authority.ghost[: len(self.served)] != self.served:
            raise Violation("I4: a served operation is undone")

    def check_payloads(self, authority: Drive, heard: int) -> None:
        """Of everything that is kept there are k shards, unless it may have been acknowledged with drives now gone."""
        if self.blanks:
            return
        absent = self.n - heard
        for _, (number, keys) in authority.ghost:
            if keys and number not in self.doubtful and sum(number in drive.shards for drive in self.drives) < self.k:
                if self.quorum - absent >= self.k:
                    raise Violation("I9: a kept operation has lost its payload")
                self.doubtful.add(number)

    # -- publishing -----------------------------------------------------------------------------------

    def publish(self, epoch: int, log: list[Entry], holders: list[int]) -> None:
        for index in holders:
            drive = self.drives[index]
            if drive.ghost[: len(log)] != log or drive.syncing:
                raise Violation("I5: a drive in the mask is not in sync")
        self.page = (epoch, len(log), protocol.mask_of(holders))

    def acknowledge(self, first: int, entries: list[Entry]) -> None:
        for at, (_, (number, _)) in enumerate(entries):
            self.acked[first + at] = number
        self.acks += len(entries)

    def operations(self, epoch: int) -> list[Entry]:
        entries = []
        for _ in range(self.rng.choice([1, 1, 2, 6])):
            self.number += 1
            entries.append((epoch, (self.number, tuple(self.rng.sample(range(KEYS), self.rng.randint(1, 2))))))
        return entries

    # -- a reader: the page, then the transaction, then the page again -----------------------------------

    def reader(self) -> Iterator[None]:
        epoch, committed, mask = self.page
        choices = [i for i in range(self.n) if mask >> i & 1 and self.drives[i].up]
        if not choices:
            return
        index = self.rng.choice(choices)
        yield
        drive = self.drives[index]
        snapshot, rows, last = list(drive.ghost), dict(drive.rows), drive.last
        for _ in range(4):
            yield
            if self.page[0] != epoch or not self.page[2] >> index & 1 or last.seq < self.page[1] != committed:
                return
            committed = max(committed, min(self.page[1], last.seq))
            if last.seq < committed:
                return
            if last.seq == committed:
                self.serve(snapshot, rows)
                return

    def serve(self, snapshot: list[Entry], rows: dict[int, int]) -> None:
        self.reads += 1
        if rows != replay(snapshot):
            raise Violation("a reader saw half an operation")
        common = min(len(snapshot), len(self.served))
        if snapshot[:common] != self.served[:common]:
            raise Violation("I4: two readers saw different histories")
        if any(seq <= len(snapshot) and snapshot[seq - 1][1][0] != number for seq, number in self.acked.items()):
            raise Violation("I4: a reader saw another operation than the acknowledged one")
        if len(snapshot) > len(self.served):
            self.served = snapshot


class Owner:
    """One life of an owner. ``run`` yields wherever it may crash."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.epoch = 0
        self.log: list[Entry] = []
        self.first = 1
        self.mask: set[int] = set()
        self.jobs: dict[int, Iterator[None]] = {}
        self.deposed = False

    @property
    def last(self) -> Position:
        return Position(self.log[-1][0], len(self.log)) if self.log else Position(0, 0)

    def run(self) -> Iterator[None]:
        with suppress(Deposed):
            yield from self.live()

    def live(self) -> Iterator[None]:
        promised = yield from self.promise()
        chosen = self.world.rules.elect(promised, self.world.quorum)
        if chosen is None:
            return
        authority = self.world.drives[chosen.drive]
        self.world.check_authority(authority)
        self.world.check_payloads(authority, sum(r.voting and not r.syncing for r in promised))
        self.world.undone += max(report.last for report in promised) > authority.last
        self.log, self.first = list(authority.ghost), authority.first
        self.mask = {chosen.drive}
        for report in promised:
            if report.drive != chosen.drive and report.voting:
                yield from self.align(report.drive, authority)
        barrier = [(self.epoch, (-self.epoch, BARRIER))]
        if (yield from self.commit(barrier, acknowledge=False)):
            yield from self.serve()

    def promise(self) -> Iterator[None]:
        drives = self.world.drives
        reports = [d.report(i) for i, d in enumerate(drives) if d.up]
        yield
        self.epoch = protocol.next_epoch(reports)
        promised = []
        for report in reports:
            drive = drives[report.drive]
            if drive.up and drive.promised < self.epoch:
                drive.promised = self.epoch
                promised.append(drive.report(report.drive))
            yield
        return promised

    # -- groups -----------------------------------------------------------------------------------------

    def commit(self, entries: list[Entry], acknowledge: bool = True) -> Iterator[None]:
        world, expect = self.world, self.last
        sent = sorted(self.mask)
        answers: dict[int, bool] = {}
        group = LastGroup(expect, Position(self.epoch, len(self.log) + len(entries)), protocol.mask_of(sent))
        for index in sent:
            self.send(index, expect, entries, answers, group if acknowledge else None)
            yield
        late = hopeless = False
        while True:
            accepted = [i for i in sent if answers.get(i)]
            voters = [i for i in accepted if world.drives[i].voting]
            verdict = protocol.judge(len(sent), len(voters), len(answers) - len(voters), world.quorum, late, hopeless)
            if verdict is not Verdict.WAIT:
                break
            yield
            late, hopeless = world.rng.random() < 0.1, world.rng.random() < 0.05
        self.mask = set(voters)
        if verdict is Verdict.LOST:
            if len(voters) >= world.stable and world.page[0] == self.epoch:
                yield from self.keep(voters, self.log + entries)
            return False
        first = len(self.log) + 1
        self.log = self.log + entries
        self.publish(self.log, voters)
        yield
        if acknowledge:
            world.acknowledge(first, entries)
        return True

    def keep(self, holders: list[int], log: list[Entry]) -> Iterator[None]:
        """Readers may go on with these drives once enough of them have no note of the group any more."""
        kept = []
        # cut short, and with drives that come and go, it may be undone on one drive and kept by another's lack of a note
        self.world.doubtful |= {number for _, (number, _) in log[len(self.log) :]}
        for index in holders:
            yield
            drive = self.world.drives[index]
            if drive.up and drive.promised == self.epoch and drive.ghost == log:
                drive.group = None if self.world.rules.marked else drive.group
                kept.append(index)
        yield
        if len(kept) >= self.world.stable:
            self.publish(log, kept)

    def publish(self, log: list[Entry], holders: list[int]) -> None:
        if not self.deposed:
            self.world.publish(self.epoch, log, holders)

    def send(
        self, index: int, expect: Position, entries: list[Entry], answers: dict[int, bool], group: LastGroup | None
    ) -> None:
        drive, world, epoch = self.world.drives[index], self.world, self.epoch

        def deliver() -> None:
            answers[index] = world.append(drive, epoch, expect, entries, group) and world.rng.random() > 0.02

        drive.inbox.append((epoch, deliver))

    def serve(self) -> Iterator[None]:
        world = self.world
        while True:
            yield
            choice = world.rng.random()
            if choice < 0.5:
                if not (yield from self.commit(world.operations(self.epoch))):
                    return
                self.trim()
            else:
                yield from self.bring_back()

    def trim(self) -> None:
        held = [d.last.seq for d in self.world.drives if d.voting and d.up]
        upto = protocol.trim_to(len(self.log), held, self.first, keep=2, most=8, batch=4)
        if self.jobs:
            return
        self.first = upto + 1
        for index in self.mask:
            if self.world.drives[index].last == self.last:
                self.world.drives[index].first = self.first

    # -- catching up ------------------------------------------------------------------------------------

    def gap(self, drive: Drive, source: list[Entry], source_first: int) -> Position | None:
        his = Position(source[-1][0], len(source)) if source else Position(0, 0)
        mine = drive.was if drive.syncing else drive.last
        return protocol.last_common(
            mine, drive.first, his, source_first, lambda seq: (drive.ghost[seq - 1][0], source[seq - 1][0])
        )

    def copy(self, drive: Drive, source: Drive, keys: set[int]) -> None:
        for key in keys:
            if key in source.rows:
                drive.rows[key] = source.rows[key]
            else:
                drive.rows.pop(key, None)

    def adopt(self, drive: Drive, source: Drive) -> None:
        drive.ghost, drive.last, drive.first = list(source.ghost), source.last, source.first
        drive.syncing = False
        drive.voting = True
        self.rebuild(drive)
        self.world.check_identity(drive)

    def rebuild(self, drive: Drive) -> None:
        """The shards that the drive lacks, from those that can be read; none of what it undid."""
        wanted = {number for _, (number, keys) in drive.ghost if keys}
        drives = [each for each in self.world.drives if each.up]
        found = {number for number in wanted if sum(number in each.shards for each in drives) >= self.world.k}
        drive.shards = (drive.shards & wanted) | found

    def join(self, drive: Drive, source: Drive, common: int) -> None:
        """One transaction: undo the divergent suffix, take over the authority's."""
        keys = {key for _, (_, touched) in drive.ghost[common:] + source.ghost[common:] for key in touched}
        self.copy(drive, source, keys)
        self.adopt(drive, source)

    def align(self, index: int, authority: Drive) -> Iterator[None]:
        drive = self.world.drives[index]
        common = self.gap(drive, authority.ghost, authority.first)
        yield
        if not self.usable(drive):
            return
        if common is not None and not drive.syncing:
            self.join(drive, authority, common.seq)
        else:
            yield from self.fuzzy(index, authority)
            if not self.usable(drive):
                return
            self.join(drive, authority, self.copied[index])
        self.mask.add(index)

    copied: dict[int, int]

    def usable(self, drive: Drive) -> bool:
        return drive.up and drive.promised == self.epoch and not self.busy(drive)

    def busy(self, drive: Drive) -> bool:
        """Whether a message of this owner is on its way; one of a dead owner is not known to anybody."""
        return any(epoch == self.epoch for epoch, _ in drive.inbox)

    def fuzzy(self, index: int, source: Drive | None = None) -> Iterator[None]:
        """Copy in steps, each from its own snapshot: sound only once ``syncing`` is set durably."""
        world, drive = self.world, self.world.drives[index]
        self.copied = getattr(self, "copied", {})
        if not drive.syncing:
            # position (0, 0): a reader that noted the mask before cannot take this drive for one in sync
            drive.syncing, drive.was, drive.last = True, drive.last, Position(0, 0)
        self.copied[index] = len((source or self.source()).ghost)
        for key in range(KEYS):
            yield
            if not self.usable(drive):
                return
            self.copy(drive, source or self.source(), {key})
        world.copies += 1

    def source(self) -> Drive:
        """A drive in sync; only an owner that is fenced already finds none."""
        whole = [i for i in self.mask if self.world.drives[i].last == self.last]
        if not whole:
            raise Deposed
        return self.world.drives[self.world.rng.choice(whole)]

    def bring_back(self) -> Iterator[None]:
        world = self.world
        for index in [i for i in range(world.n) if i not in self.mask]:
            drive = world.drives[index]
            if not drive.up or self.busy(drive):
                self.jobs.pop(index, None)
                continue
            drive.promised = max(drive.promised, self.epoch)
            yield
            if not self.usable(drive):
                continue
            self.bring_back_step(index, drive)
            yield

    def bring_back_step(self, index: int, drive: Drive) -> None:
        world, source = self.world, self.source()
        if index in self.jobs:
            if next(self.jobs[index], StopIteration) is StopIteration:
                del self.jobs[index]
                if self.usable(drive):
                    self.finish(index, drive, source, self.copied[index])
            return
        common = self.gap(drive, source.ghost, source.first)
        if common is not None and not drive.syncing and drive.voting and world.rng.random() < 0.7:
            self.finish(index, drive, source, common.seq)
        elif protocol.may_sync(len(self.mask), world.quorum):
            self.jobs[index] = self.fuzzy(index)

    def finish(self, index: int, drive: Drive, source: Drive, common: int) -> None:
        if not drive.voting:
            self.world.blanked -= 1
        self.join(drive, source, common)
        self.mask.add(index)
        self.world.joins += 1
        self.publish(self.log, sorted(self.mask))


class Run:
    """One random run: a schedule of owner steps, deliveries, faults and readers."""

    def __init__(self, seed: int, rules: Rules | None = None) -> None:
        rng = random.Random(seed)
        k, m = rng.choice([(1, 0), (1, 1), (2, 1), (2, 1), (2, 2), (2, 2), (3, 2), (4, 2)])
        self.world = World(rng, k, m, rules or Rules())
        self.owner: Iterator[None] | None = None
        self.life: Owner | None = None
        self.deposed: list[Iterator[None]] = []
        self.readers: list[Iterator[None]] = []
        self.again = -1
        # from calm runs, with long logs, to those where hardly an owner gets to serve
        self.faults = rng.choice([0.005, 0.015, 0.03, 0.06])

    def play(self, steps: int) -> World:
        world, rng = self.world, self.world.rng
        for step in range(steps):
            choice = rng.random()
            if step == self.again:
                self.restart()
            elif choice < self.faults:
                self.fault()
                if rng.random() < 0.5:
                    # troubles come in bursts: a second restart soon after finds other drives
                    self.again = step + rng.randint(10, 60)
            elif choice < 0.48:
                self.deliver()
            elif choice < 0.57:
                self.step_reader()
            else:
                self.step_owner()
        for drive in world.drives:
            world.check_rows(drive)
        return world

    def step_owner(self) -> None:
        if self.deposed and self.world.rng.random() < 0.3:
            next(self.deposed[-1], None)
        if self.owner is None:
            self.life = Owner(self.world)
            self.owner = self.life.run()
        if next(self.owner, StopIteration) is StopIteration:
            self.owner = None

    def deliver(self) -> None:
        waiting = [drive for drive in self.world.drives if drive.inbox]
        if waiting:
            drive = self.world.rng.choice(waiting)
            drive.inbox.pop(0)[1]()
            self.world.check_rows(drive)

    def step_reader(self) -> None:
        if not self.readers or self.world.rng.random() < 0.3:
            self.readers.append(self.world.reader())
        reader = self.world.rng.choice(self.readers)
        if next(reader, StopIteration) is StopIteration:
            self.readers.remove(reader)

    def fault(self) -> None:
        world, rng = self.world, self.world.rng
        drive, choice = rng.choice(world.drives), rng.random()
        if choice < 0.08:
            self.crash_owner()
        elif choice < 0.18:
            self.depose_owner()
        elif choice < 0.45:
            self.restart()
        elif choice < 0.60:
            self.drop(drive)
        elif choice < 0.95:
            drive.up = True
        elif world.blanked == 0 and world.n > 2 and world.page[0]:
            self.blank(drive)

    def depose_owner(self) -> None:
        """The owner is thought dead but lives on: only the drives' promises stop it (it has no page any more)."""
        if self.owner is not None and self.life is not None:
            self.life.deposed = True
            self.deposed.append(self.owner)
            self.owner = None

    def crash_owner(self) -> None:
        self.owner = None
        self.deposed.clear()
        for drive in self.world.drives:
            # a thread stuck in a hung drive outlives its process's other threads: its write may still land
            if self.world.rng.random() < 0.7:
                drive.inbox.clear()

    def restart(self) -> None:
        """The whole machine restarts; some drives do not come back with it, others do."""
        self.crash_owner()
        for drive in self.world.drives:
            drive.up = self.world.rng.random() < 0.7

    def drop(self, drive: Drive) -> None:
        drive.up = False
        for _, deliver in drive.inbox:
            deliver()
        drive.inbox.clear()

    def blank(self, drive: Drive) -> None:
        """Replaced by an empty one: it has forgotten its promise too."""
        world = self.world
        world.blanked += 1
        world.blanks += 1
        self.drop(drive)
        world.drives[world.drives.index(drive)] = Drive(voting=False)
        self.crash_owner()
