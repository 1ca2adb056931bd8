"""Accounts: tenants of one deployment, over the admin API and S3."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import dataclass
from typing import Any

import pytest

from sos.services.identity.access_keys import Parent
from sos.services.identity.accounts import ROOT_CANONICAL_ID
from tests.kit.admin_wire import AdminWire
from tests.kit.clients import refusal
from tests.kit.operator import Operator
from tests.kit.server import Server

SECRET = "a-secret-of-theirs"
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def root(server: Server) -> AdminWire:
    return AdminWire(server)


def sdk(server: Server, access_key: str, secret: str = SECRET, token: str | None = None, service: str = "s3") -> Any:
    import boto3
    from botocore.config import Config

    settings = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
    return boto3.client(
        service, endpoint_url=server.url, region_name="us-east-1", config=settings,
        aws_access_key_id=access_key, aws_secret_access_key=secret, aws_session_token=token,
    )  # fmt: skip


@dataclass(frozen=True)
class Tenant:
    """An account with the clients of its root."""

    name: str
    told: dict[str, Any]
    admin: AdminWire
    s3: Any

    @property
    def id(self) -> str:
        return str(self.told["canonicalId"])

    def user(self, name: str, *policies: str) -> Any:
        """A user of the account, as an S3 client."""
        assert self.admin.ask("PUT add-user", {"secretKey": SECRET}, sealed=True, accessKey=name).status == 200
        if policies:
            wanted = {"policies": list(policies), "user": name}
            assert self.admin.ask("POST idp/builtin/policy/attach", wanted, sealed=True).status == 200
        return sdk(self.admin.server, name)


def tenant_of(server: Server, root: AdminWire, **more: Any) -> Tenant:
    name = f"tenant-{next(_numbers)}"
    key = f"{name}-root"
    wanted = {"name": name, "accessKey": key, "secretKey": SECRET, **more}
    made = root.ask("PUT add-account", wanted, sealed=True)
    return Tenant(name, made.json, AdminWire(server, key, SECRET), sdk(server, key))


@pytest.fixture
def tenant(server: Server, root: AdminWire) -> Tenant:
    return tenant_of(server, root)


@pytest.fixture
def other(server: Server, root: AdminWire) -> Tenant:
    return tenant_of(server, root)


@pytest.fixture
def theirs(tenant: Tenant) -> str:
    """A bucket of the tenant."""
    name = f"theirs-{next(_numbers)}"
    tenant.s3.create_bucket(Bucket=name)
    return name


def allow(s3: Any, bucket: str, principal: Any, *actions: str) -> None:
    statement = {
        "Effect": "Allow", "Principal": principal, "Action": list(actions),
        "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
    }  # fmt: skip
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))


# -- administration --------------------------------------------------------------------------------------


def test_an_account_is_made_shown_changed_and_removed(server: Server, root: AdminWire) -> None:
    tenant = tenant_of(server, root, email="t@example.org", quota=1 << 30)
    assert re.fullmatch("[0-9a-f]{64}", tenant.id)
    assert re.fullmatch("[0-9]{12}", tenant.told["account"])
    info = root.ask("GET account-info", name=tenant.name).json
    assert info | tenant.told == info
    assert (info["email"], info["quota"], info["status"], info["buckets"]) == ("t@example.org", 1 << 30, "enabled", [])
    assert "secret" not in json.dumps(info).lower()
    listed = {one["name"]: one for one in root.ask("GET list-accounts").json}
    assert listed[tenant.name]["account"] == tenant.told["account"]
    assert listed["minio"]["canonicalId"] == ROOT_CANONICAL_ID
    changed = root.ask(
        "POST set-account", {"email": "", "quota": 5, "secretKey": SECRET * 2}, sealed=True, name=tenant.name
    )
    assert (changed.json["quota"], "email" in changed.json) == (5, False)
    assert refusal(tenant.s3.list_buckets) == (403, "SignatureDoesNotMatch")
    assert sdk(server, tenant.admin.access_key, SECRET * 2).list_buckets()["Buckets"] == []
    assert root.ask("DELETE remove-account", name=tenant.name).status == 200
    assert root.ask("GET account-info", name=tenant.name).code == "XMinioAdminNoSuchAccount"
    assert refusal(tenant.s3.list_buckets) == (403, "InvalidAccessKeyId")


def test_what_makes_no_account_is_refused(tenant: Tenant, root: AdminWire) -> None:
    good = {"name": "another", "accessKey": "another-root", "secretKey": SECRET}

    def add(**other: Any) -> str:
        return root.ask("PUT add-account", {**good, **other}, sealed=True).code

    assert add(name=tenant.name) == add(name="minio") == "XMinioAdminAccountExists"
    assert add(accessKey=tenant.admin.access_key) == add(accessKey=root.access_key) == "XMinioInvalidIAMCredentials"
    assert add(accessKey="x") == "XMinioAdminInvalidAccessKey"
    assert add(secretKey="short") == "XMinioAdminInvalidSecretKey"
    assert add(name="") == add(name="123") == add(name="n" * 300) == add(quota=-1) == "InvalidArgument"
    assert add(nonsense=1) == "XMinioAdminConfigBadJSON"
    assert root.ask("PUT add-account", good).code == "XMinioAdminConfigBadJSON"  # not encrypted
    assert root.ask("GET account-info", name="n" * 1000).code == "XMinioAdminNoSuchAccount"
    assert root.ask("POST set-account-status", name=tenant.name, status="perhaps").code == "XMinioAdminInvalidArgument"
    assert root.ask("POST set-account", {}, sealed=True, name=tenant.name).code == "XMinioAdminConfigBadJSON"
    assert root.ask("DELETE remove-account", name="minio").code == "InvalidArgument"


def test_the_root_of_an_account_administers_its_own_alone(tenant: Tenant, other: Tenant, root: AdminWire) -> None:
    tenant.user(f"{tenant.name}-user", "readwrite")
    listed = tenant.admin.ask("GET list-users").opened
    assert list(listed) == [f"{tenant.name}-user"]
    assert other.admin.ask("GET list-users").opened == {}
    assert other.admin.ask("GET user-info", accessKey=f"{tenant.name}-user").code == "XMinioAdminNoSuchUser"
    assert other.admin.ask("PUT add-user", {"secretKey": SECRET}, sealed=True, accessKey=f"{tenant.name}-user").code
    document = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::x/*"]}],
    }
    assert tenant.admin.ask("PUT add-canned-policy", document, name="mine").status == 200
    assert "mine" in tenant.admin.ask("GET list-canned-policies").json
    assert "mine" not in other.admin.ask("GET list-canned-policies").json
    assert "mine" not in root.ask("GET list-canned-policies").json
    for route in ("GET info", "GET storageinfo", "GET list-accounts", "GET get-config-kv", "POST set-account-status"):
        query = {"key": "api", "name": other.name, "status": "disabled"}
        assert tenant.admin.ask(route, **query).code == "AccessDenied", route
    assert tenant.admin.ask("POST service", action="stop").code == "AccessDenied"
    assert tenant.admin.ask("GET account-info", name=other.name).code == "AccessDenied"
    assert tenant.admin.ask("GET account-info").json["name"] == tenant.name


def test_the_root_of_the_deployment_speaks_for_any_account(
    server: Server, tenant: Tenant, other: Tenant, theirs: str, root: AdminWire
) -> None:
    name = f"{tenant.name}-user"
    assert (
        root.ask("PUT add-user", {"secretKey": SECRET}, sealed=True, accessKey=name, account=tenant.name).status == 200
    )
    assert list(root.ask("GET list-users", account=tenant.name).opened) == [name]
    assert name not in root.ask("GET list-users").opened
    key = root.ask("PUT add-service-account", {}, sealed=True, account=tenant.name).opened["credentials"]
    assert [one["Name"] for one in sdk(server, key["accessKey"], key["secretKey"]).list_buckets()["Buckets"]] == [
        theirs
    ]
    assert root.ask("GET get-bucket-quota", bucket=theirs, account=tenant.name).status == 200
    assert root.ask("GET get-bucket-quota", bucket=theirs, account=other.name).code == "NoSuchBucket"
    shown = root.ask("GET accountinfo", account=tenant.name).json
    assert (shown["AccountName"], [one["name"] for one in shown["Buckets"]]) == (f"{tenant.name}-root", [theirs])
    assert root.ask("GET list-users", account="nobody").code == "XMinioAdminNoSuchAccount"
    assert tenant.admin.ask("GET list-users", account=other.name).code == "AccessDenied"
    assert tenant.admin.ask("GET list-users", account="minio").code == "AccessDenied"


def test_an_administrator_of_the_first_account_may_make_accounts_by_policy(
    server: Server, tenant: Tenant, root: AdminWire
) -> None:
    def administrator(name: str, *actions: str) -> AdminWire:
        document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": list(actions)}]}
        assert root.ask("PUT add-canned-policy", document, name=name).status == 200
        assert root.ask("PUT add-user", {"secretKey": SECRET}, sealed=True, accessKey=name).status == 200
        root.ask("POST idp/builtin/policy/attach", {"policies": [name], "user": name}, sealed=True)
        return AdminWire(server, name, SECRET)

    lister = administrator("lister-of-accounts", "admin:ListAccounts")
    assert lister.ask("GET list-accounts").status == 200
    assert lister.ask("GET account-info", name=tenant.name).code == "AccessDenied"
    assert lister.ask("DELETE remove-account", name=tenant.name).code == "AccessDenied"
    assert lister.ask("GET list-users", account=tenant.name).code == "AccessDenied"
    wanted = {"name": "by-policy", "accessKey": "by-policy-root", "secretKey": SECRET}
    assert lister.ask("PUT add-account", wanted, sealed=True).code == "AccessDenied"
    maker = administrator("maker-of-accounts", "admin:CreateAccount")
    assert maker.ask("PUT add-account", wanted, sealed=True).json["name"] == "by-policy"
    assert maker.ask("POST set-account", {"quota": 1}, sealed=True, name="by-policy").json["quota"] == 1
    everything = tenant.admin.ask("PUT add-user", {"secretKey": SECRET}, sealed=True, accessKey=f"{tenant.name}-admin")
    assert everything.status == 200
    wanted = {"policies": ["consoleAdmin"], "user": f"{tenant.name}-admin"}
    tenant.admin.ask("POST idp/builtin/policy/attach", wanted, sealed=True)
    assert AdminWire(server, f"{tenant.name}-admin", SECRET).ask("GET list-users").status == 200
    assert AdminWire(server, f"{tenant.name}-admin", SECRET).ask("GET list-accounts").code == "AccessDenied"


# -- buckets and objects ----------------------------------------------------------------------------------


def test_buckets_belong_to_the_account_that_made_them(tenant: Tenant, other: Tenant, theirs: str, s3: Any) -> None:
    listed = tenant.s3.list_buckets()
    assert [one["Name"] for one in listed["Buckets"]] == [theirs]
    assert listed["Owner"] == {"ID": tenant.id, "DisplayName": tenant.name}
    assert other.s3.list_buckets()["Buckets"] == []
    assert theirs in [one["Name"] for one in s3.list_buckets()["Buckets"]]
    assert refusal(other.s3.create_bucket, Bucket=theirs) == (409, "BucketAlreadyExists")
    assert refusal(tenant.s3.create_bucket, Bucket=theirs)[1] == "BucketAlreadyOwnedByYou"
    acl = tenant.s3.get_bucket_acl(Bucket=theirs)
    assert acl["Owner"] == {"ID": tenant.id, "DisplayName": tenant.name}
    assert acl["Grants"][0]["Grantee"]["ID"] == tenant.id
    for call in (other.s3.list_objects_v2, other.s3.get_bucket_acl, other.s3.delete_bucket):
        assert refusal(call, Bucket=theirs) == (403, "AccessDenied")
    assert refusal(other.s3.head_bucket, Bucket=theirs)[0] == 403
    s3.put_object(Bucket=theirs, Key="of-the-deployment", Body=b"x")


def test_objects_belong_to_the_account_that_wrote_them(
    server: Server, tenant: Tenant, other: Tenant, theirs: str, s3: Any
) -> None:
    allow(tenant.s3, theirs, {"AWS": [f"arn:aws:iam::{other.told['account']}:root"]}, "s3:PutObject", "s3:ListBucket")
    tenant.s3.put_object(Bucket=theirs, Key="a-tenant", Body=b"x")
    other.s3.put_object(Bucket=theirs, Key="b-other", Body=b"y")
    s3.put_object(Bucket=theirs, Key="c-root", Body=b"z")
    upload = other.s3.create_multipart_upload(Bucket=theirs, Key="d-parts")
    wanted = [(tenant.id, tenant.name), (other.id, other.name), (ROOT_CANONICAL_ID, "minio")]
    for found in (
        tenant.s3.list_objects_v2(Bucket=theirs, FetchOwner=True)["Contents"],
        tenant.s3.list_objects(Bucket=theirs)["Contents"],
        tenant.s3.list_object_versions(Bucket=theirs)["Versions"],
    ):
        assert [(one["Owner"]["ID"], one["Owner"]["DisplayName"]) for one in found] == wanted
    assert tenant.s3.list_multipart_uploads(Bucket=theirs)["Uploads"][0]["Owner"]["ID"] == other.id
    assert tenant.s3.get_object_acl(Bucket=theirs, Key="b-other")["Owner"]["ID"] == other.id
    tenant.s3.abort_multipart_upload(Bucket=theirs, Key="d-parts", UploadId=upload["UploadId"])
    assert "ObjectSize" in tenant.s3.get_object_attributes(
        Bucket=theirs, Key="b-other", ObjectAttributes=["ObjectSize"]
    )
    assert refusal(other.s3.get_object_attributes, Bucket=theirs, Key="b-other", ObjectAttributes=["ETag"])[0] == 403
    copied = tenant.s3.copy_object(Bucket=theirs, Key="e-copy", CopySource=f"{theirs}/b-other")
    assert copied["CopyObjectResult"]["ETag"]
    assert tenant.s3.get_object_acl(Bucket=theirs, Key="e-copy")["Owner"]["ID"] == tenant.id


def test_what_anybody_may_write_belongs_to_the_account_of_the_bucket(
    server: Server, tenant: Tenant, theirs: str
) -> None:
    allow(tenant.s3, theirs, "*", "s3:PutObject")
    with server.client() as client:
        assert client.be("").request("PUT", f"/{theirs}/anybody", body=b"x").status == 200
    assert tenant.s3.get_object_acl(Bucket=theirs, Key="anybody")["Owner"]["ID"] == tenant.id


def test_within_an_account_one_policy_suffices_and_across_two_are_needed(
    tenant: Tenant, other: Tenant, theirs: str
) -> None:
    tenant.s3.put_object(Bucket=theirs, Key="key", Body=b"text")
    number = other.told["account"]
    without = tenant.user(f"{tenant.name}-none")
    with_policy = tenant.user(f"{tenant.name}-reader", "readonly")
    foreign_without = other.user(f"{other.name}-none")
    foreign = other.user(f"{other.name}-reader", "readonly")
    key = {"Bucket": theirs, "Key": "key"}

    def reads(s3: Any) -> bool:
        try:
            return bool(s3.get_object(**key)["Body"].read() == b"text")
        except s3.exceptions.ClientError:
            return False

    everybody = (without, with_policy, foreign_without, foreign, other.s3)
    assert [reads(s3) for s3 in everybody] == [False, True, False, False, False]
    users = [f"arn:aws:iam::{number}:user/{other.name}-{which}" for which in ("none", "reader")]
    own = f"arn:aws:iam::{tenant.told['account']}:user/{tenant.name}-none"
    allow(tenant.s3, theirs, {"AWS": [*users, own]}, "s3:GetObject")
    assert [reads(s3) for s3 in everybody] == [True, True, False, True, False]
    allow(tenant.s3, theirs, {"AWS": [other.id]}, "s3:GetObject")  # the other account, by its canonical id
    assert [reads(s3) for s3 in everybody] == [False, True, False, True, True]
    tenant.s3.delete_bucket_policy(Bucket=theirs)
    assert [reads(s3) for s3 in everybody] == [False, True, False, False, False]


# -- the end ----------------------------------------------------------------------------------------------


def session(server: Server, tenant: Tenant, user: str) -> Any:
    """Temporary credentials of a user, as an S3 client."""
    parent = Parent(tenant.told["account"], user)
    made = Operator(server).do(lambda identity: identity.access_keys.issue(parent, 3600))
    return sdk(server, made.access_key, made.secret, made.token)


def test_disabling_an_account_ends_all_its_keys_at_once(
    server: Server, tenant: Tenant, theirs: str, root: AdminWire
) -> None:
    name = f"{tenant.name}-user"
    clients = [tenant.s3, tenant.user(name, "readwrite")]
    key = AdminWire(server, name, SECRET).ask("PUT add-service-account", {}, sealed=True).opened["credentials"]
    clients.append(sdk(server, key["accessKey"], key["secretKey"]))
    clients.append(session(server, tenant, name))
    for s3 in clients:
        assert s3.list_objects_v2(Bucket=theirs)["KeyCount"] == 0
    assert root.ask("POST set-account-status", name=tenant.name, status="disabled").status == 200
    assert root.ask("GET account-info", name=tenant.name).json["status"] == "disabled"
    for s3 in clients:
        assert refusal(s3.list_objects_v2, Bucket=theirs) == (403, "InvalidAccessKeyId")
    assert tenant.admin.ask("GET list-users").code == "InvalidAccessKeyId"
    assert root.ask("POST set-account-status", name=tenant.name, status="enabled").status == 200
    for s3 in clients:
        assert s3.list_objects_v2(Bucket=theirs)["KeyCount"] == 0


def test_an_account_with_buckets_is_not_removed_and_its_keys_end_with_it(
    server: Server, tenant: Tenant, theirs: str, root: AdminWire
) -> None:
    name = f"{tenant.name}-user"
    clients = [tenant.s3, tenant.user(name, "readwrite"), session(server, tenant, name)]
    assert root.ask("DELETE remove-account", name=tenant.name).code == "XMinioAdminAccountNotEmpty"
    for s3 in clients:
        assert s3.list_objects_v2(Bucket=theirs)["KeyCount"] == 0
    tenant.s3.delete_bucket(Bucket=theirs)
    assert root.ask("DELETE remove-account", name=tenant.name).status == 200
    for s3 in clients:
        assert refusal(s3.list_buckets) == (403, "InvalidAccessKeyId")
    # nothing is left of it: its names can be used again
    again = {"name": tenant.name, "accessKey": tenant.admin.access_key, "secretKey": SECRET}
    assert root.ask("PUT add-account", again, sealed=True).json["account"] != tenant.told["account"]
    assert tenant.admin.ask("GET list-users").opened == {}
