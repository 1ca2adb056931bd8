"""A bad record of an account on one drive of set 0, or on all of them: nobody else is held up, and no quota forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from sos.base.pages import Pages
from sos.domain.errors import BadRecord, BadRow
from sos.erasure.owner import Owner
from sos.meta import iam
from sos.meta.iam import AccountRecord
from sos.meta.proposals import ChangeSystem, SystemRow
from sos.meta.records import BucketRecord
from sos.meta.transitions import decide
from sos.services.buckets import Buckets
from sos.services.calls import commit, request_id
from sos.services.identity.account_rows import account_now, every_account
from sos.services.identity.store import Change, Store
from sos.services.quotas import Limits
from tests.kit.owned_set import QUICK, OwnedSet, abandon, until
from tests.kit.system_set import ServedSet, ServedSets

ALL = 0b1111
QUOTA = 1 << 20
ONE = AccountRecord("111111111111", "one", "1" * 64, "one-root", 1, quota_bytes=QUOTA)
TWO = AccountRecord("222222222222", "two", "2" * 64, "two-root", 1, quota_bytes=QUOTA)
ROW = iam.account_row(ONE.account)


class Rig:
    """Set 0 with two accounts; each service is that of a worker that has just started."""

    def __init__(self) -> None:
        self.system = OwnedSet()
        self.owner = Owner(
            0, self.system.open(), self.system.pages, decide, lambda number: None, 2, 2, limits=QUICK,
            prepare=lambda: self.limits().prepare(), reopen=lambda index: self.system.engines[index],
        )  # fmt: skip

    @property
    def pages(self) -> Pages:
        return self.system.pages

    def handle(self) -> ServedSet:
        return ServedSet(self.system, self.owner)

    def limits(self) -> Limits:
        pools = ServedSets(self.handle())
        return Limits(pools, Buckets(pools, self.pages), self.pages)  # type: ignore[arg-type]

    def spoil(self, drives: range) -> None:
        for drive in drives:
            table = self.system.drives[drive].state.tables["sys"]
            table[ROW] = table[ROW][:-1] + bytes((table[ROW][-1] ^ 0x5A,))

    async def rows_are_equal(self) -> None:
        await until(lambda: self.system.state().mask == ALL)
        assert len({drive.state.tables["sys"][ROW] for drive in self.system.drives}) == 1


@asynccontextmanager
async def rig() -> AsyncIterator[Rig]:
    made = Rig()
    await made.owner.start()
    rows = tuple(SystemRow(iam.account_row(one.account), None, iam.encode(one)) for one in (ONE, TWO))
    await commit(made.handle(), ChangeSystem(request_id=request_id(), bucket_id=0, rows=rows))  # type: ignore[arg-type]
    yield made
    await abandon(made.owner)


def limited(limits: Limits, account: str) -> int:
    """The quota that counts for a bucket of an account."""
    record = BucketRecord(bucket_id=1, name="photos", created_ns=1, owner=account)
    return sum(limit.quota for limit in limits.of_record(record))


def test_quotas_are_read_around_a_bad_row_and_the_drive_is_copied() -> None:
    async def run() -> None:
        async with rig() as one:
            one.spoil(range(1))
            limits = one.limits()
            await limits.prepare()
            assert [limited(limits, account) for account in (ONE.account, TWO.account)] == [QUOTA, QUOTA]
            assert account_now(one.handle(), ONE.account) == ONE  # type: ignore[arg-type]
            await one.rows_are_equal()

    asyncio.run(run())


def test_a_row_that_one_drive_lost_is_found_on_another() -> None:
    async def run() -> None:
        async with rig() as one:
            del one.system.drives[0].state.tables["sys"][ROW]
            assert account_now(one.handle(), ONE.account) == ONE  # type: ignore[arg-type]
            assert account_now(one.handle(), "333333333333") is None  # type: ignore[arg-type]

    asyncio.run(run())


def test_a_row_that_is_bad_everywhere_holds_up_no_other_account() -> None:
    async def run() -> None:
        async with rig() as one:
            one.spoil(range(4))
            limits = one.limits()
            await limits.prepare()
            assert limited(limits, TWO.account) == QUOTA
            assert await every_account(one.handle()) == [TWO]  # type: ignore[arg-type]
            with pytest.raises(BadRow):  # and what is its own is refused
                account_now(one.handle(), ONE.account)  # type: ignore[arg-type]
            assert one.owner.serving

    asyncio.run(run())


def test_a_change_that_meets_a_bad_row_is_made_from_another_drive() -> None:
    async def run() -> None:
        async with rig() as one:
            one.spoil(range(1))

            def rename(change: Change) -> None:
                record = change.get(ROW, AccountRecord)
                assert record == ONE
                change.put(ROW, TWO)

            await Store(one.handle()).change(rename)  # type: ignore[arg-type]
            assert account_now(one.handle(), ONE.account) == TWO  # type: ignore[arg-type]

    asyncio.run(run())


def test_what_is_stored_wrongly_on_every_drive_is_no_fault_of_a_drive() -> None:
    async def run() -> None:
        async with rig() as one:
            row = SystemRow(ROW, iam.encode(ONE), b"\xc1")
            await commit(one.handle(), ChangeSystem(request_id=request_id(), bucket_id=0, rows=(row,)))  # type: ignore[arg-type]
            with pytest.raises(BadRecord):
                account_now(one.handle(), ONE.account)  # type: ignore[arg-type]
            assert one.system.state().mask == ALL

    asyncio.run(run())
