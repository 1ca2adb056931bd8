"""Object listings against a sorted dictionary."""

from __future__ import annotations

import asyncio
import itertools
import random
import threading
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sos.domain.errors import ReadQuorumLost
from sos.erasure.handle import Snapshot
from sos.meta import keys
from sos.meta.records import BucketRecord, Kind, ObjectRecord
from sos.meta.rows import seal
from sos.services.listing import BATCH_MIN, NEAR_KEYS, Listing, Scope, list_objects
from sos.services.types import Page
from tests.kit.dict_view import DictView

BUCKET = BucketRecord(7, "photos", 0)


def record(mtime_ns: int = 1, etag: str = "e") -> ObjectRecord:
    return ObjectRecord(1, b"", Kind.OBJECT, 3, mtime_ns, etag)


def fill(view: DictView, names: Sequence[bytes], mtime_ns: int = 1) -> None:
    for name in names:
        place = keys.place(7, name)
        for row, value in [
            *((link.row, link.child) for link in place.links),
            (place.row, record(mtime_ns, name.hex())),
        ]:
            view.apply([("current", row, seal(row, value))])  # type: ignore[list-item]


def spread(names: Sequence[bytes], sets: int) -> list[DictView]:
    views = [DictView() for _ in range(sets)]
    for name in names:
        fill(views[sum(name) * 31 % sets], [name])
    return views


def expected(names: Sequence[bytes], prefix: bytes, delimiter: bytes, marker: bytes) -> list[tuple[bytes, bool]]:
    """What S3 lists: (key or common prefix, is a prefix), in order, after the marker."""
    found: list[tuple[bytes, bool]] = []
    for name in sorted(names):
        if not name.startswith(prefix):
            continue
        end = name.find(delimiter, len(prefix)) if delimiter else -1
        item = (name[: end + len(delimiter)], True) if end >= 0 else (name, False)
        hidden = item[0] <= marker or (item[1] and marker.startswith(item[0]))
        if not hidden and item not in found:
            found.append(item)
    return found


def items(page: Page) -> list[tuple[bytes, bool]]:
    got = [(key, False) for key, _ in page.entries] + [(prefix, True) for prefix in page.prefixes]
    return sorted(got)


def check(names: Sequence[bytes], views: list[DictView], scope: Scope, marker: bytes, most: int) -> None:
    want = expected(names, scope.prefix, scope.delimiter, marker)
    page = list_objects(scope, marker, most, views)
    assert items(page) == sorted(want[:most])
    assert [key for key, _ in page.entries] == sorted(key for key, _ in page.entries)
    assert all(found.etag == key.hex() for key, found in page.entries)
    assert page.truncated == (most > 0 and len(want) > most)
    assert page.next_key == (want[most - 1][0] if page.truncated else b"")


alphabet = st.sampled_from([b"a", b"b", b"/", b"//", b"\x00", b"\xff", "é".encode(), b"a/b", b"z" * 399])
name = st.lists(alphabet, min_size=1, max_size=5).map(b"".join).filter(lambda each: len(each) <= 1024)
names_of = st.lists(name, max_size=25, unique=True)


@settings(max_examples=400, deadline=None)
@given(names_of, st.integers(1, 4), st.data())
def test_every_page_is_that_of_a_sorted_dictionary(names: list[bytes], sets: int, data: st.DataObject) -> None:
    """R07: any prefix, delimiter of any length, marker and size of page, over several sets."""
    some = st.one_of(name, st.sampled_from(names)) if names else name
    cut = st.tuples(some, st.integers(0, 12)).map(lambda pair: pair[0][: pair[1]])
    prefix = data.draw(st.one_of(st.just(b""), cut))
    delimiter = data.draw(st.sampled_from([b"", b"/", b"//", b"a", b"a/b", b"\x00", b"\xff", b"zzz", b"/" * 4]))
    marker = data.draw(st.one_of(st.just(b""), some, cut))
    check(names, spread(names, sets), Scope(7, prefix, delimiter), marker, data.draw(st.integers(0, 30)))


def test_all_combinations_on_a_small_tree() -> None:
    """R07: exhaustive where it is cheap."""
    names = [b"a", b"a/", b"a/b", b"a/b/c", b"a/b/d", b"a//x", b"ab", b"b/c", b"b/c/d", b"c", b"\xe2\x98\x83/x"]
    views = spread(names, 3)
    markers = [b"", *names, b"a/b/", b"0", b"zz", b"a/b/cc"]
    for prefix, delimiter, marker, most in itertools.product(
        [b"", b"a", b"a/", b"a/b", b"b/", b"x"], [b"", b"/", b"//", b"/b", b"b/c"], markers, [0, 1, 2, 3, 5, 100]
    ):
        check(names, views, Scope(7, prefix, delimiter), marker, most)


