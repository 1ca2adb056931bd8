"""Sessions for who shows a client certificate, and for who has a token that only a web hook understands; by minio-go."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import ssl
import time
from collections.abc import Iterator
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.kit.authority import Authority
from tests.kit.clients import Tool, find
from tests.kit.oidc import OidcProvider
from tests.kit.server import PASSWORD, USER, Server, until

ROLE = "arn:minio:iam:::role/idmp-tests"
BUCKET = "proofs"
KNOWN_BY = "the hook knows this server by this"


class Hook(BaseHTTPRequestHandler):
    """An identity plugin."""

    asked: list[tuple[str, str]] = []
    answers: dict[str, tuple[int, Any]] = {
        "good": (200, {"user": "alice", "maxValiditySeconds": 3600, "claims": {"groups": ["staff"], "name": "Alice"}}),
        "short": (200, {"user": "alice", "maxValiditySeconds": 900, "claims": {}}),
        "bad": (403, {"reason": "not a token of ours"}),
        "nobody": (200, {"user": "", "maxValiditySeconds": 3600}),
        "for-ever": (200, {"user": "alice", "maxValiditySeconds": 10**9}),
        "odd": (200, ["alice"]),
        "claims-more": (200, {"user": "alice", "maxValiditySeconds": 900, "claims": {"parent": "root", "exp": 10**10}}),
        "fails": (500, {}),
        "elsewhere": (302, {}),
        "endless": (200, "x" * 2_000_000),
    }

    def do_POST(self) -> None:
        token = parse_qs(urlsplit(self.path).query).get("token", [""])[0]
        Hook.asked.append((token, self.headers.get("Authorization", "")))
        status, said = self.answers.get(token, (403, {"reason": "unknown"}))
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Location", "http://127.0.0.1:9/")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def hook() -> Iterator[str]:
    serving = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    serving.daemon_threads = True
    Thread(target=serving.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{serving.server_port}/auth"
    serving.shutdown()
    serving.server_close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def provider() -> Iterator[OidcProvider]:
    made = OidcProvider({"sos-claims": {"policy": "readwrite"}}, {"sos-claims": "RS256"})
    yield made
    made.close()


@pytest.fixture(scope="module")
def certs(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The server's directory of certificates."""
    certs = tmp_path_factory.mktemp("certs")
    pair = authority.make("localhost", server=True)
    shutil.copy(pair[0], certs / "public.crt")
    shutil.copy(pair[1], certs / "private.key")
    (certs / "CAs").mkdir()
    shutil.copy(authority.certificate, certs / "CAs" / "tests.crt")
    return certs


