"""``mc idp ldap`` against a real server and a real directory (slapd): configured, asked, switched off."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import pty
import select
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.admin_wire import AdminWire
from tests.kit.clients import Tool, mc
from tests.kit.ldap_login import User, assume, message
from tests.kit.mc_words import Ask, Words, values
from tests.kit.server import Server, until
from tests.kit.slapd import BASE, GROUPS, LOOKUP_PASSWORD, PEOPLE, Slapd

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="module")
def tool(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Tool:
    return mc(server.url, tmp_path_factory.mktemp("mc"))


@pytest.fixture(scope="module")
def ask(tool: Tool) -> Ask:
    return Words(tool).ask


@pytest.fixture(scope="module")
def fail(tool: Tool) -> Ask:
    return Words(tool).fail


@pytest.fixture
def configured(slapd: Slapd, ask: Ask, tool: Tool) -> Iterator[None]:
    """The directory is in use, and is not after the test."""
    ask("idp", "ldap", "add", "sos", *values(**slapd.values()))
    yield
    tool.run("idp", "ldap", "rm", "sos")


@pytest.fixture
def uid(slapd: Slapd) -> str:
    name = f"user{next(_numbers)}"
    slapd.user(name, "right")
    return name


# -- configuring ---------------------------------------------------------------------------------------------


def test_without_a_directory_every_call_says_so(server: Server, fail: Ask) -> None:
    off = ("XMinioLDAPNotEnabled", "LDAP is not enabled. LDAP must be enabled to make LDAP requests.")
    assert fail("idp", "ldap", "policy", "attach", "sos", "readonly", "--user", "x") == off
    assert fail("idp", "ldap", "policy", "detach", "sos", "readonly", "--group", "x") == off
    assert fail("idp", "ldap", "policy", "entities", "sos") == off
    assert fail("idp", "ldap", "accesskey", "create", "sos", "x") == off
    assert fail("idp", "ldap", "accesskey", "ls", "sos") == off
    with server.client() as client:
        reply = assume(client, "x", "y")
    assert (reply.status, reply.code) == (400, "InvalidParameterValue")
    assert message(reply) == "LDAP server error: LDAP is not configured"


def test_it_is_added_shown_switched_and_removed(server: Server, slapd: Slapd, ask: Ask, fail: Ask, uid: str) -> None:
    ask("idp", "ldap", "add", "sos", *values(**slapd.values()))
    try:
        assert ask("idp", "ldap", "ls", "sos") == [{"type": "ldap", "name": "_", "enabled": True}]
        shown = {one["key"]: one["value"] for one in ask("idp", "ldap", "info", "sos")["info"]}
        assert shown["user_dn_search_base_dn"] == PEOPLE
        assert "lookup_bind_password" not in shown
        assert LOOKUP_PASSWORD not in json.dumps(shown)
        assert (
            fail("idp", "ldap", "add", "sos", *values(**slapd.values()))[0]
            == "XMinioAdminConfigIDPCfgNameAlreadyExists"
        )
        ask("idp", "ldap", "policy", "attach", "sos", "readonly", "--user", uid)
        User(server, uid, "right")
        ask("idp", "ldap", "disable", "sos")
        with server.client() as client:
            assert assume(client, uid, "right").status == 400
        assert ask("idp", "ldap", "ls", "sos")[0]["enabled"] is False
        ask("idp", "ldap", "enable", "sos")
        User(server, uid, "right")
        ask("idp", "ldap", "update", "sos", f"user_dn_search_base_dn={GROUPS}")
        with server.client() as client:
            assert assume(client, uid, "right").status == 400
        ask("idp", "ldap", "update", "sos", f"user_dn_search_base_dn={PEOPLE}")
        User(server, uid, "right")
    finally:
        ask("idp", "ldap", "rm", "sos")
    assert fail("idp", "ldap", "policy", "entities", "sos")[0] == "XMinioLDAPNotEnabled"


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ({"lookup_bind_password": "wrong"}, "LDAP Lookup Bind Error: LDAP Lookup Bind user invalid credentials error"),
        ({"lookup_bind_dn": ""}, "LDAP Lookup Bind Error: Lookup Bind UserDN not specified"),
        ({"server_addr": "127.0.0.1:1"}, "LDAP Server Connection Error: Could not connect to LDAP server"),
        ({"server_addr": "127.0.0.1:99999"}, "LDAP Server Connection Parameters Misconfigured"),
        ({"srv_record_name": "thingy"}, "LDAP Server Connection Parameters Misconfigured: SRV Record Name is invalid"),
        ({"user_dn_search_filter": ""}, "User Search Parameters Misconfigured: UserDN search filter is empty"),
        ({"user_dn_search_filter": "(uid=x)"}, "User DN search filter does not contain `%s`"),
        ({"user_dn_search_filter": "(uid=%d)"}, "User DN search filter contains `%d`"),
        ({"user_dn_search_filter": "uid=%s"}, "User DN search filter `uid=%s` failed to compile"),
        ({"user_dn_search_filter": "(&(uid=%s)"}, "failed to compile"),
        ({"user_dn_search_base_dn": ""}, "User Search Parameters Misconfigured: UserDN search base is empty"),
        ({"user_dn_search_base_dn": "people"}, "User Search Parameters Misconfigured: Base DN `people` failed to parse"),
        ({"user_dn_search_base_dn": f"{PEOPLE};{BASE}"}, "is an ancestor of"),
        ({"user_dn_search_base_dn": f"ou=absent,{BASE}"}, "not found in the LDAP server"),
        ({"user_dn_attributes": "mail,1.2.3"}, "are invalid"),
        ({"group_search_filter": ""}, "Group Search Parameters Misconfigured: Group Search Filter is required."),
        ({"group_search_filter": "(member=x)"}, "must contain at least one of"),
        ({"group_search_base_dn": ""}, "Group Search Parameters Misconfigured: Group Search Base DN is required."),
        ({"group_search_base_dn": f"ou=absent,{BASE}"}, "Group Search Parameters Misconfigured"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused_when_it_is_set(
    slapd: Slapd, fail: Ask, ask: Ask, broken: dict[str, str], says: str
) -> None:
    code, text = fail("idp", "ldap", "add", "sos", *values(**slapd.values(**broken)))
    assert code == "XMinioAdminConfigLDAPValidation"
    assert says in text
    assert LOOKUP_PASSWORD not in text
    assert ask("idp", "ldap", "ls", "sos")[0]["enabled"] is False


# -- policies ------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("configured")
def test_policies_are_attached_listed_and_detached(slapd: Slapd, ask: Ask, fail: Ask, uid: str) -> None:
    dn = f"uid={uid},{PEOPLE}"
    group = slapd.group(f"team-{uid}", dn)
    attached = ask("idp", "ldap", "policy", "attach", "sos", "readonly", "diagnostics", "--user", uid)
    assert attached["policiesAttached"] == ["readonly", "diagnostics"]
    assert attached["user"] == uid
    ask("idp", "ldap", "policy", "attach", "sos", "writeonly", "--group", group)
    again = fail("idp", "ldap", "policy", "attach", "sos", "readonly", "--user", dn)
    assert again[0] == "XMinioAdminPolicyChangeAlreadyApplied"
    assert fail("idp", "ldap", "policy", "attach", "sos", "absent", "--user", uid)[0] == "XMinioAdminNoSuchPolicy"
    assert fail("idp", "ldap", "policy", "attach", "sos", "readonly", "--user", "x")[0] == "XMinioAdminNoSuchUser"
    for name in ("x", f"cn=x,{GROUPS}", PEOPLE):
        code = fail("idp", "ldap", "policy", "attach", "sos", "readonly", "--group", name)[0]
        assert code == "XMinioAdminNoSuchGroup"
    found = ask("idp", "ldap", "policy", "entities", "sos", "--user", uid)["result"]["userMappings"]
    member = {"group": group, "policies": ["writeonly"]}
    assert found == [{"user": dn, "policies": ["diagnostics", "readonly"], "memberOfMappings": [member]}]
    assert ask("idp", "ldap", "policy", "entities", "sos", "--group", group)["result"]["groupMappings"] == [member]
    every = ask("idp", "ldap", "policy", "entities", "sos")["result"]["policyMappings"]
    assert {"policy": "writeonly", "users": [], "groups": [group]} in every
    named = ask("idp", "ldap", "policy", "entities", "sos", "--policy", "diagnostics")["result"]["policyMappings"]
    assert named == [{"policy": "diagnostics", "users": [dn], "groups": []}]
    detached = ask("idp", "ldap", "policy", "detach", "sos", "readonly", "--user", dn)
    assert detached["policiesDetached"] == ["readonly"]
    ask("idp", "ldap", "policy", "detach", "sos", "diagnostics", "--user", uid)
    slapd.remove(group)
    ask("idp", "ldap", "policy", "detach", "sos", "writeonly", "--group", group)
    assert "policyMappings" not in ask("idp", "ldap", "policy", "entities", "sos", "--policy", "diagnostics")["result"]


@pytest.mark.usefixtures("configured")
def test_the_server_tells_of_its_directory(server: Server, slapd: Slapd, ask: Ask, fail: Ask, uid: str) -> None:
    ask("idp", "ldap", "policy", "attach", "sos", "readonly", "--user", uid)
    users = ask("admin", "user", "ls", "sos")
    listed = {one["accessKey"]: one for one in (users if isinstance(users, list) else [users])}
    assert listed[f"uid={uid},{PEOPLE}"]["policyName"] == "readonly"
    code, text = fail("admin", "policy", "attach", "sos", "readonly", "--user", uid)
    assert code == "XMinioAdminNoSuchUser"
    assert "use `mc idp ldap`" in text
    assert AdminWire(server).ask("GET info").json["services"]["ldap"] == {"status": "online"}
    slapd.stop()
    try:
        assert AdminWire(server).ask("GET info").json["services"]["ldap"] == {"status": "offline"}
    finally:
        slapd.start()


# -- access keys -----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("configured")
def test_an_administrator_makes_and_changes_keys_of_users(
    server: Server, ask: Ask, fail: Ask, uid: str, tool: Tool
) -> None:
    """A02: a key of somebody else needs the right for it; MinIO's refusals."""
    dn = f"uid={uid},{PEOPLE}"
    assert fail("idp", "ldap", "accesskey", "create", "sos", uid)[0] == "XMinioAdminNoSuchUser"  # nothing is attached
    assert fail("idp", "ldap", "accesskey", "create", "sos", dn)[0] == "XMinioLDAPExpectedLoginName"
    assert fail("idp", "ldap", "accesskey", "create", "sos")[0] == "XMinioAdminNoSuchUser"  # root is not in there
    ask("idp", "ldap", "policy", "attach", "sos", "readonly", "--user", uid)
    made = ask("idp", "ldap", "accesskey", "create", "sos", uid, "--name", "batch", "--expiry-duration", "24h")
    key = made["accessKey"]
    with server.client() as client:
        client.be(key, made["secretKey"])
        assert client.request("GET", "/absent/key").code == "NoSuchBucket"
        assert client.request("PUT", f"/bucket-{uid}").code == "AccessDenied"
        info = ask("idp", "ldap", "accesskey", "info", "sos", key)
        assert (info["parentUser"], info["name"]) == (dn, "batch")
        ask("idp", "ldap", "accesskey", "disable", "sos", key)
        assert client.request("GET", "/absent/key").code == "InvalidAccessKeyId"
        ask("idp", "ldap", "accesskey", "enable", "sos", key)
        assert client.request("GET", "/absent/key").code == "NoSuchBucket"
        listed = ask("idp", "ldap", "accesskey", "ls", "sos", dn)
        assert (listed["user"], [one["accessKey"] for one in listed["svcaccs"]]) == (dn, [key])
        assert ask("idp", "ldap", "accesskey", "ls", "sos", uid, "--svcacc-only")["user"] == dn
        assert not tool("idp", "ldap", "accesskey", "ls", "sos", uid, "--temp-only", "--json").out.strip()
        assert key in tool("idp", "ldap", "accesskey", "ls", "sos").out
        ask("idp", "ldap", "accesskey", "rm", "sos", key)
        assert client.request("GET", "/absent/key").code == "InvalidAccessKeyId"


