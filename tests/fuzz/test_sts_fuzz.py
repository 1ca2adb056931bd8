"""Tokens, claims, key sets, certificates and forms of any kind: refused by the errors that are meant for it, or taken."""

from __future__ import annotations

import asyncio
import base64
import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey

from sos.s3.sts import _parameters
from sos.services.identity import arns
from sos.services.identity.certificates import read_certificate
from sos.services.identity.openid_keys import ProviderKeys
from sos.services.identity.openid_settings import ProviderSettings
from sos.services.identity.openid_tokens import check_claims, values_of, verify, vouched
from sos.services.identity.outbound import Outbound, Unreachable
from sos.services.identity.plugin import _vouched
from sos.services.identity.sts_errors import StsRefused

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
NAMES = st.sampled_from(
    ["exp", "nbf", "iat", "iss", "sub", "aud", "azp", "policy", "groups", "name", "scope", "crit", "b64"]
)
CLAIMS = st.dictionaries(NAMES, JSON | st.just("client") | st.just("issuer") | st.just(4_000_000_000), max_size=8)
HEADERS = st.dictionaries(
    st.sampled_from(["alg", "kid", "typ", "crit", "jwk", "jku", "x5c", "b64", "zip", "enc"]),
    JSON | st.sampled_from(["RS256", "ES256", "EdDSA", "HS256", "none", "key"]),
    max_size=5,
)
MEMBERS = st.sampled_from(["kty", "kid", "crv", "x", "y", "n", "e", "use", "alg", "key_ops", "d", "k"])
KEYS = st.dictionaries(
    MEMBERS, JSON | st.sampled_from(["RSA", "EC", "OKP", "P-256", "Ed25519", "AQAB", "key"]), max_size=8
)


class Provider(Outbound):
    def __init__(self, keys: Any) -> None:
        super().__init__()
        self._keys = keys

    async def document(self, url: str, headers: Any = None, method: str = "GET") -> dict[str, Any]:
        return {"issuer": "issuer", "jwks_uri": "https://a/keys", "keys": self._keys}


GOOD = ECKey.generate_key("P-256", {"kid": "key"}).as_dict(private=False)


def verified(token: str, keys: Any = (GOOD,)) -> None:
    made = ProviderKeys("https://a/", Provider(list(keys) if isinstance(keys, tuple) else keys))
    settings = ProviderSettings("_", "https://a/", "client")
    with suppress(StsRefused, Unreachable):
        asyncio.run(verify(token, settings, made, 1_800_000_000.0))
        raise AssertionError("a token that nobody has signed")


def encoded(part: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


@given(st.text(max_size=200) | st.lists(st.text(alphabet="abcAB01-_=.", max_size=30), max_size=6).map(".".join))
def test_texts_as_tokens(text: str) -> None:
    verified(text)


@given(HEADERS, CLAIMS, st.binary(max_size=80))
def test_tokens_with_any_header_and_claims(header: dict[str, Any], claims: dict[str, Any], signature: bytes) -> None:
    tag = base64.urlsafe_b64encode(signature).rstrip(b"=").decode()
    verified(f"{encoded(header)}.{encoded(claims)}.{tag}")


@given(st.lists(KEYS | JSON, max_size=4) | JSON)
def test_key_sets_of_any_kind(keys: Any) -> None:
    verified(f"{encoded({'alg': 'ES256', 'kid': 'key'})}.{encoded({})}.AAAA", keys)


@given(CLAIMS)
def test_claims_of_any_kind(claims: dict[str, Any]) -> None:
    with suppress(StsRefused):
        check_claims(claims, "client", "issuer", 1_800_000_000.0)
        assert claims["iss"] == "issuer" and claims["exp"] > 1_800_000_000 and claims["sub"]
    with suppress(StsRefused):
        vouched(claims, ("sub", "iss"))
    for name in claims:
        found = values_of(claims, name)
        assert found is None or all(isinstance(one, str) and one for one in found)


@given(st.dictionaries(st.sampled_from(["user", "maxValiditySeconds", "claims"]), JSON))
def test_answers_of_the_hook_of_any_kind(said: dict[str, Any]) -> None:
    with suppress(StsRefused):
        assert 900 <= _vouched(said).valid_s <= 31_536_000


@given(st.binary(max_size=300))
def test_certificates_and_forms_of_any_bytes(raw: bytes) -> None:
    with suppress(StsRefused):
        read_certificate(raw, True, datetime.now(UTC))
    with suppress(ValueError):
        _parameters(raw)


@given(st.text(max_size=60) | st.lists(st.sampled_from(["arn", "minio", "iam", "", "role/x", "role"])).map(":".join))
def test_names_of_roles_of_any_text(text: str) -> None:
    with suppress(arns.BadArn):
        assert arns.check_arn(text).startswith("arn:minio:iam:")
