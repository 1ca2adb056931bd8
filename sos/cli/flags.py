"""Flags of the command line to what the configuration takes: generated from the table of settings."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

from ..config.envfile import read_env_file
from ..config.load import PREFIXES, Given
from ..config.settings import OPTIONS
from ..config.values import SWITCH, ConfigError

#: MinIO's flags that tune what works in another way here; taken with their value and ignored.
IGNORED_WITH_VALUE = (
    "--config-dir", "-C", "--conn-user-timeout", "--interface", "--dns-cache-ttl", "--max-idle-conns-per-host",
    "--crossdomain-xml", "--memlimit", "--send-buf-size", "--recv-buf-size", "--log-dir", "--log-size", "--log-prefix",
    "--listeners",
)  # fmt: skip
IGNORED = ("--compat", "--log-compress")
#: MinIO's flags that ask for something this release does not have: refused, since ignoring them would mislead.
REFUSED = ("--ftp", "--sftp", "--no-compat")


class Parser(argparse.ArgumentParser):
    """Exits with 1 on wrong arguments, as MinIO does."""

    def error(self, message: str) -> NoReturn:
        print(f"FATAL {message} (see `{self.prog} --help`)", file=sys.stderr)
        raise SystemExit(1)


def parser(prog: str, description: str) -> Parser:
    """A parser that knows every setting that has a flag."""
    made = Parser(prog=prog, description=description, allow_abbrev=False)
    made.add_argument("volumes", nargs="*", metavar="DIR", help="a directory, or a pattern like /data{1...4}")
    made.add_argument("--config", default="", metavar="FILE", help="settings file (TOML); also SOS_CONFIG")
    for option in OPTIONS:
        if not option.flags:
            continue
        if option.kind is SWITCH:
            made.add_argument(*option.flags, dest=option.name, action="store_const", const="on", help=option.help)
        else:
            made.add_argument(*option.flags, dest=option.name, metavar="VALUE", help=option.help)
    for flag in IGNORED_WITH_VALUE:
        made.add_argument(flag, dest="ignored", action="append", help=argparse.SUPPRESS)
    for flag in IGNORED:
        made.add_argument(flag, dest="ignored_too", action="store_true", help=argparse.SUPPRESS)
    for flag in REFUSED:
        made.add_argument(flag, dest="refused", nargs="?", action="append", const=flag, help=argparse.SUPPRESS)
    return made


def read(made: Parser, argv: Sequence[str], environ: Mapping[str, str]) -> Given:
    """What the command line says; ``MINIO_OPTS`` (or ``SOS_OPTS``) stands in where it has no flags.

    :raises ConfigError: flags of MinIO that this release does not serve
    """
    found = made.parse_intermixed_args(list(argv))
    if not any(word.startswith("-") for word in argv):
        name, text = _opts(environ)
        if text:
            extra = made.parse_intermixed_args(shlex.split(text))
            return _given(extra, name, found.volumes or extra.volumes)
    return _given(found, "flag", found.volumes)


def _given(found: argparse.Namespace, source: str, volumes: Sequence[str]) -> Given:
    if found.refused:
        raise ConfigError(f"this release does not serve what {', '.join(REFUSED)} ask for")
    flags: dict[str, tuple[str, str]] = {}
    for option in OPTIONS:
        text = getattr(found, option.name, None) if option.flags else None
        if text is not None:
            flags[option.name] = (text, f"{source} {option.flags[0]}")
    return Given(flags, tuple(volumes), found.config)


def _opts(environ: Mapping[str, str]) -> tuple[str, str]:
    over: dict[str, str] = {}
    for prefix in PREFIXES:
        if path := environ.get(f"{prefix}CONFIG_ENV_FILE"):
            over = read_env_file(path)
            break
    for prefix in PREFIXES:
        name = f"{prefix}OPTS"
        if text := over.get(name) or environ.get(name):
            return name, text
    return "", ""
