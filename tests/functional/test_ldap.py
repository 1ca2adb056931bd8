"""Users of a real directory (slapd) at a real server: who gets in, and what they may do then."""

from __future__ import annotations

import io
import itertools
import json
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.kit.admin_wire import AdminWire
from tests.kit.clients import Tool, find
from tests.kit.ldap_login import User, assume, message
from tests.kit.server import Client, Server, until
from tests.kit.slapd import BASE, GUESTS, PEOPLE, Slapd

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def server(slapd: Slapd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    env = slapd.environment(user_dn_search_base_dn=f"{PEOPLE};{GUESTS}", user_dn_attributes="mail,displayName")
    with Server(tmp_path_factory.mktemp("server"), env=env, module="tests.kit.quick_refresh") as running:
        yield running


@pytest.fixture(scope="module")
def admin(server: Server) -> AdminWire:
    return AdminWire(server)


@pytest.fixture(scope="module")
def bucket(server: Server) -> str:
    s3 = server.boto3()
    s3.create_bucket(Bucket="shared")
    s3.put_object(Bucket="shared", Key="key", Body=b"text")
    return "shared"


@pytest.fixture
def wire(server: Server) -> Iterator[Client]:
    with server.client() as client:
        yield client


@pytest.fixture
def uid() -> str:
    return f"user{next(_numbers)}"


def attach(admin: AdminWire, *policies: str, way: str = "attach", **to: str) -> Any:
    return admin.ask(f"POST idp/ldap/policy/{way}", {"policies": list(policies), **to}, sealed=True)


def policy(admin: AdminWire, name: str, **statement: Any) -> str:
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]}
    assert admin.ask("PUT add-canned-policy", document, name=name).status == 200
    return name


# -- who gets in -----------------------------------------------------------------------------------------


def test_the_right_password_of_a_user_with_a_policy(
    slapd: Slapd, server: Server, admin: AdminWire, bucket: str, uid: str
) -> None:
    dn = slapd.user(uid, "right")
    assert attach(admin, "readonly", user=uid).opened["policiesAttached"] == ["readonly"]
    user = User(server, uid, "right")
    assert user.boto3().get_object(Bucket=bucket, Key="key")["Body"].read() == b"text"
    assert user.code("PUT", f"/{bucket}/new") == "AccessDenied"
    info = admin.ask("GET info-access-key", accessKey=user.access_key).opened
    assert (info["userProvider"], info["userType"], info["parentUser"]) == ("ldap", "STS", dn)
    assert info["ldapSpecificInfo"] == {"username": uid}


def test_nobody_else_gets_in_and_nobody_learns_why(slapd: Slapd, server: Server, admin: AdminWire, uid: str) -> None:
    """A07: unknown user and wrong password are one answer."""
    slapd.user(uid, "right")
    attach(admin, "readonly", user=uid)

    def tried(name: str, password: str) -> tuple[int, str, str]:
        with server.client() as client:
            reply = assume(client, name, password)
            return reply.status, reply.code, message(reply)

    others = (uid, "wrong"), ("nobody-at-all", "right"), (f"{uid}*", "right"), ("*", "right"), (uid, "right\0")
    others += (f"uid={uid},{PEOPLE}", "right"), (f"x)(|(uid={uid}", "right")
    with ThreadPoolExecutor(len(others)) as pool:
        refusals = set(pool.map(lambda one: tried(*one), others))
    assert refusals == {
        (400, "InvalidParameterValue", "LDAP server error: the user is unknown, or the password is wrong")
    }


def test_an_empty_password_is_refused_before_the_directory_is_asked(
    slapd: Slapd, admin: AdminWire, wire: Client, uid: str
) -> None:
    """Directories take a bind without a password for an anonymous one, and agree to it."""
    slapd.user(uid, "right")
    attach(admin, "readonly", user=uid)
    for name, password in ((uid, ""), ("", "right"), ("", "")):
        reply = assume(wire, name, password)
        assert (reply.status, reply.code) == (400, "MissingParameter")


def test_who_has_no_policy_is_refused(slapd: Slapd, wire: Client, admin: AdminWire, uid: str) -> None:
    """A19: neither the user nor a group of it."""
    dn = slapd.user(uid, "right")
    slapd.group(f"idle-{uid}", dn)
    reply = assume(wire, uid, "right")
    assert (reply.status, reply.code) == (400, "InvalidParameterValue")
    assert message(reply).startswith(f"expecting a policy to be set for user `{dn}` or one of their groups: `cn=idle-")
    attach(admin, "readonly", user=dn)
    assert assume(wire, uid, "right").status == 200
    attach(admin, "readonly", way="detach", user=dn)
    assert assume(wire, uid, "right").status == 400


