"""Remembers what one worker decided in the last hour, in bounded memory and at about a microsecond for a request.

What was allowed is counted: one entry for all requests of the same caller, action, resource and circumstances, in slices
of ten minutes. A slice that is full folds what is new into entries for prefixes of resources, and counts what does not
fit even there. Denials are kept whole until the oldest have to go; those of unknown senders apart, so that whoever knocks
from outside cannot make a server forget what happened inside.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator

import msgspec

from ...domain.policy.evaluate import Caller, Question, Verdict, keys_asked
from ...domain.policy.explain import Explanation, Finding, explain
from ...domain.policy.keys import canonical
from ...meta.iam import KeyKind
from ..access import Values as Circumstances
from ..identity.principal import Principal
from .records import PASSING, Allowed, Coverage, Denial, Facts, Occasion, Values, clip, everyday_keys
from .revision import revision_of

NS_PER_S = 1_000_000_000
KEPT_NS = 3600 * NS_PER_S
SLICE_NS = 600 * NS_PER_S
#: The hour, and what is being filled.
SLICES_MAX = KEPT_NS // SLICE_NS + 1
ALLOWED_BYTES_MAX = 6 << 20
SLICE_BYTES_MAX = ALLOWED_BYTES_MAX // SLICES_MAX
#: Of a slice, for entries of single resources; the rest is for folded ones.
SINGLE_BYTES_MAX = SLICE_BYTES_MAX * 3 // 4
#: What an entry takes besides its texts: key, numbers, place in the dictionary.
ENTRY_BYTES = 600
DENIED_BYTES_MAX = 2 << 20
UNKNOWN_BYTES_MAX = 1 << 20
#: What a remembered denial takes besides its document.
DENIAL_BYTES = 200
#: Denials remembered of one request: a batch of a thousand keys is not to push out all others.
OF_ONE_REQUEST_MAX = 20
#: Of what is told of a refusal that no policy decided.
MESSAGE_CHARS_MAX = 512
#: Processor time for explaining what is denied when it is: share of one core, and what may be saved up, in seconds.
EXPLAINING_SHARE = 0.02
EXPLAINING_S_MAX = 0.1

Steady = tuple[tuple[str, tuple[str, ...]], ...] | None
Key = tuple[Caller, str, str, Facts, Steady, bool, bool]
"""Caller, action, resource (or prefix, where the last member is true), facts, values, ``deny_only``."""


class _Entry:
    """Requests that were allowed alike."""

    __slots__ = ("account", "asked", "count", "first_ns", "last_ns", "resource")

    def __init__(self, account: str, asked: frozenset[str], resource: str, at_ns: int) -> None:
        self.account = account
        self.asked = asked
        self.resource = resource
        self.count = 0
        self.first_ns = self.last_ns = at_ns


class _Slice:
    """Ten minutes of what was allowed."""

    __slots__ = ("bytes", "dropped", "entries", "since_ns")

    def __init__(self, since_ns: int) -> None:
        self.since_ns = since_ns
        self.entries: dict[Key, _Entry] = {}
        self.bytes = 0
        self.dropped = 0


class _Ring:
    """Denials as they are told, the oldest first, in a bounded number of bytes."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self.items: deque[tuple[str, int, bytes]] = deque()
        self.dropped = 0
        self.whole_since_ns = 0

    def put(self, request_id: str, at_ns: int, document: bytes) -> None:
        self.expire(at_ns)
        self.items.append((request_id, at_ns, document))
        self._bytes += len(document) + DENIAL_BYTES
        while self._bytes > self._bytes_max:
            self.whole_since_ns = self._drop() + 1
            self.dropped += 1

    def expire(self, now_ns: int) -> None:
        while self.items and self.items[0][1] < now_ns - KEPT_NS:
            self._drop()

    def _drop(self) -> int:
        _, at_ns, document = self.items.popleft()
        self._bytes -= len(document) + DENIAL_BYTES
        return at_ns


