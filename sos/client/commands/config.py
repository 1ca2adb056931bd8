"""``admin config``."""

from __future__ import annotations

import base64
from typing import Any

import click

from ..asking import Asker, document
from ..command import command, flag
from ..command import group as family
from ..groups import admin
from ..session import Session

_HISTORY = 10


@family(admin, "config")
def config() -> None:
    """The settings of a server."""


@command(config, "get")
@click.argument("alias")
@click.argument("keys", nargs=-1)
def get(session: Session, alias: str, keys: tuple[str, ...]) -> None:
    """Show a subsystem's settings; without one, which there are."""
    if not keys:
        _help(session, alias, "", "", False)
        return
    for key in keys:
        asker = Asker(session, alias, f"Unable to get server '{key}' config")
        text = asker.ask("GET get-config-kv", opened=True, key=key).decode()
        session.console.say({"value": text.rstrip("\n")}, text.rstrip("\n"))


@command(config, "help")
@click.argument("alias")
@click.argument("subsystem", default="")
@click.argument("key", default="")
@flag("--env", text="As environment variables.")
def show_help(session: Session, alias: str, subsystem: str, key: str, env: bool) -> None:
    """Explain subsystems and keys."""
    _help(session, alias, subsystem, key, env)


def _help(session: Session, alias: str, subsystem: str, key: str, env: bool) -> None:
    asker = Asker(session, alias, "Unable to get help for the sub-system")
    query: Any = {"subSys": subsystem, "key": key, **({"env": ""} if env else {})}
    found: dict[str, Any] = asker.json("GET help-config-kv", **query)
    entries = found.get("keysHelp") or []
    width = max((len(one["key"]) for one in entries), default=0)
    lines = ["KEYS:", *(f"{one['key']:<{width}}  {one['description']}" for one in entries)]
    session.console.say({"help": found}, "\n".join(lines))


@command(config, "set")
@click.argument("alias")
@click.argument("subsystem")
@click.argument("pairs", nargs=-1)
def set_config(session: Session, alias: str, subsystem: str, pairs: tuple[str, ...]) -> None:
    """Change settings: ALIAS SUBSYSTEM KEY=VALUE…"""
    text = " ".join([subsystem, *(_quoted(pair) for pair in pairs)])
    asker = Asker(session, alias, f"Unable to set '{subsystem}' to server")
    asker.ask("PUT set-config-kv", text.encode(), sealed=True)
    session.console.say({"setStatus": True}, _applied(alias))


def _quoted(pair: str) -> str:
    key, equals, text = pair.partition("=")
    return f'{key}{equals}"{text}"' if " " in text and not text.startswith('"') else pair


def _applied(alias: str) -> str:
    return f"Successfully applied new settings.\nWhat needs it takes effect after `sos client admin service restart {alias}`."


@command(config, "reset")
@click.argument("alias")
@click.argument("subsystem")
@click.argument("keys", nargs=-1)
def reset(session: Session, alias: str, subsystem: str, keys: tuple[str, ...]) -> None:
    """Give settings their defaults back."""
    text = " ".join([subsystem, *keys])
    Asker(session, alias, f"Unable to reset '{text}' on the server").ask(
        "DELETE del-config-kv", text.encode(), sealed=True
    )
    session.console.say({"targets": [subsystem, *keys]}, f"'{text}' is successfully reset.")


@command(config, "history")
@click.argument("alias")
@click.option("-n", "--count", type=click.IntRange(min=1), default=_HISTORY, help="How many.")
@flag("--clear", text="Forget it all.")
def history(session: Session, alias: str, count: int, clear: bool) -> None:
    """List what was changed before."""
    if clear:
        asker = Asker(session, alias, "Unable to clear server configuration.")
        asker.ask("DELETE clear-config-history-kv", restoreId="all")
        session.console.say({}, "Cleared the history.")
        return
    asker = Asker(session, alias, "Unable to list server history configuration.")
    found = asker.json("GET list-config-history-kv", kind=list, opened=True, count=str(count))
    # madmin names its members as Go does
    entries = [{name[0].lower() + name[1:]: text for name, text in one.items()} for one in found]
    lines = [f"RestoreId: {_id(one)}\nDate: {one.get('createTime', '')}\n\n{_data(one)}" for one in entries]
    session.console.say({"entries": entries}, "\n".join(lines))


def _id(one: dict[str, Any]) -> str:
    return str(one.get("restoreId") or one.get("restoreID") or "")


def _data(one: dict[str, Any]) -> str:
    return str(one.get("data") or "")


@command(config, "restore")
@click.argument("alias")
@click.argument("identity")
def restore(session: Session, alias: str, identity: str) -> None:
    """Go back to an entry of the history."""
    asker = Asker(session, alias, "Unable to restore server configuration.")
    asker.ask("PUT restore-config-history-kv", restoreId=identity)
    session.console.say({"restoreID": identity}, f"Restored configuration `{identity}`.\n{_applied(alias)}")


@command(config, "export")
@click.argument("alias")
def export(session: Session, alias: str) -> None:
    """Print all settings."""
    text = Asker(session, alias, "Unable to get server config").ask("GET config", opened=True)
    session.console.say({"value": base64.b64encode(text).decode()}, text.decode().rstrip("\n"))


@command(config, "import")
@click.argument("alias")
@click.argument("file", default="-")
def import_config(session: Session, alias: str, file: str) -> None:
    """Take all settings from a file, or from standard input."""
    text = document(file, "Unable to read the settings.")
    Asker(session, alias, "Unable to set server config").ask("PUT config", text, sealed=True)
    session.console.say({"setStatus": True}, _applied(alias))
