"""``mc admin cluster``: what there is of identities and bucket settings leaves and comes back, also from and to a real MinIO;
and how healing is told."""

from __future__ import annotations

import io
import itertools
import json
import os
import socket
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kit.admin_wire import AdminWire
from tests.kit.clients import Tool, find, mc, refusal
from tests.kit.server import PASSWORD, USER, Server, until

SECRET = "a-secret-of-hers"
READ = {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::*"]}
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def root(server: Server) -> AdminWire:
    return AdminWire(server)


@pytest.fixture(scope="module")
def tool(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Tool:
    return mc(server.url, tmp_path_factory.mktemp("mc"))


def client(url: str, access_key: str, secret: str = SECRET) -> Any:
    import boto3
    from botocore.config import Config

    settings = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
    return boto3.client(
        "s3", endpoint_url=url, region_name="us-east-1", config=settings,
        aws_access_key_id=access_key, aws_secret_access_key=secret,
    )  # fmt: skip


def ask(tool: Tool, *arguments: str | Path) -> Any:
    """A command's JSON."""
    lines = [json.loads(line) for line in tool(*arguments, "--json").lines if line.strip()]
    return lines[0] if len(lines) == 1 else lines


def document(path: Path) -> Path:
    path.write_text(json.dumps({"Version": "2012-10-17", "Statement": [READ]}))
    return path


def archive(members: dict[str, bytes | str], packing: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", packing) as made:
        for name, content in members.items():
            made.writestr(name, content)
    return file.getvalue()


def identities(**documents: Any) -> bytes:
    """An archive of MinIO's files, each named without its ending."""
    return archive({f"iam-assets/{name}.json": json.dumps(content) for name, content in documents.items()})


class World:
    """Some identities with names of their own."""

    def __init__(self) -> None:
        number = next(_numbers)
        self.user, self.other, self.idle = (f"{name}-{number}" for name in ("alice", "bob", "carol"))
        self.group, self.policy, self.key = f"readers-{number}", f"read-{number}", f"KEY{number}OFALICE"

    def make(self, tool: Tool, alias: str, folder: Path) -> None:
        policy = document(folder / "policy.json")
        for user in (self.user, self.other, self.idle):
            tool("admin", "user", "add", alias, user, SECRET)
        tool("admin", "user", "disable", alias, self.idle)
        tool("admin", "group", "add", alias, self.group, self.other)
        tool("admin", "policy", "create", alias, self.policy, policy)
        tool("admin", "policy", "attach", alias, self.policy, "--user", self.user)
        tool("admin", "policy", "attach", alias, "readwrite", "--group", self.group)
        tool("admin", "accesskey", "create", alias, self.user, "--access-key", self.key, "--secret-key", SECRET)

    def check(self, url: str, bucket: str) -> None:
        """That everybody may do what they may."""
        assert client(url, self.user).get_object(Bucket=bucket, Key="key")["Body"].read() == b"text"
        assert client(url, self.key).get_object(Bucket=bucket, Key="key")["Body"].read() == b"text"
        assert refusal(client(url, self.user).put_object, Bucket=bucket, Key="key")[0] == 403
        client(url, self.other).put_object(Bucket=bucket, Key="theirs", Body=b"")
        assert refusal(client(url, self.idle).list_buckets)[0] == 403


def put_text(url: str, bucket: str) -> str:
    root = client(url, USER, PASSWORD)
    if bucket not in [one["Name"] for one in root.list_buckets()["Buckets"]]:
        root.create_bucket(Bucket=bucket)
    root.put_object(Bucket=bucket, Key="key", Body=b"text")
    return bucket


# -- a real MinIO ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def minio(tmp_path_factory: pytest.TempPathFactory, tool: Tool) -> Iterator[str]:
    """The address of a MinIO server, also under the alias ``minio``."""
    program = find("minio", ("--version",), "minio")
    folder = tmp_path_factory.mktemp("minio")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {"MINIO_ROOT_USER": USER, "MINIO_ROOT_PASSWORD": PASSWORD, "HOME": str(folder), "MINIO_BROWSER": "off"}
    command = [program, "server", "--address", f"127.0.0.1:{port}", str(folder / "d1")]
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **env})
    try:
        url = f"http://127.0.0.1:{port}"
        until(lambda: tool.run("alias", "set", "minio", url, USER, PASSWORD).code == 0, "MinIO")
        until(lambda: tool.run("admin", "user", "ls", "minio").code == 0, "MinIO's identities")
        yield url
    finally:
        process.kill()
        process.wait()


def test_identities_come_from_a_real_minio(server: Server, s3: Any, tool: Tool, minio: str, tmp_path: Path) -> None:
    world, file = World(), tmp_path / "from-minio.zip"
    world.make(tool, "minio", tmp_path)
    world.check(minio, put_text(minio, "bucket"))
    tool("admin", "cluster", "iam", "export", "minio", "--output", file)
    told = tool("admin", "cluster", "iam", "import", "sos", file).out
    assert f"{world.policy}" in told and world.key in told and "Failed" not in told
    world.check(server.url, put_text(server.url, "moved"))
    assert ask(tool, "admin", "user", "info", "sos", world.user)["policyName"] == world.policy
    tool("admin", "cluster", "iam", "import", "sos", file)  # again: nothing changes
    world.check(server.url, "moved")


def test_identities_go_to_a_real_minio(server: Server, tool: Tool, minio: str, tmp_path: Path) -> None:
    world, file = World(), tmp_path / "to-minio.zip"
    world.make(tool, "sos", tmp_path)
    world.check(server.url, put_text(server.url, "leaving"))
    tool("admin", "cluster", "iam", "export", "sos", "--output", file)
    tool("admin", "cluster", "iam", "import", "minio", file)
    world.check(minio, put_text(minio, "arrived"))


def test_bucket_settings_go_both_ways(server: Server, s3: Any, tool: Tool, minio: str, tmp_path: Path) -> None:
    # the export goes to a file in the working directory
    there = Tool(("sh", "-c", 'cd "$0" && exec "$@"', str(tmp_path), *tool.command), tool.env)
    for source, target in (("minio", "sos"), ("sos", "minio")):
        name = f"settings-from-{source}"
        tool("mb", f"{source}/{name}")
        tool("anonymous", "set", "download", f"{source}/{name}")
        tool("quota", "set", f"{source}/{name}", "--size", "7MiB")
        file = tmp_path / ask(there, "admin", "cluster", "bucket", "export", f"{source}/{name}")["file"]
        report = ask(tool, "admin", "cluster", "bucket", "import", f"{target}/{name}", file)
        shown = report[name]
        assert shown["policy"] == shown["quota"] == {"isSet": True}
        assert ask(tool, "quota", "info", f"{target}/{name}")["quota"] == 7 << 20
        assert ask(tool, "anonymous", "get", f"{target}/{name}")["permission"] == "download"
        s3.delete_bucket(Bucket=name)  # everybody sees a public one


# -- identities --------------------------------------------------------------------------------------------


def exported(who: AdminWire, **query: str) -> dict[str, Any]:
    reply = who.ask("GET export-iam", **query).reply
    assert (reply.status, reply.headers["content-type"]) == (200, "application/zip")
    with zipfile.ZipFile(io.BytesIO(reply.body)) as found:
        return {Path(name).stem: json.loads(found.read(name)) for name in found.namelist()}


@pytest.fixture
def user(root: AdminWire) -> Callable[..., AdminWire]:
    """Makes users that may do some admin actions."""

    def make(*actions: str) -> AdminWire:
        name = f"importer-{next(_numbers)}"
        assert root.ask("PUT add-user", {"secretKey": SECRET}, sealed=True, accessKey=name).status == 200
        allow = {"Effect": "Allow", "Action": list(actions), "Resource": ["arn:aws:s3:::*"]}
        policy = {"Version": "2012-10-17", "Statement": [allow]}
        assert root.ask("PUT add-canned-policy", policy, name=name).status == 200
        root.ask("POST idp/builtin/policy/attach", {"policies": [name], "user": name}, sealed=True)
        return AdminWire(root.server, name, SECRET)

    return make


def test_secrets_leave_for_root_alone(root: AdminWire, user: Callable[..., AdminWire]) -> None:
    """A03."""
    exporter = user("admin:ExportIAM")
    root.ask("PUT add-service-account", {"targetUser": exporter.access_key}, sealed=True)
    mine, theirs = exported(root), exported(exporter)
    assert mine["users"][exporter.access_key]["secretKey"] == SECRET
    assert "secretKey" not in theirs["users"][exporter.access_key]
    assert {key["secretKey"] for key in theirs["svcaccts"].values()} == {""}
    assert all(key["secretKey"] for key in mine["svcaccts"].values())
    assert SECRET not in json.dumps(theirs) and PASSWORD not in json.dumps(mine) and USER not in mine["users"]
    restricted = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["admin:*"]}]}
    made = root.ask("PUT add-service-account", {"policy": restricted}, sealed=True).opened["credentials"]
    bound = AdminWire(root.server, made["accessKey"], made["secretKey"])
    assert "secretKey" not in exported(bound)["users"][exporter.access_key]
    for other in (user("admin:ImportIAM"), user("s3:*")):
        assert other.ask("GET export-iam").code == "AccessDenied"