class Decisions:
    """The recorder of one worker; for its event loop alone.

    :param slot: of the worker
    :param clock: wall clock, nanoseconds
    :param timer: seconds, to measure what explanations cost
    """

    def __init__(
        self,
        slot: int = 0,
        clock: Callable[[], int] = time.time_ns,
        timer: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.slot = slot
        self._clock, self._timer = clock, timer
        self._began_ns = clock()
        self._slices: deque[_Slice] = deque()
        self._turn(self._began_ns)
        self._known, self._unknown = _Ring(DENIED_BYTES_MAX), _Ring(UNKNOWN_BYTES_MAX)
        self._request, self._of_request, self._too_many = "", 0, 0
        self._left_s, self._left_at = EXPLAINING_S_MAX, timer()
        self._asked: dict[frozenset[str], frozenset[str]] = {}

    # -- what is allowed -------------------------------------------------------------------------------

    def allowed(self, verdict: Verdict, facts: Facts, at_ns: int) -> None:
        """Count a request that was allowed."""
        question = verdict.question
        context = question.context
        values = context.values
        steady = tuple([item for item in values.items() if item[0] not in PASSING]) if values else None
        key = (context.caller, context.action, context.resource, facts, steady, question.deny_only, False)
        if at_ns >= self._ends_ns:
            self._turn(at_ns)
        entry = self._entries.get(key)
        if entry is None:
            entry = self._enter(key, question, at_ns)
            if entry is None:
                return
        entry.count += 1
        entry.last_ns = at_ns

    def _turn(self, at_ns: int) -> None:
        """Begin a slice."""
        self._slices.append(_Slice(at_ns))
        self._entries = self._slices[-1].entries
        self._ends_ns = at_ns + SLICE_NS
        while len(self._slices) > SLICES_MAX:
            self._slices.popleft()
        self._expire(at_ns)

    def _expire(self, now_ns: int) -> None:
        """Forget slices that ended an hour ago. One is always there to be filled."""
        while self._slices[0].since_ns + SLICE_NS <= now_ns - KEPT_NS:
            self._slices.popleft()
            if not self._slices:
                return self._turn(now_ns)
        return None

    def _enter(self, key: Key, question: Question, at_ns: int) -> _Entry | None:
        """The entry for what is new; None where there is no room for it."""
        part, resource = self._slices[-1], key[2]
        if part.bytes < SINGLE_BYTES_MAX:
            return self._add(part, key, question, at_ns)
        key = (key[0], key[1], _prefix(resource), key[3], key[4], key[5], True)
        entry = part.entries.get(key)
        if entry is None and part.bytes < SLICE_BYTES_MAX:
            return self._add(part, key, question, at_ns)
        part.dropped += entry is None
        return entry

    def _add(self, part: _Slice, key: Key, question: Question, at_ns: int) -> _Entry:
        resource = question.context.resource
        part.bytes += ENTRY_BYTES + sys.getsizeof(resource) + sys.getsizeof(key[2]) * key[6] + _texts(key)
        entry = part.entries[key] = _Entry(question.context.account, self._asked_by(question), resource, at_ns)
        return entry

    def _asked_by(self, question: Question) -> frozenset[str]:
        """The keys that its policies ask for; one object for all that ask for the same."""
        asked = keys_asked(question.context.action, question.identity, question.bucket, question.session)
        if len(self._asked) > 1000:
            self._asked.clear()
        return self._asked.setdefault(asked, asked)

    # -- what is denied --------------------------------------------------------------------------------

    def denied(self, occasion: Occasion, who: Principal, verdict: Verdict, values: Circumstances) -> None:
        """Remember a denial with all that its explanation needs.

        :param values: what the request says
        """
        if not self._has_room(occasion.request_id):
            return
        question = verdict.question
        context = question.context
        everyday = everyday_keys(context.action)
        asked = keys_asked(context.action, question.identity, question.bucket, *who.sessions) | context.values.keys()
        denial = Denial(
            *occasion,
            caller=context.caller,
            key_kind=kind_of(who),
            action=context.action,
            resource=context.resource,
            account=context.account,
            values=_everything(everyday, who, verdict, values),
            asked=tuple(sorted(asked - everyday)),
            deny_only=question.deny_only,
            reason=verdict.reason,
            revision=revision_of(who.policies, question.bucket, who.sessions),
            explanation=self._explained(verdict),
        )
        (self._unknown if who.anonymous else self._known).put(occasion.request_id, occasion.at_ns, _encode(denial))

    def refused(self, occasion: Occasion, who: Principal, code: str, message: str, resource: str) -> None:
        """Remember a refusal that no policy decided: a signature, a key, a lock."""
        message, resource = message[:MESSAGE_CHARS_MAX], resource[:MESSAGE_CHARS_MAX]
        denial = Denial(
            *occasion, caller=who.caller, key_kind=kind_of(who), resource=resource, code=code, message=message
        )
        self._unknown.put(occasion.request_id, occasion.at_ns, _encode(denial))

    def _has_room(self, request_id: str) -> bool:
        """Whether one more denial of a request is remembered."""
        if request_id != self._request:
            self._request, self._of_request = request_id, 0
        self._of_request += 1
        if self._of_request <= OF_ONE_REQUEST_MAX:
            return True
        self._too_many += 1
        return False

    def _explained(self, verdict: Verdict) -> Explanation | None:
        """The explanation while there is time for it: some cost a millisecond, and a flood of denials must not cost more
        than that of requests."""
        now = self._timer()
        self._left_s = min(EXPLAINING_S_MAX, self._left_s + (now - self._left_at) * EXPLAINING_SHARE)
        self._left_at = now
        if self._left_s <= 0:
            return None
        explanation = clipped(explain(verdict))
        self._left_s -= self._timer() - now
        return explanation

    # -- telling ---------------------------------------------------------------------------------------

    def coverage(self) -> Coverage:
        now = self._clock()
        self._expire(now)
        since = max(self._began_ns, now - KEPT_NS)
        return Coverage(
            self.slot,
            since,
            max(since, self._known.whole_since_ns),
            max(since, self._unknown.whole_since_ns),
            self._known.dropped + self._unknown.dropped + self._too_many,
            sum(part.dropped for part in self._slices),
        )

    def denials(self, request_id: str = "") -> list[bytes]:
        """Denials as documents, those of one request or all, in the order in which they were made."""
        now, found = self._clock(), []
        for ring in (self._known, self._unknown):
            ring.expire(now)
            found += [(at_ns, document) for one, at_ns, document in ring.items if request_id in ("", one)]
        return [document for _, document in sorted(found, key=lambda item: item[0])]

    def slices(self) -> Iterator[list[Allowed]]:
        """What was allowed, by slices, the oldest first; each as it is when it is asked for."""
        self._expire(self._clock())
        for part in tuple(self._slices):
            yield [_told(key, entry) for key, entry in part.entries.items()]


_encode = msgspec.msgpack.Encoder().encode


def kind_of(who: Principal) -> str:
    """What kind of key signed."""
    if who.anonymous:
        return ""
    return (
        who.kind.name.lower() if who.kind in (KeyKind.SERVICE, KeyKind.TEMPORARY) else "root" if who.owner else "user"
    )


def _told(key: Key, entry: _Entry) -> Allowed:
    caller, action, resource, facts, steady, deny_only, folded = key
    return Allowed(
        caller,
        action,
        entry.resource,
        entry.account,
        facts,
        dict(steady or ()),
        tuple(entry.asked),
        deny_only,
        resource if folded else "",
        entry.count,
        entry.first_ns,
        entry.last_ns,
    )


def _prefix(resource: str) -> str:
    """All but the last part of a key; a bucket itself."""
    folder, slash, _ = resource.rpartition("/")
    return folder + slash if slash else resource


def _texts(key: Key) -> int:
    """Bytes of what a client chose, the resource aside."""
    told = [text for text in key[3] if isinstance(text, str)]
    told += [text for _, values in key[4] or () for text in values]
    return sum(map(sys.getsizeof, told))


def _everything(everyday: frozenset[str], who: Principal, verdict: Verdict, values: Circumstances) -> Values:
    """What the request says, whoever asks for it."""
    found: Values = {}
    for key in everyday:
        value = who.facts.get(key) or values(key)
        if value is not None:
            found[key] = clip(key, value)
    for key, value in verdict.question.context.values.items():
        found[key] = clip(key, value)
    return found


def clipped(explanation: Explanation) -> Explanation:
    """An explanation with values as they may be kept."""
    missed = tuple(msgspec.structs.replace(one, tests=_clipped(one.tests)) for one in explanation.missed)
    return msgspec.structs.replace(explanation, tests=_clipped(explanation.tests), missed=missed)


def _clipped(tests: tuple[Finding, ...]) -> tuple[Finding, ...]:
    return tuple(
        test
        if test.actual is None
        else msgspec.structs.replace(test, actual=clip(canonical(test.key) or test.key, test.actual))
        for test in tests
    )
