"""``mc admin config`` and ``mc idp`` against a real server: what they show, what is in force then and where, what stays."""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.kit.admin_wire import AdminWire
from tests.kit.clients import mc
from tests.kit.server import PASSWORD, USER, Client, Server, until

SECRET = "a-secret-of-the-provider"
Ask = Callable[..., Any]


class Discovery(ThreadingHTTPServer):
    """What a provider of identities says of itself, and no more."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Documents)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        Thread(target=self.serve_forever, daemon=True).start()


class _Documents(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        url = f"http://{self.headers['host']}"
        said = {"issuer": url, "jwks_uri": f"{url}/keys", "userinfo_endpoint": f"{url}/me"}
        body = json.dumps({"keys": []} if self.path == "/keys" else said).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        return


class Mc:
    """The real client at one server."""

    def __init__(self, server: Server, home: Path) -> None:
        self.server, self.tool = server, mc(server.url, home)

    def __call__(self, *arguments: str | Path, stdin: bytes = b"") -> str:
        """Run a command that must succeed; what it prints."""
        return self.tool(*arguments, stdin=stdin).out

    def json(self, *arguments: str | Path, stdin: bytes = b"") -> Any:
        return json.loads(self.tool(*arguments, "--json", stdin=stdin).out)

    def fail(self, *arguments: str | Path, stdin: bytes = b"") -> str:
        """Run a command that must fail; the code that the server gave."""
        ended = self.tool.run(*arguments, "--json", stdin=stdin)
        last = json.loads(ended.lines[-1])
        assert (last["status"], ended.code) == ("error", 1), last
        return str((last["error"]["cause"].get("error") or {}).get("Code", last["error"]["cause"]["message"]))

    def values(self, subsystem: str) -> dict[str, str]:
        """Key → value of one target, those of the environment first."""
        (shown,) = self.json("admin", "config", "get", "sos", subsystem)["config"]
        return {one["key"]: one.get("envOverride", one)["value"] for one in shown["kv"]}

    def set(self, *arguments: str) -> None:
        assert self.json("admin", "config", "set", "sos", *arguments) == {"status": "success"}

    def reset(self, *arguments: str) -> None:
        self("admin", "config", "reset", "sos", *arguments)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One of its own: what is configured here would be in the way of other tests."""
    with Server(tmp_path_factory.mktemp("config")) as running:
        yield running
        assert "Traceback" not in running.log()


