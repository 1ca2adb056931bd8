"""What subsystem ``identity_openid`` says: one provider a target. Pure.

Rules and texts are MinIO's: a provider either has a role (``role_policy``), or its tokens name policies in a claim; of the
latter kind there can be only one, since nothing in a request would tell them apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from . import arns
from .keycloak import KeycloakSettings
from .outbound import Unreachable, check_url

SUBSYSTEM = "identity_openid"
DEFAULT_TARGET = "_"
POLICY_CLAIM = "policy"
Targets = Mapping[str, Mapping[str, str]]


class BadProvider(ValueError):
    """A configuration that cannot be used; the message is for the operator."""


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """One provider.

    :param arn: of its role; empty where policies come from a claim
    :param policies: of its role
    :param claim: that names policies, with its prefix
    :param keycloak: where it can be asked who is still there
    :param user_claim: what identifies a user to people who administer keys
    """

    name: str
    config_url: str
    client_id: str
    client_secret: str = field(default="", repr=False)
    claim: str = POLICY_CLAIM
    userinfo: bool = False
    arn: str = ""
    policies: tuple[str, ...] = ()
    display_name: str = ""
    readable_claim: str = ""
    user_claim: str = "sub"
    keycloak: KeycloakSettings | None = None

    @property
    def origin(self) -> str:
        """How the keys of its users name it."""
        return f"openid:{self.name}"


def read_providers(targets: Targets, region: str) -> tuple[dict[str, ProviderSettings], dict[str, str]]:
    """Providers by name; and what is wrong with those that are left out, by name: the others go on.

    :param targets: those that are enabled
    :param region: of this server; names of roles hold it
    """
    found: dict[str, ProviderSettings] = {}
    wrong: dict[str, str] = {}
    for name, values in sorted(targets.items()):
        try:
            provider = read_provider(name, values, region)
            _check_beside(provider, found)
        except BadProvider as error:
            wrong[name] = str(error)
        else:
            found[name] = provider
    return found, wrong


def _check_beside(provider: ProviderSettings, others: Mapping[str, ProviderSettings]) -> None:
    if any(one.client_id == provider.client_id for one in others.values()):
        raise BadProvider(f"Client ID {provider.client_id} is present with multiple OpenID configurations")
    if not provider.arn and any(not one.arn for one in others.values()):
        raise BadProvider("Only one OpenID provider can be configured if not using role policy mapping")


def read_provider(name: str, values: Mapping[str, str], region: str) -> ProviderSettings:
    """:raises BadProvider:"""
    client_id, claim = values.get("client_id", ""), values.get("claim_name", "") or POLICY_CLAIM
    policies = names_of(values.get("role_policy", ""))
    try:
        url = check_url(values.get("config_url", ""))
    except Unreachable as error:
        raise BadProvider(f"config_url: {error}") from None
    if not client_id:
        raise BadProvider("client ID must not be empty")
    if policies and claim != POLICY_CLAIM:
        raise BadProvider(
            f"Role Policy (=`{values.get('role_policy', '')}`) and Claim Name (=`{claim}`) cannot both be set"
        )
    return ProviderSettings(
        name,
        url,
        client_id,
        values.get("client_secret", ""),
        values.get("claim_prefix", "") + claim,
        values.get("claim_userinfo", "").lower() == "on",
        arns.role_arn(arns.hashed(client_id), region) if policies else "",
        policies,
        values.get("display_name", ""),
        values.get("user_readable_claim", ""),
        values.get("user_id_claim", "") or "sub",
        _keycloak(values),
    )


def _keycloak(values: Mapping[str, str]) -> KeycloakSettings | None:
    vendor, url = values.get("vendor", ""), values.get("keycloak_admin_url", "")
    if not vendor:
        return None
    if vendor != "keycloak":
        raise BadProvider(f"Unsupported vendor {vendor[:64]}")
    if not url:
        raise BadProvider("Admin URL cannot be empty")
    try:
        return KeycloakSettings(check_url(url), values.get("keycloak_realm", "") or "master")
    except Unreachable as error:
        raise BadProvider(f"keycloak_admin_url: {error}") from None


def facts_of(name: str, values: Mapping[str, str], region: str) -> dict[str, str]:
    """What follows from the settings of a provider, for who asks: the name of its role."""
    try:
        arn = read_provider(name, values, region).arn
    except BadProvider:
        return {}
    return {"roleARN": arn} if arn else {}


def names_of(text: str) -> tuple[str, ...]:
    """Names between commas; empty ones count for nothing."""
    return tuple(dict.fromkeys(name for part in text.split(",") if (name := part.strip())))
