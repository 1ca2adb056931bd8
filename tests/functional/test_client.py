"""``sos client`` against a real server: mc's arguments, mc's JSON, mc's exit codes, beside the real mc."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.kit.clients import Tool, mc, own
from tests.kit.server import PASSWORD, USER, Server

Ask = Callable[..., list[dict[str, Any]]]
TIMES = ("lastModified", "duration", "speed")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def tool(server: Server, home: Path) -> Tool:
    return own(server.url, home)


@pytest.fixture(scope="module")
def ask(tool: Tool) -> Ask:
    """Run a command that must succeed; its JSON lines."""

    def run(*arguments: str | Path, **named: Any) -> list[dict[str, Any]]:
        found = documents(tool(*arguments, "--json", **named).out)
        assert all(one.get("status") != "error" for one in found), found
        return found

    return run


@pytest.fixture(scope="module")
def fail(tool: Tool) -> Callable[..., tuple[str, str]]:
    """Run a command that must fail; the message and code of its cause."""

    def run(*arguments: str | Path, **named: Any) -> tuple[str, str]:
        ended = tool.run(*arguments, "--json", **named)
        assert ended.code == 1, ended
        error = [one for one in documents(ended.out) if one["status"] == "error"][-1]["error"]
        return f"{error['message']} {error['cause']['message']}", error["cause"]["error"].get("Code", "")

    return run


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A directory with three files."""
    for name, text in (("a.txt", "hello\n"), ("sub/b.txt", "foo\n"), ("sub/deep/c.bin", "x" * 2000)):
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "tree"


def documents(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def keys(found: list[dict[str, Any]]) -> list[str]:
    return [one["key"] for one in found]


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


# -- copies ----------------------------------------------------------------------------------------------


def test_one_file_there_and_back(bucket: str, tree: Path, tmp_path: Path, ask: Ask, s3: Any) -> None:
    told = ask("cp", tree / "a.txt", f"sos/{bucket}")
    assert {name: told[0][name] for name in ("source", "target", "size")} == {
        "source": str(tree / "a.txt"), "target": f"sos/{bucket}/a.txt", "size": 6,
    }  # fmt: skip
    assert {name: told[1][name] for name in ("total", "transferred")} == {"total": 6, "transferred": 6}
    assert s3.head_object(Bucket=bucket, Key="a.txt")["ContentType"] == "text/plain"
    ask("cp", tree / "a.txt", f"sos/{bucket}/folder/")
    ask("cp", tree / "a.txt", f"sos/{bucket}/folder/renamed")
    assert keys(ask("ls", "-r", f"sos/{bucket}")) == ["a.txt", "folder/a.txt", "folder/renamed"]
    ask("cp", f"sos/{bucket}/folder/renamed", tmp_path / "back")
    ask("cp", f"sos/{bucket}/a.txt", f"{tmp_path}/")
    assert (tmp_path / "back").read_text() == (tmp_path / "a.txt").read_text() == "hello\n"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("", ["p/tree/a.txt", "p/tree/sub/b.txt", "p/tree/sub/deep/c.bin"]),
        ("/", ["p/a.txt", "p/sub/b.txt", "p/sub/deep/c.bin"]),
    ],
)
def test_a_slash_at_the_end_means_what_is_inside(
    bucket: str, tree: Path, tmp_path: Path, ask: Ask, source: str, expected: list[str]
) -> None:
    ask("cp", "-r", f"{tree}{source}", f"sos/{bucket}/p/")
    assert keys(ask("ls", "-r", f"sos/{bucket}")) == expected
    ask("cp", "--recursive", f"sos/{bucket}/", tmp_path / "back")
    assert sorted(str(p.relative_to(tmp_path / "back")) for p in (tmp_path / "back").rglob("*.*")) == expected


