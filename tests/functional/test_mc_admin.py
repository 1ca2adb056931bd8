"""The real ``mc admin`` against a real server: what it prints as JSON, what it refuses, and what follows over S3."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from tests.kit.clients import Tool, mc, refusal
from tests.kit.mc_words import Ask, Words
from tests.kit.server import USER, Server

SECRET = "a-secret-of-hers"
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def tool(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Tool:
    return mc(server.url, tmp_path_factory.mktemp("mc"))


@pytest.fixture(scope="module")
def ask(tool: Tool) -> Ask:
    return Words(tool).ask


@pytest.fixture(scope="module")
def fail(tool: Tool) -> Ask:
    """Run a command that must fail; the code that the server gave."""

    def run(*arguments: str | Path) -> str:
        last = json.loads(tool.run(*arguments, "--json").lines[-1])
        assert last["status"] == "error", last
        error = last["error"]
        if isinstance(error, str):  # some commands give the text alone
            return error
        return str((error["cause"].get("error") or {}).get("Code", error["cause"]["message"]))

    return run


@pytest.fixture
def user(ask: Ask) -> str:
    name = f"user-{next(_numbers)}"
    ask("admin", "user", "add", "sos", name, SECRET)
    return name


def client(server: Server, access_key: str, secret: str = SECRET) -> Any:
    import boto3
    from botocore.config import Config

    settings = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
    return boto3.client(
        "s3", endpoint_url=server.url, region_name="us-east-1", config=settings,
        aws_access_key_id=access_key, aws_secret_access_key=secret,
    )  # fmt: skip


# -- alias -----------------------------------------------------------------------------------------------


def test_an_alias_needs_the_right_secret(server: Server, user: str, ask: Ask, fail: Ask) -> None:
    assert ask("alias", "set", "hers", server.url, user, SECRET)["alias"] == "hers"
    assert fail("alias", "set", "wrong", server.url, user, "another-secret") == "SignatureDoesNotMatch"
    assert fail("alias", "set", "wrong", server.url, "nobody-at-all", SECRET) == "InvalidAccessKeyId"


# -- users -----------------------------------------------------------------------------------------------


def test_users_are_added_listed_switched_off_and_removed(server: Server, user: str, ask: Ask, fail: Ask) -> None:
    listed = ask("admin", "user", "ls", "sos")
    shown = {one["accessKey"]: one["userStatus"] for one in (listed if isinstance(listed, list) else [listed])}
    assert shown[user] == "enabled"
    assert ask("admin", "user", "info", "sos", user)["userStatus"] == "enabled"
    s3 = client(server, user)
    assert refusal(s3.list_objects_v2, Bucket="absent") == (403, "AccessDenied")
    ask("admin", "user", "disable", "sos", user)
    assert ask("admin", "user", "info", "sos", user)["userStatus"] == "disabled"
    assert refusal(s3.list_objects_v2, Bucket="absent") == (403, "InvalidAccessKeyId")
    ask("admin", "user", "enable", "sos", user)
    assert refusal(s3.list_objects_v2, Bucket="absent") == (403, "AccessDenied")
    ask("admin", "user", "rm", "sos", user)
    assert refusal(s3.list_objects_v2, Bucket="absent") == (403, "InvalidAccessKeyId")
    assert fail("admin", "user", "info", "sos", user) == "XMinioAdminNoSuchUser"
    assert fail("admin", "user", "rm", "sos", user) == "XMinioAdminNoSuchUser"


def test_keys_that_break_the_rules_are_refused(fail: Ask) -> None:
    assert fail("admin", "user", "add", "sos", USER, SECRET) == "XMinioInvalidIAMCredentials"
    assert fail("admin", "user", "add", "sos", "eve=1", SECRET) == "XMinioAdminInvalidAccessKey"


@pytest.mark.parametrize(("policy", "reads", "writes"), [("readonly", True, False), ("writeonly", False, True)])
def test_a_user_does_what_its_policy_allows(
    server: Server, s3: Any, bucket: str, user: str, ask: Ask, policy: str, reads: bool, writes: bool
) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=b"text")
    ask("admin", "policy", "attach", "sos", policy, "--user", user)
    hers = client(server, user)
    if reads:
        assert hers.get_object(Bucket=bucket, Key="key")["Body"].read() == b"text"
        assert refusal(hers.put_object, Bucket=bucket, Key="key", Body=b"") == (403, "AccessDenied")
    if writes:
        hers.put_object(Bucket=bucket, Key="new", Body=b"")
        assert refusal(hers.get_object, Bucket=bucket, Key="key") == (403, "AccessDenied")
    assert refusal(hers.delete_object, Bucket=bucket, Key="key") == (403, "AccessDenied")
    assert refusal(hers.create_bucket, Bucket=f"{bucket}-more") == (403, "AccessDenied")


def test_who_has_no_right_learns_nothing(server: Server, user: str, ask: Ask, fail: Ask) -> None:
    """Each call of an administrator is refused to a user with all rights over S3."""
    ask("admin", "policy", "attach", "sos", "readwrite", "--user", user)
    ask("alias", "set", "hers", server.url, user, SECRET)
    for command in (
        ("user", "ls", "hers"),
        ("user", "add", "hers", "eve", SECRET),
        ("user", "info", "hers", USER),
        ("group", "ls", "hers"),
        ("policy", "ls", "hers"),
        ("policy", "attach", "hers", "consoleAdmin", "--user", user),
        ("accesskey", "create", "hers", USER),
        ("accesskey", "ls", "hers", "--all"),
        ("config", "get", "hers", "api"),
    ):
        assert fail("admin", *command) == "AccessDenied", command
    assert fail("admin", "info", "hers") == "Access Denied."
    assert ask("admin", "user", "info", "hers", user)["policyName"] == "readwrite"


# -- groups and policies -----------------------------------------------------------------------------------


def test_groups_carry_policies_while_they_are_enabled(
    server: Server, s3: Any, bucket: str, user: str, ask: Ask, fail: Ask
) -> None:
    group = f"group-{next(_numbers)}"
    hers = client(server, user)
    s3.put_object(Bucket=bucket, Key="key", Body=b"text")
    ask("admin", "group", "add", "sos", group, user)
    ask("admin", "policy", "attach", "sos", "readonly", "--group", group)
    assert group in ask("admin", "group", "ls", "sos")["groups"]
    info = ask("admin", "group", "info", "sos", group)
    assert (info["members"], info["groupPolicy"], info["groupStatus"]) == ([user], "readonly", "enabled")
    assert [one["name"] for one in ask("admin", "user", "info", "sos", user)["memberOf"]] == [group]
    assert hers.get_object(Bucket=bucket, Key="key")["Body"].read() == b"text"
    ask("admin", "group", "disable", "sos", group)
    assert refusal(hers.get_object, Bucket=bucket, Key="key") == (403, "AccessDenied")
    assert fail("admin", "group", "rm", "sos", group) == "XMinioAdminGroupNotEmpty"
    ask("admin", "group", "rm", "sos", group, user)
    ask("admin", "group", "rm", "sos", group)
    assert fail("admin", "group", "info", "sos", group) == "XMinioAdminNoSuchGroup"
    assert fail("admin", "group", "add", "sos", group, "nobody-at-all") == "XMinioAdminNoSuchUser"


def test_policies_are_made_attached_and_removed(user: str, document: Path, ask: Ask, fail: Ask) -> None:
    name = f"policy-{next(_numbers)}"
    ask("admin", "policy", "create", "sos", name, document)
    info = ask("admin", "policy", "info", "sos", name)["policyInfo"]
    assert (info["PolicyName"], info["Policy"]) == (name, json.loads(document.read_text()))
    assert info["CreateDate"] == info["UpdateDate"]
    listed = {one["policy"] for one in ask("admin", "policy", "ls", "sos")}
    assert {name, "readonly", "readwrite", "writeonly", "diagnostics", "consoleAdmin"} <= listed
    made = ask("admin", "policy", "attach", "sos", name, "readonly", "--user", user)
    assert made["policiesAttached"] == [name, "readonly"]
    entities = ask("admin", "policy", "entities", "sos", "--policy", name)["result"]
    assert entities["policyMappings"][0]["users"] == [user]
    assert fail("admin", "policy", "rm", "sos", name) == "XMinioIAMPolicyInUse"
    ask("admin", "policy", "detach", "sos", name, "--user", user)
    assert ask("admin", "user", "info", "sos", user)["policyName"] == "readonly"
    ask("admin", "policy", "rm", "sos", name)
    assert fail("admin", "policy", "info", "sos", name) == "XMinioAdminNoSuchPolicy"
    assert fail("admin", "policy", "attach", "sos", name, "--user", user) == "XMinioAdminNoSuchPolicy"


def test_a_malformed_policy_is_refused_with_its_reason(tool: Tool, tmp_path: Path, fail: Ask) -> None:
    path = tmp_path / "bad.json"
    path.write_text('{"Version": "2012-10-17", "Statement": [{"Effect": "Perhaps"}]}')
    assert fail("admin", "policy", "create", "sos", "bad", path) == "XMinioMalformedIAMPolicy"
    assert "invalid Effect Perhaps" in tool.run("admin", "policy", "create", "sos", "bad", path).err
    path.write_text('{"Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}')
    assert "must contain a valid version string" in tool.run("admin", "policy", "create", "sos", "bad", path).err


# -- access keys -------------------------------------------------------------------------------------------


def test_service_accounts_live_and_die(
    server: Server, s3: Any, bucket: str, user: str, document: Path, ask: Ask, fail: Ask
) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=b"text")
    key = f"KEY{next(_numbers)}{user}".upper()[:20]
    ask("admin", "policy", "attach", "sos", "readonly", "--user", user)
    made = ask(
        "admin", "user", "svcacct", "add", "sos", user, "--access-key", key, "--secret-key", SECRET,
        "--name", "backups", "--description", "of the night", "--policy", document,
    )  # fmt: skip
    assert (made["accessKey"], made["secretKey"]) == (key, SECRET)
    info = ask("admin", "user", "svcacct", "info", "sos", key)
    assert (info["parentUser"], info["accountStatus"], info["name"]) == (user, "on", "backups")
    assert info["policy"] == json.loads(document.read_text())
    assert ask("admin", "user", "svcacct", "ls", "sos", user)["accessKey"] == key
    theirs = client(server, key)
    assert refusal(theirs.get_object, Bucket=bucket, Key="key") == (403, "AccessDenied")  # the session policy
    ask("admin", "user", "svcacct", "disable", "sos", key)
    assert refusal(theirs.get_object, Bucket=bucket, Key="key") == (403, "InvalidAccessKeyId")
    ask("admin", "user", "svcacct", "edit", "sos", key, "--secret-key", "another-secret-of-hers")
    ask("admin", "user", "svcacct", "enable", "sos", key)
    assert refusal(theirs.get_object, Bucket=bucket, Key="key") == (403, "SignatureDoesNotMatch")
    ask("admin", "user", "svcacct", "rm", "sos", key)
    assert refusal(theirs.get_object, Bucket=bucket, Key="key") == (403, "InvalidAccessKeyId")
    assert fail("admin", "user", "svcacct", "info", "sos", key) == "XMinioInvalidIAMCredentials"


def test_users_manage_their_own_keys_alone(server: Server, user: str, ask: Ask, fail: Ask) -> None:
    """A01: a child is of its own maker, and nobody's else."""
    ask("admin", "policy", "attach", "sos", "readonly", "--user", user)
    ask("alias", "set", "hers", server.url, user, SECRET)
    made = ask("admin", "accesskey", "create", "hers", "--name", "mine")
    info = ask("admin", "accesskey", "info", "hers", made["accessKey"])
    assert (info["parentUser"], info["name"], info["impliedPolicy"]) == (user, "mine", True)
    assert ask("admin", "accesskey", "ls", "hers")["svcaccs"][0]["accessKey"] == made["accessKey"]
    roots = ask("admin", "accesskey", "create", "sos")["accessKey"]
    assert fail("admin", "accesskey", "info", "hers", roots) == "AccessDenied"
    assert fail("admin", "accesskey", "rm", "hers", roots) == "AccessDenied"
    assert fail("admin", "accesskey", "disable", "hers", roots) == "AccessDenied"
    every = ask("admin", "accesskey", "ls", "sos", "--all")
    assert roots in [key["accessKey"] for one in every if one["user"] == USER for key in one["svcaccs"]]
    ask("admin", "accesskey", "rm", "hers", made["accessKey"])
    ask("admin", "accesskey", "rm", "sos", roots)
    assert fail("admin", "accesskey", "rm", "sos", roots) == "XMinioInvalidIAMCredentials"


