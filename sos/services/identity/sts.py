"""Temporary credentials for who can prove to be somebody: by a signature, a provider's token, a certificate.

Invariants:

T1  Temporary credentials can do at most what their parent, or the policies of their role, can; a session policy only
    takes away.
T2  They end at the time asked for, or before: when the proof ends.
T3  A key that belongs to somebody (a service account, temporary credentials) makes no further ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from ...domain.errors import (
    InvalidArgument,
    MalformedPolicy,
    NoSuchUser,
    PolicyTooLarge,
    SessionPolicyTooLarge,
    TooManyAccessKeys,
)
from ...domain.policy.compiled import PolicySet
from ...domain.policy.document import Kind, parse
from ...domain.policy.evaluate import Caller, Context, Type, evaluate
from ...meta.iam import ROOT_ACCOUNT, KeyKind
from . import arns, rules
from .access_keys import ClaimValue, Issued, Parent
from .certificates import read_certificate
from .identity import Identity
from .openid import OpenId
from .openid_tokens import parent_name, values_of, vouched
from .plugin import IdentityPlugin
from .policies import ATTACHED_MAX
from .principal import Principal, facts_of
from .sts_errors import Denied, Disabled, ExpiredToken, InvalidParameter, LimitReached, MissingParameter, NotAllowed

NS_PER_S = 10**9
WEB_IDENTITY = "sts:AssumeRoleWithWebIdentity"

Values = Callable[[str], "tuple[str, ...] | None"]
"""Canonical condition key → the request's values; asked only for keys that some policy asks for."""


def nothing(key: str) -> None:
    """What a request without any circumstances says."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for.

    :param duration: seconds as text, empty for the default
    :param policy: JSON of a session policy, empty for none
    :param revoke_type: by which they can be revoked
    """

    duration: str = ""
    policy: bytes = b""
    revoke_type: str = ""


@dataclass(frozen=True, slots=True)
class Federated:
    """Credentials for a user of a provider.

    :param subject: who that is there
    """

    issued: Issued
    subject: str


