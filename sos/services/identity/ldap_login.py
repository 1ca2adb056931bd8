"""Temporary credentials for users of the directory: AssumeRoleWithLDAPIdentity.

Invariants (A07):

G1  Whether a user is unknown or the password wrong can be told neither from the answer nor from its time: refusals are
    given at full steps of ``REFUSAL_S`` since the request.
G2  Passwords can be tried at a bounded rate: of one user from one address, and of all users from one address.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

from ...domain.errors import Busy, InvalidArgument, LdapUnreachable, NotEnabled
from .access_keys import Issued
from .ldap import Ldap
from .ldap_directory import Person, sane
from .sts import Sts, Wanted
from .sts_errors import InvalidParameter, MissingParameter, UpstreamFailed

#: Refusals are given at multiples of it.
REFUSAL_S = 1.0
#: Wrong passwords of one user from one address before it is not even asked for any more, until ``FORGET_S`` passed.
FAILURES_MAX = 10
FORGET_S = 60.0
#: Users and addresses with failures that a worker remembers.
REMEMBERED_MAX = 10_000
#: Requests of one address at a time in one worker: each refused one takes ``REFUSAL_S``.
AT_ONCE_MAX = 8
REFUSED = "LDAP server error: the user is unknown, or the password is wrong"


class LdapLogin:
    """The service."""

    def __init__(self, ldap: Ldap, sts: Sts) -> None:
        self._ldap, self._sts = ldap, sts
        self._failures = Failures()
        self._under_way: Counter[str] = Counter()

    async def assume(self, username: str, password: str, wanted: Wanted, source: str = "") -> Issued:
        """Credentials for a user of the directory to whom, or to whose groups, a policy is attached.

        :param source: the address that asks
        :raises MissingParameter, InvalidParameter, UpstreamFailed
        :raises Busy: too many from one address, or at all
        """
        if not username or not password:
            raise MissingParameter("LDAPUsername and LDAPPassword cannot be empty")
        seconds = self._sts.duration(wanted)
        network = _network(source)
        with self._entered(network):
            person = await self._person(username, password, network)
        if not await self._ldap.policies_of(person):
            groups = "`,`".join(person.groups[:20])
            raise InvalidParameter(
                f"expecting a policy to be set for user `{person.entry.actual}` or one of their groups: `{groups}` - "
                "rejecting this request"
            )
        try:
            parent = self._ldap.parent(person)
        except InvalidArgument as error:
            raise InvalidParameter(error.message) from None
        return await self._sts.issue(parent, wanted, seconds)

    @contextmanager
    def _entered(self, source: str) -> Iterator[None]:
        if self._under_way[source] >= AT_ONCE_MAX:
            raise Busy("too many logins at once")
        self._under_way[source] += 1
        try:
            yield
        finally:
            self._under_way[source] -= 1
            if not self._under_way[source]:
                del self._under_way[source]

    async def _person(self, username: str, password: str, source: str) -> Person:
        loop = asyncio.get_running_loop()
        began = loop.time()
        person = None
        try:
            if sane(username, password) and self._failures.may(source, username, began):
                person = await self._ldap.log_in(username, password)
        except NotEnabled:
            raise InvalidParameter("LDAP server error: LDAP is not configured") from None
        except LdapUnreachable:
            raise UpstreamFailed("LDAP server error: the directory cannot be asked at this moment") from None
        if person is not None:
            self._failures.forget(source, username)
            return person
        self._failures.note(source, username, began)
        await asyncio.sleep(REFUSAL_S - (loop.time() - began) % REFUSAL_S)  # G1
        raise InvalidParameter(REFUSED)


def _network(source: str) -> str:
    """What is counted as one address: of version 6 whoever has one has 2^64 of them."""
    try:
        address = ipaddress.ip_address(source.partition("%")[0])
    except ValueError:
        return source
    if isinstance(address, ipaddress.IPv6Address):
        mapped = address.ipv4_mapped
        return str(mapped or ipaddress.ip_network((int(address) >> 64 << 64, 64)))
    return str(address)


class Failures:
    """Wrong passwords of late, by user and address; bounded, and without the names themselves."""

    def __init__(self) -> None:
        self._seen: OrderedDict[bytes, tuple[int, float]] = OrderedDict()

    def may(self, source: str, username: str, now: float) -> bool:
        """Whether a password may be tried."""
        count, since = self._seen.get(_digest(source, username), (0, now))
        return count < FAILURES_MAX or now - since >= FORGET_S

    def note(self, source: str, username: str, now: float) -> None:
        key = _digest(source, username)
        count, since = self._seen.pop(key, (0, now))
        if now - since >= FORGET_S:
            count, since = 0, now
        self._seen[key] = (count + 1, since)
        if len(self._seen) > REMEMBERED_MAX:
            self._seen.popitem(last=False)

    def forget(self, source: str, username: str) -> None:
        self._seen.pop(_digest(source, username), None)


def _digest(source: str, username: str) -> bytes:
    # as directories compare: another case or more blanks are the same user
    folded = " ".join(username.split()).casefold()
    return hashlib.sha256(f"{source}\0{folded}".encode(errors="surrogatepass")).digest()
