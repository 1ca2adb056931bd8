"""The admin API in memory: its table, who may do what, and what its documents say."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from sos.admin import moments
from sos.admin.operations import OPERATIONS, Operation
from sos.admin.router import route
from sos.domain.errors import BadDocument, UnknownCall, UnsupportedCall
from sos.domain.policy.actions import ACTIONS
from sos.meta.records import BucketRecord
from tests.kit.admin import SECRET, Admin
from tests.kit.identities import MAIN, ROOT

READ_ALL: dict[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::*"]}],
}


@pytest.fixture
def admin() -> Admin:
    return Admin()


def example(operation: Operation) -> str:
    """A path of a row."""
    path = re.sub(r"\{way\}", "attach", operation.path.removeprefix("admin/v3/"))
    return f"{operation.method} {re.sub(r'{.*?}', 'builtin', path)}"


# -- the table ---------------------------------------------------------------------------------------------


def test_every_action_is_one_that_policies_can_name() -> None:
    assert {action for row in OPERATIONS for action in row.actions} <= set(ACTIONS)


@pytest.mark.parametrize("row", OPERATIONS, ids=lambda row: f"{row.method}-{row.path}")
def test_every_row_is_found_by_its_path(row: Operation) -> None:
    path = example(row).partition(" ")[2]
    prefix = "/minio/" if row.path.startswith("kms/") else "/minio/admin/v3/"
    found = route(row.method, f"{prefix}{path}".encode(), {name: [""] for name in row.query})
    assert (found.operation.name, found.operation.handler) == (row.name, row.handler)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "admin/v4/info"), ("GET", "admin/v3/nonsense"), ("DELETE", "admin/v3/info"), ("PUT", "admin/v3/add-user")],
)
def test_what_is_not_in_the_table_is_another_version(method: str, path: str) -> None:
    with pytest.raises(UnknownCall):
        route(method, f"/minio/{path}".encode(), {})


def test_key_management_has_no_versions() -> None:
    with pytest.raises(UnsupportedCall):
        route("GET", b"/minio/kms/v1/nonsense", {})


ADMINISTERED = [row for row in OPERATIONS if row.actions and row.path.startswith("admin/")]


@pytest.mark.parametrize("row", ADMINISTERED, ids=lambda row: f"{row.method}-{row.path}")
def test_every_row_is_decided_by_the_policies(row: Operation, admin: Admin) -> None:
    """Anonymous, no policy, another action, the action, a denial of it, root: refused or not. What is allowed may fail for
    other reasons, and what is not implemented says 501 to those alone who could use it."""
    query = dict.fromkeys(row.query, "1")
    other = admin.policy("other", "admin:KMSCreateKey" if "admin:KMSCreateKey" not in row.actions else "admin:Heal")
    right = admin.policy("right", row.actions[0])
    deny = admin.policy("deny", *row.actions, effect="Deny")
    users = {
        "nobody": False,
        admin.user("none"): False,
        admin.user("another", other): False,
        admin.user("right-one", right): True,
        admin.user("denied", right, deny): False,
        ROOT: True,
    }
    for who, allowed in users.items():
        reply = admin.ask(example(row), b"", who, **query)
        assert (reply.code != "AccessDenied") == allowed, (who, reply.body)
        if allowed and row.handler is None:
            assert (reply.status, reply.code) == (501, "NotImplemented")


# -- who may do what ---------------------------------------------------------------------------------------


def test_users_of_another_account_are_out_of_reach(admin: Admin) -> None:
    from tests.kit.identities import run

    admin.user("alice", "consoleAdmin")
    run(admin.identity.accounts.add("tenant", "tenant-root", SECRET))
    assert admin.ask("GET info", who="tenant-root").code == "AccessDenied"
    assert admin.ask("GET list-users", who="tenant-root").opened == {}
    assert admin.ask("DELETE remove-user", who="tenant-root", accessKey="alice").code == "XMinioAdminNoSuchUser"
    key = admin.service_account("alice").opened["credentials"]["accessKey"]
    assert admin.ask("DELETE delete-service-account", who="tenant-root", accessKey=key).code == "AccessDenied"
    body = {"secretKey": SECRET}
    assert (
        admin.ask("PUT add-user", body, "tenant-root", sealed=True, accessKey="alice").code
        == "XMinioInvalidIAMCredentials"
    )
    assert admin.ask("PUT add-user", body, "tenant-root", sealed=True, accessKey="bob").status == 200
    assert list(admin.ask("GET list-users", who="tenant-root").opened) == ["bob"]
    assert list(admin.ask("GET list-users").opened) == ["alice"]
    found = admin.ask("GET list-access-keys-bulk", who="tenant-root", listType="all", all="true").opened
    assert sorted(found) == ["bob", "tenant-root"]


def test_users_change_their_own_secret_and_nothing_else(admin: Admin) -> None:
    admin.user("alice", "readonly"), admin.user("bob", "readonly")
    wanted = {"secretKey": "another-secret", "status": "enabled"}
    assert admin.ask("PUT add-user", wanted, "alice", sealed=True, accessKey="bob").code == "AccessDenied"
    assert admin.ask("PUT add-user", wanted, "alice", sealed=True, accessKey="alice").status == 200
    known = admin.identity.directory.find("alice")
    assert known is not None and known.secret == "another-secret"
    assert admin.ask("GET user-info", who="alice", accessKey="alice").json["policyName"] == "readonly"
    assert admin.ask("GET user-info", who="alice", accessKey="bob").code == "AccessDenied"
    admin.attach(admin.policy("fixed", "admin:CreateUser", effect="Deny"), "alice")
    assert admin.ask("PUT add-user", wanted, "alice", sealed=True, accessKey="alice").code == "AccessDenied"


def test_a_key_of_a_user_cannot_change_the_secret_of_the_user(admin: Admin) -> None:
    admin.user("alice", "readonly")
    """Not even where both may make users: it would outlive its end, or the policy that binds it."""
    wanted = {"secretKey": "known-to-the-key"}
    for policy in ("readonly", "consoleAdmin"):
        admin.user(name := f"alice-{policy}", policy)
        key = admin.service_account(name).opened["credentials"]["accessKey"]
        assert admin.ask("PUT add-user", wanted, key, sealed=True, accessKey=name).code == "AccessDenied"
    assert admin.ask("PUT add-user", wanted, key, sealed=True, accessKey="somebody-else").status == 200


def test_a_document_without_version_and_statements_takes_the_policy_of_a_key_away(admin: Admin) -> None:
    """As MinIO has it, and providers for Terraform send it."""
    admin.user("alice", "readwrite")
    for nothing in ({}, {"Version": "", "Statement": None}, {"Version": "", "Statement": []}):
        key = admin.service_account("alice", policy=READ_ALL).opened["credentials"]["accessKey"]
        assert admin.ask("GET info-service-account", accessKey=key).opened["impliedPolicy"] is False
        change = {"newPolicy": nothing}
        assert admin.ask("POST update-service-account", change, "alice", sealed=True, accessKey=key).status == 204
        assert admin.ask("GET info-service-account", accessKey=key).opened["impliedPolicy"] is True
        assert admin.ask("POST update-service-account", change, key, sealed=True, accessKey=key).status == 204
        bound = admin.service_account("alice", policy=READ_ALL).opened["credentials"]["accessKey"]
        assert admin.ask("POST update-service-account", change, bound, sealed=True, accessKey=bound).code
    refused = {"newPolicy": {"Version": "2012-10-17", "Statement": []}}
    told = admin.ask("POST update-service-account", refused, "alice", sealed=True, accessKey=key)
    assert told.code == "XMinioMalformedIAMPolicy"


def test_a_bound_key_sees_itself_and_no_other(admin: Admin) -> None:
    admin.user("alice", "readwrite")
    bound = admin.service_account("alice", policy=READ_ALL).opened["credentials"]["accessKey"]
    other = admin.service_account("alice").opened["credentials"]["accessKey"]
    assert admin.ask("GET info-service-account", who=bound, accessKey=bound).opened["parentUser"] == "alice"
    assert admin.ask("GET info-access-key", who=bound, accessKey="").opened["AccessKey"] == bound
    assert admin.ask("GET info-service-account", who=bound, accessKey=other).code == "AccessDenied"
    assert admin.ask("DELETE delete-service-account", who=bound, accessKey=bound).code == "AccessDenied"


def test_lists_of_one_kind_of_keys_name_those_who_have_any(admin: Admin) -> None:
    admin.user("alice", "readonly"), admin.user("bob", "readonly")
    admin.service_account("alice")

    def named(kind: str) -> list[str]:
        return sorted(admin.ask("GET list-access-keys-bulk", listType=kind, all="true").opened)

    admin.attach(admin.policy("lister", "admin:ListServiceAccounts"), "bob")
    asked = admin.ask("GET list-access-keys-bulk", who="bob", listType="all", users="alice")
    assert list(asked.opened) == ["alice"]  # who all the users are takes a right of its own
    assert admin.ask("GET list-access-keys-bulk", who="bob", listType="all", all="true").code == "AccessDenied"
    assert named("svcacc-only") == ["alice"] and named("sts-only") == []
    assert named("all") == named("users-only") == sorted(["alice", "bob", ROOT])


def test_a_built_in_policy_is_not_said_to_be_removed(admin: Admin) -> None:
    assert admin.ask("DELETE remove-canned-policy", name="readonly").code == "XMinioAdminInvalidArgument"
    assert admin.ask("PUT add-canned-policy", READ_ALL, name="readonly").status == 200
    assert admin.ask("DELETE remove-canned-policy", name="readonly").status == 200
    assert admin.ask("DELETE remove-canned-policy", name="no-such").status == 200


def test_a_restricted_key_stays_restricted(admin: Admin) -> None:
    """A01: neither it, nor a key that it makes, can do more than its session policy says."""
    admin.user("alice", "consoleAdmin")
    key = admin.service_account("alice", policy=READ_ALL).opened["credentials"]["accessKey"]
    assert admin.service_account(key).code == "AccessDenied"
    everything = {"newPolicy": {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["admin:*"]}]}}
    assert admin.ask("POST update-service-account", everything, key, sealed=True, accessKey=key).code == "AccessDenied"
    sibling = admin.service_account("alice").opened["credentials"]["accessKey"]
    assert admin.ask("DELETE delete-service-account", who=key, accessKey=sibling).code == "AccessDenied"
    assert admin.ask("POST update-service-account", everything, "alice", sealed=True, accessKey=key).status == 204


def test_a_bound_key_changes_no_key_of_its_user(admin: Admin) -> None:
    """A01: its session policy lets it change keys, which its user may do for being their owner alone."""
    admin.user("alice", "readwrite")
    changes = {"Effect": "Allow", "Action": ["admin:UpdateServiceAccount"]}
    policy = {**READ_ALL, "Statement": [*READ_ALL["Statement"], changes]}
    key = admin.service_account("alice", policy=policy).opened["credentials"]["accessKey"]
    free = admin.service_account("alice").opened["credentials"]["accessKey"]
    for target in (key, free):
        body = {"newSecretKey": "known-to-the-bound"}
        assert admin.ask("POST update-service-account", body, key, sealed=True, accessKey=target).code == "AccessDenied"
        assert admin.ask("POST update-service-account", body, free, sealed=True, accessKey=target).status == 204


def test_a_policy_can_bound_the_life_of_keys(admin: Admin) -> None:
    document = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Deny",
                "Action": ["admin:CreateServiceAccount"],
                "Condition": {"NumericGreaterThan": {"svc:DurationSeconds": "7200"}},
            }
        ],
    }
    assert admin.ask("PUT add-canned-policy", document, name="short").status == 200
    admin.user("alice", "readonly", "short")
    now = admin.world.now_ns = time.time_ns()
    short, long = (moments.show(now + hours * 3600 * 10**9) for hours in (1, 3))
    assert admin.service_account("alice", expiration=long).code == "AccessDenied"
    assert admin.service_account("alice", expiration=short).opened["credentials"]["expiration"] == short[:19] + "Z"


def test_nobody_makes_a_key_of_root_but_root(admin: Admin) -> None:
    admin.user("alice", "consoleAdmin")
    assert admin.service_account("alice", targetUser=ROOT).code == "AccessDenied"
    made = admin.service_account(ROOT, targetUser=ROOT).opened["credentials"]["accessKey"]
    info = admin.ask("GET info-access-key", accessKey=made).opened
    assert (info["parentUser"], info["userType"], info["impliedPolicy"]) == (ROOT, "Service Account", True)
    assert admin.service_account("alice", targetUser="nobody").code == "XMinioAdminNoSuchUser"


def test_who_may_not_look_does_not_learn_whether_there_is_a_key(admin: Admin) -> None:
    admin.user("alice", "readonly")
    there = admin.service_account(ROOT).opened["credentials"]["accessKey"]
    answers = [admin.ask("GET info-service-account", who="alice", accessKey=key) for key in (there, "absent")]
    assert [one.code for one in answers] == ["AccessDenied", "AccessDenied"]
    absent = admin.ask("GET info-service-account", accessKey="absent")
    assert (absent.status, absent.code) == (404, "XMinioInvalidIAMCredentials")


def test_nobody_raises_itself(admin: Admin) -> None:
    admin.user("alice", "consoleAdmin")
    body = {"policies": ["readwrite"], "user": "alice"}
    assert admin.ask("POST idp/builtin/policy/attach", body, "alice", sealed=True).code == "InvalidRequest"
    assert admin.ask("PUT set-user-status", who="alice", accessKey="alice", status="disabled").code == "XMinioAdminInvalidArgument"
    assert admin.ask("DELETE remove-user", who="alice", accessKey="alice").code == "InvalidRequest"


# -- documents ---------------------------------------------------------------------------------------------


def test_a_document_sealed_with_another_key_is_refused(admin: Admin) -> None:
    assert (
        admin.ask("PUT add-user", b'{"secretKey": "a-secret-of-hers"}', accessKey="alice").code
        == "XMinioAdminConfigBadJSON"
    )
    assert admin.ask("PUT add-user", b"not json", sealed=True, accessKey="alice").code == "XMinioAdminConfigBadJSON"
    assert (
        admin.ask("PUT add-user", {"secretKey": "short"}, sealed=True, accessKey="alice").code
        == "XMinioAdminInvalidSecretKey"
    )


def test_a_group_that_was_disabled_stays_so(admin: Admin) -> None:
    admin.user("alice")
    join = {"group": "g", "members": ["alice"], "groupStatus": "enabled", "isRemove": False}
    assert admin.ask("PUT update-group-members", join).status == 200
    assert admin.ask("PUT set-group-status", group="g", status="disabled").status == 200
    assert admin.ask("PUT update-group-members", join).status == 200
    assert admin.ask("GET group", group="g").json["status"] == "disabled"
    assert admin.ask("PUT set-group-status", group="g", status="perhaps").code == "XMinioAdminInvalidArgument"


def test_no_policy_counts_for_the_members_of_a_disabled_group(admin: Admin) -> None:
    """As in MinIO: without the policies of the group alone, what one of them denies would be allowed."""
    admin.user("alice", "readwrite")
    join = {"group": "g", "members": ["alice"], "groupStatus": "enabled", "isRemove": False}
    assert admin.ask("PUT update-group-members", join).status == 200
    denies = {"policies": [admin.policy("none-of-it", "admin:ServerInfo", effect="Deny")], "group": "g"}
    assert admin.ask("POST idp/builtin/policy/attach", denies, sealed=True).status == 200
    key = admin.service_account("alice").opened["credentials"]["accessKey"]

    def counted() -> list[tuple[str, ...]]:
        found = [admin.identity.directory.find(name) for name in ("alice", key)]
        return [one.principal.policy_names for one in found if one is not None]

    assert counted() == [("readwrite", "none-of-it")] * 2
    assert admin.ask("PUT set-group-status", group="g", status="disabled").status == 200
    assert counted() == [(), ()]
    assert admin.ask("PUT set-group-status", group="g", status="enabled").status == 200
    assert counted() == [("readwrite", "none-of-it")] * 2


def test_the_older_call_replaces_what_is_attached(admin: Admin) -> None:
    admin.user("alice", "readonly")
    query = {"policyName": "writeonly,diagnostics", "userOrGroup": "alice", "isGroup": "false"}
    assert admin.ask("PUT set-user-or-group-policy", **query).status == 200
    assert admin.ask("GET user-info", accessKey="alice").json["policyName"] == "writeonly,diagnostics"
    body = {"policies": ["writeonly"], "user": "alice"}
    assert admin.ask("POST idp/builtin/policy/detach", body, sealed=True).opened["policiesDetached"] == ["writeonly"]
    code = admin.ask("POST idp/builtin/policy/detach", body, sealed=True).code
    assert code == "XMinioAdminPolicyChangeAlreadyApplied"


def test_the_policy_of_a_key_without_its_own_is_its_parents(admin: Admin) -> None:
    admin.user("alice", "readonly", "writeonly")
    key = admin.service_account("alice").opened["credentials"]["accessKey"]
    info = admin.ask("GET info-service-account", accessKey=key).opened
    assert info["impliedPolicy"] is True
    assert all(f"s3:{name}" in info["policy"] for name in ("GetObject", "PutObject"))
    assert "expiration" not in info  # never


def test_info_counts_what_there_is(admin: Admin) -> None:
    admin.buckets.records["b"] = BucketRecord(1, "b", 1, MAIN)
    info = admin.ask("GET info").json
    assert (info["objects"], info["versions"], info["deletemarkers"]) == ({"count": 2}, {"count": 3}, {"count": 1})
    assert (info["usage"], info["buckets"]) == ({"size": 4096}, {"count": 1})
    assert (info["backend"]["onlineDisks"], info["backend"]["offlineDisks"]) == (3, 1)
    assert (info["backend"]["totalSets"], info["backend"]["totalDrivesPerSet"]) == ([2], [2])
    assert [drive["state"] for drive in info["servers"][0]["drives"]] == ["ok", "ok", "ok", "offline"]
    assert info["pools"]["0"]["0"]["rawCapacity"] == 200
    usage = admin.ask("GET datausageinfo", capacity="true").json
    assert usage["bucketsUsageInfo"]["b"] == {
        "size": 4096,
        "objectsCount": 2,
        "versionsCount": 3,
        "deleteMarkersCount": 1,
    }
    assert (usage["capacity"], usage["freeCapacity"]) == (150, 90)
    storage = admin.ask("GET storageinfo").json
    assert (storage["Backend"]["OnlineDisks"], len(storage["Disks"])) == ({"host:9000": 3}, 4)
    assert admin.ask("POST background-heal/status").json["HealDisks"] == ["/data2"]


def test_account_info_shows_the_buckets_that_can_be_used(admin: Admin) -> None:
    admin.buckets.records["b"] = BucketRecord(1, "b", 1, MAIN, quota_bytes=5)
    admin.user("reader", "readonly"), admin.user("none")
    shown = admin.ask("GET accountinfo", who="reader").json
    assert shown["AccountName"] == "reader"
    assert [(b["name"], b["access"], b["details"]["quota"]["size"]) for b in shown["Buckets"]] == [
        ("b", {"read": True, "write": False}, 5)
    ]
    assert shown["Policy"]["Statement"][0]["Effect"] == "Allow"
    assert admin.ask("GET accountinfo", who="none").json["Buckets"] == []


def test_a_quota_is_set_and_taken_away(admin: Admin) -> None:
    admin.buckets.records["b"] = BucketRecord(1, "b", 1, MAIN)
    assert admin.ask("PUT set-bucket-quota", {"quota": 7, "quotatype": "hard"}, bucket="b").status == 200
    assert admin.ask("GET get-bucket-quota", bucket="b").json["size"] == 7
    assert admin.ask("PUT set-bucket-quota", {"quota": 7, "quotatype": "fifo"}, bucket="b").code == "InvalidRequest"
    assert admin.ask("PUT set-bucket-quota", {"quota": 0}, bucket="b").status == 200
    assert admin.ask("GET get-bucket-quota", bucket="b").json["size"] == 0
    assert admin.ask("GET get-bucket-quota", bucket="absent").code == "NoSuchBucket"


def test_a_stop_is_asked_for_once_and_not_by_a_dry_run(admin: Admin) -> None:
    assert admin.ask("POST service", action="stop", type="2", **{"dry-run": "true"}).json["dryRun"] is True
    assert admin.cluster.stopped == 0
    assert admin.ask("POST service", action="stop", type="2").json["results"] == [{"host": "host:9000"}]
    assert admin.cluster.stopped == 1
    assert (admin.ask("POST service", action="restart").status, admin.cluster.restarted) == (200, 1)
    for action in ("freeze", "unfreeze"):
        assert admin.ask("POST service", action=action).status == 200
    assert admin.cluster.frozen == [True, False]
    assert admin.ask("POST service", action="dance").code == "XMinioAdminInvalidArgument"
    admin.user("alice", admin.policy("stopper", "admin:ServiceRestart"))
    assert admin.ask("POST service", who="alice", action="stop").code == "AccessDenied"


def test_a_heal_runs_while_a_drive_lacks_shards(admin: Admin) -> None:
    token = admin.ask("POST heal/", {"recursive": True, "dryRun": True}).json["clientToken"]
    status = admin.ask("POST heal/", clientToken=token).json
    assert (status["summary"], status["detail"]) == ("running", "Being healed: /data2")
    (item,) = status["items"]
    assert (item["type"], item["bucket"], item["diskCount"], item["setCount"]) == ("bucket", "b", 4, 2)
    assert item["before"] == item["after"]
    assert [one["state"] for one in item["before"]["drives"]] == ["ok", "ok", "ok", "offline"]
    assert item["before"]["drives"][3]["endpoint"] == "/data4"
    assert (status["settings"]["recursive"], status["settings"]["dryRun"]) == (True, True)
    assert admin.ask("POST heal/b", clientToken=token).code == "XMinioHealInvalidClientToken"
    admin.user("alice", admin.policy("informed", "admin:ServerInfo"))
    assert admin.ask("POST heal/", who="alice", clientToken=token).code == "AccessDenied"


def test_what_is_not_enabled_says_so(admin: Admin) -> None:
    assert (admin.ask("GET idp/ldap/policy-entities").status, admin.ask("GET idp/ldap/policy-entities").code) == (
        501,
        "XMinioLDAPNotEnabled",
    )
    assert admin.ask("GET idp/openid/list-access-keys-bulk", listType="all").code == "OpenIDNotEnabled"


def test_help_has_only_the_members_that_clients_know(admin: Admin) -> None:
    every = admin.ask("GET help-config-kv", subSys="", key="").json
    assert every.keys() == {"subSys", "description", "multipleTargets", "keysHelp"}
    for entry in every["keysHelp"]:
        one = admin.ask("GET help-config-kv", subSys=entry["key"], key="").json
        assert all(k.keys() == {"key", "description", "optional", "type", "multipleTargets"} for k in one["keysHelp"])
    named = admin.ask("GET help-config-kv", subSys="api", key="requests_max", env="").json
    assert [entry["key"] for entry in named["keysHelp"]] == ["MINIO_API_REQUESTS_MAX"]
    assert admin.ask("GET help-config-kv", subSys="api", key="nonsense").code == "XMinioConfigError"


# -- times -------------------------------------------------------------------------------------------------


def test_times_are_read_and_shown_as_go_does() -> None:
    second = int(datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC).timestamp()) * 10**9
    assert moments.show(second + 120_000_000) == "2026-02-03T04:05:06.12Z"
    assert moments.show(0) == "0001-01-01T00:00:00Z"
    assert moments.parse("2026-02-03T05:05:06.000000009+01:00") == second + 9
    assert moments.parse(moments.ZERO) == moments.parse(moments.EPOCH) == 0
    for text in ("tomorrow", "2026-02-03", "2026-13-03T04:05:06Z", ""):
        with pytest.raises(BadDocument):
            moments.parse(text)
