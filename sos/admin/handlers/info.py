"""What there is: the server, its drives, what the buckets hold, what the caller may do."""

from __future__ import annotations

import asyncio
import os
import platform
from typing import Any

import msgspec

from ...domain.policy.builtin import builtin_json
from ...http.message import Reply
from ...meta.records import BucketRecord, CounterRecord
from ...services import measures
from ...services.access import owner_of
from ...services.usage import Usages
from .. import moments
from ..call import Call, plain, some
from ..cluster import ServerFacts, SetShape
from .access_keys import combined
from .drives import backend, online, pools, shown_drive, usable

BUCKETS_MAX = 1_000_000
#: Buckets that are decided about between two looks at other work: 20 µs each.
AT_ONCE = 100


async def server_info(call: Call) -> Reply:
    """madmin ``InfoMessage``."""
    cluster = call.services.cluster
    facts, sets, usages = cluster.facts(), await cluster.sets(), await call.services.usage.now()
    buckets, _ = await call.services.buckets.list("", "", BUCKETS_MAX)
    held = usages.of_all()
    message = {
        "mode": facts.mode,
        **some(domain=facts.domains, region=facts.region),
        "deploymentID": facts.deployment,
        "buckets": {"count": len(buckets)},
        "objects": {"count": held.objects},
        "versions": {"count": held.versions},
        "deletemarkers": {"count": held.markers},
        "usage": {"size": held.size},
        "services": {"kms": {}, "ldap": await _ldap(call)},
        "backend": _backend(sets),
        "servers": [_server(facts, sets, (await asyncio.to_thread(measures.processes)).resident)],
        "pools": _pools(sets, usages),
    }
    return plain(message)


async def _ldap(call: Call) -> dict[str, Any]:
    """madmin ``LDAP``: nothing where no directory is configured."""
    ldap = call.services.ldap
    if ldap is None or not ldap.enabled:
        return {}
    return {"status": "online" if await ldap.online() else "offline"}


def _backend(sets: list[SetShape]) -> dict[str, Any]:
    working, gone = online(sets)
    return {
        "backendType": "Erasure",
        "onlineDisks": working,
        "offlineDisks": gone,
        "standardSCParity": sets[0].parity,
        "rrSCParity": sets[0].reduced,
        "totalSets": [len(some_sets) for some_sets in pools(sets)],
        "totalDrivesPerSet": [len(some_sets[0].drives) for some_sets in pools(sets)],
    }


def _server(facts: ServerFacts, sets: list[SetShape], resident: int) -> dict[str, Any]:
    numbers = [i + 1 for i in range(len(pools(sets)))]
    return {
        "state": facts.mode,
        "endpoint": facts.endpoint,
        "scheme": facts.scheme,
        "uptime": facts.uptime_s,
        "version": facts.version,
        "commitID": facts.version,
        "network": {facts.endpoint: "online"},
        "drives": [shown_drive(facts, drive) for one in sets for drive in one.drives],
        "poolNumber": 1 if len(numbers) == 1 else (1 << 63) - 1,
        "poolNumbers": numbers,
        # of all processes; Python counts no allocations
        "mem_stats": {"Alloc": resident, "TotalAlloc": 0, "Mallocs": 0, "Frees": 0, "HeapAlloc": resident},
        "go_max_procs": facts.workers,
        "num_cpu": os.cpu_count() or 1,
        "runtime_version": f"python{platform.python_version()}",
        "edition": "",
        "is_leader": True,
        "ilm_expiry_in_progress": False,
    }


def _pools(sets: list[SetShape], usages: Usages) -> dict[str, dict[str, dict[str, int]]]:
    shown: dict[str, dict[str, dict[str, int]]] = {}
    for one in sets:
        held = usages.of_set(one.number)
        shown.setdefault(str(one.pool), {})[str(one.index)] = {
            "id": one.index,
            "rawUsage": sum(drive.used for drive in one.drives),
            "rawCapacity": sum(drive.total for drive in one.drives),
            "usage": held.size,
            "objectsCount": held.objects,
            "versionsCount": held.versions,
            "deleteMarkersCount": held.markers,
            "healDisks": sum(drive.healing for drive in one.drives),
        }
    return shown


