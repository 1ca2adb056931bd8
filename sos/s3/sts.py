"""The STS API: ``POST /`` with a form (or the same parameters in the query), one action a row.

A signature is asked for by AssumeRole alone, in the header, with version 4 for the service ``sts``, over the whole form;
every other action brings its own proof. Source: AWS STS API reference; MinIO's ``cmd/sts-handlers.go``.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import parse_qsl

from ..domain.errors import AccessDenied, EntityTooLarge, InternalFault, StoreError
from ..http.message import Reply
from ..services.decisions.records import Occasion
from ..services.identity.access_keys import Issued
from ..services.identity.sts import Federated, Sts, Values, Wanted
from ..services.identity.sts_errors import Denied, InvalidParameter, MissingParameter, StsRefused
from .auth.authenticate import authenticate
from .auth.claimed import claimed
from .auth.errors import SignatureDoesNotMatch
from .auth.identity import Identity, Scheme
from .call import Call
from .circumstances import Circumstances
from .codes import Code
from .errors import Refusal
from .patience import patiently
from .sts_documents import Elements, described, granted, refusal

VERSION = "2011-06-15"
FORM = "application/x-www-form-urlencoded"
FORM_BYTES_MAX = 256 * 1024
FIELDS_MAX = 100


@dataclass(frozen=True, slots=True)
class Granted:
    """What an action has made.

    :param more: elements of the reply after the credentials
    :param role: whether the reply has an element for an assumed role
    """

    issued: Issued
    more: Elements = ()
    role: bool = False


@dataclass(frozen=True, slots=True)
class StsCall:
    """One call on its way through an action.

    :param form: parameters; those of the body before those of the query
    :param body: the form as it was sent
    """

    call: Call
    sts: Sts
    form: Mapping[str, str]
    body: bytes

    def get(self, *names: str) -> str:
        """The first of some parameters that is not empty."""
        return next((value for name in names if (value := self.form.get(name, ""))), "")

    @property
    def wanted(self) -> Wanted:
        """What every action can be asked for."""
        return Wanted(self.get("DurationSeconds"), self.get("Policy").encode(), self.get("TokenRevokeType"))

    def values(self, identity: Identity) -> Values:
        """What the request says. No action is about an object."""
        values = Circumstances(self.call.request, identity, self.form)
        values.tags = {}
        return values.get

    async def signer(self) -> Identity:
        """Who has signed the call. :raises AuthError, AccessDenied:"""
        call, digest = self.call, sha256(self.body).hexdigest()

        def attempt() -> Identity:
            region = call.settings.region
            return authenticate(call.request, call.keys, region, time.time(), service="sts", body_sha256=digest)

        identity = await patiently(attempt, call.wait)
        if identity.version != 4 or identity.scheme is not Scheme.HEADER:
            raise AccessDenied()
        if identity.payload != digest:  # something else was signed, or nothing for the body
            raise SignatureDoesNotMatch()
        return identity


    async def proven_by_token(self) -> Federated:
        """:raises StsRefused:"""
        token, access_token = self.get("Token", "WebIdentityToken"), self.get("WebIdentityAccessToken")
        values = self.values(self.call.identity)
        return await self.sts.web_identity(token, access_token, self.get("RoleArn"), self.wanted, values)


Action = Callable[[StsCall], Awaitable[Granted]]


async def answer(call: Call) -> Reply:
    """Any action of the STS API; what is refused is told in its own form."""
    request_id = call.request.request_id
    form, body = call.query, b""
    if call.request.headers.get("content-type").lower().startswith(FORM):
        try:
            body = await call.request.body.read_all(FORM_BYTES_MAX)
            form = form | _parameters(body)
        except EntityTooLarge:
            return refusal(InvalidParameter("the form is too large"), request_id)
        except ValueError:
            return refusal(InvalidParameter("the form is malformed"), request_id)
    elif "Action" not in form:
        raise Refusal(Code.BadRequest, "An error occurred when parsing the HTTP request POST at '/'")
    try:
        return await _act(call, form, body)
    except (StsRefused, StoreError) as error:
        reply = refusal(error, request_id)
        _remember(call, form, error, reply.status)
        return reply


def _remember(call: Call, form: Mapping[str, str], error: Exception, status: int) -> None:
    """For explanations: a denial by a policy with what it depended on, and a refusal without one."""
    request, decisions, name = call.request, call.services.decisions, form.get("Action", "")
    occasion = Occasion(request.request_id, request.received_ns, "sts", name if name in ACTIONS else "")
    if isinstance(error, Denied):
        values = Circumstances(request, call.identity, form)
        values.tags = {}
        decisions.denied(occasion, error.who, error.verdict, values.get)
    elif status == 403:
        code, text = described(error)
        decisions.refused(occasion, claimed(request, call.keys), code, text, "/")


async def _act(call: Call, form: Mapping[str, str], body: bytes) -> Reply:
    name, sts = form.get("Action", ""), call.services.sts
    if form.get("Version") != VERSION:
        raise MissingParameter(f"Invalid STS API version {form.get('Version', '')[:64]}, expecting {VERSION}")
    action = ACTIONS.get(name)
    if action is None:
        raise InvalidParameter(f"Unsupported action {name[:64]}")
    if sts is None:
        raise InternalFault("a surface without the STS service")
    call.request.name = f"sts.{name}"
    made = await action(StsCall(call, sts, form, body))
    return granted(name, made.issued, made.more, call.request.request_id, role=made.role)


def _parameters(body: bytes) -> dict[str, str]:
    """The first value of each. :raises ValueError:"""
    pairs = parse_qsl(
        body.decode(), keep_blank_values=True, strict_parsing=bool(body), errors="strict", max_num_fields=FIELDS_MAX
    )
    return dict(reversed(pairs))


# -- actions ---------------------------------------------------------------------------------------------


async def assume_role(call: StsCall) -> Granted:
    identity = await call.signer()
    values = call.values(identity)
    return Granted(await call.sts.assume_role(identity.principal, call.wanted, values), role=True)


async def assume_role_with_web_identity(call: StsCall) -> Granted:
    made = await call.proven_by_token()
    return Granted(made.issued, (("SubjectFromWebIdentityToken", made.subject),), role=True)


async def assume_role_with_client_grants(call: StsCall) -> Granted:
    made = await call.proven_by_token()
    return Granted(made.issued, (("SubjectFromToken", made.subject),), role=True)


async def assume_role_with_certificate(call: StsCall) -> Granted:
    request = call.call.request
    return Granted(await call.sts.certificate(request.certificate(), request.secure, call.wanted))


async def assume_role_with_custom_token(call: StsCall) -> Granted:
    made = await call.sts.custom_token(call.get("Token"), call.get("RoleArn"), call.wanted)
    return Granted(made.issued, (("AssumedUser", made.subject),))


async def assume_role_with_ldap_identity(call: StsCall) -> Granted:
    ldap = call.call.services.ldap
    if ldap is None:
        raise InternalFault("a surface without the LDAP service")
    name, password = call.get("LDAPUsername"), call.get("LDAPPassword")
    return Granted(await ldap.assume(name, password, call.wanted, call.call.request.peer))


ACTIONS: dict[str, Action] = {
    "AssumeRole": assume_role,
    "AssumeRoleWithWebIdentity": assume_role_with_web_identity,
    "AssumeRoleWithClientGrants": assume_role_with_client_grants,
    "AssumeRoleWithLDAPIdentity": assume_role_with_ldap_identity,
    "AssumeRoleWithCertificate": assume_role_with_certificate,
    "AssumeRoleWithCustomToken": assume_role_with_custom_token,
}
"""Name of an action → what it does. A further way of proving an identity is a line here."""
