"""Whether somebody may do something: the policies in force, brought together for the one evaluator."""

from __future__ import annotations

from collections.abc import Callable

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

Values = Callable[[str], "tuple[str, ...] | None"]
"""Canonical condition key → the request's values; asked only for keys that some policy in force asks for."""


class Access:
    """Decides for one worker. Pure but for its memory of compiled bucket policies.

    :param closed: whether an account is disabled, so that its buckets are for the deployment's root alone. May raise MustWait
    """

    def __init__(self, closed: Callable[[str], bool] = lambda account: False) -> None:
        self._closed = closed
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
        account: str = "",
        deny_only: bool = False,
    ) -> Verdict:
        """The decision, with all that it depended on, for explanations.

        :param bucket: empty where the action is about no bucket
        :param record: of the bucket; None where there is none (the identity's policies decide alone then)
        :param key: empty where the action is about no object
        :param values: what the request says; the identity's own facts are added here
        :param account: that an action without a bucket is about; empty = the caller's own
        :param deny_only: for what an identity may do with itself unless it is forbidden
        :raises MustWait: whether the bucket's account is disabled cannot be told at this moment
        """
        about = owner_of(record) if record is not None else account or who.account
        policies, sessions = self.bucket_policies(record), who.sessions
        found: dict[str, tuple[str, ...]] = {}
        for some in (who.policies, policies, *sessions):
            for name in some.plan(action).keys if some else ():
                value = who.facts.get(name) or values(name)
                if value is not None:
                    found[name] = value
        context = Context(action, resource_of(bucket, key), who.caller, about, found)
        disabled = about != ROOT_ACCOUNT and record is not None and self._closed(about)
        session = sessions[0] if sessions else None
        verdict = evaluate(context, who.policies, policies, session, deny_only=deny_only, disabled=disabled)
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


def bucket_in_question(find: Callable[[str], BucketRecord | None], action: str, bucket: str) -> BucketRecord | None:
    """The bucket whose owner and policy count for an action. Whose a bucket of the name is counts for nothing when one is
    to be made: that it is taken is told afterwards.
    """
    return find(bucket) if bucket and action != "s3:CreateBucket" else None


def resource_of(bucket: str, key: bytes) -> str:
    """The ARN; empty for the service."""
    if not bucket:
        return ""
    return f"{ALL_S3}{bucket}/{key.decode('utf-8', 'replace')}" if key else ALL_S3 + bucket


def owner_of(record: BucketRecord) -> str:
    """The account that owns a bucket. What was made before there were accounts is the root account's."""
    return record.owner if len(record.owner) == ACCOUNT_CHARS and record.owner.isdigit() else ROOT_ACCOUNT
