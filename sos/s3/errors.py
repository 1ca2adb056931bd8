"""What each failure becomes on the wire: the only place that gives failures their codes."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, replace

from ..domain import errors as domain
from ..http.message import Reply
from .auth.errors import AuthError
from .codes import Code
from .identifiers import show_version
from .xml.text import HEADER, escape, http_time

LOG = logging.getLogger(__name__)
RETRY_AFTER_S = "60"


class Refusal(Exception):
    """A request refused by this layer itself.

    :param message: instead of the code's standard message
    :param detail: further elements of the reply (element name → text)
    """

    def __init__(self, code: Code, message: str = "", **detail: str | int | bool) -> None:
        super().__init__(message or code.message)
        self.code = code
        self.message = message
        self.detail: dict[str, str | int | bool] = detail


KINDS: dict[str, Code] = {
    "policy": Code.NoSuchBucketPolicy,
    "lifecycle": Code.NoSuchLifecycleConfiguration,
    "encryption": Code.ServerSideEncryptionConfigurationNotFoundError,
    "tagging": Code.NoSuchTagSet,
    "object-lock": Code.ObjectLockConfigurationNotFoundError,
    "retention": Code.NoSuchObjectLockConfiguration,
    "replication": Code.ReplicationConfigurationNotFoundError,
    "cors": Code.NoSuchCORSConfiguration,
    "website": Code.NoSuchWebsiteConfiguration,
}
"""Kind of a missing configuration → code."""

SERVICE_ACCOUNT = "The specified service account is not found (Specified service account does not exist)"
WORM = "Object is WORM protected and cannot be overwritten"  # mc compares this text

CODES: dict[type[domain.StoreError], tuple[Code, str]] = {
    domain.StoreError: (Code.InternalError, ""),
    domain.NoSuchBucket: (Code.NoSuchBucket, ""),
    domain.NoSuchKey: (Code.NoSuchKey, ""),
    domain.NoSuchVersion: (Code.NoSuchVersion, ""),
    domain.NoSuchUpload: (Code.NoSuchUpload, ""),
    domain.NoSuchConfiguration: (Code.InternalError, ""),  # by kind, see KINDS
    domain.BucketExists: (Code.BucketAlreadyExists, ""),  # by ownership, see _refine
    domain.BucketNotEmpty: (Code.BucketNotEmpty, ""),
    domain.AccessDenied: (Code.AccessDenied, ""),
    domain.AccountDisabled: (Code.AllAccessDisabled, ""),
    domain.MethodNotAllowed: (Code.MethodNotAllowed, ""),
    domain.PreconditionFailed: (Code.PreconditionFailed, ""),
    domain.NotModified: (Code.NotModified, ""),
    domain.ConditionalConflict: (Code.ConditionalRequestConflict, ""),
    domain.ObjectLocked: (Code.InvalidRequest, WORM),
    domain.QuotaExceeded: (Code.XMinioAdminBucketQuotaExceeded, ""),
    domain.QuotaUngranted: (Code.ServerBusy, ""),
    domain.InvalidRange: (Code.InvalidRange, ""),
    domain.InvalidPartNumber: (Code.InvalidPartNumber, ""),
    domain.InvalidArgument: (Code.InvalidArgument, ""),
    domain.InvalidRequest: (Code.InvalidRequest, ""),
    domain.InvalidBucketName: (Code.InvalidBucketName, ""),
    domain.KeyTooLong: (Code.KeyTooLongError, ""),
    domain.EntityTooLarge: (Code.EntityTooLarge, ""),
    domain.EntityTooSmall: (Code.EntityTooSmall, ""),
    domain.InvalidPart: (Code.InvalidPart, ""),
    domain.InvalidPartOrder: (Code.InvalidPartOrder, ""),
    domain.InvalidStorageClass: (Code.InvalidStorageClass, ""),
    domain.MalformedPolicy: (Code.MalformedPolicy, ""),
    domain.PolicyTooLarge: (Code.PolicyTooLarge, ""),
    domain.NotImplementedHere: (Code.NotImplemented, ""),
    domain.NoSuchUser: (Code.XMinioAdminNoSuchUser, "Specified user does not exist"),
    domain.NoSuchGroup: (Code.XMinioAdminNoSuchGroup, "Specified group does not exist"),
    domain.NoSuchPolicy: (Code.XMinioAdminNoSuchPolicy, "Specified canned policy does not exist"),
    domain.NoSuchAccessKey: (Code.XMinioAdminNoSuchAccessKey, ""),
    domain.NoSuchServiceAccount: (Code.XMinioInvalidIAMCredentials, SERVICE_ACCOUNT),
    domain.NoSuchAccount: (Code.XMinioAdminNoSuchAccount, ""),
    domain.AccountExists: (Code.XMinioAdminAccountExists, ""),
    domain.AccountNotEmpty: (Code.XMinioAdminAccountNotEmpty, ""),
    domain.PolicyInUse: (Code.XMinioIAMPolicyInUse, ""),
    domain.PolicyUnchanged: (Code.XMinioAdminPolicyChangeAlreadyApplied, ""),
    domain.GroupNotEmpty: (Code.XMinioAdminGroupNotEmpty, "Specified group is not empty - cannot remove it"),
    domain.InvalidAccessKey: (Code.XMinioAdminInvalidAccessKey, ""),
    domain.InvalidSecretKey: (Code.XMinioAdminInvalidSecretKey, ""),
    domain.InvalidGroupName: (Code.XMinioInvalidGroupName, ""),
    domain.InvalidPolicyName: (Code.PolicyInvalidName, ""),
    domain.SessionPolicyTooLarge: (Code.XMinioIAMServiceAccountSessionPolicyTooLarge, ""),
    domain.TooManyAccessKeys: (Code.LimitExceeded, ""),
    domain.CredentialsTaken: (Code.XMinioInvalidIAMCredentials, ""),
    domain.ServiceAccountNotAllowed: (Code.XMinioIAMServiceAccountNotAllowed, ""),
    domain.IdentityClosed: (Code.XMinioIAMNotInitialized, ""),
    domain.RootSecretWrong: (Code.InternalError, ""),
    domain.UnknownCall: (Code.XMinioAdminVersionMismatch, ""),
    domain.UnsupportedCall: (Code.BadRequest, ""),
    domain.BadDocument: (Code.XMinioAdminConfigBadJSON, ""),
    domain.DocumentTooLarge: (Code.XMinioAdminConfigTooLarge, ""),
    domain.KmsNotConfigured: (Code.NotImplemented, "Server side encryption specified but KMS is not configured"),
    domain.RebalanceNotStarted: (Code.XMinioAdminRebalanceNotStarted, ""),
    domain.NoSuchJob: (Code.XMinioAdminNoSuchJob, ""),
    domain.NoSuchTier: (Code.XMinioAdminTierNotFound, ""),
    domain.NoSuchRemoteTarget: (Code.XMinioAdminRemoteTargetNotFoundError, ""),
    domain.SitesNotReplicated: (Code.XMinioSiteReplicationInvalidRequest, ""),
    domain.HealTokenUnknown: (Code.XMinioHealInvalidClientToken, ""),
    domain.HealMissingBucket: (Code.XMinioHealMissingBucket, ""),
    domain.InvalidAdminArgument: (Code.XMinioAdminInvalidArgument, ""),
    domain.ProfilerNotEnabled: (Code.XMinioAdminProfilerNotEnabled, ""),
    domain.SpeedtestInsufficientCapacity: (Code.XMinioSpeedtestInsufficientCapacity, ""),
    domain.NoSuchSetting: (Code.XMinioConfigError, ""),
    domain.InvalidSetting: (Code.XMinioConfigError, ""),
    domain.SettingNotFound: (Code.XMinioConfigNotFoundError, ""),
    domain.SettingRefused: (Code.XMinioAdminConfigBadJSON, ""),
    domain.DirectorySettingRefused: (Code.XMinioAdminConfigLDAPValidation, ""),
    domain.SettingPinned: (Code.XMinioAdminConfigEnvOverridden, ""),
    domain.NoSuchTarget: (Code.XMinioAdminNoSuchConfigTarget, ""),
    domain.NoSuchProvider: (Code.XMinioAdminConfigIDPCfgNameDoesNotExist, ""),
    domain.ProviderExists: (Code.XMinioAdminConfigIDPCfgNameAlreadyExists, ""),
    domain.NoSuchProviderType: (Code.XMinioAdminConfigInvalidIDPType, ""),
    domain.OnlyOneDirectory: (Code.XMinioAdminConfigLDAPNonDefaultConfigName, ""),
    domain.NotEnabled: (Code.XMinioLDAPNotEnabled, ""),  # or for OpenID, see _describe_domain
    domain.LdapUnreachable: (Code.XMinioLDAPUnreachable, ""),
    domain.LdapNameExpected: (Code.XMinioLDAPExpectedLoginName, ""),
    domain.BadDigest: (Code.BadDigest, ""),
    domain.InvalidDigest: (Code.InvalidDigest, ""),
    domain.ChecksumMismatch: (Code.XAmzContentChecksumMismatch, ""),
    domain.ContentHashMismatch: (Code.XAmzContentSHA256Mismatch, ""),
    domain.SignatureMismatch: (Code.SignatureDoesNotMatch, ""),
    domain.MalformedTrailer: (Code.MalformedTrailerError, ""),
    domain.MalformedFraming: (Code.InvalidRequest, "The aws-chunked framing of the body is malformed."),
    domain.IncompleteBody: (Code.IncompleteBody, ""),
    domain.ExcessBody: (Code.ExcessData, ""),
    domain.BodyTimeout: (Code.RequestTimeout, ""),
    domain.ClientGone: (Code.ClientDisconnected, ""),
    domain.ReadQuorumLost: (Code.SlowDownRead, ""),
    domain.WriteQuorumLost: (Code.SlowDownWrite, ""),
    domain.StorageFull: (Code.XMinioStorageFull, ""),
    domain.Busy: (Code.ServerBusy, ""),
    domain.MustWait: (Code.ServerBusy, ""),
    domain.OwnerLeaves: (Code.ServerBusy, ""),
    domain.InternalFault: (Code.InternalError, ""),
    domain.DriveFault: (Code.InternalError, ""),
    domain.DriveFull: (Code.XMinioStorageFull, ""),
    domain.DriveFenced: (Code.SlowDownWrite, ""),
    domain.DriveBehind: (Code.SlowDownWrite, ""),
    domain.BadRow: (Code.InternalError, ""),
    domain.BadRecord: (Code.InternalError, ""),
}
"""Every class of the domain's error tree → (code, message; empty = the code's own)."""

REASONED = frozenset(
    {
        Code.XMinioAdminNoSuchUser,
        Code.XMinioAdminNoSuchGroup,
        Code.XMinioAdminNoSuchPolicy,
        Code.XMinioAdminGroupNotEmpty,
        Code.XMinioAdminInvalidAccessKey,
        Code.XMinioAdminInvalidSecretKey,
        Code.XMinioInvalidGroupName,
    }
)
"""Codes whose standard message is shown with the reason in parentheses after it: scripts compare the whole text."""

STATUSES: dict[type[domain.StoreError], int] = {domain.NoSuchServiceAccount: 404}
"""Where the status is not that of the code."""

ADMIN_CODES = {Code.MalformedPolicy: Code.XMinioMalformedIAMPolicy}
"""What is called otherwise in the admin API."""

PRIVATE = frozenset({Code.InternalError, Code.SlowDownRead, Code.SlowDownWrite, Code.XMinioStorageFull})
"""Codes whose cause (paths, drives) stays in the log: the client gets the standard message."""

DETAILS: dict[str, str] = {
    "size": "ActualObjectSize",
    "range": "RangeRequested",
    "region": "Region",
    "headers": "HeadersNotSigned",
    "part": "PartNumber",
    "proposed": "ProposedSize",
    "minimum": "MinSizeAllowed",
    "etag": "ETag",
    "UploadId": "UploadId",
    "ArgumentName": "ArgumentName",
    "ArgumentValue": "ArgumentValue",
    "Condition": "Condition",
}
"""Facts of a failure that appear in the reply → element."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What the client is told.

    :param detail: facts; those named in ``DETAILS`` are shown
    :param status: HTTP status, mostly the code's own
    """

    code: Code
    message: str
    detail: dict[str, str | int | bool]
    status: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where a failure happened, for the reply.

    :param resource: path of the request, decoded
    :param host_id: id of this node
    """

    method: str
    resource: str
    bucket: str
    key: str
    request_id: str
    host_id: str
    region: str = ""


