"""Policy documents: what is accepted, what is refused and in whose words, and the way back to JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sos.domain.errors import MalformedPolicy, PolicyTooLarge
from sos.domain.policy.actions import ACTIONS, Level, known_actions, level_of
from sos.domain.policy.builtin import BUILTIN, builtin_documents, builtin_json, builtin_policies
from sos.domain.policy.checks import covers_bucket
from sos.domain.policy.document import BYTES_MAX, VERSION, Kind, parse, to_builtins, to_json
from sos.domain.policy.public import is_public

ALL = "arn:aws:s3:::*"


def statement(**members: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"} | members


def raw(*statements: dict[str, Any], version: str = VERSION, **members: Any) -> bytes:
    return json.dumps({"Version": version, "Statement": list(statements)} | members).encode()


def without(*names: str, **members: Any) -> dict[str, Any]:
    return {name: value for name, value in statement(**members).items() if name not in names}


def for_all(**members: Any) -> dict[str, Any]:
    return statement(Principal="*", **members)


IDENTITY_REFUSALS = [
    (b"{", "invalid JSON"),
    (b"[]", "policy must be an object"),
    (b"\xff{}", "invalid UTF-8"),
    (b"[" * 15_000, "nested too deeply"),
    (b'{"Version":"2012-10-17","Statement":[{"Effect":NaN}]}', "invalid JSON"),
    (b'{"Version":"2012-10-17","Version":"2012-10-17","Statement":[]}', "duplicate key 'Version'"),
    (b'{"Version":"2012-10-17","version":"2012-10-17","Statement":[]}', "duplicate key 'Version'"),
    (raw(statement(), version="2013-01-01"), "invalid version '2013-01-01'"),
    (raw(statement(), Foo=1), 'json: unknown field "Foo"'),
    (raw(statement(Conditions={})), 'json: unknown field "Conditions"'),
    (raw(), "Statement must not be empty"),
    (raw(statement(Effect="allow")), "invalid Effect allow"),
    (raw(without("Effect")), "invalid Effect "),
    (raw(without("Action")), "Action must not be empty"),
    (raw(statement(Action=[])), "Action must not be empty"),
    (raw(statement(Action=7)), "Action must be a string or a list of strings"),
    (raw(statement(NotAction="s3:PutObject")), "Action and NotAction cannot be specified in the same statement"),
    (raw(statement(Action="s3:GetObjects")), "unsupported action 's3:GetObjects'"),
    (raw(statement(Action="ec2:*")), "unsupported action 'ec2:*'"),
    (raw(statement(Action="admin:Nothing")), "unsupported admin action 'admin:Nothing'"),
    (raw(statement(Action="kms:Nothing")), "unsupported KMS action 'kms:Nothing'"),
    (raw(statement(Action="sts:Nothing")), "unsupported STS action 'sts:Nothing'"),
    (raw(statement(Action=["s3:*", "admin:*"])), "mixing action types in the same statement is not allowed"),
    (raw(without("Resource")), "Resource must not be empty"),
    (raw(statement(NotResource=ALL)), "Resource and NotResource cannot be specified in the same statement"),
    (raw(statement(Resource="b/*")), "invalid resource 'b/*'"),
    (raw(statement(Resource="arn:aws:s3:::")), "invalid resource 'arn:aws:s3:::'"),
    (
        raw(statement(Resource="arn:aws:s3:::/b")),
        "invalid resource 'arn:aws:s3:::/b' - starts with '/' will not match a bucket",
    ),
    (raw(statement(Resource="arn:minio:kms:::k")), "resource 'arn:minio:kms:::k' type is not S3"),
    (raw(statement(Action="kms:KeyStatus")), "resource 'arn:aws:s3:::b/*' type is not KMS"),
    (raw(statement(Action="kms:KeyStatus", Resource="arn:minio:kms:::a/b")), "invalid resource"),
    (raw(statement(Principal={"AWS": "bob"})), "Principal is only allowed in bucket policies"),
    (raw(statement(Condition={})), "condition must not be empty"),
    (raw(statement(Condition={"StringEquals": {}})), "condition must not be empty"),
    (raw(statement(Condition=None)), "condition must not be empty"),
    (raw(statement(Condition={"StringNotEquals": {"aws:username": []}})), "invalid value"),
    (raw(statement(Condition={"StringSame": {"aws:username": "x"}})), "invalid condition name 'StringSame'"),
    (raw(statement(Condition={"NullIfExists": {"aws:username": "true"}})), "invalid condition name 'NullIfExists'"),
    (raw(statement(Condition={"Some:Bool": {"aws:username": "true"}})), "invalid condition name 'Some:Bool'"),
    (raw(statement(Condition={"StringEquals": {"aws:nothing": "x"}})), "invalid condition key 'aws:nothing'"),
    (raw(statement(Condition={"StringEquals": {"aws:username/x": "x"}})), "invalid condition key 'aws:username/x'"),
    (
        raw(statement(Condition={"StringEquals": {"aws:username": 1}})),
        "value must be a string for StringEquals condition",
    ),
    (
        raw(statement(Condition={"StringEquals": {"s3:prefix": "x"}})),
        "unsupported condition keys '[s3:prefix]' used for action 's3:GetObject'",
    ),
    (
        raw(statement(Condition={"IpAddress": {"aws:Referer": "10.0.0.0/8"}})),
        "only aws:SourceIp key is allowed for IpAddress condition",
    ),
    (
        raw(statement(Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/99"}})),
        "value 10.0.0.0/99 must be CIDR string for IpAddress condition",
    ),
    *(
        (
            raw(statement(Condition={"NotIpAddress": {"aws:SourceIp": network}})),
            f"value {network} must be CIDR string for NotIpAddress condition",
        )
        for network in ("10.0.0.0/255.0.0.0", "10.0.0.0/0.255.255.255", "fe80::1%eth0", "1.2.3", "")
    ),
    (
        raw(statement(Condition={"Null": {"aws:Referer": ["true", "false"]}})),
        "only one value is allowed for Null condition",
    ),
    (raw(statement(Condition={"Null": {"aws:Referer": "maybe"}})), "value must be a boolean string for Null condition"),
    (
        raw(statement(Condition={"NumericEquals": {"s3:signatureAge": "many"}})),
        "value many must be a int for NumericEquals condition",
    ),
    *(
        (
            raw(statement(Condition={"NumericEquals": {"s3:signatureAge": number}})),
            f"value {number} must be a int for NumericEquals condition",
        )
        for number in (" 5", "1e3", "1_0", "Infinity", "٣")
    ),
    (
        raw(statement(Condition={"DateEquals": {"aws:CurrentTime": "soon"}})),
        "value soon must be a time.Time string for DateEquals condition",
    ),
    (
        raw(statement(Condition={"BinaryEquals": {"aws:Referer": "!"}})),
        "value ! must be base64 for BinaryEquals condition",
    ),
    (raw(statement(Condition={"ArnLike": {"aws:PrincipalArn": "x"}})), "value x must be an ARN for ArnLike condition"),
    (
        raw(statement(Condition={"StringEquals": {"s3:x-amz-server-side-encryption": "DES"}})),
        "invalid value 'DES' for 's3:x-amz-server-side-encryption' for StringEquals condition",
    ),
]


@pytest.mark.parametrize(("text", "message"), IDENTITY_REFUSALS, ids=[message for _, message in IDENTITY_REFUSALS])
def test_a_wrong_document_is_refused_with_the_servers_words(text: bytes, message: str) -> None:
    with pytest.raises(MalformedPolicy) as caught:
        parse(text, Kind.IDENTITY)
    assert caught.value.message.startswith(message)


BUCKET_REFUSALS = [
    (raw(statement()), "invalid Principal {[]}"),
    (raw(statement(Principal={})), "invalid Principal {[]}"),
    (raw(statement(Principal="bob")), "invalid principal 'bob'"),
    (raw(statement(Principal={"Service": "x"})), 'json: unknown field "Service"'),
    (raw(statement(Principal={"AWS": "arn:aws:iam::1:user/*"})), "invalid principal 'arn:aws:iam::1:user/*'"),
    (raw(statement(NotPrincipal={"AWS": "bob"})), "NotPrincipal is only allowed with Effect Deny"),
    (
        raw(for_all(NotPrincipal={"AWS": "bob"})),
        "Principal and NotPrincipal cannot be specified in the same statement",
    ),
    (raw(for_all(Resource="arn:aws:s3:::other/*")), "bucket name does not match"),
    (raw(for_all(Resource=["arn:aws:s3:::b/*", "arn:aws:s3:::b2/*"])), "bucket name does not match"),
    (
        raw(for_all(Resource="arn:aws:s3:::b")),
        "unsupported Resource found [arn:aws:s3:::b] for action s3:GetObject",
    ),
    (
        raw(for_all(Action="s3:ListBucket")),
        "unsupported Resource found [arn:aws:s3:::b/*] for action s3:ListBucket",
    ),
    (raw(for_all(Action="admin:ServerInfo")), "unsupported action 'admin:ServerInfo'"),
]


@pytest.mark.parametrize(("text", "message"), BUCKET_REFUSALS, ids=[message for _, message in BUCKET_REFUSALS])
def test_a_wrong_bucket_policy_is_refused(text: bytes, message: str) -> None:
    with pytest.raises(MalformedPolicy) as caught:
        parse(text, Kind.BUCKET, "b")
    assert caught.value.message == message


@pytest.mark.parametrize("kind", Kind)
def test_a_document_above_its_size_is_refused(kind: Kind) -> None:
    with pytest.raises(PolicyTooLarge):
        parse(b" " * (BYTES_MAX[kind] + 1), kind)
    with pytest.raises(PolicyTooLarge):
        parse(raw(statement()), Kind.SESSION, bytes_max=10)


def test_the_version_may_be_absent_unless_it_is_asked_for() -> None:
    text = json.dumps({"Statement": statement()}).encode()
    assert parse(text, Kind.IDENTITY).version == ""
    with pytest.raises(MalformedPolicy, match="must contain a valid version string"):
        parse(text, Kind.IDENTITY, version_required=True)
    with pytest.raises(MalformedPolicy, match="Version cannot be empty expecting '2012-10-17'"):
        parse(text, Kind.SESSION, version_required=True)


ACCEPTED = [
    (Kind.IDENTITY, statement()),
    (Kind.IDENTITY, statement(Sid="a b", Action=["s3:Get*", "S3:PUTOBJECT"], Resource=["arn:aws:s3:::b", ALL, "*"])),
    (Kind.IDENTITY, without("Resource", Action="admin:*")),
    (Kind.IDENTITY, without("Resource", Action=["kms:*"])),
    (Kind.IDENTITY, statement(Action="kms:CreateKey", Resource="arn:minio:kms:::mine*")),
    (Kind.IDENTITY, without("Action", NotAction="s3:Delete*")),
    (Kind.IDENTITY, without("Resource", NotResource=["arn:aws:s3:::b/*"])),
    (Kind.IDENTITY, statement(Principal={"AWS": ["*"]})),
    (Kind.SESSION, statement(Action="s3:*", Condition={"StringLike": {"s3:prefix": ["", "home/${aws:username}/*"]}})),
    (Kind.IDENTITY, statement(Condition={"Bool": {"aws:SecureTransport": True}})),
    (Kind.IDENTITY, statement(Condition={"NumericLessThanIfExists": {"s3:signatureAge": 600000}})),
    (Kind.IDENTITY, statement(Condition={"ForAnyValue:StringNotLike": {"jwt:groups": ["a*"]}})),
    (Kind.IDENTITY, statement(Condition={"StringEquals": {"s3:ExistingObjectTag/Class": "public"}})),
    (Kind.BUCKET, for_all()),
    (Kind.BUCKET, for_all(Action="s3:*", Resource=["arn:aws:s3:::b", "arn:aws:s3:::b/*"])),
    (Kind.BUCKET, statement(Principal={"AWS": ["arn:aws:iam::" + "a" * 64 + ":user/x", "bob"]})),
    (Kind.BUCKET, statement(Principal={"CanonicalUser": "a" * 64})),
    (Kind.BUCKET, statement(Effect="Deny", NotPrincipal={"AWS": "arn:aws:iam::123456789012:root"})),
]


@pytest.mark.parametrize(("kind", "given"), ACCEPTED, ids=str)
def test_a_document_survives_the_way_there_and_back(kind: Kind, given: dict[str, Any]) -> None:
    document = parse(raw(given, Id="x"), kind, "b")
    assert parse(to_json(document), kind, "b") == document
    written = to_builtins(document)["Statement"][0]
    for name in ("Action", "Resource", "NotAction", "NotResource"):
        assert isinstance(written.get(name, []), list)
    assert set(written) == {name for name in given if name != "Principal" or kind is Kind.BUCKET}


def test_everything_as_minio_exports_it_is_everything() -> None:
    document = parse(raw(statement(Resource=["**"]), without("Resource", NotResource="***")), Kind.IDENTITY)
    assert (document.statements[0].resources, document.statements[1].not_resources) == (("*",), ("*",))
    with pytest.raises(MalformedPolicy):
        parse(raw(statement(Resource="**b")), Kind.IDENTITY)


def test_a_lone_statement_needs_no_list() -> None:
    assert (
        len(parse(json.dumps({"Version": VERSION, "Statement": statement()}).encode(), Kind.IDENTITY).statements) == 1
    )


@pytest.mark.parametrize(
    ("resource", "bucket", "expected"),
    [
        ("arn:aws:s3:::tenant1/*", "tenant1", True),
        ("arn:aws:s3:::tenant1/*", "tenant1234", False),
        ("arn:aws:s3:::tenant1", "tenant1234", False),
        ("arn:aws:s3:::tenant1234/*", "tenant1", False),
        ("arn:aws:s3:::tenant1*", "tenant1234", True),
        ("arn:aws:s3:::tenant?/x", "tenant1", True),
        ("arn:aws:s3:::ten*key", "tenant1", True),
        ("arn:aws:s3:::*", "tenant1", True),
        ("*", "tenant1", True),
        ("arn:aws:s3:::${aws:username}/*", "tenant1", False),
    ],
)
def test_a_bucket_policy_is_about_its_own_bucket_by_whole_elements(resource: str, bucket: str, expected: bool) -> None:
    """A17: a name that another one starts with is another name."""
    assert covers_bucket(resource, bucket) is expected


def test_the_built_in_policies_are_minios() -> None:
    assert set(BUILTIN) == {"readonly", "readwrite", "writeonly", "diagnostics", "consoleAdmin"}
    assert set(builtin_documents()) == set(builtin_policies()) == set(BUILTIN)
    assert {name: json.loads(text) for name, text in builtin_json().items()} == BUILTIN


def test_every_action_has_a_level_and_is_its_own_pattern() -> None:
    for action, level in ACTIONS.items():
        assert known_actions(action) == {action}
        assert level_of(action.upper()) is level
    assert ACTIONS["s3:GetObject"] is Level.OBJECT
    assert ACTIONS["s3:ListBucket"] is Level.BUCKET
    assert ACTIONS["s3:ListAllMyBuckets"] is Level.SERVICE
    assert len(known_actions("admin:*")) > 80
    assert known_actions("s3:get*location") == {"s3:GetBucketLocation"}
    assert not known_actions("s3:")


@pytest.mark.parametrize(
    ("members", "public"),
    [
        ({"Principal": "*"}, True),
        ({"Principal": {"AWS": "*"}}, True),
        ({"Principal": {"AWS": "bob"}}, False),
        ({"Principal": "*", "Effect": "Deny"}, False),
        ({"Principal": "*", "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}, False),
        ({"Principal": "*", "Condition": {"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "0.0.0.0/1"]}}}, True),
        ({"Principal": "*", "Condition": {"IpAddressIfExists": {"aws:SourceIp": "10.0.0.0/8"}}}, True),
        ({"Principal": "*", "Condition": {"StringLike": {"aws:username": "a*"}}}, True),
        ({"Principal": "*", "Condition": {"StringEquals": {"aws:PrincipalAccount": "a"}}}, False),
        ({"Principal": "*", "Condition": {"StringNotEquals": {"aws:PrincipalAccount": "a"}}}, True),
        ({"Principal": "*", "Condition": {"StringEquals": {"aws:Referer": "http://x/"}}}, True),
    ],
)
def test_a_policy_for_everyone_is_public_unless_bound_to_fixed_callers(members: dict[str, Any], public: bool) -> None:
    """A16: what public means (S3 user guide)."""
    assert is_public(parse(raw(statement(**members)), Kind.BUCKET, "b")) is public
