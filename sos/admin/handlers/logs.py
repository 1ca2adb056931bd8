"""``mc admin logs``: what every process of the server logged, and goes on logging."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from ...base.board import Board
from ...base.rings import Ring
from ...http.message import Reply
from ...observe.logs import Kept, kept
from .. import moments
from ..call import Call, some
from ..streams import EVENTS, KEEP_ALIVE_S, LOOK_S, line, streamed, whole_number

#: How many lines an old client that names no number is shown first; 0 shows all that are left.
LINES = 10
BATCH_BYTES = 256 * 1024
_LEVELS = {"CRITICAL": "FATAL"}
#: Loggers whose lines are about requests; the others' are about the server itself.
_APPLICATION = ("sos.s3", "sos.admin", "sos.http")


async def console_log(call: Call) -> Reply:
    """NDJSON of madmin ``LogInfo``: the last lines first, then what comes."""
    facts = call.services.cluster.facts()
    node = call.get("node")
    if node and node.lower() not in (facts.endpoint.lower(), facts.endpoint.rpartition(":")[0].lower()):
        return streamed(_nothing(), EVENTS)
    limit = whole_number(call.get("limit"))
    last = LINES if limit is None else limit
    kind = call.get("logType").upper()
    return streamed(_lines(call.services.observing.board, last, kind, facts.deployment, facts.endpoint), EVENTS)


async def _nothing() -> AsyncGenerator[bytes, None]:
    """Of a node that is not here."""
    while True:
        yield b" "
        await asyncio.sleep(KEEP_ALIVE_S)


async def _lines(board: Board, last: int, kind: str, deployment: str, node: str) -> AsyncGenerator[bytes, None]:
    rings = [Ring(board.log(slot)) for slot in range(board.workers + 1)]
    marks = [ring.oldest() for ring in rings]
    silent_s, begun = 0.0, False
    while True:
        records: list[Kept] = []
        for i, ring in enumerate(rings):
            read = ring.read(marks[i], BATCH_BYTES)
            marks[i] = read.mark
            records += [record for record in map(kept, read.records) if _is(record, kind)]
        records.sort(key=lambda record: record.time_ns)
        if not begun and last:
            records = records[-last:]
        begun = True
        text = b"".join(line(_shown(record, deployment, node)) for record in records)
        silent_s = 0.0 if text else silent_s + LOOK_S
        if text or silent_s >= KEEP_ALIVE_S:
            silent_s = 0.0
            yield text or b" "
        await asyncio.sleep(LOOK_S)


def _is(record: Kept, kind: str) -> bool:
    application = record.logger.startswith(_APPLICATION)
    return {"MINIO": not application, "APPLICATION": application}.get(kind, True)


def _shown(record: Kept, deployment: str, node: str) -> dict[str, Any]:
    """madmin ``LogInfo``; mc shows the text of ``error`` only."""
    level = _LEVELS.get(record.level, record.level)
    return {
        "deploymentid": deployment,
        "level": level,
        "errKind": level,
        "time": moments.show(record.time_ns),
        "host": f"{node} {record.role}",
        "message": record.message,
        "error": some(message=f"{record.role}: {record.message}", source=[record.source, *record.trace]),
        "ConsoleMsg": "",
        "node": node,
    }
