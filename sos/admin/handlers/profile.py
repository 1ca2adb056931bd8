"""``mc support profile``: profiles of every worker, taken at the same time."""

from __future__ import annotations

import asyncio
import io
import time
import zipfile

from ...domain.errors import InvalidAdminArgument, ProfilerNotEnabled
from ...http.message import Reply
from ...services.fleet import TOPIC_PROFILE
from ...services.profiles import KINDS, PROFILE_S_MAX, Order, Taken, decode_taken, encode
from ..call import Call, plain
from ..streams import duration_ns

DURATION_NS = 60 * 10**9
#: For a worker to write its profile.
TAKE_S_MAX = 60.0
#: How often it is looked whether somebody still waits.
LOOK_S = 0.5


async def profile(call: Call) -> Reply:
    """A zip archive, after the duration asked for."""
    seconds = duration_ns(call.get("duration"), DURATION_NS) / 1e9
    if not 0 < seconds <= PROFILE_S_MAX:
        raise InvalidAdminArgument(f"duration must be at most {PROFILE_S_MAX:.0f} s.")
    await _start(call, seconds + TAKE_S_MAX)
    until = time.monotonic() + seconds
    # nothing tells that a client left but asking
    while (left := until - time.monotonic()) > 0 and not call.request.disconnected():  # noqa: ASYNC110
        await asyncio.sleep(min(LOOK_S, left))
    return await _taken(call)


async def start_profiling(call: Call) -> Reply:
    """What the calls of older clients do: begin here, ``download`` ends it."""
    await _start(call, PROFILE_S_MAX)
    return plain([{"nodeName": call.services.cluster.facts().endpoint, "success": True, "error": ""}])


async def download_profiling(call: Call) -> Reply:
    """What was begun by the call above."""
    return await _taken(call)


async def _start(call: Call, seconds_max: float) -> None:
    """:raises InvalidAdminArgument: an unknown kind"""
    kinds = [kind for kind in call.get("profilerType").lower().split(",") if kind]
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown or not kinds:
        raise InvalidAdminArgument(f"profilerType must be some of {', '.join(KINDS)}.")
    await call.services.observing.fleet.ask(TOPIC_PROFILE, encode(Order("start", kinds, seconds_max)))


async def _taken(call: Call) -> Reply:
    """:raises ProfilerNotEnabled: no worker has any"""
    answers = await call.services.observing.fleet.ask(TOPIC_PROFILE, encode(Order("take")), TAKE_S_MAX)
    found = [(slot, decode_taken(answer)) for slot, answer in enumerate(answers) if answer is not None]
    if not any(taken.running for _, taken in found):
        raise ProfilerNotEnabled()
    archive = await asyncio.to_thread(_archive, call.services.cluster.facts().endpoint, found)
    return Reply(200, [("Content-Type", "application/zip")], archive)


def _archive(node: str, found: list[tuple[int, Taken]]) -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as archive:
        for slot, taken in found:
            for name, content in taken.files.items():
                archive.writestr(f"profile-{node}-worker{slot}-{name}", content)
    return memory.getvalue()
