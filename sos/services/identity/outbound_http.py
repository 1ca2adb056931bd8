"""How :mod:`.outbound` asks, with aiohttp: apart from it because aiohttp is loaded when it is first needed."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Mapping
from typing import NamedTuple

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

CHUNK_BYTES = 16 * 1024


class Asked(NamedTuple):
    """:param query: added to what the URL has
    :param form: the body
    :param proxy: URL of the proxy, None for none
    """

    method: str
    url: str
    headers: Mapping[str, str]
    query: Mapping[str, str] | None
    form: Mapping[str, str] | None
    proxy: str | None


class Times(NamedTuple):
    """Bounds, seconds."""

    total_s: float
    connect_s: float


def load() -> None:
    """To be called in a thread before the first use: whoever can call it has loaded it."""


def failures() -> tuple[type[Exception], ...]:
    """What :func:`ask` raises."""
    return (aiohttp.ClientError, TimeoutError, OSError, ValueError)


async def ask(
    asked: Asked, trust: ssl.SSLContext | bool, allowed: Callable[[str], bool], bytes_max: int, times: Times
) -> tuple[int, bytes]:
    """Status and body of one answer.

    :param allowed: whether an address may be connected to
    """
    connector = aiohttp.TCPConnector(resolver=_Resolver(allowed), ssl=trust, force_close=True)
    timeout = aiohttp.ClientTimeout(total=times.total_s, connect=times.connect_s)
    async with (
        aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False) as session,
        session.request(
            asked.method,
            asked.url,
            params=asked.query,
            data=asked.form,
            headers={"Accept-Encoding": "identity", **asked.headers},
            allow_redirects=False,
            proxy=asked.proxy,
        ) as reply,
    ):
        return reply.status, await _bounded(reply, bytes_max)


async def _bounded(reply: aiohttp.ClientResponse, bytes_max: int) -> bytes:
    body = bytearray()
    async for chunk in reply.content.iter_chunked(CHUNK_BYTES):
        body += chunk
        if len(body) > bytes_max:
            raise ValueError("too large")
    return bytes(body)


class _Resolver(AbstractResolver):
    """Names by the system's resolver, in a thread; of the addresses those that may be connected to."""

    def __init__(self, allowed: Callable[[str], bool]) -> None:
        self._system = ThreadedResolver()
        self._allowed = allowed

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = [one for one in await self._system.resolve(host, port, family) if self._allowed(one["host"])]
        if not found:
            raise OSError("no address of the name may be connected to")
        return found

    async def close(self) -> None:
        await self._system.close()
