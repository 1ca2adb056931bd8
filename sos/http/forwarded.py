"""Where a request comes from when reverse proxies stand in front.

Anybody can write ``X-Forwarded-For``. It is believed only of the proxies that the operator names, and of what they name
only as far as it leads from one of them to another: the first address from the right that is no such proxy is the
client's (known-failures A11).
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from .message import Headers

MAPPED = "::ffff:"


class Proxies:
    """The proxies in front of a server.

    :param trusted: addresses and networks (``10.0.0.0/8``)
    :raises ValueError: one of them is neither
    """

    def __init__(self, trusted: Sequence[str] = ()) -> None:
        self._networks = [ip_network(text, strict=False) for text in trusted]

    def origin(self, peer: str, secure: bool, headers: Headers) -> tuple[str, bool]:
        """Address of the client, and whether it came over TLS.

        :param peer: address of the other end of the connection
        :param secure: whether that is over TLS
        """
        if not self._networks or not self._trusts(peer):
            return peer, secure
        for text in reversed(_listed(headers, "x-forwarded-for")):
            if _address(text) is None:
                break  # whatever is further left was not written by a proxy that we know
            peer = text
            if not self._trusts(text):
                break
        scheme = _listed(headers, "x-forwarded-proto")
        return peer, scheme[-1].lower() == "https" if scheme else secure

    def _trusts(self, text: str) -> bool:
        address = _address(text)
        return address is not None and any(address in network for network in self._networks)


def _listed(headers: Headers, name: str) -> list[str]:
    return [word.strip() for value in headers.all(name) for word in value.split(",") if word.strip()]


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text.removeprefix(MAPPED))
    except ValueError:
        return None
