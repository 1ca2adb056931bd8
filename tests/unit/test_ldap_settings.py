"""How a directory is asked, as the configuration says."""

from __future__ import annotations

import pytest

from sos.domain.errors import DirectorySettingRefused
from sos.services.identity.ldap_settings import LdapSettings, read

GOOD = {
    "server_addr": "ldap.example.org",
    "lookup_bind_dn": "cn=lookup,dc=example,dc=org",
    "lookup_bind_password": "a-secret",
    "user_dn_search_base_dn": "ou=people,dc=example,dc=org ; ou=guests,dc=example,dc=org;",
    "user_dn_search_filter": "(uid=%s)",
}


def settings(**changed: str) -> LdapSettings:
    found = read(GOOD | changed)
    assert found is not None
    return found


def test_defaults_are_safe() -> None:
    found = settings()
    assert (found.host, found.port) == ("ldap.example.org", 636)
    assert (found.plain, found.start_tls, found.verify) == (False, False, True)
    assert found.user_bases == ("ou=people,dc=example,dc=org", "ou=guests,dc=example,dc=org")


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [
        ("h", "h", 636), ("h:389", "h", 389), ("10.0.0.1:1", "10.0.0.1", 1), ("[::1]:389", "::1", 389),
        ("[::1]", "::1", 636), ("::1", "::1", 636),
    ],
)  # fmt: skip
def test_addresses(address: str, host: str, port: int) -> None:
    assert (settings(server_addr=address).host, settings(server_addr=address).port) == (host, port)


@pytest.mark.parametrize("address", ["h:", "h:0", "h:65536", "h:x", ":636", "ldap://h", "ldapi:///tmp/x", "h:٣"])
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(DirectorySettingRefused):
        read(GOOD | {"server_addr": address})


def test_without_an_address_or_switched_off_there_is_none() -> None:
    assert read({}) is None
    assert read(GOOD | {"server_addr": " "}) is None
    assert read(GOOD | {"enable": "off"}) is None
    assert read(GOOD | {"enable": "on"}) is not None


@pytest.mark.parametrize(
    "broken",
    [
        {"tls_skip_verify": "perhaps"}, {"server_insecure": "2"}, {"enable": "maybe"}, {"srv_record_name": "_ldap"},
        {"user_dn_attributes": "a b"}, {"user_dn_attributes": ",".join("abcdefghijklmnopqrstuvwxyzabcdefgh")},
        {"user_dn_search_base_dn": ";".join(f"ou=b{i},dc=x" for i in range(33))},
        {"user_dn_search_filter": "(uid=%s"}, {"user_dn_search_filter": "(uid=%s))"}, {"user_dn_search_filter": "()%s"},
        {"group_search_filter": "(&(member=%d)", "group_search_base_dn": "dc=x"},
    ],
)  # fmt: skip
def test_what_is_broken_is_told(broken: dict[str, str]) -> None:
    with pytest.raises(DirectorySettingRefused) as caught:
        read(GOOD | broken)
    assert caught.value.message
    assert "a-secret" not in caught.value.message


def test_the_password_is_not_shown() -> None:
    """A26"""
    assert "a-secret" not in repr(settings())
