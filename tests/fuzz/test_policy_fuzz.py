"""Random documents and questions: no crash, and the laws that hold for every policy."""

from __future__ import annotations

import fnmatch
import json
import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sos.domain.errors import StoreError
from sos.domain.policy.actions import ACTIONS
from sos.domain.policy.compiled import NO_POLICIES, PolicySet, compile_policy, is_free
from sos.domain.policy.conditions import OPERATORS, compile_condition
from sos.domain.policy.document import VERSION, Condition, Kind, parse, to_json
from sos.domain.policy.evaluate import ANONYMOUS, Caller, Context, Reason, Type, evaluate
from sos.domain.policy.explain import explain
from sos.domain.policy.keys import ALL
from sos.domain.policy.match import compile_pattern, escape

ACTION = st.sampled_from(["s3:GetObject", "s3:PutObject", "s3:ListBucket", "s3:*", "s3:Get*", "*", "s3:?etObject"])
RESOURCE = st.sampled_from(
    [
        "*",
        "arn:aws:s3:::*",
        "arn:aws:s3:::b",
        "arn:aws:s3:::b/*",
        "arn:aws:s3:::b/x*y",
        "arn:aws:s3:::b/${aws:username}/*",
    ]
)
CONDITION = st.dictionaries(
    st.sampled_from(
        [
            "StringEquals",
            "StringNotEquals",
            "StringLikeIfExists",
            "ForAllValues:StringNotLike",
            "ForAnyValue:StringLike",
        ]
    ),
    st.dictionaries(
        st.sampled_from(["aws:username", "aws:Referer", "jwt:groups", "aws:UserAgent"]),
        st.lists(st.sampled_from(["a", "b", "*", "", "${aws:username}"]), min_size=1, max_size=2),
        min_size=1,
        max_size=2,
    ),
    min_size=1,
    max_size=2,
)


@st.composite
def statements(draw: st.DrawFn, effect: str = "", principal: bool = False) -> dict[str, Any]:
    made: dict[str, Any] = {"Effect": effect or draw(st.sampled_from(["Allow", "Deny"]))}
    # actions of one name space each: a mixture is refused
    spanning = draw(st.booleans())
    made[draw(st.sampled_from(["Action", "NotAction"]))] = (
        "*" if spanning else draw(st.lists(ACTION.filter(lambda action: action != "*"), min_size=1, max_size=2))
    )
    made["Resource" if principal else draw(st.sampled_from(["Resource", "NotResource"]))] = draw(
        st.lists(RESOURCE.filter(lambda arn: not principal or "b" in arn), min_size=1, max_size=2)
    )
    if draw(st.booleans()) and "NotAction" in made:
        made["Condition"] = draw(CONDITION)
    if principal:
        made["Principal"] = draw(st.sampled_from(["*", {"AWS": ["a"]}, {"AWS": "arn:aws:iam::x:user/a"}]))
    return made


CALLER = st.sampled_from(
    [ANONYMOUS, Caller(Type.USER, "x", "a", "a"), Caller(Type.USER, "y", "b", "b"), Caller(Type.ROOT, "y", "r", "r")]
)
CONTEXT = st.builds(
    Context,
    st.sampled_from(["s3:GetObject", "s3:PutObject", "s3:ListBucket", "admin:ServerInfo", "kms:KeyStatus"]),
    st.sampled_from(["", "arn:aws:s3:::b", "arn:aws:s3:::b/xzy", "arn:aws:s3:::b/a/1", "arn:aws:s3:::bb/xzy"]),
    CALLER,
    st.just("x"),
    st.dictionaries(
        st.sampled_from(["aws:Referer", "jwt:groups", "aws:UserAgent"]),
        st.lists(st.sampled_from(["a", "b", ""]), max_size=2).map(tuple),
    ),
)


def compiled(listed: list[dict[str, Any]], kind: Kind) -> PolicySet:
    if not listed:
        return NO_POLICIES
    try:
        document = parse(json.dumps({"Version": VERSION, "Statement": listed}).encode(), kind, "b")
    except StoreError:
        return NO_POLICIES
    return PolicySet([compile_policy("p", document, kind)])


def plus(policies: PolicySet, more: PolicySet) -> PolicySet:
    return PolicySet((*policies.policies, *more.policies))


@settings(max_examples=300, deadline=None)
@given(
    CONTEXT,
    st.lists(statements(), max_size=4),
    st.lists(statements(principal=True), max_size=3),
    statements(),
    st.booleans(),
)
def test_a_deny_never_allows_and_an_allow_never_denies(
    context: Context, own: list[dict[str, Any]], theirs: list[dict[str, Any]], more: dict[str, Any], limited: bool
) -> None:
    """Monotony, for identity and session policies alike; explaining never fails and agrees with the verdict."""
    identity, bucket = compiled(own, Kind.IDENTITY), compiled(theirs, Kind.BUCKET)
    session = compiled(own[:1], Kind.SESSION) if limited else None
    before = evaluate(context, identity, bucket, session)
    added = compiled([more], Kind.IDENTITY)
    for after in (
        evaluate(context, plus(identity, added), bucket, session),
        evaluate(context, identity, bucket, plus(session, added) if session is not None else None),
    ):
        if more["Effect"] == "Deny":
            assert before.allowed or not after.allowed
        else:
            assert after.allowed or not before.allowed
    assert explain(before).allowed is before.allowed


