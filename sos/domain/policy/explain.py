"""Why a verdict fell as it did, and the smallest grant that would turn it. For the operator, never for the one denied."""

from __future__ import annotations

from typing import Any

import msgspec

from .actions import namespace_of
from .compiled import CompiledStatement, Plan, PolicySet, speaks_of
from .document import VERSION
from .evaluate import Context, Question, Reason, Side, Type, Verdict, is_foreign, names_of, resource_of
from .match import escape

MISSED_MAX = 20
"""Statements that are reported as having come near."""


class Reference(msgspec.Struct, frozen=True):
    """A statement. :param index: its position in the document, from 0"""

    side: Side
    policy: str
    index: int
    sid: str
    effect: str


class Finding(msgspec.Struct, frozen=True):
    """A condition as it was found.

    :param expected: the policy's values, variables as written
    :param actual: the request's values; None when it has none
    """

    key: str
    operator: str
    expected: tuple[str, ...]
    actual: tuple[str, ...] | None
    held: bool


class Missed(msgspec.Struct, frozen=True):
    """A statement that names the action and yet did not apply.

    :param why: ``condition``, ``resource`` or ``principal``
    :param tests: the conditions that failed
    """

    statement: Reference
    why: str
    tests: tuple[Finding, ...] = ()


class Explanation(msgspec.Struct, frozen=True):
    """:param statement: the deciding one, None where absence or root decided
    :param tests: its conditions
    :param missed: allows that came near, those that failed by a condition first
    :param grants: side → document; all of them together would allow it. Empty where no grant helps: a Deny
        decided, its account is disabled, or it is another account's to administer
    """

    allowed: bool
    reason: Reason
    statement: Reference | None
    tests: tuple[Finding, ...]
    missed: tuple[Missed, ...]
    grants: dict[str, dict[str, Any]]


def explain(verdict: Verdict) -> Explanation:
    """Work out why; costs more than the verdict did."""
    statement, context = verdict.statement, verdict.question.context
    tests = _tests(statement, context) if statement else ()
    reference = reference_of(verdict)
    missed = () if verdict.allowed else _missed(verdict)
    return Explanation(verdict.allowed, verdict.reason, reference, tests, missed, _grants(verdict))


def reference_of(verdict: Verdict) -> Reference | None:
    """The statement that decided, None where absence or root did."""
    return _reference(verdict.statement, verdict.side) if verdict.statement and verdict.side else None


def _reference(statement: CompiledStatement, side: Side) -> Reference:
    source = statement.source
    return Reference(side, statement.policy, statement.index, source.sid, source.effect)


def _tests(statement: CompiledStatement, context: Context) -> tuple[Finding, ...]:
    lookup = context.lookup
    return tuple(
        Finding(
            check.condition.key,
            check.condition.operator,
            check.condition.values,
            lookup(check.key),
            check.holds(lookup),
        )
        for check in statement.checks
    )


def _missed(verdict: Verdict) -> tuple[Missed, ...]:
    if verdict.reason in (Reason.EXPLICIT_DENY, Reason.ACCOUNT_DISABLED):
        return ()
    question = verdict.question
    found = [
        missed
        for side, policies in _sides(question)
        for statement in policies.plan(question.context.action).statements
        if not statement.denies and (missed := _near(statement, side, question)) is not None
    ]
    order = ("condition", "principal", "resource")
    return tuple(sorted(found, key=lambda missed: order.index(missed.why))[:MISSED_MAX])


def _sides(question: Question) -> list[tuple[Side, PolicySet]]:
    sides = [(Side.IDENTITY, question.identity), (Side.BUCKET, question.bucket)]
    return sides + ([(Side.SESSION, question.session)] if question.session is not None else [])


def _near(statement: CompiledStatement, side: Side, question: Question) -> Missed | None:
    """None for a statement that does apply."""
    context = question.context
    reference = _reference(statement, side)
    if not covers(statement, context):
        return Missed(reference, "resource")
    if side is Side.BUCKET and not speaks_of(statement, names_of(context.caller, context.account)):
        return Missed(reference, "principal")
    failed = tuple(test for test in _tests(statement, context) if not test.held)
    return Missed(reference, "condition", failed) if failed else None


def covers(statement: CompiledStatement, context: Context) -> bool:
    """Whether a statement, which names the action, is about the resource."""
    plan = Plan((statement,), context.action.lower())
    resource = resource_of(context)
    lookup = context.lookup
    lists = (plan.deny if statement.denies else plan.allow).candidates(resource)
    return any(
        (pattern is None or pattern.match(resource, lookup)) and (not excludes or statement.covers(resource, lookup))
        for entries in lists
        for _, pattern, _, excludes, _ in entries
    )


def _grants(verdict: Verdict) -> dict[str, dict[str, Any]]:
    context = verdict.question.context
    sides: dict[Reason, tuple[Side, ...]] = {
        Reason.NO_POLICY: (Side.IDENTITY,),
        Reason.NO_ALLOW: (Side.IDENTITY,),
        Reason.NO_ALLOW_IDENTITY: (Side.IDENTITY,),
        Reason.NO_ALLOW_BUCKET: (Side.BUCKET,),
        Reason.NO_ALLOW_SESSION: (Side.SESSION,),
    }
    if verdict.reason is not Reason.NO_ALLOW_SESSION and is_foreign(context) and namespace_of(context.action) != "s3":
        return {}
    needed = sides.get(verdict.reason, ())
    if needed == (Side.IDENTITY,):
        needed = _identity_or_bucket(verdict.reason, context)
    session = verdict.question.session
    if needed and Side.SESSION not in needed and session is not None and not _session_allows(verdict.question):
        needed = (*needed, Side.SESSION)
    return {side.value: smallest_grant(context, side) for side in needed}


def _identity_or_bucket(reason: Reason, context: Context) -> tuple[Side, ...]:
    if context.caller.type is Type.ANONYMOUS:
        return (Side.BUCKET,)
    both = is_foreign(context) and reason is Reason.NO_ALLOW
    return (Side.IDENTITY, Side.BUCKET) if both else (Side.IDENTITY,)


def _session_allows(question: Question) -> bool:
    if question.session is None:
        return True
    context = question.context
    return any(
        not statement.denies and covers(statement, context) and statement.holds(context.lookup)
        for statement in question.session.plan(context.action).statements
    )


def smallest_grant(context: Context, side: Side = Side.IDENTITY) -> dict[str, Any]:
    """A document that allows just this action on just this resource (and, of a bucket, to just this caller)."""
    statement: dict[str, Any] = {"Effect": "Allow"}
    if side is Side.BUCKET:
        statement["Principal"] = {"AWS": [context.caller.arn or "*"]}
    statement["Action"] = [context.action]
    if context.resource:
        statement["Resource"] = [escape(context.resource)]
    elif namespace_of(context.action) == "s3":
        statement["Resource"] = ["arn:aws:s3:::*"]
    return {"Version": VERSION, "Statement": [statement]}
