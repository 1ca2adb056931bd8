"""The actions that policies can name, with their level and the condition keys that each takes."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from functools import lru_cache

from . import keys
from .match import Pattern, compile_pattern


class Level(StrEnum):
    """What an action's resource is."""

    SERVICE = "service"
    BUCKET = "bucket"
    OBJECT = "object"


_SERVICE = "ListAllMyBuckets ListAllMyDirectoryBuckets ListenNotification"

_BUCKET = """
CreateBucket DeleteBucket ForceDeleteBucket DeleteBucketPolicy DeleteBucketCors GetBucketLocation GetBucketNotification
GetBucketPolicy GetBucketCors HeadBucket ListBucket GetBucketPolicyStatus ListBucketVersions ListBucketMultipartUploads
ListenBucketNotification PutLifecycleConfiguration GetLifecycleConfiguration PutBucketNotification PutBucketPolicy
PutBucketCors GetBucketObjectLockConfiguration PutBucketObjectLockConfiguration GetBucketTagging PutBucketTagging
PutEncryptionConfiguration GetEncryptionConfiguration PutBucketVersioning GetBucketVersioning
GetReplicationConfiguration PutReplicationConfiguration
GetBucketAcl PutBucketAcl GetBucketLogging PutBucketLogging GetBucketWebsite PutBucketWebsite DeleteBucketWebsite
GetBucketRequestPayment PutBucketRequestPayment GetAccelerateConfiguration PutAccelerateConfiguration
GetBucketOwnershipControls PutBucketOwnershipControls GetBucketPublicAccessBlock PutBucketPublicAccessBlock
GetAnalyticsConfiguration PutAnalyticsConfiguration GetInventoryConfiguration PutInventoryConfiguration
GetMetricsConfiguration PutMetricsConfiguration GetIntelligentTieringConfiguration PutIntelligentTieringConfiguration
CreateSession CreateBucketMetadataTableConfiguration DeleteBucketMetadataTableConfiguration
GetBucketMetadataTableConfiguration UpdateBucketMetadataInventoryTableConfiguration
UpdateBucketMetadataJournalTableConfiguration GetBucketAbac PutBucketAbac
"""

_OBJECT = """
AbortMultipartUpload DeleteObject GetObject GetObjectAttributes ListMultipartUploadParts PutObject DeleteObjectVersion
DeleteObjectVersionTagging GetObjectVersion GetObjectVersionAttributes GetObjectVersionTagging PutObjectVersionTagging
BypassGovernanceRetention PutObjectRetention GetObjectRetention GetObjectLegalHold PutObjectLegalHold GetObjectTagging
PutObjectTagging DeleteObjectTagging ReplicateObject ReplicateDelete ReplicateTags GetObjectVersionForReplication
RestoreObject ResetBucketReplicationState PutObjectFanOut
GetObjectAcl PutObjectAcl GetObjectVersionAcl PutObjectVersionAcl GetObjectTorrent GetObjectVersionTorrent
UpdateObjectEncryption
"""

_ADMIN = """
Heal Decommission Rebalance StorageInfo Prometheus DataUsageInfo ForceUnlock TopLocksInfo Profiling ServerTrace
ConsoleLog KMSCreateKey KMSKeyStatus ServerInfo OBDInfo LicenseInfo BandwidthMonitor InspectData ServerUpdate
ServiceRestart ServiceStop ServiceFreeze ConfigUpdate CreateUser DeleteUser ListUsers EnableUser DisableUser GetUser
SiteReplicationAdd SiteReplicationDisable SiteReplicationRemove SiteReplicationResync SiteReplicationInfo
SiteReplicationOperation CreateServiceAccount UpdateServiceAccount RemoveServiceAccount ListServiceAccounts
ListTemporaryAccounts AddUserToGroup RemoveUserFromGroup GetGroup ListGroups EnableGroup DisableGroup CreatePolicy
DeletePolicy GetPolicy AttachUserOrGroupPolicy UpdatePolicyAssociation ListUserPolicies SetBucketQuota GetBucketQuota
SetBucketTarget GetBucketTarget ReplicationDiff ImportBucketMetadata ExportBucketMetadata SetTier ListTier ExportIAM
ImportIAM ListBatchJobs DescribeBatchJob StartBatchJob CancelBatchJob GenerateBatchJob ClusterInfo PoolList PoolInfo
SetInfo DriveInfo ServiceCordon NodeList NodeInfo DriveList
CreateAccount ListAccounts GetAccount DisableAccount DeleteAccount ExplainDecision SimulatePolicy
"""

_ADMIN_OF_BUCKET = """
SetBucketQuota GetBucketQuota SetBucketTarget GetBucketTarget ReplicationDiff ImportBucketMetadata ExportBucketMetadata
"""

