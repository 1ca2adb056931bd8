"""The public keys of one provider, as fresh as its rotation asks for, without a request of a client being held up by a
provider that is down.

Invariants:

K1  At most one fetch is under way; all who need it wait for the same one, for :data:`~.outbound.TOTAL_S_MAX` at most
    twice (discovery document, then keys).
K2  A token with an unknown key id makes a fetch only while the allowance lasts, so that nobody can make this server
    pester a provider.
K3  The last good keys stay until others were fetched whole.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...base.later import Later
from .outbound import Outbound, Unreachable, check_url, shown

if TYPE_CHECKING:
    from joserfc import errors, jwk

    Key = jwk.RSAKey | jwk.ECKey | jwk.OKPKey
else:
    errors, jwk = Later("joserfc.errors"), Later("joserfc.jwk")

# RFC 9864 has another name for it since; providers go on using this one. Short keys are refused here
warnings.filterwarnings("ignore", "EdDSA is deprecated")
warnings.filterwarnings("ignore", "Key size should be")

log = logging.getLogger("sos.identity")

#: Keys older than this are fetched again before they are used, so that a key taken back ends.
FRESH_S = 3600.0
#: Before that is tried again after a failure; the last good keys are used meanwhile.
RETRY_S = 30.0
#: Fetches for unknown key ids: so many at once, then one each so many seconds.
ALLOWANCE, ALLOWANCE_S = 5, 10.0
KEYS_MAX = 100
RSA_BITS_MIN = 2048

_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
_TYPES = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", *_CURVES, "EdDSA", "Ed25519")
"""Signatures that are accepted: none by a shared secret, and no "none" (A05)."""


@dataclass(frozen=True, slots=True)
class Discovery:
    """What a provider says of itself (OpenID Connect Discovery 1.0, section 3)."""

    issuer: str
    jwks_uri: str
    userinfo: str = ""
    token: str = ""


@dataclass(frozen=True, slots=True)
class _Known:
    discovery: Discovery
    keys: Mapping[str, Sequence[Key]]
    fetched_s: float


class ProviderKeys:
    """:param clock: monotonic seconds"""

    def __init__(self, config_url: str, outbound: Outbound, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = config_url
        self._outbound = outbound
        self._clock = clock
        self._known: _Known | None = None
        self._fetching: asyncio.Task[None] | None = None
        self._failed_s = float("-inf")
        self._allowance = float(ALLOWANCE)
        self._counted_s = clock()

    async def discovery(self) -> Discovery:
        """:raises Unreachable: never reached so far"""
        return (await self._fresh()).discovery

    async def find(self, kid: str, algorithm: str) -> Key | None:
        """The key for a token; None where the provider has none.

        :raises Unreachable: never reached so far
        """
        known = await self._fresh()
        found = _fitting(known, kid, algorithm)
        if found is None and self._may_ask():
            await self._try_fetch()
            found = _fitting(self._known or known, kid, algorithm)
        return found

    async def fetch(self) -> None:
        """Take over what the provider has now. :raises Unreachable:"""
        if self._fetching is None or self._fetching.done():
            self._fetching = asyncio.create_task(self._fetch())
        await asyncio.shield(self._fetching)

    async def _fresh(self) -> _Known:
        known = self._known
        now = self._clock()
        if known is None:
            if now - self._failed_s < RETRY_S and not self._may_ask():
                raise Unreachable(f"{shown(self._url)} cannot be reached")
            await self.fetch()
        elif now - known.fetched_s > FRESH_S and now - self._failed_s > RETRY_S:
            await self._try_fetch()
        assert self._known is not None
        return self._known

    async def _try_fetch(self) -> None:
        """K3."""
        try:
            await self.fetch()
        except Unreachable as error:
            log.warning("the keys of an identity provider stay as they are: %s", error)

    def _may_ask(self) -> bool:
        """K2: a bucket that fills with time."""
        now = self._clock()
        self._allowance = min(float(ALLOWANCE), self._allowance + (now - self._counted_s) / ALLOWANCE_S)
        self._counted_s = now
        if self._allowance < 1:
            return False
        self._allowance -= 1
        return True

    async def _fetch(self) -> None:
        await asyncio.to_thread(importlib.import_module, "joserfc.jws")  # takes a while where it is the first time
        try:
            said = _discovery(await self._outbound.document(self._url), self._url)
            keys = _keys(await self._outbound.document(said.jwks_uri), said.jwks_uri)
        except Unreachable:
            self._failed_s = self._clock()
            raise
        self._known = _Known(said, keys, self._clock())


_MEMBERS = ("issuer", "jwks_uri", "userinfo_endpoint", "token_endpoint")


def _discovery(document: Mapping[str, Any], url: str) -> Discovery:
    issuer, jwks, userinfo, token = (document.get(name) for name in _MEMBERS)
    if not isinstance(issuer, str) or not issuer:
        raise Unreachable(f"no issuer in your provider's discovery doc (config_url={shown(url)})")
    if not isinstance(jwks, str) or not jwks:
        raise Unreachable(f"no JWKS URI found in your provider's discovery doc (config_url={shown(url)})")
    others = (check_url(one, url) if isinstance(one, str) else "" for one in (userinfo, token))
    return Discovery(issuer, check_url(jwks, url), *others)


def _keys(document: Mapping[str, Any], url: str) -> dict[str, list[Key]]:
    listed = document.get("keys")
    if not isinstance(listed, list) or len(listed) > KEYS_MAX:
        raise Unreachable(f"{shown(url)} holds no keys, or too many")
    found: dict[str, list[Key]] = {}
    for one in listed:
        key = _key(one) if isinstance(one, dict) else None
        if key is not None:
            found.setdefault(str(one.get("kid", "")), []).append(key)
    return found


def _key(said: dict[str, Any]) -> Key | None:
    """A key that can verify signatures; None for others (of a set with some of them the rest counts)."""
    public = {name: value for name, value in said.items() if name not in ("d", "p", "q", "dp", "dq", "qi", "oth", "k")}
    if public.get("use", "sig") != "sig" or public.get("alg", ALGORITHMS[0]) not in ALGORITHMS:
        return None
    try:
        if public.get("kty") == "RSA":
            key = jwk.RSAKey.import_key(public)
            return key if key.public_key.key_size >= RSA_BITS_MIN else None
        if public.get("kty") == "EC" and public.get("crv") in _CURVES.values():
            return jwk.ECKey.import_key(public)
        if public.get("kty") == "OKP" and public.get("crv") == "Ed25519":
            return jwk.OKPKey.import_key(public)
    except (errors.JoseError, ValueError, TypeError, KeyError) as error:
        log.warning("a key of an identity provider cannot be used: %s", type(error).__name__)
    return None


def _fitting(known: _Known, kid: str, algorithm: str) -> Key | None:
    """The key of an id that is one for the algorithm: what the token says is only believed as far as the key agrees."""
    for key in known.keys.get(kid, ()):
        said = key.as_dict(private=False)
        if said.get("alg", algorithm) != algorithm or said.get("kty") != _TYPES[algorithm[:2]]:
            continue
        if algorithm in _CURVES and said.get("crv") != _CURVES[algorithm]:
            continue
        return key
    return None
