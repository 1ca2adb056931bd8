"""The anonymous health paths that load balancers and ``mc ready`` ask. Statuses and headers are MinIO's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ..http.message import Reply, Request

PREFIX = b"/minio/health/"
STATUS = "x-minio-server-status"
DEFAULTS = "x-minio-storage-class-defaults"


@dataclass(frozen=True, slots=True)
class ClusterHealth:
    """Whether the sets can be read and written.

    :param writable: every set has its write quorum
    :param readable: every set has its read quorum
    :param spare: every set would still be writable without this node's drives
    :param write_quorum: drives needed to write, of the set that needs most
    :param healing_drives: drives being rebuilt
    :param defaults: the storage classes are the default ones
    """

    writable: bool
    readable: bool
    spare: bool
    write_quorum: int
    read_quorum: int
    healing_drives: int = 0
    defaults: bool = True


class Health(Protocol):
    """What the paths report; cheap, never blocking."""

    def status(self) -> str:
        """Empty when serving, else ``offline``, ``bucket-metadata-offline`` or ``iam-offline``."""

    def cluster(self) -> ClusterHealth:
        """The state of the sets."""


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _live(request: Request, health: Health) -> Reply:
    """200 for as long as the process answers; the header tells whether it serves."""
    status = health.status()
    return Reply(200, [(STATUS, status)] if status else [])


def _ready(request: Request, health: Health) -> Reply:
    return _not_serving(health) or Reply(200)


def _not_serving(health: Health) -> Reply | None:
    """The reply of a server that does not serve; None of one that does."""
    status = health.status()
    return Reply(503, [(STATUS, status), ("Retry-After", "60")]) if status else None


def _cluster(request: Request, health: Health) -> Reply:
    if (refused := _not_serving(health)) is not None:
        return refused
    state = health.cluster()
    headers = [("x-minio-write-quorum", str(state.write_quorum)), (DEFAULTS, _flag(state.defaults))]
    if state.healing_drives:
        headers.append(("x-minio-healing-drives", str(state.healing_drives)))
    if b"maintenance=true" in request.query.split(b"&"):
        return Reply(200 if state.spare else 412, headers)
    return Reply(200 if state.writable else 503, headers)


def _cluster_read(request: Request, health: Health) -> Reply:
    if (refused := _not_serving(health)) is not None:
        return refused
    state = health.cluster()
    headers = [("x-minio-read-quorum", str(state.read_quorum)), (DEFAULTS, _flag(state.defaults))]
    return Reply(200 if state.readable else 503, headers)


PATHS: dict[bytes, Callable[[Request, Health], Reply]] = {
    b"live": _live,
    b"ready": _ready,
    b"cluster": _cluster,
    b"cluster/read": _cluster_read,
}


def answer(request: Request, health: Health) -> Reply | None:
    """The reply to a health path, None for any other path or method."""
    if request.method not in ("GET", "HEAD"):
        return None
    check = PATHS.get(request.path.removeprefix(PREFIX))
    return check(request, health) if check is not None else None