def test_several_sources_need_a_folder(bucket: str, tree: Path, ask: Ask, fail: Any) -> None:
    sources = (tree / "a.txt", tree / "sub" / "b.txt")
    ask("cp", *sources, f"sos/{bucket}/both/")
    assert keys(ask("ls", "-r", f"sos/{bucket}")) == ["both/a.txt", "both/b.txt"]
    assert "folder" in fail("cp", *sources, f"sos/{bucket}/both/a.txt")[0]
    assert "--recursive" in fail("cp", tree, f"sos/{bucket}")[0]
    assert "not found" in fail("cp", tree / "none", f"sos/{bucket}")[0]
    assert fail("cp", tree / "a.txt", "sos/absent/x")[1] == "NoSuchBucket"


def test_one_that_fails_does_not_stop_the_others(bucket: str, tree: Path, tool: Tool, ask: Ask) -> None:
    (tree / "sub" / "unreadable").symlink_to("/etc/hostname")
    ended = tool.run("cp", "-r", f"{tree}/", f"sos/{bucket}")
    assert ended.code == 1
    assert "unreadable" in ended.err
    assert keys(ask("ls", "-r", f"sos/{bucket}")) == ["a.txt", "sub/b.txt", "sub/deep/c.bin"]


def test_attributes_and_storage_class_go_with_the_object(bucket: str, tree: Path, ask: Ask, s3: Any) -> None:
    ask("cp", "--attr", "Cache-Control=max-age=90,min=1;owner=me", "--storage-class", "REDUCED_REDUNDANCY",
        tree / "a.txt", f"sos/{bucket}/one")  # fmt: skip
    ask("cp", f"sos/{bucket}/one", f"sos/{bucket}/copied")
    ask("cp", "--attr", "owner=you", f"sos/{bucket}/one", f"sos/{bucket}/changed")
    for key, owner in (("one", "me"), ("copied", "me"), ("changed", "you")):
        head = s3.head_object(Bucket=bucket, Key=key)
        assert (head["CacheControl"], head["Metadata"], head["ContentType"]) == (
            "max-age=90,min=1", {"owner": owner}, "text/plain",
        )  # fmt: skip
    assert s3.head_object(Bucket=bucket, Key="one")["StorageClass"] == "REDUCED_REDUNDANCY"


def test_preserved_files_come_back_with_time_and_mode_but_no_more_rights(
    bucket: str, tree: Path, tmp_path: Path, ask: Ask
) -> None:
    (tree / "a.txt").chmod(0o4751)
    os.utime(tree / "a.txt", ns=(10**18, 10**18 + 5))
    ask("cp", "-a", tree / "a.txt", f"sos/{bucket}")
    ask("cp", "--preserve", f"sos/{bucket}/a.txt", tmp_path / "back")
    back = (tmp_path / "back").stat()
    assert (back.st_mtime_ns, stat.S_IMODE(back.st_mode)) == (10**18 + 5, 0o751)


def test_between_two_servers_the_bytes_pass_through(
    server: Server, bucket: str, tree: Path, ask: Ask, tool: Tool, s3: Any
) -> None:
    s3.put_object(Bucket=bucket, Key="one", Body=b"text", ContentType="text/plain", Metadata={"owner": "me"},
                  ContentEncoding="gzip")  # fmt: skip
    host = server.url.replace("http://", f"http://{USER}:{PASSWORD}@")
    ask("cp", f"sos/{bucket}/one", f"other/{bucket}/two", env={"MC_HOST_other": host})
    found = s3.get_object(Bucket=bucket, Key="two")
    assert (found["Body"].read(), found["Metadata"], found["ContentEncoding"]) == (b"text", {"owner": "me"}, "gzip")


def test_what_is_stored_compressed_arrives_as_it_is(bucket: str, tmp_path: Path, ask: Ask, tool: Tool, s3: Any) -> None:
    s3.put_object(Bucket=bucket, Key="x.gz", Body=b"not really gzip", ContentEncoding="gzip")
    ask("cp", f"sos/{bucket}/x.gz", tmp_path / "x.gz")
    assert (tmp_path / "x.gz").read_bytes() == b"not really gzip"
    assert tool("cat", f"sos/{bucket}/x.gz").out == "not really gzip"


