"""The keeper of quotas: grants bytes to writers, in one place for all sets, so that a quota is exact however many workers
write into however many sets at once. The worker that owns set 0 has it.

A writer that is about to add bytes to a bucket with a quota asks first. The keeper grants while what all sets have
published, what is granted and not settled, and what is asked for fit together. The owner of the set takes no proposal that
adds more than was granted for it (``sos/meta/transitions.py``). The writer settles the grant when it knows the outcome.

Invariants:

Q1  What may still be added to a limit is never more than what is granted: a proposal that adds bytes needs a grant of the
    term in force when it is decided.
Q2  Grants not settled are counted before what is published is read, so that nothing falls between the two.
Q3  A grant that its writer does not settle (it died, or does not know the outcome) counts until it cannot be used any more
    and its outcome shows: the term is raised, which voids every grant, and a Flush of the grant's set is answered.
Q4  A new keeper knows nothing of its predecessor's grants: it raises the term, and grants nothing before a Flush of every
    set is answered.
Q5  What was decided before a quota was in force needed no grant: after a change of quotas nothing is granted before a
    Flush of every set is answered either.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Protocol

import msgspec

from ..base.pages import GEN_BUCKETS, GEN_IAM, PULSE_INCARNATION, QUOTA_TERM, Pages
from ..domain.errors import Busy, QuotaExceeded, StoreError, rebuild
from ..erasure.handle import SetHandle
from ..mesh.client import MeshClient, PeerFailed, PeerLost, ask_successors
from ..meta import queries
from ..meta.proposals import Flush, Refused
from ..meta.walk import View
from .calls import request_id
from .fleet import TOPIC_QUOTA

log = logging.getLogger("sos.quotas")

#: A writer that does not know the outcome by then has given up (``SUBMIT_S_MAX`` of ``sos/worker/submit.py``).
UNSETTLED_S_MAX = 15.0
#: How long a request waits for grants of others to be settled, where it would fit without them.
WAIT_S_MAX = 3.0
#: For all sets to be flushed, before the requests that wait for it are told to try again.
FLUSH_S_MAX = 10.0
ASK_S_MAX = 15.0
RETRY_S, RETRY_S_MAX = 0.05, 2.0
#: Buckets whose counters are summed on the event loop; more of them in a thread.
COUNTED_AT_ONCE_MAX = 64


class Limit(NamedTuple):
    """One quota.

    :param name: of the bucket (its id) or the account
    :param quota: bytes
    :param buckets: ids of those that count together
    :param word: of the shared page: the generation that tells of its change
    """

    name: str
    quota: int
    buckets: tuple[int, ...]
    word: int = GEN_BUCKETS


class LimitsOf(Protocol):
    """The quotas in force."""

    async def prepare(self) -> None:
        """Have at hand what was acknowledged before this call."""

    def of(self, bucket_id: int) -> tuple[Limit, ...]: ...


class Ask(msgspec.Struct, array_like=True, frozen=True, tag=1):
    """A writer asks for bytes.

    :param incarnation: of the worker in the slot
    """

    bucket_id: int
    set: int
    size: int
    slot: int
    incarnation: int


class Settle(msgspec.Struct, array_like=True, frozen=True, tag=2):
    """The outcome of what a grant was for is known: published, or refused."""

    number: int


class Grant(msgspec.Struct, array_like=True, frozen=True):
    """:param number: 0 where no quota is in force"""

    term: int
    number: int = 0


class Answer(msgspec.Struct, array_like=True, frozen=True):
    grant: Grant | None = None
    error: Refused | None = None


class Grants(Protocol):
    """Where a writer gets its grants: the keeper itself, or the way to it."""

    async def ask(self, wanted: Ask) -> Grant:
        """:raises QuotaExceeded, Busy, ReadQuorumLost"""

    def settle(self, grant: Grant) -> None: ...


@dataclass(slots=True)
class _Held:
    """A grant not settled."""

    wanted: Ask
    limits: tuple[str, ...]
    at_s: float
    void: bool = False


@dataclass(slots=True, eq=False)
class _Waiting:
    wanted: Ask
    answer: asyncio.Future[Grant]
    until_s: float


class Keeper:
    """Grants bytes. Rests while nobody asks.

    :param sets: all sets, by number
    """

    def __init__(
        self, sets: Sequence[SetHandle], limits: LimitsOf, pages: Pages, clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._sets, self._limits, self._pages, self._clock_s = sets, limits, pages, clock_s
        pages.set_word(QUOTA_TERM, pages.generation(QUOTA_TERM) + 1)
        #: generation of each word at the last Flush of all sets (Q5); none yet (Q4)
        self._settled: dict[int, int] = {}
        self._held: dict[int, _Held] = {}
        self._numbers = itertools.count(1)
        self._waiting: list[_Waiting] = []
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._flushes: dict[int, asyncio.Task[None]] = {}

    @property
    def term(self) -> int:
        return self._pages.generation(QUOTA_TERM)

    @property
    def unsettled(self) -> int:
        """Grants that count."""
        return len(self._held)

    async def ask(self, wanted: Ask) -> Grant:
        """:raises QuotaExceeded, Busy, ReadQuorumLost"""
        answer: asyncio.Future[Grant] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(wanted, answer, self._clock_s() + WAIT_S_MAX))
        self._changed.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._serve())
        return await answer

    def settle(self, grant: Grant) -> None:
        if self._held.pop(grant.number, None) is not None:
            self._changed.set()

    async def stop(self) -> None:
        tasks = [task for task in (self._task, *self._flushes.values()) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- one turn after the other, until nobody waits ----------------------------------------------------

    async def _serve(self) -> None:
        while self._waiting:
            self._changed.clear()
            waiting, self._waiting = self._waiting, []
            try:
                self._waiting = await self._turn(waiting) + self._waiting
            except StoreError as error:
                _fail(waiting, error)
            except BaseException:
                _fail(waiting, Busy("the keeper of quotas ended"))
                raise
            if self._waiting and not self._changed.is_set():
                await self._pause()

    async def _pause(self) -> None:
        """Until something is settled, or somebody has waited for long enough."""
        left_s = min(one.until_s for one in self._waiting) - self._clock_s()
        try:
            async with asyncio.timeout(max(0.0, left_s)):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _turn(self, waiting: list[_Waiting]) -> list[_Waiting]:
        """Answer those that can be; the others. :raises StoreError: what is stored cannot be told"""
        now = {word: self._pages.generation(word) for word in (GEN_BUCKETS, GEN_IAM)}
        await self._limits.prepare()
        limits = {one.wanted.bucket_id: self._limits.of(one.wanted.bucket_id) for one in waiting}
        await self._meet_strangers(
            {word: now[word] for word in {limit.word for some in limits.values() for limit in some}}
        )
        self._void_the_lost()
        held = self._sums()  # Q2
        used = await self._used({limit.name: limit for some in limits.values() for limit in some}.values())
        return [one for one in waiting if not self._answered(one, limits[one.wanted.bucket_id], held, used)]

    def _answered(self, one: _Waiting, limits: tuple[Limit, ...], held: Counter[str], used: dict[str, int]) -> bool:
        if one.answer.done():  # its worker is gone
            return True
        size = one.wanted.size
        full = [limit for limit in limits if used[limit.name] + held[limit.name] + size > limit.quota]
        if not full:
            one.answer.set_result(self._grant(one.wanted, limits))
            held.update({limit.name: size for limit in limits})
            return True
        never = any(used[limit.name] + size > limit.quota for limit in full)
        if never or self._clock_s() >= one.until_s:
            one.answer.set_exception(QuotaExceeded(quota=full[0].quota, size=used[full[0].name]))
            return True
        return False

    def _grant(self, wanted: Ask, limits: tuple[Limit, ...]) -> Grant:
        if not limits:
            return Grant(self.term)
        number = next(self._numbers)
        self._held[number] = _Held(wanted, tuple(limit.name for limit in limits), self._clock_s())
        return Grant(self.term, number)

    def _sums(self) -> Counter[str]:
        sums: Counter[str] = Counter()
        for held in self._held.values():
            for name in held.limits:
                sums[name] += held.wanted.size
        return sums

    async def _used(self, limits: Iterable[Limit]) -> dict[str, int]:
        """What all sets have published, by limit. :raises ReadQuorumLost:"""
        limits, used = list(limits), Counter[str]()
        many = sum(len(limit.buckets) for limit in limits) > COUNTED_AT_ONCE_MAX
        for one in self._sets if limits else ():
            snapshot = one.snapshot_now() or await one.snapshot()
            try:
                used.update(await asyncio.to_thread(count, snapshot, limits) if many else count(snapshot, limits))
            finally:
                snapshot.close()
        return {limit.name: used[limit.name] for limit in limits}

    # -- grants that nobody settles ----------------------------------------------------------------------

    def _void_the_lost(self) -> None:
        """Q3. Grants of others are voided with them: their writers ask again."""
        if any(self._lost(held) for held in self._held.values() if not held.void):
            self._pages.set_word(QUOTA_TERM, self.term + 1)
            for held in self._held.values():
                held.void = True
        for number in {held.wanted.set for held in self._held.values() if held.void} - self._flushes.keys():
            task = self._flushes[number] = asyncio.create_task(self._drop_void(number))
            task.add_done_callback(partial(self._flushed, number))

    def _flushed(self, number: int, _: object) -> None:
        self._flushes.pop(number, None)

    def _lost(self, held: _Held) -> bool:
        wanted = held.wanted
        gone = self._pages.pulse(wanted.slot, PULSE_INCARNATION) != wanted.incarnation
        return gone or self._clock_s() - held.at_s > UNSETTLED_S_MAX

    async def _drop_void(self, number: int) -> None:
        """Drop the void grants of a set, once all that they can have been used for is published or undone."""
        void = [key for key, held in self._held.items() if held.void and held.wanted.set == number]
        pause_s = RETRY_S
        while True:
            try:
                await self._flush(number)
                break
            except StoreError as error:
                if pause_s == RETRY_S:
                    log.warning("set %d tells no outcomes, %d grants go on to count: %s", number, len(void), error.name)
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, RETRY_S_MAX)
        for key in void:
            self._held.pop(key, None)
        self._changed.set()

    async def _meet_strangers(self, now: dict[int, int]) -> None:
        """Q4 and Q5.

        :param now: generations, read before the limits that are looked at
        :raises Busy, WriteQuorumLost
        """
        if all(self._settled.get(word) == generation for word, generation in now.items()):
            return
        try:
            async with asyncio.timeout(FLUSH_S_MAX):
                await asyncio.gather(*(self._flush(one.number) for one in self._sets))
        except TimeoutError:
            raise Busy("the keeper of quotas waits for a set to tell what it has decided") from None
        self._settled |= now

    async def _flush(self, number: int) -> None:
        await self._sets[number].submit([Flush(request_id=request_id(), bucket_id=0)])


def count(view: View, limits: Iterable[Limit]) -> dict[str, int]:
    """Bytes that one set holds, by limit: all versions, and the parts of uploads under way."""
    found = {}
    for limit in limits:
        counters = (counter for bucket in limit.buckets for counter in queries.counters(view, bucket).values())
        found[limit.name] = sum(counter.size + counter.upload_size for counter in counters)
    return found


def _fail(waiting: list[_Waiting], error: StoreError) -> None:
    for one in waiting:
        if not one.answer.done():
            one.answer.set_exception(error)


# -- from other workers --------------------------------------------------------------------------------------


_encode = msgspec.msgpack.Encoder().encode
_call = msgspec.msgpack.Decoder(Ask | Settle).decode
_answer = msgspec.msgpack.Decoder(Answer).decode


class QuotaTopic:
    """Answers the other workers."""

    def __init__(self, keeper: Grants) -> None:
        self._keeper = keeper

    async def __call__(self, payload: bytes) -> bytes:
        call = _call(payload)
        if isinstance(call, Settle):
            self._keeper.settle(Grant(0, call.number))
            return b""
        try:
            return _encode(Answer(await self._keeper.ask(call)))
        except StoreError as error:
            return _encode(Answer(error=Refused(error.name, error.message, error.detail)))


class RemoteKeeper:
    """The keeper in another worker. A lost connection means that it is being replaced: its successor is asked."""

    def __init__(self, peer: MeshClient) -> None:
        self._peer = peer
        self._settling: set[asyncio.Task[None]] = set()

    async def ask(self, wanted: Ask) -> Grant:
        """:raises QuotaExceeded, Busy, ReadQuorumLost"""
        try:
            answer = await ask_successors(self._peer, TOPIC_QUOTA, _encode(wanted), _answer, ASK_S_MAX, RETRY_S)
        except TimeoutError:
            raise Busy("the keeper of quotas does not answer") from None
        except PeerFailed as error:
            raise RuntimeError(f"keeper of quotas: {error}") from error
        if answer.grant is not None:
            return answer.grant
        refused = answer.error or Refused(Busy.__name__)
        raise rebuild(refused.name, refused.message, dict(refused.detail))

    def settle(self, grant: Grant) -> None:
        """In the background. One that is lost is settled by the keeper itself, later (Q3)."""
        task = asyncio.create_task(self._settle(grant))
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)

    async def _settle(self, grant: Grant) -> None:
        try:
            await self._peer.call(TOPIC_QUOTA, _encode(Settle(grant.number)), ASK_S_MAX)
        except (PeerLost, PeerFailed, TimeoutError) as error:
            log.info("a grant is not settled: %s", error or type(error).__name__)
