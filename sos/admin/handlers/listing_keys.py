"""Lists of the keys of users."""

from __future__ import annotations

from typing import Any

from ...domain.errors import InvalidAdminArgument, InvalidRequest, NoSuchUser
from ...http.message import Reply
from ...meta.iam import KeyKind, KeyRecord
from ..call import Call
from .access_keys import listed, root_key

KINDS: dict[str, tuple[KeyKind, ...]] = {
    "users-only": (),
    "sts-only": (KeyKind.TEMPORARY,),
    "svcacc-only": (KeyKind.SERVICE,),
    "all": (KeyKind.SERVICE, KeyKind.TEMPORARY),
}


async def list_service_accounts(call: Call) -> Reply:
    """Of one user; without one, the caller's."""
    user = call.get("user")
    own = not user or call.names_self(user)
    await call.require("admin:ListServiceAccounts", own=own)
    parent = call.user if own else await _parent(call, user)
    keys = await call.services.identity.access_keys.of(call.account, parent)
    return await call.sealed({"accounts": [listed(call, one) for one in keys if one.kind == KeyKind.SERVICE]})


async def list_bulk(call: Call) -> Reply:
    """Of some users, of all, or the caller's."""
    users, every = [name for name in call.query.get("users", []) if name], call.switch("all")
    kinds = KINDS.get(call.get("listType"))
    if kinds is None:
        raise InvalidAdminArgument("listType must be one of users-only, sts-only, svcacc-only, all.")
    if every and users:
        raise InvalidRequest("Either users or all can be given.")
    own = not every and all(call.names_self(name) for name in users)
    if every:
        await call.require("admin:ListUsers")
    await call.require("admin:ListServiceAccounts", own=own)
    keys = await (_of_all(call) if every else _of_some(call, users))
    shown = {name: _shown(call, keys[name], kinds) for name in sorted(keys)}
    if len(kinds) == 1:  # of one kind of keys: those who have any
        shown = {name: lists for name, lists in shown.items() if any(lists.values())}
    return await call.sealed(shown)


async def _of_all(call: Call) -> dict[str, list[KeyRecord]]:
    identity = call.services.identity
    found: dict[str, list[KeyRecord]] = {user.name: [] for user in await identity.users.every(call.account)}
    found[root_key(call)] = []
    for parent, keys in (await identity.access_keys.every(call.account)).items():
        found[parent or root_key(call)] = keys
    return found


async def _of_some(call: Call, users: list[str]) -> dict[str, list[KeyRecord]]:
    keys = call.services.identity.access_keys
    if not users:
        return {root_key(call) if call.other is not None else call.who.caller.user: await keys.of(call.account, call.user)}
    return {name: await keys.of(call.account, await _parent(call, name)) for name in users}


async def _parent(call: Call, name: str) -> str:
    """The parent of a user's keys: empty for the root of the account. :raises NoSuchUser:"""
    if name == root_key(call):
        return ""
    if call.names_self(name):
        return call.user
    try:
        await call.services.identity.users.get(call.account, name)
    except NoSuchUser:
        if not await call.services.identity.access_keys.of(call.account, name):
            raise
    return name


def _shown(call: Call, keys: list[KeyRecord], kinds: tuple[KeyKind, ...]) -> dict[str, list[dict[str, Any]]]:
    def of(kind: KeyKind) -> list[dict[str, Any]]:
        return [listed(call, one) for one in keys if one.kind == kind and kind in kinds]

    return {"serviceAccounts": of(KeyKind.SERVICE), "stsKeys": of(KeyKind.TEMPORARY)}
