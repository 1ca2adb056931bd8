"""The listening sockets of the mesh: one per worker slot, made by the supervisor before the fork and kept by it.

A call made while a worker is being replaced waits in its socket's backlog for the successor. The sockets live in
Linux's abstract namespace under a random name, and each side checks that the other runs as the same user
(SO_PEERCRED), so there is no file to guard and no secret to keep.
"""

from __future__ import annotations

import os
import secrets
import socket
import struct

BACKLOG = 256


def listen(workers: int) -> list[socket.socket]:
    """One listening socket per worker slot."""
    token = secrets.token_hex(16)
    sockets = []
    for slot in range(workers):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        sock.bind(f"\0sos-{token}-{slot}")
        sock.listen(BACKLOG)
        sock.setblocking(False)
        sockets.append(sock)
    return sockets


def connect(address: str) -> socket.socket:
    """A connection to an abstract name. Made here and not by the event loop: libuv cuts names at a NUL. Connecting to a
    listening unix socket does not wait for its owner, only for room in its backlog.

    :raises OSError: nobody listens, or the backlog is full
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        sock.setblocking(False)
        sock.connect(address)
    except OSError:
        sock.close()
        raise
    return sock


def same_user(sock: socket.socket) -> bool:
    """Whether the peer of a unix socket runs as our effective user."""
    raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _pid, uid, _gid = struct.unpack("3i", raw)
    return bool(uid == os.geteuid())
