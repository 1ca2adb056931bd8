"""Rows of accounts as set 0 has them, from a drive where they can be read.

Every change of an object asks for the quotas of accounts, and every request to a bucket whether its account is disabled: so
a damaged row on one drive must hold up nobody. A miss is believed when two drives agree on it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

from ...domain.errors import BadRow, DriveFault
from ...erasure.handle import SetHandle, Snapshot
from ...meta import iam, keys
from ...meta.iam import AccountRecord
from ...meta.rows import is_sealed, open_row
from ..anywhere import read, read_now

log = logging.getLogger("sos.services.identity")


def account_now(system: SetHandle, account: str) -> AccountRecord | None:
    """One, at once, on the event loop; None where there is none.

    :raises MustWait: nothing can be read at this moment
    :raises DriveFault: its row is bad on every drive
    """
    row = iam.account_row(account)

    def look(snapshot: Snapshot) -> AccountRecord | None:
        found = _one(snapshot, row)
        return _second_look(system, snapshot, row) if found is None else found

    return read_now(system, look)


async def every_account(system: SetHandle) -> list[AccountRecord]:
    """All but root's, by id. One that no drive can read is left out: others must not be held up for it, and whatever is its
    own is refused where the row itself is asked for.

    :raises ReadQuorumLost:
    """
    try:
        return await read(system, lambda snapshot: list(_every(snapshot, bad=True)))
    except BadRow as error:
        log.error("an account is left out, its record is bad on every drive: %s %s", error, error.detail)
        return await read(system, lambda snapshot: list(_every(snapshot, bad=False)))


def _one(snapshot: Snapshot, row: bytes) -> AccountRecord | None:
    value = snapshot.get("sys", row)
    return None if value is None else iam.decode(open_row(row, value, bytes), AccountRecord)


def _second_look(system: SetHandle, snapshot: Snapshot, row: bytes) -> AccountRecord | None:
    """What another drive has of an account that the first does not have."""
    other = system.beside(snapshot)
    if other is None:
        return None
    try:
        found = _one(other, row)
        if found is not None and other.seq == snapshot.seq:
            system.distrust(snapshot, BadRow("a row is missing on one drive"))
        return found
    except DriveFault as error:
        system.distrust(other, error)
        return None
    finally:
        other.close()


def _every(snapshot: Snapshot, *, bad: bool) -> Iterator[AccountRecord]:
    """:param bad: raise for a bad row; else it is left out"""
    prefix = iam.account_row("")
    for row, value in snapshot.scan("sys", prefix, keys.after_prefix(prefix)):
        if bad or is_sealed(row, value):
            yield iam.decode(open_row(row, value, bytes), AccountRecord)
