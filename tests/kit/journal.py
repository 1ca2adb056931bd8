"""A server's drives as a power cut would leave them.

``journal.c`` records what a server does to its drives. :class:`Journal` reads that and rebuilds the directory as of any
moment: what was synced by then is there; of what was written and not synced any part may be there, down to single
sectors of one write.

What the model takes for durable, and nothing else:

1. Data, length and reserved blocks of a file: by fsync or fdatasync of it that began after them and ended before the cut,
   or by O_DSYNC.
2. A name (created, renamed, removed): by fsync of its directory. Names of one directory become durable in order.
"""

from __future__ import annotations

import os
import random
import shutil
import struct
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from sos.drive.libc import fallocate

SOURCE = Path(__file__).with_name("journal.c")
SECTOR_BYTES = 512
#: A torn write is cut in at most about so many pieces.
PIECES_MAX = 16
#: Names that a restart makes anew whatever they hold.
IGNORED = ("lock.mdb",)

OPEN, WRITE, TRUNCATE, ALLOCATE, SYNC_BEGIN, SYNC_END, RENAME, UNLINK, MKDIR, RMDIR = range(1, 11)
CREATED, DURABLE, TRUNCATED = 1, 2, 4
_HEAD = struct.Struct("=IIQqQIIII")


def compiler() -> str | None:
    """The C compiler, None where there is none."""
    return shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")