@pytest.mark.parametrize("sets", [1, 2, 5])
@pytest.mark.parametrize("delimiter", [b"", b"/"])
def test_pages_together_are_the_whole(sets: int, delimiter: bytes) -> None:
    """R07: nothing vanishes or comes twice between pages, of any size, larger than a batch too."""
    draw = random.Random(5)
    names = sorted({b"/".join(draw.choices([b"a", b"b", b"cc", b"d"], k=draw.randint(1, 6))) for _ in range(600)})
    views = spread(names, sets)
    for most in (1, 7, BATCH_MIN, 100, 1000):
        got: list[tuple[bytes, bool]] = []
        page = list_objects(Scope(7, b"", delimiter), b"", most, views)
        while page.truncated:
            got += items(page)
            page = list_objects(Scope(7, b"", delimiter), page.next_key, most, views)
        assert got + items(page) == expected(names, b"", delimiter, b"")


def test_cost_is_in_what_is_returned() -> None:
    """Keys under a common prefix are skipped, and a page of a large bucket reads about a page."""
    view = DictView()
    fill(view, [b"%02d/%04d" % (i, j) for i in range(20) for j in range(200)])
    view.steps = view.seeks = 0
    assert len(list_objects(Scope(7, b"", b"/"), b"", 1000, [view]).prefixes) == 20
    assert view.steps <= 20 * (NEAR_KEYS + 2)
    assert view.seeks <= 21
    views = spread([b"%06d" % i for i in range(4000)], 4)
    list_objects(Scope(7, b"", b""), b"", 400, views)
    assert sum(each.steps for each in views) < 800


def test_a_key_in_two_pools_is_shown_once_and_newest() -> None:
    views = [DictView(), DictView()]
    fill(views[0], [b"a", b"k", b"z"], mtime_ns=5)
    fill(views[1], [b"k"], mtime_ns=9)
    for each in (views, views[::-1]):
        page = list_objects(Scope(7, b"", b""), b"", 3, each)
        assert [(key, found.mtime_ns) for key, found in page.entries] == [(b"a", 5), (b"k", 9), (b"z", 5)]
        assert not page.truncated


class Handle:
    """A set whose snapshots are counted."""

    def __init__(self, names: Sequence[bytes], ready: bool = True, lost: bool = False) -> None:
        self.view = DictView()
        fill(self.view, names)
        self.ready, self.lost, self.open = ready, lost, 0
        self.view.close = self._closed  # type: ignore[method-assign]

    def _closed(self) -> None:
        self.open -= 1

    def snapshot_now(self) -> Snapshot | None:
        self.open += self.ready
        return self.view if self.ready else None

    async def snapshot(self) -> Snapshot:
        if self.lost:
            raise ReadQuorumLost()
        self.open += 1
        return self.view


def test_the_service_reads_every_set_and_closes_its_snapshots() -> None:
    handles = [Handle([b"a", b"c"]), Handle([b"b"], ready=False)]
    page = asyncio.run(Listing(handles).objects(BUCKET, b"", b"", b"", 10))  # type: ignore[arg-type]
    assert [key for key, _ in page.entries] == [b"a", b"b", b"c"]
    assert [handle.open for handle in handles] == [0, 0]


def test_a_set_that_cannot_be_read_fails_the_listing() -> None:
    """R07: never a silently shorter list (L3)."""
    handles = [Handle([b"a"]), Handle([b"b"], ready=False, lost=True)]
    with pytest.raises(ReadQuorumLost):
        asyncio.run(Listing(handles).objects(BUCKET, b"", b"", b"", 10))  # type: ignore[arg-type]
    assert handles[0].open == 0


def test_a_cancelled_listing_closes_its_snapshots_when_its_thread_is_done() -> None:
    """The snapshot is not taken away under the thread that reads it."""
    handle, entered, go, seen = Handle([b"a"]), threading.Event(), threading.Event(), []

    class Slow(DictView):
        def scan(self, *arguments: object, **more: object):  # type: ignore[no-untyped-def]
            entered.set()
            go.wait(20)
            seen.append(handle.open)
            return iter(())

    async def run() -> None:
        handle.view.scan = Slow().scan  # type: ignore[method-assign]
        task = asyncio.create_task(Listing([handle]).objects(BUCKET, b"", b"", b"", 10))  # type: ignore[list-item]
        await asyncio.to_thread(entered.wait, 20)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go.set()

    asyncio.run(run())
    assert seen == [1]
    assert handle.open == 0
