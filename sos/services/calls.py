"""Turning proposals into answers: shared by all services."""

from __future__ import annotations

import os

from ..domain.errors import InternalFault, StoreError, rebuild
from ..erasure.handle import SetHandle
from ..meta.proposals import AnyProposal, Done, Outcome


def request_id() -> bytes:
    """A fresh id for one proposal: repeated tries of it carry the same one."""
    return os.urandom(16)


def as_error(outcome: Outcome) -> Done | StoreError:
    """The outcome, or the domain error that it stands for."""
    if isinstance(outcome, Done):
        return outcome
    return rebuild(outcome.name, outcome.message, dict(outcome.detail))


async def decide(target: SetHandle, proposal: AnyProposal) -> Done | StoreError:
    """What the owner decided of one proposal: committed, or refused and nothing changed.

    :raises StoreError: nobody knows; it may be committed
    """
    outcomes = await target.submit([proposal])
    if len(outcomes) != 1:
        raise InternalFault(f"{len(outcomes)} outcomes for one proposal")
    return as_error(outcomes[0])


async def commit(target: SetHandle, proposal: AnyProposal) -> Done:
    """Commit one proposal.

    :raises StoreError: the owner refused it, or could not commit it
    """
    result = await decide(target, proposal)
    if isinstance(result, StoreError):
        raise result
    return result
