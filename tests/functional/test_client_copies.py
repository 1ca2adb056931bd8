"""``sos client`` against a real server: copies, streams, removals and mirrors."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.kit.clients import Tool
from tests.kit.own_client import Ask, documents, keys
from tests.kit.server import PASSWORD, USER, Server

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


def test_removal_needs_the_flags_that_mc_needs(bucket: str, ask: Ask, fail: Any, s3: Any) -> None:
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
