"""``sos server`` as it is, with the toy in place of the store's workers. ``python -m tests.process.toy_serve ARGS``."""

from __future__ import annotations

import os
import sys

from sos.cli import flags
from sos.config.load import load
from sos.config.values import ConfigError
from sos.supervisor.serve import serve
from sos.worker.context import WorkerContext
from sos.worker.run import Tell, run

from .toy import Toy


async def start(context: WorkerContext) -> Toy:
    toy = Toy(context)
    await toy.start()
    return toy


def worker(context: WorkerContext, tell: Tell) -> int:
    return run(context, tell, start)


def main() -> int:
    given = flags.read(flags.parser("toy", ""), sys.argv[1:], os.environ)
    try:
        return serve(load(given, os.environ), lambda: load(given, os.environ), worker)
    except ConfigError as error:
        print(f"FATAL {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
