"""``sos client`` against a real server: mc's arguments, mc's JSON, mc's exit codes, beside the real mc."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.kit.clients import Tool, mc
from tests.kit.own_client import Ask, documents, keys
from tests.kit.server import PASSWORD, USER, Server

TIMES = ("lastModified", "duration", "speed")

# -- aliases ---------------------------------------------------------------------------------------------


def test_mc_and_the_client_share_their_aliases(
    server: Server, bucket: str, tool: Tool, home: Path, tmp_path: Path
) -> None:
    real = mc(server.url, tmp_path)
    both = Tool(tool.command, {**tool.env, "MC_CONFIG_DIR": str(tmp_path)})
    assert bucket in both("ls", "sos").out
    both("alias", "set", "second", server.url, USER, PASSWORD)
    assert bucket in real("ls", "second").out
    real("alias", "set", "third", server.url, USER, PASSWORD)
    both("alias", "rm", "second")
    listed = {one["alias"] for one in documents(real("alias", "ls", "--json").out)}
    assert listed >= {"sos", "third", "play"} and "second" not in listed
    assert stat.S_IMODE((tmp_path / "config.json").stat().st_mode) == 0o600


def test_an_alias_needs_the_right_secret(server: Server, fail: Any, ask: Ask, home: Path) -> None:
    assert fail("alias", "set", "wrong", server.url, USER, "another-secret")[1] == "SignatureDoesNotMatch"
    assert fail("alias", "set", "wrong", server.url, "nobody-at-all", PASSWORD)[1] == "InvalidAccessKeyId"
    assert "wrong" not in json.loads((home / ".mc" / "config.json").read_text())["aliases"]
    ask("alias", "set", "wrong", server.url, USER, "another-secret", "--api", "S3v4")
    ask("alias", "rm", "wrong")


def test_a_server_that_is_not_there_is_told_apart(fail: Any) -> None:
    assert "Connection refused" in fail("alias", "set", "none", "http://127.0.0.1:1", USER, PASSWORD)[0]
    assert "no such host" in fail("alias", "set", "none", "http://nobody.invalid", USER, PASSWORD)[0]


def test_secrets_are_read_from_standard_input_and_never_told(server: Server, tool: Tool) -> None:
    said = [
        tool("alias", "set", "quiet", server.url, stdin=f"{USER}\n{PASSWORD}\n".encode()),
        tool("alias", "ls"),
        tool("alias", "ls", "--json"),
        tool.run("alias", "set", "quiet", "http://127.0.0.1:1", USER, PASSWORD),
        tool.run("alias", "set", "quiet", server.url, "no", PASSWORD, "--json"),
        tool.run("ls", "other/x", env={"MC_HOST_other": f"wrong://{USER}:{PASSWORD}@host"}),
        tool.run("alias", "import", "quiet", stdin=f'{{"secretKey":"{PASSWORD}",'.encode()),
        tool("alias", "rm", "quiet"),
    ]
    assert not any(PASSWORD in one.out + one.err for one in said)


def test_an_alias_moves_by_export_and_import(server: Server, bucket: str, tool: Tool) -> None:
    exported = tool("alias", "export", "sos").out
    assert json.loads(exported)["secretKey"] == PASSWORD
    tool("alias", "import", "copied", stdin=exported.encode())
    assert bucket in tool("ls", "copied").out
    tool("alias", "remove", "copied")


def test_an_alias_comes_from_the_environment(server: Server, bucket: str, tool: Tool) -> None:
    host = server.url.replace("http://", f"http://{USER}:{PASSWORD}@")
    assert bucket in tool("ls", "env", env={"MC_HOST_env": host}).out


def test_older_guides_write_config_host_add(server: Server, tool: Tool) -> None:
    tool("config", "host", "add", "older", server.url, USER, PASSWORD, "--api", "S3v4")
    assert "older" in tool("config", "host", "list").out
    tool("config", "host", "remove", "older")


# -- buckets ---------------------------------------------------------------------------------------------


def test_buckets_are_made_listed_and_removed(ask: Ask, fail: Any, tool: Tool) -> None:
    assert ask("mb", "sos/client-made") == [{"status": "success", "bucket": "sos/client-made", "region": ""}]
    assert fail("mb", "sos/client-made")[1] == "BucketAlreadyOwnedByYou"
    ask("mb", "--ignore-existing", "sos/client-made")
    assert "client-made/" in keys(ask("ls", "sos"))
    tool("pipe", "sos/client-made/x", stdin=b"text")
    assert "is not empty" in fail("rb", "sos/client-made")[0]
    assert ask("rb", "--force", "sos/client-made") == [{"status": "success", "bucket": "sos/client-made"}]
    assert fail("rb", "sos/client-made")[1] == "NoSuchBucket"
    assert ask("rb", "--force", "sos/client-made") == []
    assert "site-wide" in fail("rb", "--force", "sos")[0]
    assert "cannot be empty" in fail("mb", "sos")[0]


# -- beside mc -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        ("ls", "sos/{}"), ("ls", "sos/{}/"), ("ls", "-r", "sos/{}"), ("ls", "sos/{}/p/d"), ("ls", "sos/{}/p/"),
        ("ls", "sos/{}/p"), ("ls", "sos/{}/nothing"), ("ls", "-r", "--summarize", "sos/{}"), ("stat", "sos/{}/p/a.txt"),
        ("stat", "-r", "sos/{}/p"), ("stat", "sos/{}/nothing"), ("stat", "sos/absent/x"), ("ls", "sos/absent"),
        ("du", "sos/{}"), ("du", "-r", "sos/{}"), ("du", "--depth", "2", "sos/{}"), ("du", "--versions", "sos/{}/p"),
        ("find", "sos/{}"), ("find", "sos/{}/p", "--name", "*.txt"), ("find", "sos/{}", "--larger", "5"),
        ("find", "sos/{}", "--smaller", "1KiB", "--ignore", "*/sub/*"), ("find", "sos/{}", "--regex", "[bc]\\.(txt|bin)$"),
        ("find", "sos/{}", "--print", "{base} {size} {dir}"), ("find", "sos/{}", "--newer-than", "1d"),
        ("find", "sos/{}", "--older-than", "1d"), ("rm", "sos/{}/nothing"), ("rm", "-r", "--force", "--dry-run", "sos/{}/p"),
        ("rm", "-r", "sos/{}"), ("mb", "sos/{}"), ("cat", "sos/{}/nothing"), ("cat", "sos/{}/p/a.txt"),
        ("cat", "--offset", "2", "sos/{}/p/a.txt"), ("cat", "--tail", "2", "sos/{}/p/a.txt"),
        ("mirror", "{tree}", "sos/absent"), ("mirror", "sos/absent", "{tree}"), ("mirror", "{tree}/none", "sos/{}"),
        ("cp", "{tree}", "sos/{}"), ("cp", "{tree}/none", "sos/{}"), ("rb", "sos/{}"),
    ],
    ids=lambda command: " ".join(command),
)  # fmt: skip
def test_it_says_what_mc_says(both: tuple[Tool, Tool], filled: str, tree: Path, command: tuple[str, ...]) -> None:
    """The same exit code; the same documents, but for the texts of errors and for times."""
    words = [word.replace("{tree}", str(tree)).replace("{}", filled) if "sos/" in word or "{tree}" in word else word
             for word in command]  # fmt: skip
    theirs, ours = (tool.run(*words, "--json") for tool in both)
    assert ours.code == theirs.code, (ours, theirs)
    if command[0] == "cat" and not ours.code:
        assert ours.out == theirs.out
    else:
        assert _comparable(ours.out, command[0]) == _comparable(theirs.out, command[0]), (ours.out, theirs.out)


def _comparable(text: str, command: str) -> list[dict[str, Any]]:
    found = documents(text)
    if any(one.get("status") == "error" for one in found):
        # mc adds a second error, or the sum of nothing
        return [{"status": "error"}]
    # mc's find leaves type and ETag empty
    dropped = (*TIMES, "type", "etag") if command == "find" else TIMES
    return [{name: value for name, value in one.items() if name not in dropped} for one in found]


@pytest.fixture(scope="module")
def both(server: Server, tool: Tool, tmp_path_factory: pytest.TempPathFactory) -> tuple[Tool, Tool]:
    """mc and the client."""
    return mc(server.url, tmp_path_factory.mktemp("mc")), tool


@pytest.fixture(scope="module")
def filled(s3: Any, shared: str) -> str:
    """A bucket with a small tree."""
    for key in ("a.txt", "p/a.txt", "p/d/b.txt", "p/d/sub/c.bin", "pp"):
        s3.put_object(Bucket=shared, Key=key, Body=b"hello\n" if key.endswith(".txt") else b"x" * 2000)
    return shared


def test_people_read_what_mc_shows_them(both: tuple[Tool, Tool], filled: str) -> None:
    for words in (("ls", "-r"), ("du", "-r"), ("find",)):
        theirs, ours = (tool(*words, f"sos/{filled}").lines for tool in both)
        assert ours == theirs


# -- the rest --------------------------------------------------------------------------------------------


def test_find_runs_a_program_without_a_shell(bucket: str, tmp_path: Path, tool: Tool, s3: Any) -> None:
    s3.put_object(Bucket=bucket, Key="$(touch hacked); x", Body=b"12345")
    found = tool("find", f"sos/{bucket}", "--exec", "echo {base} {size} {version}|cat")
    assert found.out == "$(touch hacked); x 5 B |cat\n"
    assert tool.run("find", f"sos/{bucket}", "--exec", "sh -c 'exit 3'").code == 3
    assert tool.run("find", f"sos/{bucket}", "--exec", "no-such-program").code == 1


def test_a_shared_link_can_be_read_by_anybody(bucket: str, ask: Ask, s3: Any) -> None:
    import urllib.request

    s3.put_object(Bucket=bucket, Key="x", Body=b"shared")
    link = ask("share", "download", "--expire", "1h", f"sos/{bucket}/x")[0]["share"]
    assert urllib.request.build_opener(urllib.request.ProxyHandler({})).open(link).read() == b"shared"


def test_the_server_is_asked_whether_it_lives(tool: Tool, ask: Ask) -> None:
    assert ask("ready", "sos")[0]["healthy"] is True
    assert ask("ping", "sos")[0]["counter"] == 1
    assert tool.run("ping", "dead", env={"MC_HOST_dead": "http://127.0.0.1:1"}).code == 1


def test_who_has_no_right_is_told_so(server: Server, bucket: str, tree: Path, tool: Tool, fail: Any) -> None:
    tool("admin", "user", "add", "sos", "client-none", "a-secret-of-hers")
    env = {"MC_HOST_hers": server.url.replace("http://", "http://client-none:a-secret-of-hers@")}
    for command in (
        ("ls", f"hers/{bucket}"), ("cp", tree / "a.txt", f"hers/{bucket}/x"), ("cat", f"hers/{bucket}/x"),
        ("rb", f"hers/{bucket}"), ("mb", f"hers/{bucket}-more"), ("rm", f"hers/{bucket}/x"), ("du", f"hers/{bucket}"),
        ("admin", "user", "ls", "hers"),
    ):  # fmt: skip
        assert fail(*command, env=env)[1] == "AccessDenied", command


@pytest.mark.parametrize(
    "arguments",
    [("ls", "--bad"), ("nothing",), ("cp", "one"), ("admin", "user", "none"), ("rm",), ("alias", "set", "x")],
)
def test_wrong_arguments_end_with_1_as_with_mc(tool: Tool, arguments: tuple[str, ...]) -> None:
    ended = tool.run(*arguments)
    assert ended.code == 1
    assert "Traceback" not in ended.err


def test_help_is_there_for_every_command(tool: Tool) -> None:
    assert "mirror" in tool("--help").out
    assert "--overwrite" in tool("mirror", "-h").out


def test_a_server_is_started_without_the_clients_libraries() -> None:
    import subprocess
    import sys

    script = "import sys, sos.cli.main, sos.cli.server; print([m for m in ('minio', 'click', 'rich', 'urllib3') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "[]\n"
