"""What Prometheus reads: true values under MinIO's names, of all workers together, for whoever may."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import itertools
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.kit.clients import Tool, mc
from tests.kit.server import PASSWORD, USER, Server, until

CLUSTER = "/minio/v2/metrics/cluster"
SECRET = "a-secret-of-hers"
_numbers = itertools.count(1)
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture(scope="module")
def tool(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Tool:
    return mc(server.url, tmp_path_factory.mktemp("mc"))


def part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def token(
    who: str = USER, secret: str = PASSWORD, algorithm: str = "HS512", issuer: str = "prometheus", life_s: int = 600
) -> str:
    """As ``mc admin prometheus generate`` makes it."""
    claims = {"exp": int(time.time()) + life_s, "sub": who, "iss": issuer}
    signed = f"{part({'alg': algorithm, 'typ': 'JWT'})}.{part(claims)}"
    digest = getattr(hashlib, f"sha{algorithm[2:]}", None)
    proof = hmac.new(secret.encode(), signed.encode(), digest).digest() if digest else b""
    return f"{signed}.{base64.urlsafe_b64encode(proof).rstrip(b'=').decode()}"


def read(server: Server, path: str, bearer: str | None = None) -> tuple[int, str, str]:
    """Status, type and text."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {bearer}"} if bearer is not None else {})
        reply = connection.getresponse()
        return reply.status, reply.headers.get("Content-Type", ""), reply.read().decode()
    finally:
        connection.close()


def parsed(text: str) -> Samples:
    """Every sample; the parser of the library must take all of it, and no name comes twice."""
    families = list(text_string_to_metric_families(text))
    names = [family.name for family in families]
    assert len(names) == len(set(names))
    found: Samples = {}
    for family in families:
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found
            found[key] = sample.value
    return found


