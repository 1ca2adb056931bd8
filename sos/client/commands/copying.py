"""``cp`` and ``mv``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import click

from .. import attributes, crew, formats
from ..attributes import Wishes
from ..command import command, flag, value
from ..errors import FAULTS, Failure, Stop
from ..groups import client
from ..local import Skipped
from ..meter import Meter
from ..planning import Ages, plan
from ..session import Session
from ..transfer import Job, Mover

_PREPARE = "Unable to prepare URL for copying."


def wishes(attr: str, tags: str, storage_class: str, preserve: bool, disable_multipart: bool) -> Wishes:
    """:raises Stop:"""
    try:
        return Wishes(
            attributes.read_attributes(attr), attributes.read_tags(tags), storage_class, preserve, not disable_multipart
        )
    except Failure as failure:
        raise Stop("Unable to read the attributes.", failure) from None


def ages(older: str, newer: str) -> Ages:
    """:raises Stop:"""
    try:
        return Ages.read(older, newer)
    except ValueError as error:
        raise Stop("Unable to parse the age.", error) from None


_FLAGS = [
    click.argument("paths", nargs=-1, required=True),
    flag("-r", "--recursive", text="All below."),
    value("--older-than", text="Only what is older: 7d10h."),
    value("--newer-than", text="Only what is newer: 7d10h."),
    value("--storage-class", "--sc", text="Storage class of the new objects."),
    value("--attr", text="Attributes of the new objects: key1=value1;Cache-Control=no-cache."),
    value("--tags", text="Tags of the new objects: key1=value1&key2=value2."),
    flag("-a", "--preserve", text="Keep times and modes of files."),
    flag("--disable-multipart", text="Each object in one request."),
    flag("--continue", "-c", text="Taken for older guides; what is whole is whole.", hidden=True),
]


def _flags(function: Any) -> Any:
    for one in reversed(_FLAGS):
        function = one(function)
    return function


@command(client, "cp")
@_flags
@value("--version-id", "--vid", text="One version of the source.")
def cp(session: Session, paths: tuple[str, ...], version_id: str, **options: Any) -> None:
    """Copy files and objects: SOURCE… TARGET."""
    _copy(session, paths, version_id, False, options)


@command(client, "mv")
@_flags
def mv(session: Session, paths: tuple[str, ...], **options: Any) -> None:
    """Copy, then remove each source whose copy is there: SOURCE… TARGET."""
    _copy(session, paths, "", True, options)


def _copy(session: Session, paths: tuple[str, ...], version_id: str, moving: bool, options: dict[str, Any]) -> None:
    if len(paths) < 2:
        raise Stop("Write SOURCE… TARGET.")
    if version_id and (len(paths) > 2 or options["recursive"]):
        raise Stop("--version-id is for one object.")
    *sources, target = [session.target(text) for text in paths]
    limits = ages(options["older_than"], options["newer_than"])
    asked = wishes(
        options["attr"], options["tags"], options["storage_class"], options["preserve"], options["disable_multipart"]
    )
    with session.meter() as meter:
        mover = Mover(session.remote, asked, meter)
        carry_out(session, meter, _jobs(session, plan(session, sources, target, options["recursive"], version_id), limits),
                  mover, moving)  # fmt: skip
    summary(session, meter)


def _jobs(session: Session, planned: Iterator[Job | Skipped], limits: Ages) -> Iterator[Job]:
    """What the listing gives; where it breaks off, what was found so far is still copied."""
    try:
        for job in planned:
            if isinstance(job, Skipped):
                session.console.fail("Unable to read.", job)
            elif limits.admit(job.entry):
                yield job
    except FAULTS as error:
        session.console.fail(_PREPARE, error)


def carry_out(session: Session, meter: Meter, jobs: Iterator[Job], mover: Mover, moving: bool = False) -> None:
    """Each with a line of its own, unless a bar is drawn."""

    def counted() -> Iterator[Job]:
        for job in jobs:
            meter.expect(job.entry.size)
            yield job

    def do(job: Job) -> None:
        mover.move(job)
        if moving:
            _forget(session, job)

    def done(job: Job, error: Exception | None) -> None:
        if error is not None:
            session.console.fail(f"Failed to copy `{job.shown_source}`.", error)
        elif not meter.drawing:
            _told(session, meter, job)

    crew.work(counted(), do, done, meter)


def _told(session: Session, meter: Meter, job: Job) -> None:
    message = {
        "source": job.shown_source, "target": job.shown_target, "size": job.entry.size,
        "totalCount": meter.objects, "totalSize": meter.total,
    }  # fmt: skip
    session.console.say(message, f"`{job.shown_source}` -> `{job.shown_target}`")


def _forget(session: Session, job: Job) -> None:
    """The source of a move, when its copy is there."""
    if not job.source:
        os.unlink(job.entry.path)
        return
    if (job.source, job.entry.path) == (job.target, job.target_path):
        raise Failure("Source and target are the same object.")
    for _, outcome in session.remote(job.source).remove([job.entry]):
        if isinstance(outcome, Failure):
            raise outcome


def summary(session: Session, meter: Meter) -> None:
    """What was moved, as mc's last line."""
    if session.console.failed and not meter.transferred:
        return
    speed = meter.transferred / max(meter.seconds, 1e-9)
    message = {
        "total": meter.total, "transferred": meter.transferred,
        "duration": int(meter.seconds * 1e9), "speed": speed,
    }  # fmt: skip
    text = f"Total: {formats.size(meter.total)}, Transferred: {formats.size(meter.transferred)}"
    session.console.say(message, f"{text}, Speed: {formats.size(int(speed))}/s")
