"""Users of Keycloak who are disabled or gone lose their keys; nobody loses any because Keycloak cannot be asked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from sos.services.identity.access_keys import NewService, Parent
from sos.services.identity.openid import OpenId
from sos.services.identity.openid_refresh import OpenIdRefresh
from sos.services.identity.openid_tokens import parent_name
from sos.services.identity.outbound import Answered, Outbound, Unreachable
from tests.kit.identities import MAIN, World, run
from tests.kit.identity_audit import audit

SECRET = "a-secret-of-the-client"
ISSUER = "https://keycloak.test/realms/staff"
TARGETS = {
    "_": {
        "config_url": f"{ISSUER}/.well-known/openid-configuration",
        "client_id": "sos",
        "client_secret": SECRET,
        "vendor": "keycloak",
        "keycloak_admin_url": "https://keycloak.test/admin/",
        "keycloak_realm": "staff",
    },
    "other": {"config_url": "https://other.test/", "client_id": "other", "role_policy": "readonly"},
}


class FakeKeycloak(Outbound):
    """Its Admin REST API in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.users: dict[str, bool] = {}
        self.token, self.logins = "first", 0
        self.instead: Answered | None = None

    async def document(self, url: str, headers: Any = None, method: str = "GET") -> dict[str, Any]:
        if url.endswith("openid-configuration"):
            return {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/keys", "token_endpoint": f"{ISSUER}/token"}
        return {"keys": []}

    async def request(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, query: Any = None, form: Any = None
    ) -> Answered:
        if url == f"{ISSUER}/token":
            assert (method, form["grant_type"], form["client_secret"]) == ("POST", "client_credentials", SECRET)
            self.logins += 1
            return Answered(200, json.dumps({"access_token": self.token, "expires_in": 60}).encode())
        if self.instead is not None:
            return self.instead
        if headers != {"Authorization": f"Bearer {self.token}"}:
            return Answered(401, b"{}")
        start = "https://keycloak.test/admin/realms/staff/users/"
        assert url.startswith(start)
        user = url.removeprefix(start)
        if user not in self.users:
            return Answered(404, b"{}")
        return Answered(200, json.dumps({"id": user, "enabled": self.users[user]}).encode())


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def keycloak() -> FakeKeycloak:
    return FakeKeycloak()


def parts(world: World, keycloak: FakeKeycloak) -> OpenIdRefresh:
    return OpenIdRefresh(OpenId(lambda _: TARGETS, keycloak, lambda: ""), world.identity)


def come(world: World, subject: str, provider: str = "openid:_") -> list[str]:
    """A user's session and a key that it made; their names."""
    name, keys = parent_name(subject, ISSUER), world.identity.access_keys
    claims = {"jwt:sub": subject, "sub": subject}
    session = run(keys.issue(Parent(MAIN, name, provider, claims, ("readonly",)), 3600))
    known = world.identity.directory.find(session.access_key)
    assert known is not None and known.principal.origin is not None
    return [session.access_key, run(keys.create(known.principal.origin, NewService())).access_key]


def there(world: World, names: list[str]) -> list[bool]:
    return [world.identity.directory.find(name) is not None for name in names]


def test_keys_of_who_is_disabled_or_gone_are_removed(world: World, keycloak: FakeKeycloak) -> None:
    kept, disabled, gone = come(world, "kept"), come(world, "disabled"), come(world, "gone")
    elsewhere = come(world, "elsewhere", "openid:other")
    keycloak.users = {"kept": True, "disabled": False}
    run(parts(world, keycloak).step())
    assert there(world, kept + elsewhere) == [True] * 4
    assert there(world, disabled + gone) == [False] * 4
    assert keycloak.logins == 1
    audit(world.system.view)


def test_a_key_that_a_session_made_is_enough_to_know_whose_it_is(world: World, keycloak: FakeKeycloak) -> None:
    session, service = come(world, "gone")
    run(world.identity.access_keys.remove(session))
    run(parts(world, keycloak).step())
    assert there(world, [service]) == [False]


@pytest.mark.parametrize(
    ("status", "body"),
    [(403, b"{}"), (500, b"{}"), (302, b"{}"), (200, b"{}"), (200, b"[]"), (200, b"no json"), (401, b"")],
)
def test_nobody_is_gone_because_it_cannot_be_told(
    world: World, keycloak: FakeKeycloak, status: int, body: bytes
) -> None:
    keys = come(world, "gone")
    keycloak.instead = Answered(status, body)
    run(parts(world, keycloak).step())
    assert there(world, keys) == [True, True]


def test_a_token_that_expires_on_the_way_is_got_anew(world: World, keycloak: FakeKeycloak) -> None:
    keys = come(world, "alice")
    keycloak.users = {"alice": True}
    refresh = parts(world, keycloak)
    openid = refresh._openid
    asking = run(openid.keycloak(openid.providers()["_"]))
    assert run(asking.has("alice")) is True
    keycloak.token = "second"
    assert run(asking.has("alice")) is True and keycloak.logins == 2
    assert run(asking.has("../../other/users/alice")) is False, "a name is one part of the path"
    assert SECRET not in repr(asking)
    assert there(world, keys) == [True, True]


def test_a_keycloak_that_is_away_changes_nothing(world: World, keycloak: FakeKeycloak) -> None:
    async def away(*_: Any, **__: Any) -> Answered:
        raise Unreachable("away")

    keys = come(world, "gone")
    keycloak.request = away  # type: ignore[method-assign]
    run(parts(world, keycloak).step())
    assert there(world, keys) == [True, True]
