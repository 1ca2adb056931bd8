"""Who may do what: the decision and its reasons."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from sos.domain.policy.builtin import builtin_policies
from sos.domain.policy.compiled import NO_POLICIES, PolicySet, compile_policy
from sos.domain.policy.document import OLD_VERSION, VERSION, Kind, parse
from sos.domain.policy.evaluate import ANONYMOUS, Caller, Context, Reason, Side, Type, evaluate, keys_asked
from sos.domain.policy.explain import explain, smallest_grant

OURS, THEIRS = "a" * 64, "b" * 64
ALICE = Caller(Type.USER, OURS, "alice", "alice", ("staff",))
CHILD = Caller(Type.USER, OURS, "alice", "SVC1")
BOB = Caller(Type.USER, THEIRS, "bob", "bob")
ROOT = Caller(Type.ROOT, OURS, "root", "root")
THEIR_ROOT = Caller(Type.ROOT, THEIRS, "other", "other")
OPERATOR = Caller(Type.ROOT, THEIRS, "minioadmin", "minioadmin", deployment=True)
OBJECT, BUCKET = "arn:aws:s3:::b/k", "arn:aws:s3:::b"


def allow(**members: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": "s3:*", "Resource": ["arn:aws:s3:::b", "arn:aws:s3:::b/*"]} | members


def deny(**members: Any) -> dict[str, Any]:
    return allow(Effect="Deny", **members)


def policies(*statements: dict[str, Any], kind: Kind = Kind.IDENTITY, version: str = VERSION) -> PolicySet:
    if not statements:
        return NO_POLICIES
    raw = json.dumps({"Version": version, "Statement": list(statements)}).encode()
    return PolicySet([compile_policy(kind.value, parse(raw, kind, "b"), kind)])


def bucket(*statements: dict[str, Any]) -> PolicySet:
    return policies(*({"Principal": "*"} | item for item in statements), kind=Kind.BUCKET)


def ask(caller: Caller = ALICE, action: str = "s3:GetObject", resource: str = OBJECT, **values: str) -> Context:
    given = {name.replace("__", ":"): (value,) for name, value in values.items()}
    return Context(action, resource, caller, OURS, given)


def arn(caller: Caller) -> dict[str, Any]:
    return {"Principal": {"AWS": caller.arn}}


ACCOUNT = {"Principal": {"AWS": f"arn:aws:iam::{OURS}:root"}}
ALLOW, DENY, NONE = (allow(),), (deny(),), ()

WITHIN = [
    # identity, bucket → reason: the union, unless something denies
    (NONE, NONE, Reason.NO_POLICY),
    (ALLOW, NONE, Reason.ALLOWED),
    (NONE, ALLOW, Reason.ALLOWED),
    (ALLOW, ALLOW, Reason.ALLOWED),
    (DENY, NONE, Reason.EXPLICIT_DENY),
    (DENY, ALLOW, Reason.EXPLICIT_DENY),
    (ALLOW, DENY, Reason.EXPLICIT_DENY),
    (NONE, DENY, Reason.EXPLICIT_DENY),
    ((allow(Action="s3:PutObject"),), NONE, Reason.NO_ALLOW),
    ((allow(Action="s3:PutObject"),), ALLOW, Reason.ALLOWED),
    ((allow(), deny(Action="s3:PutObject")), NONE, Reason.ALLOWED),
    ((allow(), deny(Resource="arn:aws:s3:::b/k")), NONE, Reason.EXPLICIT_DENY),
    (NONE, (allow(**arn(ALICE)),), Reason.ALLOWED),
    (NONE, (allow(Principal={"AWS": "alice"}),), Reason.ALLOWED),
    (NONE, (allow(Principal={"AWS": "ali*"}),), Reason.ALLOWED),
    (NONE, (allow(Principal={"AWS": "ali"}),), Reason.NO_POLICY),
    (NONE, (allow(**arn(BOB)),), Reason.NO_POLICY),
    (NONE, (allow(**ACCOUNT),), Reason.NO_POLICY),  # the account's name leaves it to the account's policies
    (ALLOW, (deny(**ACCOUNT),), Reason.EXPLICIT_DENY),
    (ALLOW, (deny(Principal={"CanonicalUser": OURS}),), Reason.EXPLICIT_DENY),
    (ALLOW, ({"NotPrincipal": {"AWS": ALICE.arn}, "Principal": None} | deny(),), Reason.ALLOWED),
    (ALLOW, ({"NotPrincipal": {"AWS": BOB.arn}, "Principal": None} | deny(),), Reason.EXPLICIT_DENY),
]


@pytest.mark.parametrize(("identity", "resource", "reason"), WITHIN)
def test_within_an_account_one_allow_suffices_and_a_deny_wins(
    identity: tuple[dict[str, Any], ...], resource: tuple[dict[str, Any], ...], reason: Reason
) -> None:
    """IAM user guide, "Policy evaluation logic"; A19: no policy, no access."""
    verdict = evaluate(ask(), policies(*identity), _bucket(resource))
    assert verdict.reason is reason
    assert bool(verdict) is (reason is Reason.ALLOWED)


def _bucket(statements: tuple[dict[str, Any], ...]) -> PolicySet:
    cleaned = [{"Principal": "*"} | item for item in statements]
    return policies(
        *({name: value for name, value in item.items() if value is not None} for item in cleaned), kind=Kind.BUCKET
    )


ACROSS = [
    # who, identity, bucket
    (BOB, NONE, NONE, Reason.NO_ALLOW),
    (BOB, ALLOW, NONE, Reason.NO_ALLOW_BUCKET),
    (BOB, NONE, (allow(**arn(BOB)),), Reason.NO_ALLOW_IDENTITY),
    (BOB, ALLOW, (allow(**arn(BOB)),), Reason.ALLOWED),
    (BOB, ALLOW, (allow(Principal={"AWS": f"arn:aws:iam::{THEIRS}:root"}),), Reason.ALLOWED),
    (BOB, ALLOW, (allow(Principal={"AWS": THEIRS}),), Reason.ALLOWED),
    (BOB, ALLOW, (allow(Principal={"CanonicalUser": THEIRS}),), Reason.ALLOWED),
    (BOB, ALLOW, (allow(),), Reason.ALLOWED),
    (BOB, NONE, (allow(),), Reason.NO_ALLOW_IDENTITY),
    (BOB, ALLOW, (allow(Principal={"AWS": "bob"}),), Reason.NO_ALLOW_BUCKET),  # a bare name is one of ours
    (BOB, DENY, (allow(),), Reason.EXPLICIT_DENY),
    (BOB, ALLOW, (allow(), deny(**arn(BOB))), Reason.EXPLICIT_DENY),
    (THEIR_ROOT, NONE, NONE, Reason.NO_ALLOW_BUCKET),
    (THEIR_ROOT, NONE, (allow(**arn(THEIR_ROOT)),), Reason.ALLOWED),
    (THEIR_ROOT, NONE, (allow(), deny()), Reason.EXPLICIT_DENY),
    (OPERATOR, NONE, DENY, Reason.ROOT),
    (ROOT, NONE, DENY, Reason.ROOT),
]


@pytest.mark.parametrize(("caller", "identity", "resource", "reason"), ACROSS)
def test_across_accounts_both_sides_must_allow(
    caller: Caller, identity: tuple[dict[str, Any], ...], resource: tuple[dict[str, Any], ...], reason: Reason
) -> None:
    """IAM user guide, "Cross-account policy evaluation logic"; root of an account rules its own account only."""
    assert evaluate(ask(caller), policies(*identity), _bucket(resource)).reason is reason


@pytest.mark.parametrize(
    ("caller", "account", "allowed"),
    [
        (OPERATOR, "", True),
        (OPERATOR, OURS, True),
        (ROOT, OURS, True),
        (ROOT, THEIRS, False),
        (ROOT, "", False),
        (ALICE, OURS, True),
        (ALICE, THEIRS, False),
        (ALICE, "", False),
        (ANONYMOUS, OURS, False),
        (ANONYMOUS, "", False),
    ],
)
def test_an_account_administers_itself_alone(caller: Caller, account: str, allowed: bool) -> None:
    """A02, A04: neither its root nor a user with admin:* reaches another account, or the server of all."""
    given = policies({"Effect": "Allow", "Action": "admin:*"}) if caller is ALICE else NO_POLICIES
    verdict = evaluate(Context("admin:CreateUser", "", caller, account), given)
    assert verdict.allowed is allowed
    if not allowed and caller is not ANONYMOUS:
        assert explain(verdict).grants == {}


@pytest.mark.parametrize(
    ("resource", "reason"),
    [
        (NONE, Reason.NO_POLICY),
        (ALLOW, Reason.ALLOWED),
        ((allow(), deny()), Reason.EXPLICIT_DENY),
        ((allow(Principal={"AWS": "bob"}),), Reason.NO_POLICY),
        ((allow(**ACCOUNT),), Reason.NO_POLICY),
        ((allow(Condition={"StringEquals": {"aws:username": "x"}}),), Reason.NO_POLICY),
        ((allow(Condition={"StringEquals": {"aws:principaltype": "Anonymous"}}),), Reason.ALLOWED),
        ((allow(Resource="arn:aws:s3:::b/${aws:username}*"),), Reason.NO_POLICY),
        ((allow(), deny(NotPrincipal={"AWS": ALICE.arn}, Principal=None)), Reason.EXPLICIT_DENY),
    ],
)
def test_anonymous_has_what_bucket_policies_give_everyone(resource: tuple[dict[str, Any], ...], reason: Reason) -> None:
    assert evaluate(ask(ANONYMOUS), NO_POLICIES, _bucket(resource)).reason is reason


SESSIONS = [
    # identity, bucket, session
    (ALLOW, NONE, ALLOW, Reason.ALLOWED),
    (ALLOW, NONE, NONE, Reason.NO_ALLOW_SESSION),
    (ALLOW, NONE, (allow(Action="s3:PutObject"),), Reason.NO_ALLOW_SESSION),
    (ALLOW, NONE, (allow(), deny(Action="s3:GetObject")), Reason.EXPLICIT_DENY),
    (NONE, NONE, ALLOW, Reason.NO_POLICY),
    (DENY, NONE, ALLOW, Reason.EXPLICIT_DENY),
    (NONE, ALLOW, ALLOW, Reason.ALLOWED),
    (NONE, ALLOW, (allow(Action="s3:PutObject"),), Reason.NO_ALLOW_SESSION),
]


@pytest.mark.parametrize(("identity", "resource", "session", "reason"), SESSIONS)
def test_a_session_policy_only_takes_away(
    identity: tuple[dict[str, Any], ...],
    resource: tuple[dict[str, Any], ...],
    session: tuple[dict[str, Any], ...],
    reason: Reason,
) -> None:
    """A01: child ⊆ parent."""
    limits = policies(*session, kind=Kind.SESSION)
    assert evaluate(ask(CHILD), policies(*identity), _bucket(resource), limits).reason is reason


def test_a_session_policy_binds_roots_service_account() -> None:
    limits = policies(allow(Action="s3:GetObject"), kind=Kind.SESSION)
    assert evaluate(ask(ROOT), session=limits).reason is Reason.ROOT
    assert evaluate(ask(ROOT, "s3:PutObject"), session=limits).reason is Reason.NO_ALLOW_SESSION
    assert evaluate(ask(ROOT, "admin:ServerInfo", ""), session=limits).reason is Reason.NO_ALLOW_SESSION


@pytest.mark.parametrize(
    ("identity", "session", "reason"),
    [
        ((deny(Action="s3:PutObject"),), None, Reason.NOT_FORBIDDEN),
        (ALLOW, None, Reason.NOT_FORBIDDEN),
        (({"Effect": "Deny", "Action": "admin:CreateServiceAccount"},), None, Reason.EXPLICIT_DENY),
        (({"Effect": "Allow", "Action": "admin:CreateServiceAccount"},), None, Reason.ALLOWED),
        (NONE, None, Reason.NO_POLICY),
        (ALLOW, ALLOW, Reason.NO_ALLOW_SESSION),
        (ALLOW, (deny(),), Reason.NO_ALLOW_SESSION),
        (ALLOW, NONE, Reason.NO_ALLOW_SESSION),
        (ALLOW, ({"Effect": "Allow", "Action": "admin:CreateServiceAccount"},), Reason.NOT_FORBIDDEN),
    ],
)
def test_what_needs_no_grant_still_needs_policies_and_the_sessions_leave(
    identity: tuple[dict[str, Any], ...], session: tuple[dict[str, Any], ...] | None, reason: Reason
) -> None:
    """A01 (a deny-only or restricted key makes no child), A19 (no policy, nothing)."""
    context = Context("admin:CreateServiceAccount", "", CHILD, OURS)
    limits = None if session is None else policies(*session, kind=Kind.SESSION)
    assert evaluate(context, policies(*identity), session=limits, deny_only=True).reason is reason


@pytest.mark.parametrize(
    ("statement", "action", "resource", "allowed"),
    [
        (allow(Action="S3:getobject"), "s3:GetObject", OBJECT, True),
        (allow(Action="s3:Get*"), "s3:GetObject", OBJECT, True),
        (allow(Action="s3:G?tObject"), "s3:GetObject", OBJECT, True),
        (allow(Action="s3:GetObject"), "s3:GetObjectVersion", OBJECT, False),  # A14
        (allow(Action="s3:GetObjectVersion"), "s3:GetObject", OBJECT, False),
        (allow(NotAction="s3:PutObject", Action=None), "s3:GetObject", OBJECT, True),
        (allow(NotAction="s3:Get*", Action=None), "s3:GetObject", OBJECT, False),
        (allow(NotResource="arn:aws:s3:::b/secret/*", Resource=None), "s3:GetObject", OBJECT, True),
        (allow(NotResource="arn:aws:s3:::b/*", Resource=None), "s3:GetObject", OBJECT, False),
        (allow(NotResource="arn:aws:s3:::b/${ldap:user}/*", Resource=None), "s3:GetObject", OBJECT, True),
        (allow(Resource="arn:aws:s3:::b/*"), "s3:ListBucket", BUCKET, True),  # MinIO's reading, identity policies
        (allow(Resource="arn:aws:s3:::b/k*"), "s3:ListBucket", BUCKET, False),
        (allow(Resource="arn:aws:s3:::b"), "s3:GetObject", OBJECT, False),
        (allow(Resource="arn:aws:s3:::b"), "s3:GetObject", "arn:aws:s3:::b1/k", False),  # A17
        (allow(Resource="arn:aws:s3:::b/*"), "s3:ListBucket", "arn:aws:s3:::b1", False),  # A17
        (allow(Resource="arn:aws:s3:::*"), "s3:ListAllMyBuckets", "", True),
        (allow(Resource="arn:aws:s3:::b/*"), "s3:ListAllMyBuckets", "", False),
        (allow(Resource="arn:aws:s3:::b/${aws:username}/*"), "s3:GetObject", "arn:aws:s3:::b/alice/x", True),
        (allow(Resource="arn:aws:s3:::b/${aws:username}/*"), "s3:GetObject", "arn:aws:s3:::b/alice2/x", False),
        ({"Effect": "Allow", "Action": "admin:*"}, "admin:ServerInfo", "", True),
        ({"Effect": "Allow", "Action": "admin:*"}, "s3:GetObject", OBJECT, False),
        ({"Effect": "Allow", "Action": "admin:*"}, "kms:KeyStatus", "arn:minio:kms:::k", False),
        (allow(Action="*", Resource=BUCKET), "admin:ServerInfo", "", False),
        (allow(Action="*", Resource="arn:aws:s3:::*"), "admin:ServerInfo", "", True),
        (allow(Action=None, NotAction="s3:X*", Resource="arn:aws:s3:::*"), "admin:ServerInfo", "", False),
        (allow(Action=None, NotAction="s3:Put*", Resource="*"), "admin:ServerInfo", "", True),
        (allow(Action="admin:ServerInfo", Resource=BUCKET), "admin:ServerInfo", "", True),
        (allow(Action="admin:SetBucketQuota", Resource=BUCKET), "admin:SetBucketQuota", BUCKET, True),
        (allow(Action="admin:SetBucketQuota", Resource=BUCKET), "admin:SetBucketQuota", "arn:aws:s3:::b2", False),
        (allow(Action="admin:SetBucketQuota", Resource="arn:aws:s3:::b/*"), "admin:SetBucketQuota", BUCKET, True),
        ({"Effect": "Allow", "Action": "admin:SetBucketQuota"}, "admin:SetBucketQuota", BUCKET, True),
        ({"Effect": "Allow", "Action": "kms:*"}, "kms:KeyStatus", "arn:minio:kms:::k", True),
        (allow(Action="kms:*", Resource="arn:minio:kms:::k*"), "kms:KeyStatus", "arn:minio:kms:::key", True),
        (allow(Action="kms:*", Resource="arn:minio:kms:::k*"), "kms:KeyStatus", "arn:minio:kms:::other", False),
        (allow(Action="kms:*", Resource="arn:minio:kms:::k*"), "kms:KeyStatus", "", True),
    ],
)
def test_a_statement_reaches_what_it_names(
    statement: dict[str, Any], action: str, resource: str, allowed: bool
) -> None:
    given = {name: value for name, value in statement.items() if value is not None}
    if given.get("NotAction") == "s3:X*":
        given["NotAction"] = "s3:PutObject"
    assert evaluate(ask(action=action, resource=resource), policies(given)).allowed is allowed


def test_a_bucket_policy_on_objects_leaves_the_bucket_alone() -> None:
    given = bucket(allow(Resource="arn:aws:s3:::b/*", Action="s3:*"))
    assert evaluate(ask(ANONYMOUS), NO_POLICIES, given).allowed
    assert not evaluate(ask(ANONYMOUS, "s3:ListBucket", BUCKET), NO_POLICIES, given).allowed


def test_documents_of_the_old_version_have_no_variables() -> None:
    given = allow(Resource="arn:aws:s3:::b/${aws:username}/*")
    context = ask(resource="arn:aws:s3:::b/alice/x")
    assert evaluate(context, policies(given)).allowed
    assert not evaluate(context, policies(given, version=OLD_VERSION)).allowed


@pytest.mark.parametrize(
    ("name", "action", "allowed"),
    [
        ("readonly", "s3:GetObject", True),
        ("readonly", "s3:ListBucket", False),
        ("writeonly", "s3:PutObject", True),
        ("writeonly", "s3:GetObject", False),
        ("readwrite", "s3:DeleteBucket", True),
        ("readwrite", "admin:ServerInfo", False),
        ("diagnostics", "admin:ServerInfo", True),
        ("diagnostics", "s3:GetObject", False),
        ("consoleAdmin", "admin:CreateUser", True),
        ("consoleAdmin", "kms:KeyStatus", True),
        ("consoleAdmin", "s3:PutObject", True),
    ],
)
def test_built_in_policies_allow_what_they_are_named_for(name: str, action: str, allowed: bool) -> None:
    given = PolicySet([builtin_policies()[name]])
    resource = OBJECT if action.startswith("s3:") else ""
    assert evaluate(ask(action=action, resource=resource), given).allowed is allowed


# -- why --------------------------------------------------------------------------------------------------


def test_the_deciding_statement_is_named() -> None:
    given = policies(
        allow(), deny(Sid="NoReading", Action="s3:GetObject", Condition={"Bool": {"aws:SecureTransport": False}})
    )
    verdict = evaluate(ask(aws__SecureTransport="false"), given)
    why = explain(verdict)
    assert why.reason is Reason.EXPLICIT_DENY
    assert why.statement is not None
    assert (why.statement.side, why.statement.policy, why.statement.index) == (Side.IDENTITY, "identity", 1)
    assert (why.statement.sid, why.statement.effect) == ("NoReading", "Deny")
    assert [(test.key, test.actual, test.held) for test in why.tests] == [("aws:SecureTransport", ("false",), True)]
    assert why.grants == {}


def test_a_failed_condition_is_told_with_what_was_expected_and_what_came() -> None:
    given = policies(
        allow(Action="s3:GetObject", Resource="arn:aws:s3:::other/*"),
        allow(Action="s3:PutObject"),
        allow(Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}, "StringEquals": {"jwt:sub": "x"}}),
    )
    why = explain(evaluate(ask(aws__SourceIp="192.0.2.1"), given))
    assert why.reason is Reason.NO_ALLOW
    assert [(missed.statement.index, missed.why) for missed in why.missed] == [(2, "condition"), (0, "resource")]
    assert [(test.key, test.operator, test.expected, test.actual) for test in why.missed[0].tests] == [
        ("aws:SourceIp", "IpAddress", ("10.0.0.0/8",), ("192.0.2.1",)),
        ("jwt:sub", "StringEquals", ("x",), None),
    ]


def test_a_principal_that_is_not_meant_is_told() -> None:
    why = explain(evaluate(ask(), NO_POLICIES, bucket(allow(Principal={"AWS": "carol"}))))
    assert [(missed.statement.side, missed.why) for missed in why.missed] == [(Side.BUCKET, "principal")]


DENIALS = [
    (ALICE, NONE, NONE, None),
    (ALICE, (allow(Resource="arn:aws:s3:::other"),), NONE, None),
    (ALICE, ALLOW, NONE, NONE),
    (ALICE, NONE, NONE, NONE),
    (ANONYMOUS, NONE, NONE, None),
    (BOB, NONE, NONE, None),
    (BOB, ALLOW, NONE, None),
    (BOB, NONE, ALLOW, None),
    (THEIR_ROOT, NONE, NONE, None),
]


@pytest.mark.parametrize(("caller", "identity", "resource", "session"), DENIALS)
@pytest.mark.parametrize("key", ["k", "a*b?${aws:username}/ü"])
def test_the_smallest_grant_allows_that_and_nothing_else(
    caller: Caller,
    identity: tuple[dict[str, Any], ...],
    resource: tuple[dict[str, Any], ...],
    session: tuple[dict[str, Any], ...] | None,
    key: str,
) -> None:
    context = ask(caller, resource=f"arn:aws:s3:::b/{key}")
    given = [policies(*identity), _bucket(resource), None if session is None else policies(*session)]
    verdict = evaluate(context, *given)
    assert not verdict.allowed
    for side, document in explain(verdict).grants.items():
        kind = Kind(side)
        added = compile_policy("grant", parse(json.dumps(document).encode(), kind, "b"), kind)
        at = list(Side).index(Side(side))
        given[at] = PolicySet([*(given[at] or NO_POLICIES).policies, added])
    assert evaluate(context, *given).allowed
    assert not evaluate(ask(caller, resource=f"arn:aws:s3:::b/{key}x"), *given).allowed or identity or resource


def test_the_smallest_grant_of_an_action_without_resource_names_none() -> None:
    grant = smallest_grant(Context("admin:ServerInfo", "", ALICE))
    assert grant["Statement"] == [{"Effect": "Allow", "Action": ["admin:ServerInfo"]}]


def test_a_request_can_know_which_values_are_asked_for() -> None:
    """A13: tags are loaded wherever a policy asks for them."""
    given = policies(
        allow(Action="s3:GetObject", Condition={"StringEquals": {"s3:ExistingObjectTag/class": "${jwt:sub}"}}),
        allow(Action="s3:ListBucket", Condition={"StringLike": {"s3:prefix": "x"}}),
    )
    assert keys_asked("s3:GetObject", given, NO_POLICIES, None) == {"s3:ExistingObjectTag/class", "jwt:sub"}
    assert keys_asked("s3:ListBucket", given) == {"s3:prefix"}
    assert keys_asked("s3:PutObject", given) == frozenset()
    tagged = ask(**{"s3__ExistingObjectTag/class": "me", "jwt__sub": "me"})
    assert evaluate(tagged, given).allowed
    assert not evaluate(ask(jwt__sub="me"), given).allowed


# -- what is remembered -----------------------------------------------------------------------------------


def test_answers_are_remembered_for_the_values_they_were_given_for() -> None:
    """Conditions alone decide between these statements: one set asked again and again says what a fresh one says."""
    statements = [
        allow(Condition={"StringEquals": {"aws:UserAgent": "${aws:username}"}}),
        allow(Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}, "Bool": {"aws:SecureTransport": "true"}}),
        allow(Condition={"StringNotEqualsIfExists": {"aws:Referer": "x"}, "Null": {"aws:UserAgent": "false"}}),
        allow(Effect="Deny", Condition={"StringLike": {"aws:Referer": "bad*"}}),
        allow(Effect="Deny", Condition={"NotIpAddress": {"aws:SourceIp": ["10.0.0.0/8", "192.0.2.0/24"]}}),
    ]
    warm = policies(*statements)
    dice = random.Random(1)
    choices: dict[str, list[str | None]] = {
        "aws__UserAgent": [None, "alice", "bob", "x"],
        "aws__SourceIp": [None, "10.1.1.1", "192.0.2.1", "203.0.113.1"],
        "aws__SecureTransport": ["true", "false"],
        "aws__Referer": [None, "x", "bad", "badly", "good"],
    }
    for _ in range(2000):
        given = {key: value for key, some in choices.items() if (value := dice.choice(some)) is not None}
        context = ask(dice.choice([ALICE, Caller(Type.USER, OURS, "bob", "bob")]), **given)
        assert evaluate(context, warm).allowed == evaluate(context, policies(*statements)).allowed, (context, given)