def describe(error: BaseException) -> Failure:
    """What a failure means to the client. Unknown classes are internal errors and are logged with their traceback."""
    if isinstance(error, Refusal):
        return Failure(error.code, error.message or error.code.message, error.detail, error.code.status)
    if isinstance(error, AuthError):
        return Failure(Code[error.code], error.message or error.text, error.detail, error.status)
    if isinstance(error, domain.StoreError):
        return _describe_domain(error)
    LOG.error("unexpected failure of a request", exc_info=error)
    return Failure(Code.InternalError, Code.InternalError.message, {}, 500)


def _describe_domain(error: domain.StoreError) -> Failure:
    code, message = CODES.get(type(error)) or next(CODES[c] for c in type(error).__mro__ if c in CODES)
    if isinstance(error, domain.BucketExists) and error.detail.get("owned"):
        code = Code.BucketAlreadyOwnedByYou
    elif isinstance(error, domain.NoSuchConfiguration):
        code = KINDS.get(str(error.detail.get("kind")), code)
    elif isinstance(error, domain.NotEnabled) and error.detail.get("what") == "openid":
        code = Code.OpenIDNotEnabled
    elif isinstance(error, domain.NotImplementedHere) and (what := error.detail.get("what")):
        message = f"{what} is not implemented by this server."
    if code in PRIVATE:
        LOG.error("%s: %s %s", error.name, error.message, error.detail, exc_info=code is Code.InternalError)
        return Failure(code, code.message, {}, code.status)
    text = error.message or message
    if text and code in REASONED and not text.startswith(code.message):
        text = f"{code.message} ({text})"
    return Failure(code, text or code.message, error.detail, STATUSES.get(type(error), code.status))


