"""Keycloak, beyond what is standard: whether a user is still there. Source: Keycloak's Admin REST API, "Users"; MinIO's
``internal/config/identity/openid/provider/keycloak.go``."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from .outbound import Outbound, Unreachable, check_url, shown

FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class KeycloakSettings:
    """:param admin_url: of the REST API, for example ``https://host/admin``"""

    admin_url: str
    realm: str = "master"


class Keycloak:
    """A conversation: one token for as many questions as it lives for.

    :param token_url: where the client gets a token for itself
    """

    def __init__(
        self, settings: KeycloakSettings, outbound: Outbound, token_url: str, client_id: str, client_secret: str
    ) -> None:
        self._settings = settings
        self._outbound = outbound
        self._token_url = check_url(token_url, settings.admin_url)
        self._client = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret}
        self._token = ""

    def __repr__(self) -> str:
        return f"Keycloak({self._settings!r})"

    async def has(self, user_id: str) -> bool:
        """Whether a user exists and is enabled. :raises Unreachable: that cannot be told"""
        for _ in range(2):
            if not self._token:
                self._token = await self._log_in()
            url = f"{self._settings.admin_url.rstrip('/')}/realms/{quote(self._settings.realm, safe='')}"
            answered = await self._outbound.request(
                "GET", f"{url}/users/{quote(user_id, safe='')}", {"Authorization": f"Bearer {self._token}"}
            )
            if answered.status != 401:
                break
            self._token = ""  # it has expired
        if answered.status == 404:
            return False
        said = answered.json() if answered.status in (200, 206) else None
        enabled = said.get("enabled") if isinstance(said, dict) else None
        if not isinstance(enabled, bool):
            raise Unreachable(f"{shown(url)} answers with status {answered.status}, and with no user")
        return enabled

    async def _log_in(self) -> str:
        answered = await self._outbound.request("POST", self._token_url, {"Content-Type": FORM}, form=self._client)
        said = answered.json() if answered.status == 200 else None
        token = said.get("access_token") if isinstance(said, dict) else None
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise Unreachable(f"{shown(self._token_url)} gives no token: status {answered.status}")
        return token
