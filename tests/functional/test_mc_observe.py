"""What the real ``mc`` shows of a running server: traces, logs, figures, and who may look."""

from __future__ import annotations

import itertools
import json
import queue
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from tests.kit.admin_wire import ADMIN, opened
from tests.kit.clients import Tool, mc, refusal
from tests.kit.server import PASSWORD, Client, Server, until

SECRET = "a-secret-of-hers"
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def tool(server: Server, home: Path) -> Tool:
    return mc(server.url, home)


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
