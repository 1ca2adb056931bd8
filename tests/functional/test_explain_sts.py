"""Why no temporary credentials were given: told as for every other denial."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sos.services.identity.access_keys import Issued
from tests.kit.decisions import MAIN, ROOT, Bench, allow, deny
from tests.kit.server import PASSWORD, USER, Reply, Server
from tests.kit.server import ROOT as CHECKOUT
from tests.kit.sts import assume, client

EVERYTHING = allow("s3:*", "*")


def refused(server: Server, who: Issued, **more: Any) -> str:
    """The id of the request that was denied."""
    with pytest.raises(ClientError) as caught:
        assume(client("sts", server, who.access_key, who.secret, who.token or None), **more)
    answer: dict[str, Any] = caught.value.response
    assert (answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]) == (403, "AccessDenied")
    return str(answer["ResponseMetadata"]["RequestId"])


def why(bench: Bench, request_id: str, who: Issued = ROOT) -> list[dict[str, Any]]:
    denials: list[dict[str, Any]] = bench.told("GET", "sos/explain", {"requestId": request_id}, who=who)["denials"]
    return denials


def test_the_statement_that_denies_a_session_is_told(server: Server, bench: Bench) -> None:
    long = deny("sts:AssumeRole", Sid="Short", Condition={"NumericGreaterThan": {"sts:DurationSeconds": "1000"}})
    who = bench.user(EVERYTHING, long)
    (found,) = why(bench, refused(server, who, DurationSeconds=3600))
    assert (found["surface"], found["call"], found["action"]) == ("sts", "AssumeRole", "sts:AssumeRole")
    assert (found["reason"], found["identity"]["user"]) == ("explicit-deny", who.access_key)
    assert (found["statement"]["sid"], found["statement"]["index"], found["statement"]["side"]) == (
        "Short", 1, "identity",
    )  # fmt: skip
    assert found["statement"]["policy"] == bench.names[who.access_key]
    assert found["conditions"] == [
        {"key": "sts:DurationSeconds", "operator": "NumericGreaterThan", "expected": ["1000"], "actual": ["3600"], "held": True}
    ]  # fmt: skip
    assert (found["policiesChanged"], found["now"]["allowed"], found["grants"]) == (False, False, [])
    assume(client("sts", server, who.access_key, who.secret), DurationSeconds=900)


def test_conditions_on_the_request_count_for_sessions(server: Server, bench: Bench) -> None:
    """A11: the address is that of the connection."""
    elsewhere = {"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}
    (found,) = why(bench, refused(server, bench.user(EVERYTHING, deny("sts:*", Condition=elsewhere))))
    assert found["conditions"][0]["actual"] == ["127.0.0.1"]
    assert found["context"]["aws:SecureTransport"] == ["false"]
    here = {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}
    who = bench.user(EVERYTHING, deny("sts:*", Condition=here))
    assume(client("sts", server, who.access_key, who.secret))


def test_what_has_changed_since_is_told(server: Server, bench: Bench) -> None:
    who = bench.user(EVERYTHING, deny("sts:AssumeRole"))
    request_id = refused(server, who)
    bench.put_policy(bench.names[who.access_key], EVERYTHING)
    (found,) = why(bench, request_id)
    assert (found["policiesChanged"], found["now"]["allowed"], found["now"]["reason"]) == (True, True, "not-forbidden")
    bench.operator.do(lambda i: i.users.put(MAIN, "nobody-s-policies", who.secret))
    told = bench.simulate(Issued("nobody-s-policies", ""), "sts:AssumeRole")
    assert told["allowed"] is True  # as it is: the session can do nothing


def test_a_session_that_no_policy_refused_is_told_too(server: Server, bench: Bench) -> None:
    who = bench.user(EVERYTHING)
    session = bench.temporary(who.access_key)
    service = bench.service(who.access_key)
    for one in (session, service, Issued(who.access_key, "another-secret")):
        (found,) = why(bench, refused(server, one))
        assert (found["surface"], found["call"], found["code"]) == ("sts", "AssumeRole", "AccessDenied")
        assert found["claims"]["user"] == who.access_key
        assert who.secret not in str(found)


def test_who_was_denied_is_not_told(server: Server, bench: Bench) -> None:
    who = bench.user(EVERYTHING, deny("sts:AssumeRole"))
    request_id = refused(server, who)
    assert bench.call("GET", "sos/explain", {"requestId": request_id}, who=who).status == 403
    assert why(bench, request_id, bench.account()[1]) == []


def test_sos_explain_says_which_statement(server: Server, bench: Bench, tmp_path: Path) -> None:
    who = bench.user(EVERYTHING, deny("sts:AssumeRole", Sid="NoSessions"))
    request_id = refused(server, who)
    env = {k: v for k, v in os.environ.items() if not k.startswith(("MC_", "MINIO_", "SOS_"))}
    env |= {"MC_CONFIG_DIR": str(tmp_path), "PYTHONPATH": str(CHECKOUT), "NO_PROXY": "*"}
    env |= {"MINIO_ROOT_USER": USER, "MINIO_ROOT_PASSWORD": PASSWORD}
    command = [sys.executable, "-m", "sos.cli.main", "explain", request_id, "--url", server.url]
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert f"Request {request_id}" in done.stdout and "AssumeRole was denied" in done.stdout
    assert f"Statement 2 (NoSessions) of policy {bench.names[who.access_key]} of user {who.access_key}" in done.stdout


def test_refusals_that_are_no_denials_are_not_remembered(server: Server, bench: Bench) -> None:
    reply: Reply = bench.ask(ROOT, "POST", "/", {"Action": "AssumeRoleWithWebIdentity", "Version": "2011-06-15"})
    assert reply.status == 400
    assert bench.explain(reply) == []