def scrape(server: Server, path: str = CLUSTER, bearer: str | None = None) -> Samples:
    status, kind, text = read(server, path, token() if bearer is None else bearer)
    assert (status, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
    return parsed(text)


def value(samples: Samples, name: str, /, **labels: str) -> float:
    """The sum of the samples of a name that have some labels. The library's parser wants all counters to end in _total."""
    names = (name, f"{name}_total")
    return sum(v for (one, has), v in samples.items() if one in names and set(labels.items()) <= has)


def test_requests_and_usage_are_counted_exactly(server: Server, s3: Any, bucket: str) -> None:
    before = scrape(server)
    for i in range(7):
        s3.put_object(Bucket=bucket, Key=f"key-{i}", Body=b"x" * 1000)
        assert s3.get_object(Bucket=bucket, Key=f"key-{i}")["Body"].read() == b"x" * 1000
    with pytest.raises(s3.exceptions.NoSuchKey):
        s3.get_object(Bucket=bucket, Key="none")
    s3.create_multipart_upload(Bucket=bucket, Key="many")
    after = scrape(server)

    def grown(name: str, **labels: str) -> float:
        return value(after, name, **labels) - value(before, name, **labels)

    assert grown("minio_s3_requests_total", api="putobject") == 7
    assert grown("minio_s3_requests_total", api="getobject") == 8
    assert grown("minio_s3_requests_total", api="newmultipartupload") == 1
    assert grown("minio_s3_requests_4xx_errors_total", api="getobject") == 1
    assert grown("minio_s3_requests_errors_total", api="getobject") == 1
    assert grown("minio_s3_requests_ttfb_seconds_distribution", api="getobject", le="+Inf") == 8
    assert grown("minio_s3_traffic_received_bytes") >= 7000
    assert grown("minio_s3_traffic_sent_bytes") >= 7000
    assert grown("minio_cluster_usage_object_total") == 7
    assert grown("minio_cluster_usage_total_bytes") == 7000
    assert value(after, "minio_cluster_drive_online_total") == 4
    assert value(after, "minio_cluster_health_status") == 1
    raw, usable = (value(after, f"minio_cluster_capacity_{kind}_total_bytes") for kind in ("raw", "usable"))
    assert raw > usable > 0

    held = scrape(server, "/minio/v2/metrics/bucket")
    assert value(held, "minio_bucket_usage_object_total", bucket=bucket) == 7
    assert value(held, "minio_bucket_usage_total_bytes", bucket=bucket) == 7000
    assert value(held, "minio_bucket_requests_total", bucket=bucket, api="putobject") == 7
    assert value(held, "minio_bucket_requests_4xx_errors_total", bucket=bucket, api="getobject") == 1
    assert value(held, "minio_bucket_traffic_received_bytes", bucket=bucket) >= 7000


def test_every_worker_answers_for_all(server: Server, s3: Any, bucket: str) -> None:
    counts = []
    for slot in (0, 1):
        with server.client_of(slot) as client:
            client.request("PUT", f"/{bucket}/from-{slot}", body=b"x")
            connection = client.be("")
            reply = connection.request(
                "GET", "/minio/v2/metrics/bucket", headers={"authorization": f"Bearer {token()}"}
            )
            counts.append(
                value(parsed(reply.body.decode()), "minio_bucket_requests_total", bucket=bucket, api="putobject")
            )
    assert counts == [1, 2]


def test_the_node_and_what_the_machine_does(server: Server) -> None:
    node = scrape(server, "/minio/v2/metrics/node")
    assert {dict(has)["drive"] for name, has in node if name == "minio_node_drive_total_bytes"} == set(server.paths)
    for name in ("process_resident_memory_bytes", "process_cpu_total_seconds", "file_descriptor_open_total"):
        assert value(node, f"minio_node_{name}") > 0
    assert all("server" in dict(has) for _, has in node)
    resource = scrape(server, "/minio/v2/metrics/resource")
    assert value(resource, "minio_node_mem_total") > value(resource, "minio_node_mem_used") > 0
    percents = [value(resource, f"minio_node_cpu_avg_{kind}") for kind in ("user", "system", "idle", "iowait", "nice")]
    assert 0 < sum(percents) < 110


def test_version_3(server: Server, s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=b"x" * 1000)
    whole = scrape(server, "/minio/metrics/v3")
    assert value(whole, "minio_api_requests_total", name="putobject", type="s3") >= 1
    assert value(whole, "minio_cluster_usage_buckets_total_bytes", bucket=bucket) == 1000
    assert value(whole, "minio_cluster_health_drives_online_count") == 4
    assert value(whole, "minio_system_drive_health") == 4
    assert not any(name.startswith("minio_bucket_api") for name, _ in whole)
    health = scrape(server, "/minio/metrics/v3/cluster/health")
    assert {name for name, _ in health} < {name for name, _ in whole}
    assert not any("server" in dict(has) for _, has in health)
    one = scrape(server, f"/minio/metrics/v3/bucket/api/{bucket}")
    assert value(one, "minio_bucket_api_total", bucket=bucket, name="putobject") == 1
    assert read(server, "/minio/metrics/v3/none/such", token())[0] == 404
    assert read(server, "/minio/metrics/v3/scanner", token())[0] == 501
    assert read(server, "/minio/v2/metrics/none", token())[0] == 426


@pytest.mark.parametrize("part_of", ["cluster", "node", "bucket", "resource"])
def test_mc_prints_them(tool: Tool, part_of: str) -> None:
    assert len(parsed(tool("admin", "prometheus", "metrics", "sos", part_of).out)) > 10
    listed = json.loads(tool("admin", "prometheus", "metrics", "sos", part_of, "--json").out)
    assert any(family["name"].startswith("minio_") for family in listed)


def test_the_configuration_that_mc_generates_works(server: Server, tool: Tool) -> None:
    made = json.loads(tool("admin", "prometheus", "generate", "sos", "--json").out)
    assert (made["metricsPath"], made["scheme"]) == (CLUSTER, "http")
    assert made["staticConfigs"][0]["targets"] == [f"127.0.0.1:{server.port}"]
    assert value(scrape(server, bearer=made["bearerToken"]), "minio_cluster_nodes_online_total") == 1
    third = json.loads(tool("admin", "prometheus", "generate", "sos", "api", "--api-version", "v3", "--json").out)
    assert scrape(server, third["metricsPath"], third["bearerToken"])


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_tokens_of_all_three_kinds_count(server: Server, algorithm: str) -> None:
    assert scrape(server, bearer=token(algorithm=algorithm))


@pytest.mark.parametrize(
    "make",
    [
        lambda: None,
        lambda: "",
        lambda: "x.y.z",
        lambda: "a" * 7000,
        lambda: token(secret="another-password"),
        lambda: token(who="nobody"),
        lambda: token(who=""),
        lambda: token(issuer="minio"),
        lambda: token(algorithm="none"),
        lambda: token(life_s=-60),
        lambda: token()[:-4] + "AAAA",
    ],
)
def test_any_other_is_refused(server: Server, make: Callable[[], str | None]) -> None:
    """A05, A06: the algorithm is one of three, the key is that of who is named, the issuer and the time count."""
    for path in (CLUSTER, "/minio/metrics/v3/api"):
        status, kind, text = read(server, path, make())
        assert (status, kind) == (403, "application/json")
        assert json.loads(text)["Code"] == "AccessDenied"


def test_a_user_needs_the_right(server: Server, tool: Tool) -> None:
    name = f"scraper-{next(_numbers)}"
    tool("admin", "user", "add", "sos", name, SECRET)
    assert read(server, CLUSTER, token(name, SECRET))[0] == 403
    tool("admin", "policy", "attach", "sos", "diagnostics", "--user", name)
    assert scrape(server, bearer=token(name, SECRET))
    tool("admin", "user", "disable", "sos", name)
    assert read(server, CLUSTER, token(name, SECRET))[0] == 403


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("public"), env={"MINIO_PROMETHEUS_AUTH_TYPE": "public"}) as running:
        yield running


def test_a_public_server_asks_nobody(public: Server) -> None:
    assert read(public, CLUSTER)[0] == 200
    assert read(public, CLUSTER, "nonsense")[0] == 200


def counters(server: Server) -> Samples:
    """Those that must never go back."""
    _, _, text = read(server, CLUSTER)
    growing = {
        line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ") and line.endswith(" counter")
    }
    assert len(growing) >= 10
    return {key: v for key, v in parsed(text).items() if key[0] in growing or key[0].removesuffix("_total") in growing}


def test_counters_never_go_back_when_a_worker_dies(public: Server, tmp_path: Path) -> None:
    s3 = public.boto3(attempts=5)
    s3.create_bucket(Bucket="kept")
    for i in range(20):
        s3.put_object(Bucket="kept", Key=f"{i}", Body=b"x")
    seen = counters(public)
    assert value(seen, "minio_s3_requests_total", api="putobject") >= 20
    for slot in (0, 1):
        public.wait_worker(slot, public.kill_worker(slot))
        with public.client_of(slot) as client:  # its successor counts too
            assert client.request("PUT", f"/kept/by-{slot}", body=b"x").status == 200

        def ready() -> Samples | None:
            now = counters(public)
            return now if now else None

        after = until(ready, "the metrics")
        assert {key: (old, after.get(key)) for key, old in seen.items() if after.get(key, -1) < old} == {}
        seen = after
    s3.put_object(Bucket="kept", Key="again", Body=b"x")
    assert value(counters(public), "minio_s3_requests_total", api="putobject") > value(
        seen, "minio_s3_requests_total", api="putobject"
    )
