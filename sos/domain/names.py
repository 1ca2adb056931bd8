"""Names that clients choose: buckets and keys (S3 user guide: "Bucket naming rules", "Object key names")."""

from __future__ import annotations

from .errors import InvalidBucketName, KeyTooLong

KEY_BYTES_MAX = 1024
RESERVED = frozenset({"minio"})
_ALLOWED = frozenset("abcdefghijklmnopqrstuvwxyz0123456789.-")
_EDGE = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")


def check_bucket_name(name: str) -> None:
    """:raises InvalidBucketName: 3–63 characters of a–z, 0–9, dot and hyphen; letters or digits at both ends; no ``..``,
    ``.-`` or ``-.``; not an IPv4 address; not reserved
    """
    good = 3 <= len(name) <= 63 and _ALLOWED.issuperset(name) and name[0] in _EDGE and name[-1] in _EDGE
    if not good or ".." in name or ".-" in name or "-." in name or name in RESERVED or _is_ipv4(name):
        raise InvalidBucketName(bucket=name)


def _is_ipv4(name: str) -> bool:
    parts = name.split(".")
    return len(parts) == 4 and all(part.isdigit() and len(part) <= 3 and int(part) <= 255 for part in parts)


def check_key(key: bytes) -> None:
    """:raises KeyTooLong: a key has 1 to 1,024 bytes"""
    if not 1 <= len(key) <= KEY_BYTES_MAX:
        raise KeyTooLong()
