"""Which policies a decision depended on, in 16 hex digits: the same in every worker, another when anything changed."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from blake3 import blake3

from ...domain.policy.compiled import PolicySet
from ...domain.policy.document import to_json

#: Sets of which the digest is kept. It is worked out for denials only.
SETS_MAX = 256
DIGITS = 16


@lru_cache(SETS_MAX)
def _digest(policies: PolicySet) -> bytes:
    parts = sorted(
        blake3(policy.name.encode() + b"\0" + to_json(policy.document)).digest() for policy in policies.policies
    )
    return blake3(b"".join(parts)).digest()


def revision_of(identity: PolicySet, bucket: PolicySet, sessions: Iterable[PolicySet]) -> str:
    """Of all policies together. The order in which those of an identity are attached decides nothing and counts nothing."""
    parts = [_digest(policies) for policies in (identity, bucket, *sessions)]
    return blake3(b"".join(parts)).hexdigest()[:DIGITS]
