"""The service of temporary credentials in memory: what is configured, what is kept of claims, and names of roles."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from sos.domain.errors import DriveFault, IdentityClosed, NoSuchAccessKey, ReadQuorumLost, SettingRefused
from sos.meta.iam import KeyKind
from sos.s3.auth.errors import InvalidAccessKeyId
from sos.s3.sts_documents import CODES, refusal
from sos.services.identity import allowance, arns, certificates, sts_errors
from sos.services.identity.access_keys import Parent
from sos.services.identity.openid import OpenId
from sos.services.identity.openid_settings import BadProvider, read_provider, read_providers
from sos.services.identity.openid_tokens import _claims, parent_name, values_of, vouched
from sos.services.identity.outbound import Outbound
from sos.services.identity.plugin import IdentityPlugin, read_plugin
from sos.services.identity.policies import Target
from sos.services.identity.sts import Sts, Wanted
from sos.services.identity.sts_errors import (
    BadCertificate,
    InsecureConnection,
    InvalidParameter,
    LimitReached,
    NotAllowed,
)
from tests.kit.authority import Authority
from tests.kit.identities import MAIN, World, run
from tests.kit.identity_audit import audit

URL = "https://provider.test/.well-known/openid-configuration"
GOOD = {"config_url": URL, "client_id": "client", "client_secret": "secret"}


# -- names of roles --------------------------------------------------------------------------------------


def test_the_role_of_a_provider_has_the_name_that_minio_gives_it() -> None:
    """A vector of MinIO's own tests (``cmd/sts-handlers_test.go``)."""
    assert arns.hashed("minio-client-app") == "nOybJqMNzNmroqEKq5D0EUsRZw0"
    assert read_provider("x", {**GOOD, "role_policy": "readonly"}, "").arn == arns.role_arn(arns.hashed("client"), "")
    named = read_provider("x", {**GOOD, "role_policy": "readonly"}, "eu-west-1").arn
    assert named.startswith("arn:minio:iam:eu-west-1::role/") and arns.check_arn(named) == named


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "format"),
        ("arn:minio:iam::role/x", "format"),
        ("x:minio:iam:::role/x", "format"),
        ("arn:aws:iam:::role/x", "partition"),
        ("arn:minio:s3:::role/x", "service"),
        ("arn:minio:iam::1:role/x", "account-id"),
        ("arn:minio:iam:::role", "does not contain"),
        ("arn:minio:iam:::user/x", "resource type"),
        ("arn:minio:iam:::role/x y", "resource ID"),
        ("arn:minio:iam:::role/", "resource ID"),
    ],
)
def test_what_names_no_role(text: str, problem: str) -> None:
    with pytest.raises(arns.BadArn, match=problem):
        arns.check_arn(text)


# -- configuration ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"client_id": ""}, "client ID"),
        ({"config_url": ""}, "config_url"),
        ({"config_url": "ftp://host/"}, "config_url"),
        ({"config_url": "http://169.254.169.254/"}, "config_url"),
        ({"role_policy": "readonly", "claim_name": "other"}, "cannot both be set"),
        ({"vendor": "another"}, "Unsupported vendor"),
        ({"vendor": "keycloak"}, "Admin URL"),
        ({"vendor": "keycloak", "keycloak_admin_url": "nonsense"}, "keycloak_admin_url"),
    ],
)
def test_settings_that_make_no_provider(changes: dict[str, str], problem: str) -> None:
    with pytest.raises(BadProvider, match=problem):
        read_provider("x", {**GOOD, **changes}, "")


def test_a_provider_that_cannot_be_beside_the_others_is_left_out_alone() -> None:
    roles = {"role_policy": "readonly"}
    targets = {
        "_": GOOD,
        "a-second-by-claim": {**GOOD, "client_id": "second"},
        "b-same-client": {**GOOD, **roles},
        "c-role": {**GOOD, **roles, "client_id": "third"},
        "d-broken": {**GOOD, "config_url": "nonsense"},
    }
    found, wrong = read_providers(targets, "")
    assert sorted(found) == ["_", "c-role"]
    assert sorted(wrong) == ["a-second-by-claim", "b-same-client", "d-broken"]


def test_secrets_are_not_shown() -> None:
    settings = read_provider("x", GOOD, "")
    plugin = read_plugin({"url": "https://hook.test/", "role_policy": "readonly", "auth_token": "secret"}, "")
    assert "secret" not in repr(settings) + repr(plugin)


def test_an_unreachable_provider_is_not_taken_over() -> None:
    openid = OpenId(lambda _: {}, Outbound(), lambda: "")
    with pytest.raises(SettingRefused):
        asyncio.run(openid.check({**GOOD, "config_url": "http://127.0.0.1:9/"}))
    plugin = IdentityPlugin(lambda _: {}, Outbound(), lambda: "")
    for bad in (
        {"url": "http://127.0.0.1:9/", "role_policy": "readonly"},
        {"url": "http://127.0.0.1:9/"},
        {"url": "nonsense", "role_policy": "readonly"},
        {"url": "http://127.0.0.1:9/", "role_policy": "readonly", "role_id": "a b"},
    ):
        with pytest.raises(SettingRefused):
            asyncio.run(plugin.check(bad))


