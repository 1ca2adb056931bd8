"""``ls`` and ``stat``: what there is, and what one of it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import groupby
from typing import Any

from minio.error import S3Error

from .. import formats
from ..attributes import carried
from ..command import command, flag, targets, value
from ..entries import Entry, Target
from ..errors import FAULTS, Missing, Stop
from ..groups import client
from ..local import Skipped
from ..remote import Listing, Remote
from ..session import Session

_CHECKSUM = "X-Amz-Checksum-"


@command(client, "ls")
@targets(required=False)
@flag("-r", "--recursive", text="All below, not only the next level.")
@flag("--versions", text="Every version.")
@flag("-I", "--incomplete", text="Uploads that were not completed.")
@flag("--summarize", text="Number and size of all at the end.")
@value("--rewind", text="As it was at a time (2024.01.31T10:30) or so long ago (7d).")
@value("--storage-class", "--sc", text="Only objects of one storage class.")
def ls(
    session: Session, targets: tuple[str, ...], recursive: bool, versions: bool, incomplete: bool,
    summarize: bool, rewind: str, storage_class: str,
) -> None:  # fmt: skip
    """List buckets, objects and files."""
    at = moment(rewind)
    what = Listing(recursive, versions or at is not None, incomplete)
    for text in targets or (".",):
        try:
            target = as_folder(session, session.target(text))
            found = entries(session, target, what)
            chosen = (one for one in found if storage_class in ("", "*") or one.storage_class in ("", storage_class))
            _show(session, target, rewound(chosen, at), versions, summarize)
        except FAULTS as error:
            session.console.fail("Unable to list folder.", error)


def moment(text: str) -> datetime | None:
    """:raises Stop:"""
    try:
        return formats.read_moment(text) if text else None
    except ValueError as error:
        raise Stop("Unable to parse --rewind argument.", error) from None


def as_folder(session: Session, target: Target) -> Target:
    """With a slash at its end where it is a folder; else what begins with its name is meant."""
    if target.path.endswith("/") or (target.alias and not target.path):
        return target
    if not session.place(target).is_folder(target.path):
        if target.alias:
            session.remote(target.alias).require_bucket(target.bucket)
        return target
    return Target(target.text, target.alias, f"{target.path}/")


def entries(session: Session, target: Target, what: Listing) -> Iterator[Entry]:
    """What is there; what cannot be read is reported and left out."""
    place = session.place(target)
    for found in place.walk(target.path, what):
        if isinstance(found, Skipped):
            session.console.fail("Unable to read.", found)
        else:
            yield found


def rewound(found: Iterable[Entry], at: datetime | None) -> Iterator[Entry]:
    """Versions as they were at a moment: those that are younger are left out, the first of the others was the latest."""
    if at is None:
        yield from found
        return
    for _, versions in groupby(found, key=lambda one: one.path):
        old = [one for one in versions if one.modified is not None and one.modified <= at]
        yield from old if old and not old[0].delete_marker else []


def _show(session: Session, target: Target, found: Iterable[Entry], versions: bool, summarize: bool) -> None:
    above = target.path[: target.path.rfind("/") + 1].removeprefix("./")
    url = f"{session.url(target.alias)}/{target.path}" if target.alias else target.path
    objects = size = 0
    for _, grouped in groupby(found, key=lambda one: one.path):
        same = list(grouped)
        for number, one in enumerate(same[: None if versions else 1]):
            if versions or not one.delete_marker:
                objects, size = objects + 1, size + one.size
                _line(session, one, one.path.removeprefix("./").removeprefix(above), url, len(same) - number, versions)
    if summarize:
        text = f"\nTotal Size: {formats.size(size)}\nTotal Objects: {objects}"
        session.console.raw({"totalObjects": objects, "totalSize": size}, text)


def _line(session: Session, one: Entry, key: str, url: str, ordinal: int, versions: bool) -> None:
    message: dict[str, Any] = {
        "type": "folder" if one.folder else "file",
        "lastModified": formats.moment(one.modified),
        "size": one.size,
        "key": key,
        "etag": one.etag,
        "url": url,
        **({"versionId": one.version_id} if versions and one.version_id else {}),
        "versionOrdinal": ordinal,
        **({"isDeleteMarker": True} if one.delete_marker else {}),
        **({"storageClass": one.storage_class} if one.storage_class else {}),
    }
    text = f"[{formats.short_moment(one.modified)}]{formats.size(one.size, ''):>7}"
    text += f" {one.storage_class}" if one.storage_class else ""
    if versions and one.version_id:
        text += f" {one.version_id} v{ordinal} {'DEL' if one.delete_marker else 'PUT'}"
    session.console.say(message, f"{text} {key}")


@command(client, "stat")
@targets()
@flag("-r", "--recursive", text="All objects below.")
@flag("--versions", text="Every version.")
@flag("--no-list", text="Ask for the object alone.")
@value("--rewind", text="As it was at a time, or so long ago.")
@value("--version-id", "--vid", text="One version.")
def stat(
    session: Session,
    targets: tuple[str, ...],
    recursive: bool,
    versions: bool,
    no_list: bool,
    rewind: str,
    version_id: str,
) -> None:
    """Show all that is known of objects, buckets and files."""
    at = moment(rewind)
    for text in targets:
        target = session.target(text)
        try:
            if recursive or versions or at:
                _stat_all(session, target, Listing(recursive, versions or at is not None), at)
            else:
                _stat_one(session, target, version_id)
        except FAULTS as error:
            raise Stop(f"Unable to stat `{text}`.", error) from None


def _stat_one(session: Session, target: Target, version_id: str) -> None:
    place = session.place(target)
    found = place.stat(target.path, version_id)
    if target.alias and target.path.rstrip("/") == target.bucket and target.bucket:
        _bucket(session, session.remote(target.alias), target.bucket)
    elif target.alias and not target.bucket:
        for bucket in session.remote(target.alias).walk("", Listing()):
            _stated(session, target, bucket)
    else:
        _stated(session, target, found)


def _stat_all(session: Session, target: Target, what: Listing, at: datetime | None) -> None:
    count = 0
    for one in rewound(entries(session, target, what), at):
        if not one.folder and (what.recursive or not target.alias or one.path == target.path):
            count += 1
            full = session.remote(target.alias).head(one.path, one.version_id) if _readable(target, one) else one
            _stated(session, target, full)
    if not count:
        raise Missing("Object does not exist")


def _readable(target: Target, one: Entry) -> bool:
    return bool(target.alias) and not one.delete_marker


def _stated(session: Session, target: Target, one: Entry) -> None:
    above = target.path.rstrip("/").rpartition("/")[0]
    name = one.path.removeprefix(f"{above}/") if above else one.path
    kept = {k: v for k, v in one.headers.items() if k in carried(one.headers) or k.startswith("X-Amz-Server-Side-Enc")}
    checksums = {k.removeprefix(_CHECKSUM).upper(): v for k, v in one.headers.items() if k.startswith(_CHECKSUM)}
    checksums.pop("TYPE", None)
    message: dict[str, Any] = {
        "name": name,
        "lastModified": formats.moment(one.modified),
        "size": one.size,
        "etag": one.etag,
        "type": "folder" if one.folder else "file",
        **({"metadata": kept} if kept else {}),
        **({"checksum": checksums} if checksums else {}),
        **({"versionID": one.version_id} if one.version_id else {}),
        **({"deleteMarker": True} if one.delete_marker else {}),
    }
    session.console.say(message, _stat_text(name, one, kept))


def _stat_text(name: str, one: Entry, kept: dict[str, str]) -> str:
    lines = [("Name", name), ("Date", formats.short_moment(one.modified)), ("Size", formats.size(one.size))]
    lines += [("ETag", one.etag)] if one.etag else []
    lines += [("VersionID", one.version_id)] if one.version_id else []
    lines += [("Type", "folder" if one.folder else "file")]
    text = [f"{label:<10}: {shown}" for label, shown in lines]
    text += ["Metadata  :", *(f"  {label}: {shown}" for label, shown in sorted(kept.items()))] if kept else []
    return "\n".join([*text, ""])


def _bucket(session: Session, remote: Remote, bucket: str) -> None:
    versioning = _unless_refused(lambda: remote.s3.get_bucket_versioning(bucket).status) or ""
    tags = dict(_unless_refused(lambda: remote.s3.get_bucket_tags(bucket)) or {})
    policy = _unless_refused(lambda: remote.s3.get_bucket_policy(bucket))
    location = _unless_refused(lambda: remote.s3._get_region(bucket)) or ""
    message: dict[str, Any] = {
        "name": f"{bucket}/",
        "lastModified": formats.moment(None),
        "size": 0,
        "Versioning": {"status": versioning, "MFADelete": ""},
        "Policy": {"type": "custom", "policy": policy} if policy else {"type": "none"},
        "location": location,
        **({"tagging": tags} if tags else {}),
    }
    lines = [
        ("Name", bucket), ("Type", "folder"), ("Location", location), ("Versioning", versioning or "Un-versioned"),
        ("Anonymous", "Enabled" if policy else "Disabled"), ("Tagging", ", ".join(f"{k}:{v}" for k, v in tags.items())),
    ]  # fmt: skip
    session.console.say(message, "\n".join(f"{label:<10}: {shown}" for label, shown in lines))


def _unless_refused(ask: Any) -> Any:
    """A part of a bucket's description that is not there, or that is not for this user to see, is left out."""
    try:
        return ask()
    except S3Error:
        return None
