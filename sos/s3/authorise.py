"""The hooks of the dispatcher: decisions by the policies in force, and who accounts are."""

from __future__ import annotations

from ..domain.policy.evaluate import Verdict
from ..services.access import Access, bucket_in_question
from ..services.buckets import Buckets
from ..services.identity.directory import Directory
from .auth.identity import Identity
from .call import Authorise, Ids
from .circumstances import Circumstances
from .xml.documents import Who, who


def authorise_with(access: Access, buckets: Buckets) -> Authorise:
    """Decisions over the records of buckets as they are at this moment."""

    def authorise(identity: Identity, action: str, bucket: str, key: bytes, values: Circumstances) -> Verdict:
        record = bucket_in_question(buckets.find_now, action, bucket)
        return access.decide(identity.principal, action, bucket, record, key, values.get)

    return authorise


def ids_by(directory: Directory) -> Ids:
    """By what clients may name accounts."""

    def ids(account: str) -> tuple[str, ...]:
        record = directory.account(account)
        return (account,) if record is None else (account, record.canonical_id)

    return ids


def known_by(directory: Directory) -> Who:
    """How documents show accounts: one that is gone by its number."""

    def known(account: str) -> str:
        record = directory.account(account)
        return who(account, account) if record is None else who(record.canonical_id, record.name)

    return known
