"""Sanic as the life-cycle shell of a worker: the only importer of sanic.

Sanic listens, speaks TLS and runs the listeners of its life cycle. Its HTTP parser, router, request and response are
not used: they change the path, drop ``?acl``, answer some errors in plain text, cancel a handler in the middle of a
commit, and cost several times the CPU of :class:`~sos.http.connection.Connection`, which takes their place as the
protocol of accepted connections.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
from collections.abc import Sequence
from concurrent.futures import Executor
from functools import partial
from ssl import SSLContext
from types import SimpleNamespace
from typing import Any

from sanic import Sanic
from sanic.config import Config
from sanic.response import HTTPResponse, empty

from .connection import Connection
from .forwarded import Proxies
from .limits import Limits
from .message import Handler
from .refusals import RenderError, render_plain_error
from .reply_head import SERVER_HEADERS
from .shell import Shell

BACKLOG = 1024

_numbers = itertools.count()


class App(Sanic[Config, SimpleNamespace]):
    """A Sanic application whose connections hand every request to one :data:`~sos.http.message.Handler`.

    ``ctx.make_shell(loop)`` makes what the connections of one listening socket share.
    """


def make_app(
    handler: Handler,
    put_pool: Executor,
    get_pool: Executor,
    headers: Sequence[tuple[str, str]] = SERVER_HEADERS,
    limits: Limits | None = None,
    render_error: RenderError = render_plain_error,
    proxies: Proxies | None = None,
) -> App:
    """An application for one listening socket. Call it after the fork.

    :param put_pool: threads that receive and hash bodies, 8–10 per worker
    :param get_pool: threads that verify and send replies, 2 per core; not the same pool: uploads would hold its threads
    :param headers: what every reply carries (``server_headers`` in :mod:`.reply_head`)
    :param render_error: renders what the shell itself refuses
    :param proxies: reverse proxies in front, whose word about a request's origin counts
    """
    # Sanic keeps a registry of names; its settings come from us, not from SANIC_* variables
    config = Config(env_prefix=None)
    app = App(f"sos-{os.getpid()}-{next(_numbers)}", config=config, configure_logging=False)
    app.config.TOUCHUP = False
    app.add_route(_unreached, "/")  # it refuses to start without a route
    app.ctx.make_shell = partial(
        Shell,
        handler=handler,
        put_pool=put_pool,
        get_pool=get_pool,
        headers=headers,
        limits=limits or Limits(),
        render_error=render_error,
        proxies=proxies,
    )
    return app


async def _unreached(_: object) -> HTTPResponse:
    return empty()


class Server:
    """A listening socket being served."""

    def __init__(self, shell: Shell, server: Any) -> None:
        self.shell = shell
        self._server = server

    @property
    def connections(self) -> int:
        """Open connections."""
        return len(self.shell.connections)

    async def drain(self, timeout_s: float) -> int:
        """Stop accepting, let requests under way end, close idle connections; after ``timeout_s`` seconds cut the rest.

        Connections that the kernel has queued stay with the socket, which the supervisor keeps for the successor.

        :returns: the number of connections cut
        """
        self._server.server.close()
        await asyncio.sleep(0)  # requests that have arrived already are read before their connection counts as idle
        cut = await self.shell.drain(timeout_s)
        await self._server.before_stop()
        await self._server.after_stop()
        return cut


async def serve(app: App, sock: socket.socket, ssl: SSLContext | None = None, backlog: int = BACKLOG) -> Server:
    """Serve a bound socket on the running loop. One call per application.

    ``sock`` is duplicated: the caller's (the supervisor's) stays open when the server closes.
    """
    loop = asyncio.get_running_loop()
    shell: Shell = app.ctx.make_shell(loop)
    server: Any = await app.create_server(
        sock=sock.dup(),
        ssl=ssl,
        backlog=backlog,
        protocol=_Listener(shell),  # type: ignore[arg-type]
        access_log=False,
        asyncio_server_kwargs={"start_serving": False},
    )
    await server.startup()
    await server.before_start()
    await server.after_start()
    await server.start_serving()
    return Server(shell, server)


class _Listener:
    """Makes the protocol of an accepted connection; Sanic passes many things that ours does not need."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    def __call__(self, **_: object) -> Connection:
        return Connection(self._shell)
