"""MinIO's own client, unmodified, as its users run it."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sos.s3.operations import OPERATIONS
from tests.kit import clients
from tests.kit.clients import Tool
from tests.kit.server import PASSWORD, USER, Server
from tests.kit.trees import plant, read
from tests.kit.wire import exchange

MIB = 1 << 20
TREE = {"a.txt": b"a", "dir/b.txt": b"bb", "dir/sub/c d.txt": b"ccc" * 1000, "dir/sub/ünï.txt": b"u", "large": os.urandom(20 * MIB)}
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def mc(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Tool:
    return clients.mc(server.url, tmp_path_factory.mktemp("mc"))


@pytest.fixture
def at(mc: Tool) -> str:
    """A new bucket as mc names it."""
    name = f"sos/mc-{next(_numbers)}"
    mc("mb", name)
    return name


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return plant(tmp_path_factory.mktemp("tree"), TREE)


def rows(mc: Tool, *arguments: str) -> list[dict[str, Any]]:
    """What a command says in JSON."""
    return [json.loads(line) for line in mc("--json", *arguments).lines]


def names(mc: Tool, *arguments: str) -> list[str]:
    return [row["key"] for row in rows(mc, "ls", *arguments)]


def test_an_alias_needs_the_right_password(server: Server, tmp_path: Path) -> None:
    path = clients.find("mc", ("--version",), "MinIO")
    tool = Tool((path, "--config-dir", str(tmp_path)), {})
    wrong = tool.run("alias", "set", "sos", server.url, USER, PASSWORD + "x")
    assert wrong.code != 0
    assert "signature" in (wrong.out + wrong.err).lower()
    nobody = tool.run("alias", "set", "sos", server.url, "nobody", PASSWORD)
    assert nobody.code != 0
    tool("alias", "set", "sos", server.url, USER, PASSWORD)
    tool("alias", "set", "old", server.url, USER, PASSWORD, "--api", "s3v2")
    tool("mb", "old/by-v2-signature")
    tool("pipe", "old/by-v2-signature/key", stdin=b"v2")
    assert tool("cat", "sos/by-v2-signature/key").out == "v2"


def test_buckets(mc: Tool) -> None:
    mc("mb", "sos/one-bucket")
    again = mc.run("mb", "sos/one-bucket")
    assert again.code != 0 and "already" in again.err
    mc("mb", "--ignore-existing", "sos/one-bucket")
    mc("mb", "--region", "eu-west-1", "sos/other-bucket")
    assert {"one-bucket/", "other-bucket/"} <= set(names(mc, "sos"))
    mc("rb", "sos/one-bucket", "sos/other-bucket")
    assert not {"one-bucket/", "other-bucket/"} & set(names(mc, "sos"))
    assert mc.run("rb", "sos/one-bucket").code != 0


def test_a_tree_there_and_back(mc: Tool, at: str, tree: Path, tmp_path: Path) -> None:
    mc("cp", "--recursive", f"{tree}/", f"{at}/copy/")
    assert set(names(mc, "--recursive", f"{at}/copy")) == set(TREE)
    assert set(names(mc, f"{at}/copy/")) == {"a.txt", "dir/", "large"}
    mc("cp", "--recursive", f"{at}/copy/", str(tmp_path))
    assert read(tmp_path) == TREE
    mc("cp", "--recursive", f"{at}/copy/", f"{at}/within/")
    assert set(names(mc, "--recursive", f"{at}/within")) == set(TREE)
    for name, data in TREE.items():
        assert int(rows(mc, "stat", f"{at}/within/{name}")[0]["size"]) == len(data)


def test_one_object(mc: Tool, at: str, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"first line\nsecond line\nthird line\n")
    mc("cp", "--attr", "colour=blue;Cache-Control=max-age=9", "--tags", "a=1&b=2", str(tmp_path / "f"), f"{at}/dir/f")
    assert mc("cat", f"{at}/dir/f").out == "first line\nsecond line\nthird line\n"
    assert mc("cat", "--offset", "11", f"{at}/dir/f").out.startswith("second")
    assert mc("cat", "--tail", "11", f"{at}/dir/f").out == "third line\n"
    assert mc("head", "--lines", "2", f"{at}/dir/f").lines == ["first line", "second line"]
    (stat,) = rows(mc, "stat", f"{at}/dir/f")
    assert (stat["size"], stat["etag"]) == (34, hashlib.md5((tmp_path / "f").read_bytes()).hexdigest())
    assert stat["metadata"]["X-Amz-Meta-Colour"] == "blue"
    assert stat["metadata"]["Cache-Control"] == "max-age=9"
    assert rows(mc, "tag", "list", f"{at}/dir/f")[0]["tagset"] == {"a": "1", "b": "2"}
    assert rows(mc, "stat", f"{at}/dir")[0]["type"] == "folder"
    assert mc.run("stat", f"{at}/none").code != 0
    assert rows(mc, "stat", at)[0]["name"].rstrip("/") == at.partition("/")[2]
    mc("mv", f"{at}/dir/f", f"{at}/moved")
    assert names(mc, "--recursive", at) == ["moved"]
    mc("mv", f"{at}/moved", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == (tmp_path / "f").read_bytes()
    assert names(mc, at) == []


@pytest.mark.parametrize("size", [0, 10, 5 * MIB, 40 * MIB + 3])
def test_pipe(mc: Tool, at: str, size: int, tmp_path: Path) -> None:
    """An upload of unknown length: signed chunks, or a multipart upload with CRC32C of each part."""
    data = os.urandom(size)
    mc("pipe", f"{at}/piped", stdin=data)
    mc("cp", f"{at}/piped", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == data


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
def test_checksums(mc: Tool, at: str, tmp_path: Path, algorithm: str) -> None:
    """R25: unsigned trailers as minio-go writes them, of one part and of many."""
    for size in (1000, 33 * MIB):
        (tmp_path / "f").write_bytes(os.urandom(size))
        mc("cp", "--checksum", algorithm, str(tmp_path / "f"), f"{at}/{size}")
        mc("cp", f"{at}/{size}", str(tmp_path / "back"))
        assert (tmp_path / "back").read_bytes() == (tmp_path / "f").read_bytes()


def test_multipart_copies_and_uploads(mc: Tool, at: str, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(os.urandom(70 * MIB))
    mc("cp", str(tmp_path / "f"), f"{at}/large", env={"MC_UPLOAD_MULTIPART_SIZE": "5MiB"})
    assert rows(mc, "stat", f"{at}/large")[0]["etag"].endswith("-14")
    mc("cp", f"{at}/large", f"{at}/copied")  # above 64 MiB: UploadPartCopy
    mc("cp", f"{at}/copied", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == (tmp_path / "f").read_bytes()
    mc("cp", "--disable-multipart", str(tmp_path / "f"), f"{at}/whole")
    assert "-" not in rows(mc, "stat", f"{at}/whole")[0]["etag"]


def test_mirror_diff_find_du_tree(mc: Tool, at: str, tree: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    subprocess.run(["cp", "-r", str(tree), str(work)], check=True)
    mc("mirror", str(work), f"{at}/m")
    assert mc("diff", str(work), f"{at}/m").lines == []
    (work / "new").write_bytes(b"new")
    (work / "a.txt").write_bytes(b"changed")
    (work / "dir/b.txt").unlink()
    assert len(mc("diff", str(work), f"{at}/m").lines) == 3
    mc("mirror", "--overwrite", "--remove", str(work), f"{at}/m")
    assert mc("diff", str(work), f"{at}/m").lines == []
    mc("mirror", f"{at}/m", str(tmp_path / "back"))
    assert read(tmp_path / "back") == read(work)
    mc("mirror", f"{at}/m", f"{at}/n")
    assert mc("diff", f"{at}/m", f"{at}/n").lines == []
    found = mc("find", f"{at}/m", "--name", "*.txt").lines
    assert sorted(line.rpartition("/m/")[2] for line in found) == ["a.txt", "dir/sub/c d.txt", "dir/sub/ünï.txt"]
    assert mc("find", f"{at}/m", "--larger", "1MiB").lines == [f"{at}/m/large"]
    (du,) = rows(mc, "du", f"{at}/m")
    assert (du["size"], du["objects"]) == (sum(map(len, read(work).values())), len(read(work)))
    shown = mc("tree", "--files", f"{at}/m").out
    assert "sub" in shown and "c d.txt" in shown


def test_removing(mc: Tool, at: str, tree: Path) -> None:
    mc("cp", "--recursive", f"{tree}/", f"{at}/")
    mc("rm", f"{at}/a.txt")
    assert "a.txt" not in names(mc, at)
    assert mc.run("rm", "--recursive", f"{at}/dir").code != 0  # wants --force
    mc("rm", "--recursive", "--force", f"{at}/dir")
    assert names(mc, "--recursive", at) == ["large"]
    assert mc.run("rb", at).code != 0
    mc("rb", "--force", at)
    assert mc.run("ls", at).code != 0


def test_a_bucket_of_many_keys(mc: Tool, server: Server, at: str) -> None:
    """More than one page to list, to count and to delete."""
    bucket = at.partition("/")[2]
    with server.client() as client:
        for i in range(1100):
            assert client.request("PUT", f"/{bucket}/{i % 7}/{i}", body=b"x").status == 200
    assert len(names(mc, "--recursive", at)) == 1100
    assert rows(mc, "du", at)[0]["objects"] == 1100
    mc("rm", "--recursive", "--force", f"{at}/3")
    assert rows(mc, "du", at)[0]["objects"] == 1100 - 1100 // 7 - (1100 % 7 > 3)
    mc("rb", "--force", at)


def test_forced_removal_of_uploads_under_way(mc: Tool, s3: Any, at: str) -> None:
    bucket = at.partition("/")[2]
    s3.create_multipart_upload(Bucket=bucket, Key="unfinished")
    assert names(mc, "--incomplete", "--recursive", at) == ["unfinished"]
    mc("rm", "--incomplete", "--recursive", "--force", at)
    assert names(mc, "--incomplete", "--recursive", at) == []
    s3.create_multipart_upload(Bucket=bucket, Key="unfinished")
    mc("rb", "--force", at)


def test_prefixes_are_purged(mc: Tool, at: str, tree: Path) -> None:
    """``x-minio-force-delete`` on a prefix, as mc sends it."""
    mc("cp", "--recursive", f"{tree}/", f"{at}/")
    purged = mc("--debug", "rm", "--force", "--purge", f"{at}/dir/")
    assert "x-minio-force-delete: true" in purged.err.lower()
    assert set(names(mc, "--recursive", at)) == {"a.txt", "large"}


def test_sharing(mc: Tool, server: Server, at: str, tmp_path: Path) -> None:
    mc("pipe", f"{at}/shared", stdin=b"for everybody")
    (share,) = rows(mc, "share", "download", "--expire", "1h", f"{at}/shared")
    path = share["share"].removeprefix(server.url)
    reply = exchange(server.port, f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode())
    assert (reply.status, reply.body) == (200, b"for everybody")
    (share,) = rows(mc, "share", "upload", f"{at}/uploaded")
    (tmp_path / "f").write_bytes(b"from everybody")
    command = share["share"].replace("<FILE>", str(tmp_path / "f"))
    assert command.startswith("curl ")
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert mc("cat", f"{at}/uploaded").out == "from everybody"


def test_readiness(mc: Tool) -> None:
    assert "ready" in mc("ready", "sos").out
    (ping,) = rows(mc, "ping", "--count", "1", "sos")
    assert ping["status"] == "success"
    assert mc("ready", "sos", "--cluster-read").code == 0


def test_speed_of_one_object(mc: Tool, at: str, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(os.urandom(12 * MIB))
    mc("od", f"if={tmp_path / 'f'}", f"of={at}/od", "size=5MiB")
    mc("od", f"if={at}/od", f"of={tmp_path / 'back'}")
    assert (tmp_path / "back").read_bytes() == (tmp_path / "f").read_bytes()


def test_odd_names(mc: Tool, at: str) -> None:
    odd = ["a b", "a+b", "a%b", "a%2Fb", "ä", "x&y=z", "#1", "q?x", "~", "a'b"]
    for name in odd:
        mc("pipe", f"{at}/{name}", stdin=name.encode())
    assert sorted(names(mc, at)) == sorted(odd)
    for name in odd:
        assert mc("cat", f"{at}/{name}").out == name


def test_preserved_attributes(mc: Tool, at: str, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"1")
    os.utime(tmp_path / "f", (1_500_000_000, 1_500_000_000))
    (tmp_path / "f").chmod(0o640)
    mc("cp", "--preserve", str(tmp_path / "f"), f"{at}/f")
    mc("cp", "--preserve", f"{at}/f", str(tmp_path / "back"))
    stat = (tmp_path / "back").stat()
    assert (int(stat.st_mtime), stat.st_mode & 0o777) == (1_500_000_000, 0o640)


COMMANDS = {
    "PutBucketVersioning": ("version", "enable"),
    "PutBucketTagging": ("tag", "set", "AT", "a=1"),
    "PutBucketEncryption": ("encrypt", "set", "sse-s3"),
    "PutBucketLifecycleConfiguration": ("ilm", "rule", "add", "--expire-days", "1"),
}
"""Operation → command that needs it."""


@pytest.mark.parametrize("operation", [o.name for o in OPERATIONS if o.handler is None and o.name in COMMANDS])
def test_what_is_not_implemented_is_told(mc: Tool, at: str, operation: str) -> None:
    command = [at if word == "AT" else word for word in COMMANDS[operation]]
    ended = mc.run(*command, *([] if at in command else [at]))
    assert ended.code != 0
    assert "not implemented" in ended.err
