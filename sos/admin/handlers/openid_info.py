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
    settings, claims = provider.settings, record.claims
    return {
        "configName": name,
        "userID": str(claims.get(settings.user_claim, "")),
        "userIDClaim": settings.user_claim,
        **some(
            displayName=str(claims.get(settings.readable_claim, "")) if settings.readable_claim else "",
            displayNameClaim=settings.readable_claim,
        ),
    }
