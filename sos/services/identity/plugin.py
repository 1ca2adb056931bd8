"""The identity plugin: a web hook that says whose an opaque token is. Source: MinIO's ``internal/config/identity/plugin``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...domain.errors import SettingRefused
from . import arns, rules
from .openid import TargetsOf
from .openid_settings import DEFAULT_TARGET, BadProvider, names_of
from .outbound import Outbound, Unreachable, check_url
from .sts_errors import InvalidParameter, UpstreamFailed

SUBSYSTEM = "identity_plugin"
REASON_CHARS_MAX = 256
_ROLE_ID = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class PluginSettings:
    """:param authorisation: value of the header that the plugin knows this server by"""

    url: str
    arn: str
    policies: tuple[str, ...]
    authorisation: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Vouched:
    """Whom the plugin knows by a token, and for how long, in seconds."""

    user: str
    valid_s: int
    claims: Mapping[str, Any]


def read_plugin(values: Mapping[str, str], region: str) -> PluginSettings | None:
    """None where no URL is given. :raises BadProvider:"""
    url, role, policies = values.get("url", ""), values.get("role_id", ""), names_of(values.get("role_policy", ""))
    if not url:
        return None
    try:
        check_url(url)
    except Unreachable as error:
        raise BadProvider(f"url: {error}") from None
    if not policies:
        raise BadProvider("A role policy must be specified for Identity Management Plugin")
    if role and _ROLE_ID.fullmatch(role) is None:
        raise BadProvider("Role ID must match the regexp `^[a-zA-Z0-9_-]+$`")
    arn = arns.role_arn(f"idmp-{role or arns.hashed(url)}", region)
    return PluginSettings(url, arn, policies, values.get("auth_token", ""))


class IdentityPlugin:
    """:param region: of this server"""

    def __init__(self, targets: TargetsOf, outbound: Outbound, region: Callable[[], str]) -> None:
        self._targets = targets
        self._outbound = outbound
        self._region = region

    def settings(self) -> PluginSettings | None:
        """None where there is no plugin, or none that can be used."""
        try:
            return read_plugin(self._targets(SUBSYSTEM).get(DEFAULT_TARGET, {}), self._region())
        except BadProvider:
            return None

    async def ask(self, settings: PluginSettings, token: str) -> Vouched:
        """:raises InvalidParameter: no answer that can be used
        :raises UpstreamFailed: the plugin refuses the token
        """
        try:
            answered = await self._outbound.request("POST", settings.url, _headers(settings), {"token": token})
            said = answered.json() if answered.status in (200, 403) else None
        except Unreachable as error:
            raise InvalidParameter(str(error)) from None
        if not isinstance(said, dict):
            raise InvalidParameter(f"Invalid status code {answered.status} from auth plugin")
        if answered.status == 403:
            raise UpstreamFailed(str(said.get("reason", ""))[:REASON_CHARS_MAX])
        return _vouched(said)

    async def check(self, values: Mapping[str, str]) -> None:
        """Try the settings of a plugin before they are taken over.

        :raises SettingRefused: they cannot be used, or the plugin cannot be reached
        """
        try:
            settings = read_plugin(values, self._region())
            if settings is not None:
                await self._outbound.request("POST", settings.url, _headers(settings))
        except (BadProvider, Unreachable) as error:
            raise SettingRefused(str(error)) from None


def _headers(settings: PluginSettings) -> dict[str, str]:
    return {"Authorization": settings.authorisation} if settings.authorisation else {}


def _vouched(said: Mapping[str, Any]) -> Vouched:
    user, valid_s, claims = said.get("user"), said.get("maxValiditySeconds"), said.get("claims")
    low, high = rules.SESSION_S_MIN, rules.SESSION_S_MAX
    if not isinstance(valid_s, int) or isinstance(valid_s, bool) or not low <= valid_s <= high:
        raise InvalidParameter(f"Plugin returned an invalid validity duration - should be between {low} and {high}")
    if not isinstance(user, str) or not user:
        raise UpstreamFailed("A valid user was not returned by the authenticator.")
    return Vouched(user, valid_s, claims if isinstance(claims, dict) else {})
