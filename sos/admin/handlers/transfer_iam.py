"""Export and import of users, groups, policies and access keys, in the archives of MinIO."""

from __future__ import annotations

import asyncio
from typing import Any

from ...domain.errors import BadDocument, InvalidRequest, StoreError
from ...http.message import Reply
from ...services.identity.transfer import FILES, Documents, Outcome, Transfer
from .. import moments
from ..archive import ARCHIVE_BYTES_MAX, pack, unpack
from ..call import Call, decode, done, encode, plain, some

FOLDER = "iam-assets/"
ZIP = ("Content-Type", "application/zip")
#: Of one member of an archive, unpacked.
MEMBER_BYTES_MAX = 32 * 1024 * 1024
#: Entries named in an error message.
NAMED_MAX = 10


async def export_iam(call: Call) -> Reply:
    """Everything of the account. Secret keys are in it for the root of the account alone, unless a session policy binds
    its key."""
    secrets = call.who.owner and not call.who.sessions
    documents = await _transfer(call).collect(
        call.account, _root_key(call), secrets, lambda ns: moments.show(ns, moments.EPOCH)
    )
    members = [(FOLDER + file, encode(getattr(documents, name))) for file, (name, _) in FILES.items()]
    return Reply(200, [ZIP], await pack(members))


async def import_iam(call: Call) -> Reply:
    """The older call, whose clients read no report: one with something in it that was not taken is an error."""
    failed = [one for one in await _import(call) if one.error is not None]
    if failed:
        named = "; ".join(f"{one.what} {one.name}: {told(one.error)}" for one in failed[:NAMED_MAX])
        raise InvalidRequest(f"{len(failed)} entries were not imported, the others were. {named}")
    return done()


async def import_iam_v2(call: Call) -> Reply:
    """madmin ``ImportIAMResult``. Why an entry failed is in ``message``: clients cannot read anything but null in the
    ``error`` that MinIO's documents have."""
    found = await _import(call)
    failed = [one for one in found if one.error is not None]
    taken = [one for one in found if one.error is None]
    return plain(
        {
            "skipped": _entities([one for one in taken if one.skipped]),
            "removed": _entities([one for one in taken if one.removed]),
            "added": _entities([one for one in taken if not (one.skipped or one.removed)]),
            "failed": _failures(failed),
        }
    )


async def _import(call: Call) -> list[Outcome]:
    """Nothing is taken where a member of the archive is not what it must be."""
    members = await unpack(await call.signed.read(ARCHIVE_BYTES_MAX))
    documents = await asyncio.to_thread(_documents, members)
    as_root = call.who.owner and not call.who.sessions
    return await _transfer(call).take(call.account, _root_key(call), as_root, documents, moments.parse)


def _documents(members: dict[str, bytes]) -> Documents:
    """What the members say; in a thread, since they may be long. :raises BadDocument:"""
    documents = Documents()
    for file, (name, kind) in FILES.items():
        content = members.get(FOLDER + file)
        if content is None:
            continue
        if len(content) > MEMBER_BYTES_MAX:
            raise BadDocument(f"{FOLDER}{file} has more than {MEMBER_BYTES_MAX} bytes.")
        try:
            setattr(documents, name, decode(content, kind))
        except BadDocument as error:
            raise BadDocument(f"{FOLDER}{file}: {error.message}") from None
    return documents


def _transfer(call: Call) -> Transfer:
    one = call.services.identity
    return Transfer(one.realm, one.users, one.groups, one.policies, one.access_keys)


def _root_key(call: Call) -> str:
    if call.other is not None:
        return call.other.root_key
    record = call.services.identity.directory.account(call.account)
    return record.root_key if record is not None else ""


def told(error: StoreError | None) -> str:
    """An error as one line."""
    if error is None:
        return ""
    return f"{error.name}: {error.message}" if error.message else error.name


def _entities(outcomes: list[Outcome]) -> dict[str, Any]:
    """madmin ``IAMEntities``."""
    found: dict[str, list[Any]] = {}
    for one in outcomes:
        found.setdefault(one.what, []).append(one.name if one.policies is None else {one.name: one.policies})
    return found


def _failures(outcomes: list[Outcome]) -> dict[str, Any]:
    """madmin ``IAMErrEntities``."""
    found: dict[str, list[Any]] = {}
    for one in outcomes:
        entry = {"name": one.name, **some(policies=one.policies), "error": None, "message": told(one.error)}
        found.setdefault(one.what, []).append(entry)
    return found
