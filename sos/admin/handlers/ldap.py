"""Users and groups of an LDAP directory: what is attached to them, and their access keys.

The directory belongs to the deployment's first account: every call here is about that one, whoever asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ...domain.errors import (
    AccessDenied,
    BadDocument,
    InvalidAdminArgument,
    InvalidRequest,
    NoSuchUser,
    NotEnabled,
)
from ...http.message import Reply
from ...meta.iam import ROOT_ACCOUNT, GroupRecord, KeyKind, KeyRecord, UserRecord
from ...services.identity.access_keys import Parent
from ...services.identity.ldap import PROVIDER, Ldap
from .. import moments
from ..call import Call, some
from .access_keys import NewKey, created, listed
from .listing_keys import KINDS
from .policies import Association

#: Names that one call may ask for: each is a question to the directory.
NAMES_MAX = 100


def directory(call: Call) -> Ldap:
    """:raises NotEnabled:"""
    ldap = call.services.ldap
    if ldap is None or not ldap.enabled:
        raise NotEnabled(what="ldap")
    return ldap


# -- policies --------------------------------------------------------------------------------------------


async def attach_or_detach(call: Call) -> Reply:
    """madmin ``PolicyAssociationReq``; the user by the name that it logs in with or by its distinguished name."""
    ldap, way = directory(call), call.path["way"]
    if way not in ("attach", "detach"):
        raise InvalidAdminArgument("Policies are attached or detached.")
    wanted = await call.sealed_document(Association)
    if bool(wanted.user) == bool(wanted.group) or not wanted.policies:
        raise BadDocument("Policies, and either a user or a group, are needed.")
    target = await ldap.target(wanted.user, wanted.group, way == "attach")
    if not target.group and target.name == call.user:
        raise InvalidRequest("Nobody can change the policies of its own.")
    policies = call.services.identity.policies
    change = policies.attach if way == "attach" else policies.detach
    made = await change(ROOT_ACCOUNT, wanted.policies, target)
    return await call.sealed({f"policies{way.title()}ed": made.changed, "updatedAt": moments.show(made.updated_ns)})


async def entities(call: Call) -> Reply:
    """madmin ``PolicyEntitiesResult``: what is attached to what; all policies, or what concerns the names given."""
    ldap = directory(call)
    users, groups, names = (_bounded(call.query.get(name, [])) for name in ("user", "group", "policy"))
    all_users = {user.name: user for user in await ldap.users()}
    all_groups = {group.name: group for group in await ldap.groups()}
    of_users = [await _user_mapping(ldap, name, all_users, all_groups) for name in users]
    of_groups = [_group_mapping(all_groups[name]) for name in await _group_names(ldap, groups, all_groups)]
    of_policies = (
        _policy_mappings(names, all_users.values(), all_groups.values()) if names or not users + groups else []
    )
    return await call.sealed(
        {
            "timestamp": moments.show(call.request.received_ns),
            **some(
                userMappings=sorted((one for one in of_users if one), key=lambda one: str(one["user"])),
                groupMappings=of_groups,
                policyMappings=of_policies,
            ),
        }
    )


def _bounded(names: list[str]) -> list[str]:
    if len(names) > NAMES_MAX:
        raise InvalidRequest(f"At most {NAMES_MAX} names.")
    return list(dict.fromkeys(name for name in names if name))


async def _user_mapping(
    ldap: Ldap, name: str, users: dict[str, UserRecord], groups: dict[str, GroupRecord]
) -> dict[str, Any]:
    """Empty where nothing is attached."""
    person = await ldap.person(name)
    dn = person.entry.dn if person is not None else name
    members = [groups[group] for group in person.groups if group in groups] if person is not None else []
    policies = sorted(users[dn].policies) if dn in users else []
    if not policies and not members:
        return {}
    return {"user": dn, "policies": policies, **some(memberOfMappings=[_group_mapping(one) for one in members])}


async def _group_names(ldap: Ldap, names: Sequence[str], groups: dict[str, GroupRecord]) -> list[str]:
    found = set()
    for name in names:
        entry = await ldap.group(name)
        found.add(entry.dn if entry is not None else name)
    return sorted(name for name in found if name in groups)


def _group_mapping(group: GroupRecord) -> dict[str, Any]:
    return {"group": group.name, "policies": sorted(group.policies)}


def _policy_mappings(
    names: Sequence[str], users: Iterable[UserRecord], groups: Iterable[GroupRecord]
) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for kind, records in (("users", users), ("groups", groups)):
        for record in records:
            for policy in record.policies:
                if policy in names or not names:
                    found.setdefault(policy, {"policy": policy, "users": [], "groups": []})[kind].append(record.name)
    return [found[name] for name in sorted(found)]


# -- access keys -----------------------------------------------------------------------------------------


async def add_service_account(call: Call) -> Reply:
    """madmin ``AddServiceAccountReq``: for the caller, or for a user by the name that it logs in with."""
    wanted = await call.sealed_document(NewKey)
    return await created(call, wanted, lambda: _parent(call, wanted.target_user))


async def _parent(call: Call, target: str) -> Parent:
    """:raises AccessDenied, NotEnabled, NoSuchUser, LdapNameExpected"""
    if target and not call.names_self(target):
        await call.require("admin:CreateServiceAccount", account=ROOT_ACCOUNT)
        return await directory(call).parent_of(target)
    await call.require("admin:CreateServiceAccount", own=True)
    ldap, origin = directory(call), call.who.origin
    if origin is None:
        raise AccessDenied()
    if origin.provider != PROVIDER or await ldap.user(origin.name) is None:
        raise NoSuchUser("Specified user does not exist on LDAP server")
    return origin


async def list_access_keys(call: Call) -> Reply:
    """The older call: of one user, or the caller's."""
    name = call.get("userDN")
    await call.require("admin:ListServiceAccounts", own=not name or call.names_self(name), account=ROOT_ACCOUNT)
    entry = await directory(call).user(name or call.who.caller.user)
    if entry is None:
        raise NoSuchUser(user=name[:64])
    kinds = KINDS.get(call.get("listType")) or KINDS["all"]
    return await call.sealed(_shown(call, await call.services.identity.access_keys.of(ROOT_ACCOUNT, entry.dn), kinds))


