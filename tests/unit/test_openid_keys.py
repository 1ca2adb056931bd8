"""The keys of a provider: fetched once for many, not too often, and kept while it is away; what is asked of it is bounded."""

from __future__ import annotations

import asyncio
import json
import warnings
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey

from sos.services.identity import openid_keys, outbound, outbound_http
from sos.services.identity.openid_keys import ALLOWANCE, FRESH_S, RETRY_S, ProviderKeys
from sos.services.identity.outbound import DOCUMENT_BYTES_MAX, Outbound, Unreachable, check_url

CONFIG = "https://provider.test/.well-known/openid-configuration"


class Provider(Outbound):
    """Answers in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.keys: list[dict[str, Any]] = [rsa("a").as_dict(private=False)]
        self.discovery: dict[str, Any] = {"issuer": "https://provider.test", "jwks_uri": "https://provider.test/keys"}
        self.away = False
        self.asked = 0
        self.gate: asyncio.Event | None = None

    async def document(self, url: str, headers: Any = None, method: str = "GET") -> dict[str, Any]:
        self.asked += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.away:
            raise Unreachable("away")
        return self.discovery if url == CONFIG else {"keys": self.keys}


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def rsa(kid: str, bits: int = 2048) -> RSAKey:
    with warnings.catch_warnings(action="ignore"):  # of the size
        return RSAKey.generate_key(bits, {"kid": kid})


def made() -> tuple[ProviderKeys, Provider, Clock]:
    provider, clock = Provider(), Clock()
    return ProviderKeys(CONFIG, provider, clock), provider, clock


def test_a_known_key_asks_nobody() -> None:
    async def run() -> None:
        keys, provider, _ = made()
        assert await keys.find("a", "RS256") is not None
        assert provider.asked == 2
        for _ in range(10):
            assert await keys.find("a", "RS256") is not None
        assert provider.asked == 2

    asyncio.run(run())


def test_many_at_once_wait_for_one_fetch() -> None:
    """K1"""

    async def run() -> None:
        keys, provider, _ = made()
        provider.gate = asyncio.Event()
        waiting = [asyncio.create_task(keys.find("a", "RS256")) for _ in range(50)]
        await asyncio.sleep(0)
        provider.gate.set()
        assert None not in await asyncio.gather(*waiting)
        assert provider.asked == 2

    asyncio.run(run())


def test_one_who_gives_up_takes_the_fetch_from_nobody() -> None:
    async def run() -> None:
        keys, provider, _ = made()
        provider.gate = asyncio.Event()
        first, second = (asyncio.create_task(keys.find("a", "RS256")) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0)
        provider.gate.set()
        assert await second is not None

    asyncio.run(run())


def test_unknown_ids_are_looked_for_within_an_allowance() -> None:
    """K2: a flood of tokens with made-up ids does not become a flood of requests to the provider."""

    async def run() -> None:
        keys, provider, clock = made()
        await keys.fetch()
        provider.asked = 0
        for number in range(100):
            assert await keys.find(f"unknown-{number}", "RS256") is None
        assert provider.asked == 2 * ALLOWANCE
        provider.keys = [rsa("b").as_dict(private=False)]
        assert await keys.find("b", "RS256") is None
        clock.now += openid_keys.ALLOWANCE_S
        assert await keys.find("b", "RS256") is not None
        assert await keys.find("a", "RS256") is None, "what is not there any more counts no more"

    asyncio.run(run())


def test_keys_are_fetched_again_after_a_time_and_kept_while_the_provider_is_away() -> None:
    """K3"""

    async def run() -> None:
        keys, provider, clock = made()
        await keys.fetch()
        clock.now += FRESH_S + 1
        provider.away, provider.asked = True, 0
        for _ in range(10):
            assert await keys.find("a", "RS256") is not None
        assert provider.asked == 1
        clock.now += RETRY_S + 1
        provider.away, provider.keys = False, [rsa("b").as_dict(private=False)]
        assert await keys.find("a", "RS256") is None
        assert await keys.find("b", "RS256") is not None

    asyncio.run(run())


def test_a_provider_that_never_answered_is_not_asked_by_everybody() -> None:
    async def run() -> None:
        keys, provider, _ = made()
        provider.away = True
        for _ in range(50):
            with pytest.raises(Unreachable):
                await keys.find("a", "RS256")
        assert provider.asked <= 1 + ALLOWANCE

    asyncio.run(run())


def test_a_fetch_that_breaks_off_leaves_the_last_good_keys() -> None:
    async def run() -> None:
        keys, provider, clock = made()
        await keys.fetch()
        for bad in (
            {"jwks_uri": "https://provider.test/keys"},
            {"issuer": "x"},
            {"issuer": "x", "jwks_uri": "ftp://x"},
        ):
            provider.discovery = bad
            clock.now += FRESH_S + RETRY_S + 2
            assert await keys.find("a", "RS256") is not None
        provider.discovery = {"issuer": "x", "jwks_uri": "http://provider.test/keys"}
        with pytest.raises(Unreachable, match="no TLS"):
            await keys.fetch()

    asyncio.run(run())


@pytest.mark.filterwarnings("ignore:Key size should be")
@pytest.mark.parametrize(
    "key",
    [
        OctKey.generate_key(256, {"kid": "a"}).as_dict(private=True),
        rsa("a", 1024).as_dict(private=False),
        ECKey.generate_key("secp256k1", {"kid": "a"}).as_dict(private=False),
        {**rsa("a").as_dict(private=False), "use": "enc"},
        {**rsa("a").as_dict(private=False), "alg": "RSA-OAEP"},
        {"kty": "RSA", "kid": "a", "n": "!", "e": "AQAB"},
        {"kty": "RSA", "kid": "a"},
        {"kty": "EC", "kid": "a", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kid": "a"},
        {"kty": ["RSA"], "kid": "a"},
    ],
    ids=lambda key: str(key.get("kty")),
)
def test_keys_that_verify_nothing_are_left_out_of_a_set(key: dict[str, Any]) -> None:
    async def run() -> None:
        keys, provider, _ = made()
        provider.keys = [key, rsa("good").as_dict(private=False), "odd"]  # type: ignore[list-item]
        assert await keys.find("good", "RS256") is not None
        for algorithm in openid_keys.ALGORITHMS:
            assert await keys.find("a", algorithm) is None

    asyncio.run(run())


def test_a_key_is_for_its_own_algorithms() -> None:
    """A05: the kind of key decides, not what the token says."""

    async def run() -> None:
        keys, provider, _ = made()
        curve = ECKey.generate_key("P-384", {"kid": "curve"})
        provider.keys = [
            {**rsa("one").as_dict(private=False), "alg": "RS256"},
            rsa("any").as_dict(private=False),
            curve.as_dict(private=False),
        ]
        fits = {
            kid: [one for one in openid_keys.ALGORITHMS if await keys.find(kid, one) is not None]
            for kid in ("one", "any", "curve")
        }
        assert fits == {
            "one": ["RS256"],
            "any": ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
            "curve": ["ES384"],
        }

    asyncio.run(run())


# -- requests --------------------------------------------------------------------------------------------

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def asked(answer: Answer, path: str = "/") -> Any:
    """What comes of asking a server that answers in some way."""

    async def run() -> Any:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            return await Outbound().document(f"http://127.0.0.1:{port}{path}")

    return asyncio.run(run())


def replying(head: str, body: bytes = b"", then: str = "") -> Answer:
    """:param then: how further requests are answered, where it is another way"""
    heads = [head]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        now = heads.pop() if heads else then or head
        writer.write(f"HTTP/1.1 {now}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()

    return answer


def test_a_document_is_taken() -> None:
    assert asked(replying("200 OK", b'{"a": 1}')) == {"a": 1}


@pytest.mark.parametrize(
    "answer",
    [
        replying("302 Found\r\nLocation: /path", b"{}", then="200 OK"),
        replying("404 Not Found", b"{}"),
        replying("200 OK", b"[]"),
        replying("200 OK", b"confidential"),
        replying("403 Forbidden", b"confidential"),
        replying("200 OK", b"[" * 100_000),
        replying("200 OK", json.dumps({"a": "x" * DOCUMENT_BYTES_MAX}).encode()),
        replying("200 OK\r\nContent-Encoding: gzip", b"\x1f\x8b\x08"),
        replying("nonsense"),
    ],
)
def test_what_is_no_document_is_refused_without_telling_what_it_was(answer: Answer) -> None:
    """A08: redirects are not followed, sizes are bounded, and nobody reads through us what is not for him."""
    with pytest.raises(Unreachable) as caught:
        asked(answer, "/path?secret=1")
    assert "secret" not in str(caught.value) and "confidential" not in str(caught.value)


def test_a_server_that_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "TOTAL_S_MAX", 0.05)

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    with pytest.raises(Unreachable):
        asked(silent)


def test_only_so_many_requests_are_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens that nobody has checked yet make requests: a flood of them is refused, it does not pile up."""
    monkeypatch.setattr(outbound, "UNDER_WAY_MAX", 3)
    gate = asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await gate.wait()
        await replying("200 OK", b"{}")(reader, writer)

    async def run() -> None:
        server = await asyncio.start_server(slow, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        asking = Outbound()
        async with server:
            waiting = [asyncio.create_task(asking.document(url)) for _ in range(3)]
            await asyncio.sleep(0)
            with pytest.raises(Unreachable, match="too many"):
                await asking.document(url)
            gate.set()
            assert await asyncio.gather(*waiting) == [{}] * 3
            assert await asking.document(url) == {}

    asyncio.run(run())


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data", "http://[fe80::1]/", "http://[::ffff:169.254.169.254]/", "http://0.0.0.0/",
        "http://[::]/", "http://224.0.0.1/", "http://2852039166/", "http://0xa9fea9fe/", "file:///etc/passwd", "gopher://a/",
        "http://user:password@host/", "http://", "http://host:99999/", "//host/", "",
    ],
)  # fmt: skip
def test_addresses_that_are_never_connected_to(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A08: the metadata of clouds, whatever it is called; other schemes; credentials in the URL."""
    _watch(monkeypatch)
    with pytest.raises(Unreachable) as caught:
        asyncio.run(Outbound().document(url))
    assert "password" not in str(caught.value)


def test_a_name_that_leads_to_such_an_address_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A08: what a name resolves to is looked at, and what was looked at is what is connected to."""

    async def resolve(self: Any, host: str, port: int = 0, family: Any = 0) -> list[Any]:
        return [{"hostname": host, "host": "169.254.169.254", "port": port, "family": 2, "proto": 0, "flags": 0}]

    _watch(monkeypatch)
    monkeypatch.setattr(outbound_http.ThreadedResolver, "resolve", resolve)
    with pytest.raises(Unreachable):
        asyncio.run(Outbound().document("http://metadata.example/"))


def _watch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any attempt to connect fails the test."""

    async def connect(*_: Any, **__: Any) -> None:
        raise AssertionError("connected")

    monkeypatch.setattr(outbound_http.aiohttp.TCPConnector, "_wrap_create_connection", connect)


def test_tls_is_not_given_up_on_the_way() -> None:
    assert check_url("https://a/keys", "https://a/") and check_url("http://a/keys", "http://a/")
    with pytest.raises(Unreachable):
        check_url("http://a/keys", "https://a/")
