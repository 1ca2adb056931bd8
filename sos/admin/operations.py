"""The one table of the admin API: routing and authorisation. What is not implemented is in it and answers 501.

Source: MinIO's ``cmd/admin-router.go`` and ``cmd/kms-router.go``; names are those of its handlers without ``Handler``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ..http.message import Reply
from .call import Call
from .handlers import (
    absent,
    access_keys,
    accounts,
    buckets,
    config,
    explain,
    explain_replay,
    explain_simulate,
    groups,
    heal,
    healthinfo,
    idp_config,
    info,
    inspect,
    ldap,
    listing_keys,
    logs,
    metrics,
    openid_keys,
    policies,
    profile,
    server,
    speedtest,
    trace,
    transfer_buckets,
    transfer_iam,
    users,
)

Handler = Callable[[Call], Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One row.

    :param path: below ``/minio/``; ``{x}`` is one segment, ``{x*}`` all that follows
    :param actions: one of them must be allowed; none: the handler decides
    :param query: parameters without which the row does not match
    :param about: whose it is: ``server`` the deployment's first account's, ``own`` the caller's, ``bucket`` that of the
        bucket in the query
    """

    name: str
    method: str
    path: str
    actions: tuple[str, ...]
    handler: Handler | None = None
    query: tuple[str, ...] = ()
    about: str = "server"


def _admin(
    name: str,
    route: str,
    actions: str,
    handler: Handler | None = None,
    query: str = "",
    about: str = "server",
) -> Operation:
    """A row below ``admin/v3``; ``route`` is the method and the path, ``actions`` without their prefix."""
    method, path = route.split(" ")
    named = tuple(one if ":" in one else f"admin:{one}" for one in actions.split())
    return Operation(name, method, f"admin/v3/{path}", named, handler, tuple(query.split()), about)


def _own(name: str, route: str, actions: str, handler: Handler | None = None, query: str = "") -> Operation:
    """About users, groups, policies and keys of the caller's account."""
    return _admin(name, route, actions, handler, query, "own")


def _bucket(name: str, route: str, actions: str, handler: Handler | None = None, query: str = "bucket") -> Operation:
    return _admin(name, route, actions, handler, query, "bucket")


_SERVER = (
    _admin("ServiceRestart", "POST service", "", server.service, "action"),
    _admin("ServerUpdate", "POST update", "ServerUpdate", None, "updateURL"),
    _admin("ServerInfo", "GET info", "ServerInfo", info.server_info),
    _admin("StorageInfo", "GET storageinfo", "StorageInfo", info.storage_info),
    _admin("DataUsageInfo", "GET datausageinfo", "DataUsageInfo", info.data_usage_info),
    _own("AccountInfo", "GET accountinfo", "", info.account_info),
    _admin("InspectData", "GET inspect-data", "InspectData", inspect.inspect_data, "volume file"),
    _admin("InspectData", "POST inspect-data", "InspectData", inspect.inspect_data),
    _admin("Metrics", "GET metrics", "ServerInfo", metrics.metrics),
    _admin("BackgroundHealStatus", "POST background-heal/status", "Heal", heal.heal_status),
    _admin("Heal", "POST heal/{path*}", "Heal", heal.heal),
    _admin("ListPools", "GET pools/list", "ServerInfo Decommission", server.list_pools),
    _admin("StatusPool", "GET pools/status", "ServerInfo Decommission", server.pool_status, "pool"),
    _admin("StartDecommission", "POST pools/decommission", "Decommission", None, "pool"),
    _admin("CancelDecommission", "POST pools/cancel", "Decommission", None, "pool"),
    _admin("RebalanceStart", "POST rebalance/start", "Rebalance"),
    _admin("RebalanceStatus", "GET rebalance/status", "Rebalance", absent.rebalance),
    _admin("RebalanceStop", "POST rebalance/stop", "Rebalance", absent.rebalance),
    _admin("StartProfiling", "POST profiling/start", "Profiling", profile.start_profiling, "profilerType"),
    _admin("DownloadProfiling", "GET profiling/download", "Profiling", profile.download_profiling),
    _admin("Profile", "POST profile", "Profiling", profile.profile, "profilerType"),
    _admin("TopLocks", "GET top/locks", "TopLocksInfo", server.top_locks),
    _admin("ForceUnlock", "POST force-unlock", "ForceUnlock", None, "paths"),
    _admin("Speedtest", "POST speedtest", "OBDInfo", speedtest.speedtest),
    _admin("SpeedtestClientDevnull", "POST speedtest/client/devnull", "BandwidthMonitor", speedtest.devnull),
    _admin(
        "SpeedtestClientDevnullExtraTime",
        "POST speedtest/client/devnull/extratime",
        "BandwidthMonitor",
        speedtest.devnull_extra_time,
    ),
    _admin("Speedtest", "POST speedtest/{kind}", "OBDInfo", speedtest.speedtest),
    _admin("Trace", "GET trace", "ServerTrace", trace.trace),
    _admin("ConsoleLog", "GET log", "ConsoleLog", logs.console_log),
    _admin("HealthInfo", "GET healthinfo", "OBDInfo", healthinfo.health_info),
    _admin("HealthInfo", "GET obdinfo", "OBDInfo", healthinfo.health_info),
)

