"""``mc support`` with the real mc: profiles of every worker, diagnostics, and the records of objects."""

from __future__ import annotations

import io
import json
import pstats
import re
import struct
import zipfile
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.kit.admin_wire import ADMIN
from tests.kit.clients import Tool, mc
from tests.kit.server import PASSWORD, Server

LOCAL = ("--dev", "--airgap", "--json")


@pytest.fixture(scope="module")
def tool(server: Server, home: Path) -> Tool:
    return mc(server.url, home)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where ``mc support`` puts its files."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_profiles_of_every_worker(tool: Tool, here: Path) -> None:
    kinds = "cpu,mem,block,goroutines,runtime"
    made = json.loads(tool("support", "profile", "sos", "--duration", "1", "--type", kinds, *LOCAL).out)
    assert made["file"] == "profile.zip"
    with zipfile.ZipFile(here / "profile.zip") as archive:
        files = {re.sub(r"profile-[\d.:]+-", "", name): archive.read(name) for name in archive.namelist()}
    for slot in (0, 1):
        of = {name.removeprefix(f"worker{slot}-"): text for name, text in files.items() if f"worker{slot}" in name}
        assert set(of) == {"cpu.pstats", "cpu.txt", "mem.txt", "goroutines.txt", "runtime.json", "notes.txt"}
        (here / "stats").write_bytes(of["cpu.pstats"])
        assert pstats.Stats(str(here / "stats")).total_calls > 0  # type: ignore[attr-defined]
        assert b"thread MainThread" in of["goroutines.txt"]
        assert json.loads(of["runtime.json"])["threads"] > 1
        assert b"block" in of["notes.txt"]


def test_a_profile_begun_and_taken(server: Server) -> None:
    with server.client() as client:
        refused = client.request("GET", f"{ADMIN}profiling/download")
        assert (refused.status, json.loads(refused.body)["Code"]) == (400, "XMinioAdminProfilerNotEnabled")
        begun = client.request("POST", f"{ADMIN}profiling/start", {"profilerType": "threads"})
        assert json.loads(begun.body)[0]["success"] is True
        with zipfile.ZipFile(io.BytesIO(client.request("GET", f"{ADMIN}profiling/download").body)) as archive:
            assert len(archive.namelist()) == 2


def test_diagnostics(server: Server, tool: Tool, here: Path) -> None:
    found = json.loads(tool("support", "diag", "sos", *LOCAL).out)
    assert found["version"] == "3"
    assert {len(found["sys"][part]) for part in ("cpus", "osinfo", "meminfo", "partitions")} == {1}
    assert len(found["sys"]["procinfo"]) >= 3
    assert [one["mountpoint"] for one in found["sys"]["partitions"][0]["partitions"]] == server.paths
    assert found["minio"]["info"]["servers"][0]["endpoint"] == f"127.0.0.1:{server.port}"
    assert found["minio"]["config"]["config"]["root_password"] == '"********"'
    text = json.dumps(found)
    assert PASSWORD not in text
    strict = tool("support", "diag", "sos", "--anonymize", "strict", *LOCAL).out
    assert json.loads(strict)["sys"]["osinfo"]
    assert f"127.0.0.1:{server.port}" not in strict
    assert server.paths[0] not in strict


def unsealed(key: bytes, nonce: bytes, sealed: bytes) -> zipfile.ZipFile:
    """The archive of an AES-256-GCM stream of sio-go."""
    cipher = AESGCM(key)
    tag = cipher.encrypt(nonce + bytes(4), b"", b"")
    pieces = [sealed[at : at + 16400] for at in range(0, len(sealed), 16400)]
    text = b""
    for i, piece in enumerate(pieces, 1):
        flag = b"\x80" if i == len(pieces) else b"\x00"
        text += cipher.decrypt(nonce + struct.pack("<I", i), piece, flag + tag)
    return zipfile.ZipFile(io.BytesIO(text))


def held(archive: zipfile.ZipFile, server: Server, bucket: str, key: str) -> list[dict[str, Any]]:
    """What each drive has of a key."""
    return [
        json.loads(archive.read(f"127.0.0.1:{server.port}{path}/{bucket}/{key}/records.json")) for path in server.paths
    ]


