"""``admin account``: tenants of a deployment, which mc does not know."""

from __future__ import annotations

from typing import Any

import click

from .. import formats
from ..asking import Asker, asked
from ..command import command, switches, value
from ..command import group as family
from ..errors import Failure, Stop
from ..groups import admin
from ..session import Session


@family(admin, "account")
def account() -> None:
    """Accounts: tenants with a root key, users, policies and a quota of their own."""


@command(account, "add")
@click.argument("alias")
@click.argument("name")
@value("--access-key", text="Key of the account's root.")
@value("--secret-key", text="Its secret; asked for when it is not given.")
@value("--email", text="Whom to write to.")
@value("--quota", text="Bytes that all its buckets may hold: 10TiB.")
def add(session: Session, alias: str, name: str, access_key: str, secret_key: str, email: str, quota: str) -> None:
    """Make an account."""
    access_key = access_key or asked("Enter Access Key: ")
    secret_key = secret_key or asked("Enter Secret Key: ", hidden=True)
    wanted: dict[str, Any] = {"name": name, "accessKey": access_key, "secretKey": secret_key}
    wanted |= {"email": email} if email else {}
    wanted |= {"quota": _bytes(quota)} if quota else {}
    made = Asker(session, alias, f"Unable to add account `{name}`.").json("PUT add-account", wanted, sealed=True)
    session.console.say(_named(made), f"Added account `{name}` successfully.")


def _bytes(text: str) -> int:
    """:raises Stop:"""
    try:
        return formats.read_size(text)
    except ValueError as error:
        raise Stop("Unable to parse --quota.", error) from None


@command(account, "set")
@click.argument("alias")
@click.argument("name")
@value("--secret-key", text="Another secret for the account's root.")
@value("--email", text="Whom to write to.")
@value("--quota", text="Bytes that all its buckets may hold, 0 = any.")
def change(session: Session, alias: str, name: str, secret_key: str, email: str, quota: str) -> None:
    """Change an account."""
    wanted: dict[str, Any] = {"secretKey": secret_key} if secret_key else {}
    wanted |= {"email": email} if email else {}
    wanted |= {"quota": _bytes(quota)} if quota else {}
    if not wanted:
        raise Stop(f"Unable to change account `{name}`.", Failure("Nothing to change is given."))
    asker = Asker(session, alias, f"Unable to change account `{name}`.")
    session.console.say(
        _named(asker.json("POST set-account", wanted, sealed=True, name=name)),
        f"Changed account `{name}` successfully.",
    )


@command(account, "list")
@click.argument("alias")
def list_accounts(session: Session, alias: str) -> None:
    """List the accounts."""
    for one in Asker(session, alias, "Unable to list accounts.").json("GET list-accounts", kind=list):
        quota = formats.size(one["quota"]) if one.get("quota") else "no quota"
        text = f"{one.get('status', ''):<9}  {one['name']:<20}  {one.get('accessKey', ''):<20}  {quota}"
        session.console.say(_named(one), text)


@command(account, "info")
@click.argument("alias")
@click.argument("name", default="")
def info(session: Session, alias: str, name: str) -> None:
    """Show an account and what it holds; without a name one's own."""
    query: Any = {"name": name} if name else {}
    one = Asker(session, alias, "Unable to fetch account info.").json("GET account-info", **query)
    used = formats.size(one.get("size", 0)) + (f" of {formats.size(one['quota'])}" if one.get("quota") else "")
    lines = (
        ("Name", one.get("name", "")), ("Account", one.get("account", "")), ("Canonical ID", one.get("canonicalId", "")),
        ("Access Key", one.get("accessKey", "")), ("Email", one.get("email", "")), ("Status", one.get("status", "")),
        ("Used", used), ("Objects", one.get("objects", "")), ("Buckets", ", ".join(one.get("buckets") or [])),
    )  # fmt: skip
    session.console.say(_named(one), "\n".join(f"{label:<12}: {text}" for label, text in lines))


def _named(one: dict[str, Any]) -> dict[str, Any]:
    """``status`` is that of the command in every document; the account's own goes under another name."""
    shown = {member: text for member, text in one.items() if member != "status"}
    return {**shown, "accountStatus": one.get("status", "")}


@command(account, "remove")
@click.argument("alias")
@click.argument("name")
def remove(session: Session, alias: str, name: str) -> None:
    """Remove an account that has no buckets, with its users, groups, policies and keys."""
    Asker(session, alias, f"Unable to remove account `{name}`.").ask("DELETE remove-account", name=name)
    session.console.say({"name": name}, f"Removed account `{name}` successfully.")


@switches(account, enable="Let an account in again.", disable="Lock an account out: its root and all its users.")
def switch(session: Session, alias: str, name: str, status: str) -> None:
    asker = Asker(session, alias, f"Unable to {status.removesuffix('d')} account `{name}`.")
    asker.ask("POST set-account-status", name=name, status=status)
    session.console.say({"name": name, "accountStatus": status}, f"{status.title()} account `{name}` successfully.")
