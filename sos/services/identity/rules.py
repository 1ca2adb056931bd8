"""What names and keys may be. The limits are MinIO's where it has one. Pure."""

from __future__ import annotations

import re
import secrets
import string

from ...domain.errors import InvalidAccessKey, InvalidArgument, InvalidGroupName, InvalidPolicyName, InvalidSecretKey

ACCESS_KEY_CHARS_MIN = 3
SECRET_CHARS_MIN = 8
SECRET_CHARS_MAX = 256
#: Bytes of any name: with it every row's key fits into an index key (511 bytes).
NAME_BYTES_MAX = 220
POLICY_NAME_BYTES_MAX = 128
#: Of the name of a user or group that another provider knows: with the name of a policy it still fits into an index key.
EXTERNAL_BYTES_MAX = 360
#: Of an index key.
ROW_BYTES_MAX = 511
SERVICE_KEY_CHARS_MAX = 20
SERVICE_SECRET_CHARS_MAX = 40
DESCRIPTION_BYTES_MAX = 256
#: Of a service account from now, in seconds.
SERVICE_EXPIRY_S_MIN, SERVICE_EXPIRY_S_MAX = 15 * 60, 365 * 24 * 3600
#: Of temporary credentials, in seconds.
SESSION_S_MIN, SESSION_S_MAX, SESSION_S_DEFAULT = 900, 365 * 24 * 3600, 3600
SESSION_POLICY_BYTES_MAX = 2048
SERVICE_POLICY_BYTES_MAX = 20 * 1024

RESERVED = frozenset("=,")
# the texts are MinIO's, and scripts compare them; users may have longer keys
ACCESS_KEY_LENGTH = "access key length should be between 3 and 20"
SECRET_LENGTH = "secret key length should be between 8 and 40"
_SERVICE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}")
_KEY_LETTERS = string.ascii_uppercase + string.digits
_SECRET_LETTERS = string.ascii_letters + string.digits


def _named(name: str, bytes_max: int = NAME_BYTES_MAX) -> bool:
    return bool(name) and name.isprintable() and name == name.strip() and len(name.encode()) <= bytes_max


def check_user(name: str) -> None:
    """The name of a user, which is its access key. :raises InvalidAccessKey:"""
    if len(name) < ACCESS_KEY_CHARS_MIN:
        raise InvalidAccessKey(ACCESS_KEY_LENGTH)
    if RESERVED.intersection(name):
        raise InvalidAccessKey("access key contains one of reserved characters '=' or ','")
    if not _named(name):
        raise InvalidAccessKey(f"access keys are {NAME_BYTES_MAX} printable bytes at most, without blanks around them")


def check_secret(secret: str) -> None:
    """:raises InvalidSecretKey:"""
    if len(secret) < SECRET_CHARS_MIN:
        raise InvalidSecretKey(SECRET_LENGTH)
    if len(secret) > SECRET_CHARS_MAX or not secret.isprintable():
        raise InvalidSecretKey(f"secret keys are {SECRET_CHARS_MAX} printable characters at most")


def check_service_key(access_key: str, secret: str) -> None:
    """The keys of a service account. :raises InvalidAccessKey, InvalidSecretKey"""
    check_user(access_key)
    if len(access_key) > SERVICE_KEY_CHARS_MAX:
        raise InvalidAccessKey(ACCESS_KEY_LENGTH)
    check_service_secret(secret)


def check_service_secret(secret: str) -> None:
    """:raises InvalidSecretKey:"""
    check_secret(secret)
    if len(secret) > SERVICE_SECRET_CHARS_MAX:
        raise InvalidSecretKey(SECRET_LENGTH)


def check_service_texts(name: str, description: str) -> None:
    """Name and description of a service account; both may be empty. :raises InvalidArgument:"""
    if name and _SERVICE_NAME.fullmatch(name) is None:
        raise InvalidArgument(
            "name must not be longer than 32 characters, must start with a letter and must contain only ASCII letters, "
            "digits, underscores and hyphens"
        )
    if len(description.encode()) > DESCRIPTION_BYTES_MAX:
        raise InvalidArgument("description must be at most 256 bytes long")


def check_service_expiry(expires_ns: int, now_ns: int) -> None:
    """:param expires_ns: 0 = never. :raises InvalidArgument:"""
    left_s = (expires_ns - now_ns) // 10**9
    # half a minute for the way of the request: clients add the least lifetime to their own clock
    if expires_ns and not SERVICE_EXPIRY_S_MIN - 30 <= left_s <= SERVICE_EXPIRY_S_MAX + 30:
        raise InvalidArgument("the expiration of a service account must be between 15 minutes and 365 days from now")


def check_group(name: str) -> None:
    """:raises InvalidGroupName:"""
    if RESERVED.intersection(name):
        raise InvalidGroupName("Group name contains reserved characters '=' or ','")
    if not _named(name):
        raise InvalidGroupName(f"Group names are {NAME_BYTES_MAX} printable bytes at most, without blanks around them")


def check_policy_name(name: str) -> None:
    """:raises InvalidPolicyName:"""
    if "," in name:
        raise InvalidPolicyName()
    if not _named(name, POLICY_NAME_BYTES_MAX):
        raise InvalidPolicyName("Policy names are 1 to 128 printable bytes, without blanks around them.")


def check_external(name: str) -> None:
    """The name of a user or group that a directory knows. :raises InvalidArgument:"""
    if not _named(name, EXTERNAL_BYTES_MAX):
        raise InvalidArgument("The name is too long, or not printable.")


def new_access_key() -> str:
    """20 letters and digits."""
    return "".join(secrets.choice(_KEY_LETTERS) for _ in range(SERVICE_KEY_CHARS_MAX))


def new_secret() -> str:
    """40 letters and digits: 238 bits."""
    return "".join(secrets.choice(_SECRET_LETTERS) for _ in range(SERVICE_SECRET_CHARS_MAX))
