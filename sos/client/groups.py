"""The roots of the tree of commands; the modules below ``commands`` hang theirs into it."""

from __future__ import annotations

import click

from .command import SETTINGS, Group, common, group


@click.group(cls=Group, name="client", context_settings=SETTINGS)
@common
def client() -> None:
    """A client for machines without mc: the same arguments, the same ~/.mc/config.json."""


@group(client, "admin")
def admin() -> None:
    """Users, groups, policies, keys, accounts, configuration and state of a server."""
