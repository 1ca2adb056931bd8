"""Features that nothing configures: what a client is told who looks for what they would hold. The truth: there is none.

Calls that would make something of theirs have no handler and answer 501.
"""

from __future__ import annotations

from ...domain.errors import (
    KmsNotConfigured,
    NoSuchJob,
    NoSuchRemoteTarget,
    NoSuchTier,
    RebalanceNotStarted,
    SitesNotReplicated,
)
from ...http.message import Reply
from ..call import Call, done, plain


async def kms(call: Call) -> Reply:
    """:raises KmsNotConfigured:"""
    raise KmsNotConfigured()


async def rebalance(call: Call) -> Reply:
    """:raises RebalanceNotStarted:"""
    raise RebalanceNotStarted()


async def list_jobs(call: Call) -> Reply:
    """madmin ``ListBatchJobsResult``."""
    return plain({"jobs": []})


async def job(call: Call) -> Reply:
    """:raises NoSuchJob:"""
    raise NoSuchJob()


async def list_tiers(call: Call) -> Reply:
    """madmin ``TierConfig`` or ``TierInfo``, of every tier."""
    return plain([])


async def tier(call: Call) -> Reply:
    """:raises NoSuchTier:"""
    raise NoSuchTier()


async def site_info(call: Call) -> Reply:
    """madmin ``SiteReplicationInfo``."""
    return plain({"enabled": False})


async def site_status(call: Call) -> Reply:
    """madmin ``SRStatusInfo`` and ``SRInfo``, of which nothing else is filled in where sites are not replicated."""
    nothing: dict[str, dict[str, str]] = {
        f"{kind}Stats": {} for kind in ("Bucket", "Policy", "User", "Group", "ILMExpiry")
    }
    return plain({"Enabled": False, **nothing})


async def site_change(call: Call) -> Reply:
    """:raises SitesNotReplicated:"""
    raise SitesNotReplicated()


async def list_remote_targets(call: Call) -> Reply:
    """Of a bucket, or of all: where a bucket would be replicated to."""
    await _check(call)
    return plain([])


async def remote_target(call: Call) -> Reply:
    """:raises NoSuchRemoteTarget:"""
    await _check(call)
    raise NoSuchRemoteTarget()


async def replication_failures(call: Call) -> Reply:
    """Objects whose replication failed, one JSON document a line."""
    await _check(call)
    return done()


async def _check(call: Call) -> None:
    """:raises NoSuchBucket:"""
    if bucket := call.get("bucket"):
        await call.services.buckets.get(bucket)