def fields(failure: Failure, place: Place) -> list[tuple[str, str]]:
    """The members of an error document in their order."""
    shown = [(name, str(failure.detail[key])) for key, name in DETAILS.items() if key in failure.detail]
    region = [("Region", place.region)] if place.region and "region" not in failure.detail else []
    members = [
        ("Code", failure.code.name),
        ("Message", failure.message),
        ("Key", place.key),
        ("BucketName", place.bucket),
        ("Resource", place.resource),
        *region,
        ("RequestId", place.request_id),
        ("HostId", place.host_id),
    ]
    return [(name, value) for name, value in members if value] + shown


def document(failure: Failure, place: Place) -> str:
    """The ``<Error>`` element."""
    return "<Error>" + "".join(f"<{n}>{escape(v)}</{n}>" for n, v in fields(failure, place)) + "</Error>"


def render(failure: Failure, place: Place) -> Reply:
    """The reply for a failure: XML, or headers alone for HEAD and for 304."""
    headers = _headers(failure)
    if failure.code is Code.NotModified:
        return Reply(304, headers)
    if place.method == "HEAD":
        headers.append(("x-minio-error-code", failure.code.name))
        headers.append(("x-minio-error-desc", f'"{_one_line(failure.message)}"'))
        return Reply(failure.status, headers)
    headers.append(("Content-Type", "application/xml"))
    return Reply(failure.status, headers, (HEADER + document(failure, place)).encode())