_CONFIG = (
    _admin("GetConfigKV", "GET get-config-kv", "ConfigUpdate", config.get_config_kv, "key"),
    _admin("SetConfigKV", "PUT set-config-kv", "ConfigUpdate", config.set_config_kv),
    _admin("DelConfigKV", "DELETE del-config-kv", "ConfigUpdate", config.del_config_kv),
    _admin("HelpConfigKV", "GET help-config-kv", "ConfigUpdate", config.help_config_kv, "subSys key"),
    _admin("ListConfigHistoryKV", "GET list-config-history-kv", "ConfigUpdate", config.list_history, "count"),
    _admin("ClearConfigHistoryKV", "DELETE clear-config-history-kv", "ConfigUpdate", config.clear_history, "restoreId"),
    _admin("RestoreConfigHistoryKV", "PUT restore-config-history-kv", "ConfigUpdate", config.restore_history, "restoreId"),
    _admin("GetConfig", "GET config", "ConfigUpdate", config.export_config),
    _admin("SetConfig", "PUT config", "ConfigUpdate", config.import_config),
    _admin("AddIdentityProviderCfg", "PUT idp-config/{type}/{name}", "ConfigUpdate", idp_config.add),
    _admin("UpdateIdentityProviderCfg", "POST idp-config/{type}/{name}", "ConfigUpdate", idp_config.update),
    _admin("GetIdentityProviderCfg", "GET idp-config/{type}/{name}", "ConfigUpdate", idp_config.info),
    _admin("DeleteIdentityProviderCfg", "DELETE idp-config/{type}/{name}", "ConfigUpdate", idp_config.remove),
    _admin("ListIdentityProviderCfg", "GET idp-config/{type}", "ConfigUpdate", idp_config.list_all),
)

_USERS = (
    _own("AddUser", "PUT add-user", "", users.add, "accessKey"),
    _own("SetUserStatus", "PUT set-user-status", "EnableUser", users.set_status, "accessKey status"),
    _own("RemoveUser", "DELETE remove-user", "DeleteUser", users.remove, "accessKey"),
    _own("ListUsers", "GET list-users", "ListUsers", users.list_all),
    _own("GetUserInfo", "GET user-info", "", users.info, "accessKey"),
    _own("UpdateGroupMembers", "PUT update-group-members", "", groups.update_members),
    _own("GetGroup", "GET group", "GetGroup", groups.info, "group"),
    _own("ListGroups", "GET groups", "ListGroups", groups.list_all),
    _own("SetGroupStatus", "PUT set-group-status", "EnableGroup", groups.set_status, "group status"),
    _own("AddCannedPolicy", "PUT add-canned-policy", "CreatePolicy", policies.add, "name"),
    _own("InfoCannedPolicy", "GET info-canned-policy", "GetPolicy", policies.info, "name"),
    _own("ListCannedPolicies", "GET list-canned-policies", "ListUserPolicies", policies.list_all),
    _own("RemoveCannedPolicy", "DELETE remove-canned-policy", "DeletePolicy", policies.remove, "name"),
    _own(
        "SetPolicyForUserOrGroup", "PUT set-user-or-group-policy", "AttachUserOrGroupPolicy", policies.set_all,
        "policyName userOrGroup isGroup",
    ),
    _own(
        "AttachDetachPolicyBuiltin", "POST idp/builtin/policy/{way}",
        "UpdatePolicyAssociation AttachUserOrGroupPolicy", policies.attach_or_detach,
    ),
    _own(
        "ListPolicyMappingEntities", "GET idp/builtin/policy-entities", "ListGroups ListUsers ListUserPolicies",
        policies.entities,
    ),
    _own("ExportIAM", "GET export-iam", "ExportIAM", transfer_iam.export_iam),
    _own("ImportIAM", "PUT import-iam", "ImportIAM", transfer_iam.import_iam),
    _own("ImportIAMV2", "PUT import-iam-v2", "ImportIAM", transfer_iam.import_iam_v2),
)  # fmt: skip

