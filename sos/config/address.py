"""Listening addresses, and the rule about default credentials."""

from __future__ import annotations

import ipaddress
import re
import socket
from typing import NamedTuple

from .settings import Settings
from .values import ConfigError

LOOPBACK = "127.0.0.1"
_ADDRESS = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.%\w]+)\]|(?P<host>[^:\[\]]*)):(?P<port>\d{1,5})")


class Address(NamedTuple):
    """:param host: empty for every address of the machine"""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str, what: str = "address") -> Address:
    """``:9000``, ``host:9000`` or ``[v6]:9000``.

    :raises ConfigError: another form, or no such port
    """
    match = _ADDRESS.fullmatch(text.strip())
    if match is None or int(match["port"]) > 65535:
        raise ConfigError(f"{what} {text!r}: write [host]:port, for example :9000 or 127.0.0.1:9000")
    return Address(match["v6"] or match["host"] or "", int(match["port"]))


def is_loopback(host: str) -> bool:
    """Whether a host reaches this machine only. An empty host is every address, so it is not.

    :raises ConfigError: a name that does not resolve
    """
    if not host:
        return False
    return all(ipaddress.ip_address(found).is_loopback for found in resolve(host))


def resolve(host: str) -> list[str]:
    """Numeric addresses of a host, IPv4 first.

    :raises ConfigError: it has none
    """
    try:
        rows = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise ConfigError(f"address {host!r}: {error.strerror}") from None
    found = sorted({(row[0] != socket.AF_INET, str(row[4][0]).partition("%")[0]) for row in rows})
    return [address for _, address in found]


def api_address(settings: Settings) -> tuple[Address, str]:
    """Where the API listens, and a warning for the operator (empty for none).

    With the default credentials the server is only reachable from this machine: everybody knows them.

    :raises ConfigError: an address beyond loopback was named with default credentials
    """
    address = parse_address(settings.address)
    if not settings.default_credentials:
        return address, ""
    change = "set MINIO_ROOT_USER and MINIO_ROOT_PASSWORD"
    if settings.allow_default_credentials:
        return address, "" if is_loopback(address.host) else (
            f"default credentials on a public address, as told by --allow-default-credentials: {change}"
        )
    if not address.host:
        return address._replace(
            host=LOOPBACK
        ), f"default credentials: listening on loopback only; {change} to be reachable"
    if is_loopback(address.host):
        return address, f"default credentials: {change} before real use"
    raise ConfigError(
        f"refusing to listen on {address} with the default credentials, which everybody knows: {change}, "
        "listen on 127.0.0.1, or give --allow-default-credentials on a closed test network"
    )
