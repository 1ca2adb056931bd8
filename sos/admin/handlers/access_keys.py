"""Service accounts and temporary credentials.

Everybody may do with its own keys what no policy forbids (``own``). A key that a session policy binds may not change any
of them that way: with another policy of its own, or the secret of a key that is not bound, nothing would bind it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from ...domain.errors import (
    AccessDenied,
    CredentialsTaken,
    InvalidArgument,
    InvalidRequest,
    NoSuchAccessKey,
    NoSuchServiceAccount,
    NoSuchUser,
    ServiceAccountNotAllowed,
    UnknownCall,
)
from ...domain.policy.builtin import builtin_json
from ...domain.policy.document import VERSION
from ...http.message import Reply
from ...meta.iam import ROOT_ACCOUNT, KeyKind, KeyRecord
from ...services.identity.access_keys import NewService, Parent, ServiceUpdate
from ...services.identity.ldap import USERNAME
from .. import moments
from ..call import Call, done, some
from .openid_info import openid_info

DURATION = "svc:DurationSeconds"
"""Condition key: for how long a new service account is asked for."""
TAKEN = "Specified service account action is not allowed: the service account access key is taken by another user"
PROVIDERS = ("builtin", "ldap", "openid")


class NewKey(msgspec.Struct, rename="camel"):
    """madmin ``AddServiceAccountReq``."""

    policy: msgspec.Raw = msgspec.Raw(b"null")
    target_user: str = ""
    access_key: str = ""
    secret_key: str = ""
    name: str = ""
    description: str = ""
    comment: str = ""
    expiration: str | None = None


class KeyUpdate(msgspec.Struct, rename="camel"):
    """madmin ``UpdateServiceAccountReq``."""

    new_policy: msgspec.Raw = msgspec.Raw(b"null")
    new_secret_key: str = ""
    new_status: str = ""
    new_name: str = ""
    new_description: str = ""
    new_expiration: str | None = None


async def add(call: Call) -> Reply:
    wanted = await call.sealed_document(NewKey)
    return await created(call, wanted, lambda: _parent(call, wanted.target_user))


async def created(call: Call, wanted: NewKey, parent_of: Callable[[], Awaitable[Parent]]) -> Reply:
    """Make a service account.

    :param parent_of: decides whom it will belong to, and whether the caller may do that
    """
    expires_ns = _second(wanted.expiration) if wanted.expiration else 0
    if expires_ns:
        call.facts[DURATION] = (str((expires_ns - call.request.received_ns) // moments.NS_PER_S),)
    parent = await parent_of()
    service = NewService(
        wanted.access_key,
        wanted.secret_key,
        _policy(wanted.policy) or b"",
        wanted.name,
        wanted.description or wanted.comment,
        expires_ns,
    )
    try:
        made = await call.services.identity.access_keys.create(parent, service)
    except CredentialsTaken:
        if wanted.access_key == call.services.identity.accounts.root().root_key:
            raise
        raise ServiceAccountNotAllowed(TAKEN) from None
    expiration = moments.show(made.expires_ns, moments.EPOCH)
    credentials = {"accessKey": made.access_key, "secretKey": made.secret, "expiration": expiration}
    return await call.sealed({"credentials": credentials})


def _second(text: str) -> int:
    """A moment without its fraction, as clients show it in tables."""
    return moments.parse(text) // moments.NS_PER_S * moments.NS_PER_S


async def _parent(call: Call, target: str) -> Parent:
    """Whom a new key will belong to. :raises AccessDenied:"""
    if not target or call.names_self(target):
        await call.require("admin:CreateServiceAccount", own=True)
        if call.who.origin is None:
            raise AccessDenied()
        if call.other is not None:  # A01: what binds the key binds what it makes there too
            return Parent(call.account, "", inherited=call.who.origin.inherited)
        return call.who.origin
    await call.require("admin:CreateServiceAccount")
    if target == call.services.identity.accounts.root().root_key:
        raise AccessDenied("Only root can make access keys of root.")
    ldap = call.services.ldap
    if ldap is not None and ldap.enabled and call.account == ROOT_ACCOUNT and not await _is_user(call, target):
        return await ldap.parent_of(target)
    return Parent(call.account, target)


async def _is_user(call: Call, name: str) -> bool:
    try:
        await call.services.identity.users.get(call.account, name)
    except NoSuchUser:
        return False
    return True


async def update(call: Call) -> Reply:
    record = await _service(call, "admin:UpdateServiceAccount", change=True)
    wanted = await call.sealed_document(KeyUpdate)
    if wanted.new_status not in ("", "on", "off"):
        raise InvalidRequest("The status of an access key must be on or off.")
    change = ServiceUpdate(
        wanted.new_secret_key or None,
        _policy(wanted.new_policy),
        wanted.new_status == "on" if wanted.new_status else None,
        wanted.new_name or None,
        wanted.new_description or None,
        _second(wanted.new_expiration) if wanted.new_expiration else None,
    )
    await call.services.identity.access_keys.update(record.access_key, change)
    return done(204)


async def remove(call: Call) -> Reply:
    try:
        record = await _service(call, "admin:RemoveServiceAccount")
    except NoSuchServiceAccount:
        # without the reason that all other calls give in parentheses
        raise NoSuchServiceAccount("The specified service account is not found") from None
    await call.services.identity.access_keys.remove(record.access_key)
    return done(204)


async def info(call: Call) -> Reply:
    record = await _key(call, KeyKind.SERVICE, "admin:ListServiceAccounts", itself=True)
    return await call.sealed(await described(call, record))


async def temporary_info(call: Call) -> Reply:
    record = await _key(call, KeyKind.TEMPORARY, "admin:ListTemporaryAccounts", itself=True)
    return await call.sealed(await described(call, record))


async def any_info(call: Call) -> Reply:
    """A service account or temporary credentials; without a name the caller's own key."""
    name = call.get("accessKey") or call.who.access_key
    record = await _key(call, None, "admin:ListServiceAccounts", name, itself=True)
    provider = record.provider.partition(":")[0]
    kind = "STS" if record.kind == KeyKind.TEMPORARY else "Service Account"
    more: dict[str, Any] = {"AccessKey": record.access_key, "userType": kind, "userProvider": provider}
    if provider == "ldap":
        more["ldapSpecificInfo"] = some(username=str(record.claims.get(USERNAME, "")))
    if provider == "openid":
        more["openIDSpecificInfo"] = openid_info(call, record)
    return await call.sealed({**await described(call, record), **more})


