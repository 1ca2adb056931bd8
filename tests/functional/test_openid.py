"""OpenID Connect: users of a certified provider, what their tokens give them, and the tokens that give nothing."""

from __future__ import annotations

import itertools
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sos.admin.crypto import decrypt
from tests.kit.clients import mc, refusal
from tests.kit.decisions import MAIN, Bench, allow, deny, document
from tests.kit.oidc import SECRET, OidcProvider, changed, confused, shared_secret, unsigned, with_own_key, without_kid
from tests.kit.operator import Operator
from tests.kit.server import PASSWORD, Server
from tests.kit.sts import client, policy, post, session

pytestmark = pytest.mark.filterwarnings("ignore:EdDSA is deprecated")  # by those who make tokens

ROLE = "arn:minio:iam:::role/"
DUMMY = "arn:aws:iam::000000000000:role/any"
FOLDER = "arn:aws:s3:::homes/${jwt:preferred_username}/*"
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def provider() -> Iterator[OidcProvider]:
    accounts = {
        "alice": {"policy": "readwrite", "preferred_username": "alice", "groups": ["staff", "admins"]},
        "bob": {"policy": ["readonly", "no-such-policy"], "preferred_username": "bob"},
        "carol": {"policy": "no-such-policy,nor-this", "preferred_username": "carol"},
        "dave": {"preferred_username": "dave"},
        "erin": {"policy": "no-sessions"},
        "sos-claims": {"policy": "readonly"},
    }
    made = OidcProvider(accounts, {"sos-claims": "RS256", "sos-role": "ES256", "sos-info": "EdDSA", "other": "PS256"})
    yield made
    made.close()


@pytest.fixture(scope="module")
def closed_port() -> Iterator[int]:
    """A port where nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@pytest.fixture(scope="module")
def server(provider: OidcProvider, closed_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One with four providers: policies by a claim, a role, a role with what the provider tells of users, one that is
    down."""
    name = "MINIO_IDENTITY_OPENID_"
    env = {
        f"{name}CONFIG_URL": provider.config_url, f"{name}CLIENT_ID": "sos-claims", f"{name}CLIENT_SECRET": SECRET,
        f"{name}CONFIG_URL_ROLE": provider.config_url, f"{name}CLIENT_ID_ROLE": "sos-role",
        f"{name}CLIENT_SECRET_ROLE": SECRET, f"{name}ROLE_POLICY_ROLE": "readonly",
        f"{name}CONFIG_URL_INFO": provider.config_url, f"{name}CLIENT_ID_INFO": "sos-info",
        f"{name}CLIENT_SECRET_INFO": SECRET, f"{name}ROLE_POLICY_INFO": "homes", f"{name}CLAIM_USERINFO_INFO": "on",
        f"{name}CONFIG_URL_DOWN": f"http://127.0.0.1:{closed_port}/.well-known/openid-configuration",
        f"{name}CLIENT_ID_DOWN": "sos-down", f"{name}CLIENT_SECRET_DOWN": SECRET, f"{name}ROLE_POLICY_DOWN": "readwrite",
    }  # fmt: skip
    with Server(tmp_path_factory.mktemp("openid"), env=env) as running:
        before = running.worker_pids()
        yield running
        assert running.worker_pids() == before
        assert "Traceback" not in running.log()


@pytest.fixture(scope="module")
def arns(server: Server) -> dict[str, str]:
    """Provider → the role that clients name."""
    return {
        name: ROLE + _hash(client_id)
        for name, client_id in (("ROLE", "sos-role"), ("INFO", "sos-info"), ("DOWN", "sos-down"))
    }


def _hash(text: str) -> str:
    import base64
    import hashlib

    return base64.urlsafe_b64encode(hashlib.sha1(text.encode()).digest()).rstrip(b"=").decode()


@pytest.fixture(scope="module")
def s3(server: Server) -> Any:
    made = server.boto3()
    made.create_bucket(Bucket="homes")
    made.put_object(Bucket="homes", Key="alice/key", Body=b"text")
    return made


@pytest.fixture
def sts(server: Server) -> Any:
    """No keys are needed: SDKs do not sign these calls."""
    return client("sts", server)


