"""The server itself: stopping it, healing, pools, locks."""

from __future__ import annotations

from typing import Any

from ...domain.errors import InvalidAdminArgument, InvalidRequest, NotImplementedHere
from ...http.message import Reply
from .. import moments
from ..call import Call, done, plain
from .drives import pools, shown_drive

ACTIONS = {
    "restart": "admin:ServiceRestart",
    "stop": "admin:ServiceStop",
    "freeze": "admin:ServiceFreeze",
    "unfreeze": "admin:ServiceFreeze",
}


async def service(call: Call) -> Reply:
    """Stop the server in order, once the reply is on its way."""
    action = call.get("action")
    if action not in ACTIONS:
        raise InvalidAdminArgument("The action must be restart, stop, freeze or unfreeze.")
    await call.require(ACTIONS[action])
    if action != "stop":
        raise NotImplementedHere(what=f"service {action}")
    cluster, dry = call.services.cluster, call.switch("dry-run")
    if not dry:
        cluster.stop()
    if call.get("type") != "2":
        return done()
    host = {"host": cluster.facts().endpoint}
    return plain({"action": action, "dryRun": dry, "results": [host]})


async def heal_status(call: Call) -> Reply:
    """madmin ``BgHealState``: which drives are being rebuilt or lack shards."""
    sets = await call.services.cluster.sets()
    facts = call.services.cluster.facts()
    shown: list[dict[str, Any]] = [
        {
            "id": f"{one.pool}/{one.index}",
            "pool_index": one.pool,
            "set_index": one.index,
            "heal_status": "Healing" if any(drive.healing for drive in one.drives) else "",
            "heal_priority": "low",
            "total_objects": 0,
            "disks": [shown_drive(facts, drive) for drive in one.drives],
        }
        for one in sets
    ]
    healing = [drive.path for one in sets for drive in one.drives if drive.healing]
    classes = {"STANDARD": sets[0].parity, "REDUCED_REDUNDANCY": sets[0].reduced}
    state = {"offline_nodes": [], "ScannedItemsCount": 0, "HealDisks": healing, "sets": shown, "mrf": {}}
    return plain({**state, "sc_parity": classes})


async def list_pools(call: Call) -> Reply:
    return plain(await _pools(call))


async def pool_status(call: Call) -> Reply:
    """Of one pool, by its command line or with ``by-id`` by its number."""
    wanted, by_id = call.get("pool"), call.switch("by-id")
    for pool in await _pools(call):
        if wanted == (str(pool["id"]) if by_id else pool["cmdline"]):
            return plain(pool)
    raise InvalidRequest("There is no such pool.")


async def _pools(call: Call) -> list[dict[str, Any]]:
    """madmin ``PoolStatus``; clients need sizes where nothing is being decommissioned, too."""
    facts, every = call.services.cluster.facts(), pools(await call.services.cluster.sets())
    shown = []
    for number, (text, sets) in enumerate(zip(facts.pools, every, strict=True)):
        drives = [drive for one in sets for drive in one.drives]
        sizes = {"totalSize": sum(one.total for one in drives), "currentSize": sum(one.free for one in drives)}
        idle = {"complete": False, "failed": False, "canceled": False, "startTime": moments.ZERO, "startSize": 0}
        info = {"id": number, "cmdline": text, "lastUpdate": moments.ZERO, "decommissionInfo": sizes | idle}
        shown.append(info)
    return shown


async def top_locks(call: Call) -> Reply:
    """None: each set has one owner, and nothing else locks."""
    return plain([])
