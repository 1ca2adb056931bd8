"""Users. An access key in the query that is the caller's own may be looked at, and its secret changed, unless forbidden."""

from __future__ import annotations

from typing import Any

import msgspec

from ...domain.errors import AccessDenied, BadDocument, CredentialsTaken, InvalidAdminArgument, InvalidRequest
from ...http.message import Reply
from ...meta.iam import ROOT_ACCOUNT, UserRecord
from .. import moments
from ..call import Call, done, enabled, plain, some


class NewUser(msgspec.Struct, rename="camel"):
    """madmin ``AddOrUpdateUserReq``."""

    secret_key: str = ""
    status: str = "enabled"


async def add(call: Call) -> Reply:
    """Make a user, or give one another secret and status."""
    name = call.get("accessKey")
    own = bool(call.user) and name == call.who.access_key == call.user
    await call.require("admin:CreateUser", own=own)
    if name == call.user and not own and call.other is None:
        # even where it may make users: what a session ends or a key's policy binds would be rid of both
        raise AccessDenied("A key of a user cannot change the secret of the user.")
    if name == call.services.identity.accounts.root().root_key:
        raise CredentialsTaken("Credential is not allowed to be same as admin access key")
    wanted = await call.sealed_document(NewUser)
    await call.services.identity.users.put(call.account, name, wanted.secret_key, enabled(wanted.status or "enabled"))
    return done()


async def set_status(call: Call) -> Reply:
    name = call.get("accessKey")
    if call.names_self(name):
        raise InvalidAdminArgument("Nobody can change the status of its own.")
    await call.services.identity.users.set_enabled(call.account, name, call.status())
    return done()


async def remove(call: Call) -> Reply:
    name = call.get("accessKey")
    if call.names_self(name):
        raise InvalidRequest("Nobody can remove its own user.")
    await call.services.identity.users.remove(call.account, name)
    return done()


async def list_all(call: Call) -> Reply:
    """All users, encrypted; those of a directory too to whom something is attached."""
    every = await call.services.identity.users.every(call.account)
    ldap = call.services.ldap
    if ldap is not None and ldap.enabled and call.account == ROOT_ACCOUNT:
        every += await ldap.users()
    return await call.sealed({user.name: _shown(user) for user in every})


async def info(call: Call) -> Reply:
    name = call.get("accessKey")
    if not name:
        raise BadDocument("accessKey is empty.")
    await call.require("admin:GetUser", own=call.names_self(name))
    return plain(_shown(await call.services.identity.users.get(call.account, name)))


def _shown(user: UserRecord) -> dict[str, Any]:
    """madmin ``UserInfo``; secrets are never shown."""
    shown = some(policyName=",".join(user.policies), memberOf=user.groups)
    state = {"status": "enabled" if user.enabled else "disabled", "updatedAt": moments.show(user.updated_ns)}
    return {**shown, **state}