def assume(sts: Any, token: str, arn: str = DUMMY, **more: Any) -> dict[str, Any]:
    return sts.assume_role_with_web_identity(  # type: ignore[no-any-return]
        RoleArn=arn, RoleSessionName="any", WebIdentityToken=token, **more
    )


def refused(sts: Any, token: str, arn: str = DUMMY, **more: Any) -> tuple[int, str]:
    arguments = {"RoleArn": arn, "RoleSessionName": "any", "WebIdentityToken": token, **more}
    return refusal(sts.assume_role_with_web_identity, **arguments)


# -- what tokens give ------------------------------------------------------------------------------------


def test_policies_come_from_a_claim(server: Server, provider: OidcProvider, s3: Any, sts: Any) -> None:
    made = assume(sts, provider.log_in("sos-claims", "alice")["id_token"])
    assert made["SubjectFromWebIdentityToken"] == "alice"
    hers = session(server, made["Credentials"])
    hers.put_object(Bucket="homes", Key="by-claim", Body=b"text")
    his = session(server, assume(sts, provider.log_in("sos-claims", "bob")["id_token"])["Credentials"])
    his.get_object(Bucket="homes", Key="by-claim")
    assert refusal(his.put_object, Bucket="homes", Key="by-claim", Body=b"") == (403, "AccessDenied")


def test_without_a_policy_that_exists_there_is_nothing_to_give(provider: OidcProvider, sts: Any) -> None:
    for account in ("carol", "dave"):
        token = provider.log_in("sos-claims", account)["id_token"]
        assert refused(sts, token) == (400, "InvalidParameterValue"), account


def test_a_role_has_its_own_policy_and_the_tokens_of_its_own_client(
    server: Server, provider: OidcProvider, arns: dict[str, str], s3: Any, sts: Any
) -> None:
    token = provider.log_in("sos-role", "dave")["id_token"]
    his = session(server, assume(sts, token, arns["ROLE"])["Credentials"])
    his.get_object(Bucket="homes", Key="alice/key")
    assert refusal(his.put_object, Bucket="homes", Key="key", Body=b"") == (403, "AccessDenied")
    other = provider.log_in("sos-claims", "alice")["id_token"]
    assert refused(sts, other, arns["ROLE"]) == (400, "InvalidParameterValue")
    assert refused(sts, token, arns["INFO"]) == (400, "InvalidParameterValue")


def test_a_policy_may_deny_sessions_and_is_named(server: Server, provider: OidcProvider, sts: Any) -> None:
    statement = deny("sts:AssumeRoleWithWebIdentity", Condition={"StringEquals": {"jwt:sub": "erin"}})
    operator = Operator(server)
    operator.do(lambda i: i.policies.put(MAIN, "no-sessions", document(allow("s3:*", "*"), statement)))
    token = provider.log_in("sos-claims", "erin")["id_token"]
    with pytest.raises(sts.exceptions.ClientError) as caught:
        assume(sts, token)
    request_id = caught.value.response["ResponseMetadata"]["RequestId"]
    with server.client() as root:
        (told,) = Bench(server, root, operator).told("GET", "sos/explain", {"requestId": request_id})["denials"]
    assert (told["statement"]["policy"], told["statement"]["index"]) == ("no-sessions", 1)
    assert (told["conditions"][0]["actual"], told["now"]) == (["erin"], None)


def test_variables_of_policies_hold_what_the_provider_tells_of_the_user(
    server: Server, provider: OidcProvider, arns: dict[str, str], s3: Any, sts: Any, tmp_path: Path
) -> None:
    homes = tmp_path / "homes.json"
    homes.write_text(policy("s3:GetObject s3:PutObject", "").replace("arn:aws:s3:::", FOLDER))
    mc(server.url, tmp_path / "mc")("admin", "policy", "create", "sos", "homes", homes)
    access_token = provider.log_in("sos-info", "alice")["access_token"]
    bare = provider.forge("sos-info", "EdDSA", sub="alice", policy=None)
    form = {"Action": "AssumeRoleWithWebIdentity", "RoleArn": arns["INFO"], "WebIdentityToken": bare}
    assert post(server, form)[:2] == (400, "InvalidParameterValue"), "no access token to ask the provider with"
    status, _, found = post(server, {**form, "WebIdentityAccessToken": access_token})
    assert status == 200, found
    hers = session(server, found)
    hers.get_object(Bucket="homes", Key="alice/key")
    hers.put_object(Bucket="homes", Key="alice/new", Body=b"")
    assert refusal(hers.put_object, Bucket="homes", Key="bob/new", Body=b"") == (403, "AccessDenied")
    stolen = provider.forge("sos-info", "EdDSA", sub="bob", policy=None)
    given = {**form, "WebIdentityToken": stolen, "WebIdentityAccessToken": access_token}
    assert post(server, given)[:2] == (400, "InvalidParameterValue"), "the access token of somebody else"


