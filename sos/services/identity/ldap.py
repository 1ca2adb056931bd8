"""The LDAP directory of one worker: configured while the server runs, asked in threads of its own.

Invariants:

D1  A directory that hangs holds up nobody but who asks it: its threads are its own, few, and free again by a deadline
    that runs from the moment of asking; who would have to wait behind too many is refused.
D2  What is attached to a user or group is stored under the spelling that the directory itself gave (``ldap_names``).
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from ...domain.errors import (
    Busy,
    DirectorySettingRefused,
    LdapNameExpected,
    LdapUnreachable,
    NoSuchGroup,
    NoSuchUser,
    NotEnabled,
)
from ...erasure.handle import Snapshot
from ...meta import iam
from ...meta.iam import ROOT_ACCOUNT, GroupRecord, UserRecord
from ..configuration import Configuration
from . import ldap_names as names
from . import rules
from .access_keys import ClaimValue, Parent
from .identity import Identity
from .ldap_directory import ANSWER_S_MAX, LdapDirectory, Person
from .ldap_entries import Entry, Unreachable
from .ldap_settings import LdapSettings, read
from .policies import Target
from .store import read as read_row

log = logging.getLogger("sos.identity.ldap")

SUBSYSTEM, PROVIDER = "identity_ldap", "ldap"
USER, USERNAME = "ldap:user", "ldap:username"
"""Claims, which are condition keys too."""
ATTRIBUTE = "ldapAttrib_"
#: Of all attributes that go with credentials; they are part of the session token, which travels in a header.
ATTRIBUTES_BYTES_MAX = 2048
THREADS = 4
#: For a look whether it answers.
ONLINE_S_MAX = 2.0
#: Askers at a time in one worker, the waiting ones included.
ASKING_MAX = 64

T = TypeVar("T")
Question = Callable[[LdapDirectory, float], T]
"""What is asked, and the moment by which it must be done (monotonic clock)."""


class Ldap:
    """:param trust: makes what its certificate is verified with, in a thread"""

    def __init__(self, identity: Identity, configuration: Configuration, trust: Callable[[], ssl.SSLContext]) -> None:
        self._identity = identity
        self._configuration = configuration
        self._trust = trust
        self._pool = ThreadPoolExecutor(THREADS, "ldap")
        self._asking = 0
        self._known: tuple[LdapDirectory | None] | None = None
        configuration.watch(SUBSYSTEM, self.forget)
        configuration.register_check(SUBSYSTEM, self.check)

    # -- how it is configured ----------------------------------------------------------------------------

    def forget(self) -> None:
        """Read configuration and certificates anew when they are needed next."""
        self._known = None

    @property
    def enabled(self) -> bool:
        return self._directory() is not None

    @property
    def settings(self) -> LdapSettings:
        """:raises NotEnabled:"""
        return self._required().settings

    def _directory(self) -> LdapDirectory | None:
        if self._known is None:
            self._known = (self._configured(),)
        return self._known[0]

    def _configured(self) -> LdapDirectory | None:
        try:
            return self._made(self._configuration.targets(SUBSYSTEM)["_"])
        except DirectorySettingRefused as error:
            log.error("LDAP is disabled, its configuration is broken: %s", error.message)
            return None

    def _made(self, values: Mapping[str, str]) -> LdapDirectory | None:
        settings = read(values)
        return LdapDirectory(settings, self._trust) if settings is not None else None

    def _required(self) -> LdapDirectory:
        directory = self._directory()
        if directory is None:
            raise NotEnabled(what="ldap")
        return directory

    async def check(self, values: Mapping[str, str]) -> None:
        """Connect, bind and search as some values say. :raises DirectorySettingRefused, Busy:"""
        directory = self._made(values)
        if directory is not None:
            await self._run(directory, LdapDirectory.check, ANSWER_S_MAX)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    # -- asking ------------------------------------------------------------------------------------------

    async def ask(self, question: Question[T], most_s: float = ANSWER_S_MAX) -> T:
        """:raises NotEnabled, LdapUnreachable, Busy"""
        try:
            return await self._run(self._required(), question, most_s)
        except Unreachable as error:
            log.warning("the directory cannot be asked: %s", error)
            raise LdapUnreachable() from None

    async def _run(self, directory: LdapDirectory, question: Question[T], most_s: float) -> T:
        if self._asking >= ASKING_MAX:
            raise Busy("the directory is being asked by too many at once")
        self._asking += 1
        by = time.monotonic() + most_s
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, question, directory, by)
        finally:
            self._asking -= 1

    async def online(self) -> bool:
        """Whether it answers as it should, right now. :raises NotEnabled:"""
        try:
            await self._run(self._required(), LdapDirectory.check, ONLINE_S_MAX)
        except (DirectorySettingRefused, Busy):
            return False
        return True

    async def log_in(self, username: str, password: str) -> Person | None:
        """None for an unknown user and a wrong password alike. :raises NotEnabled, LdapUnreachable, Busy"""
        return await self.ask(lambda directory, by: directory.log_in(username, password, by))

    async def user(self, name: str) -> Entry | None:
        """By the name that it logs in with, or by its distinguished name."""
        return await self.ask(lambda directory, by: directory.user(name, by))

    async def person(self, name: str) -> Person | None:
        """A user with its groups, as far as they can be found without the name that it logs in with."""
        return await self.ask(lambda directory, by: directory.person(name, by))

    async def group(self, name: str) -> Entry | None:
        return await self.ask(lambda directory, by: directory.group(name, by))

    # -- what is attached here -----------------------------------------------------------------------------

    async def target(self, user: str, group: str, attaching: bool) -> Target:
        """What a policy is attached to or detached from; only what is attached to a name that is gone from the directory
        can still be detached.

        :param user: the name that it logs in with, or its distinguished name; empty for a group
        :raises NoSuchUser, NoSuchGroup, InvalidArgument, NotEnabled, LdapUnreachable, Busy
        """
        entry = await (self.user(user) if user else self.group(group))
        if entry is not None:
            rules.check_external(entry.dn)
            return Target(entry.dn, bool(group), PROVIDER)
        name = "" if attaching else await self._attached_name(user or group, bool(group))
        if name:
            return Target(name, bool(group), PROVIDER)
        raise NoSuchUser(user=user[:64]) if user else NoSuchGroup(group=group[:64])

    async def _attached_name(self, name: str, group: bool) -> str:
        """The spelling under which something is attached to a name that cannot be asked for any more."""
        if not names.is_name(name):
            return ""
        known = [one.name for one in await (self.groups() if group else self.users())]
        return next((one for one in known if names.is_name(one) and names.same(one, name)), "")

    async def users(self) -> list[UserRecord]:
        """Users with something attached."""
        return await self._identity.users.external(ROOT_ACCOUNT, PROVIDER)

    async def groups(self) -> list[GroupRecord]:
        """Groups with something attached."""
        return await self._identity.groups.every(ROOT_ACCOUNT, PROVIDER)

    async def policies_of(self, person: Person) -> tuple[str, ...]:
        """Names of what is attached to a user and its groups."""

        def look(snapshot: Snapshot) -> tuple[str, ...]:
            found = dict.fromkeys(_policies(snapshot, iam.user_row(ROOT_ACCOUNT, person.entry.dn), UserRecord))
            for group in person.groups:
                found |= dict.fromkeys(_policies(snapshot, iam.group_row(ROOT_ACCOUNT, group), GroupRecord))
            return tuple(found)

        return await self._identity.realm.store.read(look)

    async def parent_of(self, username: str) -> Parent:
        """Whom a key will belong to that an administrator makes for a user.

        :param username: that it logs in with
        :raises NoSuchUser: none that could log in
        :raises LdapNameExpected, InvalidArgument, NotEnabled, LdapUnreachable, Busy
        """
        if names.is_name(username):
            raise LdapNameExpected()
        person = await self.person(username)
        if person is None:
            raise NoSuchUser("Specified user does not exist on LDAP server")
        if not await self.policies_of(person):
            raise NoSuchUser(f"No policy set for user `{person.entry.actual}` or any of their groups")
        return self.parent(person)

    def parent(self, person: Person) -> Parent:
        """Whom keys of a user belong to. :raises InvalidArgument: its distinguished name is too long"""
        rules.check_external(person.entry.dn)
        claims: dict[str, ClaimValue] = {USER: person.entry.dn, USERNAME: person.username}
        left = ATTRIBUTES_BYTES_MAX
        for name in self.settings.attributes:
            values = person.entry.attributes.get(name, ())
            left -= sum(len(value.encode()) for value in values)
            if values and left >= 0:
                claims[ATTRIBUTE + name] = list(values)
        return Parent(ROOT_ACCOUNT, person.entry.dn, PROVIDER, claims, groups=person.groups)


def _policies(snapshot: Snapshot, row: bytes, kind: type[UserRecord | GroupRecord]) -> tuple[str, ...]:
    document = read_row(snapshot, row) if len(row) <= rules.ROW_BYTES_MAX else None
    return iam.decode(document, kind).policies if document is not None else ()
