"""The index of one drive: an LMDB environment.

Invariants:

1. An environment is opened once per process, after the fork, and only one thread writes at a time (LMDB's own
   lock holds between processes as well; the epoch decides who may).
2. A transaction changes rows and ``local/last`` together or not at all.
3. Blocks are reserved ahead of use, so a full disk is known before a commit, and a part of them (``kept``) is
   left to groups that only free: a full drive can still be emptied. What was freed inside counts as room again.
4. After a failed commit nothing more is written until the drive is opened again: what the device kept is unknown.
   A commit refused for lack of space has changed nothing and does not count as failed.
5. The environment is unmapped when the last use of it has ended, never under one: ``close`` only sees to it that no
   use begins any more. Every use is noted on the worker's pulse.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import lmdb

from ..base.touch import UNNOTED, Touch
from ..domain.errors import DriveBehind, DriveFault, DriveFenced, DriveFull
from . import layout, local
from .engine import TABLES, Group, Position, Row, Space
from .environment import open_environment
from .faults import FULL, fault_of
from .libc import MADV_DONTNEED, fallocate, madvise, mapped_at
from .snapshot import IndexRead

PAGE_BYTES = 4096
KEPT_BYTES_MIN = 4 << 20
KEPT_BYTES_MAX = 16 << 20
#: A commit that failed with EIO while less than this is free failed for lack of space.
NEARLY_FULL_BYTES = 1 << 20
#: Pages that one changed row may copy on its way to the root, for the estimate before a commit.
PAGES_PER_ROW = 4
GROUP_BYTES = 64 * PAGE_BYTES

_KNOWN = frozenset(TABLES)
_NO_WORD = -1


def kept_bytes(total: int) -> int:
    """Bytes reserved ahead for groups that only free, and the step of growth, on a drive of ``total`` bytes."""
    return min(KEPT_BYTES_MAX, max(KEPT_BYTES_MIN, total // 512))


class Index:
    """One open environment."""

    def __init__(
        self, root: str, map_bytes: int, writer: bool, reserve_bytes: int = 0, touch: Touch = UNNOTED
    ) -> None:
        """
        :param root: the drive's directory
        :param map_bytes: from the drive's identity, the same in every process
        :param writer: whether ``apply`` and its kin may be called; others open for reading only
        :param reserve_bytes: free bytes of the file system that the index leaves, but for freeing groups
        :param touch: notes every use
        :raises DriveFault: it cannot be opened
        """
        self._path = root
        self._directory = os.path.join(root, layout.ROOT, layout.INDEX)
        self._reserve_bytes = reserve_bytes
        self._failed = False
        self._address: int | None = None
        self._fd = -1
        self._touch = touch
        self._uses: list[None] = []
        self._closing = False
        self._unmapping = threading.Lock()
        #: Set once the environment is unmapped.
        self.closed = threading.Event()
        self._environment = open_environment(self._directory, map_bytes, writer, root)
        try:
            self._tables: dict[str, Any] = {name: self._table(name) for name in TABLES}
            self._local = self._tables["local"]
            if writer:
                # a second descriptor of data.mdb is harmless: LMDB's locks are on lock.mdb
                self._fd = os.open(os.path.join(self._directory, layout.INDEX_DATA), os.O_RDWR)
                self._allocated = os.fstat(self._fd).st_size
                self._kept_bytes = kept_bytes(self._space().total)
                self._make_room(GROUP_BYTES, frees=True)
        except (OSError, lmdb.Error, DriveFault) as error:
            self.close()
            raise DriveFault(f"{root}: index open: {error}", path=root) from error

    def _table(self, name: str) -> Any:
        return self._environment.open_db(name.encode(), create=False)

    # -- uses --------------------------------------------------------------------------------------

    def enter(self) -> int:
        """A use begins; what ``leave`` takes. Without a lock: the entry stands before ``close`` is looked for.

        :raises DriveFault: the index is closed
        """
        self._uses.append(None)
        if self._closing:
            self.leave(_NO_WORD)
            raise DriveFault(f"{self._path}: closed", path=self._path)
        return self._touch.begin()

    def leave(self, word: int) -> None:
        self._touch.end(word)
        self._uses.pop()
        if self._closing and not self._uses:
            self._unmap()

    @contextmanager
    def _use(self) -> Iterator[None]:
        word = self.enter()
        try:
            yield
        finally:
            self.leave(word)

    # -- reading -----------------------------------------------------------------------------------

    def begin(self) -> IndexRead:
        """:raises DriveFault: all reader slots are taken, or the environment is damaged or closed"""
        word = self.enter()
        try:
            return IndexRead(self._environment.begin(), self._tables, self._path, self.leave, word)
        except lmdb.Error as error:
            self.leave(word)
            raise DriveFault(f"{self._path}: index begin: {error}", path=self._path) from error

    def state(self) -> tuple[int, Position, bool]:
        """Promised epoch, last position, and whether the drive votes.

        :raises BadRow: a row of ``local`` is damaged
        """
        txn = self.begin()
        try:
            promised = local.open_promised(txn.get("local", local.PROMISED))
            return promised, txn.last, local.open_voting(txn.get("local", local.VOTING))
        finally:
            txn.close()

    def release_pages(self) -> None:
        """Unmap the pages of the index that this process has read. They stay in the page cache and are faulted in again
        when needed; without it a process keeps every page mapped that it ever looked at.

        :raises OSError, DriveFault: the device failed, or the index is closed
        """
        with self._use():
            if self._address is None:
                self._address = mapped_at(os.path.join(self._directory, layout.INDEX_DATA))
            if self._address:
                size = os.stat(os.path.join(self._directory, layout.INDEX_DATA)).st_size
                madvise(self._address, size - size % PAGE_BYTES, MADV_DONTNEED)

    def reader_check(self) -> int:
        """Free the slots of dead processes, whose snapshots would keep pages from reuse. The number freed."""
        with self._use():
            try:
                return int(self._environment.reader_check())
            except lmdb.Error as error:
                raise DriveFault(f"{self._path}: reader check: {error}", path=self._path) from error

    # -- writing -----------------------------------------------------------------------------------

    def apply(self, group: Group) -> None:
        """See :meth:`~sos.drive.engine.DriveEngine.apply`."""
        with self._use():
            self._apply(group)

    def promise(self, epoch: int) -> Position:
        """See :meth:`~sos.drive.engine.DriveEngine.promise`."""
        with self._use():
            return self._promise(epoch)

    def set_voting(self, epoch: int, voting: bool) -> None:
        """See :meth:`~sos.drive.engine.DriveEngine.set_voting`."""
        with self._use():
            self._set_voting(epoch, voting)

    def _apply(self, group: Group) -> None:
        changes = _plan(group)
        self._check_usable()
        self._make_room(_growth(group), group.frees)
        try:
            with self._environment.begin(write=True) as txn:
                self._check_fence(txn, group.epoch)
                self._check_position(txn, group.expect)
                # no lock between drives here: a page of a hung drive's index would hold up all of them
                self._put(txn, changes)
                txn.put(local.LAST, local.seal_last(group.last), db=self._local)
        except lmdb.BadValsizeError as error:
            raise ValueError("a key must have 1 to 511 bytes") from error
        except lmdb.Error as error:
            raise self._commit_fault(error) from error

    def _promise(self, epoch: int) -> Position:
        self._check_usable()
        try:
            with self._environment.begin(write=True) as txn:
                promised = local.open_promised(txn.get(local.PROMISED, db=self._local))
                if promised > epoch:
                    raise DriveFenced(
                        f"{self._path}: epoch {promised} is promised, {epoch} comes late", path=self._path
                    )
                txn.put(local.PROMISED, local.seal_promised(epoch), db=self._local)
                return local.open_last(txn.get(local.LAST, db=self._local))
        except lmdb.Error as error:
            raise self._commit_fault(error) from error

    def _set_voting(self, epoch: int, voting: bool) -> None:
        self._check_usable()
        try:
            with self._environment.begin(write=True) as txn:
                self._check_fence(txn, epoch)
                txn.put(local.VOTING, local.seal_voting(voting), db=self._local)
        except lmdb.Error as error:
            raise self._commit_fault(error) from error

    def _check_usable(self) -> None:
        if self._fd < 0:
            raise DriveFault(f"{self._path}: the index is open for reading only", path=self._path)
        if self._failed:
            raise DriveFault(f"{self._path}: a commit failed; the drive must be opened again", path=self._path)
        # a removed drive must not acknowledge what goes with its last descriptor
        try:
            removed = os.fstat(self._fd).st_nlink == 0
        except OSError as error:
            raise fault_of(error, "index write", self._path) from error
        if removed:
            raise DriveFault(f"{self._path}: the index was removed", path=self._path)

    def _check_fence(self, txn: Any, epoch: int) -> None:
        promised = local.open_promised(txn.get(local.PROMISED, db=self._local))
        if promised != epoch:
            raise DriveFenced(f"{self._path}: epoch {promised} is promised, not {epoch}", path=self._path)

    def _check_position(self, txn: Any, expect: Position) -> None:
        last = local.open_last(txn.get(local.LAST, db=self._local))
        if last != expect:
            raise DriveBehind(f"{self._path}: last is {tuple(last)}, expected {tuple(expect)}", path=self._path)

    def _put(self, txn: Any, changes: dict[str, dict[bytes, bytes | None]]) -> None:
        for table, rows in changes.items():
            db = self._tables[table]
            ordered = sorted(rows.items())
            with txn.cursor(db) as cursor:
                cursor.putmulti([item for item in ordered if item[1] is not None])
            for key, value in ordered:
                if value is None:
                    txn.delete(key, db=db)

    # -- space -------------------------------------------------------------------------------------

    def _space(self) -> Space:
        try:
            status = os.fstatvfs(self._fd)
        except OSError as error:
            raise fault_of(error, "statvfs", self._path) from error
        return Space(status.f_blocks * status.f_frsize, status.f_bavail * status.f_frsize)

    def _make_room(self, growth: int, frees: bool) -> None:
        """Reserve blocks for ``growth`` bytes more, or refuse. A freeing group is always tried: it reuses pages.

        :raises DriveFull: not a freeing group, and it would use what is kept for those
        """
        used = (self._environment.info()["last_pgno"] + 1) * PAGE_BYTES
        needed = used + growth + self._kept_bytes
        if needed <= self._allocated or self._grow(needed, 0 if frees else self._reserve_bytes) or frees:
            return
        # the file never shrinks: after deletes its own free pages are all the space there is
        if self._live() + growth + self._kept_bytes > self._allocated:
            raise DriveFull(f"{self._path}: no space for the index", path=self._path)

    def _grow(self, needed: int, reserve: int) -> bool:
        """Reserve up to ``needed`` bytes and one step ahead of it, or only ``needed``; False where neither fits."""
        for end in (needed + self._kept_bytes, needed):
            if self._space().free - (end - self._allocated) < reserve:
                continue
            try:
                fallocate(self._fd, 0, self._allocated, end - self._allocated)
            except OSError as error:
                if error.errno in FULL:
                    continue
                if error.errno != errno.EOPNOTSUPP:
                    raise fault_of(error, "reserve index", self._path) from error
            self._allocated = end
            return True
        return False

    def _live(self) -> int:
        """Bytes of the pages that hold rows."""
        with self._environment.begin() as txn:
            counts = [txn.stat(), *(txn.stat(db) for db in self._tables.values())]
        pages = sum(count["branch_pages"] + count["leaf_pages"] + count["overflow_pages"] for count in counts)
        return int(pages) * PAGE_BYTES

    def _commit_fault(self, error: lmdb.Error) -> DriveFault:
        code = getattr(error, "code", 0)
        text = f"{self._path}: index commit: {error}"
        if isinstance(error, lmdb.MapFullError) or code in FULL or (code == errno.EIO and self._nearly_full()):
            return DriveFull(text, path=self._path)
        self._failed = True
        return DriveFault(text, path=self._path)

    def _nearly_full(self) -> bool:
        try:
            return self._space().free < NEARLY_FULL_BYTES
        except DriveFault:
            return False

    def close(self) -> None:
        """Idempotent. No use begins any more; those under way, open snapshots among them, go on to their end."""
        self._closing = True
        if not self._uses:
            self._unmap()

    def _unmap(self) -> None:
        with self._unmapping:
            if self.closed.is_set():
                return
            self._wait_for_drive()
            self._environment.close()
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1
            self.closed.set()

    def _wait_for_drive(self) -> None:
        """Until the drive takes a change, or refuses it. LMDB writes to its lock file when it closes and holds the
        interpreter meanwhile: on a drive that hangs, no thread of this process would run any more.
        """
        with suppress(OSError):
            os.utime(os.path.join(self._directory, layout.INDEX_LOCK))


def _plan(group: Group) -> dict[str, dict[bytes, bytes | None]]:
    """Changes by table; the last one of a key wins.

    :raises ValueError: a row belongs to the engine, or to no table
    """
    changes: dict[str, dict[bytes, bytes | None]] = {}
    for rows in (group.rows, group.own_rows):
        for table, key, value in rows:
            changes.setdefault(table, {})[key] = value
    if not changes.keys() <= _KNOWN:
        raise ValueError(f"no such table: {sorted(changes.keys() - _KNOWN)}")
    if not local.RESERVED.isdisjoint(changes.get("local", {})):
        raise ValueError("promised, last and voting are written by the engine only")
    return changes


def _growth(group: Group) -> int:
    """An upper estimate of the bytes a commit may add to the file."""
    return GROUP_BYTES + _rows_growth(group.rows) + _rows_growth(group.own_rows)


def _rows_growth(rows: Sequence[Row]) -> int:
    return sum(PAGES_PER_ROW * PAGE_BYTES + len(row.value or b"") for row in rows)
