"""madmin ``Disk`` and ``BackendInfo``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..call import some
from ..cluster import Drive, ServerFacts, SetShape


def shown_drive(facts: ServerFacts, drive: Drive) -> dict[str, Any]:
    """madmin ``Disk``."""
    utilization = 100.0 * drive.used / drive.total if drive.total else 0.0
    return {
        "endpoint": drive.path,
        "path": drive.path,
        **some(healing=True if drive.healing else None),
        "state": drive.state,
        "uuid": drive.uuid,
        "major": drive.device[0],
        "minor": drive.device[1],
        "totalspace": drive.total,
        "usedspace": drive.used,
        "availspace": drive.free,
        "utilization": utilization,
        "used_inodes": drive.inodes_used,
        "free_inodes": drive.inodes_free,
        "local": True,
        "pool_index": drive.pool,
        "set_index": drive.set,
        "disk_index": drive.position,
    }


def online(sets: Sequence[SetShape]) -> tuple[int, int]:
    """Drives in sync, and the others."""
    states = [drive.state == "ok" for one in sets for drive in one.drives]
    return sum(states), len(states) - sum(states)


def pools(sets: Sequence[SetShape]) -> list[list[SetShape]]:
    """The sets of each pool."""
    return [[one for one in sets if one.pool == pool] for pool in sorted({one.pool for one in sets})]


def usable(sets: Sequence[SetShape]) -> tuple[int, int]:
    """Bytes that objects of STANDARD have in all, and those left: what the drives have without the share of parity."""

    def share(one: SetShape, space: int) -> int:
        return space * (len(one.drives) - one.parity) // len(one.drives)

    total = sum(share(one, sum(drive.total for drive in one.drives)) for one in sets)
    return total, sum(share(one, sum(drive.free for drive in one.drives)) for one in sets)


def backend(facts: ServerFacts, sets: Sequence[SetShape]) -> dict[str, Any]:
    """madmin ``BackendInfo`` as in StorageInfo and AccountInfo."""
    working, gone = online(sets)
    firsts = [some_sets[0] for some_sets in pools(sets)]
    return {
        "Type": 2,
        "GatewayOnline": False,
        "OnlineDisks": {facts.endpoint: working},
        "OfflineDisks": {facts.endpoint: gone},
        "StandardSCData": [len(one.drives) - one.parity for one in firsts],
        "StandardSCParities": [one.parity for one in firsts],
        "RRSCData": [len(one.drives) - one.reduced for one in firsts],
        "RRSCParities": [one.reduced for one in firsts],
        "TotalSets": [len(some_sets) for some_sets in pools(sets)],
        "DrivesPerSet": [len(one.drives) for one in firsts],
        "StandardSCParity": firsts[0].parity,
        "RRSCParity": firsts[0].reduced,
    }
