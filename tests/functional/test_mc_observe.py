"""What the real ``mc`` shows of a running server: traces, logs, figures, speed, profiles, records, and who may look."""

from __future__ import annotations

import hashlib
import http.client
import io
import itertools
import json
import pstats
import queue
import re
import struct
import subprocess
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import msgspec
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.kit.clients import Tool, mc, refusal
from tests.kit.server import PASSWORD, USER, Client, Server, until
from tests.kit.signed_requests import sign_v4

ADMIN = "/minio/admin/v3/"
SECRET = "a-secret-of-hers"
LOCAL = ("--dev", "--airgap", "--json")
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mc")


@pytest.fixture(scope="module")
def tool(server: Server, home: Path) -> Tool:
    return mc(server.url, home)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where ``mc support`` puts its files."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@contextmanager
def listening(tool: Tool, *arguments: str) -> Iterator[Callable[[], list[Any]]]:
    """A command that goes on; gives what it has printed so far as JSON."""
    process = subprocess.Popen(
        [*tool.command, *arguments, "--json"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    assert process.stdout is not None
    threading.Thread(target=lambda: [lines.put(line) for line in process.stdout], daemon=True).start()
    found: list[Any] = []

    def printed() -> list[Any]:
        while not lines.empty():
            text = lines.get()
            if text.strip():
                found.append(json.loads(text))
        return found

    try:
        yield printed
    finally:
        process.kill()
        process.wait()


@contextmanager
def opened(server: Server, method: str, call: str, **query: str) -> Iterator[http.client.HTTPResponse]:
    """A call of the admin API whose reply is read as it comes."""
    text = urlencode(sorted(query.items()))
    digest, stamp = hashlib.sha256(b"").hexdigest(), datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    fields = {"host": f"127.0.0.1:{server.port}", "x-amz-date": stamp, "x-amz-content-sha256": digest}
    fields["authorization"] = sign_v4(
        method, ADMIN + call, text, fields, digest, access=USER, secret=PASSWORD, stamp=stamp
    )
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        connection.request(method, f"{ADMIN}{call}?{text}", headers=fields)
        yield connection.getresponse()
    finally:
        connection.close()


# -- trace -----------------------------------------------------------------------------------------------


def seen(printed: Callable[[], list[Any]], act: Callable[[], object], **wanted: str) -> dict[str, Any]:
    """The first trace with some members, while something is done again and again."""

    def one() -> dict[str, Any] | None:
        act()
        return next((line for line in printed() if all(line.get(k) == v for k, v in wanted.items())), None)

    return until(one, f"a trace with {wanted}")


def test_a_trace_shows_requests_of_every_worker(server: Server, tool: Tool, bucket: str) -> None:
    with listening(tool, "admin", "trace", "-v", "sos") as printed:
        for slot in (0, 1):
            with server.client_of(slot) as client:
                path = f"/{bucket}/from {slot}"
                put = partial(client.request, "PUT", path, body=b"x" * 100)
                line = seen(printed, put, path=path.replace(" ", "%20"))
                assert (line["api"], line["type"], line["host"]) == ("s3.PutObject", "S3", f"127.0.0.1:{server.port}")
                assert line["request"]["method"] == "PUT"
                assert line["response"]["statusCode"] == 200
                assert line["response"]["headers"]["Etag"]
                assert line["callStats"]["rx"] >= 100
                assert line["duration"] >= line["callStats"]["timeToFirstByte"] > 0
        client = server.client()
        missing = seen(printed, lambda: client.request("GET", f"/{bucket}/none"), path=f"/{bucket}/none")
        assert missing["response"]["statusCode"] == 404
        assert "NoSuchKey" in missing["response"]["body"]
        client.close()
        assert {line["type"] for line in printed()} == {"S3"}


def test_a_trace_shows_what_is_asked_for(server: Server, tool: Tool, bucket: str) -> None:
    with listening(tool, "admin", "trace", "-v", "--errors", "sos") as printed, server.client() as client:

        def both() -> None:
            client.request("GET", f"/{bucket}/none")
            client.request("PUT", f"/{bucket}/there")

        assert seen(printed, both, path=f"/{bucket}/none")
        assert not [line for line in printed() if line["path"] == f"/{bucket}/there"]
    with listening(tool, "admin", "trace", "-v", "--call", "internal", "sos") as printed:
        assert (
            seen(printed, lambda: tool("admin", "info", "sos", "--json"), api="admin.ServerInfo")["type"] == "Internal"
        )
        with server.client() as client:
            assert seen(printed, lambda: client.request("GET", "/minio/health/live"), api="health.live")
        assert {line["type"] for line in printed()} == {"Internal"}
    with listening(tool, "admin", "trace", "-v", "--response-duration", "1h", "sos") as slow, server.client() as client:
        with listening(tool, "admin", "trace", "-v", "sos") as printed:
            assert seen(printed, lambda: client.request("GET", f"/{bucket}/none"), path=f"/{bucket}/none")
        assert slow() == []


def test_a_trace_shows_no_secrets(server: Server, tool: Tool, s3: Any, bucket: str) -> None:
    """A26"""
    s3.put_object(Bucket=bucket, Key="key", Body=b"x")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "key"})
    customer = "Y3VzdG9tZXIta2V5LWN1c3RvbWVyLWtleS0xMjM0NTY="
    fields = {
        "x-amz-server-side-encryption-customer-algorithm": "AES256",
        "x-amz-server-side-encryption-customer-key": customer,
        "cookie": "session=of-hers",
        "referer": f"http://127.0.0.1/{bucket}/key?X-Amz-Signature=referred",
    }
    with listening(tool, "admin", "trace", "-v", "-a", "sos") as printed, server.client() as client:
        assert seen(printed, lambda: urlopen(url).read(), path=f"/{bucket}/key")
        client.be("nobody", "nothing", "session-token-of-hers")

        def asked() -> None:
            client.request("GET", f"/{bucket}/other", {"X-Amz-Security-Token": "token-in-query"}, headers=fields)
            client.request("POST", "/minio/admin/v3/none", {"secretKey": "secret-of-form"})

        line = seen(printed, asked, path=f"/{bucket}/other")
        assert (
            line["request"]["headers"]["Cookie"] == ["*REDACTED*"]
            or line["request"]["headers"]["Cookie"] == "*REDACTED*"
        )
        shown = json.dumps(printed())
    parameters = dict(part.split("=") for part in url.split("?")[1].split("&"))
    hidden = [customer, "of-hers", "referred", "token-in-query", "secret-of-form", parameters["Signature"], PASSWORD]
    assert [text for text in hidden if text in shown] == []
    assert not re.search(r"Signature=(?!\*REDACTED)", shown)


