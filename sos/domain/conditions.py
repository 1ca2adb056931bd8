"""Conditional requests (RFC 9110 §13; S3 API: conditional reads and writes). Pure."""

from __future__ import annotations

import msgspec

from .errors import NoSuchKey, NotModified, PreconditionFailed

NS_PER_S = 1_000_000_000


class Conditions(msgspec.Struct, array_like=True, frozen=True):
    """Parsed conditional headers. Entity tags are without quotes; ``*`` stands for any.

    :param if_match: tags of If-Match, or None when the header is absent
    :param if_none_match: tags of If-None-Match, or None
    :param if_modified_since: nanoseconds since the epoch, or None
    :param if_unmodified_since: nanoseconds since the epoch, or None
    """

    if_match: tuple[str, ...] | None = None
    if_none_match: tuple[str, ...] | None = None
    if_modified_since: int | None = None
    if_unmodified_since: int | None = None
    if_match_size: int | None = None
    if_match_mtime: int | None = None


NO_CONDITIONS = Conditions()


def tells(conditions: Conditions) -> bool:
    """Whether the outcome of a write or deletion tells something of what is there besides that it is there."""
    tags = (*(conditions.if_match or ()), *(conditions.if_none_match or ()))
    values = (conditions.if_unmodified_since, conditions.if_match_size, conditions.if_match_mtime)
    return any(tag != "*" for tag in tags) or any(value is not None for value in values)


def matches(tags: tuple[str, ...], etag: str) -> bool:
    """Whether one of the tags is ``*`` or equals ``etag`` (weak comparison: a ``W/`` prefix is ignored)."""
    return any(tag == "*" or tag.removeprefix("W/") == etag for tag in tags)


def matches_strongly(tags: tuple[str, ...], etag: str) -> bool:
    """The same for If-Match, where a weak tag equals nothing (RFC 9110 §13.1.1): who made it weak, a proxy that
    compresses, may give the same one to other bytes."""
    return any(tag in ("*", etag) for tag in tags)


def check_read(conditions: Conditions, etag: str, mtime_ns: int) -> None:
    """Decide a conditional read in the order of RFC 9110 §13.2.2.

    :raises PreconditionFailed: If-Match or If-Unmodified-Since fails
    :raises NotModified: If-None-Match or If-Modified-Since fails
    """
    mtime_s = mtime_ns // NS_PER_S
    if conditions.if_match is not None:
        if not matches_strongly(conditions.if_match, etag):
            raise PreconditionFailed()
    elif conditions.if_unmodified_since is not None and mtime_s > conditions.if_unmodified_since // NS_PER_S:
        raise PreconditionFailed()
    if conditions.if_none_match is not None:
        if matches(conditions.if_none_match, etag):
            raise NotModified(etag=etag, mtime_ns=mtime_ns)
    elif conditions.if_modified_since is not None and mtime_s <= conditions.if_modified_since // NS_PER_S:
        raise NotModified(etag=etag, mtime_ns=mtime_ns)


def check_write(conditions: Conditions, current: tuple[str, int, int] | None) -> None:
    """Decide a conditional write against the latest version, ``(etag, mtime_ns, size)``, or None where there is none.

    :raises PreconditionFailed: the condition does not hold
    :raises NoSuchKey: If-Match names a tag and the key does not exist
    """
    if conditions.if_none_match is not None and current is not None and matches(conditions.if_none_match, current[0]):
        raise PreconditionFailed()
    if conditions.if_match is not None:
        if current is None:
            raise NoSuchKey()
        if not matches_strongly(conditions.if_match, current[0]):
            raise PreconditionFailed()
    if current is None:
        return
    if conditions.if_unmodified_since is not None and current[1] // NS_PER_S > conditions.if_unmodified_since // NS_PER_S:
        raise PreconditionFailed()
    if conditions.if_match_mtime is not None and current[1] // NS_PER_S != conditions.if_match_mtime // NS_PER_S:
        raise PreconditionFailed()
    if conditions.if_match_size is not None and current[2] != conditions.if_match_size:
        raise PreconditionFailed()
