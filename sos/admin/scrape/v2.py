"""``/minio/v2/metrics/{cluster,node,bucket,resource}``. Names, kinds and labels are those of MinIO's ``cmd/metrics-v2.go``
and ``cmd/metrics-resource.go``; what does not exist here is not told."""

from __future__ import annotations

from ...observe.names import minio_name
from ...observe.tallies import Cell, Tally
from .figures import Figures
from .page import Labels, Page, distribution

#: Buckets whose times to the first byte are told, as in MinIO.
BUCKETS_OF_TIMES_MAX = 100


def by_api(figures: Figures) -> dict[str, Tally]:
    """Tallies by MinIO's names in lower case; two operations may have one name."""
    found: dict[str, Tally] = {}
    for name, tally in figures.tallies.items():
        if name:
            api = minio_name(name).lower()
            found[api] = _plus(found[api], tally) if api in found else tally
    return found


def _plus(a: Tally, b: Tally) -> Tally:
    sums = {name: getattr(a, name) + getattr(b, name) for name in Tally._fields if name not in ("first", "whole")}
    first = tuple(x + y for x, y in zip(a.first, b.first, strict=True))
    return Tally(**sums, first=first, whole=tuple(x + y for x, y in zip(a.whole, b.whole, strict=True)))


def cluster(page: Page, figures: Figures) -> None:
    """Of the whole deployment, and what ``node`` tells."""
    _capacity(page, figures)
    held = figures.held
    page.gauge("minio_cluster_usage_object_total", "Objects", held.objects)
    page.gauge("minio_cluster_usage_version_total", "Versions, without delete markers", held.versions)
    page.gauge("minio_cluster_usage_deletemarker_total", "Delete markers", held.markers)
    page.gauge("minio_cluster_usage_total_bytes", "Bytes of all versions", held.size)
    page.gauge("minio_cluster_bucket_total", "Buckets", len(figures.records))
    _drive_counts(page, "minio_cluster_drive", figures)
    page.gauge("minio_cluster_nodes_offline_total", "Nodes that are away", 0)
    page.gauge("minio_cluster_nodes_online_total", "Nodes that serve", 1)
    _health(page, figures)
    _requests(page, figures)
    _process(page, figures)


def _capacity(page: Page, figures: Figures) -> None:
    totals = [
        (one, sum(d.total for d in one.shape.drives), sum(d.free for d in one.shape.drives)) for one in figures.sets
    ]
    name = "minio_cluster_capacity"
    page.gauge(f"{name}_raw_total_bytes", "Space of all drives", sum(total for _, total, _ in totals))
    page.gauge(f"{name}_raw_free_bytes", "Free space of all drives", sum(free for _, _, free in totals))
    page.gauge(
        f"{name}_usable_total_bytes", "Space for payload, without parity", sum(o.usable(t) for o, t, _ in totals)
    )
    page.gauge(f"{name}_usable_free_bytes", "Free space for payload", sum(o.usable(f) for o, _, f in totals))


def _drive_counts(page: Page, name: str, figures: Figures) -> None:
    page.gauge(f"{name}_offline_total", "Drives that are not in sync", len(figures.drives) - figures.online)
    page.gauge(f"{name}_online_total", "Drives in sync", figures.online)
    page.gauge(f"{name}_total", "Drives", len(figures.drives))


def _health(page: Page, figures: Figures) -> None:
    page.gauge(
        "minio_cluster_health_status", "1 while everything can be written", all(o.writable for o in figures.sets)
    )
    page.gauge("minio_cluster_write_quorum", "Drives needed to write", max(one.write_quorum for one in figures.sets))
    name = "minio_cluster_health_erasure_set"
    values: dict[str, list[float]] = {
        "read_quorum": [one.read_quorum for one in figures.sets],
        "write_quorum": [one.write_quorum for one in figures.sets],
        "online_drives": [one.online for one in figures.sets],
        "healing_drives": [one.healing for one in figures.sets],
        "status": [one.writable for one in figures.sets],
    }
    labels = [{"pool": str(one.shape.pool), "set": str(one.shape.index)} for one in figures.sets]
    for kind, numbers in values.items():
        page.gauge(
            f"{name}_{kind}", f"Of each erasure set: {kind.replace('_', ' ')}", zip(labels, numbers, strict=True)
        )


