"""The buckets of a disabled account: closed to everybody but the deployment's root, and open again at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from sos.services.identity.access_keys import Issued
from tests.kit.clients import refusal
from tests.kit.decisions import ANONYMOUS, ROOT, Bench, allow
from tests.kit.server import Server

CLOSED = (403, "AllAccessDisabled")
ANYBODY = allow("s3:*", "BUCKET", "BUCKET/*", Principal="*")


def sdk(server: Server, who: Issued | None) -> Any:
    import boto3
    from botocore import UNSIGNED
    from botocore.config import Config

    signed = {} if who is not None else {"signature_version": UNSIGNED}
    settings = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, **signed)
    keys = {"aws_access_key_id": who.access_key, "aws_secret_access_key": who.secret} if who is not None else {}
    return boto3.client("s3", endpoint_url=server.url, region_name="us-east-1", config=settings, **keys)


def calls(s3: Any, bucket: str, own: str) -> list[Callable[[], Any]]:
    """Ways to get at a bucket. :param own: a bucket of the caller, from which and into which is copied"""
    there, mine = {"Bucket": bucket, "Key": "key"}, {"Bucket": own, "Key": "copy"}
    found: list[Callable[[], Any]] = [
        lambda: s3.get_object(**there)["Body"].read(),
        lambda: s3.put_object(**there, Body=b"text"),
        lambda: s3.list_objects_v2(Bucket=bucket),
        lambda: s3.get_bucket_policy(Bucket=bucket),
        lambda: s3.list_multipart_uploads(Bucket=bucket),
    ]
    if own:
        found.append(lambda: s3.copy_object(**mine, CopySource=f"{bucket}/key"))
    return found


def test_its_buckets_are_closed_to_everybody_but_root_and_open_again_at_once(server: Server, bench: Bench) -> None:
    number, owner = bench.account()
    other = bench.account()[1]
    own = bench.bucket(owner=other)
    bucket = bench.bucket(ANYBODY, owner=owner)
    user = bench.user(allow("s3:*", "*"))
    mine = bench.bucket()
    guests = [(sdk(server, other), own), (sdk(server, user), mine), (sdk(server, None), "")]
    root = sdk(server, ROOT)
    for _ in range(2):
        for s3, home in guests:
            for call in calls(s3, bucket, home):
                call()
        set_disabled(bench, number, True)
        for s3, home in guests:
            for call in calls(s3, bucket, home):
                assert refusal(call) == CLOSED
            assert refusal(s3.head_object, Bucket=bucket, Key="key") == CLOSED
            removed = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "key"}]})
            assert [one["Code"] for one in removed["Errors"]] == ["AllAccessDisabled"]
        assert refusal(sdk(server, owner).list_objects_v2, Bucket=bucket) == (403, "InvalidAccessKeyId")
        for call in calls(root, bucket, mine):
            call()
        set_disabled(bench, number, False)
    set_disabled(bench, number, True)
    root.delete_object(Bucket=bucket, Key="key")
    root.delete_bucket(Bucket=bucket)


def set_disabled(bench: Bench, account: str, disabled: bool) -> None:
    bench.operator.do(lambda identity: identity.accounts.update(account, disabled=disabled))


def test_every_worker_knows_it_when_it_is_acknowledged(server: Server, bench: Bench) -> None:
    number, owner = bench.account()
    bucket = bench.bucket(ANYBODY, owner=owner)
    clients = [server.client() for _ in range(8)]
    try:

        def switch(status: str) -> None:
            asked = {"name": number, "status": status}
            assert bench.call("POST", "set-account-status", asked).status == 200

        def statuses() -> set[int]:
            return {client.be("").request("GET", f"/{bucket}/key").status for client in clients}

        for _ in range(3):
            assert statuses() == {200}
            switch("disabled")
            assert statuses() == {403}
            switch("enabled")
    finally:
        for client in clients:
            client.close()


def test_head_is_answered_without_a_body(server: Server, bench: Bench) -> None:
    number, owner = bench.account()
    bucket = bench.bucket(ANYBODY, owner=owner)
    set_disabled(bench, number, True)
    for path in (f"/{bucket}", f"/{bucket}/key"):
        reply = bench.ask(ANONYMOUS, "HEAD", path)
        assert (reply.status, reply.body) == (403, b"")
        assert reply.headers["x-minio-error-code"] == "AllAccessDisabled"
    assert bench.ask(ANONYMOUS, "GET", f"/{bucket}").status == 403  # and the connection is still in step


def test_an_explanation_names_the_account_and_what_is_to_be_done(bench: Bench) -> None:
    number, owner = bench.account()
    bucket = bench.bucket(ANYBODY, owner=owner)
    user = bench.user(allow("s3:*", "*"))
    set_disabled(bench, number, True)
    reply = bench.ask(user, "GET", f"/{bucket}/key")
    why = bench.why(reply)
    assert (why["reason"], why["statement"], why["missed"], why["grants"]) == ("account-disabled", None, [], [])
    assert f"belongs to account {number}, which is disabled" in why["summary"]
    assert (why["policiesChanged"], why["now"]["allowed"]) == (False, False)
    told = bench.simulate(user, "s3:GetObject", f"arn:aws:s3:::{bucket}/key")
    assert (told["allowed"], told["reason"]) == (False, "account-disabled")
    set_disabled(bench, number, False)
    now = bench.why(reply)
    assert (now["policiesChanged"], now["now"]["allowed"]) == (True, True)


def test_no_administrator_but_root_gets_at_their_configuration(bench: Bench) -> None:
    number, owner = bench.account()
    bucket = bench.bucket(ANYBODY, owner=owner)
    administrator = bench.user(attach="consoleAdmin")
    set_disabled(bench, number, True)
    refused = bench.call("GET", "get-bucket-quota", {"bucket": bucket}, who=administrator)
    assert (refused.status, json.loads(refused.body)["Code"]) == CLOSED
    assert bench.call("GET", "get-bucket-quota", {"bucket": bucket}).status == 200
