"""The decision (IAM user guide: "Policy evaluation logic", "Cross-account policy evaluation logic").

1. An explicit Deny anywhere (identity, bucket or session policy) decides.
2. Within one account an Allow of the identity or of the bucket suffices; a bucket policy that names only the account
   leaves the decision to the identity's policies.
3. Across accounts both must allow. So what has no bucket policy (users, keys, the server) is administered by the
   account that it belongs to alone.
4. A session policy (service accounts, STS) only takes away: it must allow too, whatever its parent may do.
5. Nothing said is a denial: also for an identity without any policy (known-failures A19).
6. Root: the deployment's is allowed everything, an account's everything of its own account. Only a session policy binds
   their service accounts.
7. ``deny_only`` is for what an identity may do with itself unless forbidden (its own service accounts, its secret): the
   absence of an Allow in its policies is no denial then. It excuses neither an empty set of policies nor the silence of
   a session policy, so a restricted key cannot make an unrestricted child (A01). Credentials of STS are had without any
   policy too: they can do nothing then.
8. What belongs to a disabled account is for the deployment's root alone, whatever policies say.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache

import msgspec

from .actions import namespace_of
from .compiled import NO_POLICIES, ByResource, CompiledStatement, Names, PolicySet, speaks_of
from .document import ALL_S3
from .match import Lookup

CALLERS_MAX = 4096
"""Callers of which the derived facts are kept."""


class Type(StrEnum):
    """What kind of caller it is; the values are those of ``aws:principaltype``."""

    ANONYMOUS = "Anonymous"
    ROOT = "Account"
    USER = "User"
    ASSUMED = "AssumedRole"


class Caller(msgspec.Struct, frozen=True, cache_hash=True):
    """Who asks.

    :param account: id of its account; empty when anonymous
    :param user: name of the user; the parent's for service accounts and STS
    :param access_key: the key that signed
    :param groups: the user's groups
    :param aliases: other ids of the account by which policies may call it
    :param deployment: root of the whole deployment
    """

    type: Type = Type.ANONYMOUS
    account: str = ""
    user: str = ""
    access_key: str = ""
    groups: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    deployment: bool = False

    @property
    def arn(self) -> str:
        if self.type is Type.ANONYMOUS:
            return ""
        if self.type is Type.ROOT:
            return f"arn:aws:iam::{self.account}:root"
        return f"arn:aws:iam::{self.account}:user/{self.user}"


ANONYMOUS = Caller()


class Context(msgspec.Struct, frozen=True):
    """One question.

    :param action: e.g. ``s3:GetObject``
    :param resource: ARN: ``arn:aws:s3:::bucket``, ``arn:aws:s3:::bucket/key``, ``arn:minio:kms:::key``; empty where an
        action has none
    :param account: the account that owns what is asked for: the bucket's; that of the users and keys that are
        administered; the caller's own for ListBuckets; the deployment's first for the server itself. Left empty it is
        nobody's, which only the deployment's root passes: forgetting it denies
    :param values: canonical condition key → values. What is known of the caller is added from ``caller``
    """

    action: str
    resource: str = ""
    caller: Caller = ANONYMOUS
    account: str = ""
    values: Mapping[str, tuple[str, ...]] = {}

    @property
    def lookup(self) -> Lookup:
        """Canonical condition key → the request's values, or None."""
        facts = _facts(self.caller, self.account)
        return {**facts, **self.values}.get if self.values else facts.get


@lru_cache(CALLERS_MAX)
def _facts(caller: Caller, account: str) -> dict[str, tuple[str, ...]]:
    """What is known without looking at the request."""
    known = {
        "aws:username": caller.user,
        "aws:userid": caller.user,
        "aws:principaltype": caller.type.value,
        "aws:PrincipalArn": caller.arn,
        "aws:PrincipalAccount": caller.account,
        "aws:ResourceAccount": account,
        "s3:ResourceAccount": account,
    }
    groups = {"aws:groups": caller.groups} if caller.groups else {}
    return {key: (value,) for key, value in known.items() if value} | groups