def node(page: Page, figures: Figures) -> None:
    """Of this machine."""
    _requests(page, figures)
    _drive_counts(page, "minio_node_drive", figures)
    _process(page, figures)
    for kind, values in (
        ("free_bytes", [drive.free for drive in figures.drives]),
        ("used_bytes", [drive.used for drive in figures.drives]),
        ("total_bytes", [drive.total for drive in figures.drives]),
        ("free_inodes", [drive.inodes_free for drive in figures.drives]),
    ):
        labels = [{"drive": drive.path} for drive in figures.drives]
        samples = [(by, v) for by, v, drive in zip(labels, values, figures.drives, strict=True) if drive.total]
        page.gauge(f"minio_node_drive_{kind}", f"Of each drive's file system: {kind.replace('_', ' ')}", samples)
    shape = figures.sets[0].shape
    page.gauge("minio_node_storage_class_standard_parity", "Parity of STANDARD", shape.parity)
    page.gauge("minio_node_storage_class_rrs_parity", "Parity of REDUCED_REDUNDANCY", shape.reduced)


def _requests(page: Page, figures: Figures) -> None:
    tallies, name = by_api(figures), "minio_s3_requests"

    def each(field: str) -> list[tuple[Labels, float]]:
        return [({"api": api}, getattr(tally, field)) for api, tally in tallies.items() if getattr(tally, field)]

    page.counter(f"{name}_total", "Requests", each("requests"))
    errors = [({"api": api}, t.client_errors + t.server_errors) for api, t in tallies.items()]
    page.counter(f"{name}_errors_total", "Requests with an error", [(by, count) for by, count in errors if count])
    page.counter(f"{name}_4xx_errors_total", "Requests with an error of the client", each("client_errors"))
    page.counter(f"{name}_5xx_errors_total", "Requests with an error of the server", each("server_errors"))
    page.counter(f"{name}_canceled_total", "Requests whose client left", each("canceled"))
    page.gauge(f"{name}_inflight_total", "Requests under way", each("under_way"))
    page.gauge(f"{name}_incoming_total", "Requests under way", sum(tally.under_way for tally in tallies.values()))
    received = sum(tally.received for tally in tallies.values())
    page.counter("minio_s3_traffic_received_bytes", "Bytes of request bodies", received)
    page.counter("minio_s3_traffic_sent_bytes", "Bytes of reply bodies", sum(t.sent for t in tallies.values()))
    times = [sample for api, t in tallies.items() if t.requests for sample in distribution({"api": api}, t.first)]
    page.gauge(f"{name}_ttfb_seconds_distribution", "Requests by the time to their first byte", times)


def _process(page: Page, figures: Figures) -> None:
    used = figures.processes
    page.gauge("minio_node_process_starttime_seconds", "When the server was started", used.started_s)
    page.gauge("minio_node_process_uptime_seconds", "For how long it runs", figures.facts.uptime_s)
    page.counter("minio_node_process_cpu_total_seconds", "CPU time, user and system", used.cpu_s)
    page.gauge("minio_node_process_resident_memory_bytes", "Resident memory", used.resident)
    page.gauge("minio_node_process_virtual_memory_bytes", "Virtual memory", used.virtual)
    page.gauge("minio_node_file_descriptor_limit_total", "Descriptors that a worker may open", used.descriptors_max)
    page.gauge("minio_node_file_descriptor_open_total", "Descriptors that are open", used.descriptors)
    page.counter("minio_node_syscall_read_total", "Calls that read", used.calls_read)
    page.counter("minio_node_syscall_write_total", "Calls that wrote", used.calls_written)
    page.counter("minio_node_io_rchar_bytes", "Bytes read by calls", used.chars_read)
    page.counter("minio_node_io_wchar_bytes", "Bytes written by calls", used.chars_written)
    page.counter("minio_node_io_read_bytes", "Bytes read from devices", used.bytes_read)
    page.counter("minio_node_io_write_bytes", "Bytes written to devices", used.bytes_written)
    page.gauge("minio_software_version_info", "The version, in its label", [({"version": figures.facts.version}, 1)])


def bucket(page: Page, figures: Figures) -> None:
    """Of each bucket."""
    held = [({"bucket": record.name}, figures.usages.of_bucket(record)) for record in figures.records]
    name = "minio_bucket_usage"
    page.gauge(f"{name}_total_bytes", "Bytes of all versions", [(by, h.size) for by, h in held])
    page.gauge(f"{name}_object_total", "Objects", [(by, h.objects) for by, h in held])
    page.gauge(f"{name}_version_total", "Versions, without delete markers", [(by, h.versions) for by, h in held])
    page.gauge(f"{name}_deletemarker_total", "Delete markers", [(by, h.markers) for by, h in held])
    quotas = [({"bucket": record.name}, record.quota_bytes) for record in figures.records if record.quota_bytes]
    page.gauge("minio_bucket_quota_total_bytes", "Quota", quotas)
    _bucket_requests(page, figures.by_bucket())


