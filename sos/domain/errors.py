"""The error tree of the store.

Every failure that a caller can act upon is one class here; the S3 boundary maps each class once
(``sos/s3/errors.py``). Anything else that reaches the boundary is an internal error.

Errors cross process boundaries (an owner refuses a proposal made by another worker), so each class is
rebuilt from its ``name`` and its ``detail`` mapping by :func:`rebuild`; ``detail`` holds only strings,
integers and booleans.
"""

from __future__ import annotations

from typing import ClassVar


class StoreError(Exception):
    """Base of all expected failures.

    :param message: text for the client; empty means the boundary's standard message
    :param detail: facts for the reply (key, bucket, version id, sizes)
    """

    registry: ClassVar[dict[str, type[StoreError]]] = {}

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        StoreError.registry[cls.__name__] = cls

    def __init__(self, message: str = "", **detail: str | int | bool) -> None:
        super().__init__(message)
        self.message = message
        self.detail: dict[str, str | int | bool] = detail

    @property
    def name(self) -> str:
        return type(self).__name__


def rebuild(name: str, message: str, detail: dict[str, str | int | bool]) -> StoreError:
    """The error that another process reported. An unknown name becomes :class:`InternalFault`."""
    cls = StoreError.registry.get(name)
    if cls is None:
        return InternalFault(f"{name}: {message}", **detail)
    return cls(message, **detail)


# -- what the caller named does not exist, or exists already --------------------------------------


class NoSuchBucket(StoreError): ...


class NoSuchKey(StoreError):
    """No object. ``detail``: ``delete_marker`` (bool) and ``version_id`` (str) when a marker is latest."""


class NoSuchVersion(StoreError): ...


class NoSuchUpload(StoreError): ...


class NoSuchConfiguration(StoreError):
    """A bucket has no configuration of this kind; ``detail['kind']`` names it."""


class BucketExists(StoreError):
    """``detail['owned']`` tells whether the asking account owns it."""


class BucketNotEmpty(StoreError): ...


# -- what the caller asked is refused ------------------------------------------------------------


class AccessDenied(StoreError): ...


class AccountDisabled(AccessDenied):
    """The bucket belongs to an account that is disabled: nobody gets at it but the deployment's root."""


class MethodNotAllowed(StoreError):
    """The resource does not take this method, e.g. GET of a delete marker by its version id."""


class PreconditionFailed(StoreError): ...


class NotModified(StoreError):
    """304; ``detail`` carries ``etag`` and ``mtime_ns`` for the reply's headers."""


class ConditionalConflict(StoreError):
    """409 ConditionalRequestConflict: the key changed while the request ran."""


class ObjectLocked(StoreError):
    """Retention or legal hold forbids it."""


class QuotaExceeded(StoreError): ...


class QuotaUngranted(StoreError):
    """The operation adds ``detail['added']`` bytes to a bucket with a quota, and the keeper of quotas has not granted so
    many, or under an earlier term. Never told to clients: the writer asks the keeper and tries again."""


class InvalidRange(StoreError):
    """416; ``detail['size']`` is the object's size in bytes, ``detail['range']`` the header."""


class InvalidPartNumber(StoreError):
    """416 for a ``partNumber`` that the object does not have."""


class InvalidArgument(StoreError): ...


class InvalidRequest(StoreError): ...


class InvalidBucketName(StoreError): ...


class KeyTooLong(StoreError): ...


class EntityTooLarge(StoreError): ...


class EntityTooSmall(StoreError):
    """A part other than the last is below the minimum; ``detail``: ``part``, ``size``, ``minimum``, ``etag``."""


class InvalidPart(StoreError): ...


class InvalidPartOrder(StoreError): ...


class InvalidStorageClass(StoreError): ...


class MalformedPolicy(StoreError):
    """A policy document that cannot be stored; the message says what is wrong with it."""


class PolicyTooLarge(StoreError): ...


class NotImplementedHere(StoreError):
    """A part of the S3 API that this server does not offer; ``detail['what']`` names it."""


# -- identities and what they may do ----------------------------------------------------------------


class NoSuchUser(StoreError): ...


class NoSuchGroup(StoreError): ...


class NoSuchPolicy(StoreError): ...


class NoSuchAccessKey(StoreError):
    """No service account or temporary account of this access key."""


class NoSuchServiceAccount(NoSuchAccessKey):
    """No service account of this access key, where only one would do."""


class NoSuchAccount(StoreError): ...


class AccountExists(StoreError): ...


class AccountNotEmpty(StoreError):
    """The account still owns buckets or users."""


class PolicyInUse(StoreError):
    """The policy is attached to a user or a group."""


class PolicyUnchanged(StoreError):
    """Attaching what is attached already, or detaching what is not."""


class GroupNotEmpty(StoreError): ...


class InvalidAccessKey(StoreError):
    """An access key (or the name of a user) that breaks the rules."""


class InvalidSecretKey(StoreError): ...


class InvalidGroupName(StoreError): ...


class InvalidPolicyName(StoreError):
    """The name of a policy that breaks the rules."""


class SessionPolicyTooLarge(StoreError): ...


class CredentialsTaken(StoreError):
    """The access key belongs to root, or to another user or account."""


class TooManyAccessKeys(StoreError):
    """Whoever is to have another access key has as many as one may have."""