@pytest.mark.usefixtures("configured")
def test_the_calls_for_users_of_any_kind_know_those_of_the_directory(server: Server, ask: Ask, uid: str) -> None:
    ask("idp", "ldap", "policy", "attach", "sos", "readonly", "--user", uid)
    made = ask("admin", "user", "svcacct", "add", "sos", uid)
    info = AdminWire(server).ask("GET info-access-key", accessKey=made["accessKey"]).opened
    assert (info["parentUser"], info["userProvider"]) == (f"uid={uid},{PEOPLE}", "ldap")
    assert ask("admin", "user", "svcacct", "info", "sos", made["accessKey"])["parentUser"] == f"uid={uid},{PEOPLE}"
    user = User(server, uid, "right")
    account = AdminWire(server, user.access_key, user.secret, user.token).ask("GET accountinfo").json
    assert account["AccountName"] == f"uid={uid},{PEOPLE}"
    assert account["Policy"]["Statement"]


@pytest.mark.usefixtures("configured")
def test_users_make_keys_of_their_own_and_of_nobody_else(server: Server, slapd: Slapd, ask: Ask, uid: str) -> None:
    """A01, A02: a key that a session policy binds makes none that is less bound."""
    slapd.user(f"{uid}-b", "right")
    for name in (uid, f"{uid}-b"):
        ask("idp", "ldap", "policy", "attach", "sos", "readonly", "--user", name)
    user = User(server, uid, "right")
    hers = AdminWire(server, user.access_key, user.secret, user.token)
    made = hers.ask("PUT idp/ldap/add-service-account", {}, sealed=True).opened["credentials"]
    listed = hers.ask("GET idp/ldap/list-access-keys-bulk", listType="all").opened
    assert list(listed) == [f"uid={uid},{PEOPLE}"]
    assert [one["accessKey"] for one in listed[f"uid={uid},{PEOPLE}"]["serviceAccounts"]] == [made["accessKey"]]
    assert hers.ask("GET idp/ldap/list-access-keys-bulk", listType="all", userDNs=uid).status == 200
    older = hers.ask("GET idp/ldap/list-access-keys", userDN="", listType="svcacc-only").opened
    assert [one["accessKey"] for one in older["serviceAccounts"]] == [made["accessKey"]]
    for refused in (
        hers.ask("GET idp/ldap/list-access-keys-bulk", listType="all", userDNs=f"{uid}-b"),
        hers.ask("GET idp/ldap/list-access-keys-bulk", listType="all", all="true"),
        hers.ask("GET idp/ldap/list-access-keys", userDN=f"{uid}-b", listType=""),
        hers.ask("PUT idp/ldap/add-service-account", {"targetUser": f"{uid}-b"}, sealed=True),
        hers.ask("POST idp/ldap/policy/attach", {"policies": ["readwrite"], "user": uid}, sealed=True),
        hers.ask("GET idp/ldap/policy-entities"),
    ):
        assert (refused.status, refused.code) == (403, "AccessDenied")