def test_an_import_reaches_no_further_than_it_may(root: AdminWire, user: Callable[..., AdminWire]) -> None:
    """A03: it needs its right; it sets no claims, no parents beyond the account, and nothing of root."""
    importer, name = user("admin:ImportIAM"), f"made-{next(_numbers)}"
    key = {"parent": USER, "accessKey": "ROOTSCHILD", "secretKey": SECRET, "claims": {"parent": USER}, "status": "on"}
    asked = identities(
        users={name: {"secretKey": SECRET, "status": "enabled"}, USER: {"secretKey": SECRET, "status": "enabled"}},
        svcaccts={
            "ROOTSCHILD": key,
            "NOBODYSCHILD": {**key, "parent": "nobody-at-all"},
            "HERCHILD": {**key, "parent": name, "claims": {"parent": USER, "sa-policy": "x", "accessKey": USER}},
        },
        user_mappings={name: {"policy": "no-such-policy"}, "nobody-at-all": {"policy": "readonly"}},
    )
    report = importer.ask("PUT import-iam-v2", asked).json
    assert report["added"] == {"users": [name], "serviceAccounts": ["HERCHILD"]}
    failed = {what: {one["name"]: one["message"] for one in entries} for what, entries in report["failed"].items()}
    assert failed["users"][USER].startswith("CredentialsTaken")
    assert failed["serviceAccounts"]["ROOTSCHILD"].startswith("AccessDenied")
    assert failed["serviceAccounts"]["NOBODYSCHILD"].startswith("NoSuchUser")
    assert failed["userPolicies"][name].startswith("NoSuchPolicy")
    assert failed["userPolicies"]["nobody-at-all"].startswith("NoSuchUser")
    info = root.ask("GET info-service-account", accessKey="HERCHILD").opened
    assert (info["parentUser"], info["impliedPolicy"]) == (name, True)
    assert exported(root)["svcaccts"]["HERCHILD"]["claims"] == {}
    hers = AdminWire(root.server, "HERCHILD", SECRET)
    assert hers.ask("GET list-users").code == "AccessDenied"
    assert user("admin:ExportIAM").ask("PUT import-iam-v2", asked).code == "AccessDenied"
    # root imports its own children
    taken = root.ask("PUT import-iam-v2", identities(svcaccts={"ROOTSCHILD": key})).json
    assert taken["added"] == {"serviceAccounts": ["ROOTSCHILD"]}
    assert importer.ask("PUT import-iam-v2", identities(svcaccts={"ROOTSCHILD": {**key, "parent": name}})).json[
        "failed"
    ]


