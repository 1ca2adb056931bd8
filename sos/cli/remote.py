"""Where the server is that a verb asks, and with which keys."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..client.aliases import Alias, Aliases
from ..client.connection import connect
from ..client.errors import FAULTS, Failure, explain
from ..config.load import PREFIXES

LOCAL = "http://127.0.0.1:9000"
USAGE = "the server: `--alias` of ~/.mc/config.json, or `--url` with keys; without keys those of MINIO_ROOT_USER"


def add_server(parser: argparse.ArgumentParser, *, keys: bool = True) -> None:
    """The flags that name the server.

    :param keys: ``--access-key`` and ``--secret-key`` mean the keys to sign with, as ``--admin-key`` does everywhere
    """
    group = parser.add_argument_group("server", USAGE)
    group.add_argument("--alias", default="", metavar="NAME", help="an alias as mc and `sos client alias` keep them")
    group.add_argument("--url", default="", metavar="URL", help=f"default {LOCAL}")
    for flag, metavar in (("key", "KEY"), ("secret", "SECRET")):
        names = [f"--admin-{flag}", *({"key": ["--access-key"], "secret": ["--secret-key"]}[flag] if keys else [])]
        group.add_argument(*names, dest=f"admin_{flag}", default="", metavar=metavar, help="to sign with")
    group.add_argument("--insecure", action="store_true", help="do not check the server's certificate")
    group.add_argument("--account", default="", metavar="ACCOUNT", help="speak of this account; for root alone")
    parser.add_argument("--json", action="store_true", help="print the server's document")


def _alias(found: argparse.Namespace, environ: Mapping[str, str], directory: Path) -> Alias:
    """:raises Failure: there are no keys, or no such alias"""
    if found.alias:
        known = Aliases(directory, environ).find(found.alias)
        if known is None:
            raise Failure(f"There is no alias `{found.alias}`.")
        return known
    key = found.admin_key or _first(environ, "ROOT_USER")
    secret = found.admin_secret or _first(environ, "ROOT_PASSWORD")
    if not key or not secret:
        raise Failure(
            "No keys to sign with: give --alias, --admin-key and --admin-secret, or set MINIO_ROOT_USER and MINIO_ROOT_PASSWORD."
        )
    return Alias("server", (found.url or _first(environ, "SERVER_URL") or LOCAL).rstrip("/"), key, secret)


def _first(environ: Mapping[str, str], name: str) -> str:
    return next((text for prefix in PREFIXES if (text := environ.get(prefix + name))), "")


def ask(
    found: argparse.Namespace,
    environ: Mapping[str, str],
    call: str,
    query: Mapping[str, str] | None = None,
    document: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The server's answer to an admin call.

    :param call: method and path below ``/minio/admin/v3/``
    :raises Failure: it cannot be reached, or refuses
    """
    directory = Path(environ.get("MC_CONFIG_DIR") or Path.home() / ".mc")
    account = {"account": found.account} if found.account else {}
    body = None if document is None else json.dumps(document).encode()
    try:
        connection = connect(_alias(found, environ, directory), directory, found.insecure)
        answer = json.loads(connection.admin.ask(call, {**account, **(query or {})}, body))
    except FAULTS as error:
        raise explain(error) from None
    if not isinstance(answer, dict):
        raise Failure("The server's answer is none that is known.")
    return answer


def shown(
    found: argparse.Namespace, get: Callable[[], dict[str, Any]], text: Callable[[dict[str, Any]], str]
) -> dict[str, Any] | None:
    """Print the answer, as text or as it is; None, with the reason on stderr, where there is none."""
    try:
        answer = get()
    except Failure as failure:
        code = f" ({failure.code})" if failure.code else ""
        if found.json:
            print(json.dumps({"status": "error", "error": failure.message, "code": failure.code}))
        else:
            print(f"FATAL {failure.message}{code}", file=sys.stderr)
        return None
    print(json.dumps(answer, indent=2) if found.json else text(answer))
    return answer