@pytest.mark.usefixtures("configured")
def test_a_key_of_a_bound_session_is_bound(server: Server, ask: Ask, uid: str) -> None:
    """A01: what restricts the session restricts what it makes."""
    ask("idp", "ldap", "policy", "attach", "sos", "readwrite", "--user", uid)
    reading = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::*"]},
        {"Effect": "Allow", "Action": ["admin:*"]}]}  # fmt: skip
    bound = User(server, uid, "right", Policy=json.dumps(reading))
    hers = AdminWire(server, bound.access_key, bound.secret, bound.token)
    made = hers.ask("PUT idp/ldap/add-service-account", {}, sealed=True).opened["credentials"]
    with server.client() as client:
        client.be(made["accessKey"], made["secretKey"])
        assert client.request("GET", "/absent/key").code == "NoSuchBucket"
        assert client.request("PUT", "/absent/key").code == "AccessDenied"


@pytest.mark.usefixtures("configured")
def test_sessions_of_a_user_are_ended(server: Server, ask: Ask, uid: str) -> None:
    ask("idp", "ldap", "policy", "attach", "sos", "readonly", "--user", uid)
    one, other = User(server, uid, "right", TokenRevokeType="laptop"), User(server, uid, "right")
    ended = AdminWire(server).ask("POST revoke-tokens/ldap", user=uid, tokenRevokeType="laptop")
    assert ended.status == 204
    assert one.code("GET", "/absent/key") == "InvalidAccessKeyId"
    assert other.code("GET", "/absent/key") == "NoSuchBucket"
    assert AdminWire(server).ask("POST revoke-tokens/ldap", user=uid, fullRevoke="true").status == 204
    assert other.code("GET", "/absent/key") == "InvalidAccessKeyId"