def test_what_the_older_call_did_not_take_is_an_error(root: AdminWire) -> None:
    name = f"made-{next(_numbers)}"
    both = {name: {"secretKey": SECRET, "status": "enabled"}, "no": {"secretKey": SECRET, "status": "enabled"}}
    told = root.ask("PUT import-iam", identities(users=both))
    assert told.code == "InvalidRequest" and "users no: InvalidAccessKey" in json.loads(told.reply.body)["Message"]
    assert name in root.ask("GET list-users").opened
    assert root.ask("PUT import-iam", identities(users={name: both[name]})).status == 200


def test_policies_without_statements_go_and_those_built_in_stay(root: AdminWire) -> None:
    name = f"policy-{next(_numbers)}"
    every = exported(root)["policies"]
    assert {"readonly", "readwrite", "consoleAdmin"} <= every.keys()
    new = {"Version": "2012-10-17", "Statement": [READ]}
    report = root.ask("PUT import-iam-v2", identities(policies={"readonly": every["readonly"], name: new})).json
    assert (report["skipped"], report["added"]) == ({"policies": ["readonly"]}, {"policies": [name]})
    gone = {name: {"Version": "", "Statement": None}, "no-such": {"Statement": []}}
    report = root.ask("PUT import-iam-v2", identities(policies=gone)).json
    assert report["removed"] == {"policies": [name]}
    assert [one["name"] for one in report["failed"]["policies"]] == ["no-such"]
    assert root.ask("GET info-canned-policy", name=name).code == "XMinioAdminNoSuchPolicy"
    everything = {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["**"]}  # as MinIO exports the resource *
    whole = identities(policies={name: {"Version": "2012-10-17", "Statement": [everything]}})
    assert root.ask("PUT import-iam-v2", whole).json["added"] == {"policies": [name]}
    assert root.ask("DELETE remove-canned-policy", name=name).status == 200
    bad = identities(policies={name: {"Version": "2012-10-17", "Statement": [{"Effect": "Perhaps"}]}})
    assert "invalid Effect Perhaps" in root.ask("PUT import-iam-v2", bad).json["failed"]["policies"][0]["message"]