async def storage_info(call: Call) -> Reply:
    """madmin ``StorageInfo``."""
    facts, sets = call.services.cluster.facts(), await call.services.cluster.sets()
    disks = [shown_drive(facts, drive) for one in sets for drive in one.drives]
    return plain({"Disks": disks, "Backend": backend(facts, sets)})


async def data_usage_info(call: Call) -> Reply:
    """madmin ``DataUsageInfo``: of this very moment, since counters are exact."""
    usages = await call.services.usage.now()
    buckets, _ = await call.services.buckets.list("", "", BUCKETS_MAX)
    held = {record.name: usages.of_bucket(record) for record in buckets}
    message: dict[str, Any] = {
        "lastUpdate": moments.show(call.request.received_ns),
        **_totals(usages.of_all()),
        "bucketsCount": len(buckets),
        "bucketsUsageInfo": {name: _bucket(counter) for name, counter in held.items()},
        "bucketsSizes": {name: counter.size for name, counter in held.items()},
    }
    if call.switch("capacity"):
        message |= _capacity(await call.services.cluster.sets())
    return plain(message)


def _totals(held: CounterRecord) -> dict[str, int]:
    return {
        "objectsCount": held.objects,
        "versionsCount": held.versions,
        "deleteMarkersCount": held.markers,
        "objectsTotalSize": held.size,
    }


def _bucket(held: CounterRecord) -> dict[str, int]:
    totals = _totals(held)
    return {"size": totals.pop("objectsTotalSize"), **totals}


def _capacity(sets: list[SetShape]) -> dict[str, int]:
    """Of the drives that answer, for objects."""
    total, free = usable(sets)
    return {"capacity": total, "freeCapacity": free, "usedCapacity": total - free}


async def account_info(call: Call) -> Reply:
    """madmin ``AccountInfo``: the caller, its policies, and the buckets that it can use."""
    facts, sets = call.services.cluster.facts(), await call.services.cluster.sets()
    usages = await call.services.usage.now()
    records, _ = await call.services.buckets.list("", "", BUCKETS_MAX)
    shown = []
    for number, record in enumerate(records):
        if number % AT_ONCE == 0:
            await asyncio.sleep(0)
        if call.other is not None and owner_of(record) != call.account:
            continue
        read, write = await _access(call, record)
        if read or write:
            shown.append(_account_bucket(record, usages.of_bucket(record), read, write))
    who = call.who
    policy = builtin_json()["consoleAdmin"] if who.owner else await combined(call, who.policy_names)
    return plain(
        {
            "AccountName": call.other.root_key if call.other is not None else who.user or who.access_key,
            "Server": backend(facts, sets),
            "Policy": msgspec.Raw(policy),
            "Buckets": shown,
        }
    )


async def _access(call: Call, record: BucketRecord) -> tuple[bool, bool]:
    async def may(action: str) -> bool:
        return await call.allows(action, bucket=record.name, account=owner_of(record))

    return await may("s3:ListBucket") or await may("s3:GetBucketLocation"), await may("s3:PutObject")


def _account_bucket(record: BucketRecord, held: CounterRecord, read: bool, write: bool) -> dict[str, Any]:
    quota = (
        {"quota": record.quota_bytes, "size": record.quota_bytes, "quotatype": "hard"} if record.quota_bytes else None
    )
    details = {
        "versioning": record.versioning == "Enabled",
        "versioningSuspended": record.versioning == "Suspended",
        "locking": record.object_lock,
        "replication": False,
        "tags": None,
        "quota": quota,
    }
    return {
        "name": record.name,
        "size": held.size,
        "objects": held.objects,
        "objectHistogram": {},
        "objectsVersionsHistogram": {},
        "details": details,
        "prefixUsage": None,
        "created": moments.show(record.created_ns),
        "access": {"read": read, "write": write},
    }
