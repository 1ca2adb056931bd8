"""Temporary credentials through the SDKs: AssumeRole, what they can do, and how they end."""

from __future__ import annotations

import base64
import itertools
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sos.admin.crypto import decrypt, encrypt
from sos.services.identity.access_keys import NewService, Parent
from sos.services.identity.policies import Target
from tests.kit.clients import mc, refusal
from tests.kit.operator import Operator
from tests.kit.server import PASSWORD, Client, Server
from tests.kit.sts import (
    FORM,
    ROLE,
    SECRET,
    assume,
    call,
    client,
    credentials,
    fetch,
    forged_token,
    form,
    policy,
    raw,
    revoke,
    session,
    states,
)

MAIN = "000000000000"
NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def operator(server: Server) -> Operator:
    return Operator(server)


@pytest.fixture
def user(operator: Operator) -> str:
    """A user who may read and write everything."""
    name = f"sts-user-{next(_numbers)}"
    operator.do(lambda i: i.users.put(MAIN, name, SECRET))
    operator.do(lambda i: i.policies.attach(MAIN, ["readwrite"], Target(name)))
    return name


@pytest.fixture
def sts(server: Server, user: str) -> Any:
    return client("sts", server, user, SECRET)


@pytest.fixture
def workers(server: Server) -> Iterator[tuple[Client, Client]]:
    with server.client_of(0) as first, server.client_of(1) as second:
        yield first, second


def test_a_session_does_what_its_user_may_and_ends_with_it(
    server: Server, operator: Operator, user: str, sts: Any, bucket: str
) -> None:
    given = assume(sts)
    s3 = session(server, given)
    s3.put_object(Bucket=bucket, Key="key", Body=b"text")
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"text"
    operator.do(lambda i: i.users.set_enabled(MAIN, user, False))
    assert refusal(s3.get_object, Bucket=bucket, Key="key") == (403, "InvalidAccessKeyId")
    operator.do(lambda i: i.users.set_enabled(MAIN, user, True))
    s3.get_object(Bucket=bucket, Key="key")
    operator.do(lambda i: i.policies.detach(MAIN, ["readwrite"], Target(user)))
    assert refusal(s3.get_object, Bucket=bucket, Key="key") == (403, "AccessDenied")
    operator.do(lambda i: i.users.remove(MAIN, user))
    operator.do(lambda i: i.users.put(MAIN, user, SECRET))
    assert refusal(s3.get_object, Bucket=bucket, Key="key") == (403, "InvalidAccessKeyId"), "a new user of the name"


def test_a_session_policy_only_takes_away(server: Server, sts: Any, bucket: str) -> None:
    s3 = session(server, assume(sts, Policy=policy("s3:GetObject s3:PutObject", f"{bucket}/mine/*")))
    s3.put_object(Bucket=bucket, Key="mine/key", Body=b"")
    assert refusal(s3.put_object, Bucket=bucket, Key="other", Body=b"") == (403, "AccessDenied")
    assert refusal(s3.list_objects_v2, Bucket=bucket) == (403, "AccessDenied")
    root = client("sts", server)
    bound = session(server, assume(root, Policy=policy("s3:GetObject", f"{bucket}/mine/*")))
    bound.get_object(Bucket=bucket, Key="mine/key")
    assert refusal(bound.put_object, Bucket=bucket, Key="mine/key", Body=b"") == (403, "AccessDenied")


def test_a_session_policy_gives_nothing_that_the_user_has_not(server: Server, operator: Operator, bucket: str) -> None:
    """A session may ask for everything and gets what its user has: nothing, without a policy (A19)."""
    name = f"sts-user-{next(_numbers)}"
    operator.do(lambda i: i.users.put(MAIN, name, SECRET))
    s3 = session(server, assume(client("sts", server, name, SECRET), Policy=policy("s3:*", "*")))
    assert refusal(s3.put_object, Bucket=bucket, Key="key", Body=b"") == (403, "AccessDenied")
    assert refusal(s3.list_objects_v2, Bucket=bucket) == (403, "AccessDenied")


def test_the_life_of_a_session_is_what_was_asked_for(sts: Any) -> None:
    for asked, granted in ((None, 3600), (900, 900), (43_200, 43_200)):
        before = int(time.time())
        given = assume(sts, **({"DurationSeconds": asked} if asked else {}))
        assert before + granted <= given["Expiration"].timestamp() <= time.time() + granted


@pytest.mark.parametrize("seconds", ["899", "31536001", "-1", "1h", "9" * 30, "0x400", "\u0663600", " 3600"])
def test_a_life_that_cannot_be_is_refused(server: Server, seconds: str) -> None:
    assert call(server, {"DurationSeconds": seconds}) == (400, "InvalidParameterValue")


