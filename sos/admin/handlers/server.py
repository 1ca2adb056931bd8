"""The server itself: stopping it, healing, pools, locks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...domain.errors import InvalidAdminArgument
from ...http.message import Reply
from .. import moments
from ..call import Call, done, plain
from .drives import pools, usable

ACTIONS = {
    "restart": "admin:ServiceRestart",
    "stop": "admin:ServiceStop",
    "freeze": "admin:ServiceFreeze",
    "unfreeze": "admin:ServiceFreeze",
}


async def service(call: Call) -> Reply:
    """Stop the server or replace its workers, once the reply is on its way; or have S3 requests wait."""
    action = call.get("action")
    if action not in ACTIONS:
        raise InvalidAdminArgument("The action must be restart, stop, freeze or unfreeze.")
    await call.require(ACTIONS[action])
    cluster, dry = call.services.cluster, call.switch("dry-run")
    acts: dict[str, Callable[[], None]] = {
        "stop": cluster.stop,
        "restart": cluster.restart,
        "freeze": lambda: cluster.freeze(True),
        "unfreeze": lambda: cluster.freeze(False),
    }
    if not dry:
        acts[action]()
    if call.get("type") != "2":
        return done()
    return plain({"action": action, "dryRun": dry, "results": [{"host": cluster.facts().endpoint}]})


async def list_pools(call: Call) -> Reply:
    return plain(await _pools(call))


async def pool_status(call: Call) -> Reply:
    """Of one pool, by its command line or with ``by-id`` by its number."""
    wanted, by_id = call.get("pool"), call.switch("by-id")
    for pool in await _pools(call):
        if wanted == (str(pool["id"]) if by_id else pool["cmdline"]):
            return plain(pool)
    raise InvalidAdminArgument(f"specified pool '{wanted}' not found, please specify a valid pool")


async def _pools(call: Call) -> list[dict[str, Any]]:
    """madmin ``PoolStatus``; clients need sizes where nothing is being decommissioned, too."""
    facts, every = call.services.cluster.facts(), pools(await call.services.cluster.sets())
    shown = []
    for number, (text, sets) in enumerate(zip(facts.pools, every, strict=True)):
        sizes = dict(zip(("totalSize", "currentSize"), usable(sets), strict=True))
        idle = {"complete": False, "failed": False, "canceled": False, "startTime": moments.ZERO, "startSize": 0}
        info = {"id": number, "cmdline": text, "lastUpdate": moments.ZERO, "decommissionInfo": sizes | idle}
        shown.append(info)
    return shown


async def top_locks(call: Call) -> Reply:
    """None: each set has one owner, and nothing else locks."""
    return plain([])
