"""SDKs of other languages, each in a program of its own that says ``good`` in the end (R25)."""

from __future__ import annotations

import pytest

from tests.kit.clients import CLIENTS, Tool, find
from tests.kit.server import PASSWORD, ROOT, USER, Server


def test_minio_go(server: Server) -> None:
    """Signed chunks, trailers of each algorithm, Content-MD5, uploads of unknown length, V4 and V2, forced removal."""
    program = Tool((find("sos-test-minio-go"),), {})
    assert program(server.url.removeprefix("http://"), USER, PASSWORD).out == "good\n"


def test_aws_sdk_for_javascript(server: Server) -> None:
    """Checksums as the SDK sends them by default, in headers and in trailers of streams."""
    modules = CLIENTS / "node" / "node_modules"
    if not (modules / "@aws-sdk" / "client-s3").exists():
        pytest.skip("the AWS SDK for JavaScript is not installed; scripts/setup test installs it where npm is")
    program = Tool((find("node"), str(ROOT / "tests/functional/node/s3.cjs")), {"NODE_PATH": str(modules)})
    assert program(server.url, USER, PASSWORD).out == "good\n"