def test_a_move_leaves_nothing_behind(bucket: str, tree: Path, ask: Ask) -> None:
    ask("mv", tree / "a.txt", f"sos/{bucket}/one")
    ask("mv", f"sos/{bucket}/one", f"sos/{bucket}/two")
    assert keys(ask("ls", f"sos/{bucket}")) == ["two"]
    ask("mv", f"sos/{bucket}/two", tree / "three")
    assert not (tree / "a.txt").exists()
    assert (tree / "three").read_text() == "hello\n"
    assert ask("ls", f"sos/{bucket}") == []


def test_standard_streams(bucket: str, tool: Tool) -> None:
    data = bytes(range(256)) * 40
    tool("pipe", f"sos/{bucket}/dir/piped", stdin=data)
    assert tool("cat", f"sos/{bucket}/dir/piped", "--offset", "10200").out == data[10200:].decode(errors="replace")
    assert tool("cat", "-", stdin=b"through").out == "through"
    tool("pipe", f"sos/{bucket}/empty")
    assert tool("cat", f"sos/{bucket}/empty").out == ""
    tool("pipe", f"sos/{bucket}/lines", stdin=b"1\n2\n3\n")
    assert tool("head", "-n", "2", f"sos/{bucket}/lines").lines == ["1", "2"]
    assert tool.run("cat", f"sos/{bucket}/absent").code == 1


