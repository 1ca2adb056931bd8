"""Stores a real tree of this machine in a server with four drives, by rclone, aws, s3cmd and restic, and verifies every
byte of it, while one drive fails and workers are killed with -9 on the way. Everything is below one temporary directory,
removed at the end. Nothing is installed: `scripts/setup test` does that."""

from __future__ import annotations

import argparse
import contextlib
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from tests.kit import devices

from .clients import CLIENTS, Client
from .cluster import Cluster, Trigger, ignore
from .show import Failed, Show, size_text
from .tree import MIB, SIZES, Tree, default_sources, make

#: On disk at once: the tree, two copies of it from each client (parity is as large as data), and one download.
COPIES = 2 + 2 * len(CLIENTS)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/real-data", description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="small", help="how much of the tree is taken (default: small)")
    parser.add_argument("--source", type=Path, help="a directory instead of the Python installation and its packages")
    parser.add_argument("--clients", default="", help="some of rclone,aws,s3cmd,restic (default: all; a missing one is an error)")
    parser.add_argument(
        "--drive", choices=("auto", "device", "directory"), default="auto",
        help="how a drive is lost. device: the drives are XFS of their own, and one is shut down under the running server (root). "
        "directory: one is moved away while the server restarts. auto: device where it can be made",
    )  # fmt: skip
    parser.add_argument("--directory", type=Path, help="where the temporary directory is made")
    parser.add_argument("--keep", action="store_true", help="leave the directory, for a look at the logs")
    return parser.parse_args(arguments)


def choose_clients(names: str) -> list[type[Client]]:
    """The clients asked for. :raises Failed: one is not installed"""
    wanted = [name for name in names.split(",") if name]
    if unknown := set(wanted) - {client.program for client in CLIENTS}:
        raise Failed(f"no such client: {', '.join(sorted(unknown))}")
    chosen = [client for client in CLIENTS if not wanted or client.program in wanted]
    if missing := [client for client in chosen if not client.found()]:
        hints = "; ".join(f"{client.program}: {client.install}" for client in missing)
        raise Failed(f"not installed: {hints}. `scripts/setup test` installs them, --clients chooses others")
    return chosen


def use_device(wanted: str, show: Show) -> bool:
    """:raises Failed: a device was asked for and cannot be made"""
    if wanted == "directory":
        return False
    why = devices.missing("xfs")
    if why and wanted == "device":
        raise Failed(f"no device for a drive: {why}")
    if why:
        show.say(f"the drive will be moved away, as it cannot be a device of its own: {why}")
    return not why


def check_space(tree: Tree, path: Path) -> None:
    needed, free = tree.bytes * COPIES + 512 * MIB, shutil.disk_usage(path).free
    if needed > free:
        raise Failed(f"{path} has {size_text(free)} free, {size_text(needed)} are needed; choose a smaller --size or another --directory")


def exercise(cluster: Cluster, clients: list[Client], tree: Tree, show: Show) -> list[Client]:
    """Store by every client, then verify: the drive goes in the middle of the first upload (or before the second), a
    worker in the middle of every other upload and of the first verification. The clients that stored the tree."""
    stored = []
    for number, client in enumerate(clients):
        slot = (number + 1) % 2
        if number == 0 and cluster.fails_under_load:
            action = Trigger(0.4, cluster.lose_drive)
        elif number == 0:
            action = None
        else:
            action = Trigger(0.4, lambda slot=slot: cluster.kill_worker(slot))  # type: ignore[misc]
        if store(client, action, tree, show):
            stored.append(client)
        if number == 0 and not cluster.fails_under_load:
            cluster.lose_drive()
    for number, client in enumerate(stored):
        action = Trigger(0.3, lambda: cluster.kill_worker(0)) if number == 0 else None
        with show.step(f"{client.name}: read back and compared", tree.count, tree.bytes):
            client.verify(action or ignore)
            if action:
                action.finish()
    return stored


def store(client: Client, action: Trigger | None, tree: Tree, show: Show) -> bool:
    with show.step(client.name, tree.count, tree.bytes) as step:
        try:
            client.store(action or ignore)
        finally:
            if action:
                action.finish()
    return not step.failure


def check_listing(cluster: Cluster, clients: list[Client], tree: Tree, show: Show) -> None:
    """Counts and bytes of the buckets by their listings."""
    with show.step("listings", 0, 0):
        s3 = cluster.server.boto3(attempts=3)
        for client in clients:
            pages = s3.get_paginator("list_objects_v2").paginate(Bucket=client.bucket)
            sizes = [entry["Size"] for page in pages for entry in page.get("Contents", [])]
            show.say(f"    {client.bucket}: {len(sizes)} objects, {size_text(sum(sizes))}")
            if client.program != "restic" and (len(sizes), sum(sizes)) != (tree.count, tree.bytes):
                raise Failed(f"{client.bucket} lists {len(sizes)} objects, {sum(sizes)} bytes: not the tree's")


def check_log(cluster: Cluster, show: Show) -> None:
    with show.step("the server's log", 0, 0):
        if bad := [line for line in cluster.server.log().splitlines() if "Traceback" in line or "CRITICAL" in line]:
            raise Failed(f"{len(bad)} lines that should not be there: {bad[0]}")


def delete_all(cluster: Cluster, clients: list[Client], show: Show) -> None:
    """Delete everything by its listing, then the buckets."""
    with show.step("everything deleted", 0, 0):
        s3 = cluster.server.boto3(attempts=3)
        for client in clients:
            for page in s3.get_paginator("list_objects_v2").paginate(Bucket=client.bucket):
                keys = [{"Key": entry["Key"]} for entry in page.get("Contents", [])]
                if keys and s3.delete_objects(Bucket=client.bucket, Delete={"Objects": keys, "Quiet": True}).get("Errors"):
                    raise Failed(f"{client.bucket}: keys that could not be deleted")
            s3.delete_bucket(Bucket=client.bucket)


def run(options: argparse.Namespace, path: Path, show: Show) -> None:
    chosen = choose_clients(options.clients)
    device = use_device(options.drive, show)
    sources = [options.source] if options.source else default_sources()
    show.say(f"taking {', '.join(map(str, sources))} ({options.size}) into {path}")
    tree = make([source.resolve() for source in sources], path / "tree", SIZES[options.size], show.counted)
    check_space(tree, path)
    largest = max(tree.sizes.values())
    show.say(f"{tree.count} files, {size_text(tree.bytes)}, the largest {size_text(largest)}")
    (path / "server").mkdir()
    cluster = Cluster(path / "server", device, tree.bytes * (len(chosen) + 1) + 1024 * MIB, show)
    try:
        cluster.start()
        clients = [client(cluster.server.url, path / client.program, tree, show) for client in chosen]
        stored = exercise(cluster, clients, tree, show)
        check_listing(cluster, stored, tree, show)
        delete_all(cluster, stored, show)
        check_log(cluster, show)
        show.events.append(f"most memory of all server processes: {size_text(cluster.memory.most_bytes)} (PSS)")
        if options.keep:
            show.say(f"logs are in {path}")
    finally:
        cluster.close()


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    show = Show()
    # so that the drives are unmounted and the directory is removed
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
    path = Path(tempfile.mkdtemp(prefix="sos-real-data-", dir=options.directory))
    try:
        run(options, path, show)
    except Failed as error:
        print(f"real-data: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nreal-data: interrupted", file=sys.stderr)
        return 130
    finally:
        if not options.keep:
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(path)
    return 0 if show.summary() else 1
