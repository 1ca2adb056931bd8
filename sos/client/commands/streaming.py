"""``cat``, ``head`` and ``pipe``: objects and standard streams."""

from __future__ import annotations

import os
import select
import sys
from typing import Any

import click

from .. import attributes, crew
from ..command import command, flag, targets, value
from ..entries import Target
from ..errors import FAULTS, Failure, Missing, Stop
from ..fetch import CHUNK_BYTES
from ..groups import client
from ..meter import Meter
from ..session import Session
from ..transfer import Mover
from .copying import wishes

POLL_S = 0.2


@command(client, "cat")
@targets(required=False)
@value("--version-id", "--vid", text="One version.")
@click.option("--offset", type=click.IntRange(min=0), default=0, help="Begin at this byte.")
@click.option("--tail", type=click.IntRange(min=0), default=0, help="The last bytes, so many.")
@click.option("--part-number", type=click.IntRange(min=0), default=0, help="One part of an object.")
def cat(session: Session, targets: tuple[str, ...], version_id: str, offset: int, tail: int, part_number: int) -> None:
    """Write objects and files to standard output; `-` is standard input."""
    if offset and tail:
        raise Stop("You cannot specify both --tail and --offset.")
    for text in targets or ("-",):
        try:
            _cat(session, text, version_id, (offset, tail, part_number))
        except BrokenPipeError:
            raise
        except FAULTS as error:
            raise Stop(f"Unable to read from `{text}`.", error) from None


@command(client, "head")
@targets(required=False)
@value("--version-id", "--vid", text="One version.")
@click.option("-n", "--lines", type=click.IntRange(min=0), default=10, help="How many lines.")
def head(session: Session, targets: tuple[str, ...], version_id: str, lines: int) -> None:
    """Write the first lines of objects and files to standard output."""
    for text in targets or ("-",):
        try:
            with _opened(session, session.target(text), version_id, (0, 0, 0)) as stream:
                _lines(stream, lines)
        except BrokenPipeError:
            raise
        except FAULTS as error:
            raise Stop(f"Unable to read from `{text}`.", error) from None


def _lines(stream: _Stream, lines: int) -> None:
    while lines and (data := stream.read(CHUNK_BYTES)):
        parts = data.split(b"\n", lines)
        if len(parts) > lines:
            data = data[: len(data) - len(parts[-1])]
        lines -= len(parts) - 1
        sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def _cat(session: Session, text: str, version_id: str, part: tuple[int, int, int]) -> None:
    with _opened(session, session.target(text), version_id, part) as stream:
        while data := stream.read(CHUNK_BYTES):
            sys.stdout.buffer.write(data)
        stream.complete()
    sys.stdout.buffer.flush()


class _Stream:
    """An open file or answer. :param expected: bytes of the answer, -1 where nobody said"""

    def __init__(self, source: Any, expected: int = -1, answer: bool = False) -> None:
        self._source, self._expected, self._got, self._answer = source, expected, 0, answer

    def read(self, size: int) -> bytes:
        data: bytes = self._source.read(size, decode_content=False) if self._answer else self._source.read(size)
        self._got += len(data)
        return data

    def complete(self) -> None:
        """:raises Failure: fewer bytes than the server said"""
        if self._expected >= 0 and self._got != self._expected:
            raise Failure(f"{self._expected} bytes were announced, {self._got} arrived.")

    def __enter__(self) -> _Stream:
        return self

    def __exit__(self, *_: object) -> None:
        if self._source is not sys.stdin.buffer:
            self._source.close()


def _opened(session: Session, target: Target, version_id: str, part: tuple[int, int, int]) -> _Stream:
    """:param part: offset, tail, number of the part"""
    offset, tail, number = part
    if target.text == "-":
        return _Stream(sys.stdin.buffer)
    if not target.alias:
        if session.local.stat(target.path).folder:
            raise Failure("It is a folder.")
        file = open(target.path, "rb")  # noqa: SIM115
        file.seek(max(os.fstat(file.fileno()).st_size - tail, 0) if tail else offset)
        return _Stream(file)
    if not target.key:
        raise Missing("Object name cannot be empty.")
    query: Any = {"partNumber": str(number)} if number else None
    headers: Any = {"Range": f"bytes=-{tail}"} if tail else None
    found = session.remote(target.alias).s3.get_object(
        target.bucket, target.key, offset, 0, headers, version_id=version_id or None, extra_query_params=query
    )
    return _Stream(found, int(found.headers.get("Content-Length", -1)), answer=True)


@command(client, "pipe")
@click.argument("target", default="")
@value("--storage-class", "--sc", text="Storage class of the object.")
@value("--attr", text="Attributes of the object: key1=value1;key2=value2.")
@value("--tags", text="Tags of the object: key1=value1&key2=value2.")
@flag("--disable-multipart", text="Taken for mc's sake; a stream is sent in parts when it is long.", hidden=True)
def pipe(session: Session, target: str, storage_class: str, attr: str, tags: str, disable_multipart: bool) -> None:
    """Make an object of standard input."""
    if not target:
        _cat(session, "-", "", (0, 0, 0))
        return
    where = session.target(target)
    asked = wishes(attr, tags, storage_class, False, False)
    with session.meter() as meter:
        mover = Mover(session.remote, asked, meter)

        def do(one: Target) -> None:
            if not one.alias:
                raise Failure(f"No such alias `{target.partition('/')[0]}`; standard input goes to a server.")
            headers = {"Content-Type": attributes.content_type(one.path)}
            mover.put(one.alias, one.path, _Input(meter), -1, headers)

        def done(one: Target, error: Exception | None) -> None:
            if error is not None:
                raise Stop(f"Unable to write to `{target}`.", error)

        # beside this thread, so that an interruption finds it and the upload is given up
        crew.work([where], do, done, meter)
    message = {"target": target, "size": meter.transferred}
    session.console.say(message, f"{meter.transferred} bytes -> `{target}`")


class _Input:
    """Standard input, asked in such a way that a wait for it can be given up."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    def read(self, size: int) -> bytes:
        """What is there, at most so much; nothing at the end."""
        while not select.select([0], [], [], POLL_S)[0]:
            self._meter.check()
        return os.read(0, size)
