"""``sos explain`` and ``sos policy`` as an operator runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kit.clients import Ended
from tests.kit.decisions import SECRET, Bench, allow, deny, policy
from tests.kit.server import PASSWORD, USER, Server
from tests.kit.server import ROOT as CHECKOUT

HERE = {"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One of its own: what a busy server decided last is in no count."""
    with Server(tmp_path_factory.mktemp("explaining")) as running:
        yield running


@pytest.fixture
def sos(server: Server, tmp_path: Path) -> Any:
    clean = {
        k: v
        for k, v in os.environ.items()
        if not k.startswith(("MC_", "MINIO_", "SOS_")) and not k.lower().endswith("_proxy")
    }
    env = {
        **clean,
        "MC_CONFIG_DIR": str(tmp_path),
        "PYTHONPATH": str(CHECKOUT),
        "MINIO_ROOT_USER": USER,
        "MINIO_ROOT_PASSWORD": PASSWORD,
    }

    def run(*words: str, stdin: str = "", **more: str) -> Ended:
        command = [sys.executable, "-m", "sos.cli.main", *words]
        done = subprocess.run(
            command, input=stdin, capture_output=True, text=True, env={**env, **more}, timeout=60, check=False
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    return run


def test_sos_explain(server: Server, bench: Bench, sos: Any, tmp_path: Path) -> None:
    bucket = bench.bucket()
    who = bench.user(
        allow("s3:GetObject", f"{bucket}/*", Sid="Office", Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}})
    )
    reply = bench.ask(who, "GET", f"/{bucket}/key")
    request_id = reply.headers["x-amz-request-id"]
    text = sos("explain", request_id, "--url", server.url)
    assert text.code == 0, text.err
    for part in (
        request_id,
        f"user {who.access_key}",
        f"arn:aws:s3:::{bucket}/key",
        "(Office)",
        "10.0.0.0/8; the request has 127.0.0.1",
        "smallest grant",
    ):
        assert part in text.out, (part, text.out)
    assert (
        json.loads(sos("explain", request_id.lower(), "--url", server.url, "--json").out)["denials"][0]["reason"]
        == "no-allow"
    )
    assert sos("explain", "0000", "--url", server.url).code == 1
    alias = {"url": server.url, "accessKey": USER, "secretKey": PASSWORD, "api": "S3v4", "path": "auto"}
    (tmp_path / "config.json").write_text(json.dumps({"version": "10", "aliases": {"here": alias}}))
    assert sos("explain", request_id, "--alias", "here", MINIO_ROOT_USER="", MINIO_ROOT_PASSWORD="").out == text.out
    denied = sos("explain", request_id, "--url", server.url, "--admin-key", who.access_key, "--admin-secret", SECRET)
    assert denied.code == 1 and "AccessDenied" in denied.err and "Office" not in denied.out + denied.err
    assert sos("explain", request_id, "--alias", "nowhere").err.startswith("FATAL ")
    assert sos("explain", request_id, MINIO_ROOT_USER="").err.startswith("FATAL No keys")
    assert sos("explain", request_id, "--url", "http://127.0.0.1:1").err.startswith("FATAL Cannot reach")


def test_sos_policy(server: Server, bench: Bench, sos: Any, tmp_path: Path) -> None:
    bucket = bench.bucket()
    who = bench.user(allow("s3:GetObject", f"{bucket}/*", Condition=HERE))
    assert bench.ask(who, "GET", f"/{bucket}/key").status == 200
    ask = (
        "policy",
        "simulate",
        "--url",
        server.url,
        "--user",
        who.access_key,
        "--action",
        "s3:GetObject",
        "--resource",
        f"arn:aws:s3:::{bucket}/key",
    )
    assert "denied" in sos(*ask).out and "not given with --context: aws:SourceIp" in sos(*ask).out
    here = (*ask, "--context", "aws:SourceIp=127.0.0.1")
    assert sos(*here).out.startswith("allowed: s3:GetObject")
    draft = tmp_path / "draft.json"
    draft.write_text(json.dumps(policy(deny("s3:GetObject", f"{bucket}/*", Sid="Closing"))))
    told = sos(*here, "--policy", str(draft))
    assert told.code == 0 and told.out.startswith("denied with the draft") and "(Closing)" in told.out
    assert not json.loads(sos(*here, "--policy", "-", "--json", stdin=draft.read_text()).out)["allowed"]
    replayed = sos("policy", "replay", "--url", server.url, "--policy", str(draft), "--attach", who.access_key)
    assert replayed.code == 0 and "1 are decided otherwise" in replayed.out
    assert f"allowed → denied: 1 × s3:GetObject arn:aws:s3:::{bucket}/" in replayed.out
    assert f" by user {who.access_key}" in replayed.out
    draft.write_text("{")
    assert "no JSON" in sos(*here, "--policy", str(draft)).err
    assert sos(*here, "--policy", str(tmp_path / "absent")).code == 1
    draft.write_text('{"Version": "2012-10-17", "Statement": [{"Effect": "Perhaps"}]}')
    assert "invalid Effect Perhaps" in sos(*here, "--policy", str(draft)).err
    assert sos("policy").code == sos("policy", "nonsense").code == 1
    assert sos("policy", "--help").code == 0
