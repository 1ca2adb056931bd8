"""Listings: a merge of the sets' sorted ranges, on one snapshot of each, in a thread.

Invariants:

L1  The order is that of the keys' bytes; a common prefix stands where its first key would.
L2  A page costs what it returns: keys under a common prefix are skipped by a seek, not read (but for a few, which are
    cheaper to read than to seek past), and sets are read in batches that shrink with their number.
L3  A set that cannot be read fails the listing; it is never left out.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from functools import partial
from itertools import islice
from operator import itemgetter
from typing import NamedTuple, TypeVar

from ..domain.errors import BadRow
from ..erasure.handle import SetHandle, Snapshot
from ..meta import keys, queries
from ..meta.records import BucketRecord, ObjectRecord, UploadRecord
from ..meta.rows import is_sealed, open_object, open_row
from ..meta.walk import Bound, Item, View, after, at, inside, walk
from .locate import DRIVES_TRIED_MAX
from .types import Page, UploadsPage

P = TypeVar("P", Page, UploadsPage)

#: Keys read on below a common prefix before seeking past it: a seek (4 µs) costs as much as reading this many. After a
#: prefix that had more, half as many are tried under the next.
NEAR_KEYS = 8
#: The least a set is asked for at once.
BATCH_MIN = 16
#: Tables that listings read.
TABLES = ("current", "versions", "uploads")

Rows = Callable[[Bound], Iterator[Item]]
"""The rows of one set from a bound on, in byte order of the keys. A common prefix is an item with an empty row key."""

_key = itemgetter(0)


class Scope(NamedTuple):
    """What a listing is asked for."""

    bucket_id: int
    prefix: bytes
    delimiter: bytes


def common_prefix(scope: Scope, key: bytes) -> bytes:
    """The common prefix that stands for ``key``, empty when the key stands for itself."""
    if not scope.delimiter or not key.startswith(scope.prefix):
        return b""
    end = key.find(scope.delimiter, len(scope.prefix))
    return key[: end + len(scope.delimiter)] if end >= 0 else b""


def next_start(scope: Scope, marker: bytes) -> Bound:
    """Where to go on after ``marker``: past the whole common prefix that it is or lies under."""
    if not marker:
        return at(scope.prefix)
    common = common_prefix(scope, marker)
    return _past(common) if common else after(marker)


def _past(prefix: bytes) -> Bound:
    """The first key above all that begin with ``prefix``."""
    following = keys.after_prefix(prefix)
    # nothing is above a prefix of FF bytes alone but what begins with more of them
    return at(b"\xff" * (keys.KEY_BYTES_MAX + 1) if following is None else following)


def fold(scope: Scope, rows: Rows, start: Bound) -> Iterator[Item]:
    """Rows from ``start`` on, with all keys under a common prefix folded into it."""
    delimiter, skip, common = scope.delimiter, len(scope.prefix), b""
    patience = near = NEAR_KEYS
    source = rows(start)
    while (item := next(source, None)) is not None:
        key = item[0]
        if common and key.startswith(common):
            near -= 1
            if near < 0:
                source, common, patience = rows(_past(common)), b"", patience // 2
            continue
        if common:
            patience = NEAR_KEYS
        end = key.find(delimiter, skip)
        common, near = (key[: end + len(delimiter)] if end >= 0 else b""), patience
        yield (common, b"", b"") if common else item


def source_of(scope: Scope, rows: Rows, start: Bound) -> Iterator[Item]:
    return fold(scope, rows, start) if scope.delimiter else rows(start)


# -- merging sets ----------------------------------------------------------------------------------


class Feed:
    """The items of one set, taken in batches."""

    __slots__ = ("_source", "done", "held")

    def __init__(self, source: Iterator[Item]) -> None:
        self._source = source
        self.held: list[Item] = []
        self.done = False

    def fill(self, most: int) -> None:
        """Hold ``most`` items, or all if there are fewer."""
        missing = most - len(self.held)
        if missing > 0 and not self.done:
            self.held += islice(self._source, missing)
            self.done = len(self.held) < most

    def take(self, limit: bytes | None) -> list[Item]:
        """Give away what is held up to the key ``limit``, or all."""
        held, count = self.held, len(self.held)
        if limit is not None:
            count = next((i for i, item in enumerate(held) if item[0] > limit), count)
        self.held = held[count:]
        return held[:count]


def merge(sources: Sequence[Iterator[Item]], most: int, single: bool) -> list[Item]:
    """The first items of all sources in order of their keys: at least ``most``, or all if there are fewer.

    :param single: a key is shown once, the newest of them where several pools have it
    """
    if len(sources) == 1:
        return list(islice(sources[0], most))
    feeds = [Feed(source) for source in sources]
    merged: list[Item] = []
    while len(merged) < most and feeds:
        share = max(BATCH_MIN, (most - len(merged)) // len(feeds) + 1)
        for feed in feeds:
            feed.fill(share)
        # beyond the last key of a feed that has more, another of its keys may come first
        limit = min((feed.held[-1][0] for feed in feeds if not feed.done), default=None)
        batch = [item for feed in feeds for item in feed.take(limit)]
        batch.sort(key=_key)
        merged += distinct(batch, single)
        feeds = [feed for feed in feeds if feed.held or not feed.done]
    return merged


def distinct(batch: list[Item], single: bool) -> Iterator[Item]:
    """One item for each common prefix and, with ``single``, for each key."""
    last: Item | None = None
    for item in batch:
        if last is not None:
            if last[0] != item[0] or (item[1] and not single):
                yield last
            elif item[1]:
                item = max(last, item, key=lambda each: open_object(each[1], each[2]).mtime_ns)
        last = item
    if last is not None:
        yield last


# -- the three listings, blocking --------------------------------------------------------------------


def list_objects(scope: Scope, marker: bytes, most: int, views: Sequence[View]) -> Page:
    """One page of latest versions; ``most`` counts keys and common prefixes."""
    if most <= 0:
        return Page([], [], False)
    start = next_start(scope, marker)
    sources = []
    for view in views:
        rows = partial(walk, view, "current", scope.bucket_id, scope.prefix)
        sources.append(source_of(scope, rows, start))
    items = merge(sources, most + 1, single=True)
    page = items[:most]
    entries = [(key, open_object(row, value)) for key, row, value in page if row]
    prefixes = [key for key, row, _ in page if not row] if scope.delimiter else []
    truncated = len(items) > most
    return Page(entries, prefixes, truncated, page[-1][0] if truncated else b"")


def _version_rows(view: View, scope: Scope, start: Bound, noncurrent: Bound | None = None) -> Iterator[Item]:
    """All versions, of each key the latest first."""
    newest = walk(view, "current", scope.bucket_id, scope.prefix, start)
    older = walk(view, "versions", scope.bucket_id, scope.prefix, noncurrent or start)
    return heapq.merge(newest, older, key=_key)


def _after_version(view: View, scope: Scope, key: bytes, version_id: bytes) -> Bound | None:
    """Where the noncurrent versions older than this one start, None when this set does not have it."""
    found = queries.version(view, scope.bucket_id, key, version_id)
    if found is None:
        return None
    return inside(key, (keys.ORDER_MAX - found[0].order).to_bytes(8, "big"))


def _version_starts(
    scope: Scope, key: bytes, version_id: bytes | None, views: Sequence[View]
) -> list[tuple[Bound, Bound]]:
    """For each set where ``current`` and ``versions`` start. When the version of the marker is gone by now, its key is
    listed again from the start: its versions may come twice, but none is left out."""
    start = next_start(scope, key)
    if version_id is None or not key or common_prefix(scope, key):
        return [(start, start)] * len(views)
    resumed = [_after_version(view, scope, key, version_id) for view in views]
    if not any(resumed):
        return [(at(key), at(key))] * len(views)
    return [(start, bound or start) for bound in resumed]


def list_versions(
    scope: Scope, key_marker: bytes, version_marker: bytes | None, most: int, views: Sequence[View]
) -> Page:
    """One page of all versions and delete markers. A key that two pools have is shown pool by pool."""
    if most <= 0:
        return Page([], [], False, latest=[])
    starts = _version_starts(scope, key_marker, version_marker, views)
    sources = []
    for view, (start, noncurrent) in zip(views, starts, strict=True):
        first = _version_rows(view, scope, start, noncurrent)
        sources.append(_folded_versions(scope, view, first) if scope.delimiter else first)
    items = merge(sources, most + 1, single=False)
    resumed = any(noncurrent.tail.startswith(keys.END) for _, noncurrent in starts)
    return _versions_page(items, most, key_marker if resumed else None)


def _folded_versions(scope: Scope, view: View, first: Iterator[Item]) -> Iterator[Item]:
    begin: list[Iterator[Item]] = [first]

    def rows(bound: Bound) -> Iterator[Item]:
        return begin.pop() if begin else _version_rows(view, scope, bound)

    return fold(scope, rows, at(scope.prefix))


def _versions_page(items: list[Item], most: int, resumed_key: bytes | None) -> Page:
    """:param resumed_key: the key whose newer versions were on the page before"""
    entries: list[tuple[bytes, ObjectRecord]] = []
    latest: list[bool] = []
    prefixes: list[bytes] = []
    for key, row, value in items[:most]:
        if not row:
            prefixes.append(key)
            continue
        latest.append(key != (entries[-1][0] if entries else resumed_key))
        entries.append((key, open_object(row, value)))
    if len(items) <= most:
        return Page(entries, prefixes, False, latest=latest)
    last_key, last_row, _ = items[most - 1]
    return Page(entries, prefixes, True, last_key, entries[-1][1].version_id if last_row else None, latest)


def list_uploads(
    scope: Scope, key_marker: bytes, upload_marker: bytes, most: int, views: Sequence[View]
) -> UploadsPage:
    """One page of multipart uploads under way, by key and start."""
    if most <= 0:
        return UploadsPage([], [], False)
    start = next_start(scope, key_marker)
    if key_marker and upload_marker and not common_prefix(scope, key_marker):
        start = inside(key_marker, upload_marker)
    sources = []
    for view in views:
        rows = partial(walk, view, "uploads", scope.bucket_id, scope.prefix)
        sources.append(source_of(scope, rows, start))
    items = merge(sources, most + 1, single=False)
    page = items[:most]
    uploads = [(key, open_row(row, value, UploadRecord)) for key, row, value in page if row]
    prefixes = [key for key, row, _ in page if not row]
    if len(items) <= most:
        return UploadsPage(uploads, prefixes, False)
    return UploadsPage(uploads, prefixes, True, page[-1][0], uploads[-1][1].upload_id if page[-1][1] else b"")


# -- the service -----------------------------------------------------------------------------------


class Listing:
    """Listings over all sets of all pools.

    :param executor: where they run; the loop's default when None
    """

    def __init__(self, sets: Sequence[SetHandle], executor: Executor | None = None) -> None:
        self._sets = list(sets)
        self._executor = executor

    async def objects(self, bucket: BucketRecord, prefix: bytes, delimiter: bytes, after: bytes, most: int) -> Page:
        """Latest versions strictly after ``after``; a common prefix that is ``after`` or contains it is not repeated.

        :raises ReadQuorumLost: a set cannot be read
        """
        scope = Scope(bucket.bucket_id, prefix, delimiter)
        return await self._run(partial(list_objects, scope, after, most))

    async def versions(
        self,
        bucket: BucketRecord,
        prefix: bytes,
        delimiter: bytes,
        key_marker: bytes,
        version_marker: bytes | None,
        most: int,
    ) -> Page:
        """All versions after ``version_marker`` (empty: the null version; None: not given) of ``key_marker``.

        :raises ReadQuorumLost: a set cannot be read
        """
        scope = Scope(bucket.bucket_id, prefix, delimiter)
        return await self._run(partial(list_versions, scope, key_marker, version_marker, most))

    async def uploads(
        self,
        bucket: BucketRecord,
        prefix: bytes,
        delimiter: bytes,
        key_marker: bytes,
        upload_marker: bytes,
        most: int,
    ) -> UploadsPage:
        """Multipart uploads after ``upload_marker`` (empty: not given) of ``key_marker``.

        :raises ReadQuorumLost: a set cannot be read
        """
        scope = Scope(bucket.bucket_id, prefix, delimiter)
        return await self._run(partial(list_uploads, scope, key_marker, upload_marker, most))

    async def _run(self, page: Callable[[Sequence[View]], P]) -> P:
        """Make a page, on other drives where a row cannot be read."""
        for _ in range(DRIVES_TRIED_MAX - 1):
            with suppress(BadRow):
                return await self._make(page)
        return await self._make(page)

    async def _make(self, page: Callable[[Sequence[View]], P]) -> P:
        """In a thread, which ends by itself when the caller is cancelled; only then the snapshots are closed."""
        snapshots = await self._snapshots()

        def make() -> P:
            try:
                return page(snapshots)
            except BadRow as error:
                self._distrust(snapshots, error)
                raise
            finally:
                _close(snapshots)

        loop = asyncio.get_running_loop()
        return await asyncio.shield(loop.run_in_executor(self._executor, make))

    def _distrust(self, snapshots: Sequence[Snapshot], error: BadRow) -> None:
        """Tell the set whose snapshot holds the bad row."""
        row = bytes.fromhex(str(error.detail.get("row", "")))
        for handle, snapshot in zip(self._sets, snapshots, strict=True):
            values = (snapshot.get(table, row) for table in TABLES)
            if any(value is not None and not is_sealed(row, value) for value in values):
                handle.distrust(snapshot, error)

    async def _snapshots(self) -> list[Snapshot]:
        snapshots: list[Snapshot] = []
        try:
            for handle in self._sets:
                snapshots.append(handle.snapshot_now() or await handle.snapshot())
        except BaseException:
            _close(snapshots)
            raise
        return snapshots


def _close(snapshots: Sequence[Snapshot]) -> None:
    for snapshot in snapshots:
        snapshot.close()