def test_a_slow_listener_loses_events_and_is_told(server: Server, s3: Any, bucket: str) -> None:
    """The server keeps no more than its rings hold, and requests go on."""
    with opened(server, "GET", "trace", s3="true", err="false", threshold="0s") as reply, server.client() as client:
        assert reply.status == 200
        assert reply.read(1) == b" "
        for i in range(3000):
            client.request("GET", f"/{bucket}/slow-{i}", headers={"x-amz-meta-long": "x" * 5000})
        found = []
        while not found or found[-1]["funcname"] != "trace.Lost":
            text = reply.readline().strip()
            if text:
                found.append(json.loads(text))
        assert int(found[-1]["custom"]["lost"]) > 0


# -- logs ------------------------------------------------------------------------------------------------


def test_logs_are_those_of_every_process(server: Server, tool: Tool) -> None:
    with listening(tool, "admin", "logs", "--last", "1000", "sos") as printed:

        def served() -> set[str]:
            return {line["message"].split(" (")[0] for line in printed() if "serves" in line["message"]}

        until(lambda: served() >= {"worker 0 serves", "worker 1 serves"}, "what both workers said")
        line = next(line for line in printed() if line["message"].startswith("worker 0 serves"))
        assert (line["level"], line["node"]) == ("INFO", f"127.0.0.1:{server.port}")
        assert line["deploymentid"]
        assert line["error"]["source"]
    with listening(tool, "admin", "logs", "--last", "1", "sos") as printed:
        until(printed, "the last line")
        assert len(printed()) == 1
    with listening(tool, "admin", "logs", "sos", "another-node") as printed:
        with listening(tool, "admin", "logs", "sos") as both:
            until(both, "a line")
        assert printed() == []


