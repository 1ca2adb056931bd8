"""The keys of users of OpenID Connect providers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...domain.errors import InvalidRequest, NoSuchSetting, NotEnabled
from ...http.message import Reply
from ...meta.iam import KeyKind, KeyRecord
from ...services.identity.openid_settings import DEFAULT_TARGET, ProviderSettings
from .. import moments
from ..call import Call
from .listing_keys import KINDS
from .openid_info import claim_of

PREFIX = "openid:"


async def list_bulk(call: Call) -> Reply:
    """Of some users, of all, or the caller's; by provider."""
    wanted = [name for name in call.query.get("users", []) if name]
    providers, every = _providers(call), call.switch("all")
    kinds = KINDS.get(call.get("listType"))
    if kinds is None or (every and wanted):
        raise InvalidRequest("invalid list type" if kinds is None else "Either users or all can be given.")
    own = not every and (not wanted or wanted == [call.who.caller.user])
    if every:
        await call.require("admin:ListUsers")
    await call.require("admin:ListServiceAccounts", own=own)
    if own and not wanted:
        wanted = [call.who.caller.user]
    found = await call.services.identity.access_keys.every(call.account)
    return await call.sealed([_shown(provider, found, wanted, kinds) for provider in providers])


def _providers(call: Call) -> list[ProviderSettings]:
    """Those that the call is about, by name. :raises NotEnabled, NoSuchSetting"""
    openid = call.services.openid
    known = {name: one.settings for name, one in openid.providers().items()} if openid is not None else {}
    if not known:
        raise NotEnabled(what="openid")
    if call.switch("allConfigs"):
        return [known[name] for name in sorted(known)]
    name = call.get("configName") or DEFAULT_TARGET
    if name not in known:
        raise NoSuchSetting("No such named configuration target exists")
    return [known[name]]


def _shown(
    provider: ProviderSettings, found: Mapping[str, list[KeyRecord]], wanted: list[str], kinds: tuple[KeyKind, ...]
) -> dict[str, Any]:
    """madmin ``ListAccessKeysOpenIDResp``."""
    users = []
    for parent in sorted(found):
        keys = [one for one in found[parent] if one.provider == provider.origin]
        user_id = _claim(keys, provider.user_claim)
        if keys and (not wanted or parent in wanted or user_id in wanted):
            users.append(
                {
                    "minioAccessKey": parent,
                    "ID": user_id,
                    "readableName": _claim(keys, provider.readable_claim),
                    "serviceAccounts": _of(keys, KeyKind.SERVICE, kinds),
                    "stsKeys": _of(keys, KeyKind.TEMPORARY, kinds),
                }
            )
    return {"configName": provider.name, "users": users}


def _of(keys: list[KeyRecord], kind: KeyKind, kinds: tuple[KeyKind, ...]) -> list[dict[str, Any]]:
    if kind not in kinds:
        return []
    return [
        {"accessKey": one.access_key, "expiration": moments.show(one.expires_ns, moments.EPOCH)}
        for one in keys
        if one.kind == kind
    ]


def _claim(keys: list[KeyRecord], name: str) -> str:
    """What the keys of a user say of it by a claim."""
    return next((value for one in keys if (value := claim_of(one, name))), "")
