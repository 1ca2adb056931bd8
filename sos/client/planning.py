"""Which files and objects a copy means, and what each will be called: mc's rules.

1. One file or object, to a folder that is there, a bucket, or a name that ends with a slash: into it under its own name.
2. One file or object, to anything else: that is its name.
3. With ``--recursive``: all below (of a server: all whose key begins so), each with the path from the last slash of the
   source on. So ``dir`` puts ``dir/…`` below the target, ``dir/`` what is in it.
4. Several sources: the target is a folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from . import formats
from .entries import Entry, Target
from .errors import Failure
from .local import Skipped
from .remote import Listing
from .session import Session
from .transfer import Job


@dataclass(frozen=True, slots=True)
class Ages:
    """:param older: only what is older than this span; ``newer``: only what is newer"""

    older: timedelta | None = None
    newer: timedelta | None = None

    @staticmethod
    def read(older: str, newer: str) -> Ages:
        """:raises ValueError:"""
        return Ages(formats.read_duration(older) if older else None, formats.read_duration(newer) if newer else None)

    def admit(self, entry: Entry) -> bool:
        if entry.modified is None:
            return self.older is None and self.newer is None
        age = datetime.now(UTC) - entry.modified
        return (self.older is None or age >= self.older) and (self.newer is None or age <= self.newer)


def plan(
    session: Session, sources: Iterable[Target], target: Target, recursive: bool, version_id: str = ""
) -> Iterator[Job | Skipped]:
    """Raises ``errors.FAULTS``."""
    sources = list(sources)
    into = target.path.endswith("/") or (target.alias and target.path == target.bucket) or _is_folder(session, target)
    if len(sources) > 1 and not into and not recursive:
        raise Failure(f"Several sources need a folder as their target; `{target.text}` is none.")
    if target.alias and not target.bucket and not recursive:
        raise Failure(f"Target `{target.text}` does not contain bucket name.")
    for source in sources:
        if recursive:
            yield from _all(session, source, target)
        else:
            yield _one(session, source, target, bool(into), version_id)


def _is_folder(session: Session, target: Target) -> bool:
    return session.place(target).is_folder(target.path)


def _one(session: Session, source: Target, target: Target, into: bool, version_id: str) -> Job:
    entry = session.place(source).stat(source.path, version_id)
    if entry.folder:
        raise Failure(f"To copy or move '{source.text}' the --recursive flag is required.")
    if version_id:
        entry = Entry(entry.path, entry.size, entry.modified, entry.etag, version_id=version_id)
    if into:
        return Job(source.alias, entry, target.alias, target.path or ("" if target.alias else "."), _last(entry.path))
    root, slash, name = target.path.rpartition("/")
    return Job(source.alias, entry, target.alias, root or (slash if not target.alias else ""), name)


def _last(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]


def _all(session: Session, source: Target, target: Target) -> Iterator[Job | Skipped]:
    path = _spelled(source)
    place = session.place(source)
    if source.alias:
        # a prefix that nothing begins with is an empty copy; a bucket that is not there is an error
        if source.bucket:
            session.remote(source.alias).require_bucket(source.bucket)
    elif place.is_folder(path):
        _apart(source, target)
    cut = path.rfind("/") + 1
    for found in place.walk(path, Listing(recursive=True)):
        if isinstance(found, Skipped):
            yield found
        elif not found.folder:
            yield Job(source.alias, found, target.alias, target.path or ("" if target.alias else "."), found.path[cut:])


def _spelled(source: Target) -> str:
    """``.`` and ``..`` have no name of their own to keep."""
    if not source.alias and _last(source.path) in ("", ".", ".."):
        return f"{source.path.rstrip('/')}/" if source.path.strip("/") else "/"
    return source.path


def _apart(source: Target, target: Target) -> None:
    """:raises Failure: a directory into itself"""
    if target.alias:
        return
    inner, outer = os.path.realpath(target.path or "."), os.path.realpath(source.path)
    if inner == outer or inner.startswith(outer.rstrip("/") + "/"):
        raise Failure(f"`{source.text}` cannot be copied into itself.")