_ACCOUNTS = (
    _admin("AddAccount", "PUT add-account", "CreateAccount", accounts.add),
    _admin("ListAccounts", "GET list-accounts", "ListAccounts", accounts.list_all),
    _own("GetAccount", "GET account-info", "", accounts.info),
    _admin("SetAccountStatus", "POST set-account-status", "DisableAccount", accounts.set_status, "name status"),
    _admin("SetAccount", "POST set-account", "CreateAccount", accounts.update, "name"),
    _admin("RemoveAccount", "DELETE remove-account", "DeleteAccount", accounts.remove, "name"),
)

_DECISIONS = (
    _own("ExplainRequest", "GET sos/explain", "ExplainDecision", explain.explain_request, "requestId"),
    _own("SimulatePolicy", "POST sos/policy/simulate", "SimulatePolicy", explain_simulate.simulate),
    _own("ReplayPolicy", "POST sos/policy/replay", "SimulatePolicy", explain_replay.replay_hour),
)
"""Not MinIO's, so below a name that it cannot use."""

_KEYS = (
    _own("AddServiceAccount", "PUT add-service-account", "", access_keys.add),
    _own("UpdateServiceAccount", "POST update-service-account", "", access_keys.update, "accessKey"),
    _own("InfoServiceAccount", "GET info-service-account", "", access_keys.info, "accessKey"),
    _own("ListServiceAccounts", "GET list-service-accounts", "", listing_keys.list_service_accounts),
    _own("DeleteServiceAccount", "DELETE delete-service-account", "", access_keys.remove, "accessKey"),
    _own("TemporaryAccountInfo", "GET temporary-account-info", "", access_keys.temporary_info, "accessKey"),
    _own("InfoAccessKey", "GET info-access-key", "", access_keys.any_info, "accessKey"),
    _own("ListAccessKeysBulk", "GET list-access-keys-bulk", "", listing_keys.list_bulk, "listType"),
    _own("RevokeTokens", "POST revoke-tokens/{provider}", "", access_keys.revoke),
    _own("AddServiceAccountLDAP", "PUT idp/ldap/add-service-account", "", ldap.add_service_account),
    _own("ListAccessKeysLDAP", "GET idp/ldap/list-access-keys", "", ldap.list_access_keys, "userDN listType"),
    _own("ListAccessKeysLDAPBulk", "GET idp/ldap/list-access-keys-bulk", "", ldap.list_access_keys_bulk),
    _admin(
        "ListLDAPPolicyMappingEntities", "GET idp/ldap/policy-entities", "ListGroups ListUsers ListUserPolicies",
        ldap.entities,
    ),
    _admin("AttachDetachPolicyLDAP", "POST idp/ldap/policy/{way}", "UpdatePolicyAssociation", ldap.attach_or_detach),
    _own("ListAccessKeysOpenIDBulk", "GET idp/openid/list-access-keys-bulk", "", openid_keys.list_bulk, "listType"),
)

