"""``admin policy``: today's words, and those of older guides (``add``, ``set``, ``unset``, ``update``)."""

from __future__ import annotations

import json
from typing import Any

import click
from minio.error import MinioAdminException

from ..asking import Asker, document
from ..command import command, value
from ..command import group as family
from ..errors import FAULTS, Failure, Stop, explain
from ..groups import admin
from ..session import Session

_NONE: dict[str, Any] = {"PolicyName": "", "Policy": None}
_NO_CHANGE = "XMinioAdminPolicyChangeAlreadyApplied"
_ASSOCIATION = "Unable to make user/group policy association"


@family(admin, "policy")
def policy() -> None:
    """Policies, and to whom they are attached."""


@command(policy, "create")
@click.argument("alias")
@click.argument("name")
@click.argument("file")
def create(session: Session, alias: str, name: str, file: str) -> None:
    """Store a policy from a file (`-`: standard input): ALIAS NAME FILE."""
    text = document(file, "Unable to get policy")
    Asker(session, alias, "Unable to create new policy").ask("PUT add-canned-policy", text, name=name)
    _told(session, name, f"Created policy `{name}` successfully.")


# the older name of `create`
policy.add_command(create, "add")


def _told(session: Session, name: str, text: str) -> None:
    session.console.say({"policy": name, "policyInfo": _NONE, "isGroup": False}, text)


@command(policy, "list")
@click.argument("alias")
def list_policies(session: Session, alias: str) -> None:
    """List the policies."""
    for name in sorted(Asker(session, alias, "Unable to list policy").json("GET list-canned-policies")):
        _told(session, name, name)


@command(policy, "info")
@click.argument("alias")
@click.argument("name")
@value("-f", "--policy-file", text="Write the document to a file too.")
def info(session: Session, alias: str, name: str, policy_file: str) -> None:
    """Show a policy."""
    found = Asker(session, alias, "Unable to fetch policy").json("GET info-canned-policy", name=name, v="2")
    if policy_file:
        try:
            with open(policy_file, "w", encoding="utf-8") as file:
                json.dump(found["Policy"], file)
        except OSError as error:
            raise Stop("Could not write to given policy file", error) from None
    shown = {"policy": name, "policyInfo": found, "isGroup": False}
    session.console.say(shown, json.dumps(found, indent=1, ensure_ascii=False))


@command(policy, "remove")
@click.argument("alias")
@click.argument("name")
def remove(session: Session, alias: str, name: str) -> None:
    """Remove a policy that is attached to nobody."""
    Asker(session, alias, "Unable to remove policy").ask("DELETE remove-canned-policy", name=name)
    _told(session, name, f"Removed policy `{name}` successfully.")


_USER = value("-u", "--user", text="Whose.")
_GROUP = value("-g", "--group", text="Which group's.")


@command(policy, "attach")
@click.argument("alias")
@click.argument("names", nargs=-1, required=True)
@_USER
@_GROUP
def attach(session: Session, alias: str, names: tuple[str, ...], user: str, group: str) -> None:
    """Attach policies to a user or a group."""
    _change(session, alias, "attach", list(names), user, group)


@command(policy, "detach")
@click.argument("alias")
@click.argument("names", nargs=-1, required=True)
@_USER
@_GROUP
def detach(session: Session, alias: str, names: tuple[str, ...], user: str, group: str) -> None:
    """Detach policies from a user or a group."""
    _change(session, alias, "detach", list(names), user, group)


@command(policy, "update")
@click.argument("alias")
@click.argument("names")
@click.argument("entity")
def update(session: Session, alias: str, names: str, entity: str) -> None:
    """As older guides attach: ALIAS NAME[,NAME] user=USER|group=GROUP."""
    _change(session, alias, "attach", _split(names), *_entity(entity))


@command(policy, "unset")
@click.argument("alias")
@click.argument("names")
@click.argument("entity")
def unset(session: Session, alias: str, names: str, entity: str) -> None:
    """As older guides detach: ALIAS NAME[,NAME] user=USER|group=GROUP."""
    _change(session, alias, "detach", _split(names), *_entity(entity))


