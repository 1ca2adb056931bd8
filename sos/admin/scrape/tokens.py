"""Who reads metrics: a JSON web token, signed with the secret key of the access key that it names (``mc admin prometheus
generate``; MinIO's ``cmd/jwt.go``)."""

from __future__ import annotations

import base64
import time
from typing import Any

import msgspec

from ...domain.errors import AccessDenied, MustWait
from ...http.message import Request
from ...meta.iam import ROOT_ACCOUNT
from ...services.identity.directory import Known
from ..call import Services

ISSUER = "prometheus"
ALGORITHMS = ["HS256", "HS384", "HS512"]
ACTION = "admin:Prometheus"
TOKEN_CHARS_MAX = 8192
WAITS_MAX = 20


class _Claims(msgspec.Struct):
    """What is looked at before the signature: only to know whose key it must be."""

    sub: str = ""
    access_key: str = msgspec.field(default="", name="accessKey")


async def bearer(request: Request, services: Services) -> None:
    """:raises AccessDenied: no token, a wrong one, or its owner may not"""
    scheme, _, token = request.headers.get("authorization").partition(" ")
    if scheme.lower() != "bearer" or not 0 < len(token) <= TOKEN_CHARS_MAX:
        raise AccessDenied()
    try:
        named = msgspec.json.decode(_payload(token), type=_Claims)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise AccessDenied() from None
    known = await _find(services, named.access_key or named.sub)
    if known is None or not _valid(token, known):
        raise AccessDenied()
    decide = services.access.decide
    if not decide(known.principal, ACTION, "", None, b"", _values(request).get, account=ROOT_ACCOUNT):
        raise AccessDenied()


def _values(request: Request) -> dict[str, tuple[str, ...]]:
    """What policies can ask of the request."""
    seconds = request.received_ns // 10**9
    found = {
        "aws:SourceIp": request.peer.removeprefix("::ffff:"),
        "aws:SecureTransport": "true" if request.secure else "false",
        "aws:UserAgent": request.headers.get("user-agent"),
        "aws:Referer": request.headers.get("referer"),
        "aws:CurrentTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds)),
        "aws:EpochTime": str(seconds),
    }
    return {name: (value,) for name, value in found.items() if value}


def _payload(token: str) -> bytes:
    """The unverified claims."""
    part = token.split(".")[1] if token.count(".") == 2 else ""
    return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)


async def _find(services: Services, access_key: str) -> Known | None:
    for _ in range(WAITS_MAX):
        try:
            return services.identity.directory.find(access_key) if access_key else None
        except MustWait:
            await services.identity.wait()
    raise MustWait()


def _valid(token: str, known: Known) -> bool:
    """Temporary credentials prove nothing without their session token, which no scraper sends."""
    expired = 0 < known.expires_ns <= time.time_ns()
    if not known.enabled or known.token or expired:
        return False
    from joserfc import jwt  # loaded where something scrapes
    from joserfc.errors import JoseError
    from joserfc.jwk import OctKey

    try:
        found = jwt.decode(token, OctKey.import_key(known.secret.encode()), algorithms=ALGORITHMS)
        jwt.JWTClaimsRegistry(iss={"essential": True, "value": ISSUER}).validate(found.claims)
    except (JoseError, ValueError, RecursionError):
        return False
    return _named(found.claims) == known.principal.access_key


def _named(claims: dict[str, Any]) -> object:
    return claims.get("accessKey") or claims.get("sub")