def test_records_of_an_object_on_every_drive(server: Server, tool: Tool, s3: Any, bucket: str, here: Path) -> None:
    s3.put_object(Bucket=bucket, Key="dir/large", Body=b"x" * (1 << 20))
    made = json.loads(tool("support", "inspect", f"sos/{bucket}/dir/large/xl.meta", "--legacy", *LOCAL).out)
    key = bytes.fromhex(made["key"])[4:]
    with unsealed(key, bytes(8), (here / made["file"]).read_bytes()) as archive:
        drives = held(archive, server, bucket, "dir/large")
    assert len({drive["rows"][0]["value"] for drive in drives}) == 1
    record = drives[0]["rows"][0]["record"]
    assert (record["size"], record["data"]["k"], record["data"]["m"], record["data"]["have"]) == (1 << 20, 2, 2, 15)


def test_records_sealed_for_a_key(server: Server, tool: Tool, s3: Any, bucket: str, here: Path, home: Path) -> None:
    for name in ("dir/one", "dir/two", "dir/deep/three", "other"):
        s3.put_object(Bucket=bucket, Key=name, Body=b"x")
    private = rsa.generate_private_key(65537, 2048)
    form = serialization.PublicFormat.PKCS1
    (home / "support_public.pem").write_bytes(private.public_key().public_bytes(serialization.Encoding.PEM, form))
    made = json.loads(tool("support", "inspect", f"sos/{bucket}/dir/*", *LOCAL).out)
    data = (here / made["file"]).read_bytes()
    assert data[:2] == b"\x02\x01"
    blocks = blocks_of(data[2:])
    wrapped = next(content[1] for kind, content in blocks if kind == 2)
    nonce = next(content[3] for kind, content in blocks if kind == 3)
    key = private.decrypt(wrapped, padding.OAEP(padding.MGF1(hashes.SHA512()), hashes.SHA512(), None))
    with unsealed(key, nonce, b"".join(content[0] for kind, content in blocks if kind == 5)) as archive:
        assert held(archive, server, bucket, "dir/one")
        found = {name for name in archive.namelist() if name.endswith("records.json")}
    assert len(found) == 2 * len(server.paths)
    deep = json.loads(tool("support", "inspect", f"sos/{bucket}/dir/**", *LOCAL).out)
    assert (here / deep["file"]).stat().st_size > len(data)


def blocks_of(data: bytes) -> list[tuple[int, list[Any]]]:
    """Kind and content of the blocks of an estream."""
    found, at = [], 0

    def one() -> Any:
        nonlocal at
        for end in range(at + 1, len(data) + 1):
            try:
                value = msgspec.msgpack.decode(data[at:end])
            except msgspec.DecodeError:
                continue
            at = end
            return value
        raise AssertionError("cut off")

    while at < len(data):
        kind, length = one(), one()
        stop, content = at + length, []
        while at < stop:
            head = data[at]
            if head in (0xC4, 0xC5, 0xC6):  # binary, whose length need not be tried out
                width = 1 << (head - 0xC4)
                size = int.from_bytes(data[at + 1 : at + 1 + width], "big")
                content.append(data[at + 1 + width : at + 1 + width + size])
                at += 1 + width + size
            else:
                content.append(one())
        found.append((kind, content))
    return found


def test_nothing_to_inspect(tool: Tool, bucket: str, here: Path) -> None:
    for place in (f"sos/{bucket}/none", "sos/no-such-bucket/none"):
        assert tool.run("support", "inspect", place, *LOCAL).code != 0


@pytest.mark.parametrize("query", [{"profilerType": "none"}, {"profilerType": "cpu", "duration": "100h"}])
def test_a_profile_that_makes_no_sense_is_refused(server: Server, query: dict[str, str]) -> None:
    with server.client() as client:
        reply = client.request("POST", f"{ADMIN}profile", query)
        assert (reply.status, json.loads(reply.body)["Code"]) == (400, "XMinioAdminInvalidArgument")
