"""Settings: precedence, sources, credentials, addresses, the sample file, the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import tomli

from sos.cli import flags
from sos.cli.main import main
from sos.config.address import Address, api_address, is_loopback, parse_address
from sos.config.envfile import parse_env
from sos.config.load import Given, load
from sos.config.render import sample, show_json, show_text
from sos.config.settings import OPTIONS, Settings
from sos.config.values import ConfigError, parse_seconds, parse_size, parse_switch

ROOT = Path(__file__).parents[2]
CREDENTIALS = {"MINIO_ROOT_USER": "abc", "MINIO_ROOT_PASSWORD": "12345678"}


def toml(tmp_path: Path, text: str) -> Given:
    path = tmp_path / "sos.toml"
    path.write_text(text)
    return Given(file=str(path))


def command(*argv: str, environ: dict[str, str] | None = None) -> Given:
    return flags.read(flags.parser("sos server", ""), argv, environ or {})


def test_flag_beats_environment_beats_file_beats_default(tmp_path: Path) -> None:
    file = toml(tmp_path, '[server]\naddress = ":1"\nworkers = 7\nregion = "a"').file
    env = {"MINIO_ADDRESS": ":2", "SOS_WORKERS": "5"}
    loaded = load(Given({"address": (":3", "flag --address")}, (), file), env)
    made = loaded.settings
    assert (made.address, made.workers, made.region, made.console_address) == (":3", 5, "a", ":9001")
    sources = [loaded.sources[name] for name in ("address", "workers", "region", "console_address")]
    assert sources == ["flag --address", "environment SOS_WORKERS", f"file {file}: server.region", "default"]


def test_sos_name_wins_over_minio_name_with_a_warning() -> None:
    loaded = load(Given(), {"MINIO_ADDRESS": ":2", "SOS_ADDRESS": ":3"})
    assert loaded.settings.address == ":3"
    assert "SOS_ADDRESS is used" in loaded.warnings[0]
    assert load(Given(), {"MINIO_ADDRESS": ":2", "SOS_ADDRESS": ":2"}).warnings == ()


def test_old_names_are_read_after_the_new_ones() -> None:
    assert load(Given(), {"MINIO_REGION": "old"}).settings.region == "old"
    assert load(Given(), {"MINIO_REGION": "old", "MINIO_SITE_REGION": "new"}).settings.region == "new"
    old = load(Given(), {"MINIO_ACCESS_KEY": "abc", "MINIO_SECRET_KEY": "12345678"})
    assert (old.settings.root_user, old.settings.root_password) == ("abc", "12345678")


def test_credentials_come_from_files_too(tmp_path: Path) -> None:
    (tmp_path / "user").write_text("filed\n")
    (tmp_path / "word").write_text("filed-password\n")
    names = {"MINIO_ROOT_USER_FILE": str(tmp_path / "user"), "MINIO_ROOT_PASSWORD_FILE": str(tmp_path / "word")}
    made = load(Given(), names).settings
    assert (made.root_user, made.root_password) == ("filed", "filed-password")
    with pytest.raises(ConfigError, match="cannot read"):
        load(Given(), {"MINIO_ROOT_USER_FILE": str(tmp_path / "none")})


def test_credentials_come_from_systemd(tmp_path: Path) -> None:
    (tmp_path / "root_user").write_text("sealed")
    (tmp_path / "root_password").write_text("sealed-password")
    loaded = load(Given(), {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert loaded.settings.root_password == "sealed-password"
    assert loaded.sources["root_password"] == "credential root_password"


def test_environment_file_wins_over_the_environment(tmp_path: Path) -> None:
    path = tmp_path / "minio"
    path.write_text('# a comment\nexport MINIO_ADDRESS=":7"\nMINIO_VOLUMES="/data{1...4} /more{1...4}"\n')
    loaded = load(Given(), {"MINIO_CONFIG_ENV_FILE": str(path), "MINIO_ADDRESS": ":2"})
    assert loaded.settings.address == ":7"
    assert loaded.settings.volumes == ("/data{1...4}", "/more{1...4}")
    assert str(path) in loaded.sources["address"]


def test_environment_file_with_a_wrong_line_names_it() -> None:
    with pytest.raises(ConfigError, match="line 2"):
        parse_env("A=1\nnonsense\n", "f")


@pytest.mark.parametrize(
    ("user", "password", "text"),
    [
        ("ab", "12345678", "3 characters"),
        ("abc", "1234567", "8 characters"),
        ("a=c", "12345678", "must not contain"),
        ("abc", "", "set both"),
        ("", "12345678", "set both"),
    ],
)
def test_credentials_rules(user: str, password: str, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        load(Given(), {"MINIO_ROOT_USER": user, "MINIO_ROOT_PASSWORD": password})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[server]\nadress = ":1"', "did you mean address"),
        ('[sever]\naddress = ":1"', "did you mean server"),
        ('[log]\naddress = ":1"', r"belongs to \[server\]"),
        ('address = ":1"', r"belongs to \[server\]"),
        ("[server]\nworkers = true", "expected a number"),
        ("[server]\nworkers = -1", "whole number"),
        ('[log]\nlog_level = "loud"', "one of debug"),
        ("[log]\nquiet = 1", "expected a switch"),
        ('[limits]\nsilence_s = "soon"', "duration"),
        ("[server]\nvolumes = [1]", "list of texts"),
        ("[server", "sos.toml"),
    ],
)
def test_wrong_file_is_refused_with_a_hint(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(toml(tmp_path, text), {})


def test_missing_and_yaml_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        load(Given(file=str(tmp_path / "none.toml")), {})
    with pytest.raises(ConfigError, match="YAML"):
        load(Given(), {"MINIO_CONFIG": "/etc/minio.yaml"})


def test_misspelt_variable_is_warned_about_and_unused_ones_of_minio_are_named() -> None:
    loaded = load(Given(), {"SOS_ADRESS": ":1", "MINIO_KMS_SECRET_KEY": "k:v", "HOME": "/"})
    assert any("did you mean SOS_ADDRESS" in w for w in loaded.warnings)
    assert any("MINIO_KMS_SECRET_KEY" in w and "k:v" not in w for w in loaded.warnings)


def test_sample_file_is_current_and_holds_every_default(tmp_path: Path) -> None:
    """Run ``sos config sample > conf/sos.toml`` after a change of settings."""
    assert (ROOT / "conf/sos.toml").read_text() == sample()
    active = re.sub(r"^#(?=\w)", "", sample(), flags=re.MULTILINE)
    assert {name for section in tomli.loads(active).values() for name in section} == {o.name for o in OPTIONS}
    assert load(toml(tmp_path, active), {}).settings == Settings()


def test_secrets_are_never_shown() -> None:
    """A26: no secret in what is printed, nor in ``repr``."""
    loaded = load(Given(), {**CREDENTIALS, "MINIO_ROOT_PASSWORD": "very-secret"})
    for text in (show_text(loaded), show_json(loaded), repr(loaded.settings), str(loaded)):
        assert "very-secret" not in text


def test_config_show_prints_value_and_source(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOS_REGION", "eu-1")
    assert main(["config", "show", "--json", "--address", ":5"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["region"] == {"value": "eu-1", "source": "environment SOS_REGION"}
    assert shown["address"] == {"value": ":5", "source": "flag --address"}


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("64MiB", 64 << 20),
        ("1g", 1 << 30),
        ("10MB", 10_000_000),
        ("4096", 4096),
        ("1.5KiB", 1536),
        ("2T", 2 << 40),
        ("7b", 7),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


def test_durations_and_switches() -> None:
    assert [parse_seconds(t) for t in ("30s", "500ms", "2m", "1h", "7")] == [30, 0.5, 120, 3600, 7]
    assert parse_switch("ON")
    assert not parse_switch("disabled")
    for wrong in ("", "3 parsecs", "-1s"):
        with pytest.raises(ValueError):
            parse_seconds(wrong)


@pytest.mark.parametrize(
    ("text", "address"),
    [(":9000", ("", 9000)), ("127.0.0.1:1", ("127.0.0.1", 1)), ("[::1]:80", ("::1", 80)), ("host:0", ("host", 0))],
)
def test_addresses(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text) == Address(*address)


@pytest.mark.parametrize("text", ["9000", "host", ":", ":99999", "::1:80", "[::1]", "http://h:9000"])
def test_wrong_addresses_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="host"):
        parse_address(text)


def test_default_credentials_stay_on_loopback() -> None:
    """A27: everybody knows the default credentials, so they must not be reachable from elsewhere."""
    address, warning = api_address(Settings())
    assert is_loopback(address.host)
    assert "default credentials" in warning
    assert api_address(Settings(address="127.0.0.1:1"))[0] == Address("127.0.0.1", 1)
    for public in ("0.0.0.0:9000", "[::]:9000", "192.0.2.7:9000"):
        with pytest.raises(ConfigError, match="refusing"):
            api_address(Settings(address=public))
        address, warning = api_address(Settings(address=public, allow_default_credentials=True))
        assert str(address) == public
        assert warning


def test_own_credentials_listen_where_told() -> None:
    """A27: the rule is about the default credentials only."""
    own = Settings(root_user="abc", root_password="12345678")
    assert api_address(own) == (Address("", 9000), "")


def test_minios_command_lines_are_taken() -> None:
    given = command(
        "--address", ":1", "/a", "--console-address", ":2", "-S", "/certs", "--quiet", "/b", "--config-dir", "/x"
    )
    assert given.volumes == ("/a", "/b")
    made = load(given, {}).settings
    assert (made.address, made.console_address, made.certs_dir, made.quiet) == (":1", ":2", "/certs", True)


def test_minio_opts_stand_in_where_there_are_no_flags() -> None:
    env = {"MINIO_OPTS": "--address :5 --json", "MINIO_VOLUMES": "/a /b"}
    loaded = load(command(environ=env), env)
    assert (loaded.settings.address, loaded.settings.log_json, loaded.settings.volumes) == (":5", True, ("/a", "/b"))
    assert loaded.sources["address"] == "MINIO_OPTS --address"
    assert load(command("--quiet", environ=env), env).settings.address == ":9000"


def test_volumes_of_the_command_line_win_over_the_environment() -> None:
    loaded = load(command("/c"), {"MINIO_VOLUMES": "/a"})
    assert loaded.settings.volumes == ("/c",)


def test_flags_for_what_is_not_there_are_refused() -> None:
    with pytest.raises(ConfigError, match="does not serve"):
        command("--ftp", "address=:8021", "/a")


@pytest.mark.parametrize(
    "argv", [["serve"], ["--nonsense"], ["server", "--nonsense"], ["config"], ["server", "--address"]]
)
def test_wrong_command_lines_exit_with_one(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = main(argv)
    except SystemExit as error:
        code = int(error.code or 0)
    assert code == 1
    assert capsys.readouterr().err


def test_server_without_drives_says_how(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MINIO_VOLUMES", raising=False)
    assert main(["server"]) == 1
    assert "no drives given" in capsys.readouterr().err


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("sos version ")
    assert main(["help"]) == 0
    assert "sos server" in capsys.readouterr().out


def test_minios_global_flags_may_stand_before_the_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--certs-dir", "/x", "config", "show"]) == 0
    assert "flag --certs-dir" in capsys.readouterr().out
