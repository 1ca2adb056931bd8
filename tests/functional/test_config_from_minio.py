"""Coming from MinIO: its region subsystem, and the import of what ``mc admin config export`` wrote there.

``tests/kit/minio_export.txt`` is what a MinIO of 2026-02-12 wrote after ``mc admin config set`` of site, api, compression,
scanner, heal, storage_class, notify_webhook:one and two providers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.functional.test_config import Discovery, Mc
from tests.kit.admin_wire import AdminWire
from tests.kit.server import Server

EXPORT = Path(__file__).parent.parent / "kit" / "minio_export.txt"
BEYOND = ("scanner", "compression", "heal", "notify_webhook:one")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("from-minio")) as running:
        yield running
        assert "Traceback" not in running.log()


@pytest.fixture(scope="module")
def tool(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Mc:
    return Mc(server, tmp_path_factory.mktemp("mc"))


@pytest.fixture
def config(tool: Mc) -> Iterator[Mc]:
    yield tool
    AdminWire(tool.server).ask("PUT config", b"", sealed=True)
    tool("admin", "config", "history", "sos", "--clear")


@pytest.fixture(scope="module")
def provider() -> Iterator[Discovery]:
    with Discovery() as made:
        yield made
        made.shutdown()


@pytest.fixture
def export(provider: Discovery) -> str:
    return EXPORT.read_text().replace("http://PROVIDER", provider.url)


def exported(config: Mc) -> str:
    return config("admin", "config", "export", "sos")


def put(config: Mc, text: str) -> None:
    config("admin", "config", "import", "sos", stdin=text.encode())


def refusal(config: Mc, text: str) -> str:
    """What mc says of an import that fails."""
    ended = config.tool.run("admin", "config", "import", "sos", stdin=text.encode())
    assert ended.code == 1
    return ended.err + ended.out


def without(export: str, *names: str) -> str:
    """An export with some lines as comments."""
    return re.sub(rf"(?m)^(?=({'|'.join(names)}) )", "# ", export)


def region_in_force(config: Mc) -> str:
    return str(config.json("admin", "info", "sos")["info"].get("region", ""))


def test_the_region_subsystem_names_the_region_unless_the_site_does(config: Mc) -> None:
    assert config("admin", "config", "get", "sos", "region") == "region name= \n"
    config.set("region", "name=eu-west-1")
    assert config("admin", "config", "get", "sos", "region") == "region name=eu-west-1 \n"
    assert config.values("site")["region"] == ""
    assert region_in_force(config) == "eu-west-1"
    bucket = config.server.boto3(region_name="eu-west-1")
    bucket.list_buckets()
    config.set("site", "region=eu-north-1")
    assert region_in_force(config) == "eu-north-1"
    config.reset("site")
    assert region_in_force(config) == "eu-west-1"
    assert "region name=eu-west-1" in exported(config)
    config.reset("region")
    assert region_in_force(config) == "" and "region name" not in exported(config)
    assert config.fail("admin", "config", "set", "sos", "region", "name=no/region") == "XMinioAdminConfigBadJSON"
    assert config.fail("admin", "config", "set", "sos", "region", "place=eu") == "XMinioConfigError"
    listed = [line.split()[0] for line in config("admin", "config", "get", "sos").splitlines() if line.strip()]
    assert "site" in listed and "region" not in listed


def test_what_was_set_and_does_not_exist_here_is_named_and_nothing_changes(config: Mc, export: str) -> None:
    config.set("site", "name=before")
    before = exported(config)
    told = refusal(config, export)
    assert "scanner (speed)" in told and "heal (max_sleep, max_io)" in told
    assert "compression (enable, extensions)" in told and "notify_webhook:one (enable, endpoint, queue_limit)" in told
    assert "Nothing was changed" in told and "/hook" not in told, "values may be secret"
    assert "api" not in told and "storage_class" not in told and "subnet" not in told
    assert exported(config) == before


def test_all_that_exists_here_is_taken(config: Mc, export: str) -> None:
    put(config, without(export, *BEYOND))
    assert config.values("site") == {"name": "cal-rack0", "region": "eu-west-1"}
    api = config.values("api")
    assert (api["requests_max"], api["cors_allow_origin"]) == ("1000", "https://a.example,https://b.example")
    assert config.values("storage_class")["standard"] == "EC:2"
    shown = exported(config)
    assert "\nidentity_openid " in shown and "\nidentity_openid:kc " in shown and "role_policy=readonly" in shown
    assert region_in_force(config) == "eu-west-1"
    put(config, shown)  # and what it gave can be imported
    assert exported(config) == shown
    entries = config.json("admin", "config", "history", "sos")["entries"]
    config("admin", "config", "restore", "sos", entries[0]["restoreId"])
    assert exported(config) == shown


def test_defaults_of_what_does_not_exist_here_stop_nothing(config: Mc, export: str) -> None:
    """Also where they are no comments, and in old releases' words."""
    plain = re.sub(r"(?m)^# (?!identity_)", "", without(export, *BEYOND))
    plain = re.sub(rf"(?m)^({'|'.join(BEYOND)}) .*\n", "", plain)
    assert "\nnotify_kafka enable=off " in plain and "\nsubnet " in f"\n{plain}"
    put(config, plain + "api ready_deadline=10s replication_workers=9\nstorage_class dma=write\nregion name= \n")
    assert config.values("api")["requests_max"] == "1000"
    for line in ("browser csp_policy=\"default-src 'none';\"", "scanner speed=fast", "api odirect=off", "nonsense a=b"):
        before = exported(config)
        told = refusal(config, f"{plain}{line}\n")
        assert line.partition("=")[0].rpartition(" ")[2] in told or "nonsense (unknown)" in told, told
        assert exported(config) == before
