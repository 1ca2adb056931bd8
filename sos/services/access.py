"""Whether somebody may do something: the policies in force, brought together for the one evaluator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..domain.policy.compiled import NO_POLICIES, PolicySet, compile_policy
from ..domain.policy.document import ALL_S3, Kind, read
from ..domain.policy.evaluate import Context, Verdict, evaluate
from ..meta.iam import ACCOUNT_CHARS, ROOT_ACCOUNT
from ..meta.records import BucketRecord
from .identity.directory import Recent
from .identity.principal import Principal

#: Bucket policies kept compiled in each worker.
BUCKET_POLICIES_MAX = 2_000
POLICY = "policy"
"""Kind of the configuration of a bucket that is its policy."""

Values = Mapping[str, tuple[str, ...]]
"""Canonical condition key → values; may be made as they are asked for."""


class _Both(Mapping[str, tuple[str, ...]]):
    """What an external provider vouched for, before what the request says."""

    __slots__ = ("_facts", "_values")

    def __init__(self, facts: Values, values: Values) -> None:
        self._facts, self._values = facts, values

    def get(self, key: str, default: object = None) -> tuple[str, ...] | None:  # type: ignore[override]
        found = self._facts.get(key)
        return found if found is not None else self._values.get(key)

    def __getitem__(self, key: str) -> tuple[str, ...]:
        found = self.get(key)
        if found is None:
            raise KeyError(key)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter({**self._values, **self._facts})

    def __len__(self) -> int:
        return len({**self._values, **self._facts})


class Access:
    """Decides for one worker. Pure but for its memory of compiled bucket policies."""

    def __init__(self) -> None:
        self._buckets: Recent[bytes, PolicySet] = Recent(BUCKET_POLICIES_MAX)

    def decide(
        self,
        who: Principal,
        action: str,
        bucket: str,
        record: BucketRecord | None,
        key: bytes,
        values: Values,
        *,
        deny_only: bool = False,
    ) -> Verdict:
        """The decision, with all that it depended on, for explanations.

        :param bucket: empty where the action is about no bucket
        :param record: of the bucket; None where there is none (its name decides alone then)
        :param key: empty where the action is about no object
        :param values: what the request says; the identity's own facts are added here
        :param deny_only: for what an identity may do with itself unless it is forbidden
        """
        resource = resource_of(bucket, key) if action.startswith("s3:") or bucket else ""
        account = owner_of(record) if record is not None else ""
        merged = _Both(who.facts, values) if who.facts else values
        context = Context(action, resource, who.caller, account, merged)
        policies = self.bucket_policies(record)
        sessions = who.sessions
        verdict = evaluate(context, who.policies, policies, sessions[0] if sessions else None, deny_only=deny_only)
        for session in sessions[1:]:
            if not verdict.allowed:
                break
            verdict = evaluate(context, who.policies, policies, session, deny_only=deny_only)
        return verdict

    def bucket_policies(self, record: BucketRecord | None) -> PolicySet:
        """The bucket's policy, compiled."""
        document = record.configurations.get(POLICY) if record is not None else None
        if not document or record is None:
            return NO_POLICIES
        made = self._buckets.get(document)
        if made is not None:
            return made
        compiled = compile_policy(record.name, read(document, Kind.BUCKET), Kind.BUCKET)
        return self._buckets.put(document, PolicySet([compiled]))


def resource_of(bucket: str, key: bytes) -> str:
    """The ARN; empty for the service."""
    if not bucket:
        return ""
    return f"{ALL_S3}{bucket}/{key.decode('utf-8', 'replace')}" if key else ALL_S3 + bucket


def owner_of(record: BucketRecord) -> str:
    """The account that owns a bucket. What was made before there were accounts is the root account's."""
    return record.owner if len(record.owner) == ACCOUNT_CHARS and record.owner.isdigit() else ROOT_ACCOUNT
