"""``sos client admin`` against a real server, with today's words and those of older guides, beside the real mc."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.kit.clients import Tool, mc, own
from tests.kit.own_client import Ask, Speaker
from tests.kit.server import USER, Server, until

SECRET = "a-secret-of-hers"
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def ask(tool: Tool) -> Ask:
    return Speaker(tool, "admin").ask


@pytest.fixture(scope="module")
def fail(tool: Tool) -> Callable[..., str]:
    """Run an admin command that must fail; the code that the server gave, or the message."""

    def run(*arguments: str | Path, **named: Any) -> str:
        message, code = Speaker(tool, "admin").fail(*arguments, **named)
        return code or message

    return run


@pytest.fixture
def user(ask: Ask) -> str:
    name = f"client-user-{next(_numbers)}"
    ask("user", "add", "sos", name, SECRET)
    return name


def test_users(ask: Ask, fail: Any, user: str, tool: Tool) -> None:
    assert {"status": "success", "accessKey": user, "userStatus": "enabled"} in ask("user", "ls", "sos")
    ask("user", "disable", "sos", user)
    assert ask("user", "info", "sos", user)[0]["userStatus"] == "disabled"
    ask("user", "enable", "sos", user)
    ask("user", "rm", "sos", user)
    assert fail("user", "info", "sos", user) == "XMinioAdminNoSuchUser"
    assert fail("user", "rm", "sos", user) == "XMinioAdminNoSuchUser"
    assert fail("user", "add", "sos", USER, SECRET) == "XMinioInvalidIAMCredentials"
    assert SECRET not in tool("admin", "user", "add", "sos", user, SECRET, "--json").out
    ask("user", "add", "sos", f"{user}-typed", stdin=f"{SECRET}\n".encode())


def test_groups(ask: Ask, fail: Any, user: str) -> None:
    ask("group", "add", "sos", "client-staff", user)
    ask("policy", "attach", "sos", "readonly", "--group", "client-staff")
    assert ask("group", "info", "sos", "client-staff")[0] == {
        "status": "success", "groupName": "client-staff", "members": [user], "groupStatus": "enabled",
        "groupPolicy": "readonly",
    }  # fmt: skip
    assert ask("user", "info", "sos", user)[0]["memberOf"] == [{"name": "client-staff", "policies": ["readonly"]}]
    assert "client-staff" in ask("group", "ls", "sos")[0]["groups"]
    ask("group", "disable", "sos", "client-staff")
    assert ask("group", "info", "sos", "client-staff")[0]["groupStatus"] == "disabled"
    ask("group", "enable", "sos", "client-staff")
    assert fail("group", "rm", "sos", "client-staff") == "XMinioAdminGroupNotEmpty"
    ask("group", "rm", "sos", "client-staff", user)
    ask("group", "rm", "sos", "client-staff")
    assert fail("group", "info", "sos", "client-staff") == "XMinioAdminNoSuchGroup"


def test_policies(ask: Ask, fail: Any, user: str, document: Path, tmp_path: Path, tool: Tool) -> None:
    ask("policy", "create", "sos", "client-photos", document)
    assert "client-photos" in [one["policy"] for one in ask("policy", "ls", "sos")]
    told = ask("policy", "info", "sos", "client-photos", "--policy-file", tmp_path / "back")[0]
    assert (
        told["policyInfo"]["Policy"] == json.loads((tmp_path / "back").read_text()) == json.loads(document.read_text())
    )
    for _ in range(2):
        assert ask("policy", "attach", "sos", "client-photos", "--user", user)[0]["policiesAttached"] == [
            "client-photos"
        ]
    assert ask("policy", "entities", "sos", "--user", user)[0]["result"]["userMappings"] == [
        {"user": user, "policies": ["client-photos"]}
    ]
    assert json.loads(tool("admin", "user", "policy", "sos", user).out) == json.loads(document.read_text())
    assert fail("policy", "rm", "sos", "client-photos") == "XMinioIAMPolicyInUse"
    ask("policy", "detach", "sos", "client-photos", "--user", user)
    ask("policy", "rm", "sos", "client-photos")
    assert fail("policy", "info", "sos", "client-photos") == "XMinioAdminNoSuchPolicy"
    assert "No such file" in fail("policy", "create", "sos", "client-photos", tmp_path / "none")
    assert "Exactly one" in fail("policy", "attach", "sos", "readonly")
    assert fail("policy", "create", "sos", "client-bad", "-", stdin=b"{}") != ""


def test_the_words_of_older_guides(ask: Ask, fail: Any, user: str, document: Path) -> None:
    def attached() -> list[str]:
        return sorted(filter(None, ask("user", "info", "sos", user)[0].get("policyName", "").split(",")))

    ask("policy", "add", "sos", "client-older", document)
    ask("policy", "set", "sos", "client-older", f"user={user}")
    assert attached() == ["client-older"]
    ask("policy", "set", "sos", "readonly,diagnostics", f"user={user}")
    assert attached() == ["diagnostics", "readonly"]
    ask("policy", "update", "sos", "client-older", f"user={user}")
    assert attached() == ["client-older", "diagnostics", "readonly"]
    ask("policy", "unset", "sos", "client-older,readonly", f"user={user}")
    assert attached() == ["diagnostics"]
    ask("group", "add", "sos", "client-older-group", user)
    ask("policy", "set", "sos", "readonly", "group=client-older-group")
    assert ask("group", "info", "sos", "client-older-group")[0]["groupPolicy"] == "readonly"
    assert "user=USER" in fail("policy", "set", "sos", "readonly", user)
    ask("policy", "remove", "sos", "client-older")


def test_access_keys(server: Server, ask: Ask, fail: Any, user: str, document: Path, tool: Tool) -> None:
    ask("policy", "attach", "sos", "readwrite", "--user", user)
    made = ask("accesskey", "create", "sos", user, "--name", "backup", "--expiry-duration", "24h")[0]
    env = {"MC_HOST_key": server.url.replace("http://", f"http://{made['accessKey']}:{made['secretKey']}@")}
    tool("ls", "key", env=env)
    listed = {one["user"]: [key["accessKey"] for key in one["svcaccs"]] for one in ask("accesskey", "ls", "sos", user)}
    assert listed == {user: [made["accessKey"]]}
    told = ask("accesskey", "info", "sos", made["accessKey"])[0]
    assert (told["parentUser"], told["name"]) == (user, "backup")
    assert made["secretKey"] not in json.dumps(told)
    ask("accesskey", "edit", "sos", made["accessKey"], "--policy", document, "--secret-key", "another-secret")
    assert tool.run("ls", "key", env=env).code == 1
    ask("accesskey", "disable", "sos", made["accessKey"])
    ask("accesskey", "enable", "sos", made["accessKey"])
    ask("accesskey", "rm", "sos", made["accessKey"])
    assert fail("accesskey", "info", "sos", made["accessKey"]) == "XMinioAdminNoSuchAccessKey"


def test_accounts(server: Server, ask: Ask, fail: Any, tool: Tool) -> None:
    def keys(secret: str) -> dict[str, str]:
        return {"MC_HOST_acme": server.url.replace("http://", f"http://acme-root:{secret}@")}

    made = ask("account", "add", "sos", "acme", "--access-key", "acme-root", "--secret-key", "acme-secret",
               "--email", "ops@acme.example", "--quota", "1MiB")[0]  # fmt: skip
    assert (made["quota"], made["accountStatus"], len(made["canonicalId"])) == (1 << 20, "enabled", 64)
    assert "acme-secret" not in json.dumps(made)
    assert "acme" in [one["name"] for one in ask("account", "ls", "sos")]
    tool("mb", "acme/acme-bucket", env=keys("acme-secret"))
    tool("pipe", "acme/acme-bucket/x", stdin=b"12345", env=keys("acme-secret"))
    told = ask("account", "info", "sos", "acme")[0]
    assert (told["buckets"], told["objects"], told["size"]) == (["acme-bucket"], 1, 5)
    assert ask("account", "info", "acme", env=keys("acme-secret"))[0]["name"] == "acme"
    ask("account", "disable", "sos", "acme")
    assert tool.run("ls", "acme", env=keys("acme-secret")).code == 1
    ask("account", "enable", "sos", "acme")
    ask("account", "set", "sos", "acme", "--secret-key", "second-secret", "--quota", "2MiB")
    assert fail("account", "ls", "acme", env=keys("second-secret")) == "AccessDenied"
    assert fail("account", "rm", "sos", "acme") != ""
    tool("rb", "--force", "acme/acme-bucket", env=keys("second-secret"))
    ask("account", "rm", "sos", "acme")
    assert tool.run("ls", "acme", env=keys("second-secret")).code == 1
    assert fail("account", "info", "sos", "acme") != ""


def test_the_state_of_the_server(ask: Ask, tool: Tool) -> None:
    info = ask("info", "sos")[0]["info"]
    assert (info["mode"], len(info["servers"][0]["drives"])) == ("online", 4)
    assert "4 drives online, 0 drives offline" in tool("admin", "info", "sos").out


def test_settings_are_read(ask: Ask, fail: Any, tool: Tool) -> None:
    assert "site" in [one["key"] for one in ask("config", "get", "sos")[0]["help"]["keysHelp"]]
    assert ask("config", "get", "sos", "site")[0]["value"].startswith("site ")
    assert "region" in tool("admin", "config", "help", "sos", "site").out
    assert "site " in tool("admin", "config", "export", "sos").out
    assert fail("config", "get", "sos", "nothing") == "XMinioConfigError"
    assert fail("config", "set", "sos", "nothing", "x=y") != ""


@pytest.mark.parametrize(
    "command",
    [
        ("user", "ls", "sos"), ("user", "info", "sos", "nobody"), ("group", "ls", "sos"), ("policy", "ls", "sos"),
        ("policy", "info", "sos", "readonly"), ("policy", "info", "sos", "none"), ("policy", "attach", "sos", "none", "--user", "x"),
        ("user", "disable", "sos", "nobody"), ("group", "rm", "sos", "none"), ("accesskey", "ls", "sos", "--self"),
        ("config", "get", "sos"), ("config", "history", "sos"), ("config", "export", "sos"), ("user", "rm", "sos", "nobody"),
    ],
    ids=lambda command: " ".join(command),
)  # fmt: skip
def test_it_says_what_mc_says(both: tuple[Tool, Tool], command: tuple[str, ...]) -> None:
    theirs, ours = (tool.run("admin", *command, "--json") for tool in both)
    assert ours.code == theirs.code, (ours, theirs)
    assert sorted(map(_comparable, ours.lines)) == sorted(map(_comparable, filter(str.strip, theirs.lines)))


def _comparable(line: str) -> str:
    one = json.loads(line)
    if one["status"] == "error":
        cause = one["error"]["cause"]
        one = {"status": "error", "code": cause["error"].get("Code"), "why": cause["message"].rstrip(".")}
    return json.dumps(one, sort_keys=True)


@pytest.fixture(scope="module")
def both(server: Server, tool: Tool, tmp_path_factory: pytest.TempPathFactory) -> tuple[Tool, Tool]:
    """mc and the client."""
    return mc(server.url, tmp_path_factory.mktemp("mc")), tool


def test_an_alias_that_is_not_there_is_told(fail: Any) -> None:
    assert "alias set" in fail("user", "ls", "nothere")


def test_a_wrong_secret_is_told(server: Server, fail: Any) -> None:
    env = {"MC_HOST_wrong": server.url.replace("http://", f"http://{USER}:not-the-secret@")}
    for command in (("user", "ls", "wrong"), ("info", "wrong"), ("user", "add", "wrong", "eve", SECRET)):
        assert fail(*command, env=env) == "SignatureDoesNotMatch"


def test_a_server_is_restarted_and_stopped(tmp_path: Path, servers: list[Server]) -> None:
    one = Server(tmp_path)
    servers.append(one)
    one.start()
    tool, before = own(one.url, tmp_path), one.worker_pids()
    tool("admin", "service", "restart", "sos")
    until(lambda: set(one.worker_pids().values()).isdisjoint(before.values()), "other workers")
    assert tool("admin", "service", "stop", "sos", "--json").out == '{"status":"success","serverURL":"sos"}\n'
    assert one.process is not None
    assert one.process.wait(60) == 0