def test_expired_credentials_are_refused(server: Server, operator: Operator, user: str, bucket: str) -> None:
    """S3 tells an expired session from a wrong one."""
    old = operator.do(lambda i: i.access_keys.issue(Parent(MAIN, user), -1))
    s3 = client("s3", server, old.access_key, old.secret, old.token)
    assert refusal(s3.list_objects_v2, Bucket=bucket) == (400, "ExpiredToken")
    again = client("sts", server, old.access_key, old.secret, old.token)
    assert refusal(again.assume_role, RoleArn=ROLE, RoleSessionName="any")[0] == 403


# -- who may not -----------------------------------------------------------------------------------------


def test_keys_that_belong_to_somebody_make_no_sessions(server: Server, operator: Operator, user: str, sts: Any) -> None:
    """Neither temporary credentials nor service accounts, root's own included."""
    given = assume(sts)
    again = client("sts", server, given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
    assert refusal(again.assume_role, RoleArn=ROLE, RoleSessionName="any") == (403, "AccessDenied")
    without = client("sts", server, given["AccessKeyId"], given["SecretAccessKey"])
    assert refusal(without.assume_role, RoleArn=ROLE, RoleSessionName="any") == (403, "AccessDenied")
    for parent in (Parent(MAIN, user), Parent(MAIN, "")):
        key = operator.do(lambda i, parent=parent: i.access_keys.create(parent, NewService()))
        service = client("sts", server, key.access_key, key.secret)
        assert refusal(service.assume_role, RoleArn=ROLE, RoleSessionName="any") == (403, "AccessDenied")


def test_a_session_is_asked_for_by_its_signature(server: Server, user: str) -> None:
    """P12: without a signature, with a wrong one, for another service, or not over the form, there is no session."""
    assert call(server, who=("", "")) == (403, "AccessDenied")
    assert call(server, who=(user, "another-secret")) == (403, "AccessDenied")
    assert call(server, who=("nobody-at-all", SECRET)) == (403, "AccessDenied")
    assert call(server, service="s3") == (403, "AccessDenied")
    assert call(server, signed=b"Action=AssumeRole&Version=2011-06-15&DurationSeconds=900") == (403, "AccessDenied")
    assert call(server, digest="UNSIGNED-PAYLOAD") == (403, "AccessDenied")
    assert call(server, headers={"x-amz-security-token": "any"}) == (403, "AccessDenied")
    assert call(server) == (200, "")
    assert call(server, digest="") == (200, ""), "SDKs of AWS do not send the digest"


def test_a_user_who_is_disabled_gets_no_session(server: Server, operator: Operator, user: str, sts: Any) -> None:
    operator.do(lambda i: i.users.set_enabled(MAIN, user, False))
    assert refusal(sts.assume_role, RoleArn=ROLE, RoleSessionName="any") == (403, "AccessDenied")


def test_a_policy_can_forbid_sessions(server: Server, operator: Operator, user: str, sts: Any) -> None:
    deny = {
        "Effect": "Deny",
        "Action": ["sts:AssumeRole"],
        "Condition": {"NumericGreaterThan": {"sts:DurationSeconds": "900"}},
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [deny]}).encode()
    operator.do(lambda i: i.policies.put(MAIN, f"deny-{user}", document))
    operator.do(lambda i: i.policies.attach(MAIN, [f"deny-{user}"], Target(user)))
    assert refusal(sts.assume_role, RoleArn=ROLE, RoleSessionName="any") == (403, "AccessDenied")
    assume(sts, DurationSeconds=900)


# -- the session token -----------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_the_token_is_needed_everywhere(
    version: str, server: Server, operator: Operator, user: str, sts: Any, bucket: str
) -> None:
    """In headers, links and forms, and in calls of the admin API: none, another one and a damaged one are refused."""
    given, other = assume(sts), assume(sts)
    good = given["SessionToken"]
    wrong = {
        "none": None,
        "another's": other["SessionToken"],
        "damaged": good[:-2] + ("AA" if good[-2:] != "AA" else "BB"),
    }
    keys = (given["AccessKeyId"], given["SecretAccessKey"])
    for what, token in wrong.items():
        s3 = client("s3", server, *keys, token, version)
        assert refusal(s3.list_objects_v2, Bucket=bucket) == (403, "InvalidTokenId"), what
        assert fetch(s3.generate_presigned_url("put_object", {"Bucket": bucket, "Key": "key"}), b"") == 403, what
        assert form(s3, bucket) == 403, what
        with server.client() as asking:
            asking.be(*keys, token or "")
            assert asking.request("GET", "/minio/admin/v3/accountinfo").status == 403, what
    s3 = client("s3", server, *keys, good, version)
    assert fetch(s3.generate_presigned_url("put_object", {"Bucket": bucket, "Key": "key"}), b"text") == 200
    assert form(s3, bucket) == 204
    with server.client() as asking:
        assert asking.be(*keys, good).request("GET", "/minio/admin/v3/accountinfo").status == 200


