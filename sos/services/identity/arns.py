"""Names of roles: ``arn:minio:iam:<region>::role/<id>``. Source: MinIO's ``internal/arn/arn.go``."""

from __future__ import annotations

import base64
import re
from hashlib import sha1

PREFIX = ("arn", "minio", "iam")
#: The role of those whose policies come from a claim of their token.
BY_CLAIM = "dummy-internal"
_ID = re.compile(r"[A-Za-z0-9_/.-]+")


class BadArn(ValueError):
    """Not the name of a role."""


def role_arn(resource: str, region: str) -> str:
    """The name of a role of this server."""
    return ":".join((*PREFIX, region, "", f"role/{resource}"))


def hashed(text: str) -> str:
    """The id of a role that stays the same for the same text (SHA-1 as MinIO has it: a name, it protects nothing)."""
    return base64.urlsafe_b64encode(sha1(text.encode(), usedforsecurity=False).digest()).rstrip(b"=").decode()


def check_arn(text: str) -> str:
    """The text, when it can name a role. :raises BadArn:"""
    parts = text.split(":")
    if len(parts) != 6 or parts[0] != PREFIX[0]:
        raise BadArn("invalid ARN string format")
    if parts[1] != PREFIX[1]:
        raise BadArn("invalid ARN - bad partition field")
    if parts[2] != PREFIX[2]:
        raise BadArn("invalid ARN - bad service field")
    if parts[4]:
        raise BadArn("invalid ARN - unsupported account-id field")
    kind, slash, resource = parts[5].partition("/")
    if not slash:
        raise BadArn('invalid ARN - resource does not contain a "/"')
    if kind != "role":
        raise BadArn("invalid ARN: resource type is invalid")
    if _ID.fullmatch(resource) is None:
        raise BadArn("invalid resource ID")
    return text