class ServiceAccountNotAllowed(StoreError):
    """Temporary credentials and service accounts of others cannot have service accounts."""


class IdentityClosed(StoreError):
    """The identity store is not open yet: nobody can be authenticated."""


class RootSecretWrong(StoreError):
    """The root credentials do not open the identity store of this deployment."""


# -- calls of the admin API --------------------------------------------------------------------------


class UnknownCall(StoreError):
    """No such call, or not in this version of the admin API: clients then try an older one."""


class UnsupportedCall(StoreError):
    """No such call of the key management API."""


class BadDocument(StoreError):
    """The document of an admin call cannot be decrypted with the caller's secret key, or is not what the call needs."""


class DocumentTooLarge(StoreError): ...


class InvalidAdminArgument(StoreError):
    """A parameter of an admin call."""


class ProfilerNotEnabled(StoreError):
    """No profile was taken that could be given."""


class SpeedtestInsufficientCapacity(StoreError):
    """The objects of a speed test would not fit."""


class KmsNotConfigured(StoreError): ...


class RebalanceNotStarted(StoreError): ...


class NoSuchJob(StoreError):
    """A batch job."""


class NoSuchTier(StoreError):
    """A remote tier."""


class NoSuchRemoteTarget(StoreError):
    """A place that a bucket is replicated to."""


class SitesNotReplicated(StoreError):
    """A change of the replication of sites, where there is none."""


class HealTokenUnknown(StoreError):
    """A token of a heal that was not given for this path."""


class HealMissingBucket(StoreError): ...


class NoSuchSetting(StoreError):
    """A subsystem, or a key of one, that the configuration does not have."""


class InvalidSetting(StoreError):
    """A change of the configuration that is not understood, or lacks what is needed."""


class SettingNotFound(StoreError):
    """A target, a key, or an entry of the history that is to go or to come back and is not there."""


class SettingRefused(StoreError):
    """Values that were checked and cannot be used; the message is for the operator and holds no secret."""


class DirectorySettingRefused(SettingRefused):
    """Of an LDAP directory: the same."""


class SettingPinned(StoreError):
    """The environment says what an admin call wants to change."""


class NoSuchTarget(StoreError):
    """A configuration of an identity provider that is asked for or to be removed."""


class NoSuchProvider(StoreError):
    """A configuration of an identity provider that is to be changed."""


class ProviderExists(StoreError): ...


class NoSuchProviderType(StoreError):
    """Identity providers are ``openid`` or ``ldap``."""


class OnlyOneDirectory(StoreError):
    """There is one configuration for LDAP, without a name."""


class NotEnabled(StoreError):
    """An identity provider that is not configured; ``detail['what']`` is ``ldap`` or ``openid``."""


# -- a directory (LDAP) --------------------------------------------------------------------------------


class LdapUnreachable(StoreError):
    """The directory cannot be asked at this moment. Why is told to the operator only."""


class LdapNameExpected(StoreError):
    """A distinguished name where the name of a user who logs in is needed."""


# -- the body is not what was promised -------------------------------------------------------------


class BadDigest(StoreError):
    """Content-MD5 does not match the body."""


class InvalidDigest(StoreError):
    """Content-MD5 is not the base64 of 16 bytes."""


class ChecksumMismatch(StoreError):
    """An x-amz-checksum-* value does not match the body."""


class ContentHashMismatch(StoreError):
    """x-amz-content-sha256 does not match the body."""


class SignatureMismatch(StoreError):
    """A chunk or trailer signature does not match."""


class MalformedTrailer(StoreError): ...


class MalformedFraming(StoreError):
    """The aws-chunked framing of the body is broken."""


class IncompleteBody(StoreError):
    """The body ended before its declared length."""


class ExcessBody(StoreError):
    """The body carries more than its declared length."""


class BodyTimeout(StoreError):
    """The client did not send for too long."""


class ClientGone(StoreError):
    """The connection was lost; there is nobody to answer."""


# -- the store cannot --------------------------------------------------------------------------------


class ReadQuorumLost(StoreError):
    """Fewer shards or drives than needed to read. Never answered as 404."""


class WriteQuorumLost(StoreError):
    """Fewer drives than needed to commit; the outcome of the request is unknown."""


class StorageFull(StoreError): ...


class Busy(StoreError):
    """A bounded queue is full, or the owner is recovering: try again."""


class OwnerLeaves(Busy):
    """The owner of a set has begun to stop and took nothing: its successor is to be asked."""


class MustWait(Busy):
    """A decision needs what cannot be read at this moment: wait for a snapshot of set 0 and decide again."""


class InternalFault(StoreError):
    """A bug or an impossible state, reported by another process."""


# -- one drive ---------------------------------------------------------------------------------------


class DriveFault(StoreError):
    """A drive failed an operation; the caller leaves it out and goes on with the others."""


class DriveFull(DriveFault):
    """ENOSPC; told apart from a fault by statvfs."""


class DriveFenced(DriveFault):
    """The drive has promised a later epoch: whoever asked is no longer the owner."""


class DriveBehind(DriveFault):
    """The drive's last operation is not the expected one: it missed something."""


class BadRow(DriveFault):
    """A stored row fails its checksum or cannot be decoded."""


class BadRecord(StoreError):
    """A row is what was written, the same on every drive, and yet not what it should be: no drive is to blame."""
