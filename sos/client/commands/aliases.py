"""``alias``: servers and credentials by name."""

from __future__ import annotations

import json
import secrets
import sys
from pathlib import Path

import click

from ..aliases import Alias, checked, of_entry
from ..asking import asked
from ..command import command, flag, value
from ..command import group as family
from ..errors import FAULTS, Failure, Missing, Stop, explain
from ..groups import client
from ..session import Session

PROBE_S = 10.0
_OLDER = {"": "auto", "auto": "auto", "path": "on", "dns": "off"}
_INVALID = "Unable to initialize new alias from the provided credentials."


@family(client, "alias")
def alias() -> None:
    """Servers and their credentials, in mc's configuration file."""


def _older() -> None:
    """What is `alias` today, as older guides write it: `config host add`."""


@command(alias, "set")
@click.argument("name")
@click.argument("url")
@click.argument("access_key", default="")
@click.argument("secret_key", default="")
@value("--api", text="S3v4: take the credentials without asking the server.")
@value("--path", default="auto", text="auto, on (bucket in the path) or off (bucket in the host name).")
@value("--lookup", text="As older guides say it: auto, path or dns.")
@flag("--offline", text="Take the credentials without asking the server.")
def set_alias(
    session: Session, name: str, url: str, access_key: str, secret_key: str,
    api: str, path: str, lookup: str, offline: bool,
) -> None:  # fmt: skip
    """Add an alias, or change one: NAME URL [ACCESSKEY SECRETKEY]. Keys that are not given are asked for."""
    access_key = access_key or asked("Enter Access Key: ")
    secret_key = secret_key or (asked("Enter Secret Key: ", hidden=True) if access_key else "")
    path = _OLDER.get(lookup, path) if lookup else path
    made = Alias(name.rstrip("/"), url.rstrip("/"), access_key, secret_key, api=api or "s3v4", path=path)
    try:
        checked(made)
        if not api and not offline:
            _probe(session, made)
        session.aliases.put(made)
    except FAULTS as error:
        raise Stop(_INVALID, error) from None
    session.console.say(_shown(made), f"Added `{made.name}` successfully.")


def _probe(session: Session, made: Alias) -> None:
    """Ask for a bucket that cannot be there: what comes back tells whether the credentials are right.

    :raises Failure:
    """
    s3 = session.connection(made, PROBE_S).s3
    try:
        s3._execute("GET", f"probe-bsign-{secrets.token_hex(16)}", query_params={"location": ""})
    except FAULTS as error:
        failure = explain(error)
        if not isinstance(failure, Missing) and failure.code not in ("AccessDenied", "NoSuchBucket"):
            raise failure from None


@command(alias, "list")
@click.argument("name", default="")
def list_aliases(session: Session, name: str) -> None:
    """List them all, or one. Secrets stay hidden; `alias export` shows them."""
    name = name.rstrip("/")
    try:
        found = [one for one in session.aliases.every() if not name or one.name == name]
    except Failure as failure:
        raise Stop("Unable to read the aliases.", failure) from None
    if name and not found:
        raise Stop(f"No such alias `{name}` found.", Failure("Use `sos client alias set` to add an alias."))
    for one in found:
        lines = (
            ("URL", one.url),
            ("AccessKey", one.access_key),
            ("API", one.api),
            ("Path", one.path),
            ("Src", one.source),
        )
        text = "\n".join([one.name, *(f"  {label:<9} : {shown}" for label, shown in lines)])
        session.console.say({**_shown(one), "src": one.source}, text)


@command(alias, "remove")
@click.argument("name")
def remove_alias(session: Session, name: str) -> None:
    """Forget an alias."""
    name = _in_file(session, name)
    session.aliases.remove(name)
    session.console.say({"alias": name, "URL": ""}, f"Removed `{name}` successfully.")


@command(alias, "export")
@click.argument("name")
def export_alias(session: Session, name: str) -> None:
    """Print an alias with its secret, for `alias import`."""
    entry = session.aliases.entry(_in_file(session, name)) or {}
    print(json.dumps(entry, separators=(",", ":")))


@command(alias, "import")
@click.argument("name")
@click.argument("file", default="")
def import_alias(session: Session, name: str, file: str) -> None:
    """Take an alias from a file, or from standard input."""
    try:
        entry = json.loads(Path(file).read_bytes() if file else sys.stdin.buffer.read())
        made = of_entry(name.rstrip("/"), entry, file)
        session.aliases.put(checked(made))
    except (AttributeError, *FAULTS) as error:
        # what was read holds a secret: a parser's message could repeat it
        shown = error if isinstance(error, Failure | OSError) else Failure("It is not what `alias export` prints.")
        raise Stop("Unable to import the alias.", shown) from None
    session.console.say(_shown(made), f"Imported `{made.name}` successfully.")


# as older guides have it: `alias add`, `config host add`
alias.add_command(set_alias, "add")
family(client, "config")(_older).add_command(alias, "host")


def _in_file(session: Session, name: str) -> str:
    """:raises Stop: an alias that the file does not have"""
    name = name.rstrip("/")
    if session.aliases.entry(name) is None:
        raise Stop(f"No such alias `{name}` found.", Failure("Use `sos client alias list` to see them."))
    return name


def _shown(one: Alias) -> dict[str, str]:
    return {"alias": one.name, "URL": one.url, "accessKey": one.access_key, "api": one.api, "path": one.path}