class Sts:
    """:param duration_s: 0; or what every session lasts, whatever is asked for
    :param certificates: whether they are asked for
    """

    def __init__(
        self,
        identity: Identity,
        openid: OpenId,
        plugin: IdentityPlugin,
        certificates: Callable[[], bool],
        duration_s: Callable[[], int] = lambda: 0,
    ) -> None:
        self._identity = identity
        self.openid = openid
        self._plugin = plugin
        self._certificates = certificates
        self._duration_s = duration_s

    # -- ways of proving -------------------------------------------------------------------------------

    async def assume_role(self, who: Principal, wanted: Wanted, values: Values = nothing) -> Issued:
        """For a user, or the root of an account, whose signature was verified.

        :param values: what the request says
        :raises NotAllowed, InvalidParameter
        """
        if who.anonymous or who.child or who.origin is None:  # T3
            raise NotAllowed("Access Denied.")
        seconds = self.duration(wanted)
        _require(who, "sts:AssumeRole", seconds, values)
        return await self.issue(who.origin, wanted, seconds)

    async def web_identity(
        self, token: str, access_token: str, arn: str, wanted: Wanted, values: Values = nothing
    ) -> Federated:
        """For who has a token of an OpenID Connect provider.

        :param arn: of the role; empty: policies are in a claim
        :param values: what the request says
        :raises InvalidParameter, ExpiredToken, NotAllowed
        """
        proven = await self.openid.prove(arn, token, access_token)
        provider, claims = proven.provider, proven.claims
        named: Sequence[str] = provider.policies
        if not provider.arn:
            found = values_of(claims, provider.claim)
            if found is None:
                raise InvalidParameter(
                    f"{provider.claim} claim missing from the JWT token, credentials will not be generated"
                )
            named = found
        policies, compiled = await self._defined(named)
        kept = vouched(claims, ("sub", "iss", provider.user_claim, provider.readable_claim))
        kept["policy"] = ",".join(policies)
        if provider.arn:
            kept["roleArn"] = provider.arn
        subject = claims["sub"]
        parent = Parent(ROOT_ACCOUNT, parent_name(subject, claims["iss"]), provider.origin, kept, policies)
        until_s = int(claims["exp"])
        left_s = until_s - int(self._now_s())
        if left_s < 1:
            raise ExpiredToken()
        seconds = left_s if not wanted.duration else min(self.duration(wanted), left_s)
        caller = Caller(Type.ASSUMED, ROOT_ACCOUNT, parent.name)
        facts = facts_of({claim: value for claim, value in kept.items() if ":" in claim})
        who = Principal(caller, KeyKind.TEMPORARY, parent.name, compiled, facts=facts)
        _require(who, WEB_IDENTITY, seconds, values, "this user does not have enough permission")
        return Federated(await self.issue(parent, wanted, seconds, until_s), subject)  # T2

    async def certificate(self, der: bytes, secure: bool, wanted: Wanted) -> Issued:
        """For who has shown a client certificate: its common name names the policy.

        :param der: what was shown and verified; empty for nothing
        :raises Disabled, InsecureConnection, MissingParameter, BadCertificate, InvalidParameter
        """
        if not self._certificates():
            raise Disabled("STS API 'AssumeRoleWithCertificate' is disabled")
        found = read_certificate(der, secure, datetime.fromtimestamp(self._now_s(), UTC))
        try:
            seconds = self.duration(wanted)
        except InvalidParameter as error:
            raise MissingParameter(str(error)) from None  # the code that clients of this call know
        subject: dict[str, ClaimValue] = {"sub": found.name, "iss": found.issuer, "aud": list(found.organizations)}
        claims = {f"jwt:{name}": value for name, value in subject.items()} | {"sub": found.name}
        parent = Parent(ROOT_ACCOUNT, f"tls:{found.name}", "tls", claims, (found.name,))
        return await self.issue(parent, wanted, seconds, found.until_s)  # T2

    async def custom_token(self, token: str, arn: str, wanted: Wanted) -> Federated:
        """For whom the identity plugin knows by a token.

        :raises Disabled, InvalidParameter, UpstreamFailed
        """
        settings = self._plugin.settings()
        if settings is None:
            raise Disabled("STS API 'AssumeRoleWithCustomToken' is disabled")
        if not token:
            raise InvalidParameter("Invalid empty `Token` parameter provided")
        try:
            given = arns.check_arn(arn)
        except arns.BadArn as error:
            raise InvalidParameter(f"Error processing parameter RoleArn: RoleARN parse err: {error}") from None
        if given != settings.arn:
            raise InvalidParameter(f"Error processing parameter RoleArn: RoleARN {arn[:256]} is not defined.")
        seconds = _positive(wanted.duration) if wanted.duration else rules.SESSION_S_MAX
        policies, _ = await self._defined(settings.policies)
        known = await self._plugin.ask(settings, token)
        name = f"custom:{known.user}"
        claims = {**vouched({**known.claims, "sub": name}, ("sub",)), "roleArn": settings.arn}
        parent = Parent(ROOT_ACCOUNT, name, "custom", claims, policies)
        return Federated(await self.issue(parent, wanted, min(known.valid_s, seconds)), name)

    # -- what they share -------------------------------------------------------------------------------

    def duration(self, wanted: Wanted) -> int:
        """Seconds that credentials may live for. :raises InvalidParameter:"""
        always = self._duration_s()
        if not always and not wanted.duration:
            return rules.SESSION_S_DEFAULT
        seconds = always or _positive(wanted.duration)
        if not rules.SESSION_S_MIN <= seconds <= rules.SESSION_S_MAX:
            raise InvalidParameter("invalid token expiry")
        return seconds

    async def issue(self, parent: Parent, wanted: Wanted, seconds: int, until_s: int | None = None) -> Issued:
        """Make the credentials.

        :param until_s: seconds since the epoch that they do not outlive
        :raises InvalidParameter: the session policy, or a name that is too long
        :raises LimitReached:
        """
        keys = self._identity.access_keys
        try:
            policy = _compact(wanted.policy) if wanted.policy else b""
            if policy:
                parse(policy, Kind.SESSION, bytes_max=rules.SESSION_POLICY_BYTES_MAX, version_required=True)
            if parent.provider != "builtin":
                rules.check_external(parent.name)
            return await keys.issue(parent, seconds, policy, wanted.revoke_type, until_s=until_s)
        except (PolicyTooLarge, SessionPolicyTooLarge):
            raise InvalidParameter("Session policy should not exceed 2048 characters") from None
        except (MalformedPolicy, InvalidArgument) as error:
            raise InvalidParameter(error.message) from None
        except TooManyAccessKeys as error:
            raise LimitReached(error.message) from None
        except NoSuchUser:  # removed at this very moment
            raise NotAllowed() from None

    async def _defined(self, names: Sequence[str]) -> tuple[tuple[str, ...], PolicySet]:
        """Those of some policies that exist. :raises InvalidParameter: none does, or they are too many"""
        if len(names) > ATTACHED_MAX:
            raise InvalidParameter(f"more than {ATTACHED_MAX} policies")
        found, compiled = await self._identity.directory.named(ROOT_ACCOUNT, names)
        if not found:
            raise InvalidParameter(
                f"None of the given policies (`{','.join(names)[:512]}`) are defined, credentials will not be generated"
            )
        return found, compiled

    def _now_s(self) -> float:
        return self._identity.realm.clock() / NS_PER_S


def _positive(text: str) -> int:
    """A number of seconds. :raises InvalidParameter:"""
    seconds = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
    if seconds < 1:
        raise InvalidParameter("invalid token expiry")
    return seconds


def _compact(policy: bytes) -> bytes:
    """A document without the blanks that people like: they do not count for its size."""
    try:
        return msgspec.json.format(policy, indent=-1)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return policy  # what is wrong with it is told when it is parsed


def _require(who: Principal, action: str, seconds: int, values: Values, message: str = "") -> None:
    """No policy may forbid it, for so long perhaps. Who has none may, and gets credentials that can do nothing.

    :raises Denied:
    """
    found: dict[str, tuple[str, ...]] = {"sts:DurationSeconds": (str(seconds),)}
    for name in who.policies.plan(action).keys:
        value = found.get(name) or who.facts.get(name) or values(name)
        if value is not None:
            found[name] = value
    context = Context(action, "", who.caller, who.account, found)
    verdict = evaluate(context, who.policies, deny_only=True)
    if not verdict.allowed:
        raise Denied(message, who, verdict)
