"""One conversation with a directory: blocking, for a thread. The only user of ldap3's connections.

Invariants:

L1  A conversation ends at its deadline, whatever the directory does: each wait for its socket is bounded by what is left.
L2  No more than ``RECEIVED_BYTES_MAX`` is read.
L3  TLS is verified by the standard library, the name of the host included, before anything else is said.
L4  A password is never empty where one is to be proven: directories take that for an anonymous bind and agree (RFC 4513,
    section 5.1.2).
L5  Referrals are not followed: they would take passwords to servers that nobody configured.
"""

from __future__ import annotations

import ast
import socket
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import ldap3
from ldap3.core.exceptions import LDAPExceptionError
from pyasn1.error import PyAsn1Error

from . import ldap_names as names
from .ldap_entries import Entry, LookupRefused, NoSuchBase, Scope, TooMany, Unreachable
from .ldap_settings import LdapSettings

#: Of all that a directory says in one conversation.
RECEIVED_BYTES_MAX = 16 * 1024 * 1024
#: For a connection to one address.
CONNECT_S_MAX = 5.0
#: Addresses of a directory that are tried.
ADDRESSES_MAX = 8
#: Of one attribute's values together.
ATTRIBUTE_BYTES_MAX = 64 * 1024

SUCCESS, NO_SUCH_OBJECT, SIZE_EXCEEDED = 0, 32, 4
#: Wrong password; no such way in for this entry; not allowed to bind; locked or expired: the user's, not the directory's.
_REFUSALS = frozenset({48, 49, 50, 53, 19, 32, 34})
#: What ldap3 raises of itself, and what its decoder stumbles into where an answer is not what it expects.
_FAILURES = (
    LDAPExceptionError,
    PyAsn1Error,
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RecursionError,
)
_NOTHING = ["1.1"]  # RFC 4511, section 4.5.1.8