async def list_access_keys_bulk(call: Call) -> Reply:
    """Of some users, of all, or the caller's."""
    names, every = _bounded(call.query.get("userDNs", [])), call.switch("all")
    kinds = KINDS.get(call.get("listType"))
    if every and names:
        raise InvalidRequest("Either users or all can be given.")
    if every:
        await call.require("admin:ListUsers", account=ROOT_ACCOUNT)
    own = not every and await _names_self(call, names)
    await call.require("admin:ListServiceAccounts", own=own, account=ROOT_ACCOUNT)
    ldap = directory(call)
    if kinds is None:
        raise InvalidRequest("listType must be one of users-only, sts-only, svcacc-only, all.")
    found = await (_of_all(call, ldap) if every else _of_some(call, ldap, names or [call.who.caller.user]))
    shown = {name: _shown(call, keys, kinds) for name, keys in sorted(found.items())}
    one_kind = len(kinds) == 1  # then users without such keys are left out
    return await call.sealed({name: lists for name, lists in shown.items() if any(lists.values()) or not one_kind})


async def _names_self(call: Call, names: Sequence[str]) -> bool:
    """Whether some names are all the caller's: that of a user of the directory may be the one that it logs in with."""
    if all(call.names_self(name) for name in names):
        return True
    if len(names) > 1 or call.who.origin is None or call.who.origin.provider != PROVIDER:
        return False
    entry = await directory(call).user(names[0])
    return entry is not None and entry.dn == call.user


async def _of_some(call: Call, ldap: Ldap, names: Sequence[str]) -> dict[str, list[KeyRecord]]:
    """Of those that the directory knows."""
    entries = [await ldap.user(name) for name in names]
    users = dict.fromkeys(entry.dn for entry in entries if entry is not None)
    return {dn: await call.services.identity.access_keys.of(ROOT_ACCOUNT, dn) for dn in users}


async def _of_all(call: Call, ldap: Ldap) -> dict[str, list[KeyRecord]]:
    """Users with something attached, and users with keys."""
    found: dict[str, list[KeyRecord]] = {user.name: [] for user in await ldap.users()}
    for parent, keys in (await call.services.identity.access_keys.every(ROOT_ACCOUNT)).items():
        if of_directory := [key for key in keys if key.provider == PROVIDER]:
            found[parent] = of_directory
    return found


def _shown(call: Call, keys: Sequence[KeyRecord], kinds: Sequence[KeyKind]) -> dict[str, list[dict[str, Any]]]:
    def of(kind: KeyKind) -> list[dict[str, Any]]:
        return [listed(call, one) for one in keys if one.kind == kind and kind in kinds]

    return {"serviceAccounts": of(KeyKind.SERVICE), "stsKeys": of(KeyKind.TEMPORARY)}
