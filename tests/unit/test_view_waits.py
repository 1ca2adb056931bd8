"""Between a commit on the drives and its publication no drive gives a snapshot: background work waits, as requests do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from sos.domain.errors import ReadQuorumLost
from sos.erasure import view as module
from sos.erasure.view import SetView
from tests.kit.owned_set import OwnedSet


@asynccontextmanager
async def unpublished() -> AsyncIterator[tuple[OwnedSet, SetView]]:
    """A set whose last operation is on every drive, and not yet in the published state."""
    drives = OwnedSet()
    async with drives.owner() as owner:
        await owner.submit([drives.put("key", "text")])
        state = drives.pages.set_state(0)
        drives.pages.publish(0, state._replace(committed=state.committed - 1))
        yield drives, SetView(0, drives.engines, drives.pages)
        drives.pages.publish(0, state)


def test_a_scan_in_a_thread_waits_for_the_publication() -> None:
    async def run() -> None:
        async with unpublished() as (drives, view):
            assert view.snapshot_now() is None
            scanning = asyncio.create_task(asyncio.to_thread(lambda: list(view.scan_all("current", b"", None))))
            assert not (await asyncio.wait((scanning,), timeout=0.05))[0]
            state = drives.pages.set_state(0)
            drives.pages.publish(0, state._replace(committed=state.committed + 1))
            assert len(await scanning) == 1

    asyncio.run(run())


def test_nobody_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAIT_S_MAX", 0.02)

    async def run() -> None:
        async with unpublished() as (_, view):
            with pytest.raises(ReadQuorumLost):
                await view.snapshot()
            with pytest.raises(ReadQuorumLost):
                await asyncio.to_thread(view.snapshot_blocking)

    asyncio.run(run())
