"""The tree of commands, and how a call of it ends."""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import FrameType

import click

from .commands import TREE
from .errors import FAULTS, Cancelled, Stop
from .session import Session

INTERRUPTED = 130


def run(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """``sos client …``. Exit codes: 0 done, 1 refused, failed or wrong arguments, 130 interrupted."""
    session = Session(environ)
    # not in the main thread: then no signal comes here either
    with suppress(ValueError):
        signal.signal(signal.SIGTERM, _terminate)
    try:
        code = TREE.main(list(argv), "sos client", standalone_mode=False, obj=session)
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as wrong:
        return _wrong(wrong)
    except (KeyboardInterrupt, click.Abort, Cancelled):
        session.console.fail("Interrupted.")
        return INTERRUPTED
    except Stop as stop:
        session.console.stop(stop)
        return 1
    except FAULTS as fault:
        if isinstance(fault, BrokenPipeError):
            raise
        session.console.fail("", fault, fatal=True)
        return 1
    return int(code or 0) or (1 if session.console.failed else 0)


def _wrong(wrong: click.ClickException) -> int:
    """mc ends with 1 on wrong arguments too."""
    context = getattr(wrong, "ctx", None)
    print(f"sos client: <ERROR> {wrong.format_message()}", file=sys.stderr)
    if context is not None:
        print(context.get_usage(), file=sys.stderr)
    return 1


def _terminate(number: int, frame: FrameType | None) -> None:
    """SIGTERM ends a transfer as Ctrl-C does: undone, not left half."""
    raise KeyboardInterrupt
