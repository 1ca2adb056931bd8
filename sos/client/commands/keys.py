"""``admin accesskey``: keys that belong to users."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import click

from .. import formats
from ..asking import Asker, document
from ..command import command, flag, switches, value
from ..command import group as family
from ..errors import FAULTS, Failure, Stop
from ..groups import admin
from ..session import Session

_NEVER = "1970-01-01T00:00:00Z"


@family(admin, "accesskey")
def accesskey() -> None:
    """Access keys of users."""


_FIELDS = [
    value("--secret-key", text="Secret of the key."),
    value("--policy", text="File with a policy that narrows what the key may do."),
    value("--name", text="A name for people."),
    value("--description", text="What it is for."),
    value("--expiry-duration", text="How long it lives: 24h."),
    value("--expiry", text="Until when it lives: 2030-01-31."),
]


def _fields(function: Any) -> Any:
    for one in reversed(_FIELDS):
        function = one(function)
    return function


@command(accesskey, "create")
@click.argument("alias")
@click.argument("user", default="")
@value("--access-key", text="The key itself; else one is made up.")
@_fields
def create(session: Session, alias: str, user: str, access_key: str, **given: str) -> None:
    """Make a key for a user, or for oneself. Its secret is shown this once."""
    wanted: dict[str, Any] = {"accessKey": access_key, **_wanted(given, "")}
    if user:
        wanted["targetUser"] = user
    asker = Asker(session, alias, "Unable to add service account.")
    made = asker.json("PUT add-service-account", wanted, sealed=True, opened=True)["credentials"]
    shown = {
        "accessKey": made["accessKey"], "secretKey": made["secretKey"], "expiration": made.get("expiration", _NEVER),
        **{member: wanted[member] for member in ("name", "description") if wanted.get(member)},
    }  # fmt: skip
    lines = (
        ("Access Key", made["accessKey"]), ("Secret Key", made["secretKey"]),
        ("Expiration", _until(made.get("expiration"))), ("Name", given["name"]), ("Description", given["description"]),
    )  # fmt: skip
    session.console.say(shown, "\n".join(f"{label}: {text}" for label, text in lines))


@command(accesskey, "edit")
@click.argument("alias")
@click.argument("access_key")
@_fields
def edit(session: Session, alias: str, access_key: str, **given: str) -> None:
    """Change a key: its secret, policy, names or end."""
    wanted = _wanted(given, "new")
    if not wanted:
        raise Stop("Unable to edit the access key.", Failure("Nothing to change is given."))
    asker = Asker(session, alias, "Unable to edit service account.")
    asker.json("POST update-service-account", wanted, sealed=True, accessKey=access_key)
    session.console.say({"accessKey": access_key}, "Successfully edited access key.")


def _wanted(given: dict[str, str], prefix: str) -> dict[str, Any]:
    """What madmin sends: only what was given. :raises Stop:"""
    wanted: dict[str, Any] = {}
    for name, member in (("secret_key", "secretKey"), ("name", "name"), ("description", "description")):
        if given[name]:
            wanted[_member(prefix, member)] = given[name]
    if given["policy"]:
        wanted[_member(prefix, "policy")] = _policy(given["policy"])
    if ends := _end(given["expiry_duration"], given["expiry"]):
        wanted[_member(prefix, "expiration")] = ends
    return wanted


def _member(prefix: str, name: str) -> str:
    return prefix + name[0].upper() + name[1:] if prefix else name


def _policy(path: str) -> Any:
    try:
        return json.loads(document(path, "Unable to open the policy document."))
    except ValueError as error:
        raise Stop("Unable to parse the policy document.", error) from None


def _end(duration: str, moment: str) -> str:
    if duration and moment:
        raise Stop("Only one of --expiry and --expiry-duration can be given.")
    try:
        if duration:
            ends = datetime.now(UTC) + formats.read_duration(duration)
        elif moment:
            ends = datetime.fromisoformat(moment).astimezone()
        else:
            return ""
    except (ValueError, OverflowError) as error:
        raise Stop("Unable to parse the expiry.", error) from None
    return ends.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _until(expiration: str | None, never: str = "NONE") -> str:
    return never if expiration in (None, "", _NEVER, "0001-01-01T00:00:00Z") else str(expiration)


@command(accesskey, "list")
@click.argument("alias")
@click.argument("users", nargs=-1)
@flag("--all", "every", text="Of all users.")
@flag("--self", "own", text="One's own.")
@flag("--users-only", text="Only the users.")
@flag("--temp-only", text="Only temporary keys.")
@flag("--svcacc-only", text="Only lasting keys.")
def list_keys(
    session: Session, alias: str, users: tuple[str, ...], every: bool, own: bool,
    users_only: bool, temp_only: bool, svcacc_only: bool,
) -> None:  # fmt: skip
    """List keys: of some users, of all, or one's own."""
    chosen = [
        name for name, on in (("users-only", users_only), ("sts-only", temp_only), ("svcacc-only", svcacc_only)) if on
    ]
    if len(chosen) > 1 or (every and (own or users)):
        raise Stop("Unable to list access keys.", Failure("These flags exclude each other."))
    query: dict[str, Any] = {"listType": chosen[0] if chosen else "all"}
    query |= {"all": "true"} if every else {"users": list(users)} if users else {}
    found = Asker(session, alias, "Unable to list access keys.").json("GET list-access-keys-bulk", opened=True, **query)
    for name, keys in sorted(found.items()):
        lasting, temporary = keys.get("serviceAccounts") or [], keys.get("stsKeys") or []
        lines = [f"User: {name}", *(["  Access Keys:"] if lasting or temporary else [])]
        for kind, one in [("true", one) for one in temporary] + [("false", one) for one in lasting]:
            lines.append(f"    {one['accessKey']}, expires: {_until(one.get('expiration'), 'never')}, sts: {kind}")
        session.console.say({"user": name, "stsKeys": temporary, "svcaccs": lasting}, "\n".join(lines))


@command(accesskey, "info")
@click.argument("alias")
@click.argument("names", nargs=-1, required=True)
def info(session: Session, alias: str, names: tuple[str, ...]) -> None:
    """Show keys."""
    admin_api = session.admin(alias)
    for name in names:
        try:
            found = json.loads(admin_api.ask("GET info-access-key", {"accessKey": name}, opened=True))
        except FAULTS as error:
            session.console.fail(f"Unable to retrieve access key {name} info.", error)
            continue
        text = "\n".join(
            f"{label}: {found.get(member, '')}"
            for label, member in (("Parent User", "parentUser"), ("Status", "accountStatus"), ("Name", "name"),
                                  ("Description", "description"), ("Expiration", "expiration"))
        )  # fmt: skip
        session.console.say({"accessKey": name, **found}, f"Access Key: {name}\n{text}")


@command(accesskey, "remove")
@click.argument("alias")
@click.argument("name")
def remove(session: Session, alias: str, name: str) -> None:
    """Remove a key."""
    Asker(session, alias, "Unable to remove service account.").ask("DELETE delete-service-account", accessKey=name)
    session.console.say({"accessKey": name}, "Successfully removed access key.")


@switches(accesskey, enable="Let a key in again.", disable="Lock a key out.")
def switch(session: Session, alias: str, name: str, status: str) -> None:
    to = "on" if status == "enabled" else "off"
    asker = Asker(session, alias, f"Unable to switch access key {name} {to}.")
    asker.json("POST update-service-account", {"newStatus": to}, sealed=True, accessKey=name)
    session.console.say({"accessKey": name}, f"Successfully {status} access key.")
