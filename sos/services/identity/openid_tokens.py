"""Tokens of a provider: verified, and what they say. Source: OpenID Connect Core 1.0, section 3.1.3.7; RFC 8725.

Nothing of a token counts before its signature is verified: which provider it is from says the request (by its role), not
the token (A06).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import msgspec

from ...base.later import Later
from ...domain.policy import keys as condition_keys
from .access_keys import ClaimValue
from .openid_keys import ALGORITHMS, ProviderKeys
from .openid_settings import ProviderSettings, names_of
from .outbound import Outbound, Unreachable
from .sts_errors import ExpiredToken, InvalidParameter

if TYPE_CHECKING:
    from joserfc import errors, jws
else:
    errors, jws = Later("joserfc.errors"), Later("joserfc.jws")

TOKEN_BYTES_MAX = 32 * 1024
#: Clocks may differ by so much, in seconds. An expiry has no leeway: what is made of the token ends with it.
LEEWAY_S = 30
#: Of what is kept of the claims, bytes of JSON.
CLAIMS_BYTES_MAX = 16 * 1024
#: 9999-12-31: later than this no time is believed.
EXPIRES_S_MAX = 253_402_300_799

Claims = dict[str, Any]
VOUCHED = frozenset(name.removeprefix("jwt:") for name in condition_keys.GLOBAL if name.startswith("jwt:"))
"""Claims that policies can ask for."""


async def verify(token: str, settings: ProviderSettings, keys: ProviderKeys, now_s: float) -> Claims:
    """The claims of a token that is good now.

    :raises ExpiredToken, InvalidParameter
    :raises Unreachable: the provider was never reached so far
    """
    kid, algorithm = _header(token)
    key = await keys.find(kid, algorithm)
    if key is None:
        raise InvalidParameter(f"No public key found for kid {kid[:64]}")
    try:
        payload = jws.deserialize_compact(token, key, algorithms=[algorithm]).payload
    except (errors.JoseError, ValueError, TypeError):
        raise InvalidParameter("the signature of the token cannot be verified") from None
    claims = _claims(payload)
    check_claims(claims, settings.client_id, (await keys.discovery()).issuer, now_s)
    return claims


def _header(token: str) -> tuple[str, str]:
    """Key id and algorithm. :raises InvalidParameter:"""
    parts = token.split(".")
    if len(parts) != 3 or len(token) > TOKEN_BYTES_MAX or not token.isascii():
        raise InvalidParameter("token contains an invalid number of segments")
    try:
        header = msgspec.json.decode(base64.b64decode(parts[0] + "=" * (-len(parts[0]) % 4), b"-_", validate=True))
    except (binascii.Error, msgspec.MsgspecError, ValueError, RecursionError):
        raise InvalidParameter("the header of the token is malformed") from None
    if not isinstance(header, dict) or "crit" in header:
        raise InvalidParameter("the header of the token is malformed")
    kid, algorithm = header.get("kid"), header.get("alg")
    if algorithm not in ALGORITHMS:
        raise InvalidParameter(f"signing method {str(algorithm)[:16]} is invalid")
    if not isinstance(kid, str):
        raise InvalidParameter(f"Invalid kid value {str(kid)[:64]}")
    return kid, str(algorithm)


def _claims(payload: bytes) -> Claims:
    """:raises InvalidParameter:"""
    try:
        claims = msgspec.json.decode(payload)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        claims = None
    if not isinstance(claims, dict):
        raise InvalidParameter("the claims of the token are malformed")
    return claims


def check_claims(claims: Mapping[str, Any], client_id: str, issuer: str, now_s: float) -> None:
    """:raises ExpiredToken, InvalidParameter"""
    expires, begins, made = (_moment(claims, name) for name in ("exp", "nbf", "iat"))
    if expires is None:
        raise InvalidParameter("STS JWT Token has `exp` claim missing, `exp` claim is mandatory")
    if expires <= now_s:
        raise ExpiredToken()
    if (begins is not None and begins > now_s + LEEWAY_S) or (made is not None and made > now_s + LEEWAY_S):
        raise InvalidParameter("the token is not valid yet")
    if claims.get("iss") != issuer:
        raise InvalidParameter("STS JWT Token has `iss` claim invalid, it is not the configured provider's")
    if not isinstance(claims.get("sub"), str) or not claims["sub"]:
        raise InvalidParameter("STS JWT Token has `sub` claim missing, `sub` claim is mandatory")
    audience = values_of(claims, "aud")
    if audience is None:
        raise InvalidParameter("STS JWT Token has `aud` claim invalid, `aud` must match configured OpenID Client ID")
    if client_id not in audience and client_id not in (values_of(claims, "azp") or ()):
        raise InvalidParameter("STS JWT Token has `azp` claim invalid, `azp` must match configured OpenID Client ID")


def _moment(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= EXPIRES_S_MAX:
        raise InvalidParameter(f"STS JWT Token has `{name}` claim invalid")
    return float(value)


def values_of(claims: Mapping[str, Any], name: str) -> tuple[str, ...] | None:
    """A claim as names: a list, a text, or either with commas in it; None where it is neither."""
    value = claims.get(name)
    if isinstance(value, str):
        return names_of(value)
    if isinstance(value, list):
        return tuple(dict.fromkeys(one for text in value if isinstance(text, str) for one in names_of(text)))
    return None


async def with_userinfo(claims: Claims, access_token: str, keys: ProviderKeys, outbound: Outbound) -> Claims:
    """The claims with what the provider tells of the user: added, never replacing what the token says.

    :raises InvalidParameter, Unreachable
    """
    if not access_token:
        raise InvalidParameter("access_token is mandatory if user_info claim is enabled")
    url = (await keys.discovery()).userinfo
    if not url or not access_token.isascii() or not access_token.isprintable():
        raise Unreachable("the provider has no userinfo endpoint, or the access token is malformed")
    headers = {"Authorization": f"Bearer {access_token}", "Content-Type": "application/x-www-form-urlencoded"}
    more = await outbound.document(url, headers, "POST")
    if more.get("sub", claims["sub"]) != claims["sub"]:  # OpenID Connect Core 5.3.2: it is somebody else's
        raise InvalidParameter("the access token is of another user")
    return {**more, **claims}


def parent_name(subject: str, issuer: str) -> str:
    """What the keys of a user of a provider belong to: stable, bounded in length, and nobody else's."""
    digest = sha256(f"openid:{subject}:{issuer}".encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def vouched(claims: Mapping[str, Any], also: tuple[str, ...] = ()) -> dict[str, ClaimValue]:
    """What is kept of claims: what policies can ask for as ``jwt:…``, and some by their own names.

    :raises InvalidParameter: too much to be kept
    """
    kept: dict[str, ClaimValue] = {}
    for name in sorted(VOUCHED & claims.keys()):
        if (value := _simple(claims[name])) is not None:
            kept[f"jwt:{name}"] = value
    for name in also:
        if ":" not in name and isinstance(claims.get(name), str):
            kept[name] = claims[name]
    if len(msgspec.json.encode(kept)) > CLAIMS_BYTES_MAX:
        raise InvalidParameter("the claims of the token are too large")
    return kept


def _simple(value: Any) -> ClaimValue | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return str(value)
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else None