@pytest.fixture(scope="module")
def tool(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Mc:
    return Mc(server, tmp_path_factory.mktemp("mc"))


@pytest.fixture
def config(tool: Mc) -> Iterator[Mc]:
    """The client; at the end everything is as it was at first."""
    yield tool
    AdminWire(tool.server).ask("PUT config", b"", sealed=True)
    tool("admin", "config", "history", "sos", "--clear")


@pytest.fixture(scope="module")
def provider() -> Iterator[Discovery]:
    with Discovery() as made:
        yield made
        made.shutdown()


@pytest.fixture
def workers(server: Server) -> Iterator[tuple[Client, Client]]:
    """A connection to each worker."""
    with server.client_of(0) as first, server.client_of(1) as second:
        yield first, second


# -- showing -----------------------------------------------------------------------------------------------


def test_what_there_is_is_shown(config: Mc) -> None:
    assert config("admin", "config", "get", "sos", "api") == "api requests_max=0 cors_allow_origin=* root_access=on \n"
    assert config.json("admin", "config", "get", "sos", "drive") == {
        "status": "success",
        "config": [{"subSystem": "drive", "kv": [{"key": "max_timeout", "value": "20s"}]}],
    }
    assert config.fail("admin", "config", "get", "sos", "nonsense") == "XMinioConfigError"
    assert config.fail("admin", "config", "get", "sos", "identity_openid:absent") == "XMinioConfigError"


def test_help_tells_of_every_subsystem_and_key(config: Mc) -> None:
    listed = config("admin", "config", "get", "sos")
    names = ["site", "api", "drive", "storage_class"]
    names += ["identity_openid", "identity_ldap", "identity_tls", "identity_plugin"]
    assert all(f"\n{name} " in f"\n{listed}" for name in names)
    keys = config("admin", "config", "set", "sos", "identity_openid")
    assert "config_url*" in keys and "(default: 'policy')" in keys
    assert "MINIO_IDENTITY_LDAP_SERVER_ADDR*" in config("admin", "config", "set", "sos", "identity_ldap", "--env")
    one = config.json("admin", "config", "set", "sos", "api", "root_access")
    assert [key["key"] for key in one["help"]["keysHelp"]] == ["root_access"], one
    assert config.fail("admin", "config", "set", "sos", "nonsense") == "XMinioConfigError"
    assert config.fail("admin", "config", "set", "sos", "api", "nonsense") == "XMinioConfigError"


# -- changing ----------------------------------------------------------------------------------------------


def test_a_change_is_in_force_in_every_worker_when_it_is_acknowledged(
    config: Mc, workers: tuple[Client, Client]
) -> None:
    admin = AdminWire(config.server)
    for number in range(20):
        origin = f"http://app-{number}.example"
        told = admin.ask("PUT set-config-kv", f"api cors_allow_origin={origin}".encode(), sealed=True)
        assert (told.status, told.reply.headers["x-minio-config-applied"]) == (200, "true")
        for worker in workers:
            asked = {"origin": origin, "access-control-request-method": "GET"}
            reply = worker.request("OPTIONS", "/any", headers=asked)
            assert reply.headers["access-control-allow-origin"] == origin
    assert config.values("api")["cors_allow_origin"] == origin
    config.reset("api", "cors_allow_origin")
    reply = workers[0].request("OPTIONS", "/any", headers={**asked, "origin": "http://else.example"})
    assert reply.headers["access-control-allow-origin"] in ("*", "http://else.example")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("nonsense", "a=b"), "XMinioConfigError"),
        (("api", "nonsense=b"), "XMinioConfigError"),
        (("site:x", "region=eu"), "XMinioConfigError"),
        (("identity_openid:kc", "client_id=me"), "XMinioConfigError"),
        (("identity_plugin", "url=http://127.0.0.1:9"), "XMinioConfigError"),
        (("api", "requests_max=many"), "XMinioAdminConfigBadJSON"),
        (("api", "root_access=perhaps"), "XMinioAdminConfigBadJSON"),
        (("drive", "max_timeout=soon"), "XMinioAdminConfigBadJSON"),
        (("site", "region=no/region"), "XMinioAdminConfigBadJSON"),
        (("storage_class", "standard=EC:3"), "XMinioAdminConfigBadJSON"),
        (("storage_class", "standard=EC:1", "rrs=EC:2"), "XMinioAdminConfigBadJSON"),
        (("identity_tls", "skip_verify=perhaps"), "XMinioAdminConfigBadJSON"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(config: Mc, arguments: tuple[str, ...], code: str) -> None:
    before = config("admin", "config", "export", "sos")
    assert config.fail("admin", "config", "set", "sos", *arguments) == code
    assert config("admin", "config", "export", "sos") == before
    assert config.json("admin", "config", "history", "sos")["entries"] == []


def test_resets(config: Mc) -> None:
    config.set("site", "region=eu-1", "name=here", "comment=two words")
    assert config.values("site") == {"name": "here", "region": "eu-1", "comment": "two words"}
    config.reset("site", "name", "comment")
    assert config.values("site") == {"name": "", "region": "eu-1"}
    config.reset("site")
    assert config.values("site") == {"name": "", "region": ""}
    assert config.fail("admin", "config", "reset", "sos", "site", "nonsense") == "XMinioConfigNotFoundError"
    assert config.fail("admin", "config", "reset", "sos", "identity_openid:absent") == "XMinioConfigNotFoundError"
    assert config.fail("admin", "config", "reset", "sos", "nonsense") == "XMinioConfigError"


def test_bodies_that_are_none(config: Mc) -> None:
    """Not encrypted, of another, too large, not text, empty: refused, and nothing is remembered."""
    admin = AdminWire(config.server)
    assert admin.ask("PUT set-config-kv", b"api requests_max=5").code == "XMinioAdminConfigBadJSON"
    assert admin.ask("PUT set-config-kv", b"\xff\xfe", sealed=True).code == "XMinioAdminConfigBadJSON"
    assert admin.ask("PUT set-config-kv", b"", sealed=True).code == "XMinioConfigError"
    assert admin.ask("DELETE del-config-kv", b"", sealed=True).code == "XMinioConfigError"
    assert admin.ask("GET list-config-history-kv", count="many").code == "XMinioAdminInvalidArgument"
    assert admin.ask("DELETE clear-config-history-kv", restoreId="").code == "InvalidRequest"
    assert admin.ask("PUT restore-config-history-kv", restoreId="x" * 99).code == "InvalidRequest"
    assert config.json("admin", "config", "history", "sos")["entries"] == []


# -- history, export and import -----------------------------------------------------------------------------


def test_changes_are_remembered_and_made_again(config: Mc) -> None:
    config.set("site", "region=eu-1")
    config.set("site", "region=eu-2")
    entries = config.json("admin", "config", "history", "sos")["entries"]
    assert [one["targets"] for one in entries] == ["site region=eu-1", "site region=eu-2"]
    assert all(one["createTime"].endswith(" GMT") for one in entries)
    assert len(config.json("admin", "config", "history", "sos", "--count", "1")["entries"]) == 1
    config("admin", "config", "restore", "sos", entries[0]["restoreId"])
    assert config.values("site")["region"] == "eu-1"
    assert config.fail("admin", "config", "restore", "sos", entries[0]["restoreId"]) == "XMinioConfigNotFoundError"
    config("admin", "config", "history", "sos", "--clear")
    assert config.json("admin", "config", "history", "sos")["entries"] == []


def test_an_export_can_be_imported(config: Mc, provider: Discovery) -> None:
    config.set("site", "region=eu-1", "comment=a text with blanks")
    config.set("identity_openid:kc", f"config_url={provider.url}", "client_id=me", f"client_secret={SECRET}")
    exported = config("admin", "config", "export", "sos")
    assert f"client_secret={SECRET}" in exported and "\n# identity_ldap " in exported
    config.reset("identity_openid:kc")
    config.set("site", "region=eu-2")
    config.set("api", "requests_max=50")
    assert config.json("admin", "config", "import", "sos", stdin=exported.encode())["status"] == "success"
    assert config("admin", "config", "export", "sos") == exported
    assert config.fail("admin", "config", "import", "sos", stdin=b"nonsense a=b\n") == "XMinioConfigError"
    assert config("admin", "config", "export", "sos") == exported


# -- what follows ------------------------------------------------------------------------------------------


def test_the_region_of_signatures_changes(config: Mc, workers: tuple[Client, Client]) -> None:
    config.set("site", "region=eu-north-7")
    assert [worker.request("GET", "/").code for worker in workers] == ["AuthorizationHeaderMalformed"] * 2
    assert config.json("admin", "info", "sos")["info"]["region"] == "eu-north-7"
    config.reset("site", "region")
    assert [worker.request("GET", "/").status for worker in workers] == [200, 200]


def test_new_objects_get_the_parity_that_is_set(config: Mc) -> None:
    """And those that were there stay readable with theirs."""
    s3 = config.server.boto3()
    s3.create_bucket(Bucket="parity")
    s3.put_object(Bucket="parity", Key="before", Body=b"b" * 300_000)
    before = _used(config.server)
    config.set("storage_class", "standard=EC:1", "rrs=EC:0")
    backend = config.json("admin", "info", "sos")["info"]["backend"]
    assert (backend["standardSCParity"], backend.get("rrSCParity", 0)) == (1, 0)
    for key in ("one", "two"):
        s3.put_object(Bucket="parity", Key=key, Body=b"c" * 6_000_000)
    grown = _used(config.server) - before
    assert 12_000_000 < grown < 12_000_000 * 2 * 0.9  # with half of the drives for parity it were double
    s3.put_object(Bucket="parity", Key="reduced", Body=b"r" * 200_000, StorageClass="REDUCED_REDUNDANCY")
    for key, size in (("before", 300_000), ("one", 6_000_000), ("reduced", 200_000)):
        assert len(s3.get_object(Bucket="parity", Key=key)["Body"].read()) == size
        s3.delete_object(Bucket="parity", Key=key)
    s3.delete_object(Bucket="parity", Key="two")
    s3.delete_bucket(Bucket="parity")


def _used(server: Server) -> int:
    """Bytes that the volumes take."""
    files = [path for drive in server.paths for path in Path(drive, ".sos", "volumes").iterdir()]
    return sum(path.stat().st_blocks * 512 for path in files)


def test_root_can_be_locked_out_of_every_worker_and_let_in_again(config: Mc, workers: tuple[Client, Client]) -> None:
    name, secret = "deputy", "a-secret-of-hers"
    config("admin", "user", "add", "sos", name, secret)
    config("admin", "policy", "attach", "sos", "consoleAdmin", "--user", name)
    deputy = AdminWire(config.server, name, secret)
    config.set("api", "root_access=off")
    for worker in workers:
        assert worker.request("GET", "/").status == 403
    assert config.fail("admin", "config", "get", "sos", "api") == "InvalidAccessKeyId"
    assert deputy.ask("PUT set-config-kv", b"api root_access=on", sealed=True).status == 200
    for worker in workers:
        assert worker.request("GET", "/").status == 200
    config("admin", "user", "rm", "sos", name)


def test_requests_beyond_the_bound_are_asked_to_come_later(config: Mc, workers: tuple[Client, Client]) -> None:
    s3 = config.server.boto3()
    s3.create_bucket(Bucket="bounded")
    config.set("api", "requests_max=1")
    with contextlib.closing(_half_a_put(config.server, "/bounded/slow")):

        def refused() -> bool:
            # the connection of the slow one is with one of the workers
            return any(worker.request("GET", "/").code == "TooManyRequests" for worker in workers)

        until(refused, "a request that is refused")
        for worker in workers:
            assert worker.request("GET", "/minio/health/live").status == 200
        AdminWire(config.server).ask("PUT set-config-kv", b"api requests_max=0", sealed=True)
        assert all(worker.request("GET", "/").status == 200 for worker in workers)
    s3.delete_bucket(Bucket="bounded")


def _half_a_put(server: Server, path: str) -> Any:
    """The connection of a PUT whose body does not come."""
    import hashlib
    import http.client
    from datetime import UTC, datetime

    from tests.kit.signed_requests import sign_v4

    digest, stamp = hashlib.sha256(b"never").hexdigest(), datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    headers = {"host": f"127.0.0.1:{server.port}", "x-amz-date": stamp, "x-amz-content-sha256": digest}
    signed = sign_v4("PUT", path, "", headers, digest, access=USER, secret=PASSWORD, stamp=stamp)
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.putrequest("PUT", path, skip_host=True)
    for name, value in {**headers, "authorization": signed, "content-length": "5"}.items():
        connection.putheader(name, value)
    connection.endheaders()
    return connection


# -- providers of identities ---------------------------------------------------------------------------------


def test_openid_providers_are_configured(config: Mc, provider: Discovery) -> None:
    keys = (f"config_url={provider.url}", "client_id=me", f"client_secret={SECRET}")
    config("idp", "openid", "add", "sos", "kc", *keys, "role_policy=readonly")
    config("idp", "openid", "add", "sos", *keys[::2], "client_id=another", "display_name=two words")
    listed = {one["name"]: one for one in config.json("idp", "openid", "ls", "sos")}
    assert listed["_"] == {"type": "openid", "name": "_", "enabled": True}
    assert (listed["kc"]["enabled"], listed["kc"]["roleARN"][:17]) == (True, "arn:minio:iam:::r")
    info = config.json("idp", "openid", "info", "sos", "kc")
    shown = {one["key"]: (one["value"], one["isCfg"], one["isEnv"]) for one in info["info"]}
    assert (info["type"], info["name"]) == ("openid", "kc")
    assert shown.pop("roleARN") == (listed["kc"]["roleARN"], False, False)
    assert shown == {
        "client_id": ("me", True, False),
        "config_url": (provider.url, True, False),
        "enable": ("on", True, False),
        "role_policy": ("readonly", True, False),
    }
    config("idp", "openid", "update", "sos", "kc", "role_policy=readwrite", "comment=changed")
    config("idp", "openid", "disable", "sos", "kc")
    assert {one["name"]: one["enabled"] for one in config.json("idp", "openid", "ls", "sos")} == {
        "_": True,
        "kc": False,
    }
    config("idp", "openid", "enable", "sos", "kc")
    assert config.values("identity_openid:kc")["role_policy"] == "readwrite"
    for name in ("kc", "_"):
        config("idp", "openid", "rm", "sos", name)
    assert config.json("idp", "openid", "ls", "sos") == [{"type": "openid", "name": "_", "enabled": False}]


def test_openid_providers_that_are_refused(config: Mc, provider: Discovery) -> None:
    keys = (f"config_url={provider.url}", "client_id=me", f"client_secret={SECRET}")
    assert config.fail("idp", "openid", "update", "sos", "kc", *keys) == "XMinioAdminConfigIDPCfgNameDoesNotExist"
    assert config.fail("idp", "openid", "update", "sos", *keys) == "XMinioAdminConfigIDPCfgNameDoesNotExist"
    assert config.fail("idp", "openid", "info", "sos", "kc") == "XMinioAdminNoSuchConfigTarget"
    assert config.fail("idp", "openid", "rm", "sos", "kc") == "XMinioAdminNoSuchConfigTarget"
    nobody = ("config_url=http://127.0.0.1:9/none", *keys[1:])
    assert config.fail("idp", "openid", "add", "sos", "kc", *nobody) == "XMinioAdminConfigBadJSON"
    assert config.fail("idp", "openid", "add", "sos", "kc", *keys[1:]) == "XMinioConfigError"
    config("idp", "openid", "add", "sos", "kc", *keys)
    assert config.fail("idp", "openid", "add", "sos", "kc", *keys) == "XMinioAdminConfigIDPCfgNameAlreadyExists"
    assert config.fail("idp", "openid", "add", "sos", "twin", *keys) == "XMinioAdminConfigBadJSON"
    admin = AdminWire(config.server)
    assert admin.ask("GET idp-config/saml").code == "XMinioAdminConfigInvalidIDPType"
    assert admin.ask("PUT idp-config/openid/x", b"a=b", sealed=True).code == "InvalidRequest"


def test_ldap_is_configured(config: Mc) -> None:
    """While it is switched off nobody asks the directory."""
    keys = ("server_addr=127.0.0.1:9", "lookup_bind_dn=cn=lookup,dc=example", f"lookup_bind_password={SECRET}")
    assert config.fail("idp", "ldap", "update", "sos", *keys) == "XMinioAdminConfigIDPCfgNameDoesNotExist"
    config("idp", "ldap", "add", "sos", *keys, "enable=off", "user_dn_search_filter=(&(uid=%s)(a=b c))")
    assert config.json("idp", "ldap", "ls", "sos") == [{"type": "ldap", "name": "_", "enabled": False}]
    shown = {one["key"]: one["value"] for one in config.json("idp", "ldap", "info", "sos")["info"]}
    assert shown == {
        "enable": "off",
        "server_addr": "127.0.0.1:9",
        "lookup_bind_dn": "cn=lookup,dc=example",
        "user_dn_search_filter": "(&(uid=%s)(a=b c))",
    }
    assert config.fail("idp", "ldap", "add", "sos", *keys) == "XMinioAdminConfigIDPCfgNameAlreadyExists"
    config("idp", "ldap", "rm", "sos")
    assert (
        config.json("idp", "ldap", "info", "sos")["info"] is None or not config.values("identity_ldap")["server_addr"]
    )


# -- what stays ----------------------------------------------------------------------------------------------


def test_what_was_acknowledged_outlives_kills_and_restarts(
    servers: list[Server], tmp_path: Path, provider: Discovery
) -> None:
    """All processes are killed when the reply is read, and secrets lie sealed on the drives."""
    server = Server(tmp_path / "kept")
    (tmp_path / "kept").mkdir()
    servers.append(server.start())
    text = f"identity_openid:kc config_url={provider.url} client_id=me client_secret={SECRET}"
    assert AdminWire(server).ask("PUT set-config-kv", text.encode(), sealed=True).status == 200
    server.kill_all()
    server.start()
    tool = Mc(server, tmp_path / "mc")
    assert tool.values("identity_openid:kc")["client_id"] == "me"
    assert f"client_secret={SECRET}" in tool("admin", "config", "export", "sos")
    assert SECRET not in tool("admin", "config", "get", "sos", "identity_openid")
    AdminWire(server).ask("PUT set-config-kv", b"api root_access=off cors_allow_origin=http://a.example", sealed=True)
    server.wait_worker(1, server.kill_worker(1))
    with server.client_of(1) as worker:
        assert worker.request("GET", "/").status == 403
    assert server.stop() == 0
    server.start()
    for slot in (0, 1):
        with server.client_of(slot) as worker:
            assert worker.request("GET", "/").status == 403
    server.env["MINIO_API_ROOT_ACCESS"] = "on"  # the way back in for who has locked himself out
    server.stop()
    assert server.start().boto3().list_buckets()["Buckets"] == []
    server.stop()
    _assert_sealed(server)
    assert SECRET not in server.log()


def _assert_sealed(server: Server) -> None:
    for drive in server.paths:
        for path in Path(drive).rglob("*"):
            if path.is_file():
                held = path.read_bytes() if path.stat().st_blocks else b""
                assert (SECRET.encode() in held) is False, path


# -- the environment ------------------------------------------------------------------------------------------


def test_the_environment_is_shown_and_beats_what_is_stored(
    servers: list[Server], tmp_path: Path, provider: Discovery
) -> None:
    """From the process and from a file; a target of its own; a reload takes the file over anew."""
    (tmp_path / "env").mkdir()
    path = tmp_path / "env" / "variables"
    path.write_text("MINIO_SITE_NAME=of-the-file\n")
    env = {
        "MINIO_CONFIG_ENV_FILE": str(path),
        "SOS_API_CORS_ALLOW_ORIGIN": "http://env.example",
        "MINIO_IDENTITY_OPENID_CONFIG_URL_KC": provider.url,
        "MINIO_IDENTITY_OPENID_CLIENT_ID_KC": "me",
        "MINIO_IDENTITY_OPENID_CLIENT_SECRET_KC": SECRET,
        "MINIO_IDENTITY_OPENID_ROLE_POLICY_KC": "readonly",
    }
    server = Server(tmp_path / "env", env=env)
    servers.append(server.start())
    tool = Mc(server, tmp_path / "mc")
    shown = tool("admin", "config", "get", "sos", "api")
    assert shown.startswith("# MINIO_API_CORS_ALLOW_ORIGIN=http://env.example\napi requests_max=0 ")
    (override,) = [
        one["envOverride"]
        for one in tool.json("admin", "config", "get", "sos", "api")["config"][0]["kv"]
        if "envOverride" in one
    ]
    assert override == {"name": "MINIO_API_CORS_ALLOW_ORIGIN", "value": "http://env.example"}
    tool.set("api", "cors_allow_origin=http://stored.example")
    with server.client() as client:
        asked = {"origin": "http://stored.example", "access-control-request-method": "GET"}
        assert "access-control-allow-origin" not in client.request("OPTIONS", "/any", headers=asked).headers
    assert "# MINIO_IDENTITY_OPENID_CLIENT_ID_KC=me\n" in tool("admin", "config", "get", "sos", "identity_openid:KC")
    assert SECRET not in tool("admin", "config", "get", "sos", "identity_openid")
    listed = {one["name"]: one["enabled"] for one in tool.json("idp", "openid", "ls", "sos")}
    assert listed == {"_": False, "KC": True}
    assert {one["key"]: one["isEnv"] for one in tool.json("idp", "openid", "info", "sos", "KC")["info"]}["client_id"]
    assert tool.fail("idp", "openid", "rm", "sos", "KC") == "XMinioAdminConfigEnvOverridden"
    assert tool.values("site")["name"] == "of-the-file"
    path.write_text("MINIO_SITE_NAME=of-the-reload\n")
    server.process.send_signal(signal.SIGHUP)  # type: ignore[union-attr]
    until(lambda: tool.values("site")["name"] == "of-the-reload", "the reload")
    assert "does not use" not in server.log()