@pytest.mark.parametrize(
    ("name", "rdn"),
    [
        (r"back\slash", r"uid=back\\slash"),
        ("comma, plus+", r"uid=comma\, plus\+"),
        ('quote"d', r"uid=quote\"d"),
        ("star*(paren)", "uid=star*(paren)"),
        ("semi;less<more>", r"uid=semi\;less\<more\>"),
        ("#hash", r"uid=\#hash"),
        ("ünïcödé", "uid=ünïcödé"),
        ("日本", "uid=日本"),
        ("two words", "uid=two words"),
        ("equal=sign", "uid=equal=sign"),
        ("per%scent%d", "uid=per%scent%d"),
        ("several", "uid=several+cn=Several Names"),
    ],
)
def test_every_character_of_a_name(
    slapd: Slapd, server: Server, admin: AdminWire, bucket: str, name: str, rdn: str
) -> None:
    dn = slapd.user(name, "p*ss(w)rd,", rdn=rdn, **({"cn": "Several Names"} if "+cn" in rdn else {}))
    group = slapd.group(f"group of {rdn[4:].replace('+cn=', ' ')}", dn)
    assert attach(admin, "readonly", group=group).status == 200
    user = User(server, name, "p*ss(w)rd,")
    assert user.code("GET", f"/{bucket}/key") == ""
    assert attach(admin, "writeonly", user=dn).status == 200
    assert user.code("PUT", f"/{bucket}/by-a-user-of-the-directory") == ""


def test_users_are_searched_below_each_base_and_nowhere_else(
    slapd: Slapd, server: Server, admin: AdminWire, wire: Client, uid: str
) -> None:
    deep = slapd.add(f"ou=deep{uid},{PEOPLE}", ["organizationalUnit"], ou=f"deep{uid}")
    outside = slapd.add(f"ou=outside{uid},{BASE}", ["organizationalUnit"], ou=f"outside{uid}")
    for where, name in ((deep, f"{uid}-deep"), (GUESTS, f"{uid}-guest")):
        slapd.user(name, "right", where)
        assert attach(admin, "readonly", user=name).status == 200
        User(server, name, "right")
    dn = slapd.user(f"{uid}-out", "right", outside)
    assert attach(admin, "readonly", user=dn).code == "XMinioAdminNoSuchUser"
    assert assume(wire, f"{uid}-out", "right").status == 400


def test_one_name_of_two_entries_is_nobody(slapd: Slapd, admin: AdminWire, wire: Client, uid: str) -> None:
    """Which of the two would it be?"""
    attach(admin, "readonly", user=slapd.user(uid, "right"))
    slapd.user(uid, "right", GUESTS)
    reply = assume(wire, uid, "right")
    assert (reply.status, reply.code) == (500, "InternalError")


def test_sessions_last_as_long_as_asked_and_can_do_less(
    slapd: Slapd, server: Server, admin: AdminWire, bucket: str, wire: Client, uid: str
) -> None:
    slapd.user(uid, "right")
    attach(admin, "readwrite", user=uid)
    reading = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::*"]}]}  # fmt: skip
    bound = User(server, uid, "right", Policy=json.dumps(reading), DurationSeconds="900")
    assert bound.code("GET", f"/{bucket}/key") == ""
    assert bound.code("PUT", f"/{bucket}/bound") == "AccessDenied"
    assert assume(wire, uid, "right", DurationSeconds="899").code == "InvalidParameterValue"
    assert assume(wire, uid, "right", DurationSeconds="31536001").code == "InvalidParameterValue"
    assert assume(wire, uid, "right", Policy="{").code == "InvalidParameterValue"


# -- what they may do --------------------------------------------------------------------------------------


def test_policies_come_by_groups_and_go_with_them(
    slapd: Slapd, server: Server, admin: AdminWire, bucket: str, uid: str
) -> None:
    dn = slapd.user(uid, "right")
    group = slapd.group(f"readers-{uid}", dn)
    assert attach(admin, "readonly", group=group.upper()).status == 200  # the directory knows how it is spelled
    user = User(server, uid, "right")
    assert user.code("GET", f"/{bucket}/key") == ""
    attach(admin, "readonly", way="detach", group=group)
    assert user.code("GET", f"/{bucket}/key") == "AccessDenied"  # at once
    attach(admin, "readonly", group=group)
    assert user.code("GET", f"/{bucket}/key") == ""
    other = slapd.user(f"{uid}-other", "right")
    slapd.set_members(group, [other])
    until(lambda: user.code("GET", f"/{bucket}/key") == "AccessDenied", "the end of the membership")
    slapd.set_members(group, [other, dn])
    until(lambda: user.code("GET", f"/{bucket}/key") == "", "the new membership")


