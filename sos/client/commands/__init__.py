"""One file per family of commands. Importing them hangs them into the tree."""

from __future__ import annotations

from ..groups import client as TREE
from . import (
    accounts,
    aliases,
    buckets,
    config,
    copying,
    finding,
    groups,
    keys,
    listing,
    mirroring,
    policies,
    removing,
    server,
    streaming,
    usage,
    users,
)

__all__ = [
    "TREE", "accounts", "aliases", "buckets", "config", "copying", "finding", "groups", "keys", "listing", "mirroring",
    "policies", "removing", "server", "streaming", "usage", "users",
]  # fmt: skip
