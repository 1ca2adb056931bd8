"""Temporary credentials through the SDKs: AssumeRole, what they can do, and how they end."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest

from sos.services.identity.policies import Target
from tests.kit.clients import refusal
from tests.kit.operator import Operator
from tests.kit.server import PASSWORD, USER, Client, Server

MAIN = "000000000000"
SECRET = "a-secret-of-hers"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"
_numbers = itertools.count(1)


def client(
    service: str, server: Server, access_key: str = USER, secret: str = PASSWORD, token: str | None = None
) -> Any:
    import boto3
    from botocore.config import Config

    settings = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
    return boto3.client(
        service, endpoint_url=server.url, region_name="us-east-1", config=settings,
        aws_access_key_id=access_key, aws_secret_access_key=secret, aws_session_token=token,
    )  # fmt: skip


def session(server: Server, credentials: dict[str, Any]) -> Any:
    """S3 with what AssumeRole gave."""
    given = (credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials["SessionToken"])
    return client("s3", server, *given)


def assume(sts: Any, **more: Any) -> dict[str, Any]:
    return sts.assume_role(RoleArn="arn:aws:iam::000000000000:role/any", RoleSessionName="any", **more)["Credentials"]  # type: ignore[no-any-return]


def policy(actions: str, resource: str, **more: Any) -> str:
    statement = {"Effect": "Allow", "Action": actions.split(), "Resource": [f"arn:aws:s3:::{resource}"], **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


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
