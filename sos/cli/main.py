"""``sos``: finds the verb and runs it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence

from .. import __version__
from ..config.values import ConfigError
from ..placement.ellipses import LayoutError
from ..placement.parity import ParityError

Verb = Callable[[Sequence[str], Mapping[str, str]], int]

USAGE = """\
sos: an S3-compatible, erasure-coded object store

  sos server [FLAGS] DIR [DIR…]   serve the drives; `sos server --help` lists the flags
  sos config show [--json]        every setting, its value and where it came from
  sos config sample               a commented settings file with every default
  sos client COMMAND …            a client with mc's arguments; `sos client --help` lists the commands
  sos explain REQUEST-ID          why a request was denied, and what would allow it
  sos policy simulate|replay      what policies would decide, in force or in draft
  sos --version                   the version
  sos help [VERB]                 this text, or the help of a verb
"""


def main(argv: Sequence[str] | None = None) -> int:
    """The console script. Exit codes: 0 done, 1 refused or failed."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        return _run(arguments, os.environ)
    except (ConfigError, LayoutError, ParityError) as error:
        print(f"FATAL {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # the reader of our output left (`sos config show | head`)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1


def _run(arguments: list[str], environ: Mapping[str, str]) -> int:
    if arguments and arguments[0] in ("--version", "-v", "version"):
        print(f"sos version {__version__}")
        return 0
    at = _verb_at(arguments)
    if at is None:
        asked = not arguments or arguments[0] in ("help", "--help", "-h")
        print(USAGE, end="", file=sys.stdout if asked else sys.stderr)
        return 0 if asked else 1
    name, before, after = arguments[at], arguments[:at], arguments[at + 1 :]
    if name == "help":
        return _help(after, environ)
    verb = _load(name)
    if verb is None:
        print(f"FATAL unknown command {name!r}\n\n{USAGE}", end="", file=sys.stderr)
        return 1
    # MinIO's global flags may stand before the verb
    return verb([*before, *after], environ)


def _verb_at(arguments: Sequence[str]) -> int | None:
    """Where the verb stands: the first word that is neither a flag nor the value of one."""
    at = 0
    while at < len(arguments):
        word = arguments[at]
        if not word.startswith("-"):
            return at
        at += 2 if word in ("--certs-dir", "-S", "--config-dir", "-C", "--config") else 1
    return None


def _help(words: Sequence[str], environ: Mapping[str, str]) -> int:
    verb = _load(words[0]) if words else None
    if verb is None:
        print(USAGE, end="")
        return 0
    return verb(["--help"], environ)


def _load(name: str) -> Verb | None:
    """The verb's function; imported only when asked for, so that ``sos --version`` is quick."""
    if name == "server":
        from .server import run as server

        return server
    if name == "config":
        from .config import run as config

        return config
    if name == "client":
        from .client import run as client

        return client
    if name == "explain":
        from .explain import run as explain

        return explain
    if name == "policy":
        from .policy import run as policy

        return policy
    return None


if __name__ == "__main__":
    sys.exit(main())