@command(policy, "set")
@click.argument("alias")
@click.argument("names")
@click.argument("entity")
def set_policy(session: Session, alias: str, names: str, entity: str) -> None:
    """As older guides replace what is attached: ALIAS NAME[,NAME] user=USER|group=GROUP."""
    user, group = _entity(entity)
    asker = Asker(session, alias, "Unable to set the policy")
    asker.ask(
        "PUT set-user-or-group-policy", policyName=",".join(_split(names)), userOrGroup=user or group,
        isGroup="true" if group else "false",
    )  # fmt: skip
    shown = {"policy": names, "policyInfo": _NONE, "userOrGroup": user or group, "isGroup": bool(group)}
    kind = "group" if group else "user"
    session.console.say(shown, f"Policy `{names}` is set on {kind} `{user or group}`")


def _split(names: str) -> list[str]:
    return [name for name in names.split(",") if name]


def _entity(text: str) -> tuple[str, str]:
    """User and group, one of them empty. :raises Stop:"""
    kind, equals, name = text.partition("=")
    if not equals or not name or kind not in ("user", "group"):
        raise Stop(_ASSOCIATION, Failure("Write user=USER or group=GROUP."))
    return (name, "") if kind == "user" else ("", name)


def _change(session: Session, alias: str, way: str, names: list[str], user: str, group: str) -> None:
    if bool(user) == bool(group):
        raise Stop(_ASSOCIATION, Failure("Exactly one of --user and --group is needed."))
    wanted: dict[str, Any] = {"policies": names, **({"user": user} if user else {"group": group})}
    past = {"attach": "policiesAttached", "detach": "policiesDetached"}[way]
    try:
        answer = session.admin(alias).ask(
            f"POST idp/builtin/policy/{way}", None, json.dumps(wanted).encode(), sealed=True, opened=True
        )
        done = json.loads(answer).get(past) or names
    except MinioAdminException as error:
        # as with mc: what is so already is done
        if explain(error).code != _NO_CHANGE:
            raise Stop(_ASSOCIATION, error) from None
        done = names
    except FAULTS as error:
        raise Stop(_ASSOCIATION, error) from None
    verb, word = ("Attached", "To") if way == "attach" else ("Detached", "From")
    whom = f"User: {user}" if user else f"Group: {group}"
    shown = {past: done, **({"user": user} if user else {"group": group})}
    session.console.say(shown, f"{verb} Policies: [{' '.join(done)}]\n{word} {whom}")


@command(policy, "entities")
@click.argument("alias")
@value("-u", "--user", "users", many=True, text="What is attached to a user.")
@value("-g", "--group", "groups", many=True, text="What is attached to a group.")
@value("-p", "--policy", "policies", many=True, text="To whom a policy is attached.")
def entities(
    session: Session, alias: str, users: tuple[str, ...], groups: tuple[str, ...], policies: tuple[str, ...]
) -> None:
    """Show who has which policies."""
    query: Any = {
        name: list(given) for name, given in (("user", users), ("group", groups), ("policy", policies)) if given
    }
    asker = Asker(session, alias, "Unable to fetch policy entities")
    found = asker.json("GET idp/builtin/policy-entities", opened=True, **query)
    session.console.say({"result": found}, _mappings(found))


def _mappings(found: dict[str, Any]) -> str:
    lines = [f"Query time: {found.get('timestamp', '')}"]
    for title, members, kind in (("User", "userMappings", "user"), ("Group", "groupMappings", "group")):
        for number, one in enumerate(found.get(members) or []):
            lines += [f"{title} -> Policy Mappings:"] if not number else []
            lines += [f"  {title}: {one[kind]}", "    Policies:", *(f"      {name}" for name in one["policies"])]
    for number, one in enumerate(found.get("policyMappings") or []):
        lines += ["Policy -> Entity Mappings:"] if not number else []
        lines += [f"  Policy: {one['policy']}"]
        for title, member in (("User", "users"), ("Group", "groups")):
            named = one.get(member) or []
            lines += [f"    {title} Mappings:", *(f"      {name}" for name in named)] if named else []
    return "\n".join(lines)