@pytest.mark.usefixtures("configured")
def test_a_key_is_made_with_a_login(server: Server, ask: Ask, tool: Tool, uid: str, tmp_path: Path) -> None:
    """``create-with-login`` asks for name and password on a terminal."""
    ask("idp", "ldap", "policy", "attach", "sos", "readonly", "--user", uid)
    out = on_a_terminal(tool, ["idp", "ldap", "accesskey", "create-with-login", server.url], [uid, "right"])
    assert "Access Key:" in out
    assert ask("idp", "ldap", "accesskey", "ls", "sos", uid, "--svcacc-only")["svcaccs"]


def on_a_terminal(tool: Tool, arguments: list[str], answers: list[str]) -> str:
    """What a command says that asks for the answers one by one."""
    inside, outside = pty.openpty()
    env = {**os.environ, **tool.env, "TERM": "dumb"}
    process = subprocess.Popen([*tool.command, *arguments], stdin=outside, stdout=outside, stderr=outside, env=env)
    os.close(outside)
    said = ""

    def read() -> bool:
        nonlocal said
        if select.select([inside], [], [], 0.1)[0]:
            with contextlib.suppress(OSError):
                said += os.read(inside, 65536).decode(errors="replace")
        return process.poll() is not None

    try:
        for number, answer in enumerate(answers):
            until(lambda number=number: read() or said.count(": ") > number, "a question")
            os.write(inside, f"{answer}\n".encode())
        until(read, "the end of the command")
        assert process.returncode == 0, said
        return said
    finally:
        process.kill()
        os.close(inside)
