"""Transfers of ``sos client`` that are large, broken off, interrupted, or fed by a server that lies."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import random
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import pytest

from tests.kit.clients import Tool
from tests.kit.server import until

MIB = 1 << 20


@pytest.fixture(scope="module")
def large() -> bytes:
    return random.Random(7).randbytes(70 * MIB)


def start(tool: Tool, *arguments: str | Path, **named: Any) -> subprocess.Popen[bytes]:
    """A command that runs on."""
    env = {**{k: v for k, v in os.environ.items() if not k.startswith("MC_")}, **tool.env, **named.pop("env", {})}
    # where the tests run in the background of a shell, SIGINT is ignored, and children inherit that
    return subprocess.Popen(["env", "--default-signal=INT", *tool.command, *map(str, arguments)], env=env, **named)


# -- large objects ---------------------------------------------------------------------------------------


def test_a_large_file_goes_in_parts_and_comes_back_in_spans(
    bucket: str, large: bytes, tmp_path: Path, tool: Tool, s3: Any
) -> None:
    (tmp_path / "large").write_bytes(large)
    tool("cp", tmp_path / "large", f"sos/{bucket}/large")
    head = s3.head_object(Bucket=bucket, Key="large")
    assert (head["ContentLength"], head["ETag"].strip('"').rpartition("-")[2]) == (len(large), "5")
    tool("cp", f"sos/{bucket}/large", tmp_path / "back")
    assert ((tmp_path / "back").read_bytes() == large) is True
    tool("cp", "--disable-multipart", tmp_path / "large", f"sos/{bucket}/single")
    assert s3.head_object(Bucket=bucket, Key="single")["ETag"].strip('"') == hashlib.md5(large).hexdigest()
    tool("cp", f"sos/{bucket}/single", tmp_path / "single")
    assert ((tmp_path / "single").read_bytes() == large) is True


def test_a_bar_is_drawn_on_a_terminal_and_only_there(bucket: str, tmp_path: Path, tool: Tool) -> None:
    (tmp_path / "x").write_bytes(b"x" * MIB)
    assert tool("cp", tmp_path / "x", f"sos/{bucket}/x").err == ""
    ours, theirs = pty.openpty()
    process = start(tool, "cp", tmp_path / "x", f"sos/{bucket}/x", stderr=theirs, stdout=subprocess.PIPE,
                    env={"TERM": "xterm", "COLUMNS": "120"})  # fmt: skip
    os.close(theirs)
    shown = _drained(ours)
    assert process.wait(60) == 0
    assert b"MiB" in shown


def _drained(descriptor: int) -> bytes:
    found = b""
    while True:
        try:
            data = os.read(descriptor, 65536)
        except OSError:
            # the other end was closed
            data = b""
        if not data:
            os.close(descriptor)
            return found
        found += data


# -- interruptions ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_upload_leaves_no_parts(bucket: str, tool: Tool, s3: Any, number: signal.Signals) -> None:
    process = start(
        tool, "pipe", f"sos/{bucket}/half", stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdin is not None
    for _ in range(66):
        process.stdin.write(b"\0" * MIB)
    process.stdin.flush()
    until(lambda: s3.list_multipart_uploads(Bucket=bucket).get("Uploads"), "the upload")
    process.send_signal(number)
    assert process.wait(60) == 130
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)
    for stream in (process.stdin, process.stdout, process.stderr):
        assert stream is not None
        stream.close()


def test_an_interrupted_download_leaves_no_file(fake: Fake, tool: Tool, tmp_path: Path) -> None:
    fake.objects["stalls"] = b"x" * MIB
    fake.stall_at = MIB // 2
    process = start(tool, "cp", "fake/bucket/stalls", tmp_path / "in" / "x", stderr=subprocess.PIPE, env=fake.env)
    until(lambda: list(tmp_path.glob("in/.sos-*")), "the draft")
    until(lambda: fake.stalled.is_set(), "the stall")
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert list((tmp_path / "in").iterdir()) == []


# -- servers that lie ------------------------------------------------------------------------------------


class Fake:
    """A server that lists and serves whatever keys it is told to, and breaks off when it is told to."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.cuts: list[int] = []  # each answer with a body breaks off after so many bytes, until none is left
        self.wrong_etag = False
        self.stall_at = -1
        self.stalled, self.released = threading.Event(), threading.Event()
        self.asked: list[str] = []
        handler = type("Handler", (_Handler,), {"fake": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def env(self) -> dict[str, str]:
        return {"MC_HOST_fake": f"http://somekey:somesecret@127.0.0.1:{self.server.server_port}"}

    def close(self) -> None:
        self.released.set()
        self.server.shutdown()
        self.server.server_close()

    def etag(self, key: str) -> str:
        return "0" * 32 if self.wrong_etag else hashlib.md5(self.objects[key]).hexdigest()

    def listing(self) -> bytes:
        entries = "".join(
            f"<Contents><Key>{quote(key)}</Key><LastModified>2024-01-01T00:00:00.000Z</LastModified>"
            f"<ETag>&quot;{self.etag(key)}&quot;</ETag><Size>{len(data)}</Size><StorageClass>STANDARD</StorageClass></Contents>"
            for key, data in self.objects.items()
        )
        head = '<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        kind = "<EncodingType>url</EncodingType><IsTruncated>false</IsTruncated><Name>bucket</Name><Prefix></Prefix>"
        return f"{head}{kind}{entries}</ListBucketResult>".encode()


class _Handler(BaseHTTPRequestHandler):
    fake: Fake
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self.answer(False)

    def do_GET(self) -> None:
        self.answer(True)

    def answer(self, body: bool) -> None:
        url = urlsplit(self.path)
        query = parse_qs(url.query, keep_blank_values=True)
        key = unquote(url.path).removeprefix("/bucket").removeprefix("/")
        if "location" in query:
            return self.send(b'<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/"/>')
        if not key:
            return self.send(self.fake.listing() if "list-type" in query else b"")
        if key not in self.fake.objects:
            return self.send(b"<Error><Code>NoSuchKey</Code><Message>none</Message></Error>", 404)
        return self.object(key, body)

    def send(self, body: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def object(self, key: str, body: bool) -> None:
        data, start = self.fake.objects[key], 0
        asked = self.headers.get("Range", "")
        if body:
            self.fake.asked.append(asked)
        if asked:
            start = int(asked.removeprefix("bytes=").partition("-")[0])
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(data) - start))
        self.send_header("ETag", f'"{self.fake.etag(key)}"')
        self.send_header("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT")
        self.end_headers()
        if body:
            self.body(data[start:])

    def body(self, data: bytes) -> None:
        if self.fake.cuts:
            data, self.close_connection = data[: self.fake.cuts.pop()], True
        if self.fake.stall_at >= 0:
            self.wfile.write(data[: self.fake.stall_at])
            self.fake.stalled.set()
            self.fake.released.wait(60)
            return
        self.wfile.write(data)


@pytest.fixture
def fake() -> Iterator[Fake]:
    made = Fake()
    yield made
    made.close()


@pytest.mark.parametrize("command", [("cp", "-r"), ("mirror",)])
@pytest.mark.parametrize("evil", ["../out", "a/../../out", "/tmp-out", "a//b", "..", "a/..", "./x", "n" * 300, "a/\0b"])
def test_a_key_that_leads_out_is_refused_and_the_others_are_fetched(
    fake: Fake, tool: Tool, tmp_path: Path, command: tuple[str, ...], evil: str
) -> None:
    fake.objects = {evil: b"evil", "good": b"good"}
    target = tmp_path / "deep" / "in"
    ended = tool.run(*command, "fake/bucket/", target, env=fake.env)
    assert ended.code == 1
    assert "Failed to copy" in ended.err
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [target / "good"]
    assert (target / "good").read_bytes() == b"good"


def test_a_single_object_is_held_to_the_same(fake: Fake, tool: Tool, tmp_path: Path) -> None:
    fake.objects = {"a/..": b"evil"}
    assert tool.run("cp", "fake/bucket/a/..", f"{tmp_path}/in/", env=fake.env).code == 1
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_links_in_the_target_folder_are_not_followed(fake: Fake, tool: Tool, tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    (outside / "file").write_text("kept")
    (inside / "link").symlink_to(outside)
    (inside / "file").symlink_to(outside / "file")
    fake.objects = {"link/file": b"evil", "link/new": b"evil", "file": b"new"}
    ended = tool.run("cp", "-r", "fake/bucket/", inside, env=fake.env)
    assert ended.code == 1
    assert "symbolic link" in ended.err
    assert [path.name for path in outside.iterdir()] == ["file"]
    assert (outside / "file").read_text() == "kept"
    assert (inside / "file").read_bytes() == b"new"


def test_a_broken_connection_is_taken_up_where_it_broke(fake: Fake, tool: Tool, tmp_path: Path) -> None:
    data = random.Random(1).randbytes(3 * MIB)
    fake.objects, fake.cuts = {"x": data}, [MIB // 2, MIB]
    tool("cp", "fake/bucket/x", tmp_path / "x", env=fake.env)
    assert ((tmp_path / "x").read_bytes() == data) is True
    assert fake.asked == ["", f"bytes={MIB}-", f"bytes={MIB + MIB // 2}-"]


@pytest.mark.parametrize(
    "break_it", [lambda fake: setattr(fake, "cuts", [10] * 20), lambda fake: setattr(fake, "wrong_etag", True)]
)
def test_what_does_not_arrive_whole_leaves_no_file(
    fake: Fake, tool: Tool, tmp_path: Path, break_it: Callable[[Fake], None]
) -> None:
    fake.objects = {"x": b"x" * MIB}
    break_it(fake)
    (tmp_path / "x").write_text("old")
    ended = tool.run("cp", "fake/bucket/x", tmp_path / "x", "--json", env=fake.env)
    assert ended.code == 1
    assert json.loads(ended.lines[0])["status"] == "error"
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"x": "old"}
    fake.cuts = [10] * 20
    assert tool.run("cat", "fake/bucket/x", env=fake.env).code == 1


def test_names_from_a_server_do_not_steer_the_terminal(fake: Fake, tool: Tool) -> None:
    fake.objects = {"\x1b]0;owned\x07": b""}
    ours, theirs = pty.openpty()
    process = start(tool, "ls", "-r", "fake/bucket", stdout=theirs, env=fake.env)
    os.close(theirs)
    shown = _drained(ours)
    assert process.wait(60) == 0
    assert b"\x1b" not in shown
    assert rb"\x1b]0;owned\x07" in shown


def test_an_answer_that_is_no_s3_is_told_without_a_traceback(fake: Fake, tool: Tool, tmp_path: Path) -> None:
    for name in ("list-type", "nothing"):
        fake.objects = {name: b""}
    for words in (("admin", "info", "fake"), ("admin", "user", "ls", "fake"), ("mb", "fake/other"), ("ls", "fake")):
        ended = tool.run(*words, env=fake.env)
        assert ended.code == 1, words
        assert "Traceback" not in ended.err
        assert "somesecret" not in ended.err + ended.out