def test_a_session_ends_with_its_token_at_the_latest(provider: OidcProvider, sts: Any) -> None:
    now = time.time()

    def left_s(**more: Any) -> float:
        token = provider.forge("sos-claims", exp=int(now) + 1800)
        return assume(sts, token, **more)["Credentials"]["Expiration"].timestamp() - now  # type: ignore[no-any-return]

    assert 1790 < left_s() <= 1800
    assert 890 < left_s(DurationSeconds=900) < 1000
    assert 1790 < left_s(DurationSeconds=7200) <= 1800
    assert refused(sts, provider.forge("sos-claims"), DurationSeconds=899 + 1, Policy="{}") == (
        400,
        "InvalidParameterValue",
    )


def test_a_session_policy_takes_away(server: Server, provider: OidcProvider, s3: Any, sts: Any) -> None:
    token = provider.forge("sos-claims")
    hers = session(server, assume(sts, token, Policy=policy("s3:GetObject", "homes/alice/*"))["Credentials"])
    hers.get_object(Bucket="homes", Key="alice/key")
    assert refusal(hers.put_object, Bucket="homes", Key="alice/key", Body=b"") == (403, "AccessDenied")
    wide = policy("s3:GetObject", "homes/*", Condition={"StringEquals": {"aws:UserAgent": ["x" * 50] * 50}})
    assert refused(sts, token, Policy=wide) == (400, "InvalidParameterValue"), "too large"


@pytest.mark.parametrize("algorithm", ["RS256", "RS512", "PS256", "PS384", "ES256", "EdDSA"])
def test_every_signature_with_a_public_key_is_accepted(provider: OidcProvider, sts: Any, algorithm: str) -> None:
    assert assume(sts, provider.forge("sos-claims", algorithm))["SubjectFromWebIdentityToken"] == "forged"


def test_a_token_of_another_audience_counts_when_it_was_given_to_our_client(provider: OidcProvider, sts: Any) -> None:
    token = provider.forge("account", azp="sos-claims")
    assert assume(sts, token)["SubjectFromWebIdentityToken"] == "forged"


def test_a_policy_forbids_long_sessions(server: Server, provider: OidcProvider, sts: Any, tmp_path: Path) -> None:
    statements = [
        {"Effect": "Allow", "Action": ["s3:*"], "Resource": ["arn:aws:s3:::*"]},
        {"Effect": "Deny", "Action": ["sts:AssumeRoleWithWebIdentity"],
         "Condition": {"NumericGreaterThan": {"sts:DurationSeconds": "1000"}}},
    ]  # fmt: skip
    document = tmp_path / "short.json"
    document.write_text(json.dumps({"Version": "2012-10-17", "Statement": statements}))
    mc(server.url, tmp_path / "mc")("admin", "policy", "create", "sos", "short", document)
    token = provider.forge("sos-claims", policy="short")
    assert refused(sts, token) == (403, "AccessDenied")
    assume(sts, token, DurationSeconds=900)


