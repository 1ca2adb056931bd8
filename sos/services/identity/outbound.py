"""Requests to the services that identities come from: bounded in time and size, on the event loop, never following a
redirect (A08).

An address that a machine gives to nobody else (link-local, where clouds keep their metadata; multicast; unspecified) is
never connected to, whatever a name resolves to: the address that is looked at is the one that is connected to. Private
networks and loopback are allowed, since that is where identity providers are.
"""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import msgspec

from ...base.later import Later

if TYPE_CHECKING:
    from . import outbound_http
else:
    # aiohttp takes a tenth of a second to load
    outbound_http = Later("sos.services.identity.outbound_http")

CONNECT_S_MAX = 3.0
TOTAL_S_MAX = 5.0
DOCUMENT_BYTES_MAX = 512 * 1024
#: Under way at once in one worker: anybody can make this server ask about a token.
UNDER_WAY_MAX = 64


class Unreachable(Exception):
    """No answer that can be used. The message names the URL without its query, and never holds what was answered."""


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer, whole."""

    status: int
    body: bytes = field(repr=False)

    def json(self) -> Any:
        """:raises Unreachable: it is no JSON"""
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise Unreachable("the answer is not JSON") from None


class Outbound:
    """:param trust: makes what certificates of services are verified with; reads files"""

    def __init__(self, trust: Callable[[], ssl.SSLContext] = ssl.create_default_context) -> None:
        self._trust = trust
        self._under_way = 0

    async def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
    ) -> Answered:
        """Ask once.

        :param query: added to what the URL has
        :param form: the body
        :raises Unreachable:
        """
        check_url(url)
        if self._under_way >= UNDER_WAY_MAX:
            raise Unreachable(f"{shown(url)} is not asked now: too many wait for answers")
        self._under_way += 1
        try:
            return await self._request(method, url, headers, query, form)
        finally:
            self._under_way -= 1

    async def _request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        query: Mapping[str, str] | None,
        form: Mapping[str, str] | None,
    ) -> Answered:
        trust = await asyncio.to_thread(self._trust) if url.startswith("https:") else True
        await asyncio.to_thread(outbound_http.load)
        asked = outbound_http.Asked(method, url, headers or {}, query, form, _proxy(url))
        times = outbound_http.Times(TOTAL_S_MAX, CONNECT_S_MAX)
        try:
            return Answered(*await outbound_http.ask(asked, trust, allowed, DOCUMENT_BYTES_MAX, times))
        except outbound_http.failures() as error:
            raise Unreachable(f"{shown(url)} cannot be reached: {type(error).__name__}") from None

    async def document(self, url: str, headers: Mapping[str, str] | None = None, method: str = "GET") -> dict[str, Any]:
        """A JSON object. :raises Unreachable: also for every other status than 200"""
        answered = await self.request(method, url, headers)
        if answered.status != 200:
            raise Unreachable(f"{shown(url)} answers with status {answered.status}")
        try:
            value = answered.json()
        except Unreachable as error:
            raise Unreachable(f"{shown(url)}: {error}") from None
        if not isinstance(value, dict):
            raise Unreachable(f"{shown(url)}: the answer is not a JSON object")
        return value


def check_url(url: str, like: str = "") -> str:
    """The URL, when it can be asked.

    :param like: a URL that it comes from: one with TLS must not lead to one without
    :raises Unreachable:
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        parts.port  # noqa: B018 - raises for a bad one
    except ValueError:
        raise Unreachable("not a URL") from None
    if parts.scheme not in ("http", "https") or not host or parts.username is not None:
        raise Unreachable(f"{shown(url)} is not an http or https URL")
    if parts.scheme == "http" and like.startswith("https:"):
        raise Unreachable(f"{shown(url)} has no TLS, where {shown(like)} has")
    if _literal(host) and not allowed(host):
        raise Unreachable(f"{shown(url)} is an address that is never connected to")
    return url


def shown(url: str) -> str:
    """A URL for messages: without query and credentials."""
    text = url.partition("?")[0][:256]
    scheme, separator, rest = text.partition("://")
    return scheme + separator + rest.rpartition("@")[2]


def _proxy(url: str) -> str | None:
    """The proxy of the environment for a URL; never for this machine itself."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    proxies = getproxies()
    local = host == "localhost" or (_literal(host) and ipaddress.ip_address(host).is_loopback)
    if local or proxy_bypass(host):
        return None
    return proxies.get(parts.scheme)


def _literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def allowed(address: str) -> bool:
    """Whether an address may be connected to."""
    found = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(found, "ipv4_mapped", None) or found
    return not (mapped.is_link_local or mapped.is_multicast or mapped.is_unspecified)
