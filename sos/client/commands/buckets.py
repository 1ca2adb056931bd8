"""``mb`` and ``rb``: make and remove buckets, or directories of this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator

from minio.commonconfig import ENABLED
from minio.error import S3Error
from minio.versioningconfig import VersioningConfig

from ..command import command, flag, targets, value
from ..entries import Entry, Target
from ..errors import FAULTS, Failure, Missing, Stop, explain
from ..groups import client
from ..remote import Listing, Remote
from ..session import Session

_OURS = ("BucketAlreadyOwnedByYou", "BucketAlreadyExists")


@command(client, "mb")
@targets()
@value("--region", default="us-east-1", text="Where the bucket shall be.")
@flag("-p", "--ignore-existing", text="A bucket that is there already is right too.")
@flag("-l", "--with-lock", text="With object locking.")
@flag("--with-versioning", text="With versioning.")
def make(
    session: Session,
    targets: tuple[str, ...],
    region: str,
    ignore_existing: bool,
    with_lock: bool,
    with_versioning: bool,
) -> None:
    """Make buckets, or directories."""
    for text in targets:
        target = session.target(text)
        try:
            if not target.alias:
                os.makedirs(target.path, exist_ok=ignore_existing)
            else:
                _make(session.remote(target.alias), target, region, ignore_existing, with_lock)
        except FAULTS as error:
            session.console.fail(f"Unable to make bucket `{text}`.", error)
            continue
        if with_versioning and target.alias:
            _keep_versions(session, target)
        session.console.say({"bucket": text, "region": ""}, f"Bucket created successfully `{text}`.")


def _keep_versions(session: Session, target: Target) -> None:
    """:raises Stop:"""
    try:
        session.remote(target.alias).s3.set_bucket_versioning(target.bucket, VersioningConfig(ENABLED))
    except FAULTS as error:
        raise Stop("Unable to enable versioning", error) from None


def _make(remote: Remote, target: Target, region: str, existing: bool, lock: bool) -> None:
    if not target.bucket:
        raise Failure(f"Bucket name cannot be empty, write {target.alias}/your-bucket-name.")
    if target.key.strip("/"):
        raise Failure("A bucket has no slash in its name.")
    try:
        remote.s3.make_bucket(target.bucket, region, lock)
    except S3Error as error:
        if not existing or error.code != _OURS[0]:
            raise


@command(client, "rb")
@targets()
@flag("--force", text="With all that is in it, all versions.")
@flag("--dangerous", text="Allow to remove every bucket of a server.")
def remove(session: Session, targets: tuple[str, ...], force: bool, dangerous: bool) -> None:
    """Remove buckets, or empty directories."""
    found = [session.target(text) for text in targets]
    if any(one.alias and not one.bucket for one in found) and not (force and dangerous):
        raise Stop(
            "This operation results in **site-wide** removal of buckets. If you are really sure, retry this command "
            "with ‘--force’ and ‘--dangerous’ flags."
        )
    for target in found:
        for one in _buckets(session, target):
            _remove(session, one, force)


def _buckets(session: Session, target: Target) -> Iterator[Target]:
    if not target.alias or target.bucket:
        yield target
        return
    for entry in list(session.remote(target.alias).walk("", Listing())):
        name = entry.path.rstrip("/")
        yield Target(f"{target.alias}/{name}", target.alias, name)


def _remove(session: Session, target: Target, force: bool) -> None:
    try:
        if not target.alias:
            os.rmdir(target.path)
        elif target.key.strip("/"):
            raise Failure("It is not a bucket; `rm` removes objects.")
        else:
            _empty_and_remove(session, target, force)
    except Missing as error:
        if not force:
            session.console.fail(f"Unable to validate target `{target.text}`.", error)
    except FAULTS as error:
        session.console.fail(f"Failed to remove `{target.text}`.", error)
    else:
        session.console.say({"bucket": target.text}, f"Removed `{target.text}` successfully.")


def _empty_and_remove(session: Session, target: Target, force: bool) -> None:
    remote = session.remote(target.alias)
    remote.require_bucket(target.bucket)
    if not force and _holds(remote, target.bucket):
        raise Stop(
            f"`{target.text}` is not empty. Retry this command with ‘--force’ flag if you want to remove "
            f"`{target.text}` and all its contents"
        )
    if force:
        _empty(remote, target.bucket)
    remote.s3.remove_bucket(target.bucket)


def _holds(remote: Remote, bucket: str) -> bool:
    try:
        return next(iter(remote.walk(f"{bucket}/", Listing(True, versions=True))), None) is not None
    except S3Error as error:
        if explain(error).code == "AccessDenied":
            # who may not list leaves it to the server, which removes no bucket that holds anything
            return False
        raise


def _empty(remote: Remote, bucket: str) -> None:
    """:raises Failure: the first that cannot be removed"""

    def everything() -> Iterator[Entry]:
        yield from remote.walk(f"{bucket}/", Listing(True, versions=True))
        yield from remote.walk(f"{bucket}/", Listing(True, incomplete=True))

    for _, outcome in remote.remove(everything()):
        if isinstance(outcome, Failure):
            raise outcome
