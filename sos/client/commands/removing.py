"""``rm``."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from minio.deleteobjects import DeletedObject

from .. import formats
from ..command import command, flag, targets, value
from ..entries import Entry, Target
from ..errors import FAULTS, Failure, Missing, Stop
from ..groups import client
from ..local import Folder
from ..planning import Ages
from ..remote import Listing
from ..session import Session
from .copying import ages
from .listing import entries, moment, rewound

_FORCE = (
    "Removal requires --force flag. This operation is *IRREVERSIBLE*. Please review carefully before performing this "
    "*DANGEROUS* operation."
)
_SITE = (
    "This operation results in site-wide removal of objects. If you are really sure, retry this command with "
    "‘--dangerous’ and ‘--force’ flags."
)


class Wanted:
    """What the flags ask for."""

    def __init__(self, recursive: bool, versions: bool, noncurrent: bool, incomplete: bool, fake: bool, bypass: bool,
                 force: bool, limits: Ages, at: datetime | None) -> None:  # fmt: skip
        self.recursive, self.versions, self.noncurrent, self.incomplete = recursive, versions, noncurrent, incomplete
        self.fake, self.bypass, self.force, self.limits, self.at = fake, bypass, force, limits, at

    @property
    def listing(self) -> Listing:
        return Listing(self.recursive, self.versions or self.at is not None, self.incomplete)


@command(client, "rm")
@targets(required=False)
@flag("-r", "--recursive", text="All objects whose key begins with TARGET.")
@flag("--force", text="Needed for all that removes more than one.")
@flag("--dangerous", text="Allow to remove the objects of every bucket.")
@flag("--versions", text="Every version.")
@flag("--non-current", text="Only versions that are not the latest.")
@flag("-I", "--incomplete", text="Uploads that were not completed.")
@flag("--dry-run", text="Only say what would be removed.")
@flag("--fake", hidden=True)
@flag("--stdin", text="Read targets from standard input too.")
@flag("--bypass", text="Bypass governance retention.")
@value("--version-id", "--vid", text="One version.")
@value("--older-than", text="Only what is older: 7d10h.")
@value("--newer-than", text="Only what is newer: 7d10h.")
@value("--rewind", text="Versions up to a time, or so long ago.")
def rm(
    session: Session, targets: tuple[str, ...], recursive: bool, force: bool, dangerous: bool, versions: bool,
    non_current: bool, incomplete: bool, dry_run: bool, fake: bool, stdin: bool, bypass: bool, version_id: str,
    older_than: str, newer_than: str, rewind: str,
) -> None:  # fmt: skip
    """Remove objects and files."""
    at = moment(rewind)
    if version_id and (recursive or versions or rewind):
        raise Stop("You cannot specify --version-id with any of --versions, --rewind and --recursive flags.")
    if non_current and not (versions and recursive):
        raise Stop("You cannot specify --non-current without --versions --recursive.")
    if not targets and not stdin:
        raise Stop("Write the TARGET to remove.")
    if (versions or recursive or stdin) and not force:
        raise Stop(_FORCE)
    wanted = Wanted(recursive, versions, non_current, incomplete, dry_run or fake, bypass, force,
                    ages(older_than, newer_than), at)  # fmt: skip
    # all are looked at before the first is removed
    named = [_admitted(session, session.target(text), wanted, force and dangerous) for text in targets]
    for target in [*named, *(_from_input(session, wanted, force and dangerous) if stdin else [])]:
        _remove(session, target, wanted, version_id)


def _from_input(session: Session, wanted: Wanted, everything: bool) -> Iterator[Target]:
    for line in sys.stdin:
        if text := line.rstrip("\r\n"):
            yield _admitted(session, session.target(text), wanted, everything)


def _admitted(session: Session, target: Target, wanted: Wanted, everything: bool) -> Target:
    """:raises Stop: what needs more flags"""
    if target.alias and not target.bucket and not everything:
        raise Stop(_SITE)
    if not target.alias and not wanted.recursive and os.path.isdir(target.path):
        raise Stop(f"`{target.text}` is a folder; removal requires --recursive flag.")
    return target


def _remove(session: Session, target: Target, wanted: Wanted, version_id: str) -> None:
    try:
        if not target.alias:
            _remove_files(session, target, wanted)
        elif wanted.recursive or wanted.versions or wanted.incomplete:
            _remove_listed(session, target, wanted)
        else:
            _remove_one(session, target, wanted, version_id)
    except FAULTS as error:
        more = " recursively" if wanted.recursive else ""
        session.console.fail(f"Failed to remove `{target.text}`{more}.", error)


def _remove_files(session: Session, target: Target, wanted: Wanted) -> None:
    if not wanted.recursive:
        found = session.local.stat(target.path)
        if wanted.limits.admit(found):
            _removed(session, target, found, wanted.fake, lambda: os.unlink(target.path))
        return
    root = target.path if target.path.endswith("/") else f"{target.path}/"
    folder = Folder(root)
    for found in list(entries(session, target, Listing(recursive=True))):
        if wanted.limits.admit(found):
            name = found.path.removeprefix(root)
            _removed(session, target, found, wanted.fake, lambda name=name: folder.remove(name))


def _removed(session: Session, target: Target, entry: Entry, fake: bool, remove: object) -> None:
    if not fake and callable(remove):
        remove()
    _told(session, target, entry, None, fake)


def _remove_one(session: Session, target: Target, wanted: Wanted, version_id: str) -> None:
    if not target.key:
        raise Failure("Object name cannot be empty; `rb` removes buckets, --recursive what is in them.")
    entry = Entry(target.path, version_id=version_id)
    try:
        found = session.remote(target.alias).stat(target.path, version_id)
    except Failure as failure:
        # HEAD of a delete marker is refused; it can be removed all the same
        if not version_id or failure.code != "MethodNotAllowed":
            raise
        found = entry
    if found.folder and not target.path.endswith("/"):
        raise Missing("Object does not exist; it is a prefix, --recursive removes what begins with it.")
    if wanted.limits.admit(found):
        _carry_out(session, target, [entry], wanted)


def _remove_listed(session: Session, target: Target, wanted: Wanted) -> None:
    count = 0

    def chosen() -> Iterator[Entry]:
        nonlocal count
        for one in _chosen(session, target, wanted):
            count += 1
            if wanted.limits.admit(one):
                yield one

    _carry_out(session, target, chosen(), wanted)
    if not count and not wanted.force:
        raise Missing(f"No object/version found to be removed in `{target.text}`.")


def _chosen(session: Session, target: Target, wanted: Wanted) -> Iterator[Entry]:
    found = (one for one in entries(session, target, wanted.listing) if not one.folder)
    if not wanted.recursive:
        found = (one for one in found if one.path == target.path)
    if wanted.noncurrent:
        found = (one for one in found if not one.latest or one.delete_marker)
    if not wanted.versions:
        # without --versions a removal is one of keys, not of versions
        return (Entry(one.path, one.size, one.modified, upload_id=one.upload_id) for one in rewound(found, wanted.at))
    at = wanted.at or datetime.now(UTC)
    return (one for one in found if wanted.at is None or (one.modified is not None and one.modified <= at))


def _carry_out(session: Session, target: Target, chosen: Iterable[Entry], wanted: Wanted) -> None:
    if wanted.fake:
        for one in chosen:
            _told(session, target, one, None, True)
        return
    for entry, outcome in session.remote(target.alias).remove(chosen, wanted.bypass):
        if isinstance(outcome, Failure):
            session.console.fail(f"Failed to remove `{target.named(entry.path)}`.", outcome)
        else:
            _told(session, target, entry, outcome, False)


def _told(session: Session, target: Target, entry: Entry, gone: DeletedObject | None, fake: bool) -> None:
    created = gone is not None and gone.delete_marker and not entry.version_id
    version_id = (gone.delete_marker_version_id or "") if created and gone is not None else entry.version_id
    key = target.named(entry.path)
    message = {
        "key": key, "deleteMarker": created, "versionID": version_id,
        "modTime": formats.moment(entry.modified) if fake and version_id else None, "dryRun": fake,
    }  # fmt: skip
    verb = "DRYRUN: Removing" if fake else "Created delete marker" if created else "Removed"
    session.console.say(message, f"{verb} `{key}`{f' (versionId={version_id})' if version_id else ''}.")
