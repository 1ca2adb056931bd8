"""A worker process, from the fork to its end: event loop, heartbeat, signals.

States, in ``PULSE_STATE``: booting → serving → draining → gone; failed instead where ``start`` raised.
"""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import resource
import signal
import time
from collections.abc import Callable

from ..base.pages import PULSE_BEAT, PULSE_STATE, STATE_DRAINING, STATE_FAILED, STATE_SERVING
from ..base.rings import Ring
from ..config.values import ConfigError
from ..observe import logs
from .context import Running, Start, WorkerContext

log = logging.getLogger("sos.worker")

BEAT_S = 0.25
#: What a drain may take beyond its setting before the loop is left anyway.
DRAIN_GRACE_S = 2.0

#: Messages to the supervisor, the first byte of each.
SERVING, FAILED, RELOADED = b"\x01", b"\x02", b"\x03"

Tell = Callable[[bytes], None]


def main(context: WorkerContext, tell: Tell) -> int:
    """The worker of the product."""
    # here and not above: whoever needs the life cycle alone is spared nearly everything there is
    from .wiring import start

    return run(context, tell, start)


def run(context: WorkerContext, tell: Tell, start: Start) -> int:
    """Serve until told to stop; the exit code.

    :param tell: sends one message to the supervisor
    """
    import uvloop

    logs.setup(context.settings, f"worker {context.slot}")
    logs.keep(Ring(context.pages.board.log(context.slot)), f"worker {context.slot}")
    faulthandler.register(signal.SIGQUIT, all_threads=True, chain=False)
    _raise_open_files()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(context, tell, start))
    except Exception as error:  # outermost: the supervisor must hear why
        log.exception("worker failed")
        context.pages.set_pulse(context.slot, PULSE_STATE, STATE_FAILED)
        tell(FAILED + (str(error) or type(error).__name__).encode(errors="replace"))
        return 1
    return 0


async def _serve(context: WorkerContext, tell: Tell, start: Start) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    _beat(loop, context, os.getppid())
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    starting = asyncio.ensure_future(start(context))
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
        return
    running = starting.result()
    reloads: set[asyncio.Task[None]] = set()
    loop.add_signal_handler(signal.SIGHUP, lambda: reloads.add(loop.create_task(_reload(context, running, tell))))
    context.pages.set_pulse(context.slot, PULSE_STATE, STATE_SERVING)
    tell(SERVING)
    await stopping
    context.pages.set_pulse(context.slot, PULSE_STATE, STATE_DRAINING)
    await _drain(context, running)


async def _drain(context: WorkerContext, running: Running) -> None:
    timeout_s = context.settings.drain_timeout_s
    try:
        async with asyncio.timeout(timeout_s + DRAIN_GRACE_S):
            await running.drain(timeout_s)
    except TimeoutError:
        log.warning("requests were still under way after %g s", timeout_s)


async def _reload(context: WorkerContext, running: Running, tell: Tell) -> None:
    try:
        context.settings = context.load()
        logs.set_level(context.settings)
        await running.reload()
    except (ConfigError, OSError) as error:
        log.error("reload refused, the settings stay as they were: %s", error)
    tell(RELOADED)


def _beat(loop: asyncio.AbstractEventLoop, context: WorkerContext, parent: int) -> None:
    """Show that the loop turns. An orphan ends at once: another server may open its drives."""
    if os.getppid() != parent:
        os._exit(1)
    context.pages.set_pulse(context.slot, PULSE_BEAT, time.monotonic_ns())
    loop.call_later(BEAT_S, _beat, loop, context, parent)


def _raise_open_files() -> None:
    """Every connection and volume is a descriptor: take all that we may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