def test_a_token_that_somebody_else_made_is_none(
    server: Server, operator: Operator, user: str, sts: Any, bucket: str
) -> None:
    """A06: signed with the key of a service account, of the user, of root; with another algorithm; claiming more."""
    given = assume(sts, Policy=policy("s3:GetObject", f"{bucket}/*"))
    claims = json.loads(base64.urlsafe_b64decode(given["SessionToken"].split(".")[1] + "=="))
    assert claims["accessKey"] == given["AccessKeyId"] and claims["parent"] == user
    key = operator.do(lambda i: i.access_keys.create(Parent(MAIN, user), NewService()))
    wide = {**claims, "sessionPolicy": base64.b64encode(policy("s3:*", "*").encode()).decode()}
    secrets = (key.secret, SECRET, PASSWORD, given["SecretAccessKey"], "")
    forged = [forged_token(said, secret) for said in (claims, wide) for secret in secrets]
    forged.append(forged_token(wide, "", "none"))
    for one in forged:
        for keys in ((given["AccessKeyId"], given["SecretAccessKey"]), (key.access_key, key.secret)):
            s3 = client("s3", server, *keys, one)
            assert refusal(s3.put_object, Bucket=bucket, Key="key", Body=b"") == (403, "InvalidTokenId")


def test_a_token_of_another_deployment_is_none(
    server: Server, sts: Any, bucket: str, servers: list[Server], tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = Server(tmp_path_factory.mktemp("other"), drives=1, workers=1)
    servers.append(other)
    other.start()
    foreign, own = assume(client("sts", other)), assume(sts)
    s3 = client("s3", server, foreign["AccessKeyId"], foreign["SecretAccessKey"], foreign["SessionToken"])
    assert refusal(s3.list_objects_v2, Bucket=bucket) == (403, "InvalidAccessKeyId")
    mixed = client("s3", server, own["AccessKeyId"], own["SecretAccessKey"], foreign["SessionToken"])
    assert refusal(mixed.list_objects_v2, Bucket=bucket) == (403, "InvalidTokenId")


# -- children of sessions, and their end -----------------------------------------------------------------


def test_a_key_that_a_session_makes_is_bound_as_the_session_is(
    server: Server, operator: Operator, sts: Any, bucket: str
) -> None:
    """A01: a restricted session makes no unrestricted key."""
    both = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Allow", "Action": ["admin:CreateServiceAccount"]},
                {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": [f"arn:aws:s3:::{bucket}/*"]},
            ],
        }
    )
    given = assume(sts, Policy=both)
    with server.client() as asking:
        asking.be(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
        sealed = encrypt(given["SecretAccessKey"], b"{}")
        reply = asking.request("PUT", "/minio/admin/v3/add-service-account", body=sealed)
    assert reply.status == 200, reply.body
    made = json.loads(decrypt(given["SecretAccessKey"], reply.body))["credentials"]
    s3 = client("s3", server, made["accessKey"], made["secretKey"])
    assert refusal(s3.put_object, Bucket=bucket, Key="key", Body=b"") == (403, "AccessDenied")
    assert refusal(s3.get_object, Bucket=bucket, Key="absent")[0] in (403, 404)


def test_sessions_are_revoked_by_type_and_all_of_them(
    server: Server, user: str, workers: tuple[Client, Client]
) -> None:
    kept = credentials(server, user, {})
    app = [credentials(server, user, {"TokenRevokeType": "app"}) for _ in range(2)]
    assert states(workers, [kept, *app]) == {200}
    revoke(server, user, tokenRevokeType="app")
    assert states(workers, app) == {403} and states(workers, [kept]) == {200}
    revoke(server, user, fullRevoke="true")
    assert states(workers, [kept]) == {403}


def test_a_session_revokes_its_own_kind(server: Server, user: str, workers: tuple[Client, Client]) -> None:
    """Without a user and a type those of the session that asks are meant."""
    kept, app = credentials(server, user, {}), credentials(server, user, {"TokenRevokeType": "app"})
    with server.client() as asking:
        plain = asking.be(*kept).request("POST", "/minio/admin/v3/revoke-tokens/builtin")
        assert (plain.status, json.loads(plain.body)["Code"]) == (400, "InvalidArgument")
        assert asking.be(*app).request("POST", "/minio/admin/v3/revoke-tokens/builtin").status == 204
    assert states(workers, [app]) == {403} and states(workers, [kept]) == {200}


def test_mc_works_with_a_session(server: Server, sts: Any, bucket: str, tmp_path: Path) -> None:
    """Its token is the third part of the alias in the environment."""
    given = assume(sts)
    keys = ":".join(given[name] for name in ("AccessKeyId", "SecretAccessKey", "SessionToken"))
    tool, host = mc(server.url, tmp_path), server.url.removeprefix("http://")
    env = {"MC_HOST_hers": f"http://{keys}@{host}"}
    tool("pipe", f"hers/{bucket}/key", stdin=b"text", env=env)
    assert tool("cat", f"hers/{bucket}/key", env=env).out == "text"
    shown = json.loads(tool("admin", "user", "sts", "info", "sos", given["AccessKeyId"], "--json").out)
    assert shown["parentUser"] and shown["accountStatus"] == "on"


def test_the_root_of_an_account_gets_sessions_of_its_account(server: Server, operator: Operator, bucket: str) -> None:
    name = f"tenant-{bucket}"
    operator.do(lambda i: i.accounts.add(name, f"root-{bucket}", SECRET))
    s3 = session(server, assume(client("sts", server, f"root-{bucket}", SECRET)))
    s3.create_bucket(Bucket=f"own-{bucket}")
    s3.put_object(Bucket=f"own-{bucket}", Key="key", Body=b"")
    assert refusal(s3.list_objects_v2, Bucket=bucket) == (403, "AccessDenied")


# -- what is said ----------------------------------------------------------------------------------------


def test_replies_are_those_that_clients_of_sts_know(server: Server) -> None:
    status, body = raw(server)
    assert status == 200
    text = re.sub(r">[^<]{12,}<", ">…<", body.decode())
    assert text == (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<AssumeRoleResponse xmlns="{NAMESPACE}"><AssumeRoleResult>'
        "<AssumedRoleUser><Arn></Arn><AssumeRoleId></AssumeRoleId></AssumedRoleUser>"
        "<Credentials><AccessKeyId>…</AccessKeyId><SecretAccessKey>…</SecretAccessKey><SessionToken>…</SessionToken>"
        "<Expiration>…</Expiration></Credentials></AssumeRoleResult>"
        "<ResponseMetadata><RequestId>…</RequestId></ResponseMetadata></AssumeRoleResponse>"
    )
    status, body = raw(server, {"Action": "AssumeNothing"})
    assert status == 400
    assert re.sub(r"(?<=<RequestId>)\w+", "…", body.decode()) == (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<ErrorResponse xmlns="{NAMESPACE}"><Error><Type></Type><Code>InvalidParameterValue</Code>'
        "<Message>Unsupported action AssumeNothing</Message></Error><RequestId>…</RequestId></ErrorResponse>"
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"Version": "2010-05-08"}, (400, "MissingParameter")),
        ({"Version": ""}, (400, "MissingParameter")),
        ({"Action": ""}, (400, "InvalidParameterValue")),
        ({"Policy": "{"}, (400, "InvalidParameterValue")),
        ({"Policy": '{"Statement": []}'}, (400, "InvalidParameterValue")),
        ({"Policy": policy("s3:GetObject", "x" * 2048)}, (400, "InvalidParameterValue")),
        ({"Policy": "[" * 100_000}, (400, "InvalidParameterValue")),
        ({"Action": "AssumeRoleWithWebIdentity", "WebIdentityToken": "x.y.z"}, (400, "InvalidParameterValue")),
        ({"Action": "AssumeRoleWithClientGrants", "Token": "x.y.z"}, (400, "InvalidParameterValue")),
        ({"Action": "AssumeRoleWithCertificate"}, (503, "STSNotInitialized")),
        ({"Action": "AssumeRoleWithCustomToken", "Token": "any"}, (503, "STSNotInitialized")),
    ],
)
def test_what_is_wrong_is_told_by_its_code(server: Server, changes: dict[str, str], expected: tuple[int, str]) -> None:
    assert call(server, changes) == expected


@pytest.mark.parametrize(
    "body",
    [
        b"\xff\xfe=\xff",
        b"Action",
        b"&".join([b"a=b"] * 500),
        b"Action=%zz",
        b"x" * 300_000,
        b"Policy=" + b"[" * 250_000,
    ],
)
def test_forms_that_are_none_are_refused(server: Server, body: bytes) -> None:
    with server.client() as asking:
        reply = asking.request("POST", "/", body=body, headers=FORM)
    assert reply.status == 400 and b"<ErrorResponse" in reply.body


def test_what_is_no_form_is_no_call_of_sts(server: Server) -> None:
    with server.client() as asking:
        assert (
            asking.request("POST", "/", body=b"{}", headers={"Content-Type": "application/json"}).code == "BadRequest"
        )
        assert asking.request("POST", "/", {"Action": "AssumeNothing", "Version": "2011-06-15"}).status == 400


def test_secrets_are_not_logged(server: Server, sts: Any) -> None:
    given = assume(sts)
    log = server.log()
    assert given["SecretAccessKey"] not in log and given["SessionToken"] not in log