def build_library(directory: Path) -> Path:
    """Compile the library; the path to give to ``LD_PRELOAD``."""
    library = directory / "journal.so"
    command = [compiler() or "cc", "-O2", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl"]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return library


@dataclass(frozen=True, slots=True)
class Record:
    """One journaled call.

    :param end: size of the journal once it was written: the clock of cuts
    """

    end: int
    kind: int
    flags: int
    file: int
    offset: int
    length: int
    mode: int
    pid: int
    path: str
    second: str
    data: tuple[int, int]

    @property
    def is_commit(self) -> bool:
        """A durable write without a sync: LMDB's meta page, with which a transaction is committed."""
        return self.kind == WRITE and bool(self.flags & DURABLE)


@dataclass(slots=True, eq=False)
class _Node:
    """A file or directory: what was done to it, and how much of that a sync covers.

    :param base: where its content was when the journal began; None for a new one
    :param done: the records of calls that changed it (for a directory: its names)
    :param durable: so many of them are covered by a sync
    :param met: of a directory, what was in it when the journal began, as far as it was used since
    """

    is_directory: bool
    base: Path | None
    done: list[Record] = field(default_factory=list)
    #: for names: the node that each record is about
    nodes: list[_Node] = field(default_factory=list)
    durable: int = 0
    met: dict[str, _Node] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Loss:
    """What a cut does to changes that no sync covers: each is kept with a chance; a part of a write with another.

    :param keep: chance that a change gets to the medium
    :param tear: chance that a write that does is torn: a part of its sectors only
    """

    name: str
    keep: float
    tear: float


NOTHING_UNSYNCED = Loss("nothing unsynced", 0.0, 0.0)
EVERYTHING = Loss("everything", 1.0, 0.0)
SOME = Loss("some", 0.5, 0.5)
LOSSES = (NOTHING_UNSYNCED, EVERYTHING, SOME)


class Journal:
    """The journal of one run.

    :param root: the directory that was watched
    """

    def __init__(self, path: Path, root: Path) -> None:
        self.path, self.root = path, root
        self.records = list(self._read())

    def _read(self) -> Iterator[Record]:
        """Whole records; the last one may be half there where the recorded processes were killed."""
        size = self.path.stat().st_size
        at = 0
        with open(self.path, "rb") as file:
            while at + _HEAD.size <= size:
                file.seek(at)
                kind, flags, number, offset, length, first, second, mode, pid = _HEAD.unpack(file.read(_HEAD.size))
                names = file.read(first + second)
                start = at + _HEAD.size + first + second
                stored = length if kind == WRITE else 0
                at = start + stored
                if at > size:
                    return
                one, two = os.fsdecode(names[:first]), os.fsdecode(names[first:])
                yield Record(at, kind, flags, number, offset, length, mode, pid, one, two, (start, stored))

    def sync_points(self, after: int = 0) -> list[int]:
        """The moments just before and just after each sync came to its end, and so all that differ in what is durable:
        between them only more unsynced changes come in."""
        points = []
        for before, record in pairwise(self.records):
            if before.end >= after and (record.kind == SYNC_END or record.flags & DURABLE):
                points += [before.end, record.end]
        return sorted(set(points))

    def rebuild(self, cut: int, loss: Loss, seed: int, onto: Path) -> None:
        """Make ``onto`` what the watched directory would be after a cut.

        :param cut: the moment, as a size of the journal
        :param onto: empty, or what the directory was when the journal began
        """
        onto.mkdir(exist_ok=True)
        _Rebuild(self, cut, loss, random.Random(seed), onto).run()


class _Rebuild:
    """One rebuild: first the names and files as the running system saw them, then what of them is durable."""

    def __init__(self, journal: Journal, cut: int, loss: Loss, source: random.Random, onto: Path) -> None:
        self._journal, self._cut, self._loss, self._source, self._onto = journal, cut, loss, source, onto
        self._names: dict[str, _Node] = {}
        self._open: dict[int, _Node] = {}
        self._begun: dict[tuple[int, int, int, int], int] = {}
        self._top = self._node(str(journal.root))
        self._acts: dict[int, Callable[[Record], None]] = {
            OPEN: self._opened, WRITE: self._changed, TRUNCATE: self._changed, ALLOCATE: self._changed,
            SYNC_BEGIN: self._sync_begins, SYNC_END: self._sync_ends, RENAME: self._renamed, UNLINK: self._named,
            MKDIR: self._named, RMDIR: self._named,
        }  # fmt: skip

    def run(self) -> None:
        for record in self._journal.records:
            if record.end > self._cut:
                break
            if record.path.endswith(IGNORED):
                self._open.pop(record.file, None)  # its number may have been another file's before
            else:
                self._acts[record.kind](record)
        with open(self._journal.path, "rb") as data:
            _Writer(self._loss, self._source, data.fileno()).directory(self._top, self._onto)

    # -- what the running system saw -------------------------------------------------------------------

    def _node(self, path: str) -> _Node:
        """The node of a name; one that was there when the journal began is met here first."""
        node = self._names.get(path)
        if node is None:
            base = self._onto / os.path.relpath(path, self._journal.root)
            assert base.exists(), f"{path} is used but was never made"
            node = self._names[path] = _Node(base.is_dir(), base)
            if base != self._onto:
                self._parent(path).met[base.name] = node
        return node

    def _parent(self, path: str) -> _Node:
        return self._node(os.path.dirname(path))

    def _opened(self, record: Record) -> None:
        if record.flags & CREATED:
            self._link(record, _Node(False, None))
        node = self._open[record.file] = self._node(record.path)
        if record.flags & TRUNCATED:
            node.done.append(record)

    def _link(self, record: Record, node: _Node) -> None:
        self._names[record.path] = node
        parent = self._parent(record.path)
        parent.done.append(record)
        parent.nodes.append(node)

    def _named(self, record: Record) -> None:
        if record.kind == MKDIR:
            self._link(record, _Node(True, None))
        else:
            node = self._node(record.path)
            self._link(record, node)
            del self._names[record.path]

    def _renamed(self, record: Record) -> None:
        assert os.path.dirname(record.path) == os.path.dirname(record.second), "a rename across directories"
        node = self._node(record.path)
        assert not node.is_directory, "a rename of a directory"
        self._link(record, node)
        self._names[record.second] = self._names.pop(record.path)

    def _changed(self, record: Record) -> None:
        node = self._open.get(record.file)
        if node is not None:
            node.done.append(record)

    def _sync_begins(self, record: Record) -> None:
        node = self._open.get(record.file)
        if node is not None:
            self._begun[record.pid, record.offset, record.length, record.file] = len(node.done)

    def _sync_ends(self, record: Record) -> None:
        covered = self._begun.pop((record.pid, record.offset, record.length, record.file), 0)
        node = self._open.get(record.file)
        if node is not None:
            node.durable = max(node.durable, covered)


class _Writer:
    """Writes nodes to their place, with what no sync covers left to chance."""

    def __init__(self, loss: Loss, source: random.Random, data_fd: int) -> None:
        self._loss, self._source, self._data_fd = loss, source, data_fd

    def _keeps(self) -> bool:
        return self._source.random() < self._loss.keep

    def directory(self, node: _Node, path: Path) -> None:
        """Names become durable in order: of those not synced some first ones are there."""
        path.mkdir(exist_ok=True)
        count = node.durable
        while count < len(node.done) and self._keeps():
            count += 1
        names: dict[str, _Node | None] = dict(node.met)
        for record, child in zip(node.done[:count], node.nodes[:count], strict=True):
            names[os.path.basename(record.path)] = child
            if record.kind in (UNLINK, RMDIR, RENAME):
                names[os.path.basename(record.path)] = None
            if record.kind == RENAME:
                names[os.path.basename(record.second)] = child
        self._settle(path, names)

    def _settle(self, path: Path, names: dict[str, _Node | None]) -> None:
        """Bring a directory to these names; others in it stay as they are."""
        made: list[tuple[Path, Path]] = []
        for number, (name, child) in enumerate(names.items()):
            if child is None:
                continue
            if child.is_directory:
                self.directory(child, path / name)
            else:
                made.append((path / f"rebuilt-{number}", path / name))
                self._file(child, made[-1][0])
        for name, child in names.items():
            if child is None and (path / name).is_dir():
                shutil.rmtree(path / name)
            elif child is None:
                (path / name).unlink(missing_ok=True)
        for made_at, wanted_at in made:
            made_at.rename(wanted_at)

    def _file(self, node: _Node, path: Path) -> None:
        if node.base is not None and node.base.exists():
            node.base.rename(path)
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            for index, record in enumerate(node.done):
                is_durable = index < node.durable or record.flags & DURABLE
                if is_durable or self._keeps():
                    self._apply(fd, record, bool(is_durable))
        finally:
            os.close(fd)

    def _apply(self, fd: int, record: Record, whole: bool) -> None:
        if record.kind == TRUNCATE:
            os.ftruncate(fd, record.length)
        elif record.kind == OPEN:
            os.ftruncate(fd, 0)
        elif record.kind == ALLOCATE:
            fallocate(fd, record.mode, record.offset, record.length)
        else:
            start, length = record.data
            data = os.pread(self._data_fd, length, start)
            for first, last in self._pieces(length, whole or self._source.random() >= self._loss.tear):
                os.pwrite(fd, data[first:last], record.offset + first)

    def _pieces(self, length: int, whole: bool) -> list[tuple[int, int]]:
        """The parts of a write that got to the medium."""
        sectors = -(-length // SECTOR_BYTES)
        if whole or sectors < 2:
            return [(0, length)]
        borders = sorted({0, sectors, *(self._source.randrange(1, sectors) for _ in range(min(sectors, PIECES_MAX)))})
        pieces = [(a * SECTOR_BYTES, min(b * SECTOR_BYTES, length)) for a, b in pairwise(borders)]
        return [piece for piece in pieces if self._source.random() < 0.5]