# -- what gives nothing ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"exp": 1_700_000_000}, "ExpiredToken"),
        ({"exp": None}, "InvalidParameterValue"),
        ({"exp": "4102444800"}, "InvalidParameterValue"),
        ({"exp": True}, "InvalidParameterValue"),
        ({"nbf": 4_102_444_800}, "InvalidParameterValue"),
        ({"iat": 4_102_444_800}, "InvalidParameterValue"),
        ({"iss": "https://another.example"}, "InvalidParameterValue"),
        ({"iss": None}, "InvalidParameterValue"),
        ({"aud": "another-client"}, "InvalidParameterValue"),
        ({"aud": None}, "InvalidParameterValue"),
        ({"aud": {"sos-claims": 1}}, "InvalidParameterValue"),
        ({"aud": "another", "azp": "one-more"}, "InvalidParameterValue"),
        ({"sub": None}, "InvalidParameterValue"),
        ({"sub": ""}, "InvalidParameterValue"),
        ({"sub": ["forged"]}, "InvalidParameterValue"),
        ({"exp": float("nan")}, "InvalidParameterValue"),
        ({"policy": 7}, "InvalidParameterValue"),
        ({"groups": ["x" * 100] * 200}, "InvalidParameterValue"),
    ],
)
def test_claims_that_do_not_hold_are_refused(provider: OidcProvider, sts: Any, changes: Any, code: str) -> None:
    """A05: issuer, audience and every time are checked, and a token without an expiry is none."""
    assert refused(sts, provider.forge("sos-claims", **changes)) == (400, code)


def test_signatures_that_prove_nothing_are_refused(server: Server, provider: OidcProvider, sts: Any) -> None:
    """A05: none, secrets that are taken for keys, keys that belong to nobody here, and changed tokens."""
    from joserfc.jwk import ECKey, RSAKey

    kid = str(provider.keys.keys[0].kid)
    now = int(time.time())
    claims = {"iss": provider.issuer, "sub": "x", "aud": "sos-claims", "exp": now + 600, "policy": "readwrite"}
    public = provider.keys.keys[0].as_pem(private=False)
    tokens = {
        "none": unsigned(claims, kid),
        "HS256 by the client's secret": provider.forge("sos-claims", "HS256", shared_secret(SECRET.encode(), kid)),
        "HS256 by the client's secret and id": provider.forge(
            "sos-claims", "HS256", shared_secret(SECRET.encode(), "sos-claims")
        ),
        "HS512 by root's password": provider.forge("sos-claims", "HS512", shared_secret(PASSWORD.encode(), kid)),
        "HS256 by the public key": confused(claims, kid, public),
        "a key of nobody": provider.forge("sos-claims", key=RSAKey.generate_key(2048, {"kid": kid})),
        "a key of nobody, its own id": provider.forge("sos-claims", key=RSAKey.generate_key(2048, {"kid": "unknown"})),
        "a key in the header": with_own_key(provider, claims),
        "an elliptic key for an RSA id": provider.forge(
            "sos-claims", "ES256", ECKey.generate_key("P-256", {"kid": kid})
        ),
        "changed": changed(provider.forge("sos-claims", policy="readonly")),
        "no token": "some text",
        "five parts": "a.b.c.d.e",
        "no id": without_kid(provider.forge("sos-claims")),
        "too long": provider.forge("sos-claims", filler="x" * 40_000),
    }
    for what, token in tokens.items():
        assert refused(sts, token) == (400, "InvalidParameterValue"), what
    assert SECRET not in server.log()


@pytest.mark.parametrize(
    "arn",
    ["arn:minio:iam:::role/nobody-is-here", "arn:aws:iam::1:role/some-role", "not-an-arn-but-long-enough"],
)
def test_with_a_provider_by_claim_any_other_role_means_that_one(provider: OidcProvider, sts: Any, arn: str) -> None:
    assert assume(sts, provider.forge("sos-claims"), arn)["SubjectFromWebIdentityToken"] == "forged"


# -- keys that change, and providers that are away -------------------------------------------------------


def test_new_keys_are_found_and_old_ones_end(provider: OidcProvider, sts: Any) -> None:
    before = provider.forge("sos-claims")
    assume(sts, before)
    provider.rotate(f"rotated-{next(_numbers)}")
    # either worker may get it, and both must find the new key by themselves
    for _ in range(6):
        assume(sts, provider.log_in("sos-claims", "alice")["id_token"])
    assert refused(sts, before) == (400, "InvalidParameterValue")


