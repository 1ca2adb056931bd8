"""The OpenID Connect providers of this server, as they are configured now.

Each worker has its own memory of their keys. A provider that is down is nobody else's matter: only those who come with its
tokens wait, and not for long.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ...domain.errors import SettingRefused
from . import arns
from .keycloak import Keycloak
from .openid_keys import ProviderKeys
from .openid_settings import SUBSYSTEM, BadProvider, ProviderSettings, Targets, facts_of, read_provider, read_providers
from .openid_tokens import Claims, verify, with_userinfo
from .outbound import Outbound, Unreachable
from .sts_errors import InvalidParameter

log = logging.getLogger("sos.identity")

TargetsOf = Callable[[str], Targets]
"""Subsystem → enabled target → key → value: the configuration in force."""


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider and its keys."""

    settings: ProviderSettings
    keys: ProviderKeys


@dataclass(frozen=True, slots=True)
class Proven:
    """What a token has proved."""

    provider: ProviderSettings
    claims: Claims


class OpenId:
    """:param region: of this server
    :param clock: wall clock, nanoseconds
    """

    def __init__(
        self,
        targets: TargetsOf,
        outbound: Outbound,
        region: Callable[[], str],
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._targets = targets
        self._outbound = outbound
        self._region = region
        self._clock = clock
        self._of: tuple[Targets, str] | None = None
        self._providers: dict[str, Provider] = {}

    def providers(self) -> dict[str, Provider]:
        """The enabled providers by name. What is remembered of one is forgotten when its settings change."""
        targets, region = self._targets(SUBSYSTEM), self._region()
        if self._of != (targets, region):
            found, wrong = read_providers(targets, region)
            for name, problem in wrong.items():
                log.error("identity provider %s is left out: %s", name, problem)
            self._providers = {name: self._keep(name, settings) for name, settings in found.items()}
            self._of = ({name: dict(values) for name, values in targets.items()}, region)
        return self._providers

    def _keep(self, name: str, settings: ProviderSettings) -> Provider:
        old = self._providers.get(name)
        if old is not None and old.settings.config_url == settings.config_url:
            return Provider(settings, old.keys)
        return Provider(settings, ProviderKeys(settings.config_url, self._outbound))

    async def prove(self, arn: str, token: str, access_token: str = "") -> Proven:
        """Whose token this is.

        :param arn: of the role asked for; empty for policies by a claim
        :raises InvalidParameter, ExpiredToken
        """
        provider = self._provider(arn)
        try:
            claims = await verify(token, provider.settings, provider.keys, self._clock() / 1e9)
            if provider.settings.userinfo:
                claims = await with_userinfo(claims, access_token, provider.keys, self._outbound)
        except Unreachable as error:
            raise InvalidParameter(str(error)) from None
        return Proven(provider.settings, claims)

    def _provider(self, arn: str) -> Provider:
        providers = self.providers().values()
        by_claim = next((one for one in providers if not one.settings.arn), None)
        if arn:
            try:
                arns.check_arn(arn)
                found = next((one for one in providers if one.settings.arn == arn), None)
                problem = f"RoleARN {arn[:256]} is not defined."
            except arns.BadArn as error:
                found, problem = None, f"RoleARN parse err: {error}"
            if found is not None:
                return found
            if by_claim is None:
                raise InvalidParameter(f"Error processing RoleArn parameter: {problem}")
        if by_claim is None:  # SDKs always send an ARN; with a provider by claim any will do
            raise InvalidParameter(f"Role {arns.role_arn(arns.BY_CLAIM, '')} does not exist")
        return by_claim

    async def keycloak(self, provider: Provider) -> Keycloak:
        """Where to ask who is still there. :raises Unreachable:"""
        settings = provider.settings
        assert settings.keycloak is not None
        token_url = (await provider.keys.discovery()).token
        return Keycloak(settings.keycloak, self._outbound, token_url, settings.client_id, settings.client_secret)

    def facts(self, name: str, values: Mapping[str, str]) -> dict[str, str]:
        """What follows from the settings of a provider."""
        return facts_of(name, values, self._region())

    def check_beside(self, targets: Targets) -> None:
        """:raises SettingRefused: some of the providers cannot be used beside each other"""
        _, wrong = read_providers(targets, self._region())
        for name, problem in wrong.items():
            raise SettingRefused(f"{name}: {problem}")

    async def check(self, values: Mapping[str, str]) -> None:
        """Try the settings of a provider before they are taken over.

        :raises SettingRefused: they cannot be used, or the provider cannot be reached
        """
        try:
            settings = read_provider("", values, self._region())
            keys = ProviderKeys(settings.config_url, self._outbound)
            await keys.fetch()
            if settings.keycloak is not None and not (await keys.discovery()).token:
                raise BadProvider("missing OpenID token endpoint")
        except (BadProvider, Unreachable) as error:
            raise SettingRefused(str(error)) from None
