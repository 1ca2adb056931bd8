"""Quotas of buckets and accounts, as writers and owners of sets need them.

What counts is what is stored: the bytes of all versions, and the parts of multipart uploads from the moment on that they
are stored; completing an upload adds nothing then. Replacing an object counts the difference. The bytes of an account are
those of all buckets that it owns, whoever wrote them. What is there when a quota is set stays, even where it is more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

from ..base.pages import GEN_IAM, PULSE_INCARNATION, QUOTA_TERM, Pages
from ..domain.errors import Busy, QuotaExceeded, QuotaUngranted, StoreError
from ..erasure.handle import SetHandle, Snapshot
from ..meta import keys, queries
from ..meta.iam import ROOT_ACCOUNT
from ..meta.proposals import Done, PutObject, PutPart
from ..meta.records import BucketRecord, PartRecord
from ..meta.rows import open_row
from ..meta.walk import View
from .access import owner_of
from .buckets import Buckets
from .calls import decide
from .identity.account_rows import every_account
from .pools import Pools
from .quota_keeper import Ask, Grants, Limit, count

#: How often a proposal is offered again with the bytes that its owner says it adds.
TRIES_MAX = 20

T = TypeVar("T")


class Limits:
    """The quotas in force, by bucket."""

    def __init__(self, pools: Pools, buckets: Buckets, pages: Pages) -> None:
        self._pools, self._buckets, self._pages = pools, buckets, pages
        self._accounts: dict[str, int] = {}
        self._generation = -1

    async def prepare(self) -> None:
        """Have all quotas at hand, not older than this call. Nothing is read while no identity and no bucket changed.

        :raises ReadQuorumLost:
        """
        await self._buckets.prepare()
        await self._prepare_accounts()

    async def _prepare_accounts(self) -> None:
        generation = self._pages.generation(GEN_IAM)
        if generation == self._generation:
            return
        every = await every_account(self._pools.system)
        if generation > self._generation:
            self._accounts = {one.account: one.quota_bytes for one in every if one.quota_bytes}
            self._generation = generation

    def of(self, bucket_id: int) -> tuple[Limit, ...]:
        """As of the last ``prepare``; empty for a bucket without any, or none."""
        record = self._buckets.decide_record(bucket_id)
        return () if record is None else self.of_record(record)

    def of_record(self, record: BucketRecord) -> tuple[Limit, ...]:
        found = []
        if record.quota_bytes:
            found.append(Limit(str(record.bucket_id), record.quota_bytes, (record.bucket_id,)))
        account = owner_of(record)
        if quota := self._accounts.get(account):
            found.append(Limit(f"account {account}", quota, self._buckets.ids_of(account), GEN_IAM))
        return tuple(found)

    def term(self, record: BucketRecord | None) -> int:
        """For an owner's decision, as of the last ``prepare``: the term of grants, 0 where the bucket needs none."""
        if record is None or not (record.quota_bytes or owner_of(record) in self._accounts):
            return 0
        return max(1, self._pages.generation(QUOTA_TERM))

    async def limited(self, record: BucketRecord) -> bool:
        """Whether a bucket has a quota or is of an account with one."""
        if record.quota_bytes:
            return True
        account = owner_of(record)
        if account == ROOT_ACCOUNT:
            return False
        await self._prepare_accounts()
        return account in self._accounts


class Quotas:
    """Writers' side. Costs nothing where there is no quota.

    :param grants: the keeper, or the way to it
    """

    def __init__(self, pools: Pools, limits: Limits, grants: Grants, pages: Pages, slot: int) -> None:
        self._pools, self._limits, self._grants = pools, limits, grants
        self._pages, self._slot = pages, slot

    async def require_room(self, bucket: BucketRecord, target: SetHandle, key: bytes, size: int) -> None:
        """Refuse early, before the body, an object that certainly does not fit. It is decided at the commit.

        :raises QuotaExceeded:
        """
        if await self._limits.limited(bucket):
            await self._require(bucket, size - await self._old(target, lambda view: replaced(view, bucket, key)))

    async def require_room_for_part(
        self, bucket: BucketRecord, target: SetHandle, upload_id: bytes, number: int, size: int
    ) -> None:
        """The same for a part. :raises QuotaExceeded:"""
        if await self._limits.limited(bucket):
            old = await self._old(target, lambda view: replaced_part(view, bucket.bucket_id, upload_id, number))
            await self._require(bucket, size - old)

    async def _require(self, bucket: BucketRecord, added: int) -> None:
        if added <= 0:
            return
        await self._limits.prepare()
        limits, sums = self._limits.of_record(bucket), dict.fromkeys(self._limits.of_record(bucket), 0)
        for one in self._pools.all:
            held = await self._old(one, lambda view: count(view, limits))
            for limit in limits:
                sums[limit] += held[limit.name]
        for limit, used in sums.items():
            if used + added > limit.quota:
                raise QuotaExceeded(quota=limit.quota, size=used)

    @staticmethod
    async def _old(target: SetHandle, look: Callable[[Snapshot], T]) -> T:
        snapshot = target.snapshot_now() or await target.snapshot()
        try:
            return look(snapshot)
        finally:
            snapshot.close()

    async def decide(self, target: SetHandle, bucket: BucketRecord, proposal: PutObject | PutPart) -> Done | StoreError:
        """What the owner decided, with the grant that it needed.

        :raises StoreError: nobody knows; it may be committed
        """
        if await self._limits.limited(bucket):
            added = await self._old(target, lambda view: _added(view, bucket, proposal))
        else:
            result = await decide(target, proposal)
            if not isinstance(result, QuotaUngranted):
                return result
            added = int(result.detail["added"])  # a quota was set meanwhile
        for _ in range(TRIES_MAX):
            result = await self._offer(target, proposal, max(added, 0))
            if not isinstance(result, QuotaUngranted):
                return result
            added = int(result.detail["added"])
        return Busy("the object was replaced all the time while its quota was asked for")

    async def _offer(self, target: SetHandle, proposal: PutObject | PutPart, added: int) -> Done | StoreError:
        if not added:
            return await decide(target, proposal)
        incarnation = self._pages.pulse(self._slot, PULSE_INCARNATION)
        try:
            grant = await self._grants.ask(Ask(proposal.bucket_id, target.number, added, self._slot, incarnation))
        except StoreError as error:
            return error  # nothing was proposed
        result = await decide(target, msgspec.structs.replace(proposal, granted=added, term=grant.term))
        if grant.number:
            self._grants.settle(grant)  # after an unknown outcome it counts on: the keeper finds out
        return result


def _added(view: View, bucket: BucketRecord, proposal: PutObject | PutPart) -> int:
    if isinstance(proposal, PutPart):
        part = proposal.part
        return part.size - replaced_part(view, bucket.bucket_id, proposal.upload_id, part.number)
    return proposal.record.size - replaced(view, bucket, proposal.key)


def replaced(view: View, bucket: BucketRecord, key: bytes) -> int:
    """Bytes of the version that a new object takes the place of."""
    if bucket.versioning == "Enabled":
        return 0
    found = queries.version(view, bucket.bucket_id, key, b"")
    return found[0].size if found is not None else 0


def replaced_part(view: View, bucket_id: int, upload_id: bytes, number: int) -> int:
    row = keys.part_row(bucket_id, upload_id, number)
    value = view.get("parts", row)
    return 0 if value is None else open_row(row, value, PartRecord).size