def plainly(policies: PolicySet, context: Context, denies: bool) -> bool:
    """Whether some statement of an effect applies, found without any index."""
    resource = context.resource or ("" if context.action.startswith("kms:") else "arn:aws:s3:::")
    for policy in policies.policies:
        for one in policy.statements:
            free = is_free(one, context.action.lower()) if one.names_action(context.action.lower()) else None
            if free is None or one.denies is not denies or not one.holds(context.lookup):
                continue
            if free or not resource or one.covers(resource, context.lookup):
                return True
    return False


@settings(max_examples=400, deadline=None)
@given(CONTEXT, st.lists(statements(), max_size=5))
def test_the_index_finds_what_a_plain_search_finds(context: Context, own: list[dict[str, Any]]) -> None:
    identity = compiled(own, Kind.IDENTITY)
    if context.caller.type is Type.USER and context.caller.account == "x":
        wanted = plainly(identity, context, denies=False) and not plainly(identity, context, denies=True)
        assert evaluate(context, identity).allowed is wanted


@settings(max_examples=200, deadline=None)
@given(CONTEXT, st.lists(statements(), max_size=4), st.lists(statements(principal=True), max_size=3))
def test_order_does_not_matter_and_a_session_policy_never_adds(
    context: Context, own: list[dict[str, Any]], theirs: list[dict[str, Any]]
) -> None:
    identity, bucket = compiled(own, Kind.IDENTITY), compiled(theirs, Kind.BUCKET)
    verdict = evaluate(context, identity, bucket)
    backwards = compiled(own[::-1], Kind.IDENTITY), compiled(theirs[::-1], Kind.BUCKET)
    assert evaluate(context, *backwards).allowed is verdict.allowed
    assert verdict.allowed or not evaluate(context, identity, bucket, identity)
    if verdict.reason is Reason.ALLOWED and verdict.statement is not None:
        assert not verdict.statement.denies


@settings(max_examples=300, deadline=None)
@given(st.text("ab*?/$", max_size=12), st.text("ab/$*", max_size=14))
def test_wildcards_agree_with_a_regular_expression(pattern: str, text: str) -> None:
    wanted = re.compile(fnmatch.translate(pattern.replace("[", "[[]"))).match(text) is not None
    assert compile_pattern(pattern).match(text, lambda key: None) is wanted
    assert compile_pattern(escape(text)).match(text, lambda key: None)


MEMBER = st.sampled_from(
    ["Version", "Statement", "Effect", "Action", "Resource", "Principal", "Condition", "Sid", "AWS", "x"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["Allow", VERSION, "s3:*", "*"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(MEMBER, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(JSON | st.dictionaries(MEMBER, JSON, max_size=6), st.sampled_from(Kind))
def test_any_json_is_read_or_refused(value: Any, kind: Kind) -> None:
    for given_ in (value, {"Version": VERSION, "Statement": [value]}):
        try:
            document = parse(json.dumps(given_).encode(), kind, "b")
        except StoreError:
            continue
        assert parse(to_json(document), kind, "b") == document


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80), st.sampled_from(Kind))
def test_any_bytes_are_read_or_refused(raw: bytes, kind: Kind) -> None:
    try:
        parse(raw, kind, "b")
    except StoreError:
        return


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(["", "ForAllValues:", "ForAnyValue:"]),
    st.sampled_from(OPERATORS),
    st.sampled_from(["", "IfExists"]),
    st.sampled_from(sorted(ALL)),
    st.lists(
        st.text(max_size=12) | st.sampled_from(["1", "true", "10.0.0.0/8", "2024-01-01", "arn:a:b:c:d:e"]),
        min_size=1,
        max_size=2,
    ),
    st.none() | st.lists(st.text(max_size=12) | st.sampled_from(["1e999999", "9" * 70, "::1%x", "true"]), max_size=3),
)
def test_any_condition_is_decided_or_refused(
    qualifier: str, operator: str, suffix: str, key: str, wanted: list[str], values: list[str] | None
) -> None:
    try:
        check = compile_condition(Condition(qualifier + operator + suffix, key, tuple(wanted)))
    except StoreError:
        return
    lookup = {} if values is None else {key: tuple(values)}
    assert check.holds(lookup.get) in (True, False)


@settings(max_examples=100, deadline=None)
@given(CALLER, st.sampled_from(sorted(ACTIONS)), st.text(max_size=10))
def test_without_policies_nobody_but_root_may_anything(caller: Caller, action: str, key: str) -> None:
    """A19."""
    verdict = evaluate(Context(action, f"arn:aws:s3:::b/{key}", caller, "x"))
    assert not verdict.allowed
