"""``mc admin heal``: what is being healed, and the call that starts it.

Drives in sync that lack shards are healed by the owners of their sets at all times, whether anybody asks or not, so a
start has no healing to start: it begins a report. Who comes back with its token is told of buckets and objects, item by
item, on which drives they are whole, are missing, or cannot be seen, and whether something is being healed still.
What healing would have to do beyond that (reading everything, removing, rewriting) is refused; nothing is ever told as
healed by a call: what was before and what is after are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from blake3 import blake3

from ...domain.errors import HealMissingBucket, HealTokenUnknown, InvalidRequest, NotImplementedHere
from ...domain.names import check_bucket_name
from ...http.message import Reply
from ...meta.records import BucketRecord
from ...services.access import owner_of
from ...services.heal_reports import Item, Wanted
from .. import moments
from ..call import Call, plain, some
from ..cluster import SetShape
from .drives import shown_drive

MAC_BYTES = 16
_RECURSIVE, _DRY = 1, 2
_TOKEN = Struct(">QBHQ")
"""Start, flags, worker and number of the report."""


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
    return plain(await _start(call, Wanted(bucket, prefix.encode(), options.recursive), options.dry_run))


async def _start(call: Call, wanted: Wanted, dry_run: bool) -> dict[str, Any]:
    """madmin ``HealStartSuccess``. :raises NoSuchBucket:"""
    reports, began_ns = call.services.observing.inside.heal_reports, call.request.received_ns
    flags = _RECURSIVE * wanted.recursive | _DRY * dry_run

    def sees(record: BucketRecord) -> bool:
        return owner_of(record) == call.account or (call.who.root and call.other is None)

    token = _token(call, Task(began_ns, flags, *await reports.begin(wanted, sees)))
    return {"clientToken": token, "clientAddress": call.request.peer, "startTime": moments.show(began_ns)}


async def _status(call: Call, token: str) -> dict[str, Any]:
    """madmin ``HealTaskStatus``. :raises HealTokenUnknown, Busy"""
    task = _opened(call, token)
    step = await call.services.observing.inside.heal_reports.fetch(task.slot, task.number)
    if step is None:
        raise HealTokenUnknown()
    sets = await call.services.cluster.sets()
    healing = [drive.path for one in sets for drive in one.drives if drive.healing]
    summary = "stopped" if step.failure else "running" if healing or not step.ended else "finished"
    return {
        "summary": summary,
        "detail": step.failure or (f"Being healed: {', '.join(healing)}" if healing else ""),
        "startTime": moments.show(task.began_ns),
        "settings": {
            "recursive": bool(task.flags & _RECURSIVE),
            "dryRun": bool(task.flags & _DRY),
            "remove": False,
            "recreate": False,
            "scanMode": 0,
            "updateParity": False,
            "nolock": False,
        },
        "items": [_shown(sets, item, number) for number, item in enumerate(step.items)],
    }


def _shown(sets: Sequence[SetShape], item: Item, number: int) -> dict[str, Any]:
    """madmin ``HealResultItem``."""
    about = sets if item.set < 0 else [sets[item.set]]
    paths = [drive.path for one in about for drive in one.drives]
    drives = [{"uuid": "", "endpoint": path, "state": state} for path, state in zip(paths, item.states, strict=True)]
    # without a payload there are rows alone, of which every drive has a whole copy
    k, m = (item.k, item.m) if item.k else (len(drives) - about[0].parity, about[0].parity)
    return {
        "resultId": number,
        "type": "object" if item.object else "bucket",
        "bucket": item.bucket,
        "object": item.object.decode("utf-8", "replace"),
        "versionId": str(UUID(bytes=item.version_id)) if item.version_id else "",
        "detail": "",
        **some(parityBlocks=m if item.object else None, dataBlocks=k if item.object else None),
        "diskCount": len(drives),
        "setCount": len(about),
        "before": {"drives": drives},
        "after": {"drives": drives},
        "objectSize": item.size,
    }


class Task(NamedTuple):
    """What a token stands for."""

    began_ns: int
    flags: int
    slot: int
    number: int


def _token(call: Call, task: Task) -> str:
    """Any worker knows a token again, and whose report it is: it is the task, signed together with the path."""
    text = _TOKEN.pack(*task)
    return (text + _mac(call, text)).hex()


def _opened(call: Call, token: str) -> Task:
    """:raises HealTokenUnknown: none that was given for this path"""
    try:
        raw = bytes.fromhex(token)
    except ValueError:
        raise HealTokenUnknown() from None
    text, mac = raw[: _TOKEN.size], raw[_TOKEN.size :]
    if len(mac) != MAC_BYTES or mac != _mac(call, text):
        raise HealTokenUnknown()
    return Task(*_TOKEN.unpack(text))


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
