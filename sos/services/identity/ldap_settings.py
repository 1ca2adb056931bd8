"""How a directory is asked, as the configuration says (subsystem ``identity_ldap``). Pure.

Keys, rules and what is told about a broken one are MinIO's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ...domain.errors import DirectorySettingRefused
from . import ldap_names as names

DEFAULT_PORT = 636
CONNECTION = "LDAP Server Connection Parameters Misconfigured"
BIND = "LDAP Lookup Bind Error"
USERS = "User Search Parameters Misconfigured"
GROUPS = "Group Search Parameters Misconfigured"
SRV_NAMES = ("", "ldap", "ldaps", "on")
#: Base names and attributes of one configuration.
LISTED_MAX = 32
_ATTRIBUTE = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_SWITCHES = {"on": True, "true": True, "enable": True, "enabled": True, "1": True, "t": True} | dict.fromkeys(
    ("", "off", "false", "disable", "disabled", "0", "f"), False
)


@dataclass(frozen=True, slots=True)
class LdapSettings:
    """One directory.

    :param host: whose certificate it must show
    :param srv: how its addresses are found: empty, as they are; ``on``, by the SRV records of the host; ``ldap`` or
        ``ldaps``, by those of that service
    :param plain: without TLS, unless ``start_tls``
    :param user_bases: where users are; of these no one is below another, nor of ``group_bases``
    :param attributes: of a user, to go with its credentials
    """

    host: str
    port: int
    srv: str
    plain: bool
    start_tls: bool
    verify: bool
    bind_dn: str
    bind_password: str = field(repr=False)
    user_bases: tuple[str, ...]
    user_filter: str
    attributes: tuple[str, ...]
    group_bases: tuple[str, ...]
    group_filter: str


def read(values: Mapping[str, str]) -> LdapSettings | None:
    """What the keys of the subsystem say; None where there is no directory, or it is switched off.

    :raises DirectorySettingRefused:
    """
    address = values.get("server_addr", "").strip()
    if not address or not switch(values, "enable", True):
        return None
    host, port = _address(address)
    srv = values.get("srv_record_name", "")
    if srv not in SRV_NAMES:
        raise _broken(CONNECTION, "SRV Record Name is invalid: it is one of ldap, ldaps, on")
    if not values.get("lookup_bind_dn"):
        raise _broken(BIND, "Lookup Bind UserDN not specified")
    user_bases = _bases(USERS, "User", values.get("user_dn_search_base_dn", ""))
    if not user_bases:
        raise _broken(USERS, "UserDN search base is empty")
    group_bases, group_filter = _groups(values)
    return LdapSettings(
        host,
        port,
        srv,
        switch(values, "server_insecure") or switch(values, "server_starttls"),
        switch(values, "server_starttls"),
        not switch(values, "tls_skip_verify"),
        values["lookup_bind_dn"],
        values.get("lookup_bind_password", ""),
        user_bases,
        _user_filter(values.get("user_dn_search_filter", "")),
        _attributes(values.get("user_dn_attributes", "")),
        group_bases,
        group_filter,
    )


def switch(values: Mapping[str, str], key: str, default: bool = False) -> bool:
    """:raises DirectorySettingRefused: neither on nor off"""
    word = values.get(key, "").strip().lower()
    if word not in _SWITCHES:
        raise _broken(CONNECTION, f"{key} must be on or off")
    return _SWITCHES[word] if word else default


def _broken(what: str, detail: str) -> DirectorySettingRefused:
    return DirectorySettingRefused(f"{what}: {detail}")


def _address(address: str) -> tuple[str, int]:
    host, colon, port = address.rpartition(":")
    if not colon or (":" in host and not host.endswith("]")):
        host, port = address, str(DEFAULT_PORT)
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536 or "/" in host:
        raise _broken(CONNECTION, "the server address must be HOST or HOST:PORT")
    return host, int(port)


def _bases(what: str, of: str, text: str) -> tuple[str, ...]:
    bases = names.split_names(text)
    if len(bases) > LISTED_MAX:
        raise _broken(what, f"at most {LISTED_MAX} base DNs")
    for base in bases:
        if not names.is_name(base):
            raise _broken(what, f"Base DN `{base}` failed to parse")
    for base in bases:
        for other in bases:
            if names.under(other, [base]):
                raise _broken(what, f"{of} Search Base DN `{base}` is an ancestor of `{other}`")
    return bases


def _user_filter(pattern: str) -> str:
    if not pattern:
        raise _broken(USERS, "UserDN search filter is empty")
    if "%d" in pattern:
        raise _broken(USERS, "User DN search filter contains `%d`")
    if "%s" not in pattern:
        raise _broken(USERS, "User DN search filter does not contain `%s`")
    return _filter(USERS, "User DN search filter", pattern)


def _groups(values: Mapping[str, str]) -> tuple[tuple[str, ...], str]:
    bases = _bases(GROUPS, "Group", values.get("group_search_base_dn", ""))
    pattern = values.get("group_search_filter", "")
    if not bases and not pattern:
        return (), ""
    if not bases:
        raise _broken(GROUPS, "Group Search Base DN is required.")
    if not pattern:
        raise _broken(GROUPS, "Group Search Filter is required.")
    if "%s" not in pattern and "%d" not in pattern:
        raise _broken(GROUPS, 'GroupSearchFilter must contain at least one of "%s" or "%d"')
    return bases, _filter(GROUPS, "Group DN search filter", pattern)


def _filter(what: str, of: str, pattern: str) -> str:
    from ldap3.core.exceptions import LDAPExceptionError  # loaded where there is a directory
    from ldap3.operation.search import parse_filter

    sample = names.filled(pattern, "a", "uid=a,dc=example,dc=com")
    try:
        if not sample.startswith("("):
            raise ValueError("it does not begin with a parenthesis")
        parse_filter(sample, None, False, True, None, False)  # type: ignore[no-untyped-call]
    except (LDAPExceptionError, ValueError, IndexError) as error:
        raise _broken(what, f"{of} `{pattern}` failed to compile: {error}") from None
    return pattern


def _attributes(text: str) -> tuple[str, ...]:
    found = tuple(part.strip() for part in text.split(",") if part.strip())
    if len(found) > LISTED_MAX or any(_ATTRIBUTE.fullmatch(one) is None for one in found):
        raise _broken(USERS, f"UserDN attributes `{text}` are invalid: at most {LISTED_MAX} short names of attributes")
    return found
