"""The table of S3 error codes.

Source: Amazon S3 API reference "Error responses"; MinIO's codes and statuses where the two differ, since its clients
decide by them.
"""

from __future__ import annotations

from enum import Enum


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
