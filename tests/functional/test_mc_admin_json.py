"""``mc admin`` with ``--json``: the fields that scripts read, the words that they compare, and what they are told of what
is not there or not configured. (What follows over S3 is in ``test_mc_admin.py``.)"""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import pytest

from sos.admin.operations import OPERATIONS
from tests.kit import moments
from tests.kit.mc_json import SECRET, Mc
from tests.kit.server import USER, Server

NO_USER = "The specified user does not exist. (Specified user does not exist)"
NO_GROUP = "The specified group does not exist. (Specified group does not exist)"
NO_POLICY = "The canned policy does not exist. (Specified canned policy does not exist)"
NO_ACCOUNT = "The specified service account is not found"
NO_ACCOUNT_WHY = f"{NO_ACCOUNT} (Specified service account does not exist)"
ACCESS_KEY = "The access key is invalid. (access key length should be between 3 and 20)"
SECRET_KEY = "The secret key is invalid. (secret key length should be between 8 and 40)"
NO_KMS = "Server side encryption specified but KMS is not configured"
DOCUMENT = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::photos/*"]}],
}
EMPTY = {"PolicyName": "", "Policy": None}
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def mc(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Mc:
    return Mc(server, tmp_path_factory.mktemp("mc"))


@pytest.fixture
def user(mc: Mc) -> str:
    name = f"json-{next(_numbers)}"
    made = mc.row("admin", "user", "add", "sos", name, SECRET)
    assert made == {"status": "success", "accessKey": name, "secretKey": SECRET, "userStatus": "enabled"}
    return name


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("policy") / "photos.json"
    path.write_text(json.dumps(DOCUMENT))
    return path


@pytest.fixture(scope="module")
def bucket(mc: Mc) -> str:
    mc.row("mb", "sos/admin-json")
    return "sos/admin-json"


# -- users, groups, policies -----------------------------------------------------------------------------------


def test_admin_user(mc: Mc, user: str) -> None:
    listed = {row["accessKey"]: row for row in mc.rows("admin", "user", "ls", "sos")}
    assert listed[user] == {"status": "success", "accessKey": user, "userStatus": "enabled"}
    assert mc.row("admin", "user", "info", "sos", user) == listed[user]
    assert mc.row("admin", "user", "disable", "sos", user) == {"status": "success", "accessKey": user}
    assert mc.row("admin", "user", "info", "sos", user)["userStatus"] == "disabled"
    assert mc.row("admin", "user", "enable", "sos", user)["accessKey"] == user
    mc.row("admin", "policy", "attach", "sos", "readonly", "--user", user)
    mc.row("admin", "group", "add", "sos", f"of-{user}", user)
    info = mc.row("admin", "user", "info", "sos", user)
    assert (info["policyName"], [one["name"] for one in info["memberOf"]]) == ("readonly", [f"of-{user}"])
    assert mc.row("admin", "user", "rm", "sos", user) == {"status": "success", "accessKey": user}


@pytest.mark.parametrize("verb", ["info", "enable", "disable", "rm"])
def test_no_such_user(mc: Mc, verb: str) -> None:
    said = mc.fails("admin", "user", verb, "sos", "no-such-user")
    assert (said.told, said.message) == (["XMinioAdminNoSuchUser"], NO_USER)


@pytest.mark.parametrize(
    ("name", "secret", "code", "message"),
    [
        ("ab", SECRET, "XMinioAdminInvalidAccessKey", ACCESS_KEY),
        (
            "a=b",
            SECRET,
            "XMinioAdminInvalidAccessKey",
            "The access key is invalid. (access key contains one of reserved",
        ),
        ("abc", "short", "XMinioAdminInvalidSecretKey", SECRET_KEY),
        (USER, SECRET, "XMinioInvalidIAMCredentials", "Credential is not allowed to be same as admin access key"),
    ],
)
def test_users_that_cannot_be(mc: Mc, name: str, secret: str, code: str, message: str) -> None:
    said = mc.fails("admin", "user", "add", "sos", name, secret)
    assert said.told == [code] and said.message.startswith(message)


def test_nobody_switches_itself_off(mc: Mc) -> None:
    assert mc.fails("admin", "user", "disable", "sos", USER).told == ["XMinioAdminInvalidArgument"]
    assert mc.fails("admin", "user", "rm", "sos", USER).told == ["InvalidRequest"]


def test_admin_group(mc: Mc, user: str) -> None:
    group = f"json-group-{next(_numbers)}"
    made = {"status": "success", "groupName": group, "members": [user]}
    assert mc.row("admin", "group", "add", "sos", group, user) == made
    assert group in mc.row("admin", "group", "ls", "sos")["groups"]
    assert mc.row("admin", "group", "info", "sos", group) == {**made, "groupStatus": "enabled"}
    assert mc.row("admin", "group", "disable", "sos", group)["groupStatus"] == "disabled"
    assert mc.row("admin", "group", "info", "sos", group)["groupStatus"] == "disabled"
    assert mc.row("admin", "group", "enable", "sos", group)["groupStatus"] == "enabled"
    full = mc.fails("admin", "group", "rm", "sos", group)
    standard = "The specified group is not empty - cannot remove it."
    assert full.told == ["XMinioAdminGroupNotEmpty"]
    assert full.message == f"{standard} (Specified group is not empty - cannot remove it)"
    assert mc.row("admin", "group", "rm", "sos", group, user) == made
    assert mc.row("admin", "group", "rm", "sos", group) == {"status": "success", "groupName": group}
    nobody = mc.fails("admin", "group", "add", "sos", group, "no-such-user")
    assert (nobody.told, nobody.message) == (["XMinioAdminNoSuchUser"], NO_USER)
    odd = mc.fails("admin", "group", "add", "sos", "a=b", user)
    assert odd.told == ["XMinioInvalidGroupName"] and "(Group name contains reserved characters" in odd.message


@pytest.mark.parametrize("verb", ["info", "enable", "disable", "rm"])
def test_no_such_group(mc: Mc, verb: str) -> None:
    said = mc.fails("admin", "group", verb, "sos", "no-such-group")
    assert (said.told, said.message) == (["XMinioAdminNoSuchGroup"], NO_GROUP)


def test_admin_policy(mc: Mc, user: str, document: Path) -> None:
    name = f"json-policy-{next(_numbers)}"
    plain = {"status": "success", "policy": name, "policyInfo": EMPTY, "isGroup": False}
    assert mc.row("admin", "policy", "create", "sos", name, document) == plain
    assert plain in mc.rows("admin", "policy", "ls", "sos")
    info = mc.row("admin", "policy", "info", "sos", name)["policyInfo"]
    assert (info["PolicyName"], info["Policy"]) == (name, DOCUMENT)
    assert moments.near(info["CreateDate"]) and info["CreateDate"] == info["UpdateDate"]
    attached = mc.row("admin", "policy", "attach", "sos", name, "--user", user)
    assert attached == {"status": "success", "policiesAttached": [name], "user": user}
    assert mc.row("admin", "policy", "attach", "sos", name, "--user", user) == attached  # mc takes it for a success
    assert mc.fails("admin", "policy", "rm", "sos", name).told == ["XMinioIAMPolicyInUse"]
    detached = mc.row("admin", "policy", "detach", "sos", name, "--user", user)
    assert detached == {"status": "success", "policiesDetached": [name], "user": user}
    for _ in range(2):  # of none it is a success, too
        assert mc.row("admin", "policy", "rm", "sos", name) == plain
    said = mc.fails("admin", "policy", "info", "sos", name)
    assert (said.told, said.message) == (["XMinioAdminNoSuchPolicy"], NO_POLICY)


def test_admin_policy_entities(mc: Mc, document: Path) -> None:
    """Several of one kind, not in order: parameters of one name."""
    policy, group = f"json-policy-{next(_numbers)}", f"json-group-{next(_numbers)}"
    users = [f"json-{letter}-{next(_numbers)}" for letter in "zam"]
    for one in users:
        mc.row("admin", "user", "add", "sos", one, SECRET)
        mc.row("admin", "group", "add", "sos", group, one)
    mc.row("admin", "policy", "create", "sos", policy, document)
    mc.row("admin", "policy", "attach", "sos", policy, "--group", group)
    mc.row("admin", "policy", "attach", "sos", policy, "readonly", "--user", users[0])
    asked = [word for one in users for word in ("--user", one)]
    found = mc.row("admin", "policy", "entities", "sos", *asked)["result"]
    member = [{"group": group, "policies": [policy]}]
    assert found["userMappings"] == [
        {"user": users[1], "policies": [], "memberOfMappings": member},
        {"user": users[2], "policies": [], "memberOfMappings": member},
        {"user": users[0], "policies": [policy, "readonly"], "memberOfMappings": member},
    ]
    assert moments.near(found["timestamp"]) and "policyMappings" not in found
    assert mc.row("admin", "policy", "entities", "sos", "--group", group)["result"]["groupMappings"] == member
    uses = {"policy": policy, "users": [users[0]], "groups": [group]}
    assert mc.row("admin", "policy", "entities", "sos", "--policy", policy)["result"]["policyMappings"] == [uses]
    every = mc.row("admin", "policy", "entities", "sos")["result"]
    assert uses in every["policyMappings"] and "userMappings" not in every
    for nothing in (("--user", "nobody"), ("--group", "no-such-group"), ("--policy", "no-such-policy")):
        assert set(mc.row("admin", "policy", "entities", "sos", *nothing)["result"]) == {"timestamp"}
    listed = {row["user"] for row in mc.rows("admin", "accesskey", "ls", "sos", *users)}
    assert listed == set(users)


def test_no_such_policy_and_nobody_to_attach_it_to(mc: Mc, user: str, tmp_path: Path, document: Path) -> None:
    absent = mc.fails("admin", "policy", "attach", "sos", "no-such-policy", "--user", user)
    assert (absent.told, absent.message) == (["XMinioAdminNoSuchPolicy"], NO_POLICY)
    assert mc.fails("admin", "policy", "attach", "sos", "readonly", "--user", "nobody").message == NO_USER
    assert mc.fails("admin", "policy", "attach", "sos", "readonly", "--group", "no-such-group").message == NO_GROUP
    (tmp_path / "bad").write_text("{")
    assert mc.fails("admin", "policy", "create", "sos", "bad", tmp_path / "bad").told == ["XMinioMalformedIAMPolicy"]
    comma = mc.fails("admin", "policy", "create", "sos", "a,b", document)
    assert (comma.told, comma.message) == (["PolicyInvalidName"], "Policy name may not contain comma")


# -- keys ------------------------------------------------------------------------------------------------------


def test_admin_accesskey(mc: Mc, user: str, document: Path) -> None:
    key = f"JSON{next(_numbers)}KEY"
    given = ("--access-key", key, "--secret-key", SECRET, "--name", "mine", "--description", "of hers")
    made = mc.row("admin", "accesskey", "create", "sos", user, *given)
    assert (made["accessKey"], made["secretKey"], made["name"], made["description"]) == (key, SECRET, "mine", "of hers")
    assert made["expiration"] == "1970-01-01T00:00:00Z"  # never
    info = mc.row("admin", "accesskey", "info", "sos", key)
    assert info == {
        "status": "success", "accessKey": key, "parentUser": user, "accountStatus": "on", "impliedPolicy": True,
        "policy": {"Version": "2012-10-17", "Statement": []}, "name": "mine", "description": "of hers",
    }  # fmt: skip
    listed = mc.row("admin", "accesskey", "ls", "sos", user)
    assert (listed["user"], listed["stsKeys"], [one["accessKey"] for one in listed["svcaccs"]]) == (user, [], [key])
    changed = {"status": "success", "accessKey": key}
    assert mc.row("admin", "accesskey", "edit", "sos", key, "--name", "other", "--policy", document) == changed
    assert mc.row("admin", "accesskey", "disable", "sos", key) == changed
    info = mc.row("admin", "accesskey", "info", "sos", key)
    assert (info["name"], info["accountStatus"], "impliedPolicy" in info) == ("other", "off", False)
    assert info["policy"] == DOCUMENT
    assert mc.row("admin", "accesskey", "enable", "sos", key) == changed
    assert mc.row("admin", "accesskey", "rm", "sos", key) == changed
    random = mc.row("admin", "accesskey", "create", "sos", user, "--expiry-duration", "24h")
    assert re.fullmatch("[A-Z0-9]{20}", random["accessKey"]) and len(random["secretKey"]) == 40
    info = mc.row("admin", "accesskey", "info", "sos", random["accessKey"])
    assert moments.near(random["expiration"]) is False and info["expiration"] == random["expiration"]


@pytest.mark.parametrize(
    ("given", "code", "message"),
    [
        (("--access-key", "ab"), "XMinioAdminInvalidAccessKey", ACCESS_KEY),
        (("--access-key", "A" * 21), "XMinioAdminInvalidAccessKey", ACCESS_KEY),
        (("--secret-key", "short"), "XMinioAdminInvalidSecretKey", SECRET_KEY),
        (("--access-key", USER), "XMinioInvalidIAMCredentials", "Credential is not allowed to be same as admin"),
        (
            ("--access-key", "json-taken"),
            "XMinioIAMServiceAccountNotAllowed",
            "Specified service account action is not",
        ),
        (("--expiry-duration", "1s"), "InvalidArgument", "the expiration of a service account must be"),
    ],
)
def test_keys_that_cannot_be(mc: Mc, given: tuple[str, ...], code: str, message: str) -> None:
    mc.row("admin", "user", "add", "sos", "json-taken", SECRET)
    pair = {"--access-key": "JSONUNMADE", "--secret-key": SECRET} | {given[0]: given[1]}
    said = mc.fails("admin", "accesskey", "create", "sos", *[word for both in pair.items() for word in both])
    assert said.told == [code] and said.message.startswith(message)
    assert mc.fails("admin", "accesskey", "info", "sos", "JSONUNMADE", code=0).told == ["XMinioAdminNoSuchAccessKey"]


def test_no_such_key_and_no_such_parent(mc: Mc) -> None:
    for verb in ("enable", "disable", ("edit", "--name", "x")):
        words = (verb,) if isinstance(verb, str) else verb
        said = mc.fails("admin", "accesskey", words[0], "sos", "NOSUCHKEY", *words[1:])
        assert (said.told, said.message) == (["XMinioInvalidIAMCredentials"], NO_ACCOUNT_WHY)
    for family in (("accesskey",), ("user", "svcacct")):
        removed = mc.fails("admin", *family, "rm", "sos", "NOSUCHKEY")
        assert (removed.told, removed.message) == (["XMinioInvalidIAMCredentials"], NO_ACCOUNT)
    assert mc.fails("admin", "user", "svcacct", "info", "sos", "NOSUCHKEY").message == NO_ACCOUNT_WHY
    assert mc.fails("admin", "user", "sts", "info", "sos", "NOSUCHKEY").told == ["XMinioAdminNoSuchAccessKey"]
    for command in (
        ("accesskey", "create"),
        ("accesskey", "ls"),
        ("user", "svcacct", "add"),
        ("user", "svcacct", "ls"),
    ):
        assert mc.fails("admin", *command, "sos", "no-such-user").told == ["XMinioAdminNoSuchUser"], command


def test_admin_user_svcacct(mc: Mc, user: str) -> None:
    key = f"JSON{next(_numbers)}SVC"
    made = mc.row("admin", "user", "svcacct", "add", "sos", user, "--access-key", key, "--secret-key", SECRET)
    assert (made["accessKey"], made["secretKey"], made["accountStatus"]) == (key, SECRET, "enabled")
    assert mc.row("admin", "user", "svcacct", "ls", "sos", user)["accessKey"] == key
    info = mc.row("admin", "user", "svcacct", "info", "sos", key)
    assert (info["parentUser"], info["accountStatus"], info["impliedPolicy"]) == (user, "on", True)
    assert "expiration" not in info
    for verb in (("edit", "--name", "x"), ("disable",), ("enable",), ("rm",)):
        row = mc.row("admin", "user", "svcacct", verb[0], "sos", key, *verb[1:])
        assert row == {"status": "success", "accessKey": key}


# -- the server ------------------------------------------------------------------------------------------------


def test_admin_info(mc: Mc, server: Server) -> None:
    said = mc.row("admin", "info", "sos")
    info = said["info"]
    assert said["status"] == "success" and info["mode"] == "online"
    assert re.fullmatch("[0-9a-f-]{36}", info["deploymentID"])
    (one,) = info["servers"]
    host = f"127.0.0.1:{server.port}"
    assert (one["state"], one["endpoint"], one["network"]) == ("online", host, {host: "online"})
    assert one["uptime"] >= 0 and one["version"] and one["mem_stats"]["Alloc"] > 1 << 20
    drive = one["drives"][0]
    assert (drive["state"], drive["path"], drive["pool_index"], drive["set_index"], drive["disk_index"]) == (
        "ok", server.paths[0], 0, 0, 0,
    )  # fmt: skip
    assert drive["totalspace"] == drive["usedspace"] + drive["availspace"] and drive["availspace"] > 0
    assert re.fullmatch("[0-9a-f-]{32,36}", drive["uuid"])
    pool = info["pools"]["0"]["0"]
    assert (pool["id"], pool["healDisks"], pool["usage"]) == (0, 0, info["usage"]["size"])
    assert pool["objectsCount"] == info["objects"]["count"] and pool["rawCapacity"] >= pool["rawUsage"]


def test_quota(mc: Mc, bucket: str) -> None:
    name = bucket.partition("/")[2]
    row = {"status": "success", "bucket": name, "quota": 1 << 20, "type": "hard"}
    assert mc.row("quota", "set", bucket, "--size", "1MiB") == row
    assert mc.row("quota", "info", bucket) == row
    assert mc.row("quota", "clear", bucket) == {"status": "success", "bucket": name}
    for command in (("set", "sos/no-such-bucket", "--size", "1MiB"), ("info", "sos/no-such-bucket")):
        said = mc.fails("quota", *command)
        assert (said.told, said.about["BucketName"]) == (["NoSuchBucket"], "no-such-bucket")
        assert said.message == "The specified bucket does not exist"


def test_admin_prometheus_generate(mc: Mc, server: Server) -> None:
    said = mc.row("admin", "prometheus", "generate", "sos")
    assert (said["jobName"], said["metricsPath"], said["scheme"]) == ("minio-job", "/minio/v2/metrics/cluster", "http")
    assert said["staticConfigs"] == [{"targets": [f"127.0.0.1:{server.port}"]}]
    assert said["bearerToken"].count(".") == 2


def test_admin_decommission_status(mc: Mc) -> None:
    (pool,) = mc.rows("admin", "decommission", "status", "sos")
    info = pool["decommissionInfo"]
    assert (pool["id"], info["complete"], info["failed"], info["canceled"]) == (0, False, False, False)
    assert info["totalSize"] >= info["currentSize"] > 0
    said = mc.fails("admin", "decommission", "status", "sos", "/no/such/pool")
    assert said.told == ["XMinioAdminInvalidArgument"] and "'/no/such/pool' not found" in said.message


# -- what nothing configures -----------------------------------------------------------------------------------


def test_what_there_is_none_of_is_told_as_none(mc: Mc, bucket: str) -> None:
    assert "No remote tier targets found" in mc.tool.run("--json", "ilm", "tier", "ls", "sos").out
    assert mc.row("ilm", "tier", "info", "sos") == {"status": "success"}
    assert mc.row("batch", "list", "sos") == {"status": "success", "jobs": []}
    assert mc.row("admin", "replicate", "info", "sos") == {"enabled": False}
    status = mc.row("admin", "replicate", "status", "sos")
    assert (status["Enabled"], status["Sites"], status["BucketStats"]) == (False, None, {})
    assert mc.rows("replicate", "backlog", bucket) == []


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [
        ("ilm tier check sos COLD", "XMinioAdminTierNotFound", "Specified remote tier was not found"),
        ("ilm tier rm sos COLD", "XMinioAdminTierNotFound", "Specified remote tier was not found"),
        ("batch describe sos job", "XMinioAdminNoSuchJob", "The specified job does not exist."),
        ("batch cancel sos job", "XMinioAdminNoSuchJob", "The specified job does not exist."),
        ("admin rebalance status sos", "XMinioAdminRebalanceNotStarted", "Pool rebalance is not started"),
        ("admin rebalance stop sos", "XMinioAdminRebalanceNotStarted", "Pool rebalance is not started"),
        (
            "admin replicate rm sos --all --force",
            "XMinioSiteReplicationInvalidRequest",
            "Invalid site-replication request (site replication is not enabled)",
        ),
        (
            "replicate status BUCKET",
            "ReplicationConfigurationNotFoundError",
            "The replication configuration was not found",
        ),
        (
            "replicate resync status BUCKET",
            "ReplicationConfigurationNotFoundError",
            "The replication configuration was",
        ),
        ("replicate backlog sos/no-such-bucket", "The specified bucket does not exist", ""),
        ("admin kms key status sos", "NotImplemented", NO_KMS),
        ("admin kms key create sos key", "NotImplemented", NO_KMS),
        ("admin kms key list sos", "NotImplemented", NO_KMS),
        ("idp ldap policy entities sos", "XMinioLDAPNotEnabled", "LDAP is not enabled."),
        ("cp --enc-s3 BUCKET FILE BUCKET/f", "NotImplemented", NO_KMS),
    ],
)
def test_what_is_not_configured_says_so(
    mc: Mc, bucket: str, document: Path, command: str, code: str, message: str
) -> None:
    words = command.replace("BUCKET", bucket).replace("FILE", str(document)).split()
    said = mc.fails(*words)
    assert said.told == [code] and said.message.startswith(message)


WOULD_MAKE = {
    "AddTier": "ilm tier add minio sos COLD --endpoint http://127.0.0.1:1 --access-key a --secret-key b --bucket cold",
    "StartBatchJob": "batch start sos FILE",
    "RebalanceStart": "admin rebalance start sos",
    "StartDecommission": "admin decommission start sos /no/such/pool",
    "SiteReplicationAdd": "admin replicate add sos hers",
    "ServerUpdate": "admin update sos --yes",
}
"""Call → command that needs it."""


@pytest.mark.parametrize("name", [row.name for row in OPERATIONS if row.handler is None and row.name in WOULD_MAKE])
def test_what_would_make_something_is_not_implemented(mc: Mc, document: Path, name: str) -> None:
    """Never a plausible success."""
    said = mc.fails(*WOULD_MAKE[name].replace("FILE", str(document)).split())
    assert said.told == ["NotImplemented"] and said.message == f"{name} is not implemented by this server."
