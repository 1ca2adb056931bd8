"""``du``."""

from __future__ import annotations

from collections.abc import Iterator

import click

from .. import formats
from ..command import command, flag, targets, value
from ..entries import Entry, Target
from ..errors import FAULTS, Stop
from ..groups import client
from ..remote import Listing
from ..session import Session
from .listing import entries, moment, rewound


@command(client, "du")
@targets()
@click.option("-d", "--depth", type=int, default=0, help="Totals of folders so many levels down.")
@flag("-r", "--recursive", text="Totals of all folders.")
@flag("--versions", text="Count every version.")
@value("--rewind", text="As it was at a time, or so long ago.")
def du(session: Session, targets: tuple[str, ...], depth: int, recursive: bool, versions: bool, rewind: str) -> None:
    """Sum up the sizes of what is below."""
    at = moment(rewind)
    levels = depth if depth > 0 else -1 if recursive else 1
    for text in targets:
        target = session.target(text)
        try:
            folder = _folder(session, target)
            listed = entries(session, folder, Listing(True, versions or at is not None))
            found = rewound(listed, at) if not versions else (one for one in listed if not one.delete_marker)
            for path, size, objects in _totals(folder.path, found, levels):
                _line(session, folder, path, size, objects, versions)
        except FAULTS as error:
            session.console.fail(f"Failed to find disk usage of `{text}` recursively.", error)


def _folder(session: Session, target: Target) -> Target:
    """:raises Stop: something else"""
    if target.alias and not target.path:
        return target
    if target.alias and target.path.rstrip("/") == target.bucket:
        session.remote(target.alias).require_bucket(target.bucket)
    elif not session.place(target).is_folder(target.path):
        raise Stop(f"Source `{target.text}` is not a folder. Only folders are supported by 'du' command.")
    return Target(target.text, target.alias, f"{target.path.rstrip('/')}/")


def _totals(root: str, found: Iterator[Entry], levels: int) -> Iterator[tuple[str, int, int]]:
    """Path, bytes and objects of each folder, inner ones first. The entries come sorted, so a folder that was left is done.

    :param levels: how many are told, the root included; -1 = all
    """
    open_folders: list[tuple[str, int, int]] = [("", 0, 0)]
    for entry in found:
        name = entry.path.removeprefix(root)
        while not name.startswith(open_folders[-1][0]):
            yield from _close(open_folders, levels)
        for part in name[len(open_folders[-1][0]) :].split("/")[:-1]:
            open_folders.append((f"{open_folders[-1][0]}{part}/", 0, 0))
        path, size, objects = open_folders[-1]
        open_folders[-1] = (path, size + entry.size, objects + 1)
    while len(open_folders) > 1:
        yield from _close(open_folders, levels)
    yield open_folders[0]


def _close(folders: list[tuple[str, int, int]], levels: int) -> Iterator[tuple[str, int, int]]:
    path, size, objects = folders.pop()
    above, more, others = folders[-1]
    folders[-1] = (above, more + size, others + objects)
    if levels < 0 or len(folders) < levels:
        yield path, size, objects


def _line(session: Session, folder: Target, path: str, size: int, objects: int, versions: bool) -> None:
    prefix = (folder.path + path).strip("/")
    message = {"prefix": prefix, "size": size, "objects": objects, "isVersions": versions}
    noun = "version" if versions else "object"
    text = f"{formats.size(size, '')}\t{objects} {noun}{'' if objects == 1 else 's'}\t{prefix}"
    session.console.say(message, text)