def test_certificates_are_always_verified() -> None:
    asyncio.run(certificates.check({"enable": "on", "skip_verify": "off"}))
    with pytest.raises(SettingRefused):
        asyncio.run(certificates.check({"enable": "on", "skip_verify": "on"}))


def test_a_change_of_one_provider_leaves_what_is_known_of_others() -> None:
    targets: dict[str, Mapping[str, str]] = {"_": GOOD, "role": {**GOOD, "client_id": "other", "role_policy": "a"}}
    openid = OpenId(lambda _: targets, Outbound(), lambda: "")
    before = openid.providers()
    assert openid.providers() is before
    targets["role"] = {**targets["role"], "role_policy": "b"}
    targets["_"] = {**GOOD, "config_url": "https://another.test/"}
    after = openid.providers()
    assert after["role"].keys is before["role"].keys and after["role"].settings.policies == ("b",)
    assert after["_"].keys is not before["_"].keys


# -- claims ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("readonly", ("readonly",)),
        (" a, b ,,a", ("a", "b")),
        (["a", "b,c", 7, None, ""], ("a", "b", "c")),
        ([], ()),
        ("", ()),
        (7, None),
        ({"a": 1}, None),
        (None, None),
    ],
)
def test_a_claim_names_policies_in_every_way_that_providers_know(value: Any, expected: Any) -> None:
    assert values_of({"policy": value}, "policy") == expected


def test_of_claims_only_what_policies_can_ask_for_is_kept() -> None:
    claims = {
        "sub": "alice", "groups": ["a", 7, "b"], "email": "a@example.test", "name": True, "scope": 7, "secret": "x",
        "accessKey": "root", "aws:SourceIp": "10.0.0.1", "oid": "id", "address": {"street": "x"},
    }  # fmt: skip
    assert vouched(claims, ("oid", "aws:SourceIp", "missing", "groups")) == {
        "jwt:sub": "alice",
        "jwt:groups": ["a", "b"],
        "jwt:email": "a@example.test",
        "jwt:name": "true",
        "jwt:scope": "7",
        "oid": "id",
    }


@pytest.mark.parametrize("payload", [b"", b"[]", b"7", b'{"sub": "\\ud800"}', b'{"exp": NaN}', b"\xff", b"[" * 100_000])
def test_claims_that_are_no_json_object_of_text(payload: bytes) -> None:
    with pytest.raises(InvalidParameter):
        _claims(payload)


def test_users_of_two_providers_are_two() -> None:
    assert parent_name("alice", "https://a") != parent_name("alice", "https://b")
    assert len(parent_name("x" * 10_000, "https://a")) == 43


# -- the service -----------------------------------------------------------------------------------------


def service(world: World, duration_s: int = 0) -> Sts:
    outbound = Outbound()
    openid = OpenId(lambda _: {}, outbound, lambda: "")
    plugin = IdentityPlugin(lambda _: {}, outbound, lambda: "")
    return Sts(world.identity, openid, plugin, lambda: True, lambda: duration_s)


def alice(world: World) -> Any:
    run(world.identity.users.put(MAIN, "alice", "a-secret-of-hers"))
    known = world.identity.directory.find("alice")
    assert known is not None
    return known.principal


def test_sessions_without_end_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowance, "OF_USER", {KeyKind.TEMPORARY: 3})
    world = World()
    sts, who = service(world), alice(world)
    for _ in range(3):
        run(sts.assume_role(who, Wanted()))
    with pytest.raises(LimitReached):
        run(sts.assume_role(who, Wanted()))


def test_the_configured_life_counts_whatever_is_asked_for() -> None:
    """MINIO_STS_DURATION"""
    world = World()
    sts, who = service(world, 1800), alice(world)
    for asked in ("", "900", "7200"):
        made = run(sts.assume_role(who, Wanted(asked)))
        assert made.expires_ns == world.now_ns + 1800 * 10**9
    with pytest.raises(InvalidParameter):
        run(service(world, 10).assume_role(who, Wanted()))


def test_nobody_gets_a_session_for_nothing() -> None:
    from sos.services.identity.principal import ANONYMOUS

    world = World()
    with pytest.raises(NotAllowed):
        run(service(world).assume_role(ANONYMOUS, Wanted()))


def test_credentials_never_outlive_what_proved_them() -> None:
    world = World()
    until_s = world.now_ns // 10**9 + 100
    made = run(service(world).issue(Parent(MAIN, ""), Wanted(), 3600, until_s))
    assert made.expires_ns == until_s * 10**9


