"""Condition keys: what a policy may ask of a request (``aws:``, ``s3:``, ``jwt:``, ``ldap:``, ``sts:``, ``svc:``).

Names are compared without regard to case, as AWS does; values in a request are found under the canonical spelling here.
The tag after ``/`` is compared exactly, since tag keys of S3 are.
"""

from __future__ import annotations


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


GLOBAL = _names(
    """
    aws:Referer aws:SourceIp aws:UserAgent aws:SecureTransport aws:CurrentTime aws:EpochTime aws:principaltype
    aws:userid aws:username aws:groups aws:PrincipalArn aws:PrincipalAccount aws:ResourceAccount
    ldap:user ldap:username ldap:groups
    jwt:sub jwt:iss jwt:aud jwt:jti jwt:upn jwt:name jwt:groups jwt:given_name jwt:family_name jwt:middle_name
    jwt:nickname jwt:preferred_username jwt:profile jwt:picture jwt:website jwt:email jwt:gender jwt:birthdate
    jwt:phone_number jwt:address jwt:scope jwt:client_id
    """
)
"""Keys of every request."""

COMMON = GLOBAL | _names(
    """
    s3:signatureversion s3:authType s3:signatureAge s3:x-amz-content-sha256 s3:LocationConstraint s3:ResourceAccount
    """
)
"""Keys of every request to the S3 API."""

TAGGED = frozenset({"s3:ExistingObjectTag", "s3:RequestObjectTag"})
"""Keys that take a tag's key after ``/``."""

ENCRYPTION = _names(
    """
    s3:x-amz-server-side-encryption s3:x-amz-server-side-encryption-customer-algorithm
    s3:x-amz-server-side-encryption-aws-kms-key-id
    """
)
LISTING = frozenset({"s3:prefix", "s3:delimiter", "s3:max-keys"})
VERSION = frozenset({"s3:versionid"})
EXISTING = frozenset({"s3:ExistingObjectTag"})
REQUESTED = frozenset({"s3:RequestObjectTag", "s3:RequestObjectTagKeys"})
LOCK = frozenset({"s3:object-lock-mode", "s3:object-lock-retain-until-date"})
HOLD = frozenset({"s3:object-lock-legal-hold"})
REMAINING = frozenset({"s3:object-lock-remaining-retention-days"})
WRITING = frozenset({"s3:x-amz-copy-source", "s3:x-amz-metadata-directive", "s3:x-amz-storage-class"})

S3 = COMMON | ENCRYPTION | LISTING | VERSION | EXISTING | REQUESTED | LOCK | HOLD | REMAINING | WRITING
ADMIN = GLOBAL | {"svc:DurationSeconds"}
STS = GLOBAL | {"sts:DurationSeconds"}
KMS = GLOBAL
ALL = S3 | ADMIN | STS

_SPELLING = {name.lower(): name for name in ALL}


def canonical(name: str) -> str | None:
    """The canonical spelling, or None for a key that is not known."""
    base, slash, tag = name.partition("/")
    known = _SPELLING.get(base.lower())
    if known is None or (slash and (known not in TAGGED or not tag)):
        return None
    return known + slash + tag


def base_of(key: str) -> str:
    """The key without its tag."""
    return key.partition("/")[0]
