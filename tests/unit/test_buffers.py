"""The buffer pool: budget, order, and never one memory for two users (R15)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from hypothesis import given
from hypothesis import strategies as st

from sos.erasure.buffers import APART, BufferPool, size_class

MIB = 1 << 20


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 20))  # type: ignore[arg-type]


@given(st.integers(1, 1 << 32))
def test_a_size_class_wastes_at_most_an_eighth_and_a_page(size: int) -> None:
    assert size <= size_class(size) <= size + size // 8 + 4096
    assert size_class(size) % 4096 == 0


def test_buffers_are_page_aligned_and_reused() -> None:
    async def test() -> None:
        pool = BufferPool(8 * MIB)
        first = await pool.acquire(MIB)
        first.view(4)[:] = b"mark"
        pool.release(first)
        again = await pool.acquire(MIB)
        assert again is first and pool.used == MIB and pool.retired == 0

    run(test)


def test_a_buffer_that_somebody_still_views_is_not_given_out() -> None:
    """R15: a view that outlives the request keeps its memory, the next request gets other memory."""

    async def test() -> None:
        pool = BufferPool(8 * MIB)
        first = await pool.acquire(MIB)
        held = first.view(MIB)[10:20]
        pool.release(first)
        second = await pool.acquire(MIB)
        second.view(MIB)[:] = b"\xff" * MIB
        assert second is not first and pool.retired == 1
        assert bytes(held) == bytes(10)
        del held
        assert await pool.acquire(MIB) is first, "free at last, it is used again"

    run(test)


def test_a_renewed_buffer_is_another_one_while_it_is_viewed() -> None:
    """R15: the same inside one upload, when a hung drive still writes from the buffer."""

    async def test() -> None:
        pool = BufferPool(8 * MIB)
        buffer = await pool.acquire(MIB)
        assert pool.renew(buffer) is buffer
        held = buffer.view(10)
        other = pool.renew(buffer)
        assert other is not buffer and pool.used == MIB
        assert len(held) == 10

    run(test)


def test_waiters_are_served_in_order_and_not_overtaken() -> None:
    async def test() -> None:
        pool = BufferPool(4 * MIB)
        held = [await pool.acquire(2 * MIB), await pool.acquire(2 * MIB)]
        order: list[str] = []

        async def take(name: str, size: int) -> None:
            buffer = await pool.acquire(size)
            order.append(name)
            pool.release(buffer)

        tasks = [asyncio.create_task(take("large", 4 * MIB)), asyncio.create_task(take("small", MIB))]
        await asyncio.sleep(0)
        assert pool.try_acquire(4096) is None, "nobody passes those who wait"
        pool.release(held[0])
        await asyncio.sleep(0)
        assert order == []
        pool.release(held[1])
        await asyncio.gather(*tasks)
        assert order == ["large", "small"] and pool.used == 0

    run(test)


def test_a_cancelled_waiter_leaves_the_queue_and_a_granted_one_gives_back() -> None:
    async def test() -> None:
        pool = BufferPool(MIB)
        held = await pool.acquire(MIB)
        gone = asyncio.create_task(pool.acquire(MIB))
        granted = asyncio.create_task(pool.acquire(MIB))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        assert pool.waiting == 1
        pool.release(held)
        granted.cancel()
        await asyncio.gather(granted, return_exceptions=True)
        assert pool.used == 0 and pool.waiting == 0

    run(test)


def test_the_budget_holds_for_idle_memory_too() -> None:
    async def test() -> None:
        pool = BufferPool(4 * MIB)
        for size in (MIB, 2 * MIB, 3 * MIB, MIB // 2, 9 * MIB):
            pool.release(await pool.acquire(size))
            assert pool.used + pool._idle_bytes <= pool.budget
        pool.trim()
        assert pool._idle_bytes == 0

    run(test)


def test_what_is_set_apart_makes_room_until_it_is_taken_in_again() -> None:
    async def test() -> None:
        pool = BufferPool(4 * MIB)
        slow = await pool.acquire(4 * MIB)
        waits = asyncio.create_task(pool.acquire(4 * MIB))
        await asyncio.sleep(0)
        pool.set_apart([slow])
        other = await waits
        assert (pool.used, pool.apart, pool.held) == (4 * MIB, 4 * MIB, 8 * MIB)
        back = asyncio.create_task(pool.take_in([slow]))
        await asyncio.sleep(0)
        assert not back.done() and slow.apart, "its turn has not come"
        pool.release(other)
        await back
        assert (pool.used, pool.apart, slow.apart) == (4 * MIB, 0, False)
        assert pool.held <= pool.budget
        await pool.take_in([slow])
        pool.release(slow)
        assert (pool.used, pool.apart, pool.waiting) == (0, 0, 0)

    run(test)


def test_what_may_be_set_apart_is_bounded() -> None:
    async def test() -> None:
        pool = BufferPool(MIB)
        held = []
        for _ in range(APART):
            held.append(await pool.acquire(MIB))
            pool.set_apart(held)
            assert pool.used == 0
        held.append(await pool.acquire(MIB))
        pool.set_apart(held)
        assert (pool.used, pool.apart) == (MIB, APART * MIB)
        assert pool.try_acquire(MIB) is None
        for buffer in held:
            pool.release(buffer)
        assert (pool.used, pool.apart) == (0, 0)

    run(test)


def test_whoever_gives_up_before_its_turn_stays_apart_and_is_released_as_such() -> None:
    async def test() -> None:
        pool = BufferPool(MIB)
        slow = await pool.acquire(MIB)
        pool.set_apart([slow])
        other = await pool.acquire(MIB)
        back = asyncio.create_task(pool.take_in([slow]))
        await asyncio.sleep(0)
        back.cancel()
        await asyncio.gather(back, return_exceptions=True)
        assert (pool.used, pool.apart, pool.waiting) == (MIB, MIB, 0)
        pool.release(slow)
        pool.release(other)
        assert (pool.used, pool.apart) == (0, 0)

    run(test)
