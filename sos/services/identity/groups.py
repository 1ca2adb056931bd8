"""Groups of users."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from ...domain.errors import GroupNotEmpty, InvalidArgument, NoSuchGroup
from ...erasure.handle import Snapshot
from ...meta import iam
from ...meta.iam import GroupRecord, UserRecord
from . import rules
from .context import Realm
from .policies import Target, drop_uses
from .store import Change, read, scan
from .users import require_account, require_user

#: Groups of one user: all their policies count for each of its requests.
GROUPS_MAX = 100
#: Members added or removed by one call.
MEMBERS_AT_ONCE_MAX = 1000


@dataclass(frozen=True, slots=True)
class Group:
    """A group with its members by name."""

    record: GroupRecord
    members: list[str]


class Groups:
    """The service."""

    def __init__(self, realm: Realm) -> None:
        self._realm = realm

    async def add(self, account: str, name: str, members: Sequence[str], enabled: bool | None = None) -> None:
        """Add members to a group, which is made where there is none.

        :param enabled: the group's new status, None leaves it
        :raises InvalidGroupName, NoSuchUser, InvalidArgument
        """
        rules.check_group(name)
        _check_count(members)

        def plan(change: Change) -> None:
            require_account(change, account)
            group = change.get(iam.group_row(account, name), GroupRecord) or GroupRecord(name, account, 0)
            status = group.enabled if enabled is None else enabled
            for member in dict.fromkeys(members):
                self._join(change, account, name, member)
            # written each time, so that a removal of the group at the same moment is overtaken
            self._touch(change, msgspec.structs.replace(group, enabled=status))

        await self._realm.store.change(plan)

    async def discard(self, account: str, name: str, members: Sequence[str]) -> None:
        """Take members out of a group; those that are not in it do not matter.

        :raises NoSuchGroup, NoSuchUser
        """
        _check_count(members)

        def plan(change: Change) -> None:
            group = _require(change, account, name)
            for member in dict.fromkeys(members):
                user = require_user(change, account, member)
                kept = tuple(g for g in user.groups if g != name)
                change.put(iam.user_row(account, member), msgspec.structs.replace(user, groups=kept))
                change.drop(iam.member_row(account, name, member))
            self._touch(change, group)

        await self._realm.store.change(plan)

    async def remove(self, account: str, name: str) -> None:
        """Remove a group without members. :raises NoSuchGroup, GroupNotEmpty"""

        def plan(change: Change) -> None:
            group = _require(change, account, name)
            if not change.require_vacant(iam.members_of(account, name)):
                raise GroupNotEmpty(group=name)
            drop_uses(change, account, group.policies, Target(name, group=True))
            change.drop(iam.group_row(account, name))

        await self._realm.store.change(plan)

    async def set_enabled(self, account: str, name: str, enabled: bool) -> None:
        """No policy counts for the members of a disabled group. :raises NoSuchGroup:"""

        def plan(change: Change) -> None:
            group = _require(change, account, name)
            self._touch(change, msgspec.structs.replace(group, enabled=enabled))

        await self._realm.store.change(plan)

    async def get(self, account: str, name: str) -> Group:
        """:raises NoSuchGroup:"""

        def look(snapshot: Snapshot) -> Group | None:
            document = read(snapshot, iam.group_row(account, name))
            if document is None:
                return None
            members = [member.decode() for member, _ in scan(snapshot, iam.members_of(account, name))]
            return Group(iam.decode(document, GroupRecord), members)

        found = await self._realm.store.read(look)
        if found is None:
            raise NoSuchGroup(group=name)
        return found

    async def every(self, account: str, provider: str = "builtin") -> list[GroupRecord]:
        """Groups of an account by name."""

        def look(snapshot: Snapshot) -> list[GroupRecord]:
            every = (iam.decode(d, GroupRecord) for _, d in scan(snapshot, iam.group_row(account, "")))
            return [group for group in every if group.provider == provider]

        return await self._realm.store.read(look)

    def _join(self, change: Change, account: str, group: str, member: str) -> None:
        user: UserRecord = require_user(change, account, member)
        if group in user.groups:
            return
        if len(user.groups) >= GROUPS_MAX:
            raise InvalidArgument(f"A user can be in at most {GROUPS_MAX} groups.")
        change.put(iam.user_row(account, member), msgspec.structs.replace(user, groups=(*user.groups, group)))
        change.put(iam.member_row(account, group, member), b"")

    def _touch(self, change: Change, group: GroupRecord) -> None:
        change.put(
            iam.group_row(group.account, group.name), msgspec.structs.replace(group, updated_ns=self._realm.clock())
        )


def _check_count(members: Sequence[str]) -> None:
    if len(members) > MEMBERS_AT_ONCE_MAX:
        raise InvalidArgument(f"At most {MEMBERS_AT_ONCE_MAX} members at a time.")


def _require(change: Change, account: str, name: str) -> GroupRecord:
    group = change.get(iam.group_row(account, name), GroupRecord)
    if group is None or group.provider != "builtin":
        raise NoSuchGroup(group=name)
    return group