def test_each_account_exports_and_imports_its_own(root: AdminWire) -> None:
    name = f"cluster-tenant-{next(_numbers)}"
    wanted = {"name": name, "accessKey": f"{name}-root", "secretKey": SECRET}
    assert root.ask("PUT add-account", wanted, sealed=True).status == 200
    tenant = AdminWire(root.server, f"{name}-root", SECRET)
    users = {f"{name}-user": {"secretKey": SECRET, "status": "enabled"}}
    assert tenant.ask("PUT import-iam-v2", identities(users=users)).json["added"] == {"users": [f"{name}-user"]}
    assert list(exported(tenant)["users"]) == list(exported(root, account=name)["users"]) == [f"{name}-user"]
    assert f"{name}-user" not in exported(root)["users"]
    assert root.ask("PUT import-iam-v2", identities(users=users)).json["failed"]["users"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "InvalidRequest"),
        (b"no archive", "InvalidRequest"),
        (archive({"iam-assets/users.json": "{"}), "XMinioAdminConfigBadJSON"),
        (archive({"iam-assets/users.json": b"\xff\xfe"}), "XMinioAdminConfigBadJSON"),
        (archive({"iam-assets/users.json": '{"x": 5}'}), "XMinioAdminConfigBadJSON"),
        (archive({"iam-assets/groups.json": "[]", "iam-assets/users.json": '{"before":{}}'}), "XMinioAdminConfigBadJSON"),
        (archive({"iam-assets/policies.json": b" " * (130 << 20)}, zipfile.ZIP_BZIP2), "InvalidRequest"),
        (archive({f"{n}": b" " * (33 << 20) for n in range(4)}, zipfile.ZIP_BZIP2), "InvalidRequest"),
        (archive({"iam-assets/users.json": "{}"})[:-30], "InvalidRequest"),
    ],
)  # fmt: skip
def test_archives_that_are_none_change_nothing(root: AdminWire, body: bytes, code: str) -> None:
    """Damaged, of another shape, or one that would unpack to more than memory holds."""
    before = exported(root)
    told = root.ask("PUT import-iam-v2", body)
    assert told.code == code, told.reply.body[:300]
    assert exported(root) == before


def test_members_elsewhere_are_no_members(root: AdminWire) -> None:
    users = json.dumps({"made-by-a-trick": {"secretKey": SECRET, "status": "enabled"}})
    names = ("users.json", "../iam-assets/users.json", "/iam-assets/users.json", "iam-assets/../users.json")
    report = root.ask("PUT import-iam-v2", archive(dict.fromkeys(names, users))).json
    assert report == {"skipped": {}, "removed": {}, "added": {}, "failed": {}}


# -- buckets -----------------------------------------------------------------------------------------------


def test_what_a_bucket_cannot_have_is_told(root: AdminWire, s3: Any, bucket: str) -> None:
    policy = {
        "Version": "2012-10-17",
        "Statement": [{**READ, "Principal": "*", "Resource": f"arn:aws:s3:::{bucket}/*"}],
    }
    enabled = '<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Status>Enabled</Status></VersioningConfiguration>'
    members: dict[str, bytes | str] = {
        f"{bucket}/policy.json": json.dumps(policy),
        f"{bucket}/quota.json": '{"quota": 5, "quotatype": "fifo"}',
        f"{bucket}/lifecycle.xml": "<LifecycleConfiguration><Rule></Rule></LifecycleConfiguration>",
        f"{bucket}/notification.xml": '<NotificationConfiguration xmlns="x"></NotificationConfiguration>',
        f"{bucket}/versioning.xml": enabled,
        f"{bucket}/nonsense.xml": "<x/>",
        "X/policy.json": json.dumps(policy),
        "../etc/passwd": "x",
        "new-by-import/quota.json": '{"size": 9, "quotatype": "hard"}',
        "other-policy/policy.json": json.dumps(policy),
    }
    report = root.ask("PUT import-bucket-metadata", archive(members)).json["buckets"]
    shown = report[bucket]
    assert shown["policy"] == shown["notification"] == {"isSet": True}
    assert shown["quota"]["error"].startswith("InvalidRequest")
    assert "LifecycleConfiguration is not implemented" in shown["lifecycle"]["error"]
    assert "nonsense.xml" in shown["error"]
    assert report["X"]["policy"]["error"].startswith("InvalidBucketName")
    assert report["other-policy"]["policy"]["error"].startswith("MalformedPolicy")
    assert report["new-by-import"]["quota"] == {"isSet": True}
    assert root.ask("GET get-bucket-quota", bucket="new-by-import").json["size"] == 9
    assert json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"]) == policy
    only = root.ask("PUT import-bucket-metadata", archive(members), bucket="new-by-import").json["buckets"]
    assert only[bucket]["policy"]["error"].startswith("InvalidRequest")


