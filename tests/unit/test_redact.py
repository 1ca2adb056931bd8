"""What a trace shows of a request lets nobody act in its sender's name (A26)."""

from __future__ import annotations

import pytest

from sos.observe.redact import HIDDEN, fields, query

SECRET = "s3cr3t-value"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (
            f"AWS4-HMAC-SHA256 Credential=AK/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature={SECRET}",
            f"AWS4-HMAC-SHA256 Credential=AK/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature={HIDDEN}",
        ),
        (f"AWS4-HMAC-SHA256 {SECRET}", f"AWS4-HMAC-SHA256 {HIDDEN}"),
        (f"AWS AK:{SECRET}", f"AWS AK:{HIDDEN}"),
        (f"Bearer {SECRET}", f"Bearer {HIDDEN}"),
        (SECRET, HIDDEN),
    ],
)
def test_an_authorization_shows_whose_it_is_and_no_proof(value: str, shown: str) -> None:
    assert fields([("authorization", value)]) == {"Authorization": [shown]}


@pytest.mark.parametrize(
    "name",
    [
        "X-Amz-Security-Token",
        "x-amz-server-side-encryption-customer-key",
        "x-amz-copy-source-server-side-encryption-customer-key",
        "cookie",
        "set-cookie",
        "x-amz-meta-password",
        "x-my-secret",
        "x-vault-token",
        "x-api-key",
    ],
)
def test_fields_that_hold_secrets_are_hidden(name: str) -> None:
    assert list(fields([(name, SECRET)]).values()) == [[HIDDEN]]


def test_other_fields_are_shown() -> None:
    sent = [("host", "h:9000"), ("x-amz-date", "20260101T000000Z"), ("accept", "a"), ("accept", "b")]
    assert fields(sent) == {"Host": ["h:9000"], "X-Amz-Date": ["20260101T000000Z"], "Accept": ["a", "b"]}


@pytest.mark.parametrize(
    "name",
    [
        "X-Amz-Signature",
        "x-amz-signature",
        "X-Amz-Credential",
        "X-Amz-Security-Token",
        "X-Amz-%53ignature",
        "AWSAccessKeyId",
        "Signature",
        "LDAPPassword",
        "WebIdentityToken",
        "Token",
        "secretKey",
        "x-amz-server-side-encryption-customer-key",
    ],
)
def test_parameters_that_hold_secrets_are_hidden(name: str) -> None:
    assert query(f"prefix=a&{name}={SECRET}&max-keys=3") == f"prefix=a&{name}={HIDDEN}&max-keys=3"
    assert SECRET not in str(fields([("referer", f"https://host/bucket/key?{name}={SECRET}")]))


def test_other_parameters_are_shown() -> None:
    for text in ("", "acl", "list-type=2&continuation-token=abc&prefix=%20x", "X-Amz-SignedHeaders=host", "uploadId=x"):
        assert query(text) == text


def test_what_has_no_value_hides_nothing() -> None:
    assert query("policy=&token=&X-Amz-Signature") == "policy=&token=&X-Amz-Signature"
