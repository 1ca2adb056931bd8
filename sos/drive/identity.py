"""Who a drive is: ``.sos/format.json``, FORMAT.md §2."""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, fields

import xxhash

from ..domain.errors import DriveFault
from . import layout
from .faults import fault_of

VERSION = 1
KEY_BYTES = 32


class IdentityDamaged(DriveFault):
    """``format.json`` is there and cannot be believed."""


class IdentityNewer(DriveFault):
    """``format.json`` was written by a later release."""


class DriveLocked(DriveFault):
    """Another server uses the drive."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A drive's place in a deployment.

    :param deployment: UUID of the deployment
    :param drive: UUID of the drive
    :param pool: number of the pool
    :param set: number of the set in its pool
    :param position: number of the drive in its set
    :param pools: pools of the deployment when this was written
    :param sets: sets of the pool
    :param drives: drives of a set
    :param key: 32 bytes, the deployment's key of the block digests
    :param index_map_bytes: size of the index mapping, fixed for the drive's life
    :param forming: the pool is being formed: it exists once no drive says so
    """

    deployment: str
    drive: str
    pool: int
    set: int
    position: int
    pools: int
    sets: int
    drives: int
    key: bytes
    index_map_bytes: int = 0
    forming: bool = False

    @property
    def slot(self) -> tuple[int, int, int]:
        """Pool, set, position."""
        return self.pool, self.set, self.position


def encode(identity: Identity) -> bytes:
    """The text of ``format.json``."""
    body: dict[str, object] = {"version": VERSION, **asdict(identity), "key": identity.key.hex()}
    return json.dumps({**body, "check": _check(body)}, indent=1).encode() + b"\n"


def _check(body: dict[str, object]) -> str:
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return xxhash.xxh3_64_hexdigest(text.encode())


def decode(text: bytes, path: str) -> Identity:
    """The identity in the text of ``format.json``.

    :param path: the drive, for messages
    :raises IdentityDamaged, IdentityNewer:
    """
    try:
        body = json.loads(text)
        version, check = body.pop("version"), body.pop("check")
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise IdentityDamaged(f"{path}: format.json is damaged: {error}", path=path) from error
    if isinstance(version, int) and version > VERSION:
        text_ = f"{path}: format.json has version {version}, this release reads up to {VERSION}"
        raise IdentityNewer(text_, path=path)
    if version != VERSION or check != _check({"version": version, **body}):
        raise IdentityDamaged(f"{path}: format.json is damaged: its check does not match", path=path)
    return _identity(body, path)


def _identity(body: dict[str, object], path: str) -> Identity:
    names = {field.name for field in fields(Identity)}
    if body.keys() != names:
        raise IdentityDamaged(f"{path}: format.json has other fields: {sorted(body.keys() ^ names)}", path=path)
    key = bytes.fromhex(str(body.pop("key")))
    return Identity(key=key, **body)  # type: ignore[arg-type]


def read_identity(path: str) -> Identity | None:
    """The identity of the drive at ``path``; None on a blank one.

    :raises IdentityDamaged, IdentityNewer:
    :raises DriveFault: the directory is missing or the device fails
    """
    root = os.path.join(path, layout.ROOT)
    try:
        os.stat(path)
        with open(os.path.join(root, layout.IDENTITY), "rb") as file:
            text = file.read()
    except FileNotFoundError as error:
        if error.filename == path:
            raise fault_of(error, "open", path) from error
        if _has_volumes(os.path.join(root, layout.VOLUMES)):
            raise IdentityDamaged(f"{path}: holds volumes but no format.json", path=path) from error
        return None
    except OSError as error:
        raise fault_of(error, "read format.json", path) from error
    return decode(text, path)


def _has_volumes(directory: str) -> bool:
    try:
        return bool(os.listdir(directory))
    except FileNotFoundError:
        return False


def write_identity(path: str, identity: Identity) -> None:
    """Replace ``format.json`` atomically and durably.

    :raises DriveFault: the device failed
    """
    root = os.path.join(path, layout.ROOT)
    new = os.path.join(root, layout.IDENTITY_NEW)
    try:
        with open(new, "wb", opener=_private) as file:
            file.write(encode(identity))
            file.flush()
            os.fsync(file.fileno())
        os.rename(new, os.path.join(root, layout.IDENTITY))
        sync_directory(root)
    except OSError as error:
        raise fault_of(error, "write format.json", path) from error


def _private(path: str, flags: int) -> int:
    """The file holds the key of the digests."""
    return os.open(path, flags, 0o600)


def sync_directory(path: str) -> None:
    """fsync of a directory: names in it survive a power cut afterwards.

    :raises OSError:
    """
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_ancestors(path: str) -> None:
    """fsync of the directories that lead to ``path``, up to the root of its file system: those that were made for it
    survive a power cut, and with them all that is below.

    :raises OSError:
    """
    path = os.path.abspath(path)
    device = os.stat(path).st_dev
    while (above := os.path.dirname(path)) != path and os.stat(above).st_dev == device:
        # one that may be passed through but not read was not made here
        with suppress(PermissionError):
            sync_directory(above)
        path = above


def lock_drive(path: str) -> int:
    """Take the drive for this server and the processes it forks; the descriptor that holds the lock.

    The lock is gone when the last of them has closed the descriptor or died, never before.

    :raises DriveLocked: another server has it
    :raises DriveFault: the device failed
    """
    root = os.path.join(path, layout.ROOT)
    fd = -1
    try:
        os.makedirs(root, mode=0o700, exist_ok=True)
        fd = os.open(os.path.join(root, layout.LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if fd >= 0:
            os.close(fd)
        if isinstance(error, BlockingIOError):
            raise DriveLocked(f"{path}: another server uses this drive", path=path) from error
        raise fault_of(error, "lock", path) from error
    return fd