def test_a_policy_with_deny_in_a_group_wins(
    slapd: Slapd, server: Server, admin: AdminWire, bucket: str, uid: str
) -> None:
    dn = slapd.user(uid, "right")
    attach(admin, "readwrite", user=uid)
    user = User(server, uid, "right")
    assert user.code("GET", f"/{bucket}/key") == ""
    denial = policy(admin, f"deny-{uid}", Effect="Deny", Action=["s3:GetObject"], Resource=["arn:aws:s3:::*"])
    attach(admin, denial, group=slapd.group(f"denied-{uid}", dn))
    until(lambda: user.code("GET", f"/{bucket}/key") == "AccessDenied", "the denial")
    assert user.code("PUT", f"/{bucket}/written-by-{uid}") == ""


def test_claims_are_conditions_and_variables(
    slapd: Slapd, server: Server, admin: AdminWire, bucket: str, uid: str
) -> None:
    dn = slapd.user(uid, "right")
    group = slapd.group(f"conditioned-{uid}", dn)
    homes = policy(
        admin, f"homes-{uid}", Action=["s3:PutObject"], Resource=[f"arn:aws:s3:::{bucket}/${{ldap:username}}/*"]
    )
    named = policy(
        admin, f"named-{uid}", Action=["s3:GetObject"], Resource=["arn:aws:s3:::*"],
        Condition={"StringEquals": {"ldap:user": dn}},
    )  # fmt: skip
    grouped = policy(
        admin, f"grouped-{uid}", Action=["s3:ListBucket"], Resource=["arn:aws:s3:::*"],
        Condition={"ForAnyValue:StringEquals": {"ldap:groups": group}},
    )  # fmt: skip
    other = policy(
        admin, f"other-{uid}", Action=["s3:DeleteObject"], Resource=["arn:aws:s3:::*"],
        Condition={"StringEquals": {"ldap:username": "somebody-else"}},
    )  # fmt: skip
    attach(admin, homes, named, grouped, other, user=uid)
    user = User(server, uid, "right")
    assert user.code("PUT", f"/{bucket}/{uid}/file") == ""
    assert user.code("PUT", f"/{bucket}/other/file") == "AccessDenied"
    assert user.code("GET", f"/{bucket}/key") == ""
    assert user.code("GET", f"/{bucket}", prefix="") == ""
    assert user.code("DELETE", f"/{bucket}/{uid}/file") == "AccessDenied"


def test_no_way_of_typing_a_name_evades_a_policy(
    slapd: Slapd, server: Server, admin: AdminWire, bucket: str, uid: str
) -> None:
    """The directory takes other cases and blanks for the same name; policies do not."""
    slapd.user(uid, "right")
    denial = policy(
        admin, f"not-{uid}", Effect="Deny", Action=["s3:GetObject"], Resource=["arn:aws:s3:::*"],
        Condition={"StringEquals": {"ldap:username": uid}},
    )  # fmt: skip
    attach(admin, "readwrite", denial, user=uid)
    for typed in (uid, uid.upper(), f"  {uid} "):
        user = User(server, typed, "right")
        assert user.code("GET", f"/{bucket}/key") == "AccessDenied"
        assert user.code("PUT", f"/{bucket}/typed") == ""


def test_a_name_that_begins_like_another_is_another(
    slapd: Slapd, server: Server, admin: AdminWire, bucket: str, wire: Client, uid: str
) -> None:
    """A17: what is attached to one name counts for no longer and no shorter one."""
    for name in (uid, f"{uid}0"):
        slapd.user(name, "right")
    attach(admin, "readonly", user=f"{uid}0")
    assert assume(wire, uid, "right").status == 400
    attach(admin, "readonly", way="detach", user=f"{uid}0")
    attach(admin, "readonly", user=uid)
    assert assume(wire, f"{uid}0", "right").status == 400


# -- who is gone ---------------------------------------------------------------------------------------------


