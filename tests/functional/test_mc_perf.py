"""``mc support perf`` with the real mc: the speed of objects, of drives, of the network, and nothing left behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.kit.admin_wire import ADMIN, opened
from tests.kit.clients import Tool, mc
from tests.kit.server import Server, until

LOCAL = ("--dev", "--airgap", "--json")


@pytest.fixture(scope="module")
def tool(server: Server, home: Path) -> Tool:
    return mc(server.url, home)


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
