"""The client's aliases: mc's file and variables."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from sos.client.aliases import Alias, Aliases, checked
from sos.client.errors import Failure

SOS = Alias("sos", "http://127.0.0.1:9000", "operator", "a-good-password")


def test_a_written_file_is_what_mc_writes_and_for_its_owner_only(tmp_path: Path) -> None:
    aliases = Aliases(tmp_path / "new", {})
    aliases.put(SOS)
    assert aliases.file.read_text() == (
        '{\n\t"version": "10",\n\t"aliases": {\n\t\t"sos": {\n\t\t\t"url": "http://127.0.0.1:9000",\n'
        '\t\t\t"accessKey": "operator",\n\t\t\t"secretKey": "a-good-password",\n\t\t\t"api": "S3v4",\n'
        '\t\t\t"path": "auto"\n\t\t}\n\t}\n}'
    )
    assert stat.S_IMODE(aliases.file.stat().st_mode) == 0o600
    assert stat.S_IMODE(aliases.directory.stat().st_mode) == 0o700
    assert [path.name for path in aliases.directory.iterdir()] == ["config.json"]


def test_what_the_client_does_not_know_stays_in_the_file(tmp_path: Path) -> None:
    known = {
        "url": "http://old:9000",
        "accessKey": "old",
        "secretKey": "oldsecret",
        "sessionToken": "t",
        "license": "L",
    }
    document = {"version": "10", "aliases": {"sos": known, "other": {"url": "https://x", "more": 1}}, "later": [1]}
    (tmp_path / "config.json").write_text(json.dumps(document))
    aliases = Aliases(tmp_path, {})
    aliases.put(SOS)
    aliases.put(replace(SOS, name="third"))
    aliases.remove("third")
    written = json.loads(aliases.file.read_text())
    assert written["later"] == [1]
    assert written["aliases"]["other"] == {"url": "https://x", "more": 1}
    assert written["aliases"]["sos"] == {
        "url": SOS.url, "accessKey": "operator", "secretKey": "a-good-password", "license": "L", "api": "S3v4", "path": "auto",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://key:secret/with+:signs@host:9000", ("http://host:9000", "key", "secret/with+", "signs")),
        ("https://key:secret@host/", ("https://host", "key", "secret", "")),
        ("https://key:secret:token@host", ("https://host", "key", "secret", "token")),
        ("http://host:9000", ("http://host:9000", "", "", "")),
    ],
)
def test_a_variable_beats_the_file(tmp_path: Path, text: str, expected: tuple[str, ...]) -> None:
    aliases = Aliases(tmp_path, {"MC_HOST_sos": text})
    aliases.put(SOS)
    found = aliases.find("sos")
    assert found is not None
    assert (found.url, found.access_key, found.secret_key, found.token) == expected
    assert found.source == "env"
    assert [one.source for one in aliases.every()] == ["env"]


def test_a_bad_variable_is_refused_without_its_secret(tmp_path: Path) -> None:
    with pytest.raises(Failure) as caught:
        Aliases(tmp_path, {"MC_HOST_sos": "ftp://key:topsecret@host"}).find("sos")
    assert "topsecret" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"version": "9"}', '{"version": "10", "aliases": 3}'])
def test_a_file_that_is_none_of_mcs_is_refused_and_left_alone(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(Failure):
        Aliases(tmp_path, {}).find("sos")
    with pytest.raises(Failure):
        Aliases(tmp_path, {}).put(SOS)
    assert (tmp_path / "config.json").read_text() == text


@pytest.mark.parametrize(
    "change",
    [
        {"name": "1st"}, {"name": "a/b"}, {"name": ""}, {"url": "host:9000"}, {"url": "ftp://host"},
        {"url": "http://host/path"}, {"url": "http://key@host"}, {"url": "http://host:99999"}, {"url": "http://"},
        {"access_key": "ab"}, {"secret_key": "short"}, {"api": "S3v2"}, {"path": "sideways"},
    ],
)  # fmt: skip
def test_what_cannot_be_an_alias_is_refused(change: dict[str, str]) -> None:
    assert checked(SOS) is SOS
    with pytest.raises(Failure) as caught:
        checked(replace(SOS, **change))  # type: ignore[arg-type]
    assert "short" not in str(caught.value)


def test_a_secret_is_not_in_what_python_shows() -> None:
    assert "a-good-password" not in repr(SOS)
