"""Accounts: tenants of the deployment, which MinIO has not. They are the root account's to administer."""

from __future__ import annotations

from typing import Any

import msgspec

from ...domain.errors import BadDocument
from ...http.message import Reply
from ...meta.iam import ROOT_ACCOUNT, AccountRecord
from ...meta.records import BucketRecord
from ...services.access import owner_of
from ...services.usage import Usages
from .. import moments
from ..call import Call, done, plain, some

BUCKETS_MAX = 1_000_000


class NewAccount(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """:param access_key: of the account's root
    :param quota: bytes of all its buckets together, 0 = none
    """

    name: str
    access_key: str
    secret_key: str
    email: str = ""
    quota: int = 0


class AccountUpdate(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """What is not given stays. :param secret_key: of the account's root"""

    email: str | None = None
    quota: int | None = None
    secret_key: str | None = None


async def add(call: Call) -> Reply:
    wanted = await call.sealed_document(NewAccount)
    accounts = call.services.identity.accounts
    made = await accounts.add(wanted.name, wanted.access_key, wanted.secret_key, wanted.email, wanted.quota)
    return plain(_shown(made))


async def list_all(call: Call) -> Reply:
    """All of them, the root account first."""
    accounts = call.services.identity.accounts
    return plain([_shown(record) for record in [accounts.root(), *await accounts.every()]])


async def info(call: Call) -> Reply:
    """One account, with what it holds; without a name that of the caller. Who may not does not learn whether there is one."""
    name = call.get("name")
    await call.require("admin:GetAccount", account=ROOT_ACCOUNT if name else call.account)
    record = await call.services.identity.accounts.get(name or call.account)
    usages = await call.services.usage.now()
    every, _ = await call.services.buckets.list("", "", BUCKETS_MAX)
    buckets = [bucket for bucket in every if owner_of(bucket) == record.account]
    return plain({**_shown(record), **_held(usages, buckets)})


async def set_status(call: Call) -> Reply:
    """In force at once for every key of the account."""
    await call.services.identity.accounts.update(call.get("name"), disabled=not call.status())
    return done()


async def update(call: Call) -> Reply:
    wanted = await call.sealed_document(AccountUpdate)
    if wanted == AccountUpdate():
        raise BadDocument("Nothing to change is given.")
    record = await call.services.identity.accounts.update(
        call.get("name"), quota_bytes=wanted.quota, email=wanted.email, secret=wanted.secret_key
    )
    return plain(_shown(record))


async def remove(call: Call) -> Reply:
    """With its users, groups, policies and keys; refused while it has buckets."""
    await call.services.identity.accounts.remove(call.get("name"))
    return done()


def _shown(record: AccountRecord) -> dict[str, Any]:
    """Without any secret."""
    return {
        "name": record.name,
        "account": record.account,
        "canonicalId": record.canonical_id,
        "accessKey": record.root_key,
        **some(email=record.email),
        "quota": record.quota_bytes,
        "status": "disabled" if record.disabled else "enabled",
        **some(createdAt=moments.show(record.created_ns) if record.created_ns else ""),
    }


def _held(usages: Usages, buckets: list[BucketRecord]) -> dict[str, Any]:
    held = [usages.of_bucket(bucket) for bucket in buckets]
    return {
        "buckets": [bucket.name for bucket in buckets],
        "objects": sum(one.objects for one in held),
        "versions": sum(one.versions for one in held),
        "size": sum(one.size for one in held),
        "uploadsSize": sum(one.upload_size for one in held),
    }
