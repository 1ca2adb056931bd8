"""Commands of ``mc`` on buckets and objects with ``--json``: the fields that scripts read, and what they are told of what
is not there. (What becomes of the data is in ``test_mc.py``.)"""

from __future__ import annotations

import hashlib
import itertools
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.kit import moments
from tests.kit.mc_json import Mc, Row
from tests.kit.server import PASSWORD, USER, Server
from tests.kit.trees import plant

TEXT = b"first line\nsecond line\n"
ETAG = hashlib.md5(TEXT).hexdigest()
TREE = {"a": b"1", "dir/b": b"22", "dir/sub/c": b"333"}
OBJECT = "Object does not exist"
#: Some commands show what the server said, some their own words.
BUCKET = {"NoSuchBucket", "Bucket `no-such-bucket` does not exist."}
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def mc(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Mc:
    return Mc(server, tmp_path_factory.mktemp("mc"))


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("file") / "f"
    path.write_bytes(TEXT)
    return path


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return plant(tmp_path_factory.mktemp("tree"), TREE)


@pytest.fixture
def name(mc: Mc) -> str:
    """A new bucket."""
    name = f"mc-json-{next(_numbers)}"
    assert mc.row("mb", f"sos/{name}") == {"status": "success", "bucket": f"sos/{name}", "region": ""}
    return name


@pytest.fixture
def at(mc: Mc, name: str, file: Path) -> str:
    """A new bucket as mc names it, with the object ``dir/f``."""
    rows = mc.rows("cp", file, f"sos/{name}/dir/f")
    assert (rows[0]["source"], rows[0]["target"], rows[0]["size"]) == (str(file), f"sos/{name}/dir/f", len(TEXT))
    assert (rows[-1]["total"], rows[-1]["transferred"]) == (len(TEXT), len(TEXT))
    return f"sos/{name}"


def by(rows: list[Row], field: str) -> dict[str, Any]:
    return {row[field]: row for row in rows}


# -- the server ------------------------------------------------------------------------------------------------


def test_alias_set_list_remove(mc: Mc, server: Server) -> None:
    """A wrong secret, an unknown key and a server that is not there are told apart."""
    made = mc.row("alias", "set", "again", server.url, USER, PASSWORD)
    assert made == {
        "status": "success", "alias": "again", "URL": server.url, "accessKey": USER, "secretKey": PASSWORD,
        "api": "s3v4", "path": "auto",
    }  # fmt: skip
    assert mc.row("alias", "list", "again")["URL"] == server.url
    assert mc.row("alias", "remove", "again")["alias"] == "again"
    wrong = mc.fails("alias", "set", "again", server.url, USER, PASSWORD + "x")
    assert wrong.told == ["SignatureDoesNotMatch"]
    assert wrong.message.startswith("The request signature we calculated does not match the signature you provided.")
    assert re.fullmatch("probe-bsign-[a-z0-9]+", wrong.about["BucketName"])
    nobody = mc.fails("alias", "set", "again", server.url, "nobody-at-all", PASSWORD)
    assert nobody.told == ["InvalidAccessKeyId"]
    assert nobody.message == "The Access Key Id you provided does not exist in our records."
    absent = mc.fails("alias", "set", "again", "http://127.0.0.1:1", USER, PASSWORD)
    assert "connection refused" in absent.told[0]
    assert "No such alias `again` found." in mc.run("alias", "list", "again").text


def test_ready_and_ping(mc: Mc, server: Server) -> None:
    ready = mc.row("ready", "sos")
    assert ready == {
        "status": "success", "alias": "sos", "healthy": True, "maintenanceMode": False, "writeQuorum": 3,
        "healingDrives": 0, "error": None,
    }  # fmt: skip
    ping = mc.row("ping", "--count", "2", "--exit", "sos")
    (host,) = ping["servers"]
    assert (host["endpoint"]["Host"], host["error-count"].strip()) == (f"127.0.0.1:{server.port}", "0")


# -- buckets ---------------------------------------------------------------------------------------------------


def test_mb_and_rb(mc: Mc, at: str) -> None:
    again = mc.fails("mb", at)
    assert (again.told, again.about["BucketName"]) == (["BucketAlreadyOwnedByYou"], at.partition("/")[2])
    assert mc.row("mb", "--ignore-existing", at)["status"] == "success"
    other = f"sos/mc-json-{next(_numbers)}"
    assert mc.row("mb", "--region", "eu-west-1", other)["bucket"] == other
    assert mc.row("rb", other) == {"status": "success", "bucket": other}
    assert mc.fails("rb", other).told == [f"Bucket `{other.partition('/')[2]}` does not exist."]
    full = mc.fails("rb", at)
    assert "is not empty" in full.rows[-1]["error"]["message"]
    assert mc.row("rb", "--force", at)["bucket"] == at
    assert "Bucket name contains invalid characters" in mc.fails("mb", "sos/No_Bucket").told


def test_stat_of_a_bucket_and_of_an_object(mc: Mc, name: str, at: str) -> None:
    bucket = mc.row("stat", at)
    assert (bucket["name"], bucket["location"], bucket["Policy"]) == (f"{name}/", "us-east-1", {"type": "none"})
    assert (bucket["Versioning"], bucket["Encryption"], bucket["ilm"]) == ({"status": "", "MFADelete": ""}, {}, {})
    assert (bucket["Replication"]["enabled"], bucket["ObjectLock"]["enabled"]) == (False, "")
    used = bucket["Usage"]
    assert (used["size"], used["objectsCount"], used["versionsCount"], used["deleteMarkersCount"]) == (
        len(TEXT),
        1,
        1,
        0,
    )
    found = mc.row("stat", f"{at}/dir/f")
    moment = found.pop("lastModified")
    assert moments.near(moment)
    assert found == {
        "status": "success", "name": "f", "size": len(TEXT), "etag": ETAG, "type": "file",
        "metadata": {"Content-Type": "application/octet-stream"},
    }  # fmt: skip
    assert mc.row("stat", f"{at}/dir")["type"] == "folder"
    assert mc.fails("stat", f"{at}/none").told == [OBJECT]
    assert BUCKET & set(mc.fails("stat", "sos/no-such-bucket").told)


def test_ls(mc: Mc, server: Server, name: str, at: str) -> None:
    assert by(mc.rows("ls", "sos"), "key")[f"{name}/"]["type"] == "folder"
    listed = mc.row("ls", "--recursive", at)
    assert moments.near(listed.pop("lastModified"))
    assert listed == {
        "status": "success", "type": "file", "size": len(TEXT), "key": "dir/f", "etag": ETAG,
        "url": f"{server.url}/{name}/", "versionOrdinal": 1, "storageClass": "STANDARD",
    }  # fmt: skip
    assert (mc.row("ls", at)["key"], mc.row("ls", at)["type"]) == ("dir/", "folder")
    assert mc.rows("ls", "--recursive", "--summarize", at)[-1] == {"totalObjects": 1, "totalSize": len(TEXT)}
    assert mc.row("ls", "--versions", f"{at}/dir/")["key"] == "f"
    assert mc.rows("ls", "--incomplete", at) == []
    assert mc.rows("ls", f"{at}/none") == []
    assert BUCKET & set(mc.fails("ls", "sos/no-such-bucket").told)


def test_find_du_and_tree(mc: Mc, at: str, tree: Path) -> None:
    mc.rows("cp", "--recursive", f"{tree}/", f"{at}/t/")
    found = mc.row("find", at, "--name", "c")
    assert (found["key"], found["size"], found["status"]) == (f"{at}/t/dir/sub/c", 3, "success")
    assert moments.near(found["lastModified"])
    assert mc.rows("find", at, "--name", "zzz") == []
    assert BUCKET & set(mc.fails("find", "sos/no-such-bucket").told)
    prefix = f"{at.partition('/')[2]}/t"
    assert mc.row("du", f"{at}/t") == {
        "prefix": prefix,
        "size": 6,
        "objects": 3,
        "status": "success",
        "isVersions": False,
    }
    assert BUCKET & set(mc.fails("du", "sos/no-such-bucket").told)
    assert [row["key"] for row in mc.rows("tree", "--files", f"{at}/t")] == list(TREE)
    assert BUCKET & set(mc.fails("tree", "sos/no-such-bucket").told)


# -- objects ---------------------------------------------------------------------------------------------------


def test_cp_and_mv(mc: Mc, at: str, tree: Path, tmp_path: Path) -> None:
    rows = mc.rows("cp", "--recursive", f"{tree}/", f"{at}/t/")
    assert {(row["target"], row["size"]) for row in rows[:-1]} == {(f"{at}/t/{k}", len(v)) for k, v in TREE.items()}
    assert (rows[-1]["total"], rows[-1]["transferred"]) == (6, 6)
    copied = mc.rows("cp", f"{at}/t/a", f"{at}/u")[0]
    assert (copied["source"], copied["target"], copied["size"]) == (f"{at}/t/a", f"{at}/u", 1)
    moved = mc.rows("mv", f"{at}/u", f"{at}/v")[0]
    assert (moved["source"], moved["target"]) == (f"{at}/u", f"{at}/v")
    assert mc.fails("stat", f"{at}/u").told == [OBJECT]
    got = mc.rows("cp", f"{at}/v", tmp_path / "v")[0]
    assert (got["target"], got["size"], (tmp_path / "v").read_bytes()) == (str(tmp_path / "v"), 1, b"1")
    for command in ("cp", "mv"):
        assert mc.fails(command, f"{at}/none", tmp_path / "none").told == [
            "Unable to guess the type of copy operation."
        ]
        absent = mc.fails(command, tmp_path / "v", "sos/no-such-bucket/v")
        assert BUCKET & set(absent.told)
    assert (tmp_path / "v").exists()


def test_cat_head_and_pipe(mc: Mc, at: str) -> None:
    assert mc.tool("--json", "cat", f"{at}/dir/f").out.encode() == TEXT
    assert mc.tool("--json", "head", "--lines", "1", f"{at}/dir/f").lines == ["first line"]
    assert mc.row("pipe", f"{at}/p", stdin=TEXT) == {"status": "success", "target": f"{at}/p", "size": len(TEXT)}
    for command in ("cat", "head"):
        assert mc.fails(command, f"{at}/none").told == [OBJECT]
        assert BUCKET & set(mc.fails(command, "sos/no-such-bucket/f").told)
    assert BUCKET & set(mc.fails("pipe", "sos/no-such-bucket/p", stdin=TEXT).told)


def test_rm(mc: Mc, at: str, tree: Path) -> None:
    mc.rows("cp", "--recursive", f"{tree}/", f"{at}/t/")
    assert mc.row("rm", f"{at}/t/a") == {
        "status": "success", "key": f"{at}/t/a", "deleteMarker": False, "versionID": "", "modTime": None,
        "dryRun": False,
    }  # fmt: skip
    dry = mc.row("rm", "--dry-run", f"{at}/dir/f")
    assert dry["dryRun"] is True and mc.row("stat", f"{at}/dir/f")["size"] == len(TEXT)
    assert {row["key"] for row in mc.rows("rm", "--recursive", "--force", f"{at}/t")} == {
        f"{at}/t/dir/b",
        f"{at}/t/dir/sub/c",
    }
    assert mc.fails("rm", f"{at}/none").told == [OBJECT]
    assert BUCKET & set(mc.fails("rm", "sos/no-such-bucket/f").told)


def test_mirror_and_diff(mc: Mc, at: str, tree: Path, tmp_path: Path) -> None:
    rows = mc.rows("mirror", tree, f"{at}/m")
    assert {row["target"] for row in rows[:-1]} == {f"{at}/m/{key}" for key in TREE}
    assert (rows[-1]["total"], rows[-1]["transferred"]) == (6, 6)
    assert mc.rows("diff", tree, f"{at}/m") == []
    mc.rows("rm", f"{at}/m/a")
    mc.rows("pipe", f"{at}/m/more", stdin=b"4444")
    mc.rows("pipe", f"{at}/m/dir/b", stdin=b"another size")
    found = mc.rows("diff", tree, f"{at}/m")
    assert sorted((Path(row["first"]).name, Path(row["second"]).name, row["diff"]) for row in found) == [
        ("", "more", 6),
        ("a", "", 5),
        ("b", "b", 2),
    ]
    back = mc.rows("mirror", f"{at}/m", tmp_path / "back")
    assert back[-1]["transferred"] == 4 + 3 + len(b"another size")
    assert BUCKET & set(mc.fails("mirror", "sos/no-such-bucket", tmp_path / "x").told)
    assert BUCKET & set(mc.fails("diff", tree, "sos/no-such-bucket").told)


# -- for others ------------------------------------------------------------------------------------------------


def test_share(mc: Mc, server: Server, at: str, tmp_path: Path) -> None:
    url = f"{server.url}/{at.partition('/')[2]}"
    down = mc.row("share", "download", "--expire", "1h", f"{at}/dir/f")
    assert (down["url"], down["timeLeft"]) == (f"{url}/dir/f", 3600 * 10**9)
    assert down["share"].startswith(f"{url}/dir/f?X-Amz-Algorithm=") and "X-Amz-Expires=3600" in down["share"]
    up = mc.row("share", "upload", "--recursive", f"{at}/in/")
    assert up["share"].startswith(f"curl {url}/ -F ") and "-F key=in/" in up["share"]
    command = up["share"].replace("<FILE>", str(tmp_path / "f")).replace("<NAME>", "f")
    (tmp_path / "f").write_bytes(TEXT)
    subprocess.run(command, shell=True, capture_output=True, check=True)
    assert mc.row("stat", f"{at}/in/f")["size"] == len(TEXT)
    assert down["share"] in [row["share"] for row in mc.rows("share", "list", "download")]
    assert up["url"] in [row["url"] for row in mc.rows("share", "list", "upload")]
    assert mc.fails("share", "download", f"{at}/none").told == [OBJECT]


def test_anonymous_set_get_and_list(mc: Mc, server: Server, name: str, at: str, tmp_path: Path) -> None:
    assert mc.row("anonymous", "get", at)["permission"] == "private"
    for permission, allow in (("download", "readonly"), ("upload", "writeonly"), ("public", "readwrite")):
        made = mc.row("anonymous", "set", permission, at)
        assert made == {"operation": "set", "status": "success", "bucket": at, "permission": permission}
        got = mc.row("anonymous", "get", at)
        assert (got["permission"], got["anonymous"]["Version"]) == (permission, "2012-10-17")
        assert mc.row("anonymous", "list", at) == {"resource": f"{name}/*", "allow": allow}
    assert f"{server.url}/{name}/dir/" in [row["url"] for row in mc.rows("anonymous", "links", at)]
    mc.row("anonymous", "set", "none", at)
    assert mc.row("anonymous", "get", at)["permission"] == "private"
    assert mc.rows("anonymous", "list", at) == []
    mc.row("anonymous", "set", "download", f"{at}/dir")
    assert mc.row("anonymous", "get", f"{at}/dir")["permission"] == "download"
    path = tmp_path / "policy.json"
    statement = '{"Effect": "Allow", "Principal": %s, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::%s/*"}'
    path.write_text('{"Version": "2012-10-17", "Statement": [' + statement % ('"*"', name) + "]}")
    assert mc.row("anonymous", "set-json", path, at)["status"] == "success"
    (kept,) = mc.row("anonymous", "get-json", at)["anonymous"]["Statement"]
    assert (kept["Effect"], kept["Action"]) == ("Allow", "s3:GetObject")
    path.write_text('{"Version": "2012-10-17", "Statement": [' + statement % ('"*"', "another-bucket") + "]}")
    assert mc.fails("anonymous", "set-json", path, at).told == ["MalformedPolicy"]
    assert "Unrecognized permission" in mc.fails("anonymous", "set", "perhaps", at).text
    assert BUCKET & set(mc.fails("anonymous", "get", "sos/no-such-bucket").told)
    assert BUCKET & set(mc.fails("anonymous", "set", "download", "sos/no-such-bucket").told)


def test_od(mc: Mc, at: str, file: Path, tmp_path: Path) -> None:
    """Parts of a size below that of a real multipart upload: as many requests as parts."""
    up = mc.row("od", f"if={file}", f"of={at}/od", "size=5MiB")
    assert (up["type"], up["source"], up["target"], up["totalSize"]) == ("FStoS3", str(file), f"{at}/od", len(TEXT))
    down = mc.row("od", f"if={at}/od", f"of={tmp_path / 'od'}")
    assert (down["type"], down["totalSize"]) == ("S3toFS", len(TEXT)) and (tmp_path / "od").read_bytes() == TEXT
    assert "not found" in mc.fails("od", f"if={tmp_path / 'none'}", f"of={at}/x").told[0]
    assert BUCKET & set(mc.fails("od", f"if={file}", "of=sos/no-such-bucket/x").told)


def test_watch_says_that_there_is_no_such_thing(mc: Mc, at: str) -> None:
    """Its parameters have one name and are signed in the order sent."""
    said = mc.run("watch", at)
    assert len(said.told) == 1 and "`Watch` is not supported" in said.told[0]