async def revoke(call: Call) -> Reply:
    """End temporary credentials of a user: of one type, or all of them."""
    provider, user, token_type = call.path["provider"], call.get("user"), call.get("tokenRevokeType")
    every = call.switch("fullRevoke")
    if provider not in PROVIDERS:
        raise UnknownCall()
    if (token_type and every) or (user and not token_type and not every):
        raise InvalidRequest("Either tokenRevokeType or fullRevoke is needed.")
    own = not user or call.names_self(user)
    await call.require("admin:RemoveServiceAccount", own=own)
    parent = call.user if own else user
    ldap = call.services.ldap
    if provider == "ldap" and not own and ldap is not None and ldap.enabled:
        entry = await ldap.user(user)
        parent = entry.dn if entry is not None else user  # keys of who is gone from the directory can be ended too
    if not token_type and not every:
        token_type = await _own_type(call)
    await call.services.identity.access_keys.revoke(call.account, parent, token_type, every)
    return done(204)


async def _own_type(call: Call) -> str:
    """By which the session that asks can be revoked. :raises InvalidArgument: by none, or it is no session"""
    with contextlib.suppress(NoSuchAccessKey):
        record = await call.services.identity.access_keys.get(call.who.access_key, KeyKind.TEMPORARY)
        if token_type := record.claims.get("tokenRevokeType"):
            return str(token_type)
    raise InvalidArgument("No token revoke type specified and one could not be inferred from the request")


# -- finding ---------------------------------------------------------------------------------------------


async def _service(call: Call, action: str, *, change: bool = False) -> KeyRecord:
    return await _key(call, KeyKind.SERVICE, action, change=change)


async def _key(
    call: Call, kind: KeyKind | None, action: str, name: str = "", *, change: bool = False, itself: bool = False
) -> KeyRecord:
    """A key, once the caller may do something with it; who may not does not learn whether there is one.

    :param itself: it needs no right for the key that it signs with
    :raises NoSuchAccessKey, NoSuchServiceAccount, AccessDenied
    """
    try:
        record = await call.services.identity.access_keys.get(name or call.get("accessKey"), kind)
    except NoSuchAccessKey:
        await call.require(action)
        if kind is KeyKind.SERVICE:
            raise NoSuchServiceAccount() from None
        raise
    if itself and record.access_key == call.who.access_key:
        return record
    provider = call.who.origin.provider if call.who.origin is not None and call.other is None else "builtin"
    own = (record.account, record.parent, record.provider) == (call.account, call.user, provider)
    if change and call.who.sessions:
        own = False
    await call.require(action, own=own, account=record.account)
    return record


def parent_name(call: Call, record: KeyRecord) -> str:
    """The user that a key belongs to, or the root of the account by its key."""
    return record.parent or root_key(call)


def root_key(call: Call) -> str:
    """Of the account that is administered."""
    if call.other is not None:
        return call.other.root_key
    record = call.services.identity.directory.account(call.account)
    return record.root_key if record is not None else call.who.caller.user


# -- showing ---------------------------------------------------------------------------------------------


def listed(call: Call, record: KeyRecord) -> dict[str, Any]:
    """madmin ``ServiceAccountInfo``."""
    return {
        "parentUser": parent_name(call, record),
        "accountStatus": "on" if record.enabled else "off",
        "impliedPolicy": not record.session_policy,
        "accessKey": record.access_key,
        **some(name=record.name, description=record.description),
        "expiration": moments.show(record.expires_ns, moments.EPOCH),
    }


async def described(call: Call, record: KeyRecord) -> dict[str, Any]:
    """madmin ``InfoServiceAccountResp``: as listed, with the policy that binds the key."""
    shown = listed(call, record)
    del shown["accessKey"]
    if not record.expires_ns:
        del shown["expiration"]
    document = record.session_policy or await _implied(call, record)
    return {**shown, "policy": msgspec.json.format(document, indent=1).decode()}


async def _implied(call: Call, record: KeyRecord) -> bytes:
    """What a key without a policy of its own may do: what its parent may."""
    if not record.parent:
        return builtin_json()["consoleAdmin"]
    known = call.services.identity.directory.find(record.access_key)
    names = known.principal.policy_names if known is not None else record.policies
    return await combined(call, names)


async def combined(call: Call, names: tuple[str, ...]) -> bytes:
    """The statements of some policies as one document."""
    policies = call.services.identity.policies
    every = {one.name: one.document for one in await policies.every(call.account)} if names else {}
    statements = [each for name in names if name in every for each in msgspec.json.decode(every[name])["Statement"]]
    return msgspec.json.encode({"Version": VERSION, "Statement": statements})


def _policy(raw: msgspec.Raw) -> bytes | None:
    """None where none is given; empty for a document without version and statements, by which clients take one away."""
    text = bytes(raw)
    if text in (b"", b"null", b'""'):
        return None
    try:
        content = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return text
    bare = isinstance(content, dict) and {name.lower() for name in content} <= {"version", "statement"}
    return b"" if bare and not any(content.values()) else text
