"""``admin group``."""

from __future__ import annotations

import click

from ..asking import Asker
from ..command import command, switches
from ..command import group as family
from ..groups import admin
from ..session import Session


@family(admin, "group")
def group() -> None:
    """Groups of users."""


@command(group, "add")
@click.argument("alias")
@click.argument("name")
@click.argument("members", nargs=-1, required=True)
def add(session: Session, alias: str, name: str, members: tuple[str, ...]) -> None:
    """Add users to a group, which is made if there is none."""
    _members(session, alias, name, members, False, "Unable to add new group")
    shown = {"groupName": name, "members": list(members)}
    session.console.say(shown, f"Added members `{','.join(members)}` to group `{name}` successfully.")


@command(group, "remove")
@click.argument("alias")
@click.argument("name")
@click.argument("members", nargs=-1)
def remove(session: Session, alias: str, name: str, members: tuple[str, ...]) -> None:
    """Remove users from a group; without any, the group, which must be empty."""
    _members(session, alias, name, members, True, "Could not perform remove operation")
    shown = {"groupName": name, **({"members": list(members)} if members else {})}
    what = f"members {{{','.join(members)}}} from group {name}" if members else f"group {name}"
    session.console.say(shown, f"Removed {what} successfully.")


def _members(session: Session, alias: str, name: str, members: tuple[str, ...], away: bool, what: str) -> None:
    change = {"group": name, "members": list(members), "isRemove": away}
    Asker(session, alias, what).json("PUT update-group-members", change)


@command(group, "list")
@click.argument("alias")
def list_groups(session: Session, alias: str) -> None:
    """List the groups."""
    found = sorted(Asker(session, alias, "Unable to list groups").json("GET groups", kind=list))
    if session.console.as_json or found:
        session.console.say({"groups": found} if found else {}, "\n".join(found))


@command(group, "info")
@click.argument("alias")
@click.argument("name")
def info(session: Session, alias: str, name: str) -> None:
    """Show a group, its members and what is attached."""
    one = Asker(session, alias, "Unable to fetch group info").json("GET group", group=name)
    members, policy = one.get("members") or [], one.get("policy") or ""
    shown = {
        "groupName": name, **({"members": members} if members else {}), "groupStatus": one.get("status", ""),
        **({"groupPolicy": policy} if policy else {}),
    }  # fmt: skip
    text = f"Group: {name}\nStatus: {one.get('status', '')}\nPolicy: {policy}\nMembers: {','.join(members)}"
    session.console.say(shown, text)


@switches(group, enable="Let a group count again.", disable="Take a group's policies from its members.")
def switch(session: Session, alias: str, name: str, status: str) -> None:
    verb = status.removesuffix("d")
    Asker(session, alias, f"Unable to {verb} group").ask("PUT set-group-status", group=name, status=status)
    session.console.say({"groupName": name, "groupStatus": status}, f"{status.title()} group `{name}` successfully.")
