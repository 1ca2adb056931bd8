"""Behind a reverse proxy: what policies say about addresses is about the client's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.kit.server import Client, Server


def _public_to(client: Client, network: str) -> None:
    statement = {
        "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::near/*",
        "Condition": {"IpAddress": {"aws:SourceIp": network}},
    }  # fmt: skip
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]}).encode()
    assert client.request("PUT", "/near").status == 200
    assert client.request("PUT", "/near/key", body=b"1").status == 200
    assert client.request("PUT", "/near", {"policy": ""}, document).status == 204


@pytest.mark.parametrize("trusted", ["", "127.0.0.1"])
def test_only_a_trusted_proxy_is_believed(tmp_path: Path, trusted: str) -> None:
    """A11: this client is the proxy, or pretends to be one."""
    env = {"SOS_TRUSTED_PROXIES": trusted} if trusted else {}
    with Server(tmp_path, drives=1, workers=1, env=env) as server, server.client() as client:
        _public_to(client, "203.0.113.0/24")
        client.be("")
        told = {
            header: client.request("GET", "/near/key", headers={"x-forwarded-for": header}).status
            for header in ("203.0.113.9", "198.51.100.1, 203.0.113.9", "203.0.113.9, 198.51.100.1", "x")
        }
        assert list(told.values()) == ([200, 200, 403, 403] if trusted else [403] * 4)