def render_json(failure: Failure, place: Place) -> Reply:
    """The reply for a failure of the admin API."""
    code = ADMIN_CODES.get(failure.code, failure.code)
    members = dict(fields(replace(failure, code=code), place))
    headers = [*_headers(failure), ("Content-Type", "application/json")]
    return Reply(failure.status, headers, json.dumps(members).encode())


def _headers(failure: Failure) -> list[tuple[str, str]]:
    headers: list[tuple[str, str]] = []
    detail = failure.detail
    if failure.status in (429, 503):
        headers.append(("Retry-After", RETRY_AFTER_S))
    if failure.code is Code.NotModified:
        headers.append(("ETag", f'"{detail["etag"]}"'))
        headers.append(("Last-Modified", http_time(int(detail["mtime_ns"]))))
    if failure.code is Code.InvalidRange and "size" in detail:
        headers.append(("Content-Range", f"bytes */{detail['size']}"))
    if detail.get("delete_marker"):
        headers.append(("x-amz-delete-marker", "true"))
        if "version_id" in detail:
            headers.append(("x-amz-version-id", show_version(bytes.fromhex(str(detail["version_id"])))))
    return headers


def _one_line(text: str) -> str:
    """Header-safe text: one line of ASCII."""
    return " ".join(text.split()).encode("ascii", "replace").decode().replace('"', "'")
