"""The connection to a real directory (slapd), configured with the real mc: whose certificate is trusted, and what a
directory that hangs holds up.
"""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.kit.certificates import Authority
from tests.kit.clients import Tool, mc
from tests.kit.ldap_login import User, assume
from tests.kit.mc_words import Ask, Words, values
from tests.kit.relay import Relay
from tests.kit.server import Server, until
from tests.kit.slapd import Slapd

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def certs(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Path:
    """A directory of certificates that trusts the directory's authority, and has no pair: the server is without TLS."""
    path = tmp_path_factory.mktemp("certs")
    (path / "CAs").mkdir()
    (path / "CAs" / "directory.crt").write_bytes(authority.certificate.read_bytes())
    return path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, certs: Path) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("server"), arguments=("--certs-dir", str(certs))) as running:
        yield running


@pytest.fixture(scope="module")
def tool(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Tool:
    return mc(server.url, tmp_path_factory.mktemp("mc"))


@pytest.fixture(scope="module")
def ask(tool: Tool) -> Ask:
    return Words(tool).ask


@pytest.fixture(scope="module")
def fail(tool: Tool) -> Ask:
    return Words(tool).fail


@pytest.fixture
def uid(slapd: Slapd) -> str:
    name = f"user{next(_numbers)}"
    slapd.user(name, "right")
    return name


# -- TLS -----------------------------------------------------------------------------------------------------


def over_tls(slapd: Slapd, start: bool, host: str = "localhost") -> dict[str, str]:
    port = slapd.port if start else slapd.tls_port
    return {"server_addr": f"{host}:{port}", "server_insecure": "off", "server_starttls": "on" if start else "off"}


@pytest.mark.parametrize("start", [False, True], ids=["LDAPS", "StartTLS"])
def test_a_certificate_that_is_trusted_and_for_the_host(
    slapd: Slapd, server: Server, ask: Ask, fail: Ask, tool: Tool, uid: str, start: bool
) -> None:
    code, text = fail("idp", "ldap", "add", "sos", *values(**slapd.values(**over_tls(slapd, start, "127.0.0.1"))))
    assert code == "XMinioAdminConfigLDAPValidation"
    assert "certificate is not valid for '127.0.0.1'" in text
    ask("idp", "ldap", "add", "sos", *values(**slapd.values(**over_tls(slapd, start))))
    try:
        ask("idp", "ldap", "policy", "attach", "sos", "readonly", "--user", uid)
        User(server, uid, "right")
    finally:
        tool("idp", "ldap", "rm", "sos")


@pytest.mark.parametrize("start", [False, True], ids=["LDAPS", "StartTLS"])
def test_a_certificate_of_nobody_is_refused_unless_the_operator_says_so(
    tmp_path: Path, server: Server, ask: Ask, fail: Ask, tool: Tool, start: bool
) -> None:
    with Slapd(tmp_path / "slapd", Authority(tmp_path / "authority")) as strange:
        uid = f"eve{next(_numbers)}"
        strange.user(uid, "right")
        wanted = strange.values(**over_tls(strange, start))
        code, text = fail("idp", "ldap", "add", "sos", *values(**wanted))
        assert code == "XMinioAdminConfigLDAPValidation"
        assert "CERTIFICATE_VERIFY_FAILED" in text
        ask("idp", "ldap", "add", "sos", *values(**wanted, tls_skip_verify="on"))
        try:
            ask("idp", "ldap", "policy", "attach", "sos", "readonly", "--user", uid)
            User(server, uid, "right")
        finally:
            tool("idp", "ldap", "rm", "sos")


def test_an_authority_is_trusted_after_a_reload(
    tmp_path: Path, certs: Path, server: Server, tool: Tool, fail: Ask
) -> None:
    authority = Authority(tmp_path / "authority")
    with Slapd(tmp_path / "slapd", authority) as strange:
        add = ("idp", "ldap", "add", "sos", *values(**strange.values(**over_tls(strange, False))))
        assert "CERTIFICATE_VERIFY_FAILED" in fail(*add)[1]
        (certs / "CAs" / "another.crt").write_bytes(authority.certificate.read_bytes())
        os.kill(server.pid, signal.SIGHUP)
        until(lambda: tool.run(*add).code == 0, "the new authority")
        tool("idp", "ldap", "rm", "sos")


# -- a directory that does not answer --------------------------------------------------------------------------


def test_a_directory_that_hangs_delays_nobody_else(server: Server, slapd: Slapd, ask: Ask, tool: Tool) -> None:
    """It takes connections and says nothing: who logs in waits, everybody else is served meanwhile."""
    s3 = server.boto3()
    s3.create_bucket(Bucket="meanwhile")

    def login(number: int) -> int:
        with server.client() as client:
            return assume(client, f"user{number % 3}", "right").status

    with Relay(slapd.port) as relay, ThreadPoolExecutor(20) as pool:
        ask("idp", "ldap", "add", "sos", *values(**slapd.values(server_addr=f"127.0.0.1:{relay.port}")))
        relay.hang()
        waiting = [pool.submit(login, number) for number in range(20)]
        until(lambda: relay.waiting >= 4, "logins that wait")
        for number in range(20):
            s3.put_object(Bucket="meanwhile", Key=f"key{number}", Body=b"text")
        assert len(s3.list_objects_v2(Bucket="meanwhile")["Contents"]) == 20
        assert not all(one.done() for one in waiting)
        relay.close()  # ends what waits
        # those above the bound for one address were refused at once
        assert {one.result() for one in waiting} == {500, 503}
    tool("idp", "ldap", "rm", "sos")
