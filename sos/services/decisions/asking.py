"""What all workers remember of decisions, asked over the mesh."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import msgspec

from ..fleet import TOPIC_DECISIONS, Fleet
from .recorder import Decisions
from .records import Allowed, Ask, Coverage, Denial, Told

#: For all of a worker's memory to come over: several megabytes.
EVERYTHING_S_MAX = 15.0
#: Documents and entries between two looks at other work.
AT_ONCE = 500

_encode = msgspec.msgpack.Encoder().encode
_ask = msgspec.msgpack.Decoder(Ask).decode
_told = msgspec.msgpack.Decoder(Told).decode


class _Answer(msgspec.Struct, array_like=True):
    """``Told`` with parts that are encoded already."""

    coverage: Coverage
    denials: list[msgspec.Raw]
    allowed: list[msgspec.Raw]


class DecisionsTopic:
    """Answers what this worker remembers."""

    def __init__(self, decisions: Decisions) -> None:
        self._decisions = decisions

    async def __call__(self, payload: bytes) -> bytes:
        ask = _ask(payload)
        denials = [msgspec.Raw(document) for document in self._decisions.denials(ask.request_id)]
        allowed = [] if ask.request_id else await self._allowed()
        return _encode(_Answer(self._decisions.coverage(), denials, allowed))

    async def _allowed(self) -> list[msgspec.Raw]:
        """Encoded in portions: all at once would hold up requests."""
        made: list[msgspec.Raw] = []
        for part in self._decisions.slices():
            for at in range(0, len(part), AT_ONCE):
                made += [msgspec.Raw(_encode(one)) for one in part[at : at + AT_ONCE]]
                await asyncio.sleep(0)
        return made


@dataclass(slots=True)
class Remembered:
    """What the workers told.

    :param silent: workers that did not answer
    """

    coverage: list[Coverage] = field(default_factory=list)
    denials: list[Denial] = field(default_factory=list)
    allowed: list[Allowed] = field(default_factory=list)
    silent: list[int] = field(default_factory=list)


async def ask(fleet: Fleet, request_id: str = "") -> Remembered:
    """Denials of one request, or all that is remembered; denials in the order of their time."""
    payload = _encode(Ask(request_id))
    answers = await (
        fleet.ask(TOPIC_DECISIONS, payload) if request_id else fleet.ask(TOPIC_DECISIONS, payload, EVERYTHING_S_MAX)
    )
    found = Remembered()
    for slot, answer in enumerate(answers):
        if answer is None:
            found.silent.append(slot)
            continue
        told = await asyncio.to_thread(_told, answer)
        found.coverage.append(told.coverage)
        found.denials += told.denials
        found.allowed += told.allowed
    found.denials.sort(key=lambda denial: denial.at_ns)
    return found
