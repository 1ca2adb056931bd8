"""Command line of the benchmark."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from typing import Any
from urllib.parse import urlsplit

from . import client, machine, process
from .profiles import PROFILES, Bench
from .sign import Signer, Target

SIZES = {"4k": 4 << 10, "256k": 256 << 10, "10m": 10 << 20, "64m": 64 << 20}
SIZELESS = {"mixed": "10m", "list": "4k", "first": "4k", "delete": "4k", "multipart": "10m", "stat": "4k"}


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:9000")
    parser.add_argument("--against", help="a second endpoint, measured in turns with the first")
    parser.add_argument("--access-key", default=os.environ.get("MINIO_ROOT_USER", "minioadmin"))
    parser.add_argument("--secret-key", default=os.environ.get("MINIO_ROOT_PASSWORD", "minioadmin"))
    parser.add_argument("--profiles", default="put,get,stat,list,delete,mixed,multipart")
    parser.add_argument("--sizes", default="4k,256k,10m,64m")
    parser.add_argument("--concurrency", default="1,20")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--repeat", type=int, default=1, help="the median of this many runs is printed")
    parser.add_argument("--count", type=int, default=20_000, help="fresh keys for put, list and delete")
    parser.add_argument("--keys", type=int, default=0, help="store this many small objects first")
    parser.add_argument("--cold", action="store_true", help="drop the page cache before each run (root)")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--machine", metavar="DIR", help="also print the machine's own rates, writing in DIR")
    parser.add_argument("--identity", metavar="DIR", help="print what deciding and many users cost, with a server in DIR")
    return parser.parse_args(arguments)


def target_of(url: str, options: argparse.Namespace) -> Target:
    parts = urlsplit(url)
    return Target(parts.hostname or "127.0.0.1", parts.port or 80, options.access_key, options.secret_key)


def cases(options: argparse.Namespace) -> list[tuple[str, str, int]]:
    found = []
    for profile in options.profiles.split(","):
        for size in [SIZELESS[profile]] if profile in SIZELESS else options.sizes.split(","):
            found += [(profile, size, int(c)) for c in options.concurrency.split(",")]
    return found


def drop_cache() -> None:
    os.sync()
    with open("/proc/sys/vm/drop_caches", "w") as file:
        file.write("3")


def once(target: Target, case: tuple[str, str, int], options: argparse.Namespace) -> dict[str, float]:
    profile, size, concurrency = case
    bench = Bench(Signer(target), SIZES[size], concurrency, options.count)
    bench.create_bucket()
    plan = PROFILES[profile](bench)
    if options.cold:
        drop_cache()
    servers = process.server_of(target.port)
    before = process.cpu_s(servers)
    samples, took = client.run(bench.address, plan.sources, options.seconds)
    cpu = process.cpu_s(servers) - before
    times = sorted(sample[1] for sample in samples)
    moved = sum(sample[2] + sample[3] for sample in samples if sample[0] not in ("list", "delete", "stat"))
    return {
        "rate": len(samples) * plan.per_request / took,
        "mib_s": moved / took / 2**20,
        "p50_ms": times[len(times) // 2] * 1000,
        "p99_ms": times[int(len(times) * 0.99)] * 1000,
        "cpu_us": cpu / len(samples) * 1e6,
        "cpu_s_gib": cpu / (moved / 2**30) if moved > 1 << 20 else 0.0,
        "pss_mib": process.pss_mib(servers),
    }


def prefill(target: Target, keys: int) -> None:
    """Make the bucket large: 16-byte objects under one prefix, in slices signed shortly before they are sent."""
    for start in range(0, keys, 20_000):
        bench = Bench(Signer(target), 16, 20, 0)
        bench.tag = "prefill"
        bench.create_bucket()
        bench.send([bench.put_wire(i) for i in range(start, min(keys, start + 20_000))])
        print(f"\r{min(keys, start + 20_000)} of {keys} objects stored", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)


def measure(case: tuple[str, str, int], targets: list[Target], options: argparse.Namespace) -> list[dict[str, float]]:
    """Each target in turn, ``--repeat`` times; medians."""
    runs: list[list[dict[str, float]]] = [[] for _ in targets]
    for _ in range(options.repeat):
        for found, target in zip(runs, targets, strict=True):
            found.append(once(target, case, options))
    return [{name: statistics.median(run[name] for run in found) for name in found[0]} for found in runs]


def show(case: tuple[str, str, int], results: list[dict[str, float]]) -> None:
    for which, row in zip(("", "  against"), results, strict=False):
        name = f"{case[0]} {case[1]} c={case[2]}{which}"
        print(
            f"{name:32} {row['rate']:10.0f}/s {row['mib_s']:8.0f} MiB/s  p50 {row['p50_ms']:8.2f}  p99 {row['p99_ms']:8.2f} ms"
            f"  {row['cpu_us']:8.0f} us/op {row['cpu_s_gib']:6.2f} s/GiB  PSS {row['pss_mib']:5.0f} MiB"
        )
    if len(results) == 2 and results[1]["rate"]:
        print(f"{'':32} ratio {results[0]['rate'] / results[1]['rate']:.2f}")
    sys.stdout.flush()


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    if options.identity:
        from . import identity  # it takes the product's own packages

        identity.report(options.identity)
        return 0
    targets = [target_of(url, options) for url in (options.url, options.against) if url]
    report: list[dict[str, Any]] = []
    if options.machine:
        for name, value in machine.rates(options.machine).items():
            print(f"{name:32} {value:10.1f}")
    for target in targets if options.keys else ():
        prefill(target, options.keys)
    for case in cases(options):
        results = measure(case, targets, options)
        report.append({"profile": case[0], "size": case[1], "concurrency": case[2], "results": results})
        if not options.json:
            show(case, results)
    if options.json:
        json.dump(report, sys.stdout, indent=1)
    return 0
