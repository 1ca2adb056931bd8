"""``sos client`` against a real MinIO server: versions and delete markers, and an admin API that is not our own."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.clients import Tool, find, own
from tests.kit.own_client import Ask
from tests.kit.server import PASSWORD, USER, until


@pytest.fixture(scope="module")
def tool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tool]:
    """The client with a MinIO server as ``sos``."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = find("minio", ("--version",), "minio version")
    root = tmp_path_factory.mktemp("minio")
    env = {"MINIO_ROOT_USER": USER, "MINIO_ROOT_PASSWORD": PASSWORD, "MINIO_BROWSER": "off", "HOME": str(root)}
    with (root / "log").open("wb") as log:
        process = subprocess.Popen(
            [program, "server", "--address", f"127.0.0.1:{port}", str(root / "data")], env=env, stdout=log, stderr=log
        )
    try:
        yield _ready(f"http://127.0.0.1:{port}", tmp_path_factory.mktemp("home"))
    finally:
        process.kill()
        process.wait()


def _ready(url: str, home: Path) -> Tool:
    def tried() -> Tool | None:
        try:
            return own(url, home)
        except AssertionError:
            return None

    return until(tried, "the server")


def test_versions_are_listed_read_copied_and_removed(tool: Tool, ask: Ask, tmp_path: Path) -> None:
    ask("mb", "--with-versioning", "sos/versions")
    for key, text in (("k", "first"), ("k", "second"), ("a", "other")):
        tool("pipe", f"sos/versions/{key}", stdin=text.encode())
    assert ask("rm", "sos/versions/k")[0]["deleteMarker"] is True
    listed = ask("ls", "--versions", "sos/versions")
    assert [(one["key"], one["versionOrdinal"], one.get("isDeleteMarker", False)) for one in listed] == [
        ("a", 1, False), ("k", 3, True), ("k", 2, False), ("k", 1, False),
    ]  # fmt: skip
    assert [one["key"] for one in ask("ls", "sos/versions")] == ["a"]
    assert [one["key"] for one in ask("ls", "--rewind", "1h", "sos/versions")] == []
    first = listed[3]["versionId"]
    assert tool("cat", "--vid", first, "sos/versions/k").out == "first"
    tool("cp", "--version-id", first, "sos/versions/k", tmp_path / "first")
    assert (tmp_path / "first").read_text() == "first"
    assert ask("du", "--versions", "sos/versions")[0]["objects"] == 3
    gone = ask("rm", "-r", "--force", "--versions", "--non-current", "sos/versions/")
    assert sorted((one["key"], one["versionID"]) for one in gone) == sorted(
        ("sos/versions/k", one["versionId"]) for one in listed[1:]
    )
    ask("rm", "--version-id", listed[0]["versionId"], "sos/versions/a")
    assert ask("ls", "--versions", "sos/versions") == []
    ask("rb", "sos/versions")


def test_its_admin_api_is_understood(ask: Ask) -> None:
    ask("admin", "user", "add", "sos", "bob", "a-secret-of-his")
    ask("admin", "policy", "attach", "sos", "readwrite", "--user", "bob")
    assert ask("admin", "user", "ls", "sos")[0]["policyName"] == "readwrite"
    made = ask("admin", "accesskey", "create", "sos", "bob")[0]
    assert made["accessKey"] and made["secretKey"]
    assert ask("admin", "config", "get", "sos", "site")[0]["value"].startswith("site ")
    ask("admin", "config", "set", "sos", "site", "name=here")
    entry = ask("admin", "config", "history", "sos")[0]["entries"][0]
    assert "name=here" in entry["data"]
    assert len(ask("admin", "info", "sos")[0]["info"]["servers"]) == 1