# -- the server --------------------------------------------------------------------------------------------


def test_info_tells_what_there_is(server: Server, s3: Any, bucket: str, ask: Ask) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=b"text")
    info = ask("admin", "info", "sos")["info"]
    assert info["mode"] == "online"
    assert info["backend"] == {
        "backendType": "Erasure", "onlineDisks": 4, "offlineDisks": 0, "standardSCParity": 2, "rrSCParity": 1,
        "totalSets": [1], "totalDrivesPerSet": [4],
    }  # fmt: skip
    drives = info["servers"][0]["drives"]
    assert [drive["path"] for drive in drives] == server.paths
    assert {drive["state"] for drive in drives} == {"ok"}
    assert all(drive["totalspace"] > drive["usedspace"] > 0 for drive in drives)
    before = info["usage"]["size"], info["objects"]["count"], info["buckets"]["count"]
    s3.put_object(Bucket=bucket, Key="second", Body=b"seven b")
    info = ask("admin", "info", "sos")["info"]
    assert (info["usage"]["size"], info["objects"]["count"], info["buckets"]["count"]) == (
        before[0] + 7,
        before[1] + 1,
        before[2],
    )


def test_a_quota_is_kept(s3: Any, bucket: str, ask: Ask) -> None:
    ask("quota", "set", f"sos/{bucket}", "--size", "1MiB")
    assert ask("quota", "info", f"sos/{bucket}")["quota"] == 1 << 20
    s3.put_object(Bucket=bucket, Key="fits", Body=bytes(900_000))
    code = refusal(s3.put_object, Bucket=bucket, Key="too-much", Body=bytes(900_000))
    assert code == (400, "XMinioAdminBucketQuotaExceeded")
    ask("quota", "clear", f"sos/{bucket}")
    s3.put_object(Bucket=bucket, Key="too-much", Body=bytes(900_000))


def test_what_there_is_not_says_so(tool: Tool, document: Path, fail: Ask) -> None:
    """A clear error, never a plausible answer."""
    assert "NotImplemented" in fail("admin", "decommission", "start", "sos", "/no/such/pool")
    assert "StartBatchJob is not implemented by this server" in tool.run("batch", "start", "sos", document).err