def _bucket_requests(page: Page, cells: list[tuple[str, str, Cell]]) -> None:
    traffic: dict[str, list[int]] = {}
    labelled: list[tuple[dict[str, str], Cell]] = []
    for name, operation, cell in cells:
        sums = traffic.setdefault(name, [0, 0])
        sums[0] += cell.received
        sums[1] += cell.sent
        labelled.append(({"bucket": name, "api": minio_name(operation).lower()}, cell))
    received = [({"bucket": name}, float(sums[0])) for name, sums in traffic.items()]
    sent = [({"bucket": name}, float(sums[1])) for name, sums in traffic.items()]
    page.gauge("minio_bucket_traffic_received_bytes", "Bytes of request bodies", received)
    page.gauge("minio_bucket_traffic_sent_bytes", "Bytes of reply bodies", sent)
    page.counter("minio_bucket_requests_total", "Requests", [(by, c.requests) for by, c in labelled])
    for kind, field in (("4xx_errors", "client_errors"), ("5xx_errors", "server_errors"), ("canceled", "canceled")):
        samples = [(by, float(getattr(c, field))) for by, c in labelled if getattr(c, field)]
        page.counter(f"minio_bucket_requests_{kind}_total", f"Requests: {kind.replace('_', ' ')}", samples)
    shown = set(sorted(traffic)[:BUCKETS_OF_TIMES_MAX])
    times = [s for by, c in labelled if by["bucket"] in shown for s in distribution(by, c.first)]
    page.gauge("minio_bucket_requests_ttfb_seconds_distribution", "Requests by the time to their first byte", times)


async def resource(page: Page, figures: Figures) -> None:
    """Of the machine, over a short while."""
    now = await figures.machine()
    for kind, name in (("cached", "cache"), ("percent", "used_perc"), *((k, k) for k in _MEMORY)):
        page.gauge(f"minio_node_mem_{name}", f"Memory of the machine: {name}", now.memory[kind])
    for kind, value in now.cpu.items():
        page.gauge(f"minio_node_cpu_avg_{kind}", f"Percent of the CPU time: {kind}", value)
    for minutes, value in zip((1, 5, 15), now.load, strict=True):
        page.gauge(f"minio_node_cpu_avg_load{minutes}", f"Load over {minutes} min", value)
        page.gauge(
            f"minio_node_cpu_avg_load{minutes}_perc", "The same in percent of the cores", value * 100 / now.cores
        )
    for i, kind in enumerate(("rx_bytes", "rx_errors", "tx_bytes", "tx_errors")):
        samples = [({"interface": name}, float(one[i])) for name, one in now.interfaces.items()]
        page.gauge(f"minio_node_if_{kind}", f"Of each interface since the boot: {kind}", samples)
    _drive_rates(page, figures, {d.path: now.devices[d.device] for d in figures.drives if d.device in now.devices})


_MEMORY = ("total", "used", "free", "shared", "buffers", "available")
RATES = {
    "reads_per_sec": "reads",
    "reads_kb_per_sec": "reads_kib",
    "reads_await": "reads_await_ms",
    "writes_per_sec": "writes",
    "writes_kb_per_sec": "writes_kib",
    "writes_await": "writes_await_ms",
    "perc_util": "busy",
}
"""MinIO's name → field of ``DeviceRates``."""


def _drive_rates(page: Page, figures: Figures, rates: dict[str, object]) -> None:
    for name, rate in RATES.items():
        samples = [({"drive": path}, float(getattr(one, rate))) for path, one in rates.items()]
        page.gauge(f"minio_node_drive_{name}", f"Of each drive's device: {name.replace('_', ' ')}", samples)
    for name, field in (("used_bytes", "used"), ("total_bytes", "total"), ("used_inodes", "inodes_used")):
        samples = [({"drive": d.path}, float(getattr(d, field))) for d in figures.drives if d.total]
        page.gauge(f"minio_node_drive_{name}", f"Of each drive's file system: {name.replace('_', ' ')}", samples)
    inodes = [({"drive": d.path}, float(d.inodes_used + d.inodes_free)) for d in figures.drives if d.total]
    page.gauge("minio_node_drive_total_inodes", "Index nodes of each drive's file system", inodes)