def test_a_provider_that_is_down_is_nobody_elses_matter(
    server: Server, provider: OidcProvider, arns: dict[str, str], s3: Any, sts: Any
) -> None:
    """Its own users are refused; those of others, and every other request, do not wait. Known keys stay good."""
    token = provider.forge("sos-claims")
    for _ in range(4):
        assume(sts, token)
    assert refused(sts, token, arns["DOWN"]) == (400, "InvalidParameterValue")
    provider.hang()
    try:
        for _ in range(4):
            assume(sts, token)
        s3.get_object(Bucket="homes", Key="alice/key")
        assert refused(sts, token, arns["DOWN"]) == (400, "InvalidParameterValue")
    finally:
        provider.go_on()
    assume(sts, token)


# -- administration --------------------------------------------------------------------------------------


def test_a_provider_is_added_and_removed_while_the_server_runs(
    server: Server, provider: OidcProvider, closed_port: int, sts: Any, tmp_path: Path
) -> None:
    """In force in every worker at once; what cannot be reached, or not be beside the others, is not taken over."""
    tool = mc(server.url, tmp_path / "mc")
    good = {"config_url": provider.config_url, "client_id": "other", "client_secret": SECRET, "role_policy": "readonly"}

    def add(**changes: str) -> bool:
        pairs = [f"{key}={value}" for key, value in (good | changes).items() if value]
        return tool.run("idp", "openid", "add", "sos", "added", *pairs).code == 0

    assert not add(config_url=f"http://127.0.0.1:{closed_port}/.well-known/openid-configuration")
    assert not add(config_url=provider.issuer), "no discovery document"
    assert not add(client_id="sos-claims"), "the client of another"
    assert not add(role_policy=""), "a second one by claim"
    assert add()
    (listed,) = [json.loads(line) for line in tool("idp", "openid", "ls", "sos", "--json").lines]
    roles = {one["name"]: one.get("roleARN", "") for one in listed}
    arn = ROLE + _hash("other")
    assert roles["added"] == arn
    token = provider.forge("other", "PS256")
    for _ in range(8):
        assume(sts, token, arn)
    tool("idp", "openid", "rm", "sos", "added")
    for _ in range(8):
        # with a provider by claim every role that is not known is that one, and the token is not its client's
        assert refused(sts, token, arn) == (400, "InvalidParameterValue")


def test_keys_of_users_of_providers_are_listed_and_revoked(
    server: Server, provider: OidcProvider, s3: Any, sts: Any
) -> None:
    name = f"user-{next(_numbers)}"
    kept = assume(sts, provider.forge("sos-claims", sub=name))["Credentials"]
    typed = post(
        server,
        {
            "Action": "AssumeRoleWithWebIdentity",
            "WebIdentityToken": provider.forge("sos-claims", sub=name),
            "TokenRevokeType": "app",
        },
    )[2]
    listed = admin(server, "GET", "idp/openid/list-access-keys-bulk", {"listType": "all", "users": name})
    assert [one["configName"] for one in listed] == ["_"]
    (user,) = listed[0]["users"]
    assert user["ID"] == name
    assert {key["accessKey"] for key in user["stsKeys"]} == {kept["AccessKeyId"], typed["AccessKeyId"]}
    parent = user["minioAccessKey"]
    told = admin(server, "GET", "info-access-key", {"accessKey": kept["AccessKeyId"]})
    assert (told["userProvider"], told["userType"], told["parentUser"]) == ("openid", "STS", parent)
    assert told["openIDSpecificInfo"] == {"configName": "_", "userID": name, "userIDClaim": "sub"}
    query = {"user": parent, "tokenRevokeType": "app"}
    admin(server, "POST", "revoke-tokens/openid", query)
    assert refusal(session(server, typed).list_buckets) == (403, "InvalidAccessKeyId")
    session(server, kept).list_buckets()
    admin(server, "POST", "revoke-tokens/openid", {"user": parent, "fullRevoke": "true"})
    assert refusal(session(server, kept).list_buckets) == (403, "InvalidAccessKeyId")


def admin(server: Server, method: str, path: str, query: dict[str, str]) -> Any:
    with server.client() as asking:
        reply = asking.request(method, f"/minio/admin/v3/{path}", query)
    assert reply.status in (200, 204), reply.body
    return json.loads(decrypt(PASSWORD, reply.body)) if reply.body else None
