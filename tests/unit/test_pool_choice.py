"""Which pool a key belongs to: a key is never in two (R20)."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from sos.domain.errors import Busy
from sos.meta import keys
from sos.meta.records import BucketRecord, Kind, ObjectRecord
from sos.meta.rows import seal
from sos.placement.sets import KeyMap
from sos.services.locate import require_target, target_of
from sos.services.pools import Claims, Pools
from tests.kit.dict_view import DictView

BUCKET = BucketRecord(7, "photos", 0)
KEY = b"key"


class OneSet:
    """The part of a set that choosing needs."""

    def __init__(self, number: int, free: int) -> None:
        self.number = self.pool = number
        self.free = free
        self.view = DictView()

    def beside(self, snapshot: object) -> None:
        return None

    def snapshot_now(self) -> DictView:
        return self.view

    def space_free(self) -> int:
        return self.free

    def put(self, key: bytes, mtime_ns: int = 1) -> None:
        row = keys.row_key(BUCKET.bucket_id, key)
        record = ObjectRecord(1, b"", Kind.OBJECT, 0, mtime_ns, "etag")
        self.view.tables["current"][row] = seal(row, record)

    def begin_upload(self, key: bytes) -> None:
        row = keys.upload_row(keys.row_key(BUCKET.bucket_id, key), bytes(16))
        self.view._order["uploads"].append(row)
        self.view.tables["uploads"][row] = seal(row, 0)


class Two:
    """Two pools of one set each, as two workers see them: they may disagree about the free space."""

    def __init__(self, free: tuple[int, int] = (10, 20), seen_by_other: tuple[int, int] = (20, 10)) -> None:
        self.claims = Claims()
        self.sets = [OneSet(0, free[0]), OneSet(1, free[1])]
        others = [OneSet(0, seen_by_other[0]), OneSet(1, seen_by_other[1])]
        for mine, other in zip(self.sets, others, strict=True):
            other.view = mine.view
        maps = [KeyMap(bytes(16), [0]), KeyMap(bytes(16), [1])]
        self.pools, self.other = (Pools(sets, maps, self._claim) for sets in (self.sets, others))  # type: ignore[arg-type]

    async def _claim(self, number: int, key: bytes, wanted: int) -> int:
        assert number == 0
        return self.claims.claim(key, wanted)


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


def where(pools: Pools, key: bytes = KEY) -> int:
    return int(run(target_of(pools, BUCKET, key)).number)


def test_a_new_key_goes_to_the_pool_with_most_space() -> None:
    assert where(Two((10, 20)).pools) == 1
    assert where(Two((20, 10)).pools) == 0


def test_two_workers_that_see_other_free_space_agree() -> None:
    two = Two()
    assert where(two.pools) == where(two.other) == 1
    assert where(two.other, b"another") == where(two.pools, b"another") == 0


def test_a_key_stays_where_it_is() -> None:
    two = Two()
    two.sets[0].put(KEY)
    assert where(two.pools) == 0


def test_a_key_goes_where_it_is_being_uploaded_to() -> None:
    """Begun before the other pool was added, or chosen by a worker that was replaced since."""
    two = Two()
    two.sets[0].begin_upload(KEY)
    assert where(two.pools) == 0
    assert where(two.pools, b"key2") == where(two.pools, b"ke") == 1


def test_what_came_to_be_elsewhere_while_it_was_received_is_refused() -> None:
    """The worker that remembered the choice was replaced, and another request was sent to the other pool."""
    two = Two()
    target = run(target_of(two.pools, BUCKET, KEY))
    run(require_target(two.pools, BUCKET, KEY, target))
    two.claims = Claims()
    assert where(two.other) == 0
    with pytest.raises(Busy):
        run(require_target(two.pools, BUCKET, KEY, target))