# -- figures ---------------------------------------------------------------------------------------------


def test_figures_of_the_machine(server: Server) -> None:
    with opened(server, "GET", "metrics", types="0", n="2", interval="1s", **{"by-disk": "true"}) as reply:
        first, last = (json.loads(line) for line in reply.read().splitlines() if line.strip())
    assert (first["final"], last["final"]) == (False, True)
    assert first["hosts"] == [f"127.0.0.1:{server.port}"]
    figures = first["aggregated"]
    assert figures["disk"]["n_disks"] == 4
    assert figures["mem"]["memInfo"]["total"] > figures["mem"]["memInfo"]["used"] > 0
    assert figures["cpu"]["timesStat"]["user"] > 0
    assert set(first["by_disk"]) == set(server.paths)
    with opened(server, "GET", "metrics", types="64", n="1", hosts="another:9000") as reply:
        assert json.loads(reply.read()) == {"hosts": [], "aggregated": {}, "final": True}


# -- speed -----------------------------------------------------------------------------------------------


def test_the_speed_of_objects(server: Server, tool: Tool, s3: Any, bucket: str) -> None:
    before = [one["Name"] for one in s3.list_buckets()["Buckets"]]
    asked = ("--size", "64KiB", "--duration", "2s", "--concurrent", "4")
    found = json.loads(tool("support", "perf", "object", "sos", *asked, *LOCAL).out)["object"]
    assert (found["objectSize"], found["threads"]) == (65536, 4)
    for kind in ("PUT", "GET"):
        assert found[kind]["perf"]["throughput"] > found[kind]["perf"]["objectsPerSec"] > 0
        times = found[kind]["perf"]["responseTime"]
        assert 0 < times["min"] <= times["p50"] <= times["p99"] <= times["max"]
        assert "error" not in found[kind]["servers"][0]
    assert [one["Name"] for one in s3.list_buckets()["Buckets"]] == before
    tool("support", "perf", "object", "sos", *asked, "--bucket", bucket, *LOCAL)
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)
    with server.client() as client:
        refused = client.request("POST", f"{ADMIN}speedtest", {"size": "1024", "bucket": "no-such-bucket"})
        assert (refused.status, json.loads(refused.body)["Code"]) == (404, "NoSuchBucket")


def test_nothing_is_left_of_a_speed_test_whose_client_leaves(server: Server, s3: Any) -> None:
    def own() -> list[str]:
        return [one["Name"] for one in s3.list_buckets()["Buckets"] if one["Name"].startswith("sos-speedtest-")]

    with opened(server, "POST", "speedtest", size="65536", duration="60s", concurrent="4") as reply:
        assert json.loads(reply.readline())["version"] == ""
        [bucket] = own()
        until(lambda: s3.list_objects_v2(Bucket=bucket).get("Contents"), "objects of the test")
    until(lambda: not own(), "the end of the test's bucket")


def test_the_speed_of_drives(server: Server, tool: Tool) -> None:
    for more in ((), ("--serial",)):
        sizes = ("--filesize", "8MiB", "--blocksize", "1MiB", *more)
        [found] = json.loads(tool("support", "perf", "drive", "sos", *sizes, *LOCAL).out)["drive"]["servers"]
        assert [one["path"] for one in found["perf"]] == server.paths
        assert all(one["readThroughput"] > 0 and one["writeThroughput"] > 0 for one in found["perf"])
    [found] = json.loads(tool("support", "perf", "drive", "sos", "--filesize", "1PiB", *LOCAL).out)["drive"]["servers"]
    assert all("free" in one["error"] for one in found["perf"])
    held = {entry.name for path in server.paths for entry in (Path(path) / ".sos").iterdir()}
    assert held <= {"format.json", "index", "volumes", "lock"}


