"""A certified OpenID Connect provider (npm's oidc-provider) as a process, users who log in at it as a browser does, and
tokens that only look like its own."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping
from http.cookiejar import CookieJar
from typing import Any
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlencode, urlsplit
from urllib.request import HTTPCookieProcessor, HTTPRedirectHandler, ProxyHandler, Request, build_opener

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey, OKPKey, RSAKey

from .clients import CLIENTS, find
from .server import ROOT

CALLBACK = "http://127.0.0.1:9/callback"
SECRET = "a-secret-of-the-client"
Claims = dict[str, Any]


def keys(name: str) -> KeySet:
    """A key of each kind; their ids begin with the name."""
    made = [
        RSAKey.generate_key(2048, {"kid": f"{name}-rsa", "use": "sig"}),
        ECKey.generate_key("P-256", {"kid": f"{name}-ec", "use": "sig"}),
        OKPKey.generate_key("Ed25519", {"kid": f"{name}-ed", "use": "sig"}),
    ]
    return KeySet(made)  # type: ignore[arg-type]


class _Stay(HTTPRedirectHandler):
    """Redirects are for the one who asked to look at."""

    def redirect_request(self, *_: Any) -> None:
        return None


class OidcProvider:
    """:param claims: account, or client for its own tokens → claims
    :param algorithms: client → what its ID tokens are signed with
    """

    def __init__(self, claims: Mapping[str, Claims], algorithms: Mapping[str, str]) -> None:
        modules = CLIENTS / "node" / "node_modules"
        if not (modules / "oidc-provider").exists():
            pytest.skip("oidc-provider is not installed; scripts/setup test installs it where npm is")
        program = str(ROOT / "tests/functional/node/provider.mjs")
        self.keys = keys("first")
        self._process = subprocess.Popen(
            [find("node"), program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env={**os.environ, "NODE_PATH": str(modules)}, text=True,
        )  # fmt: skip
        clients = [self._client(name, algorithm) for name, algorithm in algorithms.items()]
        self.issuer = self._tell({"clients": clients, "claims": claims})
        self.config_url = f"{self.issuer}/.well-known/openid-configuration"

    @staticmethod
    def _client(name: str, algorithm: str) -> dict[str, Any]:
        return {
            "client_id": name,
            "client_secret": SECRET,
            "grant_types": ["authorization_code", "client_credentials"],
            "redirect_uris": [CALLBACK],
            "response_types": ["code"],
            "id_token_signed_response_alg": algorithm,
        }

    def _tell(self, more: Mapping[str, Any]) -> str:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps({"jwks": self.keys.as_dict(private=True), **more}) + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()

    def rotate(self, name: str) -> None:
        """Only keys of another name from now on."""
        self.keys = keys(name)
        self._tell({})

    def hang(self) -> None:
        """It takes connections and answers nothing, until :meth:`go_on`."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    # -- tokens ----------------------------------------------------------------------------------------

    def log_in(self, client: str, account: str, scope: str = "openid sos") -> dict[str, str]:
        """The tokens of a user who logs in and consents: ``id_token``, ``access_token``."""
        opener = build_opener(_Stay, ProxyHandler({}), HTTPCookieProcessor(CookieJar()))

        def go(url: str, form: Mapping[str, str] | None = None) -> tuple[str, str]:
            """Where it leads, and the page."""
            body = urlencode(form).encode() if form is not None else None
            try:
                with opener.open(Request(url, body), timeout=30) as reply:
                    return "", reply.read().decode()
            except HTTPError as error:
                return error.headers.get("Location", ""), error.read().decode()

        asked = {"client_id": client, "response_type": "code", "scope": scope, "redirect_uri": CALLBACK}
        asked |= {"prompt": "consent", "state": "any", **_challenge()}
        where, page = go(f"{self.issuer}/auth?{urlencode(asked)}")
        while not where.startswith(CALLBACK):
            where = where if "://" in where else self.issuer + where
            if "/interaction/" not in where:
                where, page = go(where)
                continue
            _, page = go(where)
            prompt = re.search(r'name="prompt" value="(\w+)"', page)
            assert prompt is not None, page[:500]
            where, page = go(where, {"prompt": prompt[1], "login": account, "password": "any"})
        code = parse_qs(urlsplit(where).query)["code"][0]
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
        return self._token(client, form)

    def client_token(self, client: str) -> str:
        """A token that a client gets for itself."""
        return self._token(client, {"grant_type": "client_credentials", "scope": "sos"})["access_token"]

    def _token(self, client: str, form: Mapping[str, str]) -> dict[str, str]:
        who = base64.b64encode(f"{client}:{SECRET}".encode()).decode()
        request = Request(f"{self.issuer}/token", urlencode(form).encode(), {"Authorization": f"Basic {who}"})
        with build_opener(ProxyHandler({})).open(request, timeout=30) as reply:
            return json.loads(reply.read())  # type: ignore[no-any-return]

    def forge(
        self, client: str, algorithm: str = "RS256", key: Any = None, header: Claims | None = None, **changes: Any
    ) -> str:
        """A token signed with the provider's key, or another, with claims changed (None: without it)."""
        now = int(time.time())
        claims: Claims = {"iss": self.issuer, "sub": "forged", "aud": client, "exp": now + 3600, "iat": now}
        claims |= {"policy": "readwrite", **changes}
        kind = {"R": "rsa", "P": "rsa", "E": "ec"}.get(algorithm[0], "rsa")
        kind = "ed" if algorithm == "EdDSA" else kind
        used = key or next(one for one in self.keys.keys if str(one.kid).endswith(kind))
        head = {"alg": algorithm, "kid": used.kid or "none", **(header or {})}
        said = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(head, said, used, algorithms=[algorithm])


VERIFIER = "a-verifier-that-is-long-enough-for-the-rule-of-43-characters"


def _challenge() -> dict[str, str]:
    from hashlib import sha256

    digest = base64.urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
    return {"code_challenge": digest, "code_challenge_method": "S256"}


def unsigned(claims: Claims, kid: str) -> str:
    """A token with the algorithm "none"."""
    parts = [{"alg": "none", "kid": kid}, claims]
    return ".".join(base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=").decode() for p in parts) + "."


def shared_secret(text: bytes, kid: str) -> OctKey:
    """What a confused verifier would take for a key: a public key, or a client's secret."""
    return OctKey.import_key(text, {"kid": kid})


def confused(claims: dict[str, Any], kid: str, public: bytes) -> str:
    """Made by hand: libraries refuse to use a public key as a secret."""
    parts = [json.dumps(part).encode() for part in ({"alg": "HS256", "kid": kid}, claims)]
    signed = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    tag = hmac.digest(public, signed, hashlib.sha256)
    return (signed + b"." + base64.urlsafe_b64encode(tag).rstrip(b"=")).decode()


def with_own_key(provider: OidcProvider, claims: dict[str, Any]) -> str:
    """A token with the key to verify it in its header."""
    key = RSAKey.generate_key(2048)
    return jwt.encode({"alg": "RS256", "kid": "own", "jwk": key.as_dict(private=False)}, claims, key)


def changed(token: str) -> str:
    """A token with another policy under the same signature."""
    head, payload, signature = token.split(".")
    text = base64.urlsafe_b64decode(payload + "==").replace(b'"readonly"', b'"readwrite"')
    return ".".join((head, base64.urlsafe_b64encode(text).rstrip(b"=").decode(), signature))


def without_kid(token: str) -> str:
    """A token that names no key."""
    head = base64.urlsafe_b64encode(b'{"alg":"RS256"}').rstrip(b"=").decode()
    return ".".join((head, *token.split(".")[1:]))
