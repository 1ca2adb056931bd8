"""One identity as decisions see it: all that its rows say, put together once and then only looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ...domain.policy.compiled import NO_POLICIES, PolicySet
from ...domain.policy.evaluate import ANONYMOUS as NOBODY
from ...domain.policy.evaluate import Caller, Type
from ...meta.iam import ROOT_ACCOUNT, KeyKind
from .access_keys import ClaimValue, Parent

Facts = dict[str, tuple[str, ...]]
"""Canonical condition key → values."""


@dataclass(frozen=True, slots=True, eq=False)
class Principal:
    """Who asks.

    :param caller: names and kind, as policies see them
    :param kind: of the key, None for anonymous and the deployment's root
    :param user: the user, or the user whose child this is; empty for a root of an account, its children and anonymous
    :param policies: of the user and its groups
    :param sessions: session policies; each of them must allow too
    :param facts: condition values that an external provider vouched for: ``jwt:…``, ``ldap:…``
    :param policy_names: what counts for it, for those who ask
    :param origin: what a key that it makes for itself belongs to
    """

    caller: Caller = NOBODY
    kind: KeyKind | None = None
    user: str = ""
    policies: PolicySet = NO_POLICIES
    sessions: tuple[PolicySet, ...] = ()
    facts: Facts = field(default_factory=dict)
    policy_names: tuple[str, ...] = ()
    origin: Parent | None = None

    @property
    def access_key(self) -> str:
        """Empty for anonymous."""
        return self.caller.access_key

    @property
    def account(self) -> str:
        """12 digits; empty for anonymous."""
        return self.caller.account

    @property
    def anonymous(self) -> bool:
        return self.caller.type is Type.ANONYMOUS

    @property
    def root(self) -> bool:
        """The deployment's root, or a child of it; a session policy may bind it all the same."""
        return self.caller.deployment

    @property
    def owner(self) -> bool:
        """Root of its account, or a child of one."""
        return self.caller.type is Type.ROOT

    @property
    def child(self) -> bool:
        """A service account or temporary credentials."""
        return self.kind in (KeyKind.SERVICE, KeyKind.TEMPORARY)


ANONYMOUS = Principal()


def facts_of(claims: Mapping[str, ClaimValue]) -> Facts:
    """What a provider vouched for, as values of condition keys."""
    return {claim: tuple(value) if isinstance(value, list) else (str(value),) for claim, value in claims.items()}


def root_principal(access_key: str) -> Principal:
    """The deployment's root."""
    caller = Caller(Type.ROOT, ROOT_ACCOUNT, access_key, access_key, deployment=True)
    return Principal(caller, origin=Parent(ROOT_ACCOUNT, ""))
