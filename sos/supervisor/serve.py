"""``sos server``: from settings to a running server."""

from __future__ import annotations

import gc
import importlib
import logging
import os
from collections import Counter
from collections.abc import Callable, Sequence

from .. import __version__
from ..base.pages import Pages
from ..base.rings import Ring
from ..config.address import api_address, parse_address
from ..config.load import Loaded
from ..config.settings import Settings
from ..mesh.sockets import listen as listen_mesh
from ..observe import logs
from ..placement.ellipses import Layout, layout
from ..placement.parity import Parities, parities
from ..worker.run import main
from ..worker.tls import Certificates, has_certificates
from .banner import Facts, banner
from .boot import BootFailed
from .drives import Prepared, prepare
from .forks import Forks, WorkerMain
from .locks import DriveLocks
from .notify import Notifier
from .probe import bad_drives
from .sockets import listen
from .supervisor import Hooks, Limits, Supervisor
from .suspects import Suspects

log = logging.getLogger("sos.supervisor")

#: All that a worker imports but Sanic.
PRELOADED = ("uvloop", "sos.worker.wiring")


def serve(loaded: Loaded, load: Callable[[], Loaded], worker_main: WorkerMain = main) -> int:
    """Serve until told to stop; the exit code.

    :param load: resolves all settings again, for a reload
    :raises ConfigError, LayoutError, ParityError: before anything was touched
    """
    settings = loaded.settings
    logs.setup(settings, "supervisor")
    drives = layout(settings.volumes, settings.set_drive_count)
    classes = [
        parities(pool.set_size, settings.storage_class_standard, settings.storage_class_rrs) for pool in drives.pools
    ]
    secure = has_certificates(settings.certs_dir)
    if secure:
        # before anything is touched: a bad certificate is told here, not by every worker
        Certificates(settings.certs_dir)
    address, warning = api_address(settings)
    workers = settings.workers or len(os.sched_getaffinity(0))
    # before the drives are formed: a server that cannot listen must not have formatted anything
    api = listen(address, workers)
    try:
        prepared, locks = prepare(drives, settings.root_user, settings.root_password, _preload)
    except BootFailed as error:
        log.critical("%s", error)
        return 1
    port = api[0][0].getsockname()[1]
    facts = Facts(
        version=__version__,
        api=address._replace(port=port),
        console=parse_address(settings.console_address, "console address"),
        secure=secure,
        user=settings.root_user,
        workers=workers,
        pools=len(drives.pools),
        sets=[(pool.set_size, classes[i].standard) for i, pool in enumerate(drives.pools) for _ in pool.sets],
        offline=[f"{path}: {why}" for path, why in prepared.formation.unreachable.items()],
        warnings=[w for w in (warning, *loaded.warnings, *_warnings(drives, classes, prepared)) if w],
    )
    sets = [one for pool in prepared.formation.layout for one in pool]
    pages = Pages(workers, len(sets))
    held = DriveLocks(pages, sets, locks)
    forks = Forks(settings, pages, prepared, held, api, listen_mesh(workers), lambda: load().settings, worker_main)
    return _supervise(forks, sets, facts)


def _supervise(forks: Forks, sets: Sequence[Sequence[str]], facts: Facts) -> int:
    settings, pages, workers = forks.settings, forks.pages, len(forks.api)
    logs.keep(Ring(pages.board.log(workers)), "supervisor")
    hooks = Hooks(
        worker=forks.run,
        suspect=Suspects(pages, sets, bad_drives).suspect,
        look=forks.locks.look,
        check=forks.load,
        ready=lambda: _announce(settings, facts),
        stopping=forks.stop_listening,
    )
    limits = Limits(silence_s=settings.silence_s, drain_s=settings.drain_timeout_s)
    return Supervisor(workers, pages, hooks, limits, Notifier(os.environ)).run()


def _announce(settings: Settings, facts: Facts) -> None:
    if settings.quiet or settings.log_json:
        for warning in facts.warnings:
            log.warning("%s", warning)
    else:
        print(banner(facts), flush=True)


def _warnings(drives: Layout, classes: Sequence[Parities], prepared: Prepared) -> list[str]:
    """What the operator should know about the drives."""
    found = list(prepared.formation.messages)
    for pool, parity in zip(drives.pools, classes, strict=True):
        if parity.standard == 0:
            found.append(f"{pool.argument}: no parity, one lost drive loses data")
    shared = Counter(prepared.devices.values())
    together = [path for path, device in prepared.devices.items() if shared[device] > 1]
    if together:
        found.append(f"{len(together)} drives share one device and would fail together: {', '.join(together)}")
    return found


def _preload() -> None:
    """Import before the fork what workers share, so that a new one is up sooner and costs less memory: no thread, no loop
    and no drive comes with it. Sanic stays out of this process. Done while the drives are looked at.
    """
    # imports make much and drop little: looking for garbage meanwhile takes a sixth of the time
    gc.disable()
    for name in PRELOADED:
        importlib.import_module(name)
    gc.enable()
    # what exists now lives as long as the workers: keep their collections from touching, and so copying, its pages
    gc.freeze()
