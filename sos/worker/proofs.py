"""Puts together what proves identities that are not kept here: providers, the plugin, certificates."""

from __future__ import annotations

from collections.abc import Callable

from ..config.settings import Settings
from ..services.configuration import Configuration
from ..services.identity import certificates, openid_settings, plugin
from ..services.identity.identity import Identity
from ..services.identity.openid import OpenId
from ..services.identity.outbound import Outbound
from ..services.identity.plugin import IdentityPlugin
from ..services.identity.sts import Sts
from .tls import client_context


def make_sts(identity: Identity, configuration: Configuration, settings: Callable[[], Settings]) -> Sts:
    """The service of temporary credentials, with the checks of what configures it."""

    def region() -> str:
        return configuration.settings().region

    outbound = Outbound(lambda: client_context(settings().certs_dir))
    clock = identity.realm.clock
    openid = OpenId(configuration.enabled, outbound, region, clock)
    hook = IdentityPlugin(configuration.enabled, outbound, region)
    configuration.register_check(openid_settings.SUBSYSTEM, openid.check)
    configuration.register_rule(openid_settings.SUBSYSTEM, openid.check_beside)
    configuration.register_facts(openid_settings.SUBSYSTEM, openid.facts)
    configuration.register_check(plugin.SUBSYSTEM, hook.check)
    configuration.register_check(certificates.SUBSYSTEM, certificates.check)
    return Sts(
        identity,
        openid,
        hook,
        lambda: bool(configuration.enabled(certificates.SUBSYSTEM)),
        lambda: int(settings().sts_duration_s),
    )