def test_blanks_do_not_count_for_the_size_of_a_session_policy() -> None:
    world = World()
    sts, who = service(world), alice(world)
    statement = {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::bucket/*"]}
    wide = json.dumps({"Version": "2012-10-17", "Statement": [statement] * 10}, indent=40).encode()
    assert len(wide) > 2048
    run(sts.assume_role(who, Wanted(policy=wide)))
    with pytest.raises(InvalidParameter, match="2048"):
        run(
            sts.assume_role(
                who, Wanted(policy=json.dumps({"Version": "2012-10-17", "Statement": [statement] * 40}).encode())
            )
        )


def test_a_user_of_the_name_of_a_foreign_one_shares_nothing_with_it() -> None:
    """What is attached here to a user is not for one whom a provider calls the same."""
    world = World()
    name = parent_name("alice", "https://provider.test")
    run(world.identity.users.put(MAIN, name, "a-secret-of-hers"))
    run(world.identity.policies.attach(MAIN, ["consoleAdmin"], Target(name)))
    made = run(service(world).issue(Parent(MAIN, name, "openid:_", {}, ("readonly",)), Wanted(), 900))
    known = world.identity.directory.find(made.access_key)
    assert known is not None and known.principal.policy_names == ("readonly",)
    run(world.identity.users.remove(MAIN, name))
    again = world.identity.directory.find(made.access_key)
    assert again is None or again.principal.policy_names == ("readonly",)


def test_sessions_of_users_who_come_once_do_not_pile_up() -> None:
    """Each job of a builder is a user of its own at some providers."""
    world = World()
    sts = service(world)

    def come(times: int) -> None:
        for number in range(times):
            name = parent_name(f"job-{world.now_ns}-{number}", "https://provider.test")
            run(sts.issue(Parent(MAIN, name, "openid:_", {}, ("readonly",)), Wanted(), 900))

    come(200)
    world.now_ns += 1000 * 10**9
    come(100)
    assert len(world.system.rows(b"iam/child/")) < 200
    audit(world.system.view)


def test_what_a_provider_vouched_for_is_not_in_the_token() -> None:
    """Headers hold 8 KiB: the groups of some users would not fit."""
    world = World()
    claims: dict[str, Any] = {"jwt:groups": [f"group-{n}" for n in range(500)], "sub": "alice"}
    made = run(service(world).issue(Parent(MAIN, "someone", "openid:_", claims, ("readonly",)), Wanted(), 900))
    assert len(made.token) < 1000
    known = world.identity.directory.find(made.access_key)
    assert known is not None and known.token == made.token and len(known.principal.facts["jwt:groups"]) == 500
    record = run(world.identity.access_keys.get(made.access_key, KeyKind.TEMPORARY))
    assert record.claims["sub"] == "alice"
    with pytest.raises(NoSuchAccessKey):
        run(world.identity.access_keys.get(made.access_key, KeyKind.SERVICE))


# -- certificates ----------------------------------------------------------------------------------------


def test_a_certificate_is_looked_at_again_on_a_connection_that_lasts(tmp_path: Any) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    path, _ = Authority(tmp_path).make("readwrite", minutes=1)
    der = x509.load_pem_x509_certificate(path.read_bytes()).public_bytes(Encoding.DER)
    now = datetime.now(UTC)
    assert certificates.read_certificate(der, True, now).name == "readwrite"
    with pytest.raises(BadCertificate):
        certificates.read_certificate(der, True, now.replace(year=now.year + 1))
    with pytest.raises(BadCertificate):
        certificates.read_certificate(b"nonsense", True, now)
    with pytest.raises(InsecureConnection):
        certificates.read_certificate(der, False, now)


# -- replies ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (sts_errors.NotAllowed(), 403, "AccessDenied"),
        (sts_errors.MissingParameter(), 400, "MissingParameter"),
        (sts_errors.InvalidParameter(), 400, "InvalidParameterValue"),
        (sts_errors.ExpiredToken(), 400, "ExpiredToken"),
        (sts_errors.InsecureConnection(), 400, "InsecureConnection"),
        (sts_errors.BadCertificate(), 400, "InvalidClientCertificate"),
        (sts_errors.Disabled(), 503, "STSNotInitialized"),
        (sts_errors.UpstreamFailed(), 500, "InternalError"),
        (InvalidAccessKeyId(), 403, "AccessDenied"),
        (IdentityClosed(), 503, "STSIAMNotInitialized"),
        (ReadQuorumLost(set=0), 503, "STSIAMNotInitialized"),
        (DriveFault("/srv/drives/1 is gone"), 500, "InternalError"),
    ],
)
def test_every_refusal_has_a_code_and_tells_no_cause(error: Exception, status: int, code: str) -> None:
    reply = refusal(error, "ID")
    assert reply.status == status and isinstance(reply.body, bytes)
    assert f"<Code>{code}</Code>".encode() in reply.body and b"<Message></Message>" not in reply.body
    assert b"/srv" not in reply.body


def test_every_kind_of_refusal_is_told() -> None:
    assert set(sts_errors.StsRefused.__subclasses__()) <= CODES.keys()