def test_bucket_settings_are_the_account_s_own(root: AdminWire, s3: Any, bucket: str) -> None:
    name = f"cluster-tenant-{next(_numbers)}"
    wanted = {"name": name, "accessKey": f"{name}-root", "secretKey": SECRET}
    assert root.ask("PUT add-account", wanted, sealed=True).status == 200
    tenant = AdminWire(root.server, f"{name}-root", SECRET)
    quota = '{"size": 1, "quotatype": "hard"}'
    asked = archive({f"{bucket}/quota.json": quota, f"{name}-bucket/quota.json": quota})
    report = tenant.ask("PUT import-bucket-metadata", asked).json["buckets"]
    assert report[bucket]["quota"]["error"] == "AccessDenied"
    assert report[f"{name}-bucket"]["quota"] == {"isSet": True}
    assert root.ask("GET get-bucket-quota", bucket=bucket).json["size"] == 0
    assert tenant.ask("GET export-bucket-metadata", bucket=bucket).code == "AccessDenied"
    for who, query in ((tenant, {}), (root, {"account": name})):
        reply = who.ask("GET export-bucket-metadata", **query).reply
        with zipfile.ZipFile(io.BytesIO(reply.body)) as found:
            assert found.namelist() == [f"{name}-bucket/quota.json"]
    # an import under a name that another account has makes nothing and takes nothing
    assert s3.get_bucket_acl(Bucket=f"{name}-bucket")["Owner"]["DisplayName"] == name


# -- healing -----------------------------------------------------------------------------------------------


def ended(status: dict[str, Any]) -> dict[str, Any] | None:
    return None if status["summary"] == "running" else status


def test_healing_is_told_as_it_is(server: Server, root: AdminWire, tool: Tool, bucket: str) -> None:
    assert "finished" not in tool("admin", "heal", "sos").out  # the state of the drives, without a run
    started = root.ask("POST heal/", {"recursive": True, "scanMode": 1}).json
    assert started["clientAddress"].startswith("127.") and started["startTime"].startswith("20")
    token = started["clientToken"]
    status = until(lambda: ended(root.ask("POST heal/", clientToken=token).json), "the end of the report")
    assert status["startTime"] == started["startTime"]
    assert status["settings"]["recursive"] is True
    for other in ("00", "x", token[:-2] + ("00" if token[-2:] != "00" else "01"), token + "00", "0" * len(token)):
        assert root.ask("POST heal/", clientToken=other).code == "XMinioHealInvalidClientToken", other
    assert root.ask(f"POST heal/{bucket}", clientToken=token).code == "XMinioHealInvalidClientToken"
    assert root.ask("POST heal/no-such-bucket", {}).code == "NoSuchBucket"
    assert root.ask("POST heal//prefix", {}).code == "XMinioHealMissingBucket"
    assert root.ask("POST heal/", b"{").code == "XMinioAdminConfigBadJSON"
    assert root.ask("POST heal/", clientToken=token, forceStop="").code == "InvalidRequest"
    for beyond in ({"scanMode": 2}, {"remove": True}, {"recreate": True}):
        assert root.ask("POST heal/", beyond).code == "NotImplemented"
    assert root.ask("POST heal/", {}, forceStop="").code == "NotImplemented"


def test_mc_follows_healing_to_its_end(tool: Tool, bucket: str) -> None:
    told = tool("admin", "heal", "--recursive", "--force", f"sos/{bucket}", "--json").out
    assert '"status":"success"' in told.replace(" ", "")
