"""``mirror`` and ``diff``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import translate

import click
from minio.error import S3Error

from ..command import command, flag, value
from ..comparing import Pair, differs, pairs
from ..entries import Entry, Target
from ..errors import FAULTS, Failure, Missing, Stop
from ..groups import client
from ..local import Folder, Skipped
from ..planning import Ages
from ..remote import Listing
from ..session import Session
from ..transfer import Job, Mover
from .copying import ages, carry_out, wishes
from .copying import summary as told


class Mirror:
    """One mirroring.

    :param keep: patterns of names that are left alone on both sides
    """

    def __init__(self, session: Session, source: Target, target: Target, limits: Ages, keep: tuple[str, ...]) -> None:
        self._session, self._source, self._target, self._limits = session, source, target, limits
        self._keep = [re.compile(translate(pattern)) for pattern in keep]
        self.overwrite = False
        self.extra: list[Entry] = []
        self.whole = True

    def jobs(self) -> Iterator[Job]:
        """What must be copied; ``extra`` is what only the target has.

        Listing that breaks off ends it, and ``whole`` tells.
        """
        try:
            for pair in pairs(self.names(self._source), self.names(self._target, optional=True)):
                yield from self._job(pair)
        except FAULTS as error:
            self.whole = False
            self._session.console.fail("Failed to perform mirroring", error)

    def _job(self, pair: Pair) -> Iterator[Job]:
        if pair.source is None:
            if pair.target is not None:
                self.extra.append(pair.target)
            return
        if not self._limits.admit(pair.source):
            return
        if pair.target is not None and not self._replaces(pair.source, pair.target):
            return
        root = self._target.path or ("" if self._target.alias else ".")
        yield Job(self._source.alias, pair.source, self._target.alias, root, pair.name)

    def _replaces(self, source: Entry, target: Entry) -> bool:
        if self.overwrite:
            return differs(source, target)
        if source.size != target.size:
            shown = self._target.named(target.path)
            why = Failure(f"Overwrite not allowed for `{shown}`. Use `--overwrite` to override this behavior.")
            # as with mc: told, and no failure of the whole
            self._session.console.fail("Failed to perform mirroring, with error condition (size)", why, counts=False)
        return False

    def shown(self, entry: Entry) -> str:
        return self._target.named(entry.path)

    def names(self, side: Target, optional: bool = False) -> Iterator[tuple[str, Entry]]:
        if optional and not side.alias and not self._session.local.is_folder(side.path):
            return
        for found in self._session.place(side).walk(side.path, Listing(recursive=True)):
            if isinstance(found, Skipped):
                self.whole = self.whole and optional
                self._session.console.fail("Unable to read.", found)
            elif not found.folder:
                name = found.path.removeprefix(side.path)
                if not any(pattern.match(name) for pattern in self._keep):
                    yield name, found


@command(client, "mirror")
@click.argument("source")
@click.argument("target")
@flag("--overwrite", text="Replace what differs.")
@flag("--force", hidden=True)
@flag("--remove", text="Remove what only the target has.")
@flag("--dry-run", text="Only say what would be done.")
@flag("--fake", hidden=True)
@flag("-a", "--preserve", text="Keep times and modes of files.")
@flag("--disable-multipart", text="Each object in one request.")
@value("--exclude", many=True, text="Leave names alone that match: *.tmp.")
@value("--older-than", text="Only what is older: 7d10h.")
@value("--newer-than", text="Only what is newer: 7d10h.")
@value("--storage-class", "--sc", text="Storage class of the new objects.")
@value("--attr", text="Attributes of the new objects: key1=value1;key2=value2.")
@value("--region", default="us-east-1", text="Where buckets that are missing shall be.")
@flag("--skip-errors", hidden=True)
@flag("--retry", hidden=True)
@flag("--summary", hidden=True)
def mirror(
    session: Session, source: str, target: str, overwrite: bool, force: bool, remove: bool, dry_run: bool, fake: bool,
    preserve: bool, disable_multipart: bool, exclude: tuple[str, ...], older_than: str, newer_than: str,
    storage_class: str, attr: str, region: str, skip_errors: bool, retry: bool, summary: bool,
) -> None:  # fmt: skip
    """Make TARGET hold what SOURCE holds."""
    to = _folder(session, target)
    one = Mirror(session, _folder(session, source, must=True), to, ages(older_than, newer_than), exclude)
    one.overwrite = overwrite or force
    asked = wishes(attr, "", storage_class, preserve, disable_multipart)
    with session.meter() as meter:
        mover = Mover(session.remote, asked, meter)
        if dry_run or fake:
            _told_only(session, one, remove)
            return
        carry_out(session, meter, _with_buckets(session, to, one.jobs(), region), mover)
    if remove:
        _remove(session, to, one)
    told(session, meter)


def _folder(session: Session, text: str, must: bool = False) -> Target:
    """With a slash at its end. :raises Stop: a source that is none"""
    target = session.target(text)
    path = target.path if target.path.endswith("/") or (target.alias and not target.path) else f"{target.path}/"
    if must:
        try:
            found = session.place(target).stat(target.path)
        except FAULTS as error:
            raise Stop(f"Unable to stat source `{text}`.", error) from None
        if not found.folder:
            raise Stop(f"Source `{text}` is not a folder. Only folders are supported by mirror command.")
    return Target(text, target.alias, path)


def _with_buckets(session: Session, target: Target, jobs: Iterator[Job], region: str) -> Iterator[Job]:
    """Where a whole server is the target, its buckets are made as they come."""
    made: set[str] = set()
    for job in jobs:
        bucket = job.target_path.partition("/")[0]
        if target.alias and not target.bucket and bucket not in made:
            made.add(bucket)
            _ensure(session, target.alias, bucket, region)
        yield job


def _ensure(session: Session, alias: str, bucket: str, region: str) -> None:
    remote = session.remote(alias)
    try:
        remote.require_bucket(bucket)
    except Missing:
        try:
            remote.s3.make_bucket(bucket, region)
        except S3Error as error:
            session.console.fail(f"Unable to make bucket `{alias}/{bucket}`.", error)


def _told_only(session: Session, one: Mirror, remove: bool) -> None:
    for job in one.jobs():
        _line(session, job.shown_source, job.shown_target, job.entry.size)
    for entry in one.extra if remove else []:
        _line(session, "", one.shown(entry), 0)


def _line(session: Session, source: str, target: str, size: int) -> None:
    message = {"source": source, "target": target, "size": size, "totalCount": 1, "totalSize": size}
    text = f"`{source}` -> `{target}`" if source else f"Removed `{target}`"
    session.console.say({**message, "eventTime": "", "eventType": ""}, text)


def _remove(session: Session, target: Target, one: Mirror) -> None:
    """Only after a source that was read whole: what was not seen there is not gone."""
    if not one.whole:
        session.console.fail("Nothing was removed at the target, since the source could not be read whole.")
        return
    if target.alias:
        for entry, outcome in session.remote(target.alias).remove(one.extra):
            if isinstance(outcome, Failure):
                session.console.fail(f"Failed to remove `{target.named(entry.path)}`.", outcome)
            else:
                _line(session, "", target.named(entry.path), 0)
        return
    folder = Folder(target.path)
    for entry in one.extra:
        try:
            folder.remove(entry.path.removeprefix(target.path))
        except FAULTS as error:
            session.console.fail(f"Failed to remove `{entry.path}`.", error)
        else:
            _line(session, "", entry.path, 0)


@command(client, "diff")
@click.argument("first")
@click.argument("second")
def diff(session: Session, first: str, second: str) -> None:
    """Say what is only in one of two folders, and what differs in size."""
    left, right = _folder(session, first, must=True), _folder(session, second, must=True)
    one = Mirror(session, left, right, Ages(), ())
    try:
        for pair in pairs(one.names(left), one.names(right)):
            _difference(session, pair, left, right)
    except FAULTS as error:
        raise Stop("Unable to compare.", error) from None


def _difference(session: Session, pair: Pair, left: Target, right: Target) -> None:
    first = left.named(pair.source.path) if pair.source else ""
    second = right.named(pair.target.path) if pair.target else ""
    if pair.target is None:
        session.console.say({"first": first, "second": "", "diff": 1}, f"< {first}")
    elif pair.source is None:
        session.console.say({"first": "", "second": second, "diff": 2}, f"> {second}")
    elif pair.source.size != pair.target.size:
        session.console.say({"first": first, "second": second, "diff": 4}, f"! {second}")
