"""Calls of the admin API that ``mc`` has no command for, with madmin-go; and what its older clients are told."""

from __future__ import annotations

import gzip
import json

import pytest

from tests.kit.clients import Tool, find
from tests.kit.server import PASSWORD, USER, Client, Server


def test_madmin_go(server: Server, wire: Client) -> None:
    program = Tool((find("sos-test-madmin-go"),), {})
    assert wire.request("PUT", "/madmin").status == 200
    assert wire.request("PUT", "/madmin/key", body=b"text").status == 200
    assert program(f"127.0.0.1:{server.port}", USER, PASSWORD).lines == ["ok"]


@pytest.mark.parametrize(
    ("path", "status", "code", "message"),
    [
        ("/minio/admin/v3/no-such-call", 426, "XMinioAdminVersionMismatch", "This 'admin' API is not supported"),
        ("/minio/admin/v2/info", 426, "XMinioAdminVersionMismatch", "Server expects client requests with 'admin' API"),
        ("/minio/admin/v4/info", 426, "XMinioAdminVersionMismatch", "Server expects client requests with 'admin' API"),
        ("/minio/kms/v1/no-such-call", 400, "BadRequest", "An unsupported API call for method: GET at '/minio/kms/v1/"),
        ("/minio/kms/v2/status", 400, "BadRequest", "An unsupported API call for method: GET at '/minio/kms/v2/status'"),
    ],
)
def test_a_call_that_is_none_is_told_in_json(wire: Client, path: str, status: int, code: str, message: str) -> None:
    reply = wire.request("GET", path)
    told = json.loads(reply.body)
    assert (reply.status, reply.headers["content-type"], told["Code"]) == (status, "application/json", code)
    assert told["Message"].startswith(message) and told["Resource"] == path and len(told["RequestId"]) == 16


def test_documents_are_compressed_for_who_takes_them_so(wire: Client) -> None:
    asked = wire.request("GET", "/minio/admin/v3/info", headers={"Accept-Encoding": "gzip"})
    plain = wire.request("GET", "/minio/admin/v3/info")
    assert asked.headers["content-encoding"] == "gzip" and "content-encoding" not in plain.headers
    assert set(json.loads(gzip.decompress(asked.body))) == set(json.loads(plain.body))
    assert len(asked.body) < len(plain.body) // 2