class _Bounded:
    """A socket with a deadline for all that it does (L1) and a bound for all that it reads (L2)."""

    def __init__(self, inner: socket.socket, deadline: float) -> None:
        self.inner, self._deadline = inner, deadline
        self._left = RECEIVED_BYTES_MAX

    def limit(self, most_s: float = float("inf")) -> None:
        """:raises TimeoutError:"""
        left = min(self._deadline - time.monotonic(), most_s)
        if left <= 0:
            raise TimeoutError("the directory takes too long")
        self.inner.settimeout(left)

    def connect(self, address: Any) -> None:
        self.limit(CONNECT_S_MAX)
        self.inner.connect(address)

    def recv(self, most: int) -> bytes:
        self.limit()
        data = self.inner.recv(most)
        self._left -= len(data)
        if self._left < 0:
            raise OSError("the directory says too much")
        return data

    def sendall(self, data: bytes) -> None:
        self.limit()
        self.inner.sendall(data)

    def settimeout(self, _: float | None) -> None:
        """The deadline is what counts."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class _Tls(ldap3.Tls):
    """TLS as the standard library does it; what ldap3 has of its own does not check names in the handshake (L3)."""

    def __init__(self, context: ssl.SSLContext, host: str) -> None:
        super().__init__(validate=context.verify_mode)
        self._context, self._host = context, host

    def wrap_socket(self, connection: Any, do_handshake: bool = False) -> None:
        bounded: _Bounded = connection.socket
        bounded.limit()
        bounded.inner = self._context.wrap_socket(bounded.inner, server_hostname=self._host)


class _Connection(ldap3.Connection):
    """A connection whose sockets are bounded."""

    deadline = 0.0

    @property
    def socket(self) -> Any:
        return self.__dict__.get("socket")

    @socket.setter
    def socket(self, made: Any) -> None:
        bound = isinstance(made, socket.socket)
        self.__dict__["socket"] = _Bounded(made, self.deadline) if bound else made


class Session:
    """A connected directory, with the lookup account bound."""

    def __init__(self, connection: _Connection, settings: LdapSettings) -> None:
        self._connection, self._settings = connection, settings

    def bind_lookup(self) -> None:
        """:raises LookupRefused, Unreachable"""
        settings = self._settings
        # without a password this is an anonymous bind, said openly instead of under a name that proves nothing
        named = bool(settings.bind_password)
        dn, password = (settings.bind_dn, settings.bind_password) if named else ("", "")
        if not self._bind(dn, password):
            raise LookupRefused(f"LDAP Lookup Bind user invalid credentials error: {self._said()}")

    def proves(self, dn: str, password: str) -> bool:
        """Whether a password is that of an entry. The lookup account is not bound any more then."""
        if not dn or not password:
            return False  # L4
        return self._bind(dn, password)

    def _bind(self, dn: str, password: str) -> bool:
        with _failures():
            method = ldap3.SIMPLE if dn else ldap3.ANONYMOUS
            # as bytes it is taken as it is, not as some text that is like it
            self._connection.user, self._connection.password = dn or None, password.encode() or None
            self._connection.authentication = method
            self._connection.bind(read_server_info=False)
        code = self._result()["result"]
        if code != SUCCESS and code not in _REFUSALS:
            raise Unreachable(f"the directory cannot bind: {self._said()}")
        return bool(code == SUCCESS)

    def search(self, base: str, scope: Scope, filter_: str, most: int, attributes: Sequence[str] = ()) -> list[Entry]:
        """Entries of a search.

        :param most: bound on their number
        :raises NoSuchBase, TooMany, Unreachable
        """
        connection = self._connection
        with _failures():
            # one more than wanted tells that there are too many, also where the directory has no such limit
            connection.search(base, filter_, scope, ldap3.DEREF_NEVER, list(attributes) or _NOTHING, most + 1)
        code = self._result()["result"]
        if code == NO_SUCH_OBJECT:
            raise NoSuchBase(f"Base DN ({base}) does not exist")
        found = [one for one in connection.response or () if one["type"] == "searchResEntry"]
        if code == SIZE_EXCEEDED or len(found) > most:
            raise TooMany(f"more than {most} entries below {base}")
        if code != SUCCESS:
            raise Unreachable(f"the directory cannot search: {self._said()}")
        return [_entry(one, attributes) for one in found]

    def find(self, dn: str, filter_: str = "(objectClass=*)", attributes: Sequence[str] = ()) -> Entry | None:
        """The entry of a name; None where there is none that the filter meets. :raises Unreachable:"""
        try:
            found = self.search(dn, "BASE", filter_, 1, attributes)
        except NoSuchBase:
            return None
        return found[0] if found else None

    def _result(self) -> Mapping[str, Any]:
        result: Mapping[str, Any] | None = self._connection.result
        if not result:
            raise Unreachable("the directory does not answer")
        return result

    def _said(self) -> str:
        result = self._result()
        return f"{result['description']} ({result['result']})"


@contextmanager
def converse(settings: LdapSettings, trust: ssl.SSLContext, deadline: float) -> Iterator[Session]:
    """A session with the lookup account bound.

    :param trust: what certificates are verified with
    :param deadline: of the whole conversation, by the monotonic clock
    :raises Unreachable:
    """
    connection = _connect(settings, trust, deadline)
    try:
        session = Session(connection, settings)
        session.bind_lookup()
        yield session
    finally:
        connection.strategy.close()


def _connect(settings: LdapSettings, trust: ssl.SSLContext, deadline: float) -> _Connection:
    """To the first address that answers."""
    failures = []
    for host, port in addresses(settings, deadline):
        try:
            with _failures():
                return _open(settings, trust, deadline, host, port)
        except Unreachable as error:
            failures.append(f"{host}:{port}: {error}")
    raise Unreachable("; ".join(failures))


def _open(settings: LdapSettings, trust: ssl.SSLContext, deadline: float, host: str, port: int) -> _Connection:
    tls = None if settings.plain and not settings.start_tls else _Tls(trust, settings.host)
    server = ldap3.Server(host, port, use_ssl=not settings.plain, tls=tls, get_info=ldap3.NONE)
    connection = _Connection(
        server,
        auto_bind=ldap3.AUTO_BIND_NONE,
        check_names=False,
        auto_referrals=False,
        auto_escape=False,
        raise_exceptions=False,
    )
    connection.deadline = deadline
    try:
        connection.open(read_server_info=False)
        connection.open = _never
        if settings.start_tls and not (connection.start_tls(read_server_info=False) and connection.tls_started):
            raise OSError("the directory does not start TLS")
    except BaseException:
        if connection.socket is not None:
            connection.socket.close()
        raise
    return connection


def _never(*_: object, **__: object) -> NoReturn:
    """ldap3 opens what was closed in between for the next bind, and would say the password without TLS."""
    raise OSError("the directory has closed the connection")


def addresses(settings: LdapSettings, deadline: float) -> list[tuple[str, int]]:
    """Hosts and ports of a directory, in the order in which they are tried. :raises Unreachable:"""
    if not settings.srv:
        return [(settings.host, settings.port)]
    from dns.exception import DNSException  # most servers never need it
    from dns.resolver import Resolver

    name = settings.host if settings.srv == "on" else f"_{settings.srv}._tcp.{settings.host}"
    try:
        answer = Resolver().resolve(name, "SRV", lifetime=max(0.1, deadline - time.monotonic()))
    except (DNSException, OSError) as error:
        raise Unreachable(f"DNS SRV Record lookup error: {name}: {type(error).__name__}") from None
    records: list[Any] = answer.rrset.processing_order() if answer.rrset else []
    return [(record.target.to_text(omit_final_dot=True), record.port) for record in records[:ADDRESSES_MAX]]


@contextmanager
def _failures() -> Iterator[None]:
    """What goes wrong on the way, as one kind."""
    try:
        yield
    except _FAILURES as error:
        raise Unreachable(_told(error)[:300]) from None


def _told(error: Exception) -> str:
    """What went wrong; ldap3 wraps texts into tuples into texts."""
    text = str(error)
    while text.startswith("(") and text.endswith(",)"):
        try:
            text = str(ast.literal_eval(text)[0])
        except (ValueError, SyntaxError):
            break
    return text or type(error).__name__


def _entry(found: Mapping[str, Any], attributes: Sequence[str]) -> Entry:
    try:
        actual = found["raw_dn"].decode()
        dn = names.canonical(actual)
    except (names.NotAName, UnicodeError):
        raise Unreachable("the directory has an entry whose name is not a distinguished name") from None
    wanted = {name.lower(): name for name in attributes}
    values = {
        wanted[name.lower()]: _texts(raw) for name, raw in found["raw_attributes"].items() if name.lower() in wanted
    }
    return Entry(dn, actual, {name: texts for name, texts in values.items() if texts})


def _texts(values: Sequence[bytes]) -> tuple[str, ...]:
    """Values of an attribute; those that are no text, and all when they are too large, are left out."""
    if sum(map(len, values)) > ATTRIBUTE_BYTES_MAX:
        return ()
    texts = []
    for value in values:
        try:
            texts.append(value.decode())
        except UnicodeDecodeError:
            continue
    return tuple(texts)
