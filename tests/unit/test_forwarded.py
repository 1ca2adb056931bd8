"""A11: where a request comes from, behind proxies and not."""

from __future__ import annotations

import pytest

from sos.config.values import NETWORKS, ConfigError, from_text, from_toml
from sos.http.forwarded import Proxies
from sos.http.message import Headers

PROXY, OTHER, CLIENT = "10.0.0.1", "192.168.7.7", "203.0.113.9"


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "origin"),
    [
        ([], CLIENT, [], CLIENT),
        ([], CLIENT, ["10.1.2.3"], CLIENT),
        ([PROXY], CLIENT, ["10.1.2.3"], CLIENT),  # whoever is no proxy is not believed
        ([PROXY], PROXY, [], PROXY),
        ([PROXY], PROXY, [CLIENT], CLIENT),
        ([PROXY], f"::ffff:{PROXY}", [CLIENT], CLIENT),
        (["10.0.0.0/8"], PROXY, [CLIENT], CLIENT),
        ([PROXY], PROXY, [f"10.9.9.9, {CLIENT}"], CLIENT),  # the client wrote the first one itself
        ([PROXY], PROXY, ["10.9.9.9", CLIENT], CLIENT),  # the same in two fields
        ([PROXY, OTHER], PROXY, [f"10.9.9.9, {CLIENT}, {OTHER}"], CLIENT),
        ([PROXY, OTHER], PROXY, [OTHER], OTHER),
        ([PROXY], PROXY, [f"{CLIENT}, {OTHER}"], OTHER),
        ([PROXY], PROXY, ["unknown"], PROXY),
        ([PROXY, OTHER], PROXY, [f"{CLIENT}, <script>, {OTHER}"], OTHER),
        ([PROXY], PROXY, [" , "], PROXY),
        (["2001:db8::/32"], "2001:db8::1", ["2001:db9::5"], "2001:db9::5"),
    ],
)
def test_the_origin(trusted: list[str], peer: str, forwarded: list[str], origin: str) -> None:
    headers = Headers([("x-forwarded-for", value) for value in forwarded])
    assert Proxies(trusted).origin(peer, False, headers) == (origin, False)


@pytest.mark.parametrize(
    ("peer", "secure", "told", "found"),
    [
        (PROXY, False, ["https"], True),
        (PROXY, True, ["http"], False),
        (PROXY, True, [], True),
        (PROXY, False, ["https, http"], False),
        (CLIENT, False, ["https"], False),
        (CLIENT, True, ["http"], True),
    ],
)
def test_whether_it_was_secure(peer: str, secure: bool, told: list[str], found: bool) -> None:
    headers = Headers([("x-forwarded-proto", value) for value in told])
    assert Proxies([PROXY]).origin(peer, secure, headers)[1] is found


def test_what_names_no_network_is_refused() -> None:
    assert from_text(NETWORKS, "10.0.0.0/8,::1", "-") == from_toml(NETWORKS, ["10.0.0.0/8", "::1"], "-")
    for value in (["10.0.0.0/8", "proxy"], ["10.0.0.0/64"]):
        with pytest.raises(ConfigError):
            from_toml(NETWORKS, value, "-")