@pytest.mark.parametrize("key", ["ü/ö", "a b+c%20d", "x?y&z=1#f", "new\nline", "'\"<>", "sos", "-r"])
def test_any_key_makes_the_round_trip(bucket: str, key: str, tmp_path: Path, tool: Tool, s3: Any) -> None:
    tool("pipe", f"sos/{bucket}/{key}", stdin=b"text")
    assert [one["Key"] for one in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [key]
    tool("cp", "-r", f"sos/{bucket}/", tmp_path / "in")
    assert (tmp_path / "in" / key).read_bytes() == b"text"
    assert keys(documents(tool("ls", "-r", "--json", f"sos/{bucket}").out)) == [key]
    tool("rm", f"sos/{bucket}/{key}")


# -- removal ---------------------------------------------------------------------------------------------


def test_removal_needs_the_flags_that_mc_needs(bucket: str, filled: str, ask: Ask, fail: Any, s3: Any) -> None:
    for key in ("a/1", "a/2", "ab", "b"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    assert "--force" in fail("rm", "-r", f"sos/{bucket}/a/")[0]
    assert "site-wide" in fail("rm", "-r", "--force", "sos")[0]
    assert "prefix" in fail("rm", f"sos/{bucket}/a")[0]
    assert ask("rm", "-r", "--force", "--older-than", "1d", f"sos/{bucket}/") == []
    assert keys(ask("rm", "-r", "--force", f"sos/{bucket}/a/")) == [f"sos/{bucket}/a/1", f"sos/{bucket}/a/2"]
    assert keys(ask("rm", "--force", "--stdin", stdin=f"sos/{bucket}/ab\n".encode())) == [f"sos/{bucket}/ab"]
    assert keys(ask("rm", f"sos/{bucket}/b")) == [f"sos/{bucket}/b"]
    assert ask("ls", f"sos/{bucket}") == []


def test_unfinished_uploads_are_listed_and_removed(bucket: str, ask: Ask, s3: Any) -> None:
    for key in ("dir/one", "two"):
        s3.create_multipart_upload(Bucket=bucket, Key=key)
    assert keys(ask("ls", "--incomplete", "-r", f"sos/{bucket}")) == ["dir/one", "two"]
    assert keys(ask("ls", "-I", f"sos/{bucket}")) == ["dir/", "two"]
    ask("rm", "-r", "--force", "--incomplete", f"sos/{bucket}")
    assert ask("ls", "--incomplete", "-r", f"sos/{bucket}") == []


# -- mirror ----------------------------------------------------------------------------------------------


def test_a_mirror_copies_what_is_missing_and_replaces_only_when_told(
    bucket: str, tree: Path, ask: Ask, tool: Tool
) -> None:
    assert len(ask("mirror", tree, f"sos/{bucket}/m")) == 4
    assert ask("mirror", tree, f"sos/{bucket}/m")[0]["total"] == 0
    (tree / "a.txt").write_text("longer than before")
    ended = tool.run("mirror", tree, f"sos/{bucket}/m")
    assert ended.code == 0
    assert "--overwrite" in ended.err
    assert tool("cat", f"sos/{bucket}/m/a.txt").out == "hello\n"
    ask("mirror", "--overwrite", tree, f"sos/{bucket}/m")
    assert tool("cat", f"sos/{bucket}/m/a.txt").out == "longer than before"


def test_a_mirror_sees_a_change_that_left_the_size(bucket: str, tree: Path, ask: Ask, tool: Tool) -> None:
    ask("mirror", tree, f"sos/{bucket}")
    (tree / "a.txt").write_text("HELLO\n")
    ask("mirror", "--overwrite", tree, f"sos/{bucket}")
    assert tool("cat", f"sos/{bucket}/a.txt").out == "HELLO\n"


def test_a_mirror_removes_only_when_told_and_only_after_a_whole_source(
    bucket: str, tree: Path, ask: Ask, tool: Tool
) -> None:
    ask("mirror", f"{tree}/", f"sos/{bucket}")
    (tree / "sub" / "b.txt").unlink()
    ask("mirror", f"{tree}/", f"sos/{bucket}")
    assert "sub/b.txt" in keys(ask("ls", "-r", f"sos/{bucket}"))
    (tree / "odd").symlink_to("/etc/hostname")
    assert tool.run("mirror", "--remove", tree, f"sos/{bucket}").code == 1
    assert "sub/b.txt" in keys(ask("ls", "-r", f"sos/{bucket}"))
    (tree / "odd").unlink()
    ask("mirror", "--remove", "--dry-run", tree, f"sos/{bucket}")
    assert "sub/b.txt" in keys(ask("ls", "-r", f"sos/{bucket}"))
    ask("mirror", "--remove", tree, f"sos/{bucket}")
    assert keys(ask("ls", "-r", f"sos/{bucket}")) == ["a.txt", "sub/deep/c.bin"]


def test_a_mirror_comes_back_to_a_folder(bucket: str, tree: Path, tmp_path: Path, ask: Ask) -> None:
    ask("mirror", tree, f"sos/{bucket}")
    back = tmp_path / "back"
    (back / "extra").mkdir(parents=True)
    (back / "extra" / "file").write_text("goes")
    (back / "kept.tmp").write_text("stays")
    ask("mirror", "--remove", "--exclude", "*.tmp", f"sos/{bucket}", back)
    found = sorted(str(path.relative_to(back)) for path in back.rglob("*") if path.is_file())
    assert found == ["a.txt", "kept.tmp", "sub/b.txt", "sub/deep/c.bin"]
    assert not (back / "extra").exists()
    assert ask("mirror", f"sos/{bucket}", back)[0]["total"] == 0


def test_two_folders_are_compared(bucket: str, tree: Path, ask: Ask) -> None:
    ask("mirror", tree, f"sos/{bucket}")
    (tree / "a.txt").write_text("another size")
    (tree / "new").write_text("")
    (tree / "sub" / "b.txt").unlink()
    assert [(one["first"].rpartition("/")[2], one["second"].rpartition("/")[2], one["diff"]) for one in
            ask("diff", tree, f"sos/{bucket}")] == [("a.txt", "a.txt", 4), ("new", "", 1), ("", "b.txt", 2)]  # fmt: skip


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
