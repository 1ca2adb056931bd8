"""``admin user``."""

from __future__ import annotations

import json
from typing import Any

import click

from ..asking import Asker, asked
from ..command import command, switches
from ..command import group as family
from ..errors import Failure, Stop
from ..groups import admin
from ..session import Session


@family(admin, "user")
def user() -> None:
    """Users and their state."""


@command(user, "add")
@click.argument("alias")
@click.argument("name", default="")
@click.argument("secret", default="")
def add(session: Session, alias: str, name: str, secret: str) -> None:
    """Add a user, or give it another secret: ALIAS ACCESSKEY SECRETKEY. What is not given is asked for."""
    asker = Asker(session, alias, "Unable to add new user")
    name = name or asked("Enter Access Key: ")
    secret = secret or asked("Enter Secret Key: ", hidden=True)
    asker.json("PUT add-user", {"secretKey": secret, "status": "enabled"}, sealed=True, accessKey=name)
    session.console.say({"accessKey": name, "userStatus": "enabled"}, f"Added user `{name}` successfully.")


@command(user, "list")
@click.argument("alias")
def list_users(session: Session, alias: str) -> None:
    """List the users."""
    found = Asker(session, alias, "Unable to list user").json("GET list-users", opened=True)
    groups = _Groups(session, alias)
    for name, one in sorted(found.items()):
        shown = _shown(name, one, groups.of(one))
        session.console.say(shown, f"{one.get('status', ''):<9}  {name:<20}  {one.get('policyName', ''):<20}")


@command(user, "info")
@click.argument("alias")
@click.argument("name")
def info(session: Session, alias: str, name: str) -> None:
    """Show a user, its groups and what is attached."""
    one = Asker(session, alias, "Unable to get user info").json("GET user-info", accessKey=name)
    member = _Groups(session, alias).of(one)
    lines = (
        ("AccessKey", name), ("Status", one.get("status", "")), ("PolicyName", one.get("policyName", "")),
        ("MemberOf", "[" + " ".join(group["name"] for group in member) + "]"),
    )  # fmt: skip
    text = "\n".join(f"{label}: {shown}" for label, shown in lines)
    session.console.say(_shown(name, one, member), text)


class _Groups:
    """The groups of users with what is attached, each asked for once."""

    def __init__(self, session: Session, alias: str) -> None:
        self._asker = Asker(session, alias, "Unable to fetch group info")
        self._known: dict[str, dict[str, Any]] = {}

    def of(self, user: dict[str, Any]) -> list[dict[str, Any]]:
        return [self._group(name) for name in user.get("memberOf") or []]

    def _group(self, name: str) -> dict[str, Any]:
        if name not in self._known:
            found = self._asker.json("GET group", group=name)
            policies = _split(found.get("policy", ""))
            self._known[name] = {"name": found.get("name", ""), **({"policies": policies} if policies else {})}
        return self._known[name]


def _shown(name: str, one: dict[str, Any], groups: list[dict[str, Any]]) -> dict[str, Any]:
    policy = {"policyName": one["policyName"]} if one.get("policyName") else {}
    member = {"memberOf": groups} if groups else {}
    return {"accessKey": name, **policy, "userStatus": one.get("status", ""), **member}


def _split(policies: str) -> list[str]:
    return [name for name in policies.split(",") if name]


@command(user, "remove")
@click.argument("alias")
@click.argument("name")
def remove(session: Session, alias: str, name: str) -> None:
    """Remove a user with its keys."""
    Asker(session, alias, f"Unable to remove {name}").ask("DELETE remove-user", accessKey=name)
    session.console.say({"accessKey": name}, f"Removed user `{name}` successfully.")


@switches(user, enable="Let a user in again.", disable="Lock a user out, with all its keys.")
def switch(session: Session, alias: str, name: str, status: str) -> None:
    verb = status.removesuffix("d")
    asker = Asker(session, alias, f"Unable to {verb} user")
    asker.ask("PUT set-user-status", accessKey=name, status=status)
    session.console.say({"accessKey": name}, f"{status.title()} user `{name}` successfully.")


@command(user, "policy")
@click.argument("alias")
@click.argument("name")
def policy(session: Session, alias: str, name: str) -> None:
    """Print what is attached to a user as one policy document."""
    one = Asker(session, alias, "Unable to get user info").json("GET user-info", accessKey=name)
    attached = _split(one.get("policyName", ""))
    if not attached:
        raise Stop("Unable to fetch user policy document.", Failure(f"policy not found for user {name}"))
    statements: list[Any] = []
    for each in attached:
        asker = Asker(session, alias, f"Unable to fetch user policy document for policy {each}")
        found = asker.json("GET info-canned-policy", name=each, v="2")["Policy"]["Statement"]
        statements += [one for one in (found if isinstance(found, list) else [found]) if one not in statements]
    print(json.dumps({"Version": "2012-10-17", "Statement": statements}, separators=(",", ":")))
