"""Policies made for speed: statements by action, and resources by literal prefix.

For each action that is asked, a set keeps the statements that name it, those that deny apart from those that allow, each
under the literal prefixes of its resources. Deciding is then a few look-ups in a dictionary, one for each distinct
length of prefix, and a match only where a pattern has more than a prefix.

Which resource a statement is held against:

1. ``s3:`` actions: its Resource or NotResource. In identity and session policies a pattern ``X/*`` also covers the
   bucket ``X`` itself, as MinIO has it; in bucket policies only objects, as AWS has it.
2. ``admin:`` and ``sts:`` actions named as such: none; but actions upon one bucket (quota, targets, bucket metadata) are
   held against the statement's Resource where both exist.
3. ``kms:`` actions: the statement's Resource where both exist.
4. ``Action: *`` and ``NotAction`` reach ``admin:``, ``sts:`` and ``kms:`` actions only through a Resource that is
   everything, so that a grant on one bucket never administers the server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from .actions import Level, action_pattern, level_of, namespace_of
from .conditions import Check, compile_condition, keys_of
from .document import ALL_S3, OLD_VERSION, Document, Kind, Principal, Statement
from .match import Lookup, Pattern, compile_pattern

ANSWERS_MAX = 64
"""Values of condition keys for which a place remembers its answer."""

ACTIONS_MAX = 512
"""Actions for which a set keeps its statements; there are about 200."""


class Policy:
    """One compiled document with the name it is known by."""

    __slots__ = ("document", "kind", "name", "statements")

    def __init__(self, name: str, document: Document, kind: Kind) -> None:
        self.name = name
        self.document = document
        self.kind = kind
        self.statements = tuple(
            CompiledStatement(name, index, statement, kind, document.version != OLD_VERSION)
            for index, statement in enumerate(document.statements)
        )


class CompiledStatement:
    """:param index: position in its document, from 0
    :param checks: its conditions
    :param holds: whether all of them hold
    """

    __slots__ = (
        "_actions",
        "_asked",
        "_not_actions",
        "checks",
        "denies",
        "everything",
        "holds",
        "index",
        "kind",
        "not_principals",
        "not_resources",
        "policy",
        "principals",
        "resources",
        "source",
    )

    def __init__(self, policy: str, index: int, source: Statement, kind: Kind, variables: bool) -> None:
        self.policy = policy
        self.index = index
        self.source = source
        self.kind = kind
        self.denies = source.effect == "Deny"
        self._actions = tuple(map(action_pattern, source.actions))
        self._not_actions = tuple(map(action_pattern, source.not_actions))
        self.resources = _resources(source.resources, kind, variables)
        self.not_resources = _resources(source.not_resources, kind, variables)
        self.everything = "*" in source.resources or (bool(source.actions) and f"{ALL_S3}*" in source.resources)
        self.principals = _principals(source.principals)
        self.not_principals = _principals(source.not_principals)
        self.checks: tuple[Check, ...] = tuple(compile_condition(item, variables) for item in source.conditions)
        self.holds = _all_hold(self.checks)
        self._asked: frozenset[str] | None = None

    def names_action(self, action: str) -> bool:
        """:param action: in lower case"""
        if self._not_actions:
            return not any(pattern.match(action, _no_values) for pattern in self._not_actions)
        return any(pattern.match(action, _no_values) for pattern in self._actions)

    def names_space(self, action: str) -> bool:
        """Whether the action is named by a pattern for its own name space, not by one that reaches over all."""
        space = namespace_of(action) + ":"
        return any(pattern.prefix.startswith(space) and pattern.match(action, _no_values) for pattern in self._actions)

    def covers(self, resource: str, lookup: Lookup) -> bool:
        """Whether its Resource or NotResource is about the resource."""
        if self.not_resources:
            return not any(pattern.match(resource, lookup) for pattern in self.not_resources)
        return any(pattern.match(resource, lookup) for pattern in self.resources)

    def asks(self) -> frozenset[str]:
        """The condition keys that deciding about it asks for."""
        if self._asked is None:
            asked = {key for check in self.checks for key in keys_of(check)}
            self._asked = frozenset(asked.union(*(pattern.keys for pattern in (*self.resources, *self.not_resources))))
        return self._asked


def _all_hold(checks: tuple[Check, ...]) -> Callable[[Lookup], bool]:
    if len(checks) == 1:
        return checks[0].holds
    tests = tuple(check.holds for check in checks)

    def holds(lookup: Lookup) -> bool:
        for test in tests:  # noqa: SIM110 - a generator costs twice the time here
            if not test(lookup):
                return False
        return True

    return holds


def _no_values(key: str) -> None:
    return None


def _resources(texts: tuple[str, ...], kind: Kind, variables: bool) -> tuple[Pattern, ...]:
    listed = list(texts)
    if kind is not Kind.BUCKET:
        listed += [text[:-2] for text in texts if text.endswith("/*") and "/" not in text[:-2]]
    return tuple(compile_pattern(text, variables=variables) for text in listed)


def is_free(statement: CompiledStatement, action: str) -> bool | None:
    """Whether a statement that names the action applies to any resource; None when it cannot be about this action at
    all. The rules are numbered in the module's text.
    """
    space = namespace_of(action)
    if space == "s3":
        return False
    if not statement.names_space(action):
        return True if statement.everything else None
    listed = statement.resources or statement.not_resources
    return not listed or (space != "kms" and level_of(action) is not Level.BUCKET)


class Entry(NamedTuple):
    """A statement at one of its resources.

    :param pattern: what the resource must match; None where its place in the index says it all
    :param needle: what the resource must contain for that: a test at a tenth of the cost
    :param excludes: it has NotResource, which must not cover the resource
    :param holds: its conditions; None where it has none
    """

    statement: CompiledStatement
    pattern: Pattern | None
    needle: str
    excludes: bool
    holds: Callable[[Lookup], bool] | None


def _entry(statement: CompiledStatement, pattern: Pattern | None = None, excludes: bool = False) -> Entry:
    holds = statement.holds if statement.checks else None
    return Entry(statement, pattern, pattern.needle if pattern else "", excludes, holds)


class Place(list[Entry]):
    """Entries that stand at one place of an index.

    Where nothing but conditions decides among many of them, the answer is remembered for the values that they asked for:
    those of one caller hardly change from request to request.
    """

    __slots__ = ("_answers", "_asked")

    def __init__(self) -> None:
        super().__init__()
        self._answers: dict[tuple[tuple[str, ...] | None, ...], CompiledStatement | None] = {}
        self._asked: tuple[str, ...] = ()

    def seal(self) -> None:
        """To be called when all are added."""
        if len(self) > 1 and all(pattern is None and not excludes and holds for _, pattern, _, excludes, holds in self):
            self._asked = tuple({key for entry in self for key in entry.statement.asks()})

    def find(self, resource: str, lookup: Lookup) -> CompiledStatement | None:
        """The first statement that covers the resource and whose conditions hold."""
        if not self._asked:
            return self._first(resource, lookup)
        values = tuple(map(lookup, self._asked))
        if values in self._answers:
            return self._answers[values]
        if len(self._answers) >= ANSWERS_MAX:
            self._answers.clear()
        found = self._answers[values] = self._first(resource, lookup)
        return found

    def _first(self, resource: str, lookup: Lookup) -> CompiledStatement | None:
        for statement, pattern, needle, excludes, holds in self:
            if needle not in resource:
                continue
            if pattern is not None and not pattern.match(resource, lookup):
                continue
            if excludes and not statement.covers(resource, lookup):
                continue
            if holds is None or holds(lookup):
                return statement
        return None


class ByResource:
    """The statements of one effect that name one action."""

    __slots__ = ("_all", "_anywhere", "_exact", "_lengths", "_prefixes")

    def __init__(self) -> None:
        self._all = Place()
        self._anywhere = Place()
        self._exact: dict[str, Place] = {}
        self._prefixes: dict[str, Place] = {}
        self._lengths: tuple[int, ...] = ()

    def add(self, statement: CompiledStatement, free: bool) -> None:
        """:param free: it applies to any resource"""
        self._all.append(_entry(statement))
        if free or statement.not_resources:
            self._anywhere.append(_entry(statement, excludes=not free))
            return
        for pattern in statement.resources:
            glob = pattern.glob
            if glob is not None and glob.exact is not None:
                self._exact.setdefault(glob.exact, Place()).append(_entry(statement))
                continue
            rest = None if glob is not None and glob.is_prefix else pattern
            self._prefixes.setdefault(pattern.prefix, Place()).append(_entry(statement, rest))

    def seal(self) -> None:
        """To be called when all are added."""
        self._lengths = tuple(sorted(set(map(len, self._prefixes))))
        for place in (self._all, self._anywhere, *self._exact.values(), *self._prefixes.values()):
            place.seal()

    def candidates(self, resource: str) -> list[Place]:
        """Lists of entries among which are all that cover the resource; every statement when it is empty."""
        if not resource:
            return [self._all]
        found = [self._anywhere] if self._anywhere else []
        exact = self._exact.get(resource)
        if exact is not None:
            found.append(exact)
        size = len(resource)
        prefixes = self._prefixes
        for length in self._lengths:
            if length > size:
                break
            entries = prefixes.get(resource[:length])
            if entries is not None:
                found.append(entries)
        return found


class Plan:
    """What a set of policies says of one action.

    :param keys: the condition keys that its statements ask for
    """

    __slots__ = ("allow", "deny", "keys", "statements")

    def __init__(self, statements: Iterable[CompiledStatement], action: str) -> None:
        self.allow = ByResource()
        self.deny = ByResource()
        self.statements: list[CompiledStatement] = []
        for statement in statements:
            free = is_free(statement, action) if statement.names_action(action) else None
            if free is not None:
                self.statements.append(statement)
                (self.deny if statement.denies else self.allow).add(statement, free)
        self.allow.seal()
        self.deny.seal()
        self.keys = frozenset(key for statement in self.statements for key in statement.asks())


class PolicySet:
    """Policies that are evaluated as one: all of an identity, one bucket's, or one session's.

    Immutable but for its memory of actions, which any thread may fill.
    """

    __slots__ = ("_plans", "policies")

    def __init__(self, policies: Iterable[Policy] = ()) -> None:
        self.policies = tuple(policies)
        self._plans: dict[str, Plan] = {}

    def __bool__(self) -> bool:
        return bool(self.policies)

    def plan(self, action: str) -> Plan:
        plan = self._plans.get(action)
        if plan is None:
            if len(self._plans) >= ACTIONS_MAX:
                self._plans.clear()
            statements = (statement for policy in self.policies for statement in policy.statements)
            plan = self._plans[action] = Plan(statements, action.lower())
        return plan


NO_POLICIES = PolicySet()


def compile_policy(name: str, document: Document, kind: Kind) -> Policy:
    """:raises MalformedPolicy: a condition that cannot be compiled; never for a document that ``parse`` accepted"""
    return Policy(name, document, kind)


class Names(NamedTuple):
    """What a caller can be called in a Principal.

    :param own: its ARNs
    :param account: the ids and the ARN of its account
    :param bare: its names without account; empty where the bucket is another account's, whose users may have the same
    """

    own: frozenset[str]
    account: frozenset[str]
    bare: tuple[str, ...]


def speaks_of(statement: CompiledStatement, who: Names) -> int:
    """How a bucket policy's statement names a caller: 0 not at all, 1 by its account only, 2 itself or everyone."""
    if statement.not_principals:
        return 0 if any(_named(item, who) for item in statement.not_principals) else 2
    return max((_named(item, who) for item in statement.principals), default=0)


def _named(principal: NamedPrincipal, who: Names) -> int:
    value, pattern = principal
    if value == "*" or value in who.own:
        return 2
    if value in who.account:
        return 1
    return 2 if pattern is not None and any(pattern.match(name, _no_values) for name in who.bare) else 0


NamedPrincipal = tuple[str, Pattern | None]


def _principals(listed: tuple[Principal, ...]) -> tuple[NamedPrincipal, ...]:
    """Values, with a pattern for bare names, in which MinIO allows wildcards."""
    return tuple(
        (item.value, None if item.value.startswith("arn:") else compile_pattern(item.value, variables=False))
        for item in listed
    )
