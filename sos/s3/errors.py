"""The only place that knows S3 error codes: the table of codes, and what each failure becomes on the wire.

Source: Amazon S3 API reference "Error responses"; MinIO's codes and statuses where the two differ, since its clients
decide by them.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, replace
from enum import Enum

from ..domain import errors as domain
from ..http.message import Reply
from .auth.errors import AuthError
from .identifiers import show_version
from .xml.text import HEADER, escape, http_time

LOG = logging.getLogger(__name__)
RETRY_AFTER_S = "60"


class Code(Enum):
    """An S3 error code (the member's name) with its HTTP status and standard message."""

    status: int
    message: str

    def __new__(cls, status: int, message: str) -> Code:
        member = object.__new__(cls)
        member._value_ = len(cls.__members__)
        member.status = status
        member.message = message
        return member

    AccessDenied = 403, "Access Denied."
    AllAccessDisabled = 403, "All access to this resource has been disabled."
    AuthorizationHeaderMalformed = 400, "The authorization header is malformed."
    AuthorizationParametersError = 400, "Error parsing the Credential/X-Amz-Credential parameter; incorrect service."
    AuthorizationQueryParametersError = 400, "Error parsing the X-Amz-Credential parameter."
    BadDigest = 400, "The Content-Md5 you specified did not match what we received."
    BadRequest = 400, "400 BadRequest"
    BucketAlreadyExists = (
        409,
        "The requested bucket name is not available. The bucket namespace is shared by all users of the system. "
        "Please select a different name and try again.",
    )
    BucketAlreadyOwnedByYou = (
        409,
        "Your previous request to create the named bucket succeeded and you already own it.",
    )
    BucketNotEmpty = 409, "The bucket you tried to delete is not empty"
    ClientDisconnected = 499, "Client disconnected before response was ready"
    ConditionalRequestConflict = (
        409,
        "The conditional request cannot succeed due to a conflicting operation against this resource.",
    )
    EmptyRequestBody = 400, "Request body cannot be empty."
    EntityTooLarge = 400, "Your proposed upload exceeds the maximum allowed object size."
    EntityTooSmall = 400, "Your proposed upload is smaller than the minimum allowed object size."
    ExcessData = 400, "More data provided than indicated content length"
    ExpiredToken = 400, "The provided token has expired."
    IncompleteBody = 400, "You did not provide the number of bytes specified by the Content-Length HTTP header."
    InternalError = 500, "We encountered an internal error, please try again."
    InvalidAccessKeyId = 403, "The Access Key Id you provided does not exist in our records."
    InvalidArgument = 400, "Invalid Argument"
    InvalidBucketName = 400, "The specified bucket is not valid."
    InvalidBucketState = 409, "The request is not valid with the current state of the bucket."
    InvalidDigest = 400, "The Content-Md5 you specified is not valid."
    InvalidLocationConstraint = 400, "The specified location-constraint is not valid"
    InvalidObjectState = 403, "The operation is not valid for the current state of the object."
    InvalidPart = (
        400,
        "One or more of the specified parts could not be found.  The part may not have been uploaded, or the "
        "specified entity tag may not match the part's entity tag.",
    )
    InvalidPartNumber = 416, "The requested partnumber is not satisfiable"
    InvalidPartOrder = (
        400,
        "The list of parts was not in ascending order. The parts list must be specified in order by part number.",
    )
    InvalidPolicyDocument = (
        400,
        "The content of the form does not meet the conditions specified in the policy document.",
    )
    InvalidRange = 416, "The requested range is not satisfiable"
    InvalidRegion = 400, "Region does not match."
    InvalidRequest = 400, "Invalid Request"
    InvalidStorageClass = 400, "Invalid storage class."
    InvalidTag = 400, "The Tag value you have provided is invalid"
    InvalidTokenId = 403, "The security token included in the request is invalid"
    InvalidURI = 400, "Couldn't parse the specified URI."
    KeyTooLongError = 400, "Your key is too long"
    MalformedDate = 400, "Invalid date format header, expected to be in ISO8601, RFC1123 or RFC1123Z time format."
    MalformedPOSTRequest = 400, "The body of your POST request is not well-formed multipart/form-data."
    LimitExceeded = 409, "There are as many as there may be."
    MalformedPolicy = 400, "Policy has invalid resource."
    PolicyInvalidName = 400, "Policy name may not contain comma"
    PolicyTooLarge = 400, "Policy exceeds the maximum allowed document size."
    MalformedTrailerError = 400, "The request contained trailing data that was not well-formed."
    MalformedXML = (
        400,
        "The XML you provided was not well-formed or did not validate against our published schema.",
    )
    MetadataTooLarge = 400, "Your metadata headers exceed the maximum allowed metadata size."
    MethodNotAllowed = 405, "The specified method is not allowed against this resource."
    MissingContentLength = 411, "You must provide the Content-Length HTTP header."
    MissingContentMD5 = 400, "Missing or invalid required header for this request: Content-MD5"
    MissingFields = 400, "Missing fields in request."
    MissingRequestBodyError = 411, "Request body is empty."
    MissingSecurityHeader = 400, "Your request was missing a required header."
    NoSuchBucket = 404, "The specified bucket does not exist"
    NoSuchBucketPolicy = 404, "The bucket policy does not exist"
    NoSuchCORSConfiguration = 404, "The CORS configuration does not exist"
    NoSuchKey = 404, "The specified key does not exist."
    NoSuchLifecycleConfiguration = 404, "The lifecycle configuration does not exist"
    NoSuchObjectLockConfiguration = 400, "The specified object does not have a ObjectLock configuration"
    NoSuchTagSet = 404, "The TagSet does not exist"
    NoSuchUpload = (
        404,
        "The specified multipart upload does not exist. The upload ID may be invalid, or the upload may have been "
        "aborted or completed.",
    )
    NoSuchVersion = 404, "The specified version does not exist."
    NoSuchWebsiteConfiguration = 404, "The specified bucket does not have a website configuration"
    NotImplemented = 501, "A header you provided implies functionality that is not implemented"
    NotModified = 304, "Not Modified"
    ObjectLockConfigurationNotFoundError = 404, "Object Lock configuration does not exist for this bucket"
    PostPolicyInvalidKeyName = 403, "Invalid according to Policy: Policy Condition failed"
    PreconditionFailed = 412, "At least one of the pre-conditions you specified did not hold"
    ReplicationConfigurationNotFoundError = 404, "The replication configuration was not found"
    RequestTimeTooSkewed = 403, "The difference between the request time and the server's time is too large."
    RequestTimeout = (
        400,
        "Your socket connection to the server was not read from or written to within the timeout period.",
    )
    ServerBusy = 503, "The service is unavailable. Please retry."
    ServerSideEncryptionConfigurationNotFoundError = 404, "The server side encryption configuration was not found"
    SignatureDoesNotMatch = (
        403,
        "The request signature we calculated does not match the signature you provided. Check your key and signing "
        "method.",
    )
    SlowDownRead = 503, "Resource requested is unreadable, please reduce your request rate"
    SlowDownWrite = 503, "Resource requested is unwritable, please reduce your request rate"
    TooManyRequests = 429, "Please reduce your request rate."
    XAmzContentChecksumMismatch = (
        400,
        "The provided 'x-amz-checksum' header does not match what was computed.",
    )
    XAmzContentSHA256Mismatch = (
        400,
        "The provided 'x-amz-content-sha256' header does not match what was computed.",
    )
    XMinioAdminAccountExists = 409, "An account of this name exists."
    XMinioAdminAccountNotEmpty = 409, "The account still has users or buckets."
    XMinioAdminBucketQuotaExceeded = 400, "Bucket quota exceeded"
    OpenIDNotEnabled = 400, "OpenID is not configured."
    XMinioAdminConfigBadJSON = 400, "JSON configuration provided is of incorrect format"
    XMinioAdminConfigTooLarge = 400, "Configuration data provided exceeds the allowed maximum of 262272 bytes"
    XMinioAdminInvalidArgument = 400, "Invalid arguments specified."
    XMinioAdminProfilerNotEnabled = 400, "Unable to perform the requested operation because profiling is not enabled"
    XMinioSpeedtestInsufficientCapacity = 507, "Not enough space for a speed test."
    XMinioConfigError = 400, "There is no such configuration."
    XMinioConfigNotFoundError = 404, "There is no such configuration."
    XMinioAdminConfigEnvOverridden = 400, "Unable to update config via Admin API due to environment variable override"
    XMinioAdminConfigInvalidIDPType = 400, "Invalid IDP configuration type - must be one of [ldap openid]"
    XMinioAdminConfigLDAPNonDefaultConfigName = (
        400,
        "Only a single LDAP configuration is supported - config name must be empty or `_`",
    )
    XMinioAdminConfigLDAPValidation = 400, "LDAP Configuration validation failed"
    XMinioAdminConfigIDPCfgNameAlreadyExists = 400, "An IDP configuration with the given name already exists"
    XMinioAdminConfigIDPCfgNameDoesNotExist = 400, "No such IDP configuration exists"
    XMinioAdminNoSuchConfigTarget = 400, "No such named configuration target exists"
    XMinioLDAPNotEnabled = 501, "LDAP is not enabled. LDAP must be enabled to make LDAP requests."
    XMinioLDAPExpectedLoginName = 400, "Expected LDAP short username but was given full DN."
    XMinioLDAPUnreachable = 503, "The LDAP directory cannot be asked at this moment. The log tells why."
    XMinioAdminGroupNotEmpty = 400, "The specified group is not empty - cannot remove it."
    XMinioAdminInvalidAccessKey = 400, "The access key is invalid."
    XMinioAdminInvalidSecretKey = 400, "The secret key is invalid."
    XMinioAdminNoSuchAccessKey = 404, "The specified access key does not exist."
    XMinioAdminNoSuchAccount = 404, "The specified account does not exist."
    XMinioAdminNoSuchGroup = 404, "The specified group does not exist."
    XMinioAdminNoSuchJob = 404, "The specified job does not exist."
    XMinioAdminNoSuchPolicy = 404, "The canned policy does not exist."
    XMinioAdminNoSuchUser = 404, "The specified user does not exist."
    XMinioAdminPolicyChangeAlreadyApplied = 400, "The specified policy change is already in effect."
    XMinioAdminRebalanceNotStarted = 404, "Pool rebalance is not started"
    XMinioAdminRemoteTargetNotFoundError = 404, "The remote target does not exist"
    XMinioAdminTierNotFound = 404, "Specified remote tier was not found"
    XMinioSiteReplicationInvalidRequest = 400, "Invalid site-replication request (site replication is not enabled)"
    XMinioHealInvalidClientToken = 400, "Client token mismatch"
    XMinioHealMissingBucket = (
        400,
        "A heal start request with a non-empty object-prefix parameter requires a bucket to be specified.",
    )
    XMinioAdminVersionMismatch = 426, "This server does not support the requested admin API."
    XMinioIAMNotInitialized = 503, "IAM sub-system not initialized yet, please try again."
    XMinioIAMPolicyInUse = 400, "The policy cannot be removed, as it is in use"
    XMinioIAMServiceAccountNotAllowed = (
        400,
        "The specified service account is not allowed: it belongs to temporary credentials or to another service account.",
    )
    XMinioIAMServiceAccountSessionPolicyTooLarge = 400, "The session policy may not exceed 2048 characters"
    XMinioInvalidGroupName = 400, "The group name is invalid."
    XMinioInvalidIAMCredentials = 403, "User is not authorized to use these credentials"
    XMinioInvalidObjectName = 400, "Object name contains unsupported characters."
    XMinioMalformedIAMPolicy = 400, "The policy is malformed."
    XMinioServerNotInitialized = 503, "Server not initialized yet, please try again."
    XMinioStorageFull = (
        507,
        "Storage backend has reached its minimum free drive threshold. Please delete a few objects to proceed.",
    )


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
