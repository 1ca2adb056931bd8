"""What would be decided: the path of a real decision with nothing done, by the policies in force or with a draft."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import NamedTuple, TypeVar

import msgspec

from ...domain.errors import MustWait
from ...domain.policy.actions import namespace_of
from ...domain.policy.compiled import Policy, PolicySet, compile_policy
from ...domain.policy.document import ALL_S3, Document, Kind, read
from ...domain.policy.evaluate import Verdict, keys_asked
from ...meta.records import BucketRecord
from ..access import POLICY, Access, bucket_in_question, owner_of
from ..buckets import Buckets
from ..identity.directory import Known
from ..identity.identity import Identity
from ..identity.principal import ANONYMOUS, Principal

T = TypeVar("T")
DRAFT = "(draft)"
"""The name of a draft that takes no other's place."""
WAITS_MAX = 20
NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Draft:
    """A policy that is not in force, and where it would be.

    :param account: whose names ``instead_of``, ``user`` and ``group`` are
    :param instead_of: the policy whose place it takes, for all that have this one
    :param user: that it would be attached to, with the user's service accounts and temporary keys
    :param group: that it would be attached to
    :param bucket: whose policy it would be
    :param whoever: it would be attached to whoever is asked about
    :param session: of a key: it takes away only
    """

    document: bytes
    account: str = ""
    instead_of: str = ""
    user: str = ""
    group: str = ""
    bucket: str = ""
    whoever: bool = False
    session: bool = False

    def principal(self, who: Principal) -> Principal:
        """An identity as it would be. Costs a compilation: once for each identity, not for each decision."""
        if self.bucket or who.anonymous:
            return who
        if self.session:
            return replace(who, sessions=(*who.sessions, PolicySet([self._compiled(Kind.SESSION)])))
        replaced = bool(self.instead_of) and any(one.name == self.instead_of for one in who.policies.policies)
        added = self.whoever or (self.user and who.user == self.user) or self.group in who.caller.groups
        if who.account != self.account or not (replaced or added):
            return who
        mine = self._compiled(Kind.IDENTITY)
        policies = [mine if self.instead_of == one.name else one for one in who.policies.policies]
        return replace(who, policies=PolicySet([*policies, mine] if added else policies))

    def record(self, record: BucketRecord | None) -> BucketRecord | None:
        """A bucket as it would be."""
        if record is None or record.name != self.bucket:
            return record
        return msgspec.structs.replace(record, configurations={**record.configurations, POLICY: self.document})

    def _compiled(self, kind: Kind) -> Policy:
        document: Document = read(self.document, kind)
        return compile_policy(self.instead_of or DRAFT, document, kind)


class Question(NamedTuple):
    """:param resource: an ARN, empty where the action has none
    :param account: that an action without a bucket is about; empty for the asking identity's own
    """

    action: str
    resource: str = ""
    values: Mapping[str, tuple[str, ...]] = {}
    account: str = ""
    deny_only: bool = False
    at_ns: int = 0


class Answer(NamedTuple):
    """:param missing: condition keys that policies ask for and nobody gave a value of
    :param foreign: the account of the bucket, where it is not that of the identity
    """

    verdict: Verdict
    missing: tuple[str, ...]
    foreign: str = ""


class Simulator:
    """For one worker."""

    def __init__(self, identity: Identity, access: Access, buckets: Buckets) -> None:
        self._identity, self._access, self._buckets = identity, access, buckets

    async def known(self, access_key: str) -> Known | None:
        """Whose key it is; None for an unknown one."""
        return await self._patiently(lambda: self._identity.directory.find(access_key))

    async def principal(self, access_key: str) -> Principal | None:
        """Who a caller is now, enabled or not; anonymous without a key."""
        if not access_key:
            return ANONYMOUS
        known = await self.known(access_key)
        return None if known is None else known.principal

    async def owner(self, bucket: str) -> str:
        """The account that owns a bucket; empty where there is none."""
        record = await self._patiently(lambda: self._buckets.find_now(bucket)) if bucket else None
        return "" if record is None else owner_of(record)

    async def decide(self, who: Principal, question: Question, draft: Draft | None = None) -> Answer:
        """Decide as a request of this kind would be.

        :param who: as ``Draft.principal`` makes it, where there is a draft
        """
        return await self._patiently(lambda: self._decide(who, question, draft))

    def _decide(self, who: Principal, question: Question, draft: Draft | None) -> Answer:
        bucket, key = parts_of(question.resource)
        record = bucket_in_question(self._buckets.find_now, question.action, bucket)
        record = record if draft is None else draft.record(record)
        values = lookup(question.values, question.at_ns)
        own = question.deny_only or namespace_of(question.action) == "sts"
        decide = self._access.decide
        verdict = decide(who, question.action, bucket, record, key, values, account=question.account, deny_only=own)
        asked = keys_asked(question.action, who.policies, verdict.question.bucket, *who.sessions)
        known = verdict.question.context.lookup
        missing = tuple(sorted(name for name in asked if known(name) is None))
        foreign = owner_of(record) if record is not None and owner_of(record) != who.account else ""
        return Answer(verdict, missing, foreign)

    async def _patiently(self, attempt: Callable[[], T]) -> T:
        for _ in range(WAITS_MAX):
            try:
                return attempt()
            except MustWait:
                await self._identity.wait()
        return attempt()


def parts_of(resource: str) -> tuple[str, bytes]:
    """Bucket and key of an ARN of S3; empty for everything else."""
    if not resource.startswith(ALL_S3):
        return "", b""
    bucket, _, key = resource.removeprefix(ALL_S3).partition("/")
    return bucket, key.encode("utf-8", "replace")


def lookup(values: Mapping[str, tuple[str, ...]], at_ns: int) -> Callable[[str], tuple[str, ...] | None]:
    """Values with the time of the question, unless they bring another."""
    at_s = at_ns // NS_PER_S
    times = {
        "aws:CurrentTime": (datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),),
        "aws:EpochTime": (str(at_s),),
    }
    return lambda key: values.get(key) or times.get(key)
