"""Bringing proposals to the owner of a set: directly in the owner's worker, through the mesh from any other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import msgspec

from ..base.pages import PULSE_INCARNATION, Pages
from ..domain.errors import Busy, OwnerLeaves, StoreError, rebuild
from ..erasure.owner import Owner
from ..erasure.set import Finding
from ..mesh.client import MeshClient, PeerFailed, PeerLost, ask_successors
from ..meta.proposals import AnyProposal, Outcome, Refused
from ..services.pools import Claim, Claims

TOPIC_SUBMIT = 1
TOPIC_CLAIM = 2
TOPIC_FAULT = 3
TOPIC_SWEEP = 4

#: How long a proposal is offered again while its owner is being replaced. An owner remembers what it committed for longer
#: (``repeat_s`` of ``sos.erasure.limits``).
SUBMIT_S_MAX = 15.0
RETRY_S = 0.02

Submit = Callable[[Sequence[AnyProposal]], Awaitable[list[Outcome]]]


class Submission(msgspec.Struct, array_like=True, frozen=True):
    """A call to the owner of ``set``."""

    set: int
    proposals: list[AnyProposal]


class Answer(msgspec.Struct, array_like=True, frozen=True):
    """Outcomes, or the error that befell the whole submission."""

    outcomes: list[Outcome]
    error: Refused | None = None


class ClaimCall(msgspec.Struct, array_like=True, frozen=True):
    """Which pool a new key goes to: see ``sos.services.pools``."""

    key: bytes
    wanted: int


class Fault(msgspec.Struct, array_like=True, frozen=True):
    """A drive fails in another worker."""

    set: int
    drive: int
    reason: str
    finding: Finding = Finding.FAILED


class SweepCall(msgspec.Struct, array_like=True, frozen=True):
    """Volumes of a set that nobody appends to any more."""

    set: int
    volumes: list[int]


encode = msgspec.msgpack.Encoder().encode
_submission = msgspec.msgpack.Decoder(Submission).decode
_claim = msgspec.msgpack.Decoder(ClaimCall).decode
_sweep = msgspec.msgpack.Decoder(SweepCall).decode
_fault = msgspec.msgpack.Decoder(Fault).decode
_answer = msgspec.msgpack.Decoder(Answer).decode


class RemoteOwner:
    """The owner of one set, in another worker.

    A lost connection, or the word that it leaves, means that the owner is being replaced: the same proposals, with the same
    request ids, are offered to its successor, which knows from the log what was committed already.
    """

    def __init__(self, number: int, peer: MeshClient) -> None:
        self._number = number
        self._peer = peer

    async def submit(self, proposals: Sequence[AnyProposal]) -> list[Outcome]:
        """:raises Busy: no owner answered in time; the outcome is unknown"""
        payload = encode(Submission(self._number, list(proposals)))
        try:
            answer = await ask_successors(self._peer, TOPIC_SUBMIT, payload, _answer, SUBMIT_S_MAX, RETRY_S, _leaves)
        except TimeoutError:
            raise Busy(f"set {self._number} has no owner") from None
        except PeerFailed as error:
            raise RuntimeError(f"owner of set {self._number}: {error}") from error
        if answer.error is not None:
            raise rebuild(answer.error.name, answer.error.message, dict(answer.error.detail))
        return answer.outcomes


def _leaves(answer: Answer) -> bool:
    return answer.error is not None and answer.error.name == OwnerLeaves.__name__


class Successions:
    """Gives up the connections to workers that have been replaced. One that was killed while it hung in the kernel, on a
    drive that does not answer, keeps them: its callers would wait for their time to pass, and for ever after again.
    """

    def __init__(self, pages: Pages, peers: Sequence[MeshClient]) -> None:
        self._pages, self._peers = pages, peers
        self._seen = self._now()

    def _now(self) -> list[int]:
        return [self._pages.pulse(slot, PULSE_INCARNATION) for slot in range(len(self._peers))]

    def look(self) -> None:
        """On the loop, often: a few comparisons."""
        now = self._now()
        if now == self._seen:
            return
        for peer, before, incarnation in zip(self._peers, self._seen, now, strict=True):
            if before != incarnation:
                peer.hang_up()
        self._seen = now


class SubmitTopic:
    """The owner's side: answers submissions of the other workers for the sets that this worker owns."""

    def __init__(self, owners: dict[int, Submit]) -> None:
        self._owners = owners

    async def __call__(self, payload: bytes) -> bytes:
        submission = _submission(payload)
        submit = self._owners.get(submission.set)
        if submit is None:
            raise LookupError(f"set {submission.set} is not owned here")
        try:
            return encode(Answer(await submit(submission.proposals)))
        except StoreError as error:
            return encode(Answer([], Refused(error.name, error.message, error.detail)))


class ClaimTopic:
    """Answers where a new key goes, for the first pool's sets that this worker owns."""

    def __init__(self, claims: Claims) -> None:
        self._claims = claims

    async def __call__(self, payload: bytes) -> bytes:
        call = _claim(payload)
        return encode(self._claims.claim(call.key, call.wanted))


class FaultTopic:
    """Takes word of failing drives."""

    def __init__(self, owners: dict[int, Owner]) -> None:
        self._owners = owners

    async def __call__(self, payload: bytes) -> bytes:
        fault = _fault(payload)
        owner = self._owners.get(fault.set)
        if owner is None:
            raise LookupError(f"set {fault.set} is not owned here")
        take_finding(owner, fault)
        return b""


def take_finding(owner: Owner, fault: Fault) -> None:
    """What an owner does about a drive that a worker found failing."""
    if fault.finding is Finding.DOUBTFUL:
        owner.doubt_drive(fault.drive, fault.reason)
    else:
        owner.drop_drive(fault.drive, fault.reason, fault.finding is Finding.DAMAGED)


class SweepTopic:
    """Takes word of volumes to be swept. Answers when that is done."""

    def __init__(self, sweep: Callable[[int, list[int]], Awaitable[None]]) -> None:
        self._sweep = sweep

    async def __call__(self, payload: bytes) -> bytes:
        call = _sweep(payload)
        await self._sweep(call.set, call.volumes)
        return b""


def claim_through(claims: Claims, slot: int, peers: Sequence[MeshClient], owner: Callable[[int], int]) -> Claim:
    """Claims made where the set's owner is: here, or through the mesh."""

    async def claim(number: int, key: bytes, wanted: int) -> int:
        worker = owner(number)
        if worker == slot:
            return claims.claim(key, wanted)
        try:
            answer = await peers[worker].call(TOPIC_CLAIM, encode(ClaimCall(key, wanted)), SUBMIT_S_MAX)
        except (PeerLost, TimeoutError) as error:
            raise Busy(f"set {number} has no owner") from error
        return int(msgspec.msgpack.decode(answer, type=int))

    return claim
