"""``find``, ``tree`` and ``share download``."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from fnmatch import fnmatchcase

import click

from .. import formats
from ..command import command, flag, targets, value
from ..command import group as family
from ..entries import Entry, Target
from ..errors import FAULTS, Failure, Stop
from ..groups import client
from ..remote import Listing
from ..session import Session
from .copying import ages
from .listing import as_folder, entries

_LINK_LIFE = timedelta(days=7)
Test = Callable[[str, Entry], bool]


@command(client, "find")
@targets(required=False)
@value("--name", text="Names that match: *.jpg.")
@value("--path", text="Paths that match: */album*/*.")
@value("--regex", text="Paths in which the pattern is found.")
@value("--ignore", text="Not the paths that match.")
@value("--larger", text="Larger than: 64MiB.")
@value("--smaller", text="Smaller than: 1GB.")
@value("--older-than", text="Older than: 7d10h.")
@value("--newer-than", text="Newer than: 7d10h.")
@click.option("--maxdepth", type=click.IntRange(min=0), default=0, help="So many levels down.")
@flag("--versions", text="Every version.")
@value("--print", "form", text="Print in a form of {} {base} {dir} {size} {time} {url} {version}.")
@value("--exec", "program", text="Run a program for each, with the same substitutions.")
def find(
    session: Session, targets: tuple[str, ...], name: str, path: str, regex: str, ignore: str, larger: str, smaller: str,
    older_than: str, newer_than: str, maxdepth: int, versions: bool, form: str, program: str,
) -> None:  # fmt: skip
    """Find objects and files."""
    tests = _tests(name, path, regex, ignore, larger, smaller)
    limits = ages(older_than, newer_than)
    for text in targets or ("./",):
        try:
            target = as_folder(session, session.target(text))
            for entry in _shallow(target, entries(session, target, Listing(True, versions)), maxdepth):
                relative = entry.path.removeprefix(target.path)
                if limits.admit(entry) and all(test(relative, entry) for test in tests):
                    _found(session, target, entry, form, program)
        except FAULTS as error:
            raise Stop(f"Unable to find in `{text}`.", error) from None


def _tests(name: str, path: str, regex: str, ignore: str, larger: str, smaller: str) -> list[Test]:
    """:raises Stop: a size or pattern that is none"""
    tests: list[Test] = []
    if name:
        # mc's rule: the last part matches the pattern, or any part is it
        tests.append(lambda at, one: fnmatchcase(at.rpartition("/")[2], name) or name in at.split("/"))
    if path:
        tests.append(lambda at, one: fnmatchcase(at, path))
    if ignore:
        tests.append(lambda at, one: not fnmatchcase(at, ignore))
    try:
        if regex:
            pattern = re.compile(regex)
            tests.append(lambda at, one: pattern.search(at) is not None)
        if larger:
            least = formats.read_size(larger)
            tests.append(lambda at, one: one.size > least)
        if smaller:
            most = formats.read_size(smaller)
            tests.append(lambda at, one: one.size < most)
    except (ValueError, re.error) as error:
        raise Stop("Unable to parse the arguments.", Failure(str(error))) from None
    return tests


def _shallow(target: Target, found: Iterator[Entry], depth: int) -> Iterator[Entry]:
    """What is deeper than so many levels is shown as its folder, once."""
    last = ""
    for one in found:
        parts = one.path.removeprefix(target.path).split("/")
        if not depth or len(parts) <= depth:
            yield one
        elif (folder := target.path + "/".join(parts[:depth]) + "/") != last:
            last = folder
            yield replace(one, path=folder, size=0, etag="", folder=True)


def _found(session: Session, target: Target, entry: Entry, form: str, program: str) -> None:
    if program:
        _execute(session, target, entry, program)
        return
    key = _filled(session, target, entry, form) if form else target.named(entry.path)
    message = {
        "type": "folder" if entry.folder else "file", "lastModified": formats.moment(entry.modified),
        "size": entry.size, "key": key, "etag": entry.etag,
        **({"versionId": entry.version_id} if entry.version_id else {}),
    }  # fmt: skip
    session.console.say(message, key + (f" ({entry.version_id})" if entry.version_id and not form else ""))


def _execute(session: Session, target: Target, entry: Entry, program: str) -> None:
    """Never through a shell: a name cannot become a command.

    :raises Stop: a program that cannot be run; one that fails ends the search with its code
    """
    try:
        words = [_filled(session, target, entry, word) for word in shlex.split(program)]
        done = subprocess.run(words, stdout=subprocess.PIPE, check=False)
    except (ValueError, OSError) as error:
        raise Stop("Unable to run --exec.", error) from None
    sys.stdout.buffer.write(done.stdout)
    sys.stdout.buffer.flush()
    if done.returncode:
        session.console.fail(f"`{words[0]}` ended with {done.returncode}.")
        raise click.exceptions.Exit(done.returncode if done.returncode > 0 else 1)


def _filled(session: Session, target: Target, entry: Entry, form: str) -> str:
    """Each place once: what a name brings in is not filled again."""
    shown = target.named(entry.path)
    above, _, base = shown.rpartition("/")

    def fill(found: re.Match[str]) -> str:
        values: dict[str, Callable[[], str]] = {
            "": lambda: shown,
            "base": lambda: base,
            "dir": lambda: above or ".",
            "size": lambda: formats.size(entry.size),
            "time": lambda: formats.short_moment(entry.modified),
            "version": lambda: entry.version_id,
            "url": lambda: link(session, target.alias, entry, _LINK_LIFE),
        }
        value = values[found[2] if found[1] is None else found[1]]()
        return json.dumps(value) if found[0].startswith('{"') else value

    return re.sub(r'\{(?:"(base|dir|size|time|version|url|)"|(base|dir|size|time|version|url|))\}', fill, form)


def link(session: Session, alias: str, entry: Entry, life: timedelta) -> str:
    """A URL by which anybody may read the object for a while."""
    if not alias:
        return ""
    bucket, _, key = entry.path.partition("/")
    return session.remote(alias).s3.presigned_get_object(bucket, key, life, version_id=entry.version_id or None)


@family(client, "share")
def share() -> None:
    """Links by which objects can be read without credentials."""


@command(share, "download")
@targets()
@value("-E", "--expire", default="168h", text="For how long: 168h at most.")
@value("--version-id", "--vid", text="One version.")
def download(session: Session, targets: tuple[str, ...], expire: str, version_id: str) -> None:
    """Make links to read objects."""
    for text in targets:
        target = session.remote_target(text)
        try:
            life = formats.read_duration(expire)
            if not timedelta(seconds=1) <= life <= _LINK_LIFE:
                raise Failure("A link lives between one second and seven days.")
            entry = session.remote(target.alias).stat(target.path, version_id)
            if entry.folder:
                raise Failure("It is a folder.")
            shown = link(session, target.alias, replace(entry, version_id=version_id), life)
        except FAULTS as error:
            raise Stop(f"Unable to share `{text}`.", error) from None
        url = f"{session.url(target.alias)}/{target.path}"
        message = {"url": url, "share": shown, "timeLeft": int(life.total_seconds() * 1e9)}
        session.console.say(message, f"URL: {url}\nExpire: {formats.span(life.total_seconds())}\nShare: {shown}\n")


@command(client, "tree")
@targets(required=False)
@flag("-f", "--files", text="Files too.")
def tree(session: Session, targets: tuple[str, ...], files: bool) -> None:
    """Show folders as a tree."""
    for text in targets or (".",):
        try:
            target = as_folder(session, session.target(text))
            if not session.console.as_json:
                session.console.raw({}, text)
            _branch(session, target, target.path, files, "")
        except FAULTS as error:
            raise Stop(f"Unable to list `{text}`.", error) from None


def _branch(session: Session, target: Target, path: str, files: bool, indent: str) -> None:
    below = entries(session, replace(target, path=path), Listing())
    shown = sorted((one for one in below if one.folder or files), key=lambda one: one.path)
    for number, one in enumerate(shown, 1):
        last = number == len(shown)
        name = one.path.removeprefix(path).rstrip("/")
        message = {"type": "folder" if one.folder else "file", "key": target.named(one.path), "size": one.size}
        session.console.say(message, f"{indent}{'└─' if last else '├─'} {name}")
        if one.folder:
            _branch(session, target, one.path, files, indent + ("   " if last else "│  "))