def test_the_speed_of_the_network(server: Server, tool: Tool) -> None:
    found = json.loads(tool("support", "perf", "client", "sos", "--duration", "5s", *LOCAL).out)["client"]
    assert found["bytesSent"] > 0
    with server.client() as client:
        reply = client.request("POST", f"{ADMIN}speedtest/net", {"duration": "1s"})
        assert (reply.status, json.loads(reply.body)["Code"]) == (501, "NotImplemented")
        assert client.request("POST", f"{ADMIN}speedtest/none").status == 426


@pytest.mark.parametrize(
    ("call", "query"),
    [
        ("speedtest", {"size": "0"}),
        ("speedtest", {"size": "many"}),
        ("speedtest", {"concurrent": "1000000"}),
        ("speedtest", {"duration": "soon"}),
        ("speedtest/drive", {"blocksize": str(1 << 40)}),
        ("profile", {"profilerType": "none"}),
        ("profile", {"profilerType": "cpu", "duration": "100h"}),
    ],
)
def test_what_makes_no_sense_is_refused(server: Server, call: str, query: dict[str, str]) -> None:
    with server.client() as client:
        reply = client.request("POST", ADMIN + call, query)
        assert (reply.status, json.loads(reply.body)["Code"]) == (400, "XMinioAdminInvalidArgument")


def test_a_speed_test_that_would_not_fit_is_refused(server: Server) -> None:
    with server.client() as client:
        reply = client.request("POST", f"{ADMIN}speedtest", {"size": str(5 << 30), "concurrent": "4096"})
        assert (reply.status, json.loads(reply.body)["Code"]) == (507, "XMinioSpeedtestInsufficientCapacity")


# -- profiles, diagnostics, records ----------------------------------------------------------------------


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


# -- who may ---------------------------------------------------------------------------------------------

CALLS = [
    ("GET", "trace", "ServerTrace"),
    ("GET", "log", "ConsoleLog"),
    ("GET", "metrics", "ServerInfo"),
    ("POST", "speedtest", "OBDInfo"),
    ("POST", "speedtest/drive", "OBDInfo"),
    ("POST", "speedtest/client/devnull", "BandwidthMonitor"),
    ("POST", "profile", "Profiling"),
    ("GET", "healthinfo", "OBDInfo"),
    ("GET", "inspect-data", "InspectData"),
]


def test_each_call_needs_its_right(server: Server, tool: Tool, tmp_path: Path) -> None:
    """A04"""
    name = f"watcher-{next(_numbers)}"
    tool("admin", "user", "add", "sos", name, SECRET)
    query = {"profilerType": "threads", "duration": "1s", "volume": "none", "file": "none", "n": "1"}

    def status(client: Client, method: str, call: str) -> tuple[int, str]:
        reply = client.request(method, ADMIN + call, query)
        return reply.status, json.loads(reply.body).get("Code", "")

    with server.client() as client:
        client.be(name, SECRET)
        assert {status(client, method, call) for method, call, _ in CALLS} == {(403, "AccessDenied")}
        client.be("")
        assert {status(client, method, call) for method, call, _ in CALLS} == {(403, "AccessDenied")}
        for method, call, action in CALLS:
            if call in ("metrics", "inspect-data"):
                document = {"Effect": "Allow", "Action": [f"admin:{action}"]}
                path = tmp_path / f"{action}.json"
                path.write_text(json.dumps({"Version": "2012-10-17", "Statement": [document]}))
                tool("admin", "policy", "create", "sos", f"only-{action}", str(path))
                tool("admin", "policy", "attach", "sos", f"only-{action}", "--user", name)
                client.be(name, SECRET)
                assert status(client, method, call)[0] in (200, 404)


def test_s3_goes_on(s3: Any, bucket: str) -> None:
    """After all that: the workers are those of the start, which the end of the session looks at."""
    s3.put_object(Bucket=bucket, Key="key", Body=b"x")
    assert refusal(s3.get_object, Bucket=bucket, Key="none") == (404, "NoSuchKey")
