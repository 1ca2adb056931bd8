"""``/minio/metrics/v3/…``. Names, kinds and labels are those of MinIO's ``cmd/metrics-v3*.go``: ``minio_``, the path with
underscores, the name. A path gives everything below it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from ...meta.records import CounterRecord
from ...observe.names import minio_name
from .figures import Figures
from .page import Page, distribution
from .v2 import RATES, by_api

S3 = {"type": "s3"}


class Asked(NamedTuple):
    """:param page: without the label of the server, for what is the same on every one; ``here`` with it
    :param bucket: that the path names, empty for none
    """

    figures: Figures
    page: Page
    here: Page
    bucket: str


async def api_requests(asked: Asked) -> None:
    page, name, tallies = asked.here, "minio_api_requests", by_api(asked.figures)
    each = [({"name": api, **S3}, tally) for api, tally in tallies.items()]
    page.counter(f"{name}_total", "Requests", [(by, t.requests) for by, t in each if t.requests])
    failed = [(by, t.client_errors + t.server_errors) for by, t in each]
    page.counter(f"{name}_errors_total", "Requests with an error", [(by, count) for by, count in failed if count])
    page.counter(
        f"{name}_4xx_errors_total", "Errors of clients", [(by, t.client_errors) for by, t in each if t.client_errors]
    )
    page.counter(
        f"{name}_5xx_errors_total", "Errors of the server", [(by, t.server_errors) for by, t in each if t.server_errors]
    )
    page.counter(
        f"{name}_canceled_total", "Requests whose client left", [(by, t.canceled) for by, t in each if t.canceled]
    )
    page.gauge(f"{name}_inflight_total", "Requests under way", [(by, t.under_way) for by, t in each if t.under_way])
    page.gauge(f"{name}_incoming_total", "Requests under way", [(S3, sum(t.under_way for _, t in each))])
    page.counter(f"{name}_traffic_sent_bytes", "Bytes of reply bodies", [(S3, sum(t.sent for _, t in each))])
    page.counter(f"{name}_traffic_received_bytes", "Bytes of request bodies", [(S3, sum(t.received for _, t in each))])
    times = [sample for by, t in each if t.requests for sample in distribution(by, t.first)]
    page.counter(f"{name}_ttfb_seconds_distribution", "Requests by the time to their first byte", times)


async def bucket_api(asked: Asked) -> None:
    page, name, bucket = asked.here, "minio_bucket_api", asked.bucket
    cells = [(operation, cell) for at, operation, cell in asked.figures.by_bucket() if at == bucket]
    each = [({"bucket": bucket, "name": minio_name(operation).lower(), **S3}, cell) for operation, cell in cells]
    whole = {"bucket": bucket, **S3}
    page.counter(f"{name}_traffic_sent_bytes", "Bytes of reply bodies", [(whole, sum(c.sent for _, c in each))])
    page.counter(
        f"{name}_traffic_received_bytes", "Bytes of request bodies", [(whole, sum(c.received for _, c in each))]
    )
    page.counter(f"{name}_total", "Requests", [(by, c.requests) for by, c in each])
    page.counter(
        f"{name}_canceled_total", "Requests whose client left", [(by, c.canceled) for by, c in each if c.canceled]
    )
    page.counter(
        f"{name}_4xx_errors_total", "Errors of clients", [(by, c.client_errors) for by, c in each if c.client_errors]
    )
    page.counter(
        f"{name}_5xx_errors_total", "Errors of the server", [(by, c.server_errors) for by, c in each if c.server_errors]
    )
    times = [sample for by, c in each for sample in distribution(by, c.first)]
    page.counter(f"{name}_ttfb_seconds_distribution", "Requests by the time to their first byte", times)


async def system_drive(asked: Asked) -> None:
    page, name, figures = asked.here, "minio_system_drive", asked.figures
    now = await figures.machine()
    each = [
        (
            {
                "drive": d.path,
                "pool_index": str(d.pool),
                "set_index": str(d.set),
                "drive_index": str(d.position),
            },
            d,
        )
        for d in figures.drives
    ]
    there = [(labels, d) for labels, d in each if d.total]
    for kind, field in (
        ("used_bytes", "used"),
        ("free_bytes", "free"),
        ("total_bytes", "total"),
        ("used_inodes", "inodes_used"),
        ("free_inodes", "inodes_free"),
    ):
        page.gauge(f"{name}_{kind}", f"Of its file system: {kind}", [(by, float(getattr(d, field))) for by, d in there])
    inodes = [(by, float(d.inodes_used + d.inodes_free)) for by, d in there]
    page.gauge(f"{name}_total_inodes", "Of its file system: index nodes", inodes)
    page.gauge(
        f"{name}_health", "0 offline, 1 in sync, 2 healing", [(by, _drive_health(d.state, d.healing)) for by, d in each]
    )
    for kind, rate in RATES.items():
        samples = [(by, float(getattr(now.devices[d.device], rate))) for by, d in each if d.device in now.devices]
        page.gauge(f"{name}_{kind}", f"Of its device: {kind}", samples)
    page.gauge(f"{name}_offline_count", "Drives that are not in sync", len(figures.drives) - figures.online)
    page.gauge(f"{name}_online_count", "Drives in sync", figures.online)
    page.gauge(f"{name}_count", "Drives", len(figures.drives))


def _drive_health(state: str, healing: bool) -> int:
    return 0 if state != "ok" else 2 if healing else 1


async def system_memory(asked: Asked) -> None:
    now = await asked.figures.machine()
    names = {"percent": "used_perc", "cached": "cache"}
    for kind, value in now.memory.items():
        name = names.get(kind, kind)
        asked.here.gauge(f"minio_system_memory_{name}", f"Memory of the machine: {name}", value)


async def system_cpu(asked: Asked) -> None:
    page, name, now = asked.here, "minio_system_cpu", await asked.figures.machine()
    page.gauge(f"{name}_avg_idle", "Percent of the CPU time: idle", now.cpu["idle"])
    page.gauge(f"{name}_avg_iowait", "Percent of the CPU time: waiting for devices", now.cpu["iowait"])
    for kind in ("nice", "steal", "system", "user"):
        page.gauge(f"{name}_{kind}", f"Percent of the CPU time: {kind}", now.cpu[kind])
    page.gauge(f"{name}_load", "Load over 1 min", now.load[0])
    page.gauge(f"{name}_load_perc", "The same in percent of the cores", now.load[0] * 100 / now.cores)


async def system_process(asked: Asked) -> None:
    page, name, used = asked.here, "minio_system_process", asked.figures.processes
    for kind, value in (
        ("start_time_seconds", used.started_s),
        ("uptime_seconds", asked.figures.facts.uptime_s),
        ("file_descriptor_limit_total", used.descriptors_max),
        ("file_descriptor_open_total", used.descriptors),
        ("resident_memory_bytes", used.resident),
        ("virtual_memory_bytes", used.virtual),
    ):
        page.gauge(f"{name}_{kind}", f"Of supervisor and workers: {kind}", value)
    for kind, value in (
        ("cpu_total_seconds", used.cpu_s),
        ("io_rchar_bytes", used.chars_read),
        ("io_read_bytes", used.bytes_read),
        ("io_wchar_bytes", used.chars_written),
        ("io_write_bytes", used.bytes_written),
        ("syscall_read_total", used.calls_read),
        ("syscall_write_total", used.calls_written),
    ):
        page.counter(f"{name}_{kind}", f"Of supervisor and workers: {kind}", value)


async def cluster_health(asked: Asked) -> None:
    page, name, figures = asked.page, "minio_cluster_health", asked.figures
    raw = [(one, sum(d.total for d in one.shape.drives), sum(d.free for d in one.shape.drives)) for one in figures.sets]
    for kind, value in (
        ("drives_offline_count", len(figures.drives) - figures.online),
        ("drives_online_count", figures.online),
        ("drives_count", len(figures.drives)),
        ("nodes_offline_count", 0),
        ("nodes_online_count", 1),
        ("capacity_raw_total_bytes", sum(total for _, total, _ in raw)),
        ("capacity_raw_free_bytes", sum(free for _, _, free in raw)),
        ("capacity_usable_total_bytes", sum(one.usable(total) for one, total, _ in raw)),
        ("capacity_usable_free_bytes", sum(one.usable(free) for one, _, free in raw)),
    ):
        page.gauge(f"{name}_{kind}", f"Of the deployment: {kind}", value)


_HELD: tuple[tuple[str, Callable[[CounterRecord], int]], ...] = (
    ("total_bytes", lambda held: held.size),
    ("versions_count", lambda held: held.versions),
    ("delete_markers_count", lambda held: held.markers),
)


async def usage_objects(asked: Asked) -> None:
    page, name, figures = asked.page, "minio_cluster_usage_objects", asked.figures
    page.gauge(f"{name}_since_last_update_seconds", "Age of these figures: they are exact", 0)
    page.gauge(f"{name}_count", "Objects", figures.held.objects)
    page.gauge(f"{name}_buckets_count", "Buckets", len(figures.records))
    for kind, get in _HELD:
        page.gauge(f"{name}_{kind}", f"Of all buckets: {kind}", get(figures.held))


async def usage_buckets(asked: Asked) -> None:
    page, name, figures = asked.page, "minio_cluster_usage_buckets", asked.figures
    page.gauge(f"{name}_since_last_update_seconds", "Age of these figures: they are exact", 0)
    each = [({"bucket": record.name}, figures.usages.of_bucket(record)) for record in figures.records]
    page.gauge(f"{name}_objects_count", "Objects", [(labels, held.objects) for labels, held in each])
    for kind, get in _HELD:
        page.gauge(f"{name}_{kind}", f"Of each bucket: {kind}", [(labels, get(held)) for labels, held in each])
    quotas = [({"bucket": record.name}, record.quota_bytes) for record in figures.records if record.quota_bytes]
    page.gauge(f"{name}_quota_total_bytes", "Quota", quotas)


async def erasure_set(asked: Asked) -> None:
    page, name, sets = asked.page, "minio_cluster_erasure_set", asked.figures.sets
    page.gauge(f"{name}_overall_write_quorum", "Drives needed to write", max(one.write_quorum for one in sets))
    page.gauge(f"{name}_overall_health", "1 while everything can be written", all(one.writable for one in sets))
    labels = [{"pool_id": str(one.shape.pool), "set_id": str(one.shape.index)} for one in sets]
    values: dict[str, list[float]] = {
        "read_quorum": [one.read_quorum for one in sets],
        "write_quorum": [one.write_quorum for one in sets],
        "online_drives_count": [one.online for one in sets],
        "healing_drives_count": [one.healing for one in sets],
        "health": [one.writable for one in sets],
        "read_tolerance": [max(0, one.online - one.read_quorum) for one in sets],
        "write_tolerance": [max(0, one.online - one.write_quorum) for one in sets],
        "read_health": [one.readable for one in sets],
        "write_health": [one.writable for one in sets],
    }
    for kind, numbers in values.items():
        page.gauge(f"{name}_{kind}", f"Of each erasure set: {kind}", zip(labels, numbers, strict=True))


async def cluster_config(asked: Asked) -> None:
    shape = asked.figures.sets[0].shape
    asked.page.gauge("minio_cluster_config_standard_parity", "Parity of STANDARD", shape.parity)
    asked.page.gauge("minio_cluster_config_rrs_parity", "Parity of REDUCED_REDUNDANCY", shape.reduced)


COLLECTORS: dict[str, Callable[[Asked], Awaitable[None]]] = {
    "/api/requests": api_requests,
    "/bucket/api": bucket_api,
    "/system/drive": system_drive,
    "/system/memory": system_memory,
    "/system/cpu": system_cpu,
    "/system/process": system_process,
    "/cluster/health": cluster_health,
    "/cluster/usage/objects": usage_objects,
    "/cluster/usage/buckets": usage_buckets,
    "/cluster/erasure-set": erasure_set,
    "/cluster/config": cluster_config,
}
#: Paths that MinIO knows and that have no values here.
WITHOUT = (
    "/bucket/replication",
    "/system/network/internode",
    "/debug/go",
    "/cluster/iam",
    "/ilm",
    "/audit",
    "/logger/webhook",
    "/replication",
    "/notification",
    "/scanner",
)


def below(path: str, parent: str) -> bool:
    """Whether a path is another, or lies below it."""
    return parent in ("", "/") or path == parent or path.startswith(parent + "/")