def keys_asked(action: str, *policies: PolicySet | None) -> frozenset[str]:
    """The condition keys whose values matter for this action: a request need not bring others, and whoever brings them
    can see here whether the object's tags have to be loaded (``s3:ExistingObjectTag/…``, known-failures A13).
    """
    return frozenset().union(*(some.plan(action).keys for some in policies if some))


class Side(StrEnum):
    """Which policies."""

    IDENTITY = "identity"
    BUCKET = "bucket"
    SESSION = "session"


class Reason(StrEnum):
    """What decided."""

    ROOT = "root"
    ALLOWED = "allowed"
    NOT_FORBIDDEN = "not-forbidden"
    EXPLICIT_DENY = "explicit-deny"
    NO_POLICY = "no-policy"
    NO_ALLOW = "no-allow"
    NO_ALLOW_IDENTITY = "no-allow-identity"
    NO_ALLOW_BUCKET = "no-allow-bucket"
    NO_ALLOW_SESSION = "no-allow-session"
    ACCOUNT_DISABLED = "account-disabled"


class Question(msgspec.Struct, frozen=True):
    """All that a verdict depends on."""

    context: Context
    identity: PolicySet = NO_POLICIES
    bucket: PolicySet = NO_POLICIES
    session: PolicySet | None = None
    deny_only: bool = False


class Verdict:
    """:param statement: the deciding one; None where absence, or root, decided
    :param side: where that statement stands
    """

    __slots__ = ("allowed", "question", "reason", "side", "statement")

    def __init__(
        self,
        question: Question,
        reason: Reason,
        statement: CompiledStatement | None = None,
        side: Side | None = None,
    ) -> None:
        self.question = question
        self.reason = reason
        self.statement = statement
        self.side = side
        self.allowed = reason in _GRANTS

    def __bool__(self) -> bool:
        return self.allowed


_GRANTS = frozenset({Reason.ROOT, Reason.ALLOWED, Reason.NOT_FORBIDDEN})


def evaluate(
    context: Context,
    identity: PolicySet = NO_POLICIES,
    bucket: PolicySet = NO_POLICIES,
    session: PolicySet | None = None,
    *,
    deny_only: bool = False,
    disabled: bool = False,
) -> Verdict:
    """Decide one question.

    :param identity: all policies of the user and of its groups
    :param bucket: the bucket's policy
    :param session: the policy of a service account or of STS credentials; None where there is none. An empty set allows
        nothing
    :param disabled: the account that owns what is asked for is disabled
    """
    question = Question(context, identity, bucket, session, deny_only)
    caller = context.caller
    owner = caller.type is Type.ROOT and (
        caller.deployment or (bool(caller.account) and caller.account == context.account)
    )
    resource = resource_of(context)
    if disabled and not caller.deployment:
        return Verdict(question, Reason.ACCOUNT_DISABLED)
    lookup = context.lookup
    denied = _denied(question, lookup, resource, owner)
    if denied is not None:
        return denied
    verdict = Verdict(question, Reason.ROOT) if owner else _granted(question, lookup, resource)
    if session is None or not verdict.allowed:
        return verdict
    limit = _find(session.plan(context.action).allow, lookup, resource)
    if limit is None:
        return Verdict(question, Reason.NO_ALLOW_SESSION, side=Side.SESSION)
    return verdict if verdict.statement else Verdict(question, verdict.reason, limit, Side.SESSION)


def resource_of(context: Context) -> str:
    """What patterns are held against; empty: any statement will do (the first phase of a KMS request)."""
    return context.resource or ("" if namespace_of(context.action) == "kms" else ALL_S3)