_KMS = """
CreateKey DeleteKey ListKeys ImportKey DescribePolicy AssignPolicy DeletePolicy SetPolicy GetPolicy ListPolicies
DescribeIdentity DescribeSelfIdentity DeleteIdentity ListIdentities KeyStatus Status API Metrics Version AuditLog
ErrorLog
"""

_STS = """
AssumeRole AssumeRoleWithWebIdentity AssumeRoleWithClientGrants AssumeRoleWithLDAPIdentity AssumeRoleWithCertificate
AssumeRoleWithCustomToken
"""


def _named(prefix: str, names: str, level: Level) -> dict[str, Level]:
    return {f"{prefix}:{name}": level for name in names.split()}


ACTIONS: dict[str, Level] = {
    **_named("s3", _SERVICE, Level.SERVICE),
    **_named("s3", _BUCKET, Level.BUCKET),
    **_named("s3", _OBJECT, Level.OBJECT),
    **_named("admin", _ADMIN, Level.SERVICE),
    **_named("admin", _ADMIN_OF_BUCKET, Level.BUCKET),
    **_named("kms", _KMS, Level.SERVICE),
    **_named("sts", _STS, Level.SERVICE),
}
"""Every known action → its level."""

NAMESPACES = ("s3", "admin", "sts", "kms")

_OF_EXISTING = """
GetObjectVersionAttributes GetObjectTagging DeleteObjectTagging GetObjectVersion GetObjectVersionTagging
DeleteObjectVersionTagging ReplicateObject ReplicateDelete ReplicateTags GetObjectVersionForReplication
"""
_OBJECT_KEYS = keys.VERSION | keys.EXISTING
_KEYS: dict[str, frozenset[str]] = {
    "s3:DeleteObject": keys.VERSION,
    "s3:DeleteObjectVersion": keys.VERSION,
    "s3:GetObject": keys.ENCRYPTION | _OBJECT_KEYS,
    "s3:GetObjectAttributes": keys.EXISTING,
    "s3:ListBucket": keys.LISTING,
    "s3:ListBucketVersions": keys.LISTING,
    "s3:PutObject": keys.ENCRYPTION | keys.WRITING | keys.VERSION | keys.LOCK | keys.HOLD | keys.REQUESTED,
    "s3:PutObjectRetention": keys.ENCRYPTION | keys.REMAINING | keys.LOCK | keys.VERSION,
    "s3:GetObjectRetention": keys.ENCRYPTION | keys.VERSION,
    "s3:PutObjectLegalHold": keys.ENCRYPTION | keys.HOLD | keys.VERSION,
    "s3:BypassGovernanceRetention": keys.VERSION | keys.REMAINING | keys.LOCK | keys.HOLD | keys.REQUESTED,
    "s3:PutBucketTagging": keys.REQUESTED,
    "s3:PutObjectTagging": _OBJECT_KEYS | keys.REQUESTED,
    "s3:PutObjectVersionTagging": _OBJECT_KEYS | keys.REQUESTED,
    **{f"s3:{name}": _OBJECT_KEYS for name in _OF_EXISTING.split()},
}
_EVERY = {"s3": keys.S3, "admin": keys.ADMIN, "sts": keys.STS, "kms": keys.KMS}
_BASE = {**_EVERY, "s3": keys.COMMON}
_FOLDED = {name.lower(): name for name in ACTIONS}
PATTERNS_MAX = 4096


def namespace_of(action: str) -> str:
    return action.partition(":")[0].lower()


def level_of(action: str) -> Level | None:
    """None for an action that is not known; without regard to case."""
    name = _FOLDED.get(action.lower())
    return ACTIONS[name] if name else None


def action_pattern(text: str) -> Pattern:
    """A pattern of actions: no variables, no regard to case."""
    return compile_pattern(text, variables=False, fold=True)


@lru_cache(PATTERNS_MAX)
def known_actions(pattern: str) -> frozenset[str]:
    """The known actions that a pattern of a policy matches."""
    match: Callable[[str], bool] = action_pattern(pattern).glob.match  # type: ignore[union-attr]
    return frozenset(name for folded, name in _FOLDED.items() if match(folded))


@lru_cache(PATTERNS_MAX)
def condition_keys(pattern: str) -> frozenset[str]:
    """The condition keys that statements about these actions may use."""
    matched = known_actions(pattern)
    found: set[str] = set()
    for space in {namespace_of(action) for action in matched}:
        found |= _EVERY[space] if pattern.lower() in ("*", f"{space}:*") else _BASE[space]
    return frozenset(found.union(*(_KEYS.get(action, frozenset()) for action in matched)))