def test_keys_of_who_is_gone_go(slapd: Slapd, server: Server, admin: AdminWire, bucket: str, uid: str) -> None:
    """Temporary ones and service accounts; those of others stay."""
    dn, other = slapd.user(uid, "right"), f"{uid}-stays"
    slapd.user(other, "right")
    for name in (uid, other):
        attach(admin, "readonly", user=name)
    gone, stays = User(server, uid, "right"), User(server, other, "right")
    made = AdminWire(server, gone.access_key, gone.secret, gone.token).ask(
        "PUT idp/ldap/add-service-account", {}, sealed=True
    )
    service = made.opened["credentials"]
    with server.client() as client:
        client.be(service["accessKey"], service["secretKey"])
        assert client.request("GET", f"/{bucket}/key").status == 200
        slapd.remove(dn)
        until(lambda: gone.code("GET", f"/{bucket}/key") == "InvalidAccessKeyId", "the end of the session")
        until(lambda: client.request("GET", f"/{bucket}/key").code == "InvalidAccessKeyId", "the end of the key")
    assert stays.code("GET", f"/{bucket}/key") == ""
    assert attach(admin, "readonly", way="detach", user=dn.upper()).status == 200  # the way to clean up


def test_a_directory_that_is_down_ends_nothing(
    slapd: Slapd, server: Server, admin: AdminWire, bucket: str, wire: Client, uid: str
) -> None:
    slapd.user(uid, "right")
    attach(admin, "readonly", user=uid)
    user = User(server, uid, "right")
    slapd.stop()
    try:
        reply = assume(wire, uid, "right")
        assert (reply.status, reply.code) == (500, "InternalError")
        assert message(reply) == "LDAP server error: the directory cannot be asked at this moment"
        refused = attach(admin, "readonly", user=f"{uid}-x")
        assert (refused.status, refused.code) == (503, "XMinioLDAPUnreachable")
        until(lambda: "users of the directory are looked at later" in server.log(), "a look that fails")
        assert user.code("GET", f"/{bucket}/key") == ""
    finally:
        slapd.start()
    assert assume(wire, uid, "right").status == 200


# -- from MinIO ----------------------------------------------------------------------------------------------


def test_what_minio_knew_of_its_directory_is_taken_over(
    slapd: Slapd, server: Server, admin: AdminWire, bucket: str, uid: str
) -> None:
    """Names in MinIO's spelling are those of the directory here; groups come from the directory alone (A03)."""
    name = f"ü{uid}"
    dn = slapd.user(name, "right")
    group = slapd.group(f"imported-{uid}", dn)
    denied = slapd.group(f"others-{uid}", slapd.user(f"{uid}-other", "right"))
    escaped = dn.replace("ü", r"\c3\bc")
    key = {"parent": escaped, "accessKey": f"KEY{uid}", "secretKey": "a-secret-of-hers", "groups": [denied],
           "claims": {"ldapUser": "uid=root"}}  # fmt: skip
    documents = {
        "stsuser_mappings": {escaped: {"version": 1, "policy": "writeonly"}},
        "group_mappings": {group: {"version": 1, "policy": "readonly"}, denied: {"version": 1, "policy": "readwrite"}},
        "svcaccts": {f"KEY{uid}": key},
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for part, content in documents.items():
            archive.writestr(f"iam-assets/{part}.json", json.dumps(content))
    assert admin.ask("PUT import-iam-v2", file.getvalue()).json["failed"] == {}
    user = User(server, name, "right")
    assert (user.code("GET", f"/{bucket}/key"), user.code("PUT", f"/{bucket}/imported")) == ("", "")
    assert user.code("DELETE", f"/{bucket}/imported") == "AccessDenied"
    with server.client() as client:
        client.be(f"KEY{uid}", "a-secret-of-hers")
        assert client.request("PUT", f"/{bucket}/imported").status == 200
        until(lambda: client.request("GET", f"/{bucket}/key").status == 200, "the groups of the directory")
        assert client.request("DELETE", f"/{bucket}/imported").code == "AccessDenied"


# -- a real client -------------------------------------------------------------------------------------------


def test_the_ldap_provider_of_minio_go(slapd: Slapd, server: Server, admin: AdminWire, uid: str) -> None:
    slapd.user(uid, "right")
    attach(admin, "readwrite", user=uid)
    tool = Tool((find("sos-test-minio-go"),), {})
    where = server.url.removeprefix("http://")
    assert tool("ldap", where, uid, "right").lines == ["good"]
    assert tool.run("ldap", where, uid, "wrong").code == 1