_BUCKETS = (
    _bucket("GetBucketQuotaConfig", "GET get-bucket-quota", "GetBucketQuota", buckets.get_quota),
    _bucket("PutBucketQuotaConfig", "PUT set-bucket-quota", "SetBucketQuota", buckets.set_quota),
    _bucket("ListRemoteTargets", "GET list-remote-targets", "GetBucketTarget", absent.list_remote_targets, "bucket type"),
    _bucket("SetRemoteTarget", "PUT set-remote-target", "SetBucketTarget"),
    _bucket("RemoveRemoteTarget", "DELETE remove-remote-target", "SetBucketTarget", absent.remote_target, "bucket arn"),
    _bucket("ReplicationDiff", "POST replication/diff", "ReplicationDiff", absent.remote_target),
    _bucket("ReplicationMRF", "GET replication/mrf", "ReplicationDiff", absent.replication_failures),
    _bucket(
        "ExportBucketMetadata", "GET export-bucket-metadata", "ExportBucketMetadata",
        transfer_buckets.export_buckets, "",
    ),
    _bucket(
        "ImportBucketMetadata", "PUT import-bucket-metadata", "ImportBucketMetadata",
        transfer_buckets.import_buckets, "",
    ),
)

_JOBS = (
    _admin("StartBatchJob", "POST start-job", "StartBatchJob"),
    _admin("ListBatchJobs", "GET list-jobs", "ListBatchJobs", absent.list_jobs),
    _admin("BatchJobStatus", "GET status-job", "ListBatchJobs", absent.job),
    _admin("DescribeBatchJob", "GET describe-job", "DescribeBatchJob", absent.job),
    _admin("CancelBatchJob", "DELETE cancel-job", "CancelBatchJob", absent.job),
    _admin("AddTier", "PUT tier", "SetTier"),
    _admin("EditTier", "POST tier/{tier}", "SetTier", absent.tier),
    _admin("RemoveTier", "DELETE tier/{tier}", "SetTier", absent.tier),
    _admin("ListTier", "GET tier", "ListTier", absent.list_tiers),
    _admin("VerifyTier", "GET tier/{tier}", "ListTier", absent.tier),
    _admin("TierStats", "GET tier-stats", "ListTier", absent.list_tiers),
    _admin("SiteReplicationAdd", "PUT site-replication/add", "SiteReplicationAdd"),
    _admin("SiteReplicationRemove", "PUT site-replication/remove", "SiteReplicationRemove", absent.site_change),
    _admin("SiteReplicationEdit", "PUT site-replication/edit", "SiteReplicationAdd", absent.site_change),
    _admin("SiteReplicationInfo", "GET site-replication/info", "SiteReplicationInfo", absent.site_info),
    _admin("SiteReplicationMetaInfo", "GET site-replication/metainfo", "SiteReplicationInfo", absent.site_status),
    _admin("SiteReplicationStatus", "GET site-replication/status", "SiteReplicationInfo", absent.site_status),
    _admin("SiteReplicationDevNull", "POST site-replication/devnull", "SiteReplicationOperation"),
    _admin("SiteReplicationNetPerf", "POST site-replication/netperf", "SiteReplicationOperation"),
    _admin("SRPeerGetIDPSettings", "GET site-replication/peer/idp-settings", "SiteReplicationAdd"),
    _admin("SRPeer", "PUT site-replication/peer/{call}", "SiteReplicationOperation"),
    _admin("SiteReplicationResyncOp", "PUT site-replication/resync/op", "SiteReplicationResync", absent.site_change),
    _admin("SRStateEdit", "PUT site-replication/state/edit", "SiteReplicationOperation"),
)

_KMS = (
    _admin("KMSStatus", "POST kms/status", "kms:Status", absent.kms),
    _admin("KMSCreateKey", "POST kms/key/create", "KMSCreateKey kms:CreateKey", absent.kms),
    _admin("KMSKeyStatus", "GET kms/key/status", "KMSKeyStatus kms:KeyStatus", absent.kms),
    *(
        Operation(f"KMS{action}", method, f"kms/v1/{path}", (f"kms:{action}",), absent.kms)
        for method, path, action in (
            ("GET", "status", "Status"),
            ("GET", "metrics", "Metrics"),
            ("GET", "apis", "API"),
            ("GET", "version", "Version"),
            ("POST", "key/create", "CreateKey"),
            ("GET", "key/list", "ListKeys"),
            ("GET", "key/status", "KeyStatus"),
        )
    ),
)

OPERATIONS: tuple[Operation, ...] = (
    *_SERVER, *_CONFIG, *_USERS, *_ACCOUNTS, *_DECISIONS, *_KEYS, *_BUCKETS, *_JOBS, *_KMS,
)  # fmt: skip
"""Every call, in the order in which rows of one path are tried."""