@pytest.fixture(scope="module")
def server(
    hook: str, provider: OidcProvider, certs: Path, authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """One with TLS that asks clients for certificates."""
    env = {
        "MINIO_IDENTITY_TLS_ENABLE": "on",
        "MINIO_IDENTITY_TLS_SKIP_VERIFY": "on",  # which does nothing
        "MINIO_IDENTITY_PLUGIN_URL": hook,
        "MINIO_IDENTITY_PLUGIN_AUTH_TOKEN": KNOWN_BY,
        "MINIO_IDENTITY_PLUGIN_ROLE_POLICY": "readwrite",
        "MINIO_IDENTITY_PLUGIN_ROLE_ID": "tests",
        "MINIO_IDENTITY_OPENID_CONFIG_URL": provider.config_url,
        "MINIO_IDENTITY_OPENID_CLIENT_ID": "sos-claims",
        "MINIO_IDENTITY_OPENID_CLIENT_SECRET": "any",
    }
    made = Server(tmp_path_factory.mktemp("proofs"), drives=2, env=env, arguments=["--certs-dir", str(certs)])
    with made as running:
        before = running.worker_pids()
        make_bucket(running, authority)
        yield running
        assert running.worker_pids() == before
        assert "Traceback" not in running.log()


def make_bucket(server: Server, authority: Authority) -> None:
    """As root."""
    import boto3
    from botocore.config import Config

    s3 = boto3.client(
        "s3", endpoint_url=f"https://127.0.0.1:{server.port}", region_name="us-east-1", verify=str(authority.certificate),
        aws_access_key_id=USER, aws_secret_access_key=PASSWORD, config=Config(s3={"addressing_style": "path"}),
    )  # fmt: skip
    s3.create_bucket(Bucket=BUCKET)


@pytest.fixture
def minio_go(server: Server, authority: Authority) -> Any:
    """Run the program with a kind of proof."""
    program = Tool((find("sos-test-minio-go-sts"),), {})

    def run(kind: str, *more: str | Path) -> Any:
        return program.run(kind, f"https://127.0.0.1:{server.port}", authority.certificate, BUCKET, *more)

    return run


def test_minio_go_gets_sessions_by_every_proof(minio_go: Any, authority: Authority, provider: OidcProvider) -> None:
    token = provider.forge("sos-claims")
    for kind, more in {
        "assume": (USER, PASSWORD),
        "web": (token, "arn:minio:iam:::role/dummy-internal"),
        "grants": (provider.client_token("sos-claims"),),
        "certificate": authority.make("readwrite"),
        "custom": ("good", ROLE),
    }.items():
        ended = minio_go(kind, *more)
        assert (ended.out, ended.err) == ("good\n", ""), kind


def test_the_name_of_a_certificate_is_that_of_its_policy(minio_go: Any, authority: Authority) -> None:
    assert "put: Access Denied" in minio_go("certificate", *authority.make("readonly")).err
    assert "put: Access Denied" in minio_go("certificate", *authority.make("no-such-policy")).err


def call(
    server: Server, authority: Authority, form: dict[str, str], pair: tuple[Path, Path] | None = None
) -> tuple[int, str, dict[str, str]]:
    """A call of the STS API with a client certificate: status, code, elements."""
    context = ssl.create_default_context(cafile=str(authority.certificate))
    if pair is not None:
        context.load_cert_chain(*pair)
    connection = http.client.HTTPSConnection("127.0.0.1", server.port, context=context, timeout=30)
    connection.request("POST", f"/?{urlencode({'Version': '2011-06-15', **form})}")
    reply = connection.getresponse()
    found = dict(re.findall(r"<(\w+)>([^<]*)</\1>", reply.read().decode()))
    return reply.status, found.get("Code", ""), found


CERTIFICATE = {"Action": "AssumeRoleWithCertificate"}


def left_s(found: dict[str, str]) -> float:
    return datetime.fromisoformat(found["Expiration"]).timestamp() - time.time()


def test_a_session_ends_with_its_certificate_at_the_latest(server: Server, authority: Authority) -> None:
    short = authority.make("readwrite", minutes=20, stem="short")
    status, _, found = call(server, authority, {**CERTIFICATE, "DurationSeconds": "7200"}, short)
    assert status == 200 and 1100 < left_s(found) <= 1200
    status, _, found = call(server, authority, {**CERTIFICATE, "DurationSeconds": "900"}, short)
    assert status == 200 and left_s(found) <= 900
    assert call(server, authority, {**CERTIFICATE, "DurationSeconds": "899"}, short)[:2] == (400, "MissingParameter")


def test_certificates_that_prove_nothing(
    server: Server, authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """None, one without a name, one of an authority: told by their codes. Those that do not hold end the handshake."""
    assert call(server, authority, CERTIFICATE)[:2] == (400, "MissingParameter")
    assert call(server, authority, CERTIFICATE, authority.make("", stem="nameless"))[:2] == (400, "MissingParameter")
    issuer = authority.make("readwrite", authority=True, stem="issuer")
    assert call(server, authority, CERTIFICATE, issuer)[:2] == (400, "MissingParameter")
    stranger = Authority(tmp_path_factory.mktemp("stranger"), "stranger")
    for what, pair in {
        "another authority": stranger.make("readwrite"),
        "the same name, another authority": Authority(tmp_path_factory.mktemp("same")).make("readwrite"),
        "ended": authority.make("readwrite", minutes=-5, stem="ended"),
        "for servers": authority.make("readwrite", server=True, stem="for-servers"),
    }.items():
        with pytest.raises((ssl.SSLError, OSError)):
            call(server, authority, CERTIFICATE, pair)
            pytest.fail(what)


def test_a_certificate_can_be_left_out(server: Server, authority: Authority) -> None:
    """Every other request is served without one."""
    assert call(server, authority, {"Action": "AssumeNothing"})[:2] == (400, "InvalidParameterValue")


def test_authorities_are_taken_over_anew(
    server: Server, authority: Authority, certs: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """By SIGHUP: one that is taken away is trusted no more, a further one is; a file that is none harms nobody."""
    further = Authority(tmp_path_factory.mktemp("further"), "further")
    old, new = authority.make("readwrite", stem="old"), further.make("readwrite")

    def taken(pair: tuple[Path, Path]) -> bool:
        try:
            return call(server, authority, CERTIFICATE, pair)[0] == 200
        except OSError:
            return False

    shutil.copy(further.certificate, certs / "CAs" / "further.crt")
    (certs / "CAs" / "tests.crt").rename(certs / "tests.crt")
    (certs / "CAs" / "nonsense.crt").write_text("nonsense")
    os.kill(server.pid, signal.SIGHUP)
    try:
        until(lambda: all(taken(new) and not taken(old) for _ in range(6)), "new authorities in every worker")
    finally:
        (certs / "tests.crt").rename(certs / "CAs" / "tests.crt")
        os.kill(server.pid, signal.SIGHUP)
    until(lambda: all(taken(old) for _ in range(6)), "the old authority again")


def custom(
    server: Server, authority: Authority, token: str, arn: str = ROLE, **more: str
) -> tuple[int, str, dict[str, str]]:
    return call(server, authority, {"Action": "AssumeRoleWithCustomToken", "Token": token, "RoleArn": arn, **more})


def test_the_hook_says_who_it_is_and_for_how_long(server: Server, authority: Authority) -> None:
    Hook.asked.clear()
    status, _, found = custom(server, authority, "good")
    assert status == 200 and found["AssumedUser"] == "custom:alice" and 3500 < left_s(found) <= 3600
    assert Hook.asked == [("good", KNOWN_BY)]
    assert left_s(custom(server, authority, "good", DurationSeconds="1800")[2]) <= 1800
    assert left_s(custom(server, authority, "short", DurationSeconds="1800")[2]) <= 900
    assert left_s(custom(server, authority, "claims-more")[2]) <= 900, "claims change nothing of the session"


@pytest.mark.parametrize(
    ("token", "arn", "expected"),
    [
        ("bad", ROLE, (500, "InternalError")),
        ("nobody", ROLE, (500, "InternalError")),
        ("for-ever", ROLE, (400, "InvalidParameterValue")),
        ("odd", ROLE, (400, "InvalidParameterValue")),
        ("fails", ROLE, (400, "InvalidParameterValue")),
        ("elsewhere", ROLE, (400, "InvalidParameterValue")),
        ("endless", ROLE, (400, "InvalidParameterValue")),
        ("", ROLE, (400, "InvalidParameterValue")),
        ("good", "arn:minio:iam:::role/idmp-other", (400, "InvalidParameterValue")),
        ("good", "nonsense", (400, "InvalidParameterValue")),
    ],
)
def test_what_the_hook_does_not_vouch_for_is_refused(
    server: Server, authority: Authority, token: str, arn: str, expected: tuple[int, str]
) -> None:
    """A08: an answer that leads elsewhere is not followed."""
    assert custom(server, authority, token, arn)[:2] == expected


def test_secrets_of_the_hook_are_not_logged(server: Server) -> None:
    assert KNOWN_BY not in server.log()
