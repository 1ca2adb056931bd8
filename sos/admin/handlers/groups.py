"""Groups."""

from __future__ import annotations

import msgspec

from ...http.message import Reply
from .. import moments
from ..call import Call, done, plain


class Members(msgspec.Struct, rename="camel"):
    """madmin ``GroupAddRemove``."""

    group: str
    members: list[str] | None = None
    group_status: str = ""
    is_remove: bool = False


async def update_members(call: Call) -> Reply:
    """Add members, and the group if there is none; or take them out; or, without members, remove the group."""
    wanted = await call.parsed(Members)
    groups, members = call.services.identity.groups, wanted.members or []
    if not wanted.is_remove:
        await call.require("admin:AddUserToGroup")
        # clients always send "enabled": a group that was disabled stays so
        await groups.add(call.account, wanted.group, members, False if wanted.group_status == "disabled" else None)
    else:
        await call.require("admin:RemoveUserFromGroup", "admin:AddUserToGroup")
        if members:
            await groups.discard(call.account, wanted.group, members)
        else:
            await groups.remove(call.account, wanted.group)
    return done()


async def info(call: Call) -> Reply:
    """madmin ``GroupDesc``."""
    group = await call.services.identity.groups.get(call.account, call.get("group"))
    record = group.record
    return plain(
        {
            "name": record.name,
            "status": "enabled" if record.enabled else "disabled",
            "members": group.members,
            "policy": ",".join(record.policies),
            "updatedAt": moments.show(record.updated_ns),
        }
    )


async def list_all(call: Call) -> Reply:
    return plain([group.name for group in await call.services.identity.groups.every(call.account)])


async def set_status(call: Call) -> Reply:
    await call.services.identity.groups.set_enabled(call.account, call.get("group"), call.status())
    return done()
