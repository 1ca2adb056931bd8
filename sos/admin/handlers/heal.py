"""``mc admin heal``: what is being healed, and the call that starts it.

Drives in sync that lack shards are healed by the owners of their sets at all times, whether anybody asks or not, so a
start has nothing to start: it gives a token, and who comes back with it is told whether something is being healed still.
What healing would have to do beyond that (reading everything, removing, rewriting) is refused; nothing is ever told as
healed by a call.
"""

from __future__ import annotations

from typing import Any

import msgspec
from blake3 import blake3

from ...domain.errors import HealMissingBucket, HealTokenUnknown, InvalidRequest, NotImplementedHere
from ...domain.names import check_bucket_name
from ...http.message import Reply
from .. import moments
from ..call import Call, plain
from .drives import shown_drive

START_BYTES, FLAG_BYTES, MAC_BYTES = 8, 1, 16
_RECURSIVE, _DRY = 1, 2


class Options(msgspec.Struct, rename="camel"):
    """madmin ``HealOpts``. :param scan_mode: 2 reads everything"""

    recursive: bool = False
    dry_run: bool = False
    remove: bool = False
    recreate: bool = False
    scan_mode: int = 0
    update_parity: bool = False
    pool: int | None = None
    set: int | None = None

    def require_known(self) -> None:
        """:raises NotImplementedHere:"""
        beyond = {
            "a scan of everything": self.scan_mode == 2,
            "removing what cannot be healed": self.remove,
            "rewriting": self.recreate or self.update_parity,
            "healing of one set": self.pool is not None or self.set is not None,
        }
        for what, asked in beyond.items():
            if asked:
                raise NotImplementedHere(what=f"Heal with {what}")


async def heal(call: Call) -> Reply:
    """Start, or with ``clientToken`` the status."""
    bucket, _, prefix = call.path["path"].partition("/")
    token, start, stop = call.get("clientToken"), "forceStart" in call.query, "forceStop" in call.query
    if (start and stop) or (token and (start or stop)):
        raise InvalidRequest("Only one of clientToken, forceStart and forceStop can be given.")
    if prefix and not bucket:
        raise HealMissingBucket()
    if stop:
        raise NotImplementedHere(what="Stopping of healing")
    if token:
        return plain(await _status(call, token))
    options = await call.parsed(Options)
    options.require_known()
    if bucket:
        check_bucket_name(bucket)
        await call.services.buckets.get(bucket)
    began_ns = call.request.received_ns
    address = call.request.peer
    return plain(
        {
            "clientToken": _token(call, began_ns, _RECURSIVE * options.recursive | _DRY * options.dry_run),
            "clientAddress": address,
            "startTime": moments.show(began_ns),
        }
    )


async def _status(call: Call, token: str) -> dict[str, Any]:
    """madmin ``HealTaskStatus``. :raises HealTokenUnknown:"""
    began_ns, flags = _opened(call, token)
    sets = await call.services.cluster.sets()
    healing = [drive.path for one in sets for drive in one.drives if drive.healing]
    return {
        "summary": "running" if healing else "finished",
        "detail": f"Being healed: {', '.join(healing)}" if healing else "",
        "startTime": moments.show(began_ns),
        "settings": {
            "recursive": bool(flags & _RECURSIVE),
            "dryRun": bool(flags & _DRY),
            "remove": False,
            "recreate": False,
            "scanMode": 0,
            "updateParity": False,
            "nolock": False,
        },
        "items": [],
    }


def _token(call: Call, began_ns: int, flags: int) -> str:
    """Any worker knows a token again, also after a restart: it is the path, the start and the flags, signed."""
    text = began_ns.to_bytes(START_BYTES, "big") + bytes([flags])
    return (text + _mac(call, text)).hex()


def _opened(call: Call, token: str) -> tuple[int, int]:
    """:raises HealTokenUnknown: none that was given for this path"""
    try:
        raw = bytes.fromhex(token)
    except ValueError:
        raise HealTokenUnknown() from None
    text, mac = raw[: START_BYTES + FLAG_BYTES], raw[START_BYTES + FLAG_BYTES :]
    if len(mac) != MAC_BYTES or mac != _mac(call, text):
        raise HealTokenUnknown()
    return int.from_bytes(text[:START_BYTES], "big"), text[START_BYTES]


def _mac(call: Call, text: bytes) -> bytes:
    """Nothing hangs on its secrecy: a token only repeats what its holder may ask without one."""
    key = blake3(call.services.identity.realm.keyring.tokens, derive_key_context="sos 2026 heal tokens").digest()
    return blake3(text + call.path["path"].strip("/").encode(), key=key).digest(length=MAC_BYTES)


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
