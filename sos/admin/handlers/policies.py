"""Policies by name, and what they are attached to."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec

from ...domain.errors import BadDocument, InvalidRequest, NoSuchPolicy, NoSuchUser, UnknownCall
from ...http.message import Reply
from ...meta.iam import GroupRecord, PolicyRecord, UserRecord
from ...services.identity.policies import Target
from .. import moments
from ..call import JSON, Call, done, plain, some

IN_LDAP = "The specified user does not exist. If you meant a user in LDAP, use `mc idp ldap`"


class Association(msgspec.Struct):
    """madmin ``PolicyAssociationReq``: exactly one of ``user`` and ``group``."""

    policies: list[str]
    user: str = ""
    group: str = ""


async def add(call: Call) -> Reply:
    await call.services.identity.policies.put(call.account, call.get("name"), await call.document())
    return done()


async def info(call: Call) -> Reply:
    """The document alone, or with ``v=2`` what is known of it too."""
    record = await call.services.identity.policies.get(call.account, call.get("name"))
    if call.get("v") != "2":
        return Reply(200, [JSON], record.document)
    times = {"CreateDate": record.created_ns, "UpdateDate": record.updated_ns}
    shown = {name: moments.show(ns) for name, ns in times.items() if ns}
    return plain({"PolicyName": record.name, "Policy": msgspec.Raw(record.document), **shown})


async def list_all(call: Call) -> Reply:
    every = await call.services.identity.policies.every(call.account)
    return plain({record.name: msgspec.Raw(record.document) for record in every})


async def remove(call: Call) -> Reply:
    """A success where there is none, too, as clients expect it."""
    with contextlib.suppress(NoSuchPolicy):
        await call.services.identity.policies.remove(call.account, call.get("name"))
    return done()


async def set_all(call: Call) -> Reply:
    """The older call: what is attached is replaced."""
    names = [name.strip() for name in call.get("policyName").split(",") if name.strip()]
    target = Target(call.get("userOrGroup"), call.switch("isGroup"))
    await call.services.identity.policies.set(call.account, names, target)
    return done()


async def attach_or_detach(call: Call) -> Reply:
    policies, way = call.services.identity.policies, call.path["way"]
    if way not in ("attach", "detach"):
        raise UnknownCall()
    wanted = await call.sealed_document(Association)
    if bool(wanted.user) == bool(wanted.group) or not wanted.policies:
        raise BadDocument("Policies, and either a user or a group, are needed.")
    if wanted.user and call.names_self(wanted.user):
        raise InvalidRequest("Nobody can change the policies of its own.")
    target = Target(wanted.group or wanted.user, bool(wanted.group))
    change = policies.attach if way == "attach" else policies.detach
    try:
        made = await change(call.account, wanted.policies, target)
    except NoSuchUser as error:
        ldap = call.services.ldap
        if ldap is None or not ldap.enabled:
            raise
        raise NoSuchUser(IN_LDAP) from error
    return await call.sealed({f"policies{way.title()}ed": made.changed, "updatedAt": moments.show(made.updated_ns)})


async def entities(call: Call) -> Reply:
    """What concerns the users, groups and policies named; where none is named, of each policy in use who uses it."""
    users, groups, names = (call.query.get(name, []) for name in ("user", "group", "policy"))
    identity = call.services.identity
    all_users = {user.name: user for user in await identity.users.every(call.account)}
    all_groups = {group.name: group for group in await identity.groups.every(call.account)}
    every = not (users or groups or names)
    of_users = [_user_mapping(all_users[name], all_groups) for name in sorted(users) if name in all_users]
    of_groups = [_group_mapping(all_groups[name]) for name in sorted(groups) if name in all_groups]
    records = await identity.policies.every(call.account) if every or names else []
    of_policies = [await _policy_mapping(call, one) for one in records if every or one.name in names]
    return await call.sealed(
        {
            "timestamp": moments.show(call.request.received_ns),
            **some(
                userMappings=[one for one in of_users if one["policies"] or "memberOfMappings" in one],
                groupMappings=of_groups,
                policyMappings=[one for one in of_policies if one["users"] or one["groups"]],
            ),
        }
    )


def _group_mapping(group: GroupRecord) -> dict[str, Any]:
    return {"group": group.name, "policies": sorted(group.policies)}


def _user_mapping(user: UserRecord, groups: dict[str, GroupRecord]) -> dict[str, Any]:
    members = [_group_mapping(groups[name]) for name in sorted(user.groups) if name in groups]
    return {"user": user.name, "policies": sorted(user.policies), **some(memberOfMappings=members)}


async def _policy_mapping(call: Call, record: PolicyRecord) -> dict[str, Any]:
    uses = await call.services.identity.policies.uses(call.account, record.name)
    return {"policy": record.name, "users": sorted(uses.users), "groups": sorted(uses.groups)}
