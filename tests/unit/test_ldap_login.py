"""Logins with a name and a password of a directory: what refusals tell, and how fast passwords can be tried (A07)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sos.domain.errors import Busy, LdapUnreachable, NotEnabled
from sos.services.identity import ldap_login
from sos.services.identity.access_keys import Issued, Parent
from sos.services.identity.ldap_directory import Person
from sos.services.identity.ldap_login import AT_ONCE_MAX, FAILURES_MAX, FORGET_S, REMEMBERED_MAX, Failures, LdapLogin
from sos.services.identity.ldap_session import Entry
from sos.services.identity.sts import Wanted
from sos.services.identity.sts_errors import InvalidParameter, MissingParameter, UpstreamFailed

JANE = Person(Entry("uid=jane,dc=x", "uid=jane,dc=x"))


class FakeLdap:
    """Jane's password is ``right``."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.policies: tuple[str, ...] = ("readonly",)
        self.fails: Exception | None = None

    async def log_in(self, username: str, password: str) -> Person | None:
        self.asked.append(username)
        if self.fails is not None:
            raise self.fails
        return JANE if (username, password) == ("jane", "right") else None

    async def policies_of(self, person: Person) -> tuple[str, ...]:
        return self.policies

    def parent(self, person: Person) -> Parent:
        return Parent("0", person.entry.dn, "ldap")


class FakeSts:
    def duration(self, wanted: Wanted) -> int:
        return 900

    async def issue(self, parent: Parent, wanted: Wanted, seconds: int) -> Issued:
        return Issued("KEY", "secret", 1, "token")


@pytest.fixture
def ldap() -> FakeLdap:
    return FakeLdap()


@pytest.fixture
def login(ldap: FakeLdap, monkeypatch: pytest.MonkeyPatch) -> LdapLogin:
    monkeypatch.setattr(ldap_login, "REFUSAL_S", 0.02)
    return LdapLogin(ldap, FakeSts())  # type: ignore[arg-type]


def tried(login: LdapLogin, username: str, password: str, source: str = "10.0.0.1") -> Any:
    """Issued, or the class of the refusal."""
    try:
        return asyncio.run(login.assume(username, password, Wanted(), source))
    except (InvalidParameter, MissingParameter, UpstreamFailed, Busy) as error:
        return type(error)


def test_the_right_password(login: LdapLogin) -> None:
    assert tried(login, "jane", "right").access_key == "KEY"


@pytest.mark.parametrize(("name", "password"), [("", "x"), ("x", ""), ("", "")])
def test_nothing_is_asked_without_a_name_or_a_password(
    login: LdapLogin, ldap: FakeLdap, name: str, password: str
) -> None:
    assert tried(login, name, password) is MissingParameter
    assert ldap.asked == []


def test_every_refusal_is_the_same_and_takes_its_time(login: LdapLogin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ldap_login, "REFUSAL_S", 0.2)

    async def one(name: str, password: str) -> tuple[str, bool]:
        began = asyncio.get_running_loop().time()
        with pytest.raises(InvalidParameter) as caught:
            await login.assume(name, password, Wanted(), "10.0.0.1")
        return str(caught.value), asyncio.get_running_loop().time() - began >= 0.2 - 0.001

    async def both() -> set[tuple[str, bool]]:
        return {await one("jane", "wrong"), await one("nobody", "right"), await one("x\0", "right")}

    assert asyncio.run(both()) == {("LDAP server error: the user is unknown, or the password is wrong", True)}


def test_passwords_of_one_user_are_tried_a_bounded_number_of_times(login: LdapLogin, ldap: FakeLdap) -> None:
    for number in range(FAILURES_MAX):
        assert tried(login, "jane" if number % 2 else " JANE ", "wrong") is InvalidParameter
    assert tried(login, "jane", "right") is InvalidParameter  # not even asked for
    assert len(ldap.asked) == FAILURES_MAX
    assert tried(login, "jane", "right", "10.0.0.2").access_key == "KEY"  # whoever is elsewhere is not locked out


def test_an_address_of_version_6_is_its_network(login: LdapLogin, ldap: FakeLdap) -> None:
    for number in range(FAILURES_MAX):
        tried(login, "jane", "wrong", f"2001:db8::{number}")
    assert tried(login, "jane", "right", "2001:db8::ffff") is InvalidParameter
    assert tried(login, "jane", "right", "2001:db8:0:1::1").access_key == "KEY"
    assert tried(login, "jane", "right", "::ffff:10.0.0.1").access_key == "KEY"


def test_the_right_password_forgets_the_wrong_ones(login: LdapLogin) -> None:
    for _ in range(3):
        for _ in range(FAILURES_MAX - 1):
            tried(login, "jane", "wrong")
        assert tried(login, "jane", "right").access_key == "KEY"


def test_one_address_has_a_bounded_number_of_logins_at_once(login: LdapLogin, monkeypatch: pytest.MonkeyPatch) -> None:
    async def many() -> tuple[list[object], object]:
        first = [asyncio.ensure_future(login.assume(f"u{n}", "x", Wanted(), "10.0.0.1")) for n in range(AT_ONCE_MAX)]
        await asyncio.sleep(0)
        with pytest.raises(Busy):
            await login.assume("jane", "right", Wanted(), "10.0.0.1")
        other = await login.assume("jane", "right", Wanted(), "10.0.0.2")
        return await asyncio.gather(*first, return_exceptions=True), other

    refused, other = asyncio.run(many())
    assert all(isinstance(one, InvalidParameter) for one in refused)
    assert isinstance(other, Issued)
    assert tried(login, "jane", "right").access_key == "KEY"  # all places are free again


def test_nobody_without_a_policy(login: LdapLogin, ldap: FakeLdap) -> None:
    """A19"""
    ldap.policies = ()
    with pytest.raises(InvalidParameter, match="expecting a policy to be set for user `uid=jane,dc=x`"):
        asyncio.run(login.assume("jane", "right", Wanted()))


def test_a_directory_that_is_off_or_away(login: LdapLogin, ldap: FakeLdap) -> None:
    ldap.fails = NotEnabled(what="ldap")
    assert tried(login, "jane", "right") is InvalidParameter
    ldap.fails = LdapUnreachable()
    assert tried(login, "jane", "right") is UpstreamFailed
    ldap.fails = None
    assert tried(login, "jane", "right").access_key == "KEY"  # that it was away is nobody's failure


def test_failures_are_forgotten_in_time_and_bounded_in_number() -> None:
    failures = Failures()
    for _ in range(FAILURES_MAX):
        failures.note("a", "jane", 100.0)
    assert not failures.may("a", "jane", 100.0 + FORGET_S - 1)
    assert failures.may("a", "jane", 100.0 + FORGET_S)
    failures.note("a", "jane", 100.0 + FORGET_S)
    assert failures.may("a", "jane", 100.0 + FORGET_S)
    for number in range(REMEMBERED_MAX + 10):
        failures.note("a", f"u{number}", 200.0)
    assert len(failures._seen) == REMEMBERED_MAX


def test_names_are_not_kept() -> None:
    failures = Failures()
    failures.note("a", "a-password-typed-as-a-name", 0.0)
    assert "password" not in repr(failures._seen)
