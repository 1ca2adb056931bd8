"""Listening sockets: one per worker slot and address, made once and kept by the supervisor.

The kernel spreads connections over the sockets of one port (SO_REUSEPORT). Since the supervisor keeps each socket, a
connection that was queued for a worker that died waits for its successor.
"""

from __future__ import annotations

import errno
import socket

from ..config.address import Address, resolve
from ..config.values import ConfigError

BACKLOG = 1024


def listen(address: Address, slots: int) -> list[list[socket.socket]]:
    """For each slot its listening sockets, one for each address the host stands for.

    :raises ConfigError: the address is taken, or is not of this machine
    """
    made: list[list[socket.socket]] = [[] for _ in range(slots)]
    port = address.port
    _refuse_taken(address)
    for host in _hosts(address.host):
        for slot in range(slots):
            sock = _one(host, port, address)
            # with port 0 the kernel chooses for the first socket, the others follow
            port = sock.getsockname()[1]
            made[slot].append(sock)
    return made


def _hosts(host: str) -> list[str]:
    if host:
        return resolve(host)
    return ["::"] if socket.has_dualstack_ipv6() else ["0.0.0.0"]


def _one(host: str, port: int, address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            # "::" also takes IPv4; any other IPv6 address stands for itself
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(host != "::"))
        sock.bind((host, port))
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise _explain(error, address) from None
    return sock


def _refuse_taken(address: Address) -> None:
    """SO_REUSEPORT lets a second server of the same user share the port in silence: look first, without it."""
    if address.port == 0:
        return
    for host in _hosts(address.host):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(host != "::"))
            try:
                probe.bind((host, address.port))
            except OSError as error:
                raise _explain(error, address) from None


def _explain(error: OSError, address: Address) -> ConfigError:
    if error.errno == errno.EADDRINUSE:
        return ConfigError(f"address {address} is in use: another server runs there, or choose another with --address")
    if error.errno == errno.EACCES:
        return ConfigError(f"address {address}: ports below 1024 need a privilege, choose a higher one")
    return ConfigError(f"cannot listen on {address}: {error.strerror}")