def _denied(question: Question, lookup: Lookup, resource: str, owner: bool) -> Verdict | None:
    context = question.context
    if question.session is not None:
        found = _find(question.session.plan(context.action).deny, lookup, resource)
        if found is not None:
            return Verdict(question, Reason.EXPLICIT_DENY, found, Side.SESSION)
    if owner:
        return None
    found = _find(question.identity.plan(context.action).deny, lookup, resource)
    if found is not None:
        return Verdict(question, Reason.EXPLICIT_DENY, found, Side.IDENTITY)
    if question.bucket:
        deny = question.bucket.plan(context.action).deny
        found = _find_for(deny, lookup, resource, names_of(context.caller, context.account), 1)
        if found is not None:
            return Verdict(question, Reason.EXPLICIT_DENY, found, Side.BUCKET)
    return None


def is_foreign(context: Context) -> bool:
    """Whether somebody of another account asks. Anonymous is of none: what is for everyone is for it."""
    caller = context.caller
    return caller.type is not Type.ANONYMOUS and (not caller.account or context.account != caller.account)


def _granted(question: Question, lookup: Lookup, resource: str) -> Verdict:
    """What identity and bucket allow together, where nothing denies."""
    context, caller = question.context, question.context.caller
    own = _find(question.identity.plan(context.action).allow, lookup, resource)
    foreign = is_foreign(context)
    if own is not None and not foreign:
        return Verdict(question, Reason.ALLOWED, own, Side.IDENTITY)
    theirs = None
    if question.bucket:
        who = names_of(caller, context.account)
        allow = question.bucket.plan(context.action).allow
        theirs = _find_for(allow, lookup, resource, who, 1 if foreign else 2)
    if foreign:
        return _granted_across(question, own, theirs)
    if theirs is not None:
        return Verdict(question, Reason.ALLOWED, theirs, Side.BUCKET)
    if not question.identity and not (question.deny_only and namespace_of(context.action) == "sts"):
        return Verdict(question, Reason.NO_POLICY)
    return Verdict(question, Reason.NOT_FORBIDDEN if question.deny_only else Reason.NO_ALLOW)


def _granted_across(question: Question, own: CompiledStatement | None, theirs: CompiledStatement | None) -> Verdict:
    identity = own is not None or question.context.caller.type is Type.ROOT
    if identity and theirs is not None:
        return Verdict(question, Reason.ALLOWED, theirs, Side.BUCKET)
    if identity:
        return Verdict(question, Reason.NO_ALLOW_BUCKET, side=Side.BUCKET)
    if theirs is not None:
        return Verdict(question, Reason.NO_ALLOW_IDENTITY, side=Side.IDENTITY)
    return Verdict(question, Reason.NO_ALLOW)


def _find(statements: ByResource, lookup: Lookup, resource: str) -> CompiledStatement | None:
    for place in statements.candidates(resource):
        statement = place.find(resource, lookup)
        if statement is not None:
            return statement
    return None


def _find_for(
    statements: ByResource, lookup: Lookup, resource: str, who: Names, level: int
) -> CompiledStatement | None:
    """As ``_find``, among the statements that name the caller at least as closely as ``level``."""
    for entries in statements.candidates(resource):
        for statement, pattern, _, excludes, _ in entries:
            if pattern is not None and not pattern.match(resource, lookup):
                continue
            if excludes and not statement.covers(resource, lookup):
                continue
            if speaks_of(statement, who) >= level and statement.holds(lookup):
                return statement
    return None


@lru_cache(CALLERS_MAX)
def names_of(caller: Caller, account: str) -> Names:
    """What the caller can be called in the bucket policies of an account."""
    if caller.type is Type.ANONYMOUS:
        return Names(frozenset(), frozenset(), ())
    accounts = (caller.account, *caller.aliases)
    kinds = ("user",) if caller.type is Type.USER else ("user", "role", "assumed-role")
    own = frozenset(f"arn:aws:iam::{one}:{kind}/{caller.user}" for one in accounts for kind in kinds if caller.user)
    roots = frozenset(f"arn:aws:iam::{one}:root" for one in accounts)
    # not by the access key: whoever makes a service account chooses its name, also one that a pattern fits
    bare = (caller.user,) if caller.user and account == caller.account else ()
    if caller.type is Type.ROOT:
        return Names(own | roots | frozenset(accounts), frozenset(), bare)
    return Names(own, roots | frozenset(accounts), bare)
