"""Files of this machine as a tree, and a folder that is written to without ever leaving it.

A name that came from a server is taken apart; each part must be a plain file name. The way down is opened part by part
relative to the one before, and none of them may be a symbolic link, so what a link would lead to is never touched, also
when it is put there meanwhile. A file is written under a name of its own and renamed when it is whole.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import BinaryIO

from .entries import Entry
from .errors import Failure, Missing
from .remote import Listing

NAME_BYTES_MAX = 255
DEPTH_MAX = 512
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Unsafe(Failure):
    """A name that would lead out of the folder, or that no file can have."""


class Skipped(Failure):
    """Something in a tree that is not read: a link that leads out of it, a pipe, a device."""


def safe_parts(key: str) -> list[str]:
    """The parts of a relative path. :raises Unsafe:"""
    parts = key.rstrip("/").split("/")
    if len(parts) > DEPTH_MAX:
        raise Unsafe("Its name has too many parts for a path.")
    for part in parts:
        if part in ("", ".", ".."):
            raise Unsafe(f"Its name has the part `{part}`; it could be written outside of the target folder.")
        if "\0" in part:
            raise Unsafe("Its name holds a NUL; no file can have it.")
        if len(os.fsencode(part)) > NAME_BYTES_MAX:
            raise Unsafe(f"Its name has a part of more than {NAME_BYTES_MAX} bytes; no file can have it.")
    return parts


@dataclass(frozen=True, slots=True)
class Draft:
    """A file being written. :param file: at its start"""

    file: BinaryIO


class Folder:
    """:param root: made when something is first written; itself it may be a link, since the user named it"""

    def __init__(self, root: str) -> None:
        self.root = root or "."

    @contextmanager
    def write(self, key: str) -> Iterator[Draft]:
        """The file appears under its name when the block ends well, and not at all when it does not.

        :raises Unsafe:
        """
        *above, name = safe_parts(key)
        with self._open(above) as handle:
            if _is_directory(name, handle):
                raise Failure(f"`{os.path.join(self.root, key)}` is a directory.")
            draft = f".sos-{secrets.token_hex(12)}.part"
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(draft, flags, 0o666, dir_fd=handle)
            try:
                with os.fdopen(descriptor, "w+b") as file:
                    yield Draft(file)
                os.rename(draft, name, src_dir_fd=handle, dst_dir_fd=handle)
            except BaseException:
                os.unlink(draft, dir_fd=handle)
                raise

    def make(self, key: str) -> None:
        """A directory. :raises Unsafe:"""
        with self._open(safe_parts(key)):
            pass

    def remove(self, key: str) -> None:
        """A file, and the directories that it leaves empty. :raises Unsafe:"""
        *above, name = safe_parts(key)
        with self._open(above) as handle:
            os.unlink(name, dir_fd=handle)
        while above:
            *higher, last = above
            with self._open(higher) as handle:
                try:
                    os.rmdir(last, dir_fd=handle)
                except OSError:
                    return
            above = higher

    @contextmanager
    def _open(self, parts: list[str]) -> Iterator[int]:
        """A directory below the root, made where it is missing."""
        os.makedirs(self.root, exist_ok=True)
        handle = os.open(self.root, _DIRECTORY)
        try:
            for part in parts:
                below = _enter(part, handle, self.root)
                os.close(handle)
                handle = below
            yield handle
        finally:
            os.close(handle)


def _enter(part: str, handle: int, root: str) -> int:
    with suppress(FileExistsError):
        os.mkdir(part, 0o777, dir_fd=handle)
    try:
        return os.open(part, _DIRECTORY | os.O_NOFOLLOW, dir_fd=handle)
    except OSError:
        found = os.stat(part, dir_fd=handle, follow_symlinks=False)
        if stat.S_ISLNK(found.st_mode):
            raise Unsafe(f"`{part}` below `{root}` is a symbolic link; it is not followed.") from None
        if not stat.S_ISDIR(found.st_mode):
            raise Failure(f"`{part}` below `{root}` is not a directory.") from None
        raise


def _is_directory(name: str, handle: int) -> bool:
    try:
        return stat.S_ISDIR(os.stat(name, dir_fd=handle, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False


class Local:
    """The file system. Methods raise ``errors.FAULTS``."""

    def stat(self, path: str, version_id: str = "") -> Entry:
        """:raises Missing:"""
        try:
            found = os.stat(path or ".")
        except (FileNotFoundError, NotADirectoryError):
            raise Missing(f"Requested path `{os.path.abspath(path)}` not found{_no_alias(path)}") from None
        if path.endswith("/") and not stat.S_ISDIR(found.st_mode):
            raise Missing(f"Requested path `{os.path.abspath(path)}` is not a directory")
        return _entry(path, found)

    def is_folder(self, path: str) -> bool:
        return os.path.isdir(path or ".")

    def walk(self, path: str, what: Listing) -> Iterator[Entry | Skipped]:
        """A file, or what a directory holds, in the order of the names as keys. Recursive: only files."""
        found = self.stat(path)
        if not found.folder:
            yield found
            return
        root = path if path.endswith("/") else f"{path}/"
        yield from self._below(root, what.recursive, os.path.realpath(root))

    def _below(self, directory: str, recursive: bool, top: str) -> Iterator[Entry | Skipped]:
        with os.scandir(directory) as listed:
            found = list(listed)
        # as keys: the slash behind a directory's name counts
        found.sort(key=lambda one: os.fsencode(one.name) + (b"/" if one.is_dir(follow_symlinks=False) else b""))
        for one in found:
            path = directory + one.name
            if one.is_dir(follow_symlinks=False):
                if recursive:
                    yield from self._below(f"{path}/", recursive, top)
                else:
                    yield _entry(path, one.stat())
            else:
                yield _leaf(path, one, top)


def _no_alias(path: str) -> str:
    """What was meant for a server comes here when its alias is not known."""
    name = path.partition("/")[0]
    return f"; there is no alias `{name}` either" if name.isalnum() and not os.path.exists(name) else ""


def _leaf(path: str, one: os.DirEntry[str], top: str) -> Entry | Skipped:
    try:
        if one.is_symlink() and not _inside(os.path.realpath(path), top):
            return Skipped(f"`{path}` is a symbolic link that leads out of `{top}`; it is not followed.")
        found = one.stat()
    except FileNotFoundError:
        return Skipped(f"`{path}` is a broken symbolic link, or was removed meanwhile.")
    if stat.S_ISREG(found.st_mode):
        return _entry(path, found)
    if stat.S_ISDIR(found.st_mode):
        return Skipped(f"`{path}` is a symbolic link to a directory; it is not followed.")
    return Skipped(f"`{path}` is not a regular file.")


def _inside(path: str, top: str) -> bool:
    return path.startswith(top.rstrip("/") + "/")


def _entry(path: str, found: os.stat_result) -> Entry:
    folder = stat.S_ISDIR(found.st_mode)
    return Entry(
        f"{path}/" if folder and path and not path.endswith("/") else path,
        found.st_size,
        datetime.fromtimestamp(found.st_mtime_ns / 1e9, UTC),
        folder=folder,
    )
