"""The AWS command line, s3cmd and rclone: a real tree there and back, compared, changed, presigned and removed."""

from __future__ import annotations

import itertools
import json
import os
import shutil
from pathlib import Path

import pytest

from tests.kit import clients
from tests.kit.clients import Tool
from tests.kit.server import Server
from tests.kit.trees import plant, read
from tests.kit.wire import exchange

MIB = 1 << 20
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Names and sizes of every kind that clients treat differently."""
    content = {f"many/{i:03}": b"%d" % i for i in range(60)}
    content |= {"empty": b"", "with blanks/a b.txt": b"ab", "ünï/çödé": b"u", "a+b&c=d": b"+", "deep/er/and/deeper/x": b"x"}
    content |= {"large": os.urandom(17 * MIB), "medium": os.urandom(300_000), "100%": b"p", "semi;colon": b";"}
    return plant(tmp_path_factory.mktemp("tree"), content)


@pytest.fixture
def work(tree: Path, tmp_path: Path) -> Path:
    """A copy of the tree, to be changed."""
    shutil.copytree(tree, tmp_path / "work")
    return tmp_path / "work"


def change(work: Path) -> None:
    (work / "new").write_bytes(b"new")
    (work / "medium").write_bytes(b"changed")
    (work / "many/007").unlink()


# -- the AWS command line -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def aws(server: Server, home: Path) -> Tool:
    return clients.aws(server.url, home)


@pytest.fixture
def s3uri(aws: Tool) -> str:
    uri = f"s3://aws-{next(_numbers)}"
    aws("s3", "mb", uri)
    return uri


def test_aws_sync(aws: Tool, s3uri: str, work: Path, tmp_path: Path) -> None:
    """R25: with the checksums that the command line sends by default, trailers included."""
    aws("s3", "sync", str(work), f"{s3uri}/tree", "--only-show-errors")
    assert aws("s3", "sync", str(work), f"{s3uri}/tree").out == ""
    change(work)
    aws("s3", "sync", str(work), f"{s3uri}/tree", "--delete", "--only-show-errors")
    aws("s3", "sync", f"{s3uri}/tree", f"{s3uri}/copy", "--only-show-errors")
    aws("s3", "sync", f"{s3uri}/copy", str(tmp_path / "copy"), "--only-show-errors")
    assert read(tmp_path / "copy") == read(work)


def test_aws_cp_ls_rm(aws: Tool, s3uri: str, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(os.urandom(20 * MIB))
    aws("s3", "cp", str(tmp_path / "f"), f"{s3uri}/dir/large", "--no-progress")
    aws("s3", "cp", "-", f"{s3uri}/dir/piped", stdin=b"from a pipe")
    assert aws("s3", "cp", f"{s3uri}/dir/piped", "-").out == "from a pipe"
    aws("s3", "mv", f"{s3uri}/dir/large", f"{s3uri}/moved/2")
    aws("s3", "cp", f"{s3uri}/moved/2", str(tmp_path / "back"), "--no-progress")
    assert (tmp_path / "back").read_bytes() == (tmp_path / "f").read_bytes()
    assert [line.split()[-1] for line in aws("s3", "ls", f"{s3uri}/").lines] == ["dir/", "moved/"]
    listed = aws("s3", "ls", "--recursive", "--summarize", s3uri).out
    assert "Total Objects: 2" in listed and f"{20 * MIB} moved/2" in listed
    aws("s3", "rm", "--recursive", f"{s3uri}/dir")
    aws("s3", "rb", "--force", s3uri)


def test_aws_presign(aws: Tool, server: Server, s3uri: str) -> None:
    aws("s3", "cp", "-", f"{s3uri}/a key", stdin=b"shared")
    path = aws("s3", "presign", f"{s3uri}/a key").out.strip().removeprefix(server.url)
    reply = exchange(server.port, f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode())
    assert (reply.status, reply.body) == (200, b"shared")


def test_aws_s3api(aws: Tool, s3uri: str, tmp_path: Path) -> None:
    bucket = s3uri.removeprefix("s3://")
    (tmp_path / "f").write_bytes(b"0123456789")
    where = ("--bucket", bucket, "--key", "key")
    aws("s3api", "put-object", *where, "--body", str(tmp_path / "f"), "--checksum-algorithm", "SHA256", "--metadata", "a=1")
    got = json.loads(aws("s3api", "get-object", *where, "--range", "bytes=2-4", str(tmp_path / "part")).out)
    assert ((tmp_path / "part").read_bytes(), got["Metadata"]) == (b"234", {"a": "1"})
    wanted = ("--object-attributes", "ETag", "Checksum", "ObjectSize")
    attributes = json.loads(aws("s3api", "get-object-attributes", *where, *wanted).out)
    assert (attributes["ObjectSize"], "ChecksumSHA256" in attributes["Checksum"]) == (10, True)
    again = aws.run("s3api", "put-object", *where, "--if-none-match", "*")
    assert again.code != 0 and "PreconditionFailed" in again.err
    many = json.dumps({"Objects": [{"Key": "key"}, {"Key": "none"}]})
    assert len(json.loads(aws("s3api", "delete-objects", "--bucket", bucket, "--delete", many).out)["Deleted"]) == 2


# -- s3cmd --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def s3cmd(server: Server, home: Path) -> Tool:
    return clients.s3cmd(server.url, home)


@pytest.mark.parametrize("version", ["v4", "v2"])
def test_s3cmd(s3cmd: Tool, work: Path, tmp_path: Path, version: str) -> None:
    tool = Tool((*s3cmd.command, *(["--signature-v2"] if version == "v2" else [])), s3cmd.env)
    uri = f"s3://s3cmd-{version}"
    tool("mb", uri)
    tool("sync", f"{work}/", f"{uri}/tree/")
    assert "upload:" not in tool("sync", f"{work}/", f"{uri}/tree/").out
    (tmp_path / "back").mkdir()
    tool("sync", f"{uri}/tree/", f"{tmp_path / 'back'}/")
    assert read(tmp_path / "back") == read(work)
    change(work)
    tool("sync", "--delete-removed", f"{work}/", f"{uri}/tree/")
    assert f"{uri}/tree/many/007" not in tool("ls", "--recursive", uri).out
    tool("cp", f"{uri}/tree/large", f"{uri}/copied")
    tool("mv", f"{uri}/copied", f"{uri}/moved")
    tool("get", f"{uri}/moved", str(tmp_path / "moved"))
    assert (tmp_path / "moved").read_bytes() == (work / "large").read_bytes()
    tool("put", "--multipart-chunk-size-mb", "5", str(work / "large"), f"{uri}/parts")
    tool("get", "--force", f"{uri}/parts", str(tmp_path / "moved"))
    assert (tmp_path / "moved").read_bytes() == (work / "large").read_bytes()
    assert "MD5 sum" in tool("info", f"{uri}/parts").out
    assert str(len(read(work)) + 2) in tool("du", uri).out
    assert tool.run("get", f"{uri}/none", str(tmp_path / "none")).code != 0
    tool("del", "--recursive", "--force", uri)
    tool("rb", uri)


# -- rclone -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rclone(server: Server, home: Path) -> Tool:
    return clients.rclone(server.url, home)


def test_rclone(rclone: Tool, work: Path, tmp_path: Path) -> None:
    remote = "sos:rclone-bucket"
    rclone("mkdir", remote)
    rclone("sync", work, f"{remote}/tree")
    rclone("check", "--download", work, f"{remote}/tree")
    rclone("check", work, f"{remote}/tree")
    change(work)
    rclone("sync", work, f"{remote}/tree")
    assert rclone.run("check", work, f"{remote}/tree").code == 0
    rclone("copy", f"{remote}/tree", tmp_path / "back")
    assert read(tmp_path / "back") == read(work)
    times = {name: int((tmp_path / "back" / name).stat().st_mtime) for name in ("new", "large", "empty")}
    assert times == {name: int((work / name).stat().st_mtime) for name in times}
    rclone("copy", f"{remote}/tree", f"{remote}/copied")
    rclone("moveto", f"{remote}/copied/large", f"{remote}/moved")
    assert rclone("cat", f"{remote}/copied/new").out == "new"
    assert rclone("cat", "--offset", "1", "--count", "1", f"{remote}/copied/new").out == "e"
    assert json.loads(rclone("size", "--json", f"{remote}/tree").out)["count"] == len(read(work))
    assert rclone("lsf", "--dirs-only", f"{remote}/tree").lines == ["deep/", "many/", "with blanks/", "ünï/"]
    rclone("rcat", f"{remote}/piped", stdin=os.urandom(6 * MIB))
    rclone("delete", f"{remote}/copied")
    rclone("purge", remote)
    assert rclone.run("lsf", remote).code != 0


def test_rclone_with_parts(rclone: Tool, work: Path) -> None:
    remote = "sos:rclone-parts"
    sizes = ("--s3-upload-cutoff", "5Mi", "--s3-chunk-size", "5Mi", "--s3-copy-cutoff", "5Mi")
    rclone("copy", *sizes, work, f"{remote}/a")
    rclone("check", "--download", work, f"{remote}/a")
    rclone("copy", *sizes, f"{remote}/a", f"{remote}/b")  # UploadPartCopy
    rclone("check", "--download", work, f"{remote}/b")
    rclone("cleanup", remote)
    rclone("purge", remote)
