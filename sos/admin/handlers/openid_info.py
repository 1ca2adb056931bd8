"""What is known of the user of a provider to whom a key belongs."""

from __future__ import annotations

from ...meta.iam import KeyRecord
from ..call import Call, some


def openid_info(call: Call, record: KeyRecord) -> dict[str, str]:
    """madmin ``OpenIDSpecificAccessKeyInfo``."""
    name = record.provider.partition(":")[2]
    openid = call.services.openid
    provider = openid.providers().get(name) if openid is not None else None
    if provider is None:
        return {"configName": name}
    settings = provider.settings
    return {
        "configName": name,
        "userID": claim_of(record, settings.user_claim),
        "userIDClaim": settings.user_claim,
        **some(
            displayName=claim_of(record, settings.readable_claim),
            displayNameClaim=settings.readable_claim,
        ),
    }


def claim_of(record: KeyRecord, name: str) -> str:
    """A claim that a provider vouched for; keys that a session made know only what policies can ask for."""
    value = record.claims.get(name) or record.claims.get(f"jwt:{name}") if name else ""
    return value if isinstance(value, str) else ""
