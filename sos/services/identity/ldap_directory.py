"""What a directory is asked: who somebody is, what groups they are in, and whether that is still so. Blocking."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from ...base.later import Later
from ...domain.errors import DirectorySettingRefused
from . import ldap_names as names
from .ldap_entries import Entry, LookupRefused, TooMany, Unreachable
from .ldap_settings import BIND, GROUPS, USERS, LdapSettings

if TYPE_CHECKING:
    from . import ldap_session
    from .ldap_session import Session
else:
    # ldap3 is a hundred modules; calls of this one are in threads
    ldap_session = Later("sos.services.identity.ldap_session")

#: For all that one request asks.
ANSWER_S_MAX = 10.0
#: For a look at many users at once.
REVIEW_S_MAX = 60.0
#: Groups of one user, as Windows bounds those of a token. With more nobody gets in: each may bring a denial.
GROUPS_MAX = 1024
#: Of the name of a user, whether it logs in with it or it is a distinguished name.
USERNAME_BYTES_MAX = 1024
PASSWORD_BYTES_MAX = 4096

T = TypeVar("T")


class AmbiguousUser(Unreachable):
    """Several entries for the name of one user: the filter must be made stricter."""


@dataclass(frozen=True, slots=True)
class Person:
    """A user of the directory.

    :param username: that it logs in with, as the directory spells it; empty where it was named otherwise
    :param groups: names of its groups in the one spelling, sorted
    :param grouped: False: they can only be found by the name that it logs in with, which was not given
    """

    entry: Entry
    username: str = ""
    groups: tuple[str, ...] = ()
    grouped: bool = True


class LdapDirectory:
    """Each call takes the moment by which it must be done, of the monotonic clock.

    :param trust: makes what its certificate is verified with; may block
    """

    def __init__(self, settings: LdapSettings, trust: Callable[[], ssl.SSLContext]) -> None:
        self.settings = settings
        self._trust = trust
        self._context: ssl.SSLContext | None = None

    # -- logging in --------------------------------------------------------------------------------------

    def log_in(self, username: str, password: str, by: float) -> Person | None:
        """Who a user is whose password it is; None for an unknown one and for a wrong password alike.

        :raises Unreachable:
        """
        if not sane(username, password):
            return None

        def ask(session: Session) -> Person | None:
            found = self._user(session, username)
            if found is None:
                return None
            person = self._person(session, *found)
            # last: the lookup account is not bound any more then
            return person if session.proves(person.entry.actual, password) else None

        return self._ask(ask, by)

    # -- looking up --------------------------------------------------------------------------------------

    def user(self, name: str, by: float) -> Entry | None:
        """A user by the name that it logs in with, or by its distinguished name. :raises Unreachable:"""
        found = self._ask(lambda session: self._any_user(session, name), by)
        return found[0] if found is not None else None

    def person(self, name: str, by: float) -> Person | None:
        """As :meth:`user`, with its groups as far as they can be found without the name that it logs in with."""

        def ask(session: Session) -> Person | None:
            found = self._any_user(session, name)
            return self._person(session, *found) if found is not None else None

        return self._ask(ask, by)

    def group(self, name: str, by: float) -> Entry | None:
        """A group by its distinguished name. :raises Unreachable:"""
        if not names.is_name(name):
            return None

        def ask(session: Session) -> Entry | None:
            entry = session.find(name)
            return entry if entry is not None and names.under(entry.dn, self.settings.group_bases) else None

        return self._ask(ask, by)

    def _any_user(self, session: Session, name: str) -> tuple[Entry, str] | None:
        if not sane(name, "-"):
            return None
        if not names.is_name(name):
            return self._user(session, name)
        entry = session.find(name, attributes=self.settings.attributes)
        return (entry, "") if entry is not None and names.under(entry.dn, self.settings.user_bases) else None

    def _user(self, session: Session, username: str) -> tuple[Entry, str] | None:
        """The entry of a user, and the name that it logs in with."""
        found: list[Entry] = []
        compared = names.login_attributes(self.settings.user_filter)
        filter_ = names.filled(self.settings.user_filter, username)
        for base in self.settings.user_bases:
            try:
                found += session.search(base, "SUBTREE", filter_, 2, (*compared, *self.settings.attributes))
            except TooMany:
                raise AmbiguousUser("Multiple DNs found for a user - please fix the search filter") from None
        if len(found) > 1:
            raise AmbiguousUser("Multiple DNs found for a user - please fix the search filter")
        if not found:
            return None
        spelled = names.login_name(
            username, [value for name in compared for value in found[0].attributes.get(name, ())]
        )
        return (found[0], spelled) if spelled is not None else None

    def _person(self, session: Session, entry: Entry, username: str) -> Person:
        settings = self.settings
        if "%s" in settings.group_filter and not username:
            return Person(entry, username, grouped=False)
        found: set[str] = set()
        filter_ = names.filled(settings.group_filter, username, entry.actual)
        for base in settings.group_bases:
            found |= {one.dn for one in session.search(base, "SUBTREE", filter_, GROUPS_MAX)}
        if len(found) > GROUPS_MAX:
            raise TooMany(f"a user is in more than {GROUPS_MAX} groups")
        return Person(entry, username, tuple(sorted(found)))

    # -- whether it is still so ----------------------------------------------------------------------------

    def review(self, users: Mapping[str, str], by: float) -> dict[str, Person | None]:
        """What became of some users; None for one that could not log in any more.

        :param users: name in the one spelling → the name that it logged in with, empty where that is not known
        :raises Unreachable: then nothing is known of any of them
        """

        def ask(session: Session) -> dict[str, Person | None]:
            for base in self.settings.user_bases:
                if session.find(base) is None:  # who may not see that sees nobody, and nobody is gone for that
                    raise Unreachable(f"Base DN `{base}` not found in the LDAP server")
            return {dn: self._reviewed(session, dn, username) for dn, username in users.items()}

        return self._ask(ask, by)

    def _reviewed(self, session: Session, dn: str, username: str) -> Person | None:
        settings = self.settings
        entry = session.find(dn, names.anybody(settings.user_filter))
        if entry is None or not names.under(entry.dn, settings.user_bases):
            return None
        return self._person(session, entry, username)

    # -- whether it is configured rightly ------------------------------------------------------------------

    def check(self, by: float) -> None:
        """Connect, bind and look whether the bases are there. :raises DirectorySettingRefused:"""
        settings = self.settings

        def ask(session: Session) -> None:
            for what, bases in ((USERS, settings.user_bases), (GROUPS, settings.group_bases)):
                for base in bases:
                    if session.find(base) is None:
                        raise DirectorySettingRefused(f"{what}: Base DN `{base}` not found in the LDAP server")

        try:
            self._ask(ask, by)
        except LookupRefused as error:
            raise DirectorySettingRefused(f"{BIND}: {error}") from None
        except Unreachable as error:
            detail = f"Could not connect to LDAP server: {error}"
            raise DirectorySettingRefused(f"LDAP Server Connection Error: {detail}") from None

    def _tls(self) -> ssl.SSLContext:
        if self._context is None:
            context = self._trust()
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            if not self.settings.verify:
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self._context = context
        return self._context

    def _ask(self, ask: Callable[[Session], T], by: float) -> T:
        try:
            with ldap_session.converse(self.settings, self._tls(), by) as session:
                return ask(session)
        except TooMany as error:
            raise Unreachable(str(error)) from None


def sane(username: str, password: str) -> bool:
    """Whether a directory should be asked about these at all: an empty password proves nothing (L4)."""
    try:
        name, secret = username.encode(), password.encode()
    except UnicodeEncodeError:
        return False
    return 0 < len(name) <= USERNAME_BYTES_MAX and b"\0" not in name and 0 < len(secret) <= PASSWORD_BYTES_MAX
