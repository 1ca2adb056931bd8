"""Directories that hang, drip, lie, shout or hang up: a conversation with them ends in time, and gives nothing away."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from threading import Thread

import pytest

from sos.services.identity import ldap_session
from sos.services.identity.ldap_directory import LdapDirectory
from sos.services.identity.ldap_session import Unreachable, addresses, converse
from sos.services.identity.ldap_settings import LdapSettings, read

DONE = bytes.fromhex("300c02010161070a010004000400")
"""A bind that succeeds, of message 1."""
TLS_GOES_AHEAD = bytes.fromhex("300c02010178070a010004000400")
TLS_REFUSED = bytes.fromhex("300c02010178070a013504000400")


def to(heard: bytes, answer: bytes) -> bytes:
    """An answer to the message that was heard."""
    assert heard[0] == answer[0] == 0x30
    assert heard[2:4] == answer[2:4] == b"\x02\x01"
    return answer[:4] + heard[4:5] + answer[5:]


Script = Callable[[socket.socket], None]


class Stub:
    """A directory that follows a script with each connection, and remembers all that it was told."""

    def __init__(self, script: Script) -> None:
        self.heard = b""
        self._script = script
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client = self._listening.accept()[0]
                Thread(target=self._one, args=(client,), daemon=True).start()

    def _one(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            self._script(client)

    def hear(self, client: socket.socket) -> bytes:
        data = client.recv(65536)
        self.heard += data
        return data

    def close(self) -> None:
        self._listening.close()


Make = Callable[[Callable[[Stub], Script]], Stub]


@pytest.fixture
def stub() -> Iterator[Make]:
    made: list[Stub] = []

    def make(script: Callable[[Stub], Script]) -> Stub:
        one = Stub(lambda client: script(one)(client))
        made.append(one)
        return one

    yield make
    for one in made:
        one.close()


def settings(port: int, **changed: str) -> LdapSettings:
    found = read(
        {
            "server_addr": f"127.0.0.1:{port}",
            "server_insecure": "on",
            "lookup_bind_dn": "cn=lookup,dc=x",
            "lookup_bind_password": "lookup-secret",
            "user_dn_search_base_dn": "dc=x",
            "user_dn_search_filter": "(uid=%s)",
        }
        | changed
    )
    assert found is not None
    return found


def directory(port: int, **changed: str) -> LdapDirectory:
    return LdapDirectory(settings(port, **changed), ssl.create_default_context)


def log_in(port: int, most_s: float = 20.0, **changed: str) -> object:
    return directory(port, **changed).log_in("jane", "her-secret", time.monotonic() + most_s)


def hang(stub: Stub) -> Script:
    def script(client: socket.socket) -> None:
        while stub.hear(client):
            pass

    return script


def drip(stub: Stub) -> Script:
    """A byte at a time, faster than any wait for one byte gives up."""

    def script(client: socket.socket) -> None:
        stub.hear(client)
        client.sendall(b"\x30\x84\x00\xff\xff\xff")
        while True:
            client.sendall(b"\0")
            time.sleep(0.01)

    return script


@pytest.mark.parametrize("script", [hang, drip])
@pytest.mark.parametrize("changed", [{}, {"server_insecure": "off"}, {"server_starttls": "on"}], ids=str)
def test_it_ends_at_its_deadline(stub: Make, script: Callable[[Stub], Script], changed: dict[str, str]) -> None:
    began = time.monotonic()
    with pytest.raises(Unreachable):
        log_in(stub(script).port, 0.4, **changed)
    assert time.monotonic() - began < 15


def test_no_more_is_read_than_the_bound(stub: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ldap_session, "RECEIVED_BYTES_MAX", 100_000)

    def shout(stub: Stub) -> Script:
        def script(client: socket.socket) -> None:
            stub.hear(client)
            client.sendall(b"\x30\x84\x7f\xff\xff\xff")
            while True:
                client.sendall(b"x" * 65536)

        return script

    with pytest.raises(Unreachable, match="too much"):
        log_in(stub(shout).port)


@pytest.mark.parametrize(
    "answer",
    [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x30\x00", b"\x30\x80", b"\xff" * 40, DONE[:5], b"\x30\x03\x02\x01\x01",
     bytes.fromhex("300c02010261070a010004000400"), bytes.fromhex("300c02010165070a010004000400")],
)  # fmt: skip
def test_nonsense_is_an_answer_that_cannot_be_used(stub: Make, answer: bytes) -> None:
    def script(stub: Stub) -> Script:
        def say(client: socket.socket) -> None:
            stub.hear(client)
            client.sendall(answer)

        return say

    with pytest.raises(Unreachable):
        log_in(stub(script).port)


def test_a_directory_that_will_not_start_tls_hears_no_password(stub: Make) -> None:
    def refuse(stub: Stub) -> Script:
        def script(client: socket.socket) -> None:
            client.sendall(to(stub.hear(client), TLS_REFUSED))
            while heard := stub.hear(client):
                client.sendall(to(heard, DONE))

        return script

    one = stub(refuse)
    with pytest.raises(Unreachable):
        log_in(one.port, server_starttls="on")
    assert b"secret" not in one.heard


def test_what_was_said_before_tls_counts_for_nothing(stub: Make) -> None:
    """An answer sent in the clear together with the go-ahead is not taken for one that came over TLS."""

    def inject(stub: Stub) -> Script:
        def script(client: socket.socket) -> None:
            heard = stub.hear(client)
            client.sendall(to(heard, TLS_GOES_AHEAD) + to(heard[:4] + bytes([heard[4] + 1]), DONE))
            while stub.hear(client):
                pass

        return script

    one = stub(inject)
    with pytest.raises(Unreachable):
        log_in(one.port, 1.0, server_starttls="on")
    assert b"secret" not in one.heard


def test_a_connection_that_was_closed_is_not_opened_again(stub: Make) -> None:
    """The library would, for the next bind, and would say the password of a user without the TLS that was agreed."""

    def agree(stub: Stub) -> Script:
        def script(client: socket.socket) -> None:
            while heard := stub.hear(client):
                client.sendall(to(heard, DONE))

        return script

    one = stub(agree)
    context = ssl.create_default_context()
    with converse(settings(one.port), context, time.monotonic() + 20) as session:
        session._connection.strategy.close()
        with pytest.raises(Unreachable, match="closed"):
            session.proves("uid=jane,dc=x", "her-secret")
    assert b"her-secret" not in one.heard
    assert one.heard.count(b"lookup-secret") == 1


def test_a_referral_is_not_followed(stub: Make) -> None:
    other = stub(hang)

    def refer(stub: Stub) -> Script:
        def script(client: socket.socket) -> None:
            heard = stub.hear(client)
            url = f"ldap://127.0.0.1:{other.port}/dc=x".encode()
            inner = b"\x0a\x01\x0a\x04\x00\x04\x00\xa3" + bytes([len(url) + 2]) + b"\x04" + bytes([len(url)]) + url
            body = b"\x02\x01\x01\x61" + bytes([len(inner)]) + inner
            client.sendall(to(heard, b"\x30" + bytes([len(body)]) + body))
            stub.hear(client)

        return script

    with pytest.raises(Unreachable):
        log_in(stub(refer).port)
    assert other.heard == b""


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(Unreachable, match="refused"):
        log_in(port)


@pytest.mark.parametrize(
    ("name", "password"), [("", "x"), ("x", ""), ("x\0", "x"), ("x" * 2000, "x"), ("x", "x" * 5000), ("\ud800", "x")]
)
def test_what_cannot_be_right_is_not_asked(stub: Make, name: str, password: str) -> None:
    one = stub(hang)
    assert directory(one.port).log_in(name, password, time.monotonic() + 5) is None
    assert one.heard == b""


def test_no_secret_is_in_what_is_told(stub: Make) -> None:
    """A26"""
    with pytest.raises(Unreachable) as caught:
        log_in(stub(hang).port, 0.2)
    assert "secret" not in str(caught.value)


def test_addresses_by_service_records(monkeypatch: pytest.MonkeyPatch) -> None:
    import dns.resolver
    import dns.rrset

    asked = []

    class Answer:
        rrset = dns.rrset.from_text(
            "x.", 60, "IN", "SRV", "20 0 636 c.example.org.", "10 0 1636 b.example.org.", "10 0 1636 b.example.org."
        )

    def resolve(self: object, name: str, kind: str, lifetime: float) -> Answer:
        asked.append((name, kind))
        return Answer()

    monkeypatch.setattr(dns.resolver.Resolver, "resolve", resolve)
    for srv, name in (("ldap", "_ldap._tcp.h"), ("ldaps", "_ldaps._tcp.h"), ("on", "h")):
        found = addresses(settings(1, server_addr="h", srv_record_name=srv), time.monotonic() + 1)
        assert found == [("b.example.org", 1636), ("c.example.org", 636)]
        assert asked[-1] == (name, "SRV")
    assert addresses(settings(1, server_addr="h:7"), 0) == [("h", 7)]
